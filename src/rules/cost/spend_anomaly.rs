#![doc = include_str!("spend_anomaly.md")]

use crate::model::{ActionKind, AgentName, Severity, Timestamp};
use crate::rules::spend::{Spend, end_of, usd};
use crate::rules::stats::median;
use crate::rules::{Case, Found, Measure, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Days compared with (catalogue).
const WINDOW_DAYS: i64 = 28;
/// Length of a season (catalogue).
const SEASON_DAYS: i64 = 7;
/// Days of history before anything is said. OURS: two seasons.
const HISTORY_MIN: usize = 14;
/// Width of the band in standard deviations, and what makes a MAD one (catalogue).
const WIDTH: f64 = 3.0;
const MAD_SIGMA: f64 = 1.4826;
/// Least impact in USD and as a part of what was expected (Cost Anomaly Detection's two kinds).
const IMPACT_USD: f64 = 50.0;
const IMPACT_PART: f64 = 0.30;
/// A day without newer ones counts as complete this long after its end: billing lags.
const COMPLETE_MS: i64 = Timestamp::DAY;

static META: Meta = Meta {
    id: "COST-ANOM-1",
    title: "Daily spend is unusually high",
    agent: AgentName::Cost,
    severity: Severity::Medium,
    needs: Needs {
        subjects: &["usage"],
        costs: true,
        ..Needs::NONE
    },
    permissions: &["s3:GetObject", "ce:GetCostAndUsage"],
    controls: &[],
    remediation: "Find what was started or changed in the day before.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("spend_anomaly.md"),
};

/// COST-ANOM-1.
pub struct SpendAnomaly;

/// What a day was compared with.
struct Comparison {
    day: i64,
    spent: f64,
    expected: f64,
    band: f64,
}

impl Comparison {
    fn of(spend: &Spend, day: i64) -> Option<Self> {
        let spent = spend.day(day)?.as_f64();
        let history = spend.range(day - WINDOW_DAYS, day - 1);
        if history.len() < HISTORY_MIN {
            return None;
        }
        let usual = |day: i64| {
            let mut same: Vec<f64> = history
                .iter()
                .filter(|(other, _)| (day - other).rem_euclid(SEASON_DAYS) == 0)
                .map(|(_, spent)| *spent)
                .collect();
            (!same.is_empty()).then(|| median(&mut same))
        };
        let expected = usual(day)?;
        let mut apart: Vec<f64> = history
            .iter()
            .filter_map(|(day, spent)| Some((spent - usual(*day)?).abs()))
            .collect();
        let band = WIDTH * MAD_SIGMA * median(&mut apart);
        Some(Self {
            day,
            spent,
            expected,
            band,
        })
    }

    fn impact(&self) -> f64 {
        self.spent - self.expected
    }

    fn unusual(&self) -> bool {
        self.impact() > self.band
            && self.impact() >= IMPACT_USD
            && self.impact() >= IMPACT_PART * self.expected
    }

    fn found(&self, case: &Case<'_>) -> Found {
        let begin = Timestamp::from_ms(self.day.saturating_mul(Timestamp::DAY));
        let impact = self.impact();
        let severity = match impact {
            impact if impact >= 1_000.0 => Severity::High,
            impact if impact >= 200.0 => Severity::Medium,
            _ => Severity::Low,
        };
        let usage = case.subject.id();
        let day = begin.to_string();
        let day = day.split('T').next().unwrap_or_default();
        let mut found = Found::new(
            severity,
            format!(
                "on {day} {usage} cost {}, {} more than the {} expected of such a day",
                usd(self.spent),
                usd(impact),
                usd(self.expected)
            ),
            vec![evidence(
                "spend of the day",
                usd(self.spent).to_string(),
                usd(self.expected + self.band.max(IMPACT_USD)).to_string(),
                begin,
            )],
        )
        .since(begin)
        .confidence(0.8)
        .propose(proposal(ActionKind::Investigate, []));
        found.facts = day.into();
        found
    }
}

impl Rule for SpendAnomaly {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some((spend, newest)) = case
            .memory
            .spend
            .as_ref()
            .and_then(|spend| Some((spend, spend.newest()?)))
        else {
            return Verdict::Silent;
        };
        // A day that is not over yet can already be too dear, but not yet be fine.
        let today = Comparison::of(spend, newest);
        if let Some(today) = today.as_ref().filter(|today| today.unusual()) {
            return Verdict::found(today.found(case));
        }
        let complete = case.now >= end_of(newest).plus(COMPLETE_MS);
        if complete {
            return if today.is_some() {
                Verdict::Clear
            } else {
                Verdict::Silent
            };
        }
        match Comparison::of(spend, newest - 1) {
            Some(yesterday) if yesterday.unusual() => Verdict::found(yesterday.found(case)),
            Some(_) => Verdict::Clear,
            None => Verdict::Silent,
        }
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Some(end_of(case.memory.spend.as_ref()?.newest()?).plus(COMPLETE_MS))
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let spend = case.memory.spend.as_ref()?;
        let newest = Comparison::of(spend, spend.newest()?)?;
        let least = IMPACT_USD
            .max(newest.band)
            .max(IMPACT_PART * newest.expected);
        Some(Measure::above(
            "spend of the newest day above what was expected",
            newest.impact(),
            least,
            "USD",
        ))
    }
}
