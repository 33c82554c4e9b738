#![doc = include_str!("failing_targets.md")]

use crate::model::{ActionKind, AgentName, Severity};
use crate::rules::{Case, Found, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const REQUESTS: Metric = Metric {
    namespace: "AWS/ApplicationELB",
    name: "RequestCount",
};
const FAILED: Metric = Metric {
    namespace: "AWS/ApplicationELB",
    name: "HTTPCode_Target_5XX_Count",
};
/// Part of the requests that may fail (catalogue).
const FAILED_PART: f64 = 0.01;
/// Points in a row above it (catalogue: 3 × 5 min).
const POINTS: usize = 3;
/// Requests in each of them. OURS: three failures of twenty by night are no trend.
const REQUESTS_MIN: f64 = 100.0;

static META: Meta = Meta {
    id: "PERF-ELB-1",
    title: "Targets of a load balancer fail requests",
    agent: AgentName::Performance,
    severity: Severity::High,
    needs: Needs {
        subjects: &["load-balancer"],
        metrics: &[REQUESTS, FAILED],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData"],
    controls: &[],
    remediation: "Look at what was deployed or changed just before, and roll it back.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("failing_targets.md"),
};

/// PERF-ELB-1.
pub struct FailingTargets;

impl Rule for FailingTargets {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(requests) = case.series(REQUESTS) else {
            return Verdict::Silent;
        };
        let failed = case.series(FAILED);
        // A period without failures has no point of them.
        let failed_at = |at| {
            failed
                .and_then(|view| view.back().find(|point| point.at == at))
                .map_or(0.0, |point| f64::from(point.sum))
        };
        let parts: Vec<f64> = requests
            .back()
            .take(POINTS)
            .map(|point| {
                let all = f64::from(point.sum);
                if all < REQUESTS_MIN {
                    0.0
                } else {
                    failed_at(point.at) / all
                }
            })
            .take_while(|part| *part > FAILED_PART)
            .collect();
        if parts.is_empty() {
            return Verdict::Clear;
        }
        if parts.len() < POINTS {
            return Verdict::Silent;
        }
        let least = 100.0 * parts.iter().copied().fold(f64::MAX, f64::min);
        Verdict::found(
            Found::new(
                META.severity,
                format!("at least {least:.1} % of requests failed in {POINTS} periods in a row"),
                vec![evidence(
                    FAILED.name,
                    format!("{:.1} % of requests", 100.0 * parts[0]),
                    format!("{:.0} %", 100.0 * FAILED_PART),
                    case.as_of,
                )],
            )
            .propose(proposal(ActionKind::Investigate, [])),
        )
    }
}
