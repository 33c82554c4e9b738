//! What pulling would take a month, before it starts: what there is to ask for is counted with calls
//! that cost nothing, the rest is arithmetic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use super::accounts::{self, Target};
use super::metrics::discover;
use super::money::{LIST_MICRO_USD, METRIC_MICRO_USD, PAGE_MICRO_USD, UPDATE_MICRO_USD};
use super::sweep::PAGES_MAX;
use super::{SWEEPS_MAX, blocking};
use crate::adapters::aws::{Aws, CallError, Form, Series, Tally, Wanted};
use crate::config::{Config, Files, Sources};
use crate::model::ItemKind;

/// Milliseconds of the month that AWS's own estimates reckon with: 730 hours.
const MONTH_MS: u64 = 730 * 3_600_000;
/// Updates a month of a series that has a value a minute.
const UPDATES_A_MONTH: u64 = MONTH_MS / 60_000;
/// Roles are taken on once an hour.
const ROLE_MS: u64 = 3_600_000;

/// What one source of one account takes a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSource {
    /// `inventory`, `attributes`, `metrics`, `costs`, `forecast`, …, `roles`.
    pub source: &'static str,
    /// Calls.
    pub calls: u64,
    /// Millionths of a US dollar, at most.
    pub micro_usd: u64,
}

/// What one account takes a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlannedAccount {
    /// Its id.
    pub account: String,
    /// Its regions.
    pub regions: Vec<String>,
    /// Resources there are.
    pub resources: u64,
    /// By source.
    pub sources: Vec<PlannedSource>,
    /// Series that are wanted.
    pub series: u64,
    /// Of them, those that the account's share of `sources.monthly_usd_max` pays for.
    pub series_paid_for: u64,
    /// What asking for all of them would cost, in millionths of a US dollar, at most.
    pub polling_micro_usd: u64,
    /// What a metric stream of them would cost with an update a minute, without Firehose.
    pub stream_micro_usd: u64,
    /// What could not be counted.
    pub errors: Vec<String>,
}

/// What looking into one bucket takes a month. Reading what is new there comes on top, and is not
/// known before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedFiles {
    /// The bucket and prefix, as configured.
    pub from: String,
    /// What lies there.
    pub objects: u64,
    /// Calls a month that list it.
    pub calls: u64,
    /// What they cost, in millionths of a US dollar.
    pub micro_usd: u64,
    /// Why it could not be counted.
    pub error: Option<String>,
}

/// What everything takes a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// By account.
    pub accounts: Vec<PlannedAccount>,
    /// Buckets that are watched; outside the ceiling, which is the accounts'.
    pub files: Vec<PlannedFiles>,
    /// Accounts that do not answer, with the reason.
    pub unreachable: Vec<(String, String)>,
    /// The ceiling, in US dollars.
    pub monthly_usd_max: u32,
}

/// What there is to ask for in one account and region.
#[derive(Debug, Default)]
struct Count {
    resources: u64,
    /// Of them, those whose attributes take calls of their own.
    instances: u64,
    /// Calls of one sweep.
    sweep: u64,
    /// Calls of one look for series.
    look: u64,
    series: u64,
    /// Metrics requested, as CloudWatch counts them, when each series is asked for once.
    queries: u64,
    /// Calls that takes.
    groups: u64,
    errors: Vec<String>,
}

/// Counts what there is and reckons what asking for it takes. `told` hears how many resources there
/// are so far.
///
/// # Errors
/// When no runtime can be had.
pub fn plan(config: &Config, told: &mut dyn FnMut(u64)) -> anyhow::Result<Plan> {
    blocking(async {
        let aws = Arc::new(Aws::new(Arc::new(Tally::default())));
        let found = accounts::look(&aws, config).await;
        let limit = Arc::new(tokio::sync::Semaphore::new(SWEEPS_MAX));
        let mut tasks = JoinSet::new();
        for target in found.targets.into_values() {
            let (aws, config, limit) = (Arc::clone(&aws), config.clone(), Arc::clone(&limit));
            tasks.spawn(async move {
                let _permit = limit.acquire().await;
                let count = count(&aws, &config, &target).await;
                (target, count)
            });
        }
        let (mut counted, mut resources) = (BTreeMap::<String, Vec<_>>::new(), 0);
        while let Some(done) = tasks.join_next().await {
            // A task that fell over has said so on stderr.
            let Ok((target, count)) = done else { continue };
            resources += count.resources;
            told(resources);
            let account = counted.entry(target.account.clone()).or_default();
            account.push((target, count));
        }
        let mut files = Vec::new();
        for watched in &config.files {
            if let Some(listed) = super::files::listing(&aws, watched).await {
                files.push(looked(watched, listed));
            }
        }
        let share = share(config, counted.len());
        let accounts = counted.into_values();
        let unreachable = found.refused.into_iter();
        Plan {
            accounts: accounts
                .map(|counted| reckon(config, share, counted))
                .collect(),
            files,
            unreachable: unreachable
                .map(|(account, error)| (account, error.to_string()))
                .collect(),
            monthly_usd_max: config.sources.monthly_usd_max,
        }
    })
}

/// An account's part of the ceiling, in millionths of a US dollar.
fn share(config: &Config, accounts: usize) -> u64 {
    u64::from(config.sources.monthly_usd_max) * 1_000_000 / accounts.max(1) as u64
}

async fn count(aws: &Aws, config: &Config, target: &Target) -> Count {
    let mut count = Count::default();
    if config.sources.inventory_interval_ms > 0 {
        for kind in target.swept() {
            if let Err(error) = pages(aws, target, kind, &mut count).await {
                count.errors.push(error.to_string());
            }
        }
    }
    if let Some(settings) = config.sources.metrics.as_ref().filter(|_| !target.global()) {
        match discover(aws, &target.place, settings).await {
            Ok((series, calls)) => {
                count.look = calls;
                count.asked(&series);
            }
            Err(error) => count.errors.push(error.to_string()),
        }
    }
    count
}

impl Count {
    /// Reckons what asking for these once takes.
    fn asked(&mut self, found: &[(Series, Form)]) {
        let mut alike: HashMap<&Form, usize> = HashMap::new();
        for (_, form) in found {
            *alike.entry(form).or_default() += 1;
        }
        self.series = found.len() as u64;
        for (form, series) in alike {
            self.queries += (series * form.queries()) as u64;
            self.groups += series.div_ceil(form.series_max()) as u64;
        }
    }
}

fn looked(files: &Files, listed: Result<(u64, u64), CallError>) -> PlannedFiles {
    let error = listed.as_ref().err().map(ToString::to_string);
    let (objects, calls) = listed.unwrap_or_default();
    let calls = calls * rounds(files.interval_ms);
    PlannedFiles {
        from: files.from.clone(),
        objects,
        calls,
        micro_usd: calls * LIST_MICRO_USD,
        error,
    }
}

async fn pages(
    aws: &Aws,
    target: &Target,
    kind: ItemKind,
    count: &mut Count,
) -> Result<(), CallError> {
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let wanted = Wanted {
            ids: None,
            next: next.as_deref(),
        };
        let page = aws.page(&target.place, kind, wanted).await?;
        count.sweep += page.calls.len() as u64;
        count.resources += page.items.len() as u64;
        if kind == ItemKind::Instance {
            count.instances += page.items.len() as u64;
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

/// How often something is done a month.
fn rounds(interval_ms: u64) -> u64 {
    MONTH_MS.div_ceil(interval_ms.max(1))
}

/// Calls a month that tell what there is, by source.
fn inventoried(sources: &Sources, counted: &[(Target, Count)]) -> Vec<(&'static str, u64)> {
    let mut planned = Vec::new();
    let mut roles = counted.iter().map(|(target, _)| &target.place.access.role);
    if roles.any(Option::is_some) {
        planned.push(("roles", rounds(ROLE_MS)));
    }
    let interval = sources.inventory_interval_ms;
    if interval > 0 {
        let sweeps: u64 = counted.iter().map(|(_, count)| count.sweep).sum();
        planned.push(("inventory", sweeps * rounds(interval)));
    }
    // Of instances that no sweep finds nothing is asked.
    let apart = sources.attributes_interval_ms;
    if interval > 0 && apart > 0 {
        let each = counted.iter().map(|(_, count)| count.instances);
        let calls: u64 = each.map(super::attributes::calls).sum();
        planned.push(("attributes", calls * rounds(apart)));
    }
    planned
}

/// The month of one account, from what its regions hold.
fn reckon(config: &Config, share: u64, counted: Vec<(Target, Count)>) -> PlannedAccount {
    let mut planned = PlannedAccount::default();
    let sources = &config.sources;
    let mut add = |source, calls, micro_usd| {
        planned.sources.push(PlannedSource {
            source,
            calls,
            micro_usd,
        });
    };
    let sum = |of: fn(&Count) -> u64| counted.iter().map(|(_, count)| of(count)).sum::<u64>();
    for (source, calls) in inventoried(sources, &counted) {
        add(source, calls, 0);
    }
    let mut left = share;
    if let Some(costs) = &sources.costs {
        // How many pages a round takes is known only once they are paid for: one at the least.
        let pages = rounds(costs.interval_ms).min(left / PAGE_MICRO_USD);
        add("costs", pages, pages * PAGE_MICRO_USD);
        left -= pages * PAGE_MICRO_USD;
    }
    for wanted in super::reports::wanted(config) {
        let each = wanted.round_micro_usd();
        let affordable = left.checked_div(each).unwrap_or(u64::MAX);
        let rounds = rounds(wanted.interval_ms).min(affordable);
        add(
            wanted.source,
            rounds * wanted.reports.len() as u64,
            rounds * each,
        );
        left -= rounds * each;
    }
    if let Some(alarms) = &sources.alarms {
        // How many pages there are is not counted before: one a region at the least.
        let regions = counted.iter().filter(|(target, _)| !target.global());
        let calls = rounds(alarms.interval_ms) * regions.count() as u64;
        add("alarms", calls, 0);
    }
    let series = sum(|count| count.series);
    let mut paid_for = 0;
    if let Some(metrics) = &sources.metrics {
        let each = rounds(metrics.interval_ms) * METRIC_MICRO_USD;
        let queries = sum(|count| count.queries);
        let affordable = queries.min(left / each.max(1));
        // Which are left out shows when they are asked for; here they all cost alike.
        paid_for = (series * affordable).checked_div(queries).unwrap_or(0);
        let spent = (queries * paid_for).checked_div(series).unwrap_or(0);
        let looks = sum(|count| count.look) * rounds(sources.discovery_interval_ms);
        // Each region has its own calls; those that are thinned are not known by region.
        let groups = sum(|count| count.groups).min(paid_for);
        let calls = looks + groups * rounds(metrics.interval_ms);
        add("metrics", calls, spent * each);
        planned.polling_micro_usd = queries * each;
        planned.stream_micro_usd = series * UPDATES_A_MONTH * UPDATE_MICRO_USD;
    }
    (planned.series, planned.series_paid_for) = (series, paid_for);
    planned.resources = sum(|count| count.resources);
    name(&mut planned, counted);
    planned
}

/// Says whose plan it is, and what could not be counted for it.
fn name(planned: &mut PlannedAccount, counted: Vec<(Target, Count)>) {
    for (target, count) in counted {
        let region = &target.region;
        let errors = count.errors.iter();
        planned
            .errors
            .extend(errors.map(|error| format!("{region}: {error}")));
        if !target.global() {
            planned.regions.push(target.region);
        }
        planned.account = target.account;
    }
    planned.regions.sort();
    planned.errors.sort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::aws::{Access, Place};
    use crate::config::{Alarms, Budgets, Costs, Metrics};

    fn region(name: &str, series: u64) -> (Target, Count) {
        let target = Target {
            account: "111122223333".to_owned(),
            region: name.to_owned(),
            place: Place {
                access: Access::default(),
                region: name.to_owned(),
            },
        };
        let count = Count {
            resources: 2_500,
            instances: 90,
            sweep: 14,
            look: 4,
            series,
            queries: series * 4,
            groups: series.div_ceil(125),
            errors: Vec::new(),
        };
        (target, count)
    }

    fn config(usd: u32) -> Config {
        let mut config = Config::default();
        config.sources.monthly_usd_max = usd;
        config.sources.metrics = Some(Metrics::default());
        config.sources.costs = Some(Costs::default());
        config.sources.budgets = Some(Budgets::default());
        config.sources.alarms = Some(Alarms::default());
        config
    }

    fn of(planned: &PlannedAccount, source: &str) -> (u64, u64) {
        let row = planned.sources.iter().find(|row| row.source == source);
        row.map(|row| (row.calls, row.micro_usd)).expect("a row")
    }

    #[test]
    fn a_month_is_730_hours_of_rounds_and_every_query_and_page_has_its_price() {
        let counted = vec![region("eu-west-1", 130), region("eu-west-2", 70)];
        let config = config(1_000);
        let planned = reckon(&config, share(&config, 1), counted);
        assert_eq!(of(&planned, "inventory"), (2 * 14 * 730, 0));
        // Once a day: a call for 20 instances, and two for each.
        assert_eq!(of(&planned, "attributes"), (2 * (5 + 180) * 31, 0));
        // Three times a day, rounded up: 92 pages at a cent.
        assert_eq!(of(&planned, "costs"), (92, 920_000));
        // Once a day, use and coverage being two pages; budgets are free.
        assert_eq!(of(&planned, "forecast"), (31, 310_000));
        assert_eq!(of(&planned, "savings-plans"), (62, 620_000));
        assert_eq!(of(&planned, "budgets"), (122, 0));
        assert_eq!(of(&planned, "alarms"), (2 * 8_760, 0));
        // 8,760 rounds: three calls each, two regions' four lists an hour; 200 series, 4 statistics.
        let (calls, micro_usd) = of(&planned, "metrics");
        assert_eq!(calls, 3 * 8_760 + 8 * 730);
        assert_eq!(micro_usd, 200 * 8_760 * 4 * 10);
        assert_eq!(planned.polling_micro_usd, micro_usd);
        assert_eq!(planned.stream_micro_usd, 200 * 43_800 * 3);
        assert_eq!((planned.series_paid_for, planned.resources), (200, 5_000));
    }

    #[test]
    fn no_plan_is_dearer_than_the_account_s_share_of_the_ceiling() {
        let counted = || vec![region("eu-west-1", 130)];
        for (usd, accounts) in [(0, 1), (1, 3), (10, 1), (10, 4), (49, 7)] {
            let config = config(usd);
            let share = share(&config, accounts);
            let planned = reckon(&config, share, counted());
            let spent: u64 = planned.sources.iter().map(|row| row.micro_usd).sum();
            assert!(spent <= share, "{usd} for {accounts}: {spent}");
            assert!(planned.series_paid_for < planned.series);
        }
        let config = config(10);
        let planned = reckon(&config, share(&config, 1), counted());
        // Costs, and seven pages a day of what else Cost Explorer says.
        let spent = 920_000 + 7 * 310_000;
        assert_eq!(planned.series_paid_for, (10_000_000 - spent) / 350_400);
    }
}
