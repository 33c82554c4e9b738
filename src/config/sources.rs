//! Which accounts facts are pulled from, how they are reached, and how often.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::costs::{self, Budgets, Costs};
use super::{ByMetric, Config, Problem, Secret, list};

/// Milliseconds of an hour.
pub(super) const HOUR_MS: u64 = 3_600_000;

/// An account whose facts are pulled.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// The account's id; asked of STS when absent.
    pub id: Option<String>,
    /// The profile of `~/.aws/config` that signs; else the usual chain of credentials.
    pub profile: Option<String>,
    /// The role to take on: an ARN, or a name in the account `id`.
    pub role: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<Secret>,
    /// Regions; those of `sources.regions` when empty.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub regions: Vec<String>,
}

/// What is pulled from the accounts.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sources {
    /// Regions of accounts that name none; every enabled one when empty.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub regions: Vec<String>,
    /// Milliseconds between sweeps of the inventory; 0 for none.
    pub inventory_interval_ms: u64,
    /// Milliseconds until an instance's termination protection and user data are asked for again, when no event said that they changed; two calls an instance, at most ten a second. 0 for never.
    pub attributes_interval_ms: u64,
    /// Milliseconds between looks at which accounts and regions there are.
    pub discovery_interval_ms: u64,
    /// Whole US dollars a month that all paid APIs together may cost; every account has an even share.
    pub monthly_usd_max: u32,
    /// CloudWatch metrics, where no metric stream brings them; this costs money.
    pub metrics: Option<Metrics>,
    /// Costs from Cost Explorer, where no export brings them; a page costs a cent.
    pub costs: Option<Costs>,
    /// AWS Budgets, with what is spent of them; free.
    pub budgets: Option<Budgets>,
    /// CloudWatch's alarms with their states, where no event brings them; free.
    pub alarms: Option<Alarms>,
    /// An AWS Organization whose accounts are pulled too.
    pub organization: Option<Organization>,
}

/// CloudWatch's alarms.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alarms {
    /// Milliseconds between rounds.
    pub interval_ms: u64,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            interval_ms: 5 * 60_000,
        }
    }
}

/// CloudWatch metrics.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Milliseconds between rounds.
    pub interval_ms: u64,
    /// Seconds a point is about: 60, 300 or 3600.
    pub period_seconds: u32,
    /// Namespaces (`AWS/EC2`) or metrics (`AWS/EC2:CPUUtilization`) to pull; those that rules ask for when empty.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub include: Vec<String>,
    /// Namespaces or metrics to leave out; stronger than `include`.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub exclude: Vec<String>,
    /// Hours of the past that are filled in, at first and after an outage.
    pub back_fill_hours: u32,
    /// Metrics with a period or statistics of their own.
    pub by_metric: Vec<ByMetric>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            interval_ms: 5 * 60_000,
            period_seconds: 300,
            include: Vec::new(),
            exclude: Vec::new(),
            back_fill_hours: 24,
            by_metric: Vec::new(),
        }
    }
}

/// Hours that CloudWatch keeps points of a period: a minute's 15 days, five minutes' 63, an hour's 455.
pub(crate) fn retention_hours(period_seconds: u32) -> Option<u32> {
    match period_seconds {
        60 => Some(15 * 24),
        300 => Some(63 * 24),
        3_600 => Some(455 * 24),
        _ => None,
    }
}

/// An AWS Organization.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Organization {
    /// The profile that may list its accounts; else the usual chain of credentials.
    pub profile: Option<String>,
    /// A role to list them with, an ARN.
    pub list_role: Option<String>,
    /// Name of the role to take on in each account.
    pub role: String,
    /// The external id that these roles ask for.
    pub external_id: Option<Secret>,
    /// Organizational units and accounts to pull, by id; all when empty.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub include: Vec<String>,
    /// Organizational units and accounts to leave out, by id; stronger than `include`.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub exclude: Vec<String>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            inventory_interval_ms: HOUR_MS,
            attributes_interval_ms: 24 * HOUR_MS,
            discovery_interval_ms: HOUR_MS,
            monthly_usd_max: 50,
            metrics: None,
            costs: None,
            budgets: None,
            alarms: None,
            organization: None,
        }
    }
}

pub(super) fn account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|part| part.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(account_id)
        && parts
            .next()
            .and_then(|rest| rest.strip_prefix("role/"))
            .is_some_and(|name| !name.is_empty())
}

/// `eu-west-1`, `us-gov-west-1`: lower-case words and a number.
pub(super) fn region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(plain)
        && text.split('-').count() >= 3
        && text.ends_with(|last: char| last.is_ascii_digit())
}

impl Account {
    /// The role's ARN: given whole, or made of the account and the role's name.
    pub fn role_arn(&self) -> Option<String> {
        let role = self.role.as_ref()?;
        Some(match &self.id {
            Some(id) if !role.starts_with("arn:") => format!("arn:aws:iam::{id}:role/{role}"),
            _ => role.clone(),
        })
    }
}

/// Everything wrong with accounts and sources that can be seen without asking AWS.
pub(super) fn problems(config: &Config, problems: &mut Vec<Problem>) {
    let mut add = |path: &str, what: String, hint: &str| {
        problems.push(Problem::new(path, what, hint));
    };
    let wanted = !config.accounts.is_empty() || config.sources.organization.is_some();
    if wanted && !cfg!(feature = "aws") {
        add(
            "accounts",
            "this program was built without the AWS sources".into(),
            "build it with the default features, or remove accounts and sources",
        );
    }
    accounts_problems(&config.accounts, &mut add);
    let sources = &config.sources;
    regions("sources.regions", &sources.regions, &mut add);
    intervals(sources, &mut add);
    if let Some(costs) = &sources.costs {
        costs::problems(costs, &mut add);
    }
    let intervals = [
        (
            "budgets",
            sources.budgets.as_ref().map(|own| own.interval_ms),
        ),
        ("alarms", sources.alarms.as_ref().map(|own| own.interval_ms)),
    ];
    for (source, interval) in intervals {
        if interval.is_some_and(|interval| !(1_000..=24 * HOUR_MS).contains(&interval)) {
            add(
                &format!("sources.{source}.interval_ms"),
                format!("it is outside 1000 to {}", 24 * HOUR_MS),
                "leave it out for the default",
            );
        }
    }
    if let Some(metrics) = &sources.metrics {
        metrics_problems(metrics, &mut add);
    }
    if let Some(organization) = &sources.organization {
        organization_problems(organization, &mut add);
    }
}

fn intervals(sources: &Sources, add: &mut impl FnMut(&str, String, &str)) {
    for (path, value, min, usual) in [
        (
            "sources.inventory_interval_ms",
            sources.inventory_interval_ms,
            0,
            "leave it out for an hour",
        ),
        (
            "sources.attributes_interval_ms",
            sources.attributes_interval_ms,
            0,
            "leave it out for a day",
        ),
        (
            "sources.discovery_interval_ms",
            sources.discovery_interval_ms,
            60_000,
            "leave it out for an hour",
        ),
    ] {
        // Below a minute sweeps would use up what the account's own tools may call.
        let most = 24 * HOUR_MS;
        if value > most || value < min || (value > 0 && value < 1_000) {
            add(
                path,
                format!("{value} is outside {} to {most}", min.max(1_000)),
                usual,
            );
        }
    }
}

fn accounts_problems(accounts: &[Account], add: &mut impl FnMut(&str, String, &str)) {
    let mut ways = BTreeSet::new();
    for (index, account) in accounts.iter().enumerate() {
        let path = format!("accounts.{}", index + 1);
        if let Some(id) = account.id.as_ref().filter(|id| !account_id(id)) {
            add(
                &format!("{path}.id"),
                format!("{id:?} is not 12 digits"),
                "quote it, so that leading zeros stay",
            );
        }
        match &account.role {
            Some(role) if role.starts_with("arn:") && !role_arn(role) => add(
                &format!("{path}.role"),
                format!("{role:?} is not the ARN of a role"),
                "write it as arn:aws:iam::111122223333:role/skyherd-read",
            ),
            Some(role) if !role.starts_with("arn:") && account.id.is_none() => add(
                &format!("{path}.role"),
                format!("{role:?} is a name, and the account has no id"),
                "add id, or write the role's ARN",
            ),
            None if account.external_id.is_some() => add(
                &format!("{path}.external_id"),
                "is for a role, and none is named".into(),
                "add role, or remove external_id",
            ),
            _ => {}
        }
        if !ways.insert((&account.id, &account.profile, &account.role)) {
            add(
                &path,
                "names the same account in the same way as one before it".into(),
                "keep one of them, with the regions of both",
            );
        }
        regions(&format!("{path}.regions"), &account.regions, add);
    }
}

fn organization_problems(organization: &Organization, add: &mut impl FnMut(&str, String, &str)) {
    if organization.role.is_empty() || organization.role.contains(':') {
        add(
            "sources.organization.role",
            format!("{:?} is not the name of a role", organization.role),
            "name the role that every account has, such as skyherd-read; its ARN follows from the account",
        );
    }
    if let Some(role) = organization
        .list_role
        .as_ref()
        .filter(|role| !role_arn(role))
    {
        add(
            "sources.organization.list_role",
            format!("{role:?} is not the ARN of a role"),
            "write it as arn:aws:iam::111122223333:role/skyherd-list",
        );
    }
}

fn metrics_problems(metrics: &Metrics, add: &mut impl FnMut(&str, String, &str)) {
    if !(1_000..=24 * HOUR_MS).contains(&metrics.interval_ms) {
        add(
            "sources.metrics.interval_ms",
            format!(
                "{} is outside 1000 to {}",
                metrics.interval_ms,
                24 * HOUR_MS
            ),
            "leave it out for five minutes",
        );
    }
    match retention_hours(metrics.period_seconds) {
        None => add(
            "sources.metrics.period_seconds",
            format!("{} is none of 60, 300 and 3600", metrics.period_seconds),
            "leave it out for 300",
        ),
        Some(kept) if metrics.back_fill_hours > kept => add(
            "sources.metrics.back_fill_hours",
            format!("CloudWatch keeps points of this period for {kept} hours only"),
            "take fewer hours, or a longer period",
        ),
        Some(_) if metrics.back_fill_hours == 0 => add(
            "sources.metrics.back_fill_hours",
            "0 leaves no time for points to be written".into(),
            "take at least 1",
        ),
        Some(_) => {}
    }
    super::by_metric::problems(&metrics.by_metric, metrics.back_fill_hours, add);
}

fn regions(path: &str, names: &[String], add: &mut impl FnMut(&str, String, &str)) {
    for name in names.iter().filter(|name| !region(name)) {
        add(
            path,
            format!("{name:?} is not a region"),
            "write it as eu-west-1, without the zone's letter",
        );
    }
}

// Without the feature every account is a problem.
#[cfg(feature = "aws")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn paths(text: &str) -> Vec<String> {
        let loaded = load(text, &[], Config::default());
        assert!(
            loaded
                .problems
                .iter()
                .all(|problem| !problem.hint.is_empty())
        );
        loaded
            .problems
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    #[test]
    fn accounts_and_an_organization_are_taken_as_written() {
        let text = "[[accounts]]\nid = '111122223333'\nrole = 'skyherd-read'\nexternal_id = 'x'\nregions = 'eu-west-1,eu-central-1'\n\
                    [[accounts]]\nprofile = 'prod'\n[sources]\nregions = ['us-gov-west-1']\n\
                    [sources.organization]\nrole = 'skyherd-read'\ninclude = ['ou-1']";
        let loaded = load(text, &[], Config::default());
        assert_eq!(loaded.problems, []);
        let account = &loaded.config.accounts[0];
        assert_eq!(account.regions, ["eu-west-1", "eu-central-1"]);
        let role = account.role_arn();
        assert_eq!(
            role.as_deref(),
            Some("arn:aws:iam::111122223333:role/skyherd-read")
        );
        assert!(
            !format!("{account:?}").contains("\"x\""),
            "an external id is a secret"
        );
    }

    #[test]
    fn every_wrong_account_is_told_with_a_way_out() {
        let text = "[[accounts]]\nid = '1'\nregions = ['eu-west-1a']\n[[accounts]]\nrole = 'reader'\n\
                    [[accounts]]\nrole = 'arn:aws:iam::1:role/x'\n[[accounts]]\nexternal_id = 'x'\n[[accounts]]\n\
                    [sources]\ninventory_interval_ms = 5\n[sources.budgets]\ninterval_ms = 1\n\
                    [sources.organization]\nrole = 'arn:aws:iam::1:role/x'";
        assert_eq!(
            paths(text),
            [
                "accounts.1.id",
                "accounts.1.regions",
                "accounts.2.role",
                "accounts.3.role",
                "accounts.4.external_id",
                "accounts.5",
                "sources.budgets.interval_ms",
                "sources.inventory_interval_ms",
                "sources.organization.role",
            ]
        );
        assert_eq!(paths("[[accounts]]\nrol = 'x'"), ["accounts"]);
    }
}
