#![doc = include_str!("budget.md")]

use crate::model::{ActionKind, AgentName, EventKind, Severity, Timestamp};
use crate::rules::budget::{Budget, FORESEEN, PLANNED, THRESHOLDS};
use crate::rules::{Case, Found, Measure, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Confidence in a forecast. OURS: AWS gives it with an interval it is within four times of five.
const FORECAST_CONFIDENCE: f64 = 0.8;

static META: Meta = Meta {
    id: "COST-BUD-1",
    title: "Budget is being used up",
    agent: AgentName::Cost,
    severity: Severity::High,
    needs: Needs {
        subjects: &["budget", PLANNED],
        events: &[EventKind::Budget],
        ..Needs::NONE
    },
    permissions: &["budgets:ViewBudget", "ce:GetCostAndUsage"],
    controls: &[],
    remediation: "Find what grew, and end it or raise the budget.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("budget.md"),
};

/// COST-BUD-1.
pub struct BudgetUsed;

fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

fn spent(case: &Case<'_>, budget: &Budget) -> Option<Found> {
    let (at, actual) = budget.actual.filter(|_| budget.reached > 0)?;
    let severity = match budget.reached {
        100.. => Severity::Critical,
        80.. => Severity::High,
        _ => Severity::Medium,
    };
    let (sum, limit) = (budget.shown(actual), budget.shown(budget.limit));
    let why = format!(
        "budget {}: {sum} of {limit} are spent in the period from {} ({}), {} % or more",
        case.subject.id(),
        day(budget.start),
        budget.percent(actual),
        budget.reached
    );
    let threshold = format!("below {} % of {limit}", budget.reached);
    let mut found = Found::new(
        severity,
        why,
        vec![evidence("actual spend", sum, threshold, at)],
    )
    .discriminator("actual")
    .since(at)
    .propose(proposal(ActionKind::Investigate, []));
    found.facts = budget.reached.to_string().into();
    Some(found)
}

fn foreseen(case: &Case<'_>, budget: &Budget) -> Option<Found> {
    let (at, forecast) = budget.forecast.filter(|_| budget.foreseen)?;
    let (sum, limit) = (budget.shown(forecast), budget.shown(budget.limit));
    let why = format!(
        "budget {}: {sum} of {limit} will be spent by {} ({}), AWS forecasts",
        case.subject.id(),
        day(budget.end),
        budget.percent(forecast)
    );
    let threshold = format!("below {FORESEEN} % of {limit}");
    Some(
        Found::new(
            Severity::High,
            why,
            vec![evidence("forecast spend", sum, threshold, at)],
        )
        .discriminator("forecast")
        .since(at)
        .confidence(FORECAST_CONFIDENCE)
        .propose(proposal(ActionKind::Investigate, [])),
    )
}

impl Rule for BudgetUsed {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(budget) = &case.memory.budget else {
            return Verdict::Silent;
        };
        // The next period has a finding of its own.
        if case.now >= budget.end {
            return Verdict::Clear;
        }
        let found = [spent(case, budget), foreseen(case, budget)];
        Verdict::found_or_clear(found.into_iter().flatten())
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Some(case.memory.budget.as_ref()?.end)
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let budget = case.memory.budget.as_ref()?;
        let limit = budget.limit.as_f64();
        Some(Measure::above(
            "part of the budget that is spent",
            budget.actual?.1.as_f64() / limit * 100.0,
            f64::from(THRESHOLDS[0]),
            "%",
        ))
    }
}
