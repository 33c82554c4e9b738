//! Statistics of one metric in fixed size: a hot tail of points and a cold part of days.
//!
//! The tail holds the newest points by time and is upserted by time, so repeats and re-reads
//! change nothing and order within it does not matter. Points leave it in time order for a
//! bucket of their UTC day. What is older than the last point that left is late: its place is
//! already summed up, and whether it was counted there cannot be told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::{Statistics, Timestamp};

/// Points kept with their times.
pub const TAIL_POINTS: usize = 32;
/// UTC days kept, the longest look-back of any rule (32 days) and some slack.
pub const DAYS: i64 = 35;

/// One data point. Single precision: seven digits are more than any threshold needs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "PointParts", into = "PointParts")]
pub struct Point {
    /// Its time.
    pub at: Timestamp,
    /// Samples.
    pub count: f32,
    /// Their sum.
    pub sum: f32,
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

type PointParts = (Timestamp, f32, f32, f32, f32);
impl From<PointParts> for Point {
    fn from((at, count, sum, min, max): PointParts) -> Self {
        Self {
            at,
            count,
            sum,
            min,
            max,
        }
    }
}
impl From<Point> for PointParts {
    fn from(point: Point) -> Self {
        (point.at, point.count, point.sum, point.min, point.max)
    }
}

impl Point {
    fn of(at: Timestamp, statistics: &Statistics) -> Option<Self> {
        let narrow = |value: f64| {
            value
                .is_finite()
                .then(|| value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32)
        };
        Some(Self {
            at,
            count: narrow(statistics.count)?,
            sum: narrow(statistics.sum)?,
            min: narrow(statistics.min)?,
            max: narrow(statistics.max)?,
        })
    }
    /// Sum over count; zero without samples.
    pub fn average(&self) -> f64 {
        if self.count > 0.0 {
            f64::from(self.sum) / f64::from(self.count)
        } else {
            0.0
        }
    }
}

/// What a span of time amounts to.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "TotalParts", into = "TotalParts")]
pub struct Total {
    /// Data points.
    pub points: u32,
    /// Which of the day's 24 hours have data, a bit each; in a sum over days, how many hours.
    hours: u32,
    /// Samples.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

type TotalParts = (u32, u32, f64, f64, f32, f32);
impl From<TotalParts> for Total {
    fn from((points, hours, count, sum, min, max): TotalParts) -> Self {
        Self {
            points,
            hours,
            count,
            sum,
            min,
            max,
        }
    }
}
impl From<Total> for TotalParts {
    fn from(total: Total) -> Self {
        (
            total.points,
            total.hours,
            total.count,
            total.sum,
            total.min,
            total.max,
        )
    }
}

impl Total {
    fn add(&mut self, point: &Point) {
        if self.points == 0 {
            (self.min, self.max) = (point.min, point.max);
        } else {
            (self.min, self.max) = (self.min.min(point.min), self.max.max(point.max));
        }
        self.points = self.points.saturating_add(1);
        let hour = point.at.ms().rem_euclid(Timestamp::DAY) / Timestamp::HOUR;
        self.hours |= 1 << hour;
        self.count += f64::from(point.count);
        self.sum += f64::from(point.sum);
    }
    /// Sum over count; zero without samples.
    pub fn average(&self) -> f64 {
        if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }
    /// Hours of the day that have data.
    pub fn hours(&self) -> u32 {
        self.hours.count_ones()
    }
}

/// What became of a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upsert {
    /// It was there already, or is no number.
    Unchanged,
    /// It is new, or replaced one of the same time.
    Changed,
    /// Its place is already summed up.
    Late,
}

/// One metric of one subject.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// Sorted by time.
    #[serde(default, rename = "t")]
    tail: Vec<Point>,
    /// Time of the last point that left the tail.
    #[serde(default, rename = "e", skip_serializing_if = "Option::is_none")]
    evicted: Option<Timestamp>,
    /// By UTC day.
    #[serde(default, rename = "d")]
    days: BTreeMap<i64, Total>,
}

impl Series {
    /// Takes a point.
    pub fn upsert(&mut self, at: Timestamp, statistics: &Statistics) -> Upsert {
        if self.evicted.is_some_and(|evicted| at <= evicted) {
            return Upsert::Late;
        }
        let Some(point) = Point::of(at, statistics) else {
            return Upsert::Unchanged;
        };
        match self.tail.binary_search_by_key(&at, |point| point.at) {
            Ok(index) if self.tail[index] == point => return Upsert::Unchanged,
            Ok(index) => self.tail[index] = point,
            Err(index) => self.tail.insert(index, point),
        }
        if self.tail.len() > TAIL_POINTS {
            let oldest = self.tail.remove(0);
            self.evicted = Some(oldest.at);
            self.days.entry(oldest.at.day()).or_default().add(&oldest);
            let horizon = oldest.at.day() - DAYS;
            while self
                .days
                .first_key_value()
                .is_some_and(|(day, _)| *day <= horizon)
            {
                self.days.pop_first();
            }
        }
        Upsert::Changed
    }

    /// The series without what came after `as_of`.
    pub fn view(&self, as_of: Timestamp) -> View<'_> {
        let known = self.tail.partition_point(|point| point.at <= as_of);
        View {
            tail: &self.tail[..known],
            days: &self.days,
            whole: self.evicted.is_none(),
        }
    }

    /// Times of the points in the tail, oldest first.
    pub fn times(&self) -> impl DoubleEndedIterator<Item = Timestamp> + '_ {
        self.tail.iter().map(|point| point.at)
    }
}

/// Totals by UTC day, oldest first; two weeks of them without allocating.
pub type Days = SmallVec<[(i64, Total); 16]>;

/// A series as of some time.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    tail: &'a [Point],
    days: &'a BTreeMap<i64, Total>,
    whole: bool,
}

impl<'a> View<'a> {
    /// The newest point.
    pub fn newest(&self) -> Option<&'a Point> {
        self.tail.last()
    }
    /// Points of the tail, newest first.
    pub fn back(&self) -> impl Iterator<Item = &'a Point> {
        self.tail.iter().rev()
    }
    /// Totals of UTC days from `first` to `last`, inclusive, days without data left out.
    pub fn days(&self, first: i64, last: i64) -> Days {
        let mut totals = Days::new();
        self.each_day(first, last, |day, total| totals.push((day, *total)));
        totals
    }
    /// Calls `look` with what [`View::days`] returns, without copying it.
    pub fn each_day(&self, first: i64, last: i64, mut look: impl FnMut(i64, &Total)) {
        if first > last {
            return;
        }
        let begin = self.tail.partition_point(|point| point.at.day() < first);
        let end = self.tail.partition_point(|point| point.at.day() <= last);
        let mut tail = self.tail[begin..end].iter().peekable();
        // Points leave the tail in order of time: only the newest stored day has more in it.
        for (day, total) in self.days.range(first..=last) {
            if tail.peek().is_none_or(|point| point.at.day() > *day) {
                look(*day, total);
                continue;
            }
            let mut total = *total;
            while let Some(point) = tail.next_if(|point| point.at.day() <= *day) {
                total.add(point);
            }
            look(*day, &total);
        }
        while let Some(point) = tail.next() {
            let day = point.at.day();
            let mut total = Total::default();
            total.add(point);
            while let Some(point) = tail.next_if(|point| point.at.day() == day) {
                total.add(point);
            }
            look(day, &total);
        }
    }

    /// For how long, up to the newest point, every point satisfied `holds`: the time of the
    /// first of the run. `Err` when the run began before the tail does.
    pub fn run(&self, holds: impl Fn(&Point) -> bool) -> Result<Option<Timestamp>, Timestamp> {
        let mut first = None;
        for point in self.back() {
            if !holds(point) {
                return Ok(first);
            }
            first = Some(point.at);
        }
        match first {
            Some(at) if !self.whole => Err(at),
            other => Ok(other),
        }
    }
}

/// The median, sorting `values` in place; zero when there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_ms(minute * Timestamp::MINUTE)
    }

    #[test]
    fn a_repeated_point_changes_nothing_and_a_corrected_one_replaces() {
        let mut series = Series::default();
        assert_eq!(series.upsert(at(1), &Statistics::of(1.0)), Upsert::Changed);
        let before = series.clone();
        assert_eq!(
            series.upsert(at(1), &Statistics::of(1.0)),
            Upsert::Unchanged
        );
        assert_eq!(series, before);
        assert_eq!(series.upsert(at(1), &Statistics::of(2.0)), Upsert::Changed);
        assert_eq!(series.view(at(1)).days(0, 0)[0].1.points, 1);
    }

    #[test]
    fn a_point_older_than_the_tail_is_late() {
        let mut series = Series::default();
        for minute in 0..100 {
            series.upsert(at(minute), &Statistics::of(1.0));
        }
        let before = series.clone();
        assert_eq!(series.upsert(at(3), &Statistics::of(9.0)), Upsert::Late);
        assert_eq!(series, before);
    }

    #[test]
    fn days_hold_every_point_once_wherever_it_is() {
        let mut series = Series::default();
        for minute in 0..(3 * 1_440) {
            series.upsert(at(minute), &Statistics::of(2.0));
        }
        let days = series.view(at(1 << 40)).days(0, 2);
        assert_eq!(days.len(), 3);
        for (_, total) in days {
            assert_eq!((total.points, total.hours()), (1_440, 24));
            assert!((total.average() - 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn memory_does_not_grow_with_time() {
        let mut series = Series::default();
        for hour in 0..(24 * 400) {
            series.upsert(at(60 * hour), &Statistics::of(1.0));
        }
        assert!(series.days.len() as i64 <= DAYS);
        assert_eq!(series.tail.len(), TAIL_POINTS);
    }

    #[test]
    fn a_view_ends_where_it_is_told_to() {
        let mut series = Series::default();
        for minute in 0..10 {
            series.upsert(at(minute), &Statistics::of(minute as f64));
        }
        assert_eq!(
            series.view(at(4)).newest().map(|point| point.at),
            Some(at(4))
        );
    }

    #[test]
    fn a_run_that_began_before_the_tail_says_so() {
        let mut series = Series::default();
        for minute in 0..5 {
            series.upsert(at(minute), &Statistics::of(f64::from(u8::from(minute > 2))));
        }
        assert_eq!(
            series.view(at(9)).run(|point| point.max > 0.5),
            Ok(Some(at(3)))
        );
        for minute in 5..60 {
            series.upsert(at(minute), &Statistics::of(1.0));
        }
        assert_eq!(
            series.view(at(99)).run(|point| point.max > 0.5),
            Err(at(28))
        );
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median(&mut [4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-12);
    }
}
