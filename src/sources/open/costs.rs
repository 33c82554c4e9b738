//! Budgets' notifications, which are plain English, and what Cost Explorer answers.

use serde_json::{Map, Value, json};

use super::told::Told;
use super::{Object, Opener, Within, time};
use crate::model::{Timestamp, Topic};
use crate::sources::{Shape, undecodable};

/// What a notification begins with.
const BUDGET_HEAD: &str = "AWS Budget Notification";
/// Digits of an account's id.
const ACCOUNT_DIGITS: usize = 12;

/// Whether the text is a budget's notification.
pub(super) fn is_budget(text: &str) -> bool {
    text.starts_with(BUDGET_HEAD) || text.contains("\nBudget Name:")
}

/// The text after a label at the start of a line.
fn labelled<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix(label))
        .map(|rest| rest.trim_start_matches(':').trim())
        .find(|rest| !rest.is_empty())
}

/// `> $0.16` → `>`, 0.16, `USD`; `80%` → `PERCENT`; `1,024 GB` → `GB`. Amounts stay text: money
/// is never a float.
fn amount(text: &str) -> Option<Value> {
    let operator = text.trim_end_matches(|letter: char| !matches!(letter, '>' | '<' | '='));
    let value = text[operator.len()..].trim();
    let digits = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
    let number: String = value
        .chars()
        .filter(|letter| *letter != ',')
        .skip_while(|letter| !digits(*letter))
        .take_while(|letter| digits(*letter))
        .collect();
    if !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unit = if value.contains('%') {
        "PERCENT"
    } else if value.contains('$') {
        "USD"
    } else {
        value
            .rsplit(|letter: char| digits(letter) || letter == ',')
            .next()
            .unwrap_or_default()
            .trim()
    };
    Some(json!({ "operator": operator.trim(), "value": number, "unit": unit }))
}

impl Opener {
    /// The label lines are read, the sentences are not: they have several forms.
    pub(super) fn budget(&mut self, message: &str, within: &Within) {
        let what = Shape::Budget;
        let raw = message.as_bytes();
        let account = message
            .lines()
            .filter_map(|line| line.trim().strip_prefix("AWS Account"))
            .map(str::trim)
            .find(|id| id.len() == ACCOUNT_DIGITS && id.bytes().all(|byte| byte.is_ascii_digit()));
        let name = labelled(message, "Budget Name");
        let alert = labelled(message, "Alert Type");
        let threshold = labelled(message, "Alert Threshold").and_then(amount);
        let (Some(name), Some(alert), Some(threshold)) = (name, alert, threshold) else {
            let reason = "budget: no `Budget Name:`, `Alert Type:` or `Alert Threshold:` with an \
                          amount in the text; this form is not known";
            return self.refuse(what, raw, undecodable(reason.into()));
        };
        let reached = labelled(message, &format!("{alert} Amount")).and_then(amount);
        let day = message.lines().next().unwrap_or_default();
        let told = Told {
            source: "aws.budgets",
            detail_type: "AWS Budgets Notification",
            account: account
                .or(within.hints.account.as_deref())
                .unwrap_or_default(),
            region: "global",
            at: within
                .hints
                .at
                .or_else(|| day_of(day.strip_prefix(BUDGET_HEAD)?)),
            resources: Vec::new(),
            detail: json!({
                "budgetName": name,
                "budgetType": labelled(message, "Budget Type"),
                "budgetedAmount": labelled(message, "Budgeted Amount").and_then(amount),
                "alertType": alert,
                "threshold": threshold,
                "amount": reached,
                "text": message,
            }),
        };
        self.told(what, &told, raw);
    }

    /// One of `DescribeBudgets`. Its figures are of the period that is going on when it is asked for,
    /// which it does not name; `LastUpdatedTime` is when somebody changed the budget itself.
    pub(super) fn budget_status(&mut self, budget: &Object, raw: &[u8], within: &Within) {
        let spent = budget.get("CalculatedSpend").and_then(Value::as_object);
        let at = within.hints.at;
        let at = at.or_else(|| budget.get("LastUpdatedTime").and_then(time));
        let limit = budget.get("BudgetLimit").or_else(|| planned(budget, at?));
        let Some(limit) = limit.and_then(spend) else {
            return self.ignore(Shape::ApiAnswer, raw, "a budget without a limit in force");
        };
        let sum = |name: &str| spend(spent?.get(name)?);
        let span = budget.get("TimePeriod");
        let end = |name: &str| span.and_then(|span| span.get(name)).and_then(time);
        let told = Told {
            source: "aws.budgets",
            detail_type: "AWS Budgets Status",
            account: within.hints.account.as_deref().unwrap_or_default(),
            region: "global",
            at,
            resources: Vec::new(),
            detail: json!({
                "budgetName": budget.get("BudgetName"),
                "budgetType": budget.get("BudgetType"),
                "timeUnit": budget.get("TimeUnit"),
                "start": end("Start"),
                "end": end("End"),
                "budgetedAmount": limit,
                "actualAmount": sum("ActualSpend"),
                "forecastedAmount": sum("ForecastedSpend"),
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// `GetCostForecast`.
    pub(super) fn forecast(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let moment = |at: Option<&Value>, name: &str| at?.get("TimePeriod")?.get(name).cloned();
        let (first, last) = {
            let mut days = list(answer, "ForecastResultsByTime");
            let first = days.next();
            (first, days.last().or(first))
        };
        let start = moment(first, "Start");
        let told = Told {
            source: "aws.ce",
            detail_type: "Cost Forecast",
            account: within.hints.account.as_deref().unwrap_or_default(),
            region: "global",
            at: (within.hints.at).or_else(|| start.as_ref().and_then(time)),
            resources: Vec::new(),
            detail: json!({
                "TimePeriod": { "Start": start, "End": moment(last, "End") },
                "Total": answer.get("Total"),
                "ForecastResultsByTime": answer.get("ForecastResultsByTime"),
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// `GetCostAndUsage`: each group of each period becomes a cost line in FOCUS' words.
    pub(super) fn costs(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let what = Shape::ApiAnswer;
        let Some(account) = within.hints.account.as_deref() else {
            let reason = "GetCostAndUsage: the answer names no account; send it with one";
            return self.refuse(what, raw, undecodable(reason.into()));
        };
        let keys: Vec<&str> = list(answer, "GroupDefinitions")
            .map(|group| group.get("Key").and_then(Value::as_str).unwrap_or_default())
            .collect();
        let before = self.parts.len();
        for period in list(answer, "ResultsByTime") {
            let totals = period
                .get("Total")
                .filter(|total| total.as_object().is_some_and(|total| !total.is_empty()));
            let whole = totals.map(|total| json!({ "Keys": [], "Metrics": total }));
            let groups = period.get("Groups").and_then(Value::as_array);
            for group in groups.into_iter().flatten().chain(&whole) {
                if let Some(row) = cost_row(period, group, &keys, account, within) {
                    let payload = row.to_string().into_bytes();
                    self.record(what, Topic::AwsBilling, payload, raw);
                }
            }
        }
        if self.parts.len() == before {
            self.ignore(what, raw, "GetCostAndUsage without costs");
        }
    }
}

/// An amount in our words.
fn spend(spend: &Value) -> Option<Value> {
    let unit = spend.get("Unit").cloned().unwrap_or_else(|| "USD".into());
    Some(json!({ "value": spend.get("Amount")?, "unit": unit }))
}

/// The limit in force of those planned: each stands under the second its period begins.
fn planned(budget: &Object, at: Timestamp) -> Option<&Value> {
    let planned = budget.get("PlannedBudgetLimits")?.as_object()?;
    let begun = planned.iter().filter_map(|(begin, limit)| {
        let begin = begin.parse::<i64>().ok()?.saturating_mul(1_000);
        (begin <= at.ms()).then_some((begin, limit))
    });
    begun
        .max_by_key(|(begin, _)| *begin)
        .map(|(_, limit)| limit)
}

fn list<'v>(object: &'v Object, name: &str) -> impl Iterator<Item = &'v Value> {
    object
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// `September 26, 2022`.
fn day_of(text: &str) -> Option<Timestamp> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let (month, day, year) = (words.next()?, words.next()?, words.next()?);
    let day: u8 = day.parse().ok()?;
    // RFC 2822 knows months by their first three letters.
    Timestamp::parse(&format!("{day} {} {year} 00:00:00 +0000", month.get(..3)?)).ok()
}

fn cost_row(
    period: &Value,
    group: &Value,
    keys: &[&str],
    account: &str,
    within: &Within,
) -> Option<Value> {
    let metrics = group.get("Metrics")?.as_object()?;
    let cost = |names: &[&str]| names.iter().find_map(|name| metrics.get(*name));
    let billed = cost(&[
        "UnblendedCost",
        "NetUnblendedCost",
        "BlendedCost",
        "AmortizedCost",
    ])?;
    let effective = cost(&["AmortizedCost", "NetAmortizedCost"]).unwrap_or(billed);
    let mut row = Map::new();
    row.insert("ProviderName".into(), "AWS".into());
    row.insert("SubAccountId".into(), account.into());
    row.insert("ServiceName".into(), "all".into());
    row.insert("x_UsageType".into(), "all".into());
    row.insert(
        "RegionId".into(),
        within.hints.region.as_deref().unwrap_or("global").into(),
    );
    row.insert("ChargeCategory".into(), "Usage".into());
    row.insert("BilledCost".into(), billed.get("Amount")?.clone());
    row.insert("EffectiveCost".into(), effective.get("Amount")?.clone());
    let unit = billed.get("Unit").cloned().unwrap_or_else(|| "USD".into());
    row.insert("BillingCurrency".into(), unit);
    row.insert("ChargePeriodStart".into(), day(period, "Start")?);
    row.insert("ChargePeriodEnd".into(), day(period, "End")?);
    row.insert(
        "x_Estimated".into(),
        period.get("Estimated").cloned().unwrap_or_default(),
    );
    // A row of one grouping is not a row of another.
    row.insert("ChargeDescription".into(), keys.join("+").into());
    let mut tags = Map::new();
    let values = group.get("Keys").and_then(Value::as_array);
    for (key, value) in keys.iter().zip(values.into_iter().flatten()) {
        let column = match *key {
            "LINKED_ACCOUNT" => "SubAccountId",
            "SERVICE" => "ServiceName",
            "USAGE_TYPE" => "x_UsageType",
            "REGION" => "RegionId",
            "RECORD_TYPE" => "ChargeCategory",
            "RESOURCE_ID" => "ResourceId",
            // Tags come as `Name$value`; an empty value is what has no such tag.
            _ => {
                let value = value.as_str().unwrap_or_default();
                let (name, value) = value.split_once('$').unwrap_or((key, value));
                tags.insert(name.to_owned(), value.into());
                continue;
            }
        };
        if value.as_str().is_some_and(|value| !value.is_empty()) {
            row.insert(column.into(), value.clone());
        }
    }
    row.insert("Tags".into(), Value::Object(tags));
    Some(Value::Object(row))
}

fn day(period: &Value, end: &str) -> Option<Value> {
    let text = period.get("TimePeriod")?.get(end)?.as_str()?;
    // Days have no hour here, hours have.
    let whole = if text.len() == "2026-01-31".len() {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    time(&Value::String(whole.clone())).map(|_| Value::String(whole))
}
