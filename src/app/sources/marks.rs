//! How far the points of each series were taken. Pure; rows of the `memory` topic keep it.
//!
//! Series are asked for in groups, a call a group, and a row a group keeps how far each was taken.
//! The last periods are asked for again, since they still change; what did not change is not told
//! again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hash::hash;
use crate::adapters::aws::{Form, Point, Series};

/// Periods before the last one taken that are asked for again.
const OVERLAP: i64 = 3;

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    key: u64,
    /// Everything before this was taken, in milliseconds.
    upto: i64,
    /// The overlap's points as they were told: when, and a hash of what.
    tail: Vec<(i64, u64)>,
    /// Absent until the series is discovered again after a restart.
    #[serde(skip)]
    series: Option<Series>,
}

/// Series of one call, all asked for in one form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    marks: Vec<Mark>,
    form: Form,
}

fn key(series: &Series) -> u64 {
    let mut text = format!("{}\u{0}{}", series.namespace, series.name);
    for (name, value) in &series.dimensions {
        text.push('\u{0}');
        text.push_str(name);
        text.push('\u{0}');
        text.push_str(value);
    }
    hash(text.as_bytes())
}

fn content(point: &Point) -> u64 {
    let words = [point.count, point.sum, point.min, point.max].map(f64::to_be_bytes);
    let mut bytes = words.concat();
    for percentile in &point.percentiles {
        // What is not there is not zero; no percentile is this.
        bytes.extend(percentile.unwrap_or(f64::NEG_INFINITY).to_be_bytes());
    }
    hash(&bytes)
}

/// Puts what was discovered into the groups: known series keep their marks, also where they are asked
/// for in another form now, new ones begin at `since_ms`, those that are no longer there are
/// forgotten.
pub(super) fn settle(groups: &mut Vec<Group>, found: Vec<(Series, Form)>, since_ms: i64) {
    let mut found: BTreeMap<u64, (Series, Form)> = found
        .into_iter()
        .map(|(series, form)| (key(&series), (series, form)))
        .collect();
    let mut taken_upto = BTreeMap::new();
    for group in groups.iter_mut() {
        for mark in &mut group.marks {
            mark.series = match found.get(&mark.key) {
                Some((_, form)) if *form == group.form => {
                    found.remove(&mark.key).map(|(series, _)| series)
                }
                _ => None,
            };
            if mark.series.is_none() {
                taken_upto.insert(mark.key, mark.upto);
            }
        }
        group.marks.retain(|mark| mark.series.is_some());
    }
    for (key, (series, form)) in found {
        let mark = Mark {
            key,
            upto: taken_upto.get(&key).copied().unwrap_or(since_ms),
            tail: Vec::new(),
            series: Some(series),
        };
        let room = |group: &&mut Group| group.form == form && group.marks.len() < form.series_max();
        match groups.iter_mut().find(room) {
            Some(group) => group.marks.push(mark),
            None => groups.push(Group {
                marks: vec![mark],
                form,
            }),
        }
    }
}

impl Group {
    /// How its series are asked for.
    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    /// How many series it holds.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Its series at the positions that `wanted` says yes to.
    pub(super) fn series(&self, wanted: impl Fn(usize) -> bool) -> Vec<(usize, Series)> {
        let all = self.marks.iter().enumerate();
        all.filter(|(at, _)| wanted(*at))
            .filter_map(|(at, mark)| Some((at, mark.series.clone()?)))
            .collect()
    }

    /// Where to ask from so that nothing is missed, not before `oldest_ms`.
    pub(super) fn from(&self, positions: &[(usize, Series)], oldest_ms: i64) -> i64 {
        let period_ms = self.form.period_ms();
        let marks = positions.iter().filter_map(|(at, _)| self.marks.get(*at));
        let earliest = marks.map(|mark| mark.upto).min().unwrap_or(oldest_ms);
        let from = (earliest - OVERLAP * period_ms).max(oldest_ms);
        from - from.rem_euclid(period_ms)
    }

    /// Takes the points of a series up to but not at `to_ms`; those to be told, oldest first.
    pub(super) fn take(&mut self, at: usize, points: &[Point], to_ms: i64) -> Vec<Point> {
        let period_ms = self.form.period_ms();
        let Some(mark) = self.marks.get_mut(at) else {
            return Vec::new();
        };
        let begins = mark.upto - OVERLAP * period_ms;
        let fresh = |point: &Point| {
            point.at_ms >= begins && !mark.tail.contains(&(point.at_ms, content(point)))
        };
        let told: Vec<Point> = points
            .iter()
            .filter(|point| fresh(point))
            .cloned()
            .collect();
        let keep = to_ms - OVERLAP * period_ms;
        let late = points.iter().filter(|point| point.at_ms >= keep);
        mark.tail = late.map(|point| (point.at_ms, content(point))).collect();
        mark.upto = mark.upto.max(to_ms);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: i64 = 300_000;

    fn series(id: usize) -> Series {
        Series {
            namespace: "AWS/EC2".to_owned(),
            name: "CPUUtilization".to_owned(),
            dimensions: vec![("InstanceId".to_owned(), format!("i-{id}"))],
        }
    }

    fn plain(ids: impl IntoIterator<Item = usize>) -> Vec<(Series, Form)> {
        let each = ids.into_iter().map(series);
        each.map(|series| (series, Form::default())).collect()
    }

    fn point(period: i64, sum: f64) -> Point {
        Point {
            at_ms: period * PERIOD,
            count: 1.0,
            sum,
            min: sum,
            max: sum,
            percentiles: Vec::new(),
        }
    }

    fn restarted(groups: &[Group]) -> Vec<Group> {
        let bytes = rmp_serde::to_vec(groups).expect("it has a form");
        rmp_serde::from_slice(&bytes).expect("and back")
    }

    #[test]
    fn a_point_is_told_once_and_again_only_when_it_changed() {
        let mut groups = Vec::new();
        settle(&mut groups, plain([1]), 0);
        let told = |groups: &mut Vec<Group>, to: i64, points: Vec<Point>| {
            let told = groups[0].take(0, &points, to * PERIOD);
            told.iter()
                .map(|point| (point.at_ms / PERIOD, point.sum as i64))
                .collect::<Vec<_>>()
        };
        let first = vec![point(8, 1.0), point(9, 1.0)];
        assert_eq!(told(&mut groups, 10, first), [(8, 1), (9, 1)]);
        let mut groups = restarted(&groups);
        settle(&mut groups, plain([1]), 0);
        assert_eq!(groups[0].from(&[(0, series(1))], 0), 7 * PERIOD);
        let second = vec![point(8, 1.0), point(9, 2.0), point(10, 5.0)];
        assert_eq!(told(&mut groups, 11, second), [(9, 2), (10, 5)]);
        // An outage: everything since is still asked for.
        assert_eq!(groups[0].from(&[(0, series(1))], 0), 8 * PERIOD);
        // No data moves the mark all the same, and tells nothing.
        assert_eq!(told(&mut groups, 20, vec![]), []);
        assert_eq!(groups[0].from(&[(0, series(1))], 0), 17 * PERIOD);
    }

    #[test]
    fn new_series_are_filled_in_from_the_past_without_telling_the_others_again() {
        let mut groups = Vec::new();
        settle(&mut groups, plain([1]), 0);
        groups[0].take(0, &[point(8, 1.0)], 10 * PERIOD);
        settle(&mut groups, plain([1, 2]), 2 * PERIOD);
        let all = groups[0].series(|_| true);
        assert_eq!(all.len(), 2);
        let from = groups[0].from(&all, 2 * PERIOD);
        assert_eq!(from, 2 * PERIOD);
        let past = vec![point(3, 1.0), point(8, 1.0)];
        assert_eq!(groups[0].take(0, &past, 11 * PERIOD), []);
        assert_eq!(groups[0].take(1, &past, 11 * PERIOD), past);
        settle(&mut groups, plain([2]), 0);
        assert_eq!(groups[0].len(), 1);
        let most = Form::default().series_max();
        settle(&mut groups, plain(0..=most), 0);
        assert_eq!(groups.iter().map(Group::len).sum::<usize>(), most + 1);
        assert!(groups.iter().all(|group| group.len() <= most));
    }

    #[test]
    fn a_series_asked_for_in_another_form_goes_on_where_it_was_in_a_call_of_its_own() {
        let mut groups = Vec::new();
        settle(&mut groups, plain([1, 2]), 0);
        groups[0].take(0, &[], 10 * PERIOD);
        groups[0].take(1, &[], 10 * PERIOD);
        let finer = Form {
            period_seconds: 60,
            percentiles: vec!["p99".to_owned()],
        };
        settle(
            &mut groups,
            vec![(series(1), Form::default()), (series(2), finer.clone())],
            0,
        );
        assert_eq!(groups.iter().map(Group::len).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(
            (groups[0].form(), groups[1].form()),
            (&Form::default(), &finer)
        );
        assert_eq!(
            groups[1].from(&[(0, series(2))], 0),
            10 * PERIOD - 3 * 60_000
        );
        let with = |share: f64| Point {
            at_ms: 10 * PERIOD,
            percentiles: vec![Some(share)],
            ..point(10, 1.0)
        };
        let to = 10 * PERIOD + 60_000;
        assert_eq!(groups[1].take(0, &[with(2.0)], to).len(), 1);
        assert_eq!(groups[1].take(0, &[with(2.0)], to).len(), 0);
        assert_eq!(
            groups[1].take(0, &[with(3.0)], to).len(),
            1,
            "the percentile was restated"
        );
    }
}
