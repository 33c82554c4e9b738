//! What is asked of an account besides its inventory, metrics and costs: forecast, anomalies, use and
//! coverage of commitments, rightsizing, budgets. Each is a source with an interval of its own; what was
//! told already is not told again, and what one is refused does not keep the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::costs::date;
use super::hash::hash;
use super::known::PREFIX;
use super::money::{PAGE_MICRO_USD, Purse, month, until_month_s_end};
use super::units::tell;
use super::{Fault, Shared, Target};
use crate::adapters::aws::{CallError, Report};
use crate::config::{Config, Costs};
use crate::model::{Timestamp, Topic};
use crate::ports::{Clock as _, Outgoing};
use crate::sources::{Fate, Hints, open};
use crate::telemetry::Signal;

/// Most pages of one answer.
const PAGES_MAX: usize = 100;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;
/// Longest time between two looks at what is due, so that what failed is asked for again within it.
const LOOK_MS: u64 = 3_600_000;
/// Days of anomalies asked for: AWS goes on correcting them while they last, and keeps 90 days.
const ANOMALY_DAYS: i64 = 60;

/// One source: what it is called, what it asks for, how often.
pub(super) struct Wanted {
    pub(super) source: &'static str,
    pub(super) reports: &'static [Report],
    pub(super) interval_ms: u64,
}

impl Wanted {
    /// What one round takes, in millionths of a US dollar: a page of each at the least.
    pub(super) fn round_micro_usd(&self) -> u64 {
        let paid = self.reports.iter().filter(|report| report.paid());
        paid.count() as u64 * PAGE_MICRO_USD
    }
}

/// The sources that the configuration switches on.
pub(super) fn wanted(config: &Config) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut add = |on: bool, source, reports, interval_ms| {
        if on {
            wanted.push(Wanted {
                source,
                reports,
                interval_ms,
            });
        }
    };
    if let Some(costs) = &config.sources.costs {
        let every = costs.reports_interval_ms;
        add(costs.forecast, "forecast", &[Report::Forecast], every);
        add(costs.anomalies, "anomalies", &[Report::Anomalies], every);
        let reservations = &[Report::ReservationUtilization, Report::ReservationCoverage];
        add(costs.reservations, "reservations", reservations, every);
        let plans = &[Report::PlanUtilization, Report::PlanCoverage];
        add(costs.savings_plans, "savings-plans", plans, every);
        let rightsizing = &[Report::Rightsizing];
        add(costs.rightsizing, "rightsizing", rightsizing, every);
    }
    if let Some(budgets) = &config.sources.budgets {
        add(true, "budgets", &[Report::Budgets], budgets.interval_ms);
    }
    wanted
}

/// The source that a report belongs to.
fn source_of(config: &Config, report: Report) -> &'static str {
    let of = |source: &Wanted| source.reports.contains(&report);
    wanted(config)
        .into_iter()
        .find(of)
        .map_or("reports", |source| source.source)
}

/// How often to look what is due; 0 where nothing ever is.
pub(super) fn interval_ms(config: &Config) -> u64 {
    let shortest = wanted(config).iter().map(|source| source.interval_ms).min();
    shortest.map_or(0, |shortest| shortest.min(LOOK_MS))
}

/// What was asked for and told of an account, by action.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reports {
    /// When each was last taken whole, in milliseconds since the epoch.
    asked: BTreeMap<String, i64>,
    /// What each last held, as hashes of the records told.
    told: BTreeMap<String, BTreeSet<u64>>,
    /// When each was refused; asked again after its interval, or after a restart.
    #[serde(skip)]
    refused: BTreeMap<&'static str, i64>,
    /// Sources that the board shows.
    #[serde(skip)]
    shown: BTreeSet<&'static str>,
}

/// What a round brought.
#[derive(Default)]
struct Brought {
    published: u64,
    nothing: Vec<String>,
    errors: Vec<String>,
}

/// What one answer held.
#[derive(Default)]
struct Held {
    /// Hashes of the records.
    prints: BTreeSet<u64>,
    /// Those to be told.
    records: Vec<Outgoing>,
    /// What could not be read of it.
    wrong: Vec<String>,
}

fn row_key(account: &str) -> String {
    format!("{PREFIX}{account}/-/reports")
}

/// What tells a record from others: of an event its id, which is made of what it says and not of when.
fn print(payload: &[u8]) -> u64 {
    let id = serde_json::from_slice::<Value>(payload).ok();
    let id = id.and_then(|event| event["id"].as_str().map(str::to_owned));
    hash(id.as_deref().map_or(payload, str::as_bytes))
}

/// From which day up to but not at which one is asked.
pub(super) fn span(
    report: Report,
    now: Timestamp,
    costs: Option<&Costs>,
    first: bool,
) -> (String, String) {
    let before = |days: i64| date(now.plus(-days * DAY_MS));
    match report {
        Report::Forecast => (date(now), date(Timestamp::from_ms(month(now).1))),
        Report::Anomalies => (before(ANOMALY_DAYS), date(now)),
        _ => {
            let costs = costs.cloned().unwrap_or_default();
            let days = if first {
                costs.back_fill_days
            } else {
                costs.days
            };
            // The day that is going on is no whole one.
            (before(i64::from(days.max(1))), date(now))
        }
    }
}

impl Reports {
    /// What the log remembers of an account. What cannot be read is told again.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, account: &str) -> Self {
        let row = rows.get(&row_key(account));
        row.and_then(|payload| rmp_serde::from_slice(payload).ok())
            .unwrap_or_default()
    }

    fn due(&self, report: Report, interval_ms: u64, now: Timestamp) -> bool {
        let action = report.action();
        let last = [self.asked.get(action), self.refused.get(action)];
        let last = last.into_iter().flatten().max();
        last.is_none_or(|last| now.ms() >= last.saturating_add_unsigned(interval_ms))
    }

    /// Takes the records of one page that were not told the last time.
    fn hold(&self, shared: &Shared, report: Report, body: &[u8], hints: &Hints, held: &mut Held) {
        let told = self.told.get(report.action());
        for part in open(body, hints) {
            match part.fate {
                Fate::Record { topic, account } => {
                    let print = print(&part.payload);
                    let new = told.is_none_or(|told| !told.contains(&print));
                    if held.prints.insert(print) && new {
                        let record = shared.outgoing(topic, &account, &account, part.payload);
                        held.records.push(record);
                    }
                }
                Fate::Ignored(_) => {}
                Fate::Refused(why) => held.wrong.push(format!("{}: {}", report.action(), why.0)),
            }
        }
    }

    /// Asks for one report to its last page, as far as the money goes.
    async fn ask(
        &self,
        shared: &Shared,
        target: &Target,
        report: Report,
        purse: &Mutex<Purse>,
    ) -> Result<Held, Fault> {
        let (now, action) = (shared.now(), report.action());
        let costs = shared.config.sources.costs.as_ref();
        let first = !self.asked.contains_key(action);
        let (from, to) = span(report, now, costs, first);
        // Costs come first when the money does not do for everything.
        let reserve = costs.map_or(0, |costs| {
            until_month_s_end(now, costs.interval_ms, PAGE_MICRO_USD)
        });
        let hints = Hints {
            account: Some(target.account.clone()),
            // A budget's figures are of now; the others name their days.
            at: (report == Report::Budgets).then_some(now),
            ..Hints::default()
        };
        let (mut held, mut next) = (Held::default(), None::<String>);
        let source = source_of(&shared.config, report);
        for _ in 0..PAGES_MAX {
            if report.paid()
                && !purse
                    .lock()
                    .await
                    .spend_beyond(now, PAGE_MICRO_USD, reserve)
            {
                return Err(Fault::Money);
            }
            if report.paid() {
                let place = (target.account.clone(), "-".to_owned(), source);
                shared.paid(&place, PAGE_MICRO_USD);
            }
            let (access, account) = (&target.place.access, target.account.as_str());
            let asked = shared
                .aws
                .report(access, account, report, (&from, &to), next.as_deref());
            let answer = asked.await?;
            self.hold(shared, report, &answer.body, &hints, &mut held);
            next = answer.next;
            if next.is_none() {
                return Ok(held);
            }
        }
        Err(Fault::Endless(action))
    }

    async fn take(
        &mut self,
        shared: &Shared,
        target: &Target,
        report: Report,
        purse: &Mutex<Purse>,
        brought: &mut Brought,
    ) -> Result<(), Fault> {
        let action = report.action();
        let outcome = self.ask(shared, target, report, purse).await;
        let held = match outcome {
            Err(Fault::Call(CallError::Nothing(why))) => {
                brought.nothing.push(why);
                Held::default()
            }
            Err(fault) => {
                if matches!(fault, Fault::Call(CallError::Refused(_))) {
                    self.refused.insert(action, shared.now().ms());
                }
                // What was asked before it failed is spent all the same.
                let spent = purse.lock().await.row(&target.account);
                let spent = shared.outgoing(Topic::Memory, &target.account, &spent.0, spent.1);
                shared.publish(vec![spent]).await?;
                return Err(fault);
            }
            Ok(held) => held,
        };
        let mut after = self.clone();
        after.asked.insert(action.to_owned(), shared.now().ms());
        after.told.insert(action.to_owned(), held.prints);
        after.refused.remove(action);
        let count = held.records.len() as u64;
        after.save(shared, target, purse, held.records).await?;
        *self = after;
        brought.published += count;
        brought.errors.extend(held.wrong);
        Ok(())
    }

    async fn save(
        &self,
        shared: &Shared,
        target: &Target,
        purse: &Mutex<Purse>,
        mut records: Vec<Outgoing>,
    ) -> Result<(), Fault> {
        let account = target.account.as_str();
        let row = rmp_serde::to_vec(self).map_err(|error| Fault::Shape(error.to_string()))?;
        records.push(shared.outgoing(Topic::Memory, account, &row_key(account), row));
        let (key, spent) = purse.lock().await.row(account);
        records.push(shared.outgoing(Topic::Memory, account, &key, spent));
        shared.publish(records).await
    }

    /// Asks for what is due of one source and shows how it does.
    async fn source(
        &mut self,
        shared: &Arc<Shared>,
        target: &Target,
        wanted: &Wanted,
        purse: &Mutex<Purse>,
    ) {
        let (began, now) = (shared.clock.monotonic_ms(), shared.now());
        let board = &shared.handle.board;
        let place = (target.account.clone(), "-".to_owned(), wanted.source);
        let due: Vec<Report> = wanted
            .reports
            .iter()
            .copied()
            .filter(|report| self.due(*report, wanted.interval_ms, now))
            .collect();
        let known = |own: &Self| {
            let told = wanted
                .reports
                .iter()
                .filter_map(|report| own.told.get(report.action()));
            told.map(BTreeSet::len).sum::<usize>() as u64
        };
        if due.is_empty() {
            // After a restart: taken before it, and not asked for again until it is due.
            let asked = wanted
                .reports
                .iter()
                .filter_map(|report| self.asked.get(report.action()));
            if let Some(oldest) = asked.min().filter(|_| self.shown.insert(wanted.source)) {
                board.note(
                    place,
                    Timestamp::from_ms(*oldest),
                    (known(self), 0),
                    Vec::new(),
                );
            }
            return;
        }
        self.shown.insert(wanted.source);
        let mut brought = Brought::default();
        for report in due {
            if let Err(fault) = self.take(shared, target, report, purse, &mut brought).await {
                tell(shared, target, &fault);
                brought.errors.push(fault.to_string());
            }
        }
        shared.handle.metrics.emit(&Signal::SourceSwept {
            source: wanted.source,
            account: &target.account,
            region: "-",
            records: brought.published,
            known: known(self),
            seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
            whole: brought.errors.is_empty(),
        });
        let counts = (known(self), brought.published);
        board.note(place.clone(), shared.now(), counts, brought.errors);
        board.nothing(&place, brought.nothing);
    }
}

/// Asks for everything that is due.
pub(super) async fn round(
    shared: &Arc<Shared>,
    target: &Target,
    reports: &mut Reports,
    purse: &Mutex<Purse>,
) {
    for wanted in wanted(&shared.config) {
        reports.source(shared, target, &wanted, purse).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn a_forecast_goes_to_the_end_of_the_month_and_reports_to_the_last_whole_day() {
        let costs = Costs::default();
        let of = |report, now: &str, first| span(report, at(now), Some(&costs), first);
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let now = "2026-11-30T23:59:59Z";
        assert_eq!(
            of(Report::Forecast, now, true),
            pair("2026-11-30", "2026-12-01")
        );
        let now = "2026-12-31T06:00:00Z";
        assert_eq!(
            of(Report::Forecast, now, true),
            pair("2026-12-31", "2027-01-01")
        );
        assert_eq!(
            of(Report::PlanCoverage, now, true),
            pair("2026-11-26", "2026-12-31")
        );
        assert_eq!(
            of(Report::PlanCoverage, now, false),
            pair("2026-12-26", "2026-12-31")
        );
    }

    #[test]
    fn what_was_asked_today_is_not_paid_for_again_after_a_restart() {
        let now = at("2026-11-23T06:00:00Z");
        let mut reports = Reports::default();
        assert!(reports.due(Report::Forecast, 1_000, now));
        let action = Report::Forecast.action().to_owned();
        reports.asked.insert(action, now.ms());
        let row = rmp_serde::to_vec(&reports).expect("it has a form");
        let rows = BTreeMap::from([(row_key("1"), row)]);
        let after = Reports::from_rows(&rows, "1");
        assert!(!after.due(Report::Forecast, 1_000, now.plus(999)));
        assert!(after.due(Report::Forecast, 1_000, now.plus(1_000)));
        assert!(after.due(Report::Anomalies, 1_000, now));
    }

    #[test]
    fn everything_is_switched_on_and_off_by_itself() {
        let mut config = Config::default();
        assert_eq!(interval_ms(&config), 0);
        config.sources.costs = Some(Costs::default());
        let names = |config: &Config| -> Vec<&str> {
            wanted(config).iter().map(|source| source.source).collect()
        };
        let all = [
            "forecast",
            "anomalies",
            "reservations",
            "savings-plans",
            "rightsizing",
        ];
        assert_eq!(names(&config), all);
        config.sources.costs = Some(Costs {
            forecast: false,
            savings_plans: false,
            ..Costs::default()
        });
        assert_eq!(names(&config), ["anomalies", "reservations", "rightsizing"]);
        config.sources.costs = None;
        config.sources.budgets = Some(crate::config::Budgets::default());
        assert_eq!(names(&config), ["budgets"]);
        assert_eq!(wanted(&config)[0].round_micro_usd(), 0);
    }
}
