//! Cost Explorer's days or hours of one account: the last ones are asked for again, since they still
//! change, and what did not change is not told again.
//!
//! A usage's day is told as one row or as its hours, and whoever sums rows up adds both. So the row of
//! the other kind that was told before is told again as nothing when the kind changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::hash::hash_of;
use super::known::PREFIX;
use super::money::{PAGE_MICRO_USD, Purse};
use super::units::tell;
use super::{Fault, Shared, Target};
use crate::adapters::aws::{CallError, CostRow, Grain};
use crate::config::Costs as Settings;
use crate::model::{Timestamp, Topic};
use crate::ports::Clock as _;
use crate::sources::cost_record;
use crate::telemetry::Signal;

/// Most pages of one answer: at a cent each, and some hundred rows a page.
const PAGES_MAX: usize = 100;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;
/// Whole days for which there are hours: Cost Explorer keeps 14 days of them.
const HOURS_DAYS: i64 = 13;

/// What was told of an account's costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Costs {
    /// By a hash of day or hour, service and usage type: the day in days since the epoch, and a hash of the amounts.
    told: BTreeMap<u64, (i64, u64)>,
    /// Whether the days that are filled in at first were taken.
    filled: bool,
}

fn row_key(account: &str) -> String {
    format!("{PREFIX}{account}/-/costs")
}

pub(super) fn date(at: Timestamp) -> String {
    let day = jiff::Timestamp::from_millisecond(at.ms()).unwrap_or_default();
    day.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// The day after a day.
fn following(day: &str) -> String {
    date(first_moment(day).plus(DAY_MS))
}

/// When a day or an hour begins.
fn first_moment(start: &str) -> Timestamp {
    let whole =
        Timestamp::parse(start).or_else(|_| Timestamp::parse(&format!("{start}T00:00:00Z")));
    whole.unwrap_or_default()
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
        let key = hash_of(&[&row.start, &row.service, &row.usage_type]);
        let print = hash_of(&[&row.unblended, &row.amortized, &row.currency]);
        self.told.insert(key, (day, print)) != Some((day, print))
    }

    /// The rows of the other kind that this one takes the place of, as nothing.
    fn replaced(&mut self, row: &CostRow) -> Vec<CostRow> {
        let others = match row.start.split_once('T') {
            Some((day, _)) => vec![(day.to_owned(), following(day))],
            None => (0..24)
                .map(|hour| {
                    let day = &row.start;
                    let end = match hour {
                        23 => format!("{}T00:00:00Z", row.end),
                        _ => format!("{day}T{:02}:00:00Z", hour + 1),
                    };
                    (format!("{day}T{hour:02}:00:00Z"), end)
                })
                .collect(),
        };
        let mut replaced = Vec::new();
        for (start, end) in others {
            let key = hash_of(&[&start, &row.service, &row.usage_type]);
            if self.told.remove(&key).is_some() {
                replaced.push(CostRow {
                    start,
                    end,
                    unblended: "0".to_owned(),
                    amortized: "0".to_owned(),
                    ..row.clone()
                });
            }
        }
        replaced
    }

    /// What is asked for: days that are over for hours as days, the others as wished.
    fn spans(&self, now: Timestamp, settings: &Settings) -> Vec<(String, String, Grain)> {
        let days = if self.filled {
            settings.days
        } else {
            settings.back_fill_days
        };
        let from = now.plus(-i64::from(days) * DAY_MS);
        // The day that is going on counts: its costs so far are estimates, and told again.
        let end = date(now.plus(DAY_MS));
        if !settings.hourly {
            return vec![(date(from), end, Grain::Day)];
        }
        let hours = now.plus(-HOURS_DAYS * DAY_MS).max(from);
        let mut spans = vec![(date(hours), end, Grain::Hour)];
        if from < hours {
            spans.insert(0, (date(from), date(hours), Grain::Day));
        }
        spans
    }

    async fn round(
        &mut self,
        shared: &Shared,
        target: &Target,
        settings: &Settings,
        purse: &mut Purse,
    ) -> Result<(u64, Vec<String>), Fault> {
        let (now, account) = (shared.now(), target.account.as_str());
        let spans = self.spans(now, settings);
        let (mut records, mut nothing) = (Vec::new(), Vec::new());
        let first = spans.first().map(|(first, _, _)| first_moment(first));
        for (from, end, grain) in &spans {
            let mut next = None::<String>;
            for page in 0.. {
                if page >= PAGES_MAX {
                    return Err(Fault::Endless("ce:GetCostAndUsage"));
                }
                if !purse.spend_if_left(now, PAGE_MICRO_USD) {
                    return Err(Fault::Money);
                }
                shared.paid(&row(account), PAGE_MICRO_USD);
                let (access, span) = (&target.place.access, (from.as_str(), end.as_str()));
                let asked = shared
                    .aws
                    .costs(access, account, span, *grain, next.as_deref());
                let (rows, after) = match asked.await {
                    Err(CallError::Nothing(why)) => {
                        nothing.push(why);
                        break;
                    }
                    answer => answer?,
                };
                for row in rows {
                    self.take(&row, |row| {
                        let payload = cost_record(
                            account,
                            (&row.service, &row.usage_type),
                            (&row.start, &row.end),
                            (&row.unblended, &row.amortized, &row.currency),
                        );
                        let record = shared.outgoing(Topic::AwsBilling, account, account, payload);
                        records.push(record);
                    });
                }
                next = after;
                if next.is_none() {
                    break;
                }
            }
        }
        self.filled = true;
        let first = first.unwrap_or(now).day();
        self.told.retain(|_, (day, _)| *day >= first);
        let count = records.len() as u64;
        self.save(shared, target, purse, records).await?;
        Ok((count, nothing))
    }

    /// Gives the row, when it is new or changed, after those that it takes the place of.
    fn take(&mut self, row: &CostRow, mut give: impl FnMut(&CostRow)) {
        for other in self.replaced(row) {
            give(&other);
        }
        if self.fresh(row, first_moment(&row.start).day()) {
            give(row);
        }
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

/// Where an account's costs stand among the sources.
fn row(account: &str) -> super::status::Place {
    (account.to_owned(), "-".to_owned(), "costs")
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
    let before = costs.clone();
    let outcome = costs.round(shared, target, settings, &mut purse).await;
    let (published, nothing, errors, well) = match outcome {
        Ok((count, nothing)) => (count, nothing, Vec::new(), true),
        Err(fault) => {
            tell(shared, target, &fault);
            // Told, perhaps, and not known to be: the next round tells it again. What was known to be
            // told stays so, or hours would be added to days told before.
            *costs = before;
            let lasting = matches!(fault, Fault::Money | Fault::Call(CallError::Refused(_)));
            (0, Vec::new(), vec![fault.to_string()], lasting)
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
    let place = row(&target.account);
    let board = &shared.handle.board;
    board.note(place.clone(), shared.now(), (known, published), errors);
    board.nothing(&place, nothing);
    well
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FactBody, Message};
    use crate::rules::spend::Spend;
    use crate::sources::{Decoded, decode};

    fn row(start: &str, end: &str, amount: &str) -> CostRow {
        CostRow {
            start: start.to_owned(),
            end: end.to_owned(),
            service: "Amazon Elastic Compute Cloud - Compute".to_owned(),
            usage_type: "EU-BoxUsage:m5.large".to_owned(),
            unblended: amount.to_owned(),
            amortized: amount.to_owned(),
            currency: "USD".to_owned(),
        }
    }

    fn hour(hour: u32, amount: &str) -> CostRow {
        let end = match hour {
            23 => "2026-11-02T00:00:00Z".to_owned(),
            _ => format!("2026-11-01T{:02}:00:00Z", hour + 1),
        };
        row(&format!("2026-11-01T{hour:02}:00:00Z"), &end, amount)
    }

    #[test]
    fn a_day_is_told_again_only_when_its_amount_changed() {
        let day = |amount| row("2026-11-01", "2026-11-02", amount);
        let mut costs = Costs::default();
        assert!(costs.fresh(&day("1.5"), 1));
        assert!(!costs.fresh(&day("1.5"), 1));
        let bytes = rmp_serde::to_vec(&costs).expect("it has a form");
        let rows = BTreeMap::from([(row_key("1"), bytes)]);
        let mut after = Costs::from_rows(&rows, "1");
        assert!(!after.fresh(&day("1.5"), 1));
        assert!(after.fresh(&day("1.75"), 1));
    }

    /// What a rule's memory of the usage sums up to, in cents, when it is told these rows.
    fn spent(spend: &mut Spend, costs: &mut Costs, rows: &[CostRow]) -> String {
        for row in rows {
            costs.take(row, |row| {
                let record = cost_record(
                    "111122223333",
                    (&row.service, &row.usage_type),
                    (&row.start, &row.end),
                    (&row.unblended, &row.amortized, &row.currency),
                );
                let decoded = decode(Topic::AwsBilling, None, Some(&record));
                let Ok(Decoded::Message(Message::Facts(facts))) = decoded else {
                    panic!("no facts: {decoded:?}");
                };
                let FactBody::Cost(line) = &facts[0].body else {
                    panic!("no cost");
                };
                spend.upsert(line);
            });
        }
        let day = first_moment("2026-11-01").day();
        spend.day(day).unwrap_or_default().to_string()
    }

    #[test]
    fn hours_take_the_place_of_their_day_and_the_day_of_its_hours_and_nothing_counts_twice() {
        let (mut spend, mut costs) = (Spend::default(), Costs::default());
        let day = |amount| [row("2026-11-01", "2026-11-02", amount)];
        let hours: Vec<CostRow> = (0..24).map(|number| hour(number, "0.5")).collect();
        assert_eq!(spent(&mut spend, &mut costs, &day("10")), "$10.00");
        assert_eq!(spent(&mut spend, &mut costs, &hours), "$12.00");
        // A round that knows nothing of it tells the same again.
        assert_eq!(spent(&mut spend, &mut costs, &hours), "$12.00");
        assert_eq!(spent(&mut spend, &mut costs, &[hour(23, "1.5")]), "$13.00");
        assert_eq!(spent(&mut spend, &mut costs, &day("13.25")), "$13.25");
        assert_eq!(spent(&mut spend, &mut costs, &hours), "$12.00");
        assert_eq!(costs.told.len(), 24);
    }

    #[test]
    fn hours_are_asked_for_as_far_back_as_there_are_any_and_days_before_that() {
        let now = Timestamp::parse("2026-11-23T06:00:00Z").expect("a time");
        let mut costs = Costs::default();
        let mut settings = Settings::default();
        let span = |from: &str, to: &str, grain| (from.to_owned(), to.to_owned(), grain);
        let days = [span("2026-10-19", "2026-11-24", Grain::Day)];
        assert_eq!(costs.spans(now, &settings), days);
        settings.hourly = true;
        let both = [
            span("2026-10-19", "2026-11-10", Grain::Day),
            span("2026-11-10", "2026-11-24", Grain::Hour),
        ];
        assert_eq!(costs.spans(now, &settings), both);
        costs.filled = true;
        let last = [span("2026-11-18", "2026-11-24", Grain::Hour)];
        assert_eq!(costs.spans(now, &settings), last);
    }
}
