//! Spend of one usage by UTC day, in fixed size.
//!
//! Cost data is delivered again and again, corrected. A row told by itself is upserted by its hash
//! while its day is fresh; later the day's sum is final and its rows are forgotten, and a row that
//! comes then is late. Rows of a delivery are summed up aside, and take the place of their billing
//! period's days when all of them were told: so half a bill is never seen, and none is seen twice.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::model::{BillingPeriod, CostLine, Delivered, Place, Timestamp, Usd};

use super::stats::Upsert;

/// Days kept: 28 of history and slack.
pub const DAYS: i64 = 35;
/// Newest days whose rows are still known one by one.
pub const FRESH_DAYS: i64 = 5;
/// Rows known of one day; further ones are counted as late, so that a repeat never adds.
pub const ROWS: usize = 512;
/// Billing periods whose deliveries are told apart; the oldest makes room.
pub const BILLS: usize = 3;

/// One day.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Day {
    #[serde(rename = "s")]
    sum: Usd,
    /// Amounts by row hash, while fresh.
    #[serde(default, rename = "r", skip_serializing_if = "BTreeMap::is_empty")]
    rows: BTreeMap<u64, Usd>,
    /// Whether a delivery gave the sum: then rows told by themselves are in it already.
    #[serde(default, rename = "b", skip_serializing_if = "std::ops::Not::not")]
    billed: bool,
}

/// The deliveries of one billing period.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Bill {
    /// The one whose sums count.
    #[serde(default, rename = "d", skip_serializing_if = "Option::is_none")]
    done: Option<u64>,
    /// The one that is being told.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    staged: Option<Staged>,
}

/// A delivery that is being told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Staged {
    #[serde(rename = "i")]
    delivery: u64,
    /// The last row taken: one told again adds nothing.
    #[serde(rename = "n")]
    number: u64,
    #[serde(default, rename = "d")]
    days: BTreeMap<i64, Usd>,
}

/// The first and the last day of a period.
fn days_of(period: &BillingPeriod) -> (i64, i64) {
    let first = period.start.day();
    (first, period.end.plus(-1).day().max(first))
}

/// Spend by day.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spend {
    #[serde(default, rename = "d")]
    days: BTreeMap<i64, Day>,
    /// By the first day of their period.
    #[serde(default, rename = "b", skip_serializing_if = "BTreeMap::is_empty")]
    bills: BTreeMap<i64, Bill>,
}

impl Spend {
    fn bill(&mut self, first: i64) -> Option<&mut Bill> {
        if !self.bills.contains_key(&first) && self.bills.len() >= BILLS {
            let oldest = self.bills.first_entry()?;
            if *oldest.key() > first {
                return None;
            }
            oldest.remove();
        }
        Some(self.bills.entry(first).or_default())
    }

    /// Takes a row of a delivery aside. With what it returns goes whether the row is the first of
    /// its delivery here.
    pub fn stage(&mut self, line: &CostLine, place: &Place) -> (Upsert, bool) {
        let (first, last) = days_of(&place.period);
        let Some(bill) = self.bill(first) else {
            return (Upsert::Late, false);
        };
        if bill.done == Some(place.delivery) {
            return (Upsert::Unchanged, false);
        }
        let fresh = bill
            .staged
            .as_ref()
            .is_none_or(|staged| staged.delivery != place.delivery);
        if fresh {
            bill.staged = None;
        }
        let staged = bill.staged.get_or_insert_with(|| Staged {
            delivery: place.delivery,
            ..Staged::default()
        });
        if place.number <= staged.number {
            return (Upsert::Unchanged, fresh);
        }
        staged.number = place.number;
        // A refund may be for a day of an earlier period, and is still of this bill.
        let day = line.start.day().clamp(first, last);
        if staged.days.len() >= DAYS as usize && !staged.days.contains_key(&day) {
            return (Upsert::Late, fresh);
        }
        *staged.days.entry(day).or_default() += line.effective;
        (Upsert::Changed, fresh)
    }

    /// Lets the delivery's sums take the place of its period's days. Returns whether they differ.
    pub fn deliver(&mut self, delivered: &Delivered) -> bool {
        let (first, last) = days_of(&delivered.period);
        let Some(bill) = self.bill(first) else {
            return false;
        };
        if bill.done.replace(delivered.delivery) == Some(delivered.delivery) {
            return false;
        }
        let staged = bill
            .staged
            .take_if(|staged| staged.delivery == delivered.delivery);
        let before = self.days.clone();
        self.days.retain(|day, _| *day < first || *day > last);
        for (day, sum) in staged.unwrap_or_default().days {
            let whole = Day {
                sum,
                billed: true,
                ..Day::default()
            };
            self.days.insert(day, whole);
        }
        if let Some(newest) = self.newest() {
            self.settle(newest);
        }
        self.days != before
    }

    /// Takes a line by its effective cost and the day its charge period begins.
    pub fn upsert(&mut self, line: &CostLine) -> Upsert {
        let day = line.start.day();
        let newest = self
            .days
            .last_key_value()
            .map_or(day, |(newest, _)| *newest);
        if day <= newest - FRESH_DAYS {
            return Upsert::Late;
        }
        let entry = self.days.entry(day).or_default();
        if entry.billed {
            return Upsert::Late;
        }
        match entry.rows.get(&line.row) {
            Some(known) if *known == line.effective => return Upsert::Unchanged,
            Some(known) => entry.sum = entry.sum - *known,
            None if entry.rows.len() >= ROWS => return Upsert::Late,
            None => {}
        }
        entry.rows.insert(line.row, line.effective);
        entry.sum += line.effective;
        self.settle(newest.max(day));
        Upsert::Changed
    }

    fn settle(&mut self, newest: i64) {
        while self
            .days
            .first_key_value()
            .is_some_and(|(day, _)| *day <= newest - DAYS)
        {
            self.days.pop_first();
        }
        for (_, day) in self.days.range_mut(..=(newest - FRESH_DAYS)) {
            day.rows.clear();
        }
    }

    /// The newest day with spend.
    pub fn newest(&self) -> Option<i64> {
        self.days.last_key_value().map(|(day, _)| *day)
    }
    /// The spend of a day; `None` when nothing was billed, which is not zero.
    pub fn day(&self, day: i64) -> Option<Usd> {
        self.days.get(&day).map(|day| day.sum)
    }
    /// The spend of the days from `first` to `last`, inclusive.
    pub fn sum(&self, first: i64, last: i64) -> Usd {
        if first > last {
            return Usd::ZERO;
        }
        self.days.range(first..=last).map(|(_, day)| day.sum).sum()
    }
    /// Days from `first` to `last`, inclusive, days without lines left out.
    pub fn range(&self, first: i64, last: i64) -> Vec<(i64, f64)> {
        if first > last {
            return Vec::new();
        }
        self.days
            .range(first..=last)
            .map(|(day, spend)| (*day, spend.sum.as_f64()))
            .collect()
    }
}

/// The end of a UTC day.
pub fn end_of(day: i64) -> Timestamp {
    Timestamp::from_ms((day + 1).saturating_mul(Timestamp::DAY))
}

/// An amount for arithmetic, rounded to cents.
pub fn usd(amount: f64) -> Usd {
    Usd::new(Decimal::try_from(amount).unwrap_or_default()).cents()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChargeKind;

    fn line(day: i64, row: u64, mills: i64) -> CostLine {
        CostLine {
            account: "1".into(),
            region: "r".into(),
            service: "s".into(),
            usage_type: "u".into(),
            resource: None,
            tags: Vec::new(),
            commitment: None,
            start: Timestamp::from_ms(day * Timestamp::DAY),
            end: end_of(day),
            billed: Usd::from_mills(mills),
            effective: Usd::from_mills(mills),
            currency: "USD".into(),
            kind: ChargeKind::Usage,
            row,
            place: None,
        }
    }

    #[test]
    fn a_row_told_twice_adds_once_and_a_corrected_one_replaces() {
        let mut spend = Spend::default();
        spend.upsert(&line(1, 7, 1_000));
        assert_eq!(spend.upsert(&line(1, 7, 1_000)), Upsert::Unchanged);
        spend.upsert(&line(1, 7, 3_000));
        spend.upsert(&line(1, 8, 500));
        assert_eq!(spend.day(1), Some(Usd::from_mills(3_500)));
    }

    #[test]
    fn a_settled_day_keeps_its_sum_and_takes_nothing_more() {
        let mut spend = Spend::default();
        spend.upsert(&line(1, 1, 1_000));
        spend.upsert(&line(20, 1, 1_000));
        assert_eq!(spend.upsert(&line(1, 1, 1_000)), Upsert::Late);
        assert_eq!(spend.day(1), Some(Usd::from_mills(1_000)));
    }

    #[test]
    fn a_day_with_too_many_rows_stays_bounded_and_repeats_never_add() {
        let mut spend = Spend::default();
        for row in 0..2_000 {
            spend.upsert(&line(1, row, 1));
        }
        let before = spend.clone();
        for row in 0..2_000 {
            spend.upsert(&line(1, row, 1));
        }
        assert_eq!(spend, before);
        assert_eq!(spend.day(1), Some(Usd::from_mills(ROWS as i64)));
    }

    /// January 1970, in days since the epoch.
    fn month() -> BillingPeriod {
        BillingPeriod {
            start: Timestamp::from_ms(0),
            end: end_of(30),
        }
    }

    fn tell(spend: &mut Spend, delivery: u64, rows: &[(u64, i64, i64)]) {
        for (number, day, mills) in rows {
            let place = Place {
                period: month(),
                delivery,
                number: *number,
            };
            spend.stage(&line(*day, 7, *mills), &place);
        }
    }

    fn end(spend: &mut Spend, delivery: u64) -> bool {
        spend.deliver(&Delivered {
            period: month(),
            delivery,
        })
    }

    #[test]
    fn rows_of_a_delivery_count_once_and_when_it_ends() {
        let mut spend = Spend::default();
        let rows = [(1, 1, 1_000), (2, 1, 1_000), (3, 2, 500)];
        tell(&mut spend, 9, &rows[..2]);
        // Begun anew by who sends it, from the first row on.
        tell(&mut spend, 9, &rows);
        assert_eq!(spend.newest(), None);
        assert!(end(&mut spend, 9));
        assert_eq!(spend.day(1), Some(Usd::from_mills(2_000)));
        assert_eq!(spend.day(2), Some(Usd::from_mills(500)));
        let before = spend.clone();
        tell(&mut spend, 9, &rows);
        assert!(!end(&mut spend, 9));
        assert_eq!(spend, before);
        // A row by itself is in the bill already.
        assert_eq!(spend.upsert(&line(1, 8, 1_000)), Upsert::Late);
    }

    #[test]
    fn a_delivery_without_a_row_of_the_usage_takes_its_month_and_no_other() {
        let mut spend = Spend::default();
        spend.upsert(&line(31, 1, 1_000));
        tell(&mut spend, 1, &[(4, 2, 700), (5, -3, 300)]);
        end(&mut spend, 1);
        // A charge for an earlier month is of the bill's first day.
        assert_eq!(spend.day(0), Some(Usd::from_mills(300)));
        tell(&mut spend, 2, &[(6, 3, 1)]);
        assert!(end(&mut spend, 3));
        assert_eq!(
            (spend.day(0), spend.day(2), spend.day(3)),
            (None, None, None)
        );
        assert_eq!(spend.day(31), Some(Usd::from_mills(1_000)));
    }
}
