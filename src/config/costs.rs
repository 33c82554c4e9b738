//! What is asked about an account's money, and how often.

use schemars::JsonSchema;
use serde::Deserialize;

use super::sources::HOUR_MS;

/// Costs from Cost Explorer, and what else it says of them.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// Milliseconds between rounds.
    pub interval_ms: u64,
    /// Days that are asked for again each round, since they still change.
    pub days: u32,
    /// Days of the past that are filled in at first.
    pub back_fill_days: u32,
    /// Hours instead of days for the last two weeks; the payer has to switch them on and pays for them.
    pub hourly: bool,
    /// Milliseconds between rounds of what is asked besides costs, below.
    pub reports_interval_ms: u64,
    /// What will be spent until the month ends.
    pub forecast: bool,
    /// What Cost Anomaly Detection found.
    pub anomalies: bool,
    /// Utilisation and coverage of reservations, by day; two pages.
    pub reservations: bool,
    /// Utilisation and coverage of savings plans, by day; two pages.
    pub savings_plans: bool,
    /// Instances that AWS would make smaller or end.
    pub rightsizing: bool,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            interval_ms: 8 * HOUR_MS,
            days: 5,
            back_fill_days: 35,
            hourly: false,
            reports_interval_ms: 24 * HOUR_MS,
            forecast: true,
            anomalies: true,
            reservations: true,
            savings_plans: true,
            rightsizing: true,
        }
    }
}

/// AWS Budgets.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Milliseconds between rounds; AWS brings its figures up to date a few times a day.
    pub interval_ms: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            interval_ms: 6 * HOUR_MS,
        }
    }
}

/// Everything wrong with them.
pub(super) fn problems(costs: &Costs, add: &mut impl FnMut(&str, String, &str)) {
    let day = 24 * HOUR_MS;
    for (path, value, (min, max)) in [
        ("interval_ms", costs.interval_ms, (1_000, 7 * day)),
        (
            "reports_interval_ms",
            costs.reports_interval_ms,
            (1_000, 31 * day),
        ),
        ("days", u64::from(costs.days), (1, 62)),
        // Cost Explorer has 13 months, and the month that is going on.
        ("back_fill_days", u64::from(costs.back_fill_days), (1, 365)),
    ] {
        if !(min..=max).contains(&value) {
            add(
                &format!("sources.costs.{path}"),
                format!("{value} is outside {min} to {max}"),
                "leave it out for the default",
            );
        }
    }
}
