//! What is remembered of a budget: the period that is going on, what is spent of it, and which
//! thresholds were reached in it. Fixed size.
//!
//! A threshold that was reached stays so until the period ends, though a credit may take the sum back
//! below it: a threshold is told once a period.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use crate::model::{Timestamp, Usd};

/// Parts of the limit that are told when that much is spent, in percent (catalogue).
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];
/// Part of the limit that is told when a forecast reaches it, in percent (catalogue).
pub const FORESEEN: u8 = 100;
/// From how long a period on its first day is left out: AWS brings budgets up to date a few times a
/// day, so they may still show the period before. OURS: a month.
const LONG_MS: i64 = 27 * Timestamp::DAY;
/// How long a period is where nobody says it, in Budgets' words.
const MONTHLY: &str = "MONTHLY";

/// The resource type of a budget of our own configuration; AWS's may have the same name.
pub const PLANNED: &str = "configured-budget";

/// A budget of our own configuration: what an account may cost a calendar month.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Its name.
    pub name: SmolStr,
    /// The accounts it is for, each by itself; every one when empty.
    pub accounts: Vec<String>,
    /// The amount.
    pub limit: Usd,
    /// Parts of it that are told, in percent.
    pub thresholds: Vec<u8>,
}

impl Plan {
    /// Whether it is for the account.
    pub fn is_for(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|own| own == account)
    }
}

/// How such a budget stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// When its month began.
    pub month: Timestamp,
    /// What is spent in it.
    pub spent: Usd,
    /// The amount.
    pub limit: Usd,
    /// Parts of it that are told, in percent.
    pub thresholds: Vec<u8>,
}

/// A budget's newest figures and what they reached.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Budget {
    /// When the period began.
    #[serde(rename = "s")]
    pub start: Timestamp,
    /// When it ends.
    #[serde(rename = "e")]
    pub end: Timestamp,
    /// How long a period is, in Budgets' words.
    #[serde(default, rename = "t", skip_serializing_if = "SmolStr::is_empty")]
    time_unit: SmolStr,
    /// When the newest of the figures were told.
    #[serde(rename = "a")]
    pub at: Timestamp,
    /// The amount budgeted.
    #[serde(rename = "l")]
    pub limit: Usd,
    /// What the amounts are counted in: `USD`, or a unit of use.
    #[serde(rename = "u")]
    pub unit: SmolStr,
    /// When it was told what is spent of it, and how much.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub actual: Option<(Timestamp, Usd)>,
    /// When it was told what will be spent until the period ends, and how much.
    #[serde(default, rename = "f", skip_serializing_if = "Option::is_none")]
    pub forecast: Option<(Timestamp, Usd)>,
    /// The greatest threshold that was reached in the period; 0 for none.
    #[serde(default, rename = "r")]
    pub reached: u8,
    /// Whether a forecast of the period reached [`FORESEEN`].
    #[serde(default, rename = "o")]
    pub foreseen: bool,
}

/// What one event says of a budget.
struct Said {
    time_unit: SmolStr,
    limit: Usd,
    unit: SmolStr,
    actual: Option<Usd>,
    forecast: Option<Usd>,
}

/// An amount, text or number, with its unit.
fn amount(detail: &Value, name: &str) -> Option<(Usd, SmolStr)> {
    let amount = detail.get(name)?;
    let value = match amount.get("value")? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let value = Decimal::from_str(&value)
        .or_else(|_| Decimal::from_scientific(&value))
        .ok()?;
    let unit = amount.get("unit").and_then(Value::as_str);
    Some((Usd::new(value), unit.unwrap_or("USD").into()))
}

impl Said {
    /// `None` for budgets whose figures are no sums: utilisation and coverage are better when high.
    fn of(detail: &Value) -> Option<Self> {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let kind = text("budgetType").unwrap_or("COST");
        if !["cost", "usage"].contains(&kind.to_ascii_lowercase().as_str()) {
            return None;
        }
        let (limit, unit) = amount(detail, "budgetedAmount")?;
        if limit <= Usd::ZERO {
            return None;
        }
        let sum = |name: &str| amount(detail, name).map(|(sum, _)| sum);
        // A notification has one amount, of the kind of its alert.
        let alert = |kind: &str| {
            (text("alertType") == Some(kind))
                .then(|| sum("amount"))
                .flatten()
        };
        // Its text alone says how long the period is.
        let daily = text("text").is_some_and(|text| text.contains(" per day"));
        let time_unit = match (text("timeUnit"), daily) {
            (Some(unit), _) => unit.into(),
            (None, true) => "DAILY".into(),
            (None, false) => SmolStr::default(),
        };
        Some(Self {
            time_unit,
            limit,
            unit,
            actual: sum("actualAmount").or_else(|| alert("ACTUAL")),
            forecast: sum("forecastedAmount").or_else(|| alert("FORECASTED")),
        })
    }
}

/// An amount in percent of a limit.
fn part(sum: Option<Usd>, limit: Usd) -> Decimal {
    let sum = sum.unwrap_or_default().amount();
    sum.saturating_mul(Decimal::ONE_HUNDRED)
        .checked_div(limit.amount())
        .unwrap_or_default()
}

/// The first moment of a month, counted from year 0.
fn month(number: i64) -> Option<Timestamp> {
    let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
    Timestamp::parse(&format!("{year:04}-{month:02}-01T00:00:00Z")).ok()
}

/// The month of a moment in UTC, and the one after it.
pub fn month_of(at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    period(MONTHLY, &Value::Null, at)
}

/// The period a moment is in: a UTC day, month, quarter or year. A period of another kind is the
/// budget's own span.
fn period(time_unit: &str, detail: &Value, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let day = |day: i64| Timestamp::from_ms(day.saturating_mul(Timestamp::DAY));
    let text = at.to_string();
    let mut parts = text.split('-');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (year, number) = (next()?, next()?);
    let months = |count: i64| {
        let first = (year * 12 + number - 1).div_euclid(count) * count;
        Some((month(first)?, month(first + count)?))
    };
    match time_unit {
        "DAILY" => Some((day(at.day()), day(at.day() + 1))),
        MONTHLY => months(1),
        "QUARTERLY" => months(3),
        "ANNUALLY" => months(12),
        _ => {
            let end = |name: &str| Timestamp::parse(detail.get(name)?.as_str()?).ok();
            Some((end("start")?, end("end")?)).filter(|(start, end)| (*start..*end).contains(&at))
        }
    }
}

impl Budget {
    /// Takes what an event told at `at` says. Returns whether anything changed.
    pub fn take(&mut self, detail: &Value, at: Timestamp) -> bool {
        let Some(mut said) = Said::of(detail) else {
            return false;
        };
        if said.time_unit.is_empty() {
            said.time_unit.clone_from(&self.time_unit);
        }
        if said.time_unit.is_empty() {
            said.time_unit = MONTHLY.into();
        }
        let Some((start, end)) = period(&said.time_unit, detail, at) else {
            return false;
        };
        let long = end.since(start) >= LONG_MS;
        if start < self.start || (long && at.since(start) < Timestamp::DAY) {
            return false;
        }
        let before = self.clone();
        if start > self.start {
            *self = Self::default();
        }
        (self.start, self.end) = (start, end);
        self.reach(&THRESHOLDS, said.actual, said.limit);
        self.foreseen |= part(said.forecast, said.limit) >= Decimal::from(FORESEEN);
        if at >= self.at {
            self.at = at;
            self.time_unit = said.time_unit;
            (self.limit, self.unit) = (said.limit, said.unit);
        }
        // The newest counts, and of two at once the greater.
        let newer =
            |known: Option<(Timestamp, Usd)>, sum: Option<Usd>| known.max(sum.map(|sum| (at, sum)));
        self.actual = newer(self.actual, said.actual);
        self.forecast = newer(self.forecast, said.forecast);
        *self != before
    }

    /// What was told later came first, perhaps; reached is reached.
    fn reach(&mut self, thresholds: &[u8], actual: Option<Usd>, limit: Usd) {
        let actual = part(actual, limit);
        let reached = thresholds.iter().copied();
        let reached = reached.filter(|part| actual >= Decimal::from(*part));
        self.reached = reached.fold(self.reached, u8::max);
    }

    /// Takes how a budget of our own stands. Returns whether anything changed.
    pub fn stand(&mut self, standing: &Standing, at: Timestamp) -> bool {
        let Some((start, end)) = month_of(standing.month).filter(|(start, _)| *start >= self.start)
        else {
            return false;
        };
        let before = self.clone();
        if start > self.start {
            *self = Self::default();
        }
        (self.start, self.end) = (start, end);
        self.at = at.max(self.at);
        (self.limit, self.unit) = (standing.limit, "USD".into());
        self.actual = Some((self.at, standing.spent));
        self.reach(&standing.thresholds, Some(standing.spent), self.limit);
        *self != before
    }

    /// An amount for a person.
    pub fn shown(&self, sum: Usd) -> String {
        if self.unit == "USD" {
            sum.to_string()
        } else {
            format!("{} {}", sum.amount().normalize(), self.unit)
        }
    }

    /// An amount in percent of the limit, rounded down so that a part not reached is not shown as such.
    pub fn percent(&self, sum: Usd) -> String {
        let part = part(Some(sum), self.limit);
        format!("{} %", part.trunc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn status(unit: &str, actual: &str, forecast: &str) -> Value {
        json!({
            "budgetName": "all", "budgetType": "COST", "timeUnit": unit,
            "budgetedAmount": {"value": "100.0", "unit": "USD"},
            "actualAmount": {"value": actual, "unit": "USD"},
            "forecastedAmount": {"value": forecast, "unit": "USD"},
        })
    }

    fn ends(unit: &str, now: &str) -> (String, String) {
        let mut budget = Budget::default();
        assert!(budget.take(&status(unit, "1", "2"), at(now)));
        (budget.start.to_string(), budget.end.to_string())
    }

    #[test]
    fn a_period_is_the_calendar_s() {
        let pair = |from: &str, to: &str| (format!("{from}T00:00:00Z"), format!("{to}T00:00:00Z"));
        let now = "2026-12-31T23:00:00Z";
        assert_eq!(ends("DAILY", now), pair("2026-12-31", "2027-01-01"));
        assert_eq!(ends("MONTHLY", now), pair("2026-12-01", "2027-01-01"));
        assert_eq!(ends("QUARTERLY", now), pair("2026-10-01", "2027-01-01"));
        assert_eq!(ends("ANNUALLY", now), pair("2026-01-01", "2027-01-01"));
        let mut custom = status("CUSTOM", "1", "2");
        assert!(!Budget::default().take(&custom, at(now)), "without an end");
        custom["start"] = "2026-12-24T00:00:00Z".into();
        custom["end"] = "2027-01-07T00:00:00Z".into();
        let mut budget = Budget::default();
        assert!(budget.take(&custom, at(now)));
        assert_eq!(budget.end, at("2027-01-07T00:00:00Z"));
    }

    #[test]
    fn what_was_reached_stays_whatever_comes_after_and_in_whatever_order() {
        let told = [
            ("2026-11-10T00:00:00Z", "40", "90"),
            ("2026-11-20T00:00:00Z", "81", "120"),
            ("2026-11-21T00:00:00Z", "79", "99"),
        ];
        let take = |order: [usize; 3]| {
            let mut budget = Budget::default();
            for index in order {
                let (when, actual, forecast) = told[index];
                budget.take(&status("MONTHLY", actual, forecast), at(when));
            }
            budget
        };
        let all = take([0, 1, 2]);
        assert_eq!(all, take([2, 1, 0]));
        assert_eq!(all, take([1, 2, 0]));
        assert_eq!((all.reached, all.foreseen), (80, true));
        let newest = all.actual.map(|(_, sum)| all.percent(sum));
        assert_eq!(newest.as_deref(), Some("79 %"));
    }

    #[test]
    fn notifications_of_two_kinds_in_any_order_are_one_budget() {
        let notice = |kind: &str, sum: &str| {
            json!({
                "budgetName": "all", "budgetType": "Cost", "alertType": kind,
                "budgetedAmount": {"value": "100.00", "unit": "USD"},
                "amount": {"value": sum, "unit": "USD"},
            })
        };
        let told = [
            (notice("ACTUAL", "55"), at("2026-11-10T00:00:00Z")),
            (notice("FORECASTED", "104"), at("2026-11-11T00:00:00Z")),
            (status("MONTHLY", "57", "98"), at("2026-11-12T00:00:00Z")),
        ];
        let take = |order: [usize; 3]| {
            let mut budget = Budget::default();
            for index in order {
                budget.take(&told[index].0, told[index].1);
            }
            budget
        };
        let all = take([0, 1, 2]);
        assert_eq!((all.reached, all.foreseen), (50, true));
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(take(order), all, "{order:?}");
        }
    }

    #[test]
    fn a_new_month_begins_at_nothing_and_its_first_day_is_not_believed() {
        let mut budget = Budget::default();
        budget.take(&status("MONTHLY", "95", "95"), at("2026-11-30T23:00:00Z"));
        assert_eq!(budget.reached, 80);
        assert!(!budget.take(&status("MONTHLY", "96", "96"), at("2026-12-01T23:59:59Z")));
        assert!(budget.take(&status("MONTHLY", "3", "96"), at("2026-12-02T00:00:00Z")));
        assert_eq!((budget.reached, budget.foreseen), (0, false));
        assert!(!budget.take(&status("MONTHLY", "99", "99"), at("2026-11-30T23:30:00Z")));
        // A day has no such day.
        assert!(Budget::default().take(&status("DAILY", "96", "96"), at("2026-12-01T01:00:00Z")));
    }

    #[test]
    fn coverage_is_no_spend_and_a_budget_of_nothing_has_no_parts() {
        let mut coverage = status("MONTHLY", "95", "95");
        coverage["budgetType"] = "SAVINGS_PLANS_COVERAGE".into();
        assert!(!Budget::default().take(&coverage, at("2026-11-30T23:00:00Z")));
        let mut empty = status("MONTHLY", "95", "95");
        empty["budgetedAmount"]["value"] = "0".into();
        assert!(!Budget::default().take(&empty, at("2026-11-30T23:00:00Z")));
    }
}
