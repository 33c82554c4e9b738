//! Asks AWS, once and for real, everything that pulling will ask: whose the credentials are, which
//! calls are allowed, and which rules go blind where one is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use super::accounts::{self, Target};
use super::metrics::namespaces;
use super::money::PAGE_MICRO_USD;
use super::{SWEEPS_MAX, blocking, reports};
use crate::adapters::aws::{
    Aws, CallError, Caller, Form, Grain, Page, Points, Purpose, Series, Tally, Wanted, action,
    actions,
};
use crate::config::{Config, Metrics};
use crate::model::{ItemKind, Timestamp};
use crate::ports::Clock as _;
use crate::rules::RULES;
use crate::runtime::SystemClock;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// One call that pulling makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LivePermission {
    /// The IAM action.
    pub action: &'static str,
    /// The policy that allows it, by name.
    pub policy: &'static str,
    /// Regions in which it was refused, each with what AWS says.
    pub refused: BTreeMap<String, String>,
    /// Regions in which it could not be told, each with the reason.
    pub unclear: BTreeMap<String, String>,
    /// Rules that see nothing without it, by id.
    pub rules: Vec<&'static str>,
    /// What else is not known without it; empty where rules say it all.
    pub ability: &'static str,
}

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveAccount {
    /// Its id, or how it is reached when that is not known.
    pub account: String,
    /// Whose the credentials are.
    pub caller: Option<String>,
    /// Its regions.
    pub regions: Vec<String>,
    /// Why nothing of it can be had.
    pub error: Option<String>,
    /// Every call, by action.
    pub permissions: Vec<LivePermission>,
}

/// What asking brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// By account; those that do not answer last.
    pub accounts: Vec<LiveAccount>,
    /// What asking cost, in millionths of a US dollar.
    pub micro_usd: u64,
}

impl LivePermission {
    /// Whether it was allowed everywhere.
    pub fn allowed(&self) -> bool {
        self.refused.is_empty() && self.unclear.is_empty()
    }
}

impl Live {
    /// Whether everything answered.
    pub fn well(&self) -> bool {
        let mut accounts = self.accounts.iter();
        accounts.all(|account| {
            account.error.is_none() && account.permissions.iter().all(LivePermission::allowed)
        })
    }
}

/// Rules that see nothing when an action is refused.
fn rules_of(action: &str) -> Vec<&'static str> {
    // Points are asked for by series, and series are known from the list.
    let read_with = match action {
        "cloudwatch:ListMetrics" => "cloudwatch:GetMetricData",
        other => other,
    };
    RULES
        .iter()
        .map(|rule| rule.meta())
        .filter(|meta| meta.permissions.contains(&read_with))
        .map(|meta| meta.id)
        .collect()
}

/// What people and other programs are told by a call that no rule needs.
fn ability_of(action: &str) -> &'static str {
    match action {
        "ce:GetCostForecast" => "what the month will cost",
        "ce:GetAnomalies" => "the anomalies that AWS finds",
        "ce:GetReservationUtilization" => "how much of reservations is used",
        "ce:GetReservationCoverage" => "how much use reservations cover",
        "ce:GetSavingsPlansUtilization" => "how much of savings plans is used",
        "ce:GetSavingsPlansCoverage" => "how much use savings plans cover",
        "ce:GetRightsizingRecommendation" => "what AWS would make smaller",
        "cloudwatch:DescribeAlarms" => "alarms and their states",
        _ => "",
    }
}

/// Asks everything. A page of Cost Explorer costs a cent an account where it is configured.
///
/// # Errors
/// When no runtime can be had.
pub fn check_live(config: &Config) -> anyhow::Result<Live> {
    blocking(async {
        let aws = Arc::new(Aws::new(Arc::new(Tally::default())));
        let found = accounts::look(&aws, config).await;
        let limit = Arc::new(tokio::sync::Semaphore::new(SWEEPS_MAX));
        let mut tasks = JoinSet::new();
        for target in found.targets.into_values() {
            let (aws, config, limit) = (Arc::clone(&aws), config.clone(), Arc::clone(&limit));
            tasks.spawn(async move {
                let _permit = limit.acquire().await;
                let caller = aws.caller(&target.place.access).await;
                let answers = ask(&aws, &config, &target).await;
                (target, caller, answers)
            });
        }
        let mut accounts = BTreeMap::<String, LiveAccount>::new();
        let mut live = Live::default();
        while let Some(done) = tasks.join_next().await {
            let Ok((target, caller, answers)) = done else {
                continue;
            };
            let costs = answers
                .iter()
                .filter(|(_, purpose, _)| *purpose == Purpose::Costs);
            live.micro_usd += costs.count() as u64 * PAGE_MICRO_USD;
            let account = accounts.entry(target.account.clone()).or_default();
            note(account, &target, caller, answers);
        }
        live.accounts = accounts.into_values().collect();
        let refused = found
            .refused
            .into_iter()
            .map(|(account, error)| LiveAccount {
                account,
                error: Some(error.to_string()),
                ..LiveAccount::default()
            });
        live.accounts.extend(refused);
        for files in &config.files {
            live.accounts.push(super::files::live(&aws, files).await);
        }
        live
    })
}

/// One call and what became of it.
type Answer = (&'static str, Purpose, Result<(), CallError>);

/// Makes every call that pulling makes of a place, the smallest of its kind.
async fn ask(aws: &Aws, config: &Config, target: &Target) -> Vec<Answer> {
    let (mut answers, place) = (Vec::new(), &target.place);
    let now = SystemClock::default().now();
    if config.sources.inventory_interval_ms > 0 {
        let inventory = Purpose::Inventory.actions();
        let apart = config.sources.attributes_interval_ms > 0;
        for kind in target.kinds().filter(|kind| apart || !kind.apart()) {
            let page = aws.page(place, kind, Wanted::default()).await;
            let told = described(kind, page).into_iter();
            // Who one is needs no permission.
            let told = told.filter(|(action, _)| inventory.contains(action));
            answers.extend(told.map(|(action, answer)| (action, Purpose::Inventory, answer)));
        }
    }
    if let Some(settings) = config.sources.metrics.as_ref().filter(|_| !target.global()) {
        let namespace = namespaces(settings).into_iter().next();
        let namespace = namespace.unwrap_or_else(|| "AWS/EC2".to_owned());
        let listed = aws.series(place, &namespace, None).await;
        let answer = listed.map(|_| ());
        answers.push(("cloudwatch:ListMetrics", Purpose::Metrics, answer));
        let answer = point(aws, target, settings, now).await;
        answers.push(("cloudwatch:GetMetricData", Purpose::Metrics, answer));
    }
    if config.sources.alarms.is_some() && !target.global() {
        let page = aws.alarms(place, None).await;
        let answer = page.map(|_| ());
        answers.push(("cloudwatch:DescribeAlarms", Purpose::Alarms, answer));
    }
    if target.global() {
        ask_once(aws, config, target, now, &mut answers).await;
    }
    answers
}

/// Makes every call that is the account's and not a region's.
async fn ask_once(
    aws: &Aws,
    config: &Config,
    target: &Target,
    now: Timestamp,
    answers: &mut Vec<Answer>,
) {
    let (access, account) = (&target.place.access, target.account.as_str());
    if let Some(costs) = &config.sources.costs {
        let (from, to) = (
            super::costs::date(now.plus(-DAY_MS)),
            super::costs::date(now),
        );
        let grain = if costs.hourly {
            Grain::Hour
        } else {
            Grain::Day
        };
        let page = aws.costs(access, account, (&from, &to), grain, None).await;
        answers.push(("ce:GetCostAndUsage", Purpose::Costs, allowed(page)));
    }
    for wanted in reports::wanted(config) {
        for report in wanted.reports {
            let costs = config.sources.costs.as_ref();
            let (from, to) = reports::span(*report, now, costs, false);
            let span = (from.as_str(), to.as_str());
            let page = aws.report(access, account, *report, span, None).await;
            let purpose = if report.paid() {
                Purpose::Costs
            } else {
                Purpose::Budgets
            };
            answers.push((report.action(), purpose, allowed(page)));
        }
    }
}

/// An answer that there is nothing is one that may be given.
fn allowed<T>(answer: Result<T, CallError>) -> Result<(), CallError> {
    match answer {
        Ok(_) | Err(CallError::Nothing(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a page of a kind says of the actions it takes: those that were called, up to one that did
/// not answer. Of a call that nothing was there to be made for, nothing is known.
fn described(
    kind: ItemKind,
    page: Result<Page, CallError>,
) -> BTreeMap<&'static str, Result<(), CallError>> {
    let error = match page {
        Ok(page) => return page.calls.into_iter().map(|call| (call, Ok(()))).collect(),
        Err(error) => error,
    };
    let told = error.to_string();
    let names = |action: &&'static str| told.starts_with(&format!("{action}:"));
    let failed = actions(kind).iter().copied().find(names);
    let failed = failed.unwrap_or(action(kind));
    let before = actions(kind).iter().take_while(|call| **call != failed);
    let well = before.map(|call| (*call, Ok(())));
    well.chain([(failed, Err(error))]).collect()
}

/// Asks for the points of a series that need not be there.
async fn point(
    aws: &Aws,
    target: &Target,
    settings: &Metrics,
    now: Timestamp,
) -> Result<(), CallError> {
    let series = Series {
        namespace: "AWS/EC2".to_owned(),
        name: "CPUUtilization".to_owned(),
        dimensions: Vec::new(),
    };
    let form = Form {
        period_seconds: settings.period_seconds,
        percentiles: Vec::new(),
    };
    let to = now.ms() - now.ms().rem_euclid(form.period_ms());
    let span = (to - form.period_ms(), to);
    let points = aws.points(&target.place, &[series], &form, span).await?;
    match points.into_iter().next() {
        Some(Points::Forbidden(why)) => Err(CallError::Refused(why)),
        Some(Points::Failed(why)) => Err(CallError::Failed(why)),
        _ => Ok(()),
    }
}

/// Adds what a region answered to what is known of its account.
fn note(
    account: &mut LiveAccount,
    target: &Target,
    caller: Result<Caller, CallError>,
    answers: Vec<Answer>,
) {
    let region = &target.region;
    account.account.clone_from(&target.account);
    if !target.global() {
        account.regions.push(region.clone());
    }
    account.regions.sort();
    match caller {
        Ok(caller) => account.caller = Some(caller.arn),
        Err(error) => account.error = Some(error.to_string()),
    }
    for (action, purpose, answer) in answers {
        let known = account
            .permissions
            .iter()
            .position(|known| known.action == action);
        let at = known.unwrap_or_else(|| {
            account.permissions.push(LivePermission {
                action,
                policy: purpose.as_str(),
                refused: BTreeMap::new(),
                unclear: BTreeMap::new(),
                rules: rules_of(action),
                ability: ability_of(action),
            });
            account.permissions.len() - 1
        });
        let permission = &mut account.permissions[at];
        match answer {
            Ok(()) | Err(CallError::Nothing(_)) => {}
            Err(CallError::Refused(why)) => {
                permission.refused.insert(region.clone(), why);
            }
            Err(CallError::Throttled(why) | CallError::Failed(why) | CallError::Missing(why)) => {
                permission.unclear.insert(region.clone(), why);
            }
        }
    }
    account
        .permissions
        .sort_by_key(|permission| permission.action);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_calls_the_one_that_is_refused_is_named_and_none_that_was_not_made() {
        let refused = CallError::Refused("cloudtrail:DescribeTrails: AccessDenied: no".to_owned());
        let told = described(ItemKind::Trail, Err(refused.clone()));
        assert_eq!(told["cloudtrail:DescribeTrails"], Err(refused));
        assert_eq!(told["cloudtrail:ListTrails"], Ok(()));
        assert_eq!(told.get("cloudtrail:GetTrailStatus"), None);
        let page = Page {
            calls: vec!["cloudtrail:ListTrails"],
            ..Page::default()
        };
        assert_eq!(described(ItemKind::Trail, Ok(page)).len(), 1);
    }

    #[test]
    fn an_action_that_rules_read_with_names_them_and_a_list_names_those_of_its_points() {
        assert!(rules_of("ec2:DescribeVolumes").contains(&"COST-EBS-1"));
        let points = rules_of("cloudwatch:GetMetricData");
        assert!(points.contains(&"COST-EC2-1"));
        assert_eq!(rules_of("cloudwatch:ListMetrics"), points);
        assert_eq!(rules_of("ec2:DescribeVpcs"), [""; 0]);
    }
}
