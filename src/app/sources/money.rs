//! What asking costs: one ceiling a month over every paid API, shared evenly by the accounts, so
//! that whichever process pulls an account knows its part without asking the others. Pure; a row of
//! the `memory` topic keeps what was spent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::known::PREFIX;
use crate::model::Timestamp;

/// GetMetricData: $0.01 for 1,000 metrics requested (aws.amazon.com/cloudwatch/pricing). That page
/// counts up to five statistics of a series as one; each counts here, since bills were seen that do
/// so too (github.com/prometheus/cloudwatch_exporter, pull request 482).
pub(super) const METRIC_MICRO_USD: u64 = 10;
/// A metric stream's update: $0.003 for 1,000 (aws.amazon.com/cloudwatch/pricing), Firehose not
/// counted.
pub(super) const UPDATE_MICRO_USD: u64 = 3;
/// A page of Cost Explorer: $0.01 (aws.amazon.com/aws-cost-management/aws-cost-explorer/pricing).
pub(super) const PAGE_MICRO_USD: u64 = 10_000;
/// A list call of S3: $0.005 for 1,000 (aws.amazon.com/s3/pricing).
pub(super) const LIST_MICRO_USD: u64 = 5;
/// Milliseconds of the longest month, so that no month's money runs out before its end.
const MONTH_MS: i64 = 31 * 24 * 3_600_000;

/// One account's money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Purse {
    /// The month this is about, counted from year 0.
    month: i64,
    spent_micro_usd: u64,
    #[serde(skip)]
    share_micro_usd: u64,
}

/// The civil month of a time in UTC, counted from year 0, and where it ends.
pub(super) fn month(now: Timestamp) -> (i64, i64) {
    let date = jiff::Timestamp::from_millisecond(now.ms())
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC);
    let number = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let end = date
        .last_of_month()
        .and_then(|last| last.end_of_day())
        .map_or(now.ms() + MONTH_MS, |end| {
            end.timestamp().as_millisecond() + 1
        });
    (number, end)
}

/// What something takes that is asked for each `interval_ms` until the month ends.
pub(super) fn until_month_s_end(now: Timestamp, interval_ms: u64, micro_usd_each: u64) -> u64 {
    let (_, end) = month(now);
    let left = (end - now.ms()).max(0) as u64;
    left.div_ceil(interval_ms.max(1)) * micro_usd_each
}

impl Purse {
    /// What the log remembers of an account.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, account: &str) -> Self {
        let row = rows.get(&row_key(account));
        row.and_then(|payload| rmp_serde::from_slice(payload).ok())
            .unwrap_or_default()
    }

    /// What the account may spend a month.
    pub(super) fn share(&mut self, micro_usd: u64) {
        self.share_micro_usd = micro_usd;
    }

    fn turn(&mut self, now: Timestamp) {
        let (month, _) = month(now);
        if month != self.month {
            (self.month, self.spent_micro_usd) = (month, 0);
        }
    }

    /// How many of `wanted` things can be asked for each `interval_ms` until the month ends.
    pub(super) fn affordable(
        &mut self,
        now: Timestamp,
        wanted: u64,
        interval_ms: u64,
        micro_usd_each: u64,
    ) -> u64 {
        self.turn(now);
        let left = self.share_micro_usd.saturating_sub(self.spent_micro_usd);
        let (_, end) = month(now);
        let rounds = ((end - now.ms()).max(0) as u64)
            .div_ceil(interval_ms.max(1))
            .max(1);
        (left / rounds / micro_usd_each.max(1)).min(wanted)
    }

    /// Takes note of money spent.
    pub(super) fn spend(&mut self, now: Timestamp, micro_usd: u64) {
        self.turn(now);
        self.spent_micro_usd += micro_usd;
    }

    /// Takes note of money spent when that much is left; whether it was.
    pub(super) fn spend_if_left(&mut self, now: Timestamp, micro_usd: u64) -> bool {
        self.turn(now);
        let left = self.share_micro_usd.saturating_sub(self.spent_micro_usd);
        if left >= micro_usd {
            self.spent_micro_usd += micro_usd;
        }
        left >= micro_usd
    }

    /// The same, when `reserve` is left besides: for what is of less use than what that is for.
    pub(super) fn spend_beyond(&mut self, now: Timestamp, micro_usd: u64, reserve: u64) -> bool {
        self.turn(now);
        let left = self.share_micro_usd.saturating_sub(self.spent_micro_usd);
        left >= micro_usd.saturating_add(reserve) && self.spend_if_left(now, micro_usd)
    }

    /// The row that keeps it.
    pub(super) fn row(&self, account: &str) -> (String, Vec<u8>) {
        let payload = rmp_serde::to_vec(self).unwrap_or_default();
        (row_key(account), payload)
    }
}

fn row_key(account: &str) -> String {
    format!("{PREFIX}{account}/-/spent")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn what_is_asked_for_fits_the_month_s_money_to_its_last_round() {
        let mut purse = Purse::default();
        purse.share(1_000_000);
        let (hour, each) = (3_600_000, 40);
        let mut now = at("2026-11-20T00:00:00Z");
        let first = purse.affordable(now, 1_000, hour, each);
        assert_eq!(first, 1_000_000 / (11 * 24) / each);
        for _ in 0..11 * 24 {
            let count = purse.affordable(now, 1_000, hour, each);
            assert!(count >= first, "{count} at {now:?}");
            purse.spend(now, count * each);
            now = now.plus(hour as i64);
        }
        assert_eq!(now, at("2026-12-01T00:00:00Z"));
        assert!(purse.spent_micro_usd <= 1_000_000);
        assert!(purse.spent_micro_usd > 900_000, "{}", purse.spent_micro_usd);
        assert_eq!(purse.affordable(now, 5, hour, each), 5, "a new month");
    }

    #[test]
    fn what_is_of_less_use_leaves_the_rest_of_the_month_to_what_is_of_more() {
        let mut purse = Purse::default();
        purse.share(1_000_000);
        let mut now = at("2026-11-01T00:00:00Z");
        let (eight_hours, page) = (8 * 3_600_000, PAGE_MICRO_USD);
        let (mut costs, mut others) = (0, 0);
        while now < at("2026-12-01T00:00:00Z") {
            for _ in 0..7 {
                let reserve = until_month_s_end(now, eight_hours, page);
                others += u32::from(purse.spend_beyond(now, page, reserve));
            }
            costs += u32::from(purse.spend_if_left(now, page));
            now = now.plus(eight_hours as i64);
        }
        assert_eq!((costs, others), (90, 10));
    }

    #[test]
    fn what_was_spent_outlives_a_restart() {
        let mut purse = Purse::default();
        purse.share(100);
        let now = at("2026-11-30T23:30:00Z");
        purse.spend(now, 70);
        let rows = BTreeMap::from([purse.row("111122223333")]);
        let mut after = Purse::from_rows(&rows, "111122223333");
        after.share(100);
        assert_eq!(after.affordable(now, 10, 3_600_000, 10), 3);
        assert!(after.spend_if_left(now, 30) && !after.spend_if_left(now, 1));
        assert_eq!(Purse::from_rows(&rows, "444455556666"), Purse::default());
    }
}
