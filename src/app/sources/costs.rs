//! Cost Explorer's days of one account: the last ones are asked for again, since they still change,
//! and what did not change is not told again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::known::PREFIX;
use super::money::{PAGE_MICRO_USD, Purse};
use super::units::tell;
use super::{Fault, Shared, Target};
use crate::adapters::aws::{CallError, CostRow};
use crate::config::Costs as Settings;
use crate::model::{Timestamp, Topic};
use crate::ports::Clock as _;
use crate::sources::cost_record;
use crate::telemetry::Signal;

/// Most pages of one answer: at a cent each, and some hundred rows a page.
const PAGES_MAX: usize = 100;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// What was told of an account's costs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Costs {
    /// By a hash of day, service and usage type: the day in days since the epoch, and a hash of the amounts.
    told: BTreeMap<u64, (i64, u64)>,
    /// Whether the days that are filled in at first were taken.
    filled: bool,
}

fn hash(parts: &[&str]) -> u64 {
    let digest = blake3::hash(parts.join("\u{0}").as_bytes());
    let head = digest.as_bytes().first_chunk().copied();
    u64::from_be_bytes(head.unwrap_or_default())
}

fn row_key(account: &str) -> String {
    format!("{PREFIX}{account}/-/costs")
}

pub(super) fn date(at: Timestamp) -> String {
    let day = jiff::Timestamp::from_millisecond(at.ms()).unwrap_or_default();
    day.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

impl Costs {
    /// What the log remembers of an account. What cannot be read is told again.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, account: &str) -> Self {
        let row = rows.get(&row_key(account));
        row.and_then(|payload| rmp_serde::from_slice(payload).ok())
            .unwrap_or_default()
    }

    /// Whether the row is new or changed; then it counts as told.
    fn fresh(&mut self, row: &CostRow, day: i64) -> bool {
        let key = hash(&[&row.start, &row.service, &row.usage_type]);
        let print = hash(&[&row.unblended, &row.amortized, &row.currency]);
        self.told.insert(key, (day, print)) != Some((day, print))
    }

    async fn round(
        &mut self,
        shared: &Shared,
        target: &Target,
        settings: &Settings,
        purse: &mut Purse,
    ) -> Result<u64, Fault> {
        let now = shared.now();
        let days = if self.filled {
            settings.days
        } else {
            settings.back_fill_days
        };
        let from = now.plus(-i64::from(days) * DAY_MS);
        // The day that is going on counts: its costs so far are estimates, and told again.
        let (first, end) = (date(from), date(now.plus(DAY_MS)));
        let (mut records, mut next) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            if !purse.spend_if_left(now, PAGE_MICRO_USD) {
                return Err(Fault::Money);
            }
            let span = (first.as_str(), end.as_str());
            let account = target.account.as_str();
            let asked = shared
                .aws
                .costs(&target.place.access, account, span, next.as_deref());
            let (rows, after) = asked.await?;
            for row in rows {
                let day = Timestamp::parse(&format!("{}T00:00:00Z", row.start));
                if self.fresh(&row, day.map_or(0, Timestamp::day)) {
                    let payload = cost_record(
                        account,
                        (&row.service, &row.usage_type),
                        (&row.start, &row.end),
                        (&row.unblended, &row.amortized, &row.currency),
                    );
                    records.push(shared.outgoing(Topic::AwsBilling, account, account, payload));
                }
            }
            next = after;
            if next.is_none() {
                break;
            }
        }
        if next.is_some() {
            return Err(Fault::Endless("ce:GetCostAndUsage"));
        }
        self.filled = true;
        self.told.retain(|_, (day, _)| *day >= from.day());
        let count = records.len() as u64;
        self.save(shared, target, purse, records).await?;
        Ok(count)
    }

    async fn save(
        &self,
        shared: &Shared,
        target: &Target,
        purse: &Purse,
        mut records: Vec<crate::ports::Outgoing>,
    ) -> Result<(), Fault> {
        let account = target.account.as_str();
        let row = rmp_serde::to_vec(self).map_err(|error| Fault::Shape(error.to_string()))?;
        records.push(shared.outgoing(Topic::Memory, account, &row_key(account), row));
        let (key, spent) = purse.row(account);
        records.push(shared.outgoing(Topic::Memory, account, &key, spent));
        shared.publish(records).await
    }
}

/// One round; whether nothing failed that may go better soon.
pub(super) async fn round(
    shared: &Arc<Shared>,
    target: &Target,
    costs: &mut Costs,
    purse: &Mutex<Purse>,
) -> bool {
    let Some(settings) = &shared.config.sources.costs else {
        return true;
    };
    let began = shared.clock.monotonic_ms();
    let mut purse = purse.lock().await;
    let outcome = costs.round(shared, target, settings, &mut purse).await;
    let (published, errors, well) = match outcome {
        Ok(count) => (count, Vec::new(), true),
        Err(fault) => {
            tell(shared, target, &fault);
            // Told, perhaps, and not known to be: the next round tells it again.
            *costs = Costs::default();
            let lasting = matches!(fault, Fault::Money | Fault::Call(CallError::Refused(_)));
            (0, vec![fault.to_string()], lasting)
        }
    };
    let known = costs.told.len() as u64;
    shared.handle.metrics.emit(&Signal::SourceSwept {
        source: "costs",
        account: &target.account,
        region: "-",
        records: published,
        known,
        seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
        whole: errors.is_empty(),
    });
    let place = (target.account.clone(), "-".to_owned(), "costs");
    let board = &shared.handle.board;
    board.note(place, shared.now(), (known, published), errors);
    well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_again_only_when_its_amount_changed() {
        let row = |amount: &str| CostRow {
            start: "2026-11-01".to_owned(),
            end: "2026-11-02".to_owned(),
            service: "Amazon Elastic Compute Cloud - Compute".to_owned(),
            usage_type: "EU-BoxUsage:m5.large".to_owned(),
            unblended: amount.to_owned(),
            amortized: amount.to_owned(),
            currency: "USD".to_owned(),
        };
        let mut costs = Costs::default();
        assert!(costs.fresh(&row("1.5"), 1));
        assert!(!costs.fresh(&row("1.5"), 1));
        let bytes = rmp_serde::to_vec(&costs).expect("it has a form");
        let rows = BTreeMap::from([(row_key("1"), bytes)]);
        let mut after = Costs::from_rows(&rows, "1");
        assert!(!after.fresh(&row("1.5"), 1));
        assert!(after.fresh(&row("1.75"), 1));
    }
}
