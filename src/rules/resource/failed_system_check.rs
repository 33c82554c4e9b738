#![doc = include_str!("failed_system_check.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Measure, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const FAILED: Metric = Metric {
    namespace: "AWS/EC2",
    name: "StatusCheckFailed_System",
};
/// Failed points in a row (catalogue: 2 × 1 min).
const POINTS: usize = 2;
/// Points further apart than this are not in a row; `CloudWatch`'s basic period is 5 min.
const GAP_MS: i64 = 10 * Timestamp::MINUTE;

static META: Meta = Meta {
    id: "RES-STATE-2",
    title: "Instance fails its system status check",
    agent: AgentName::Resource,
    severity: Severity::High,
    needs: Needs {
        subjects: &["instance"],
        metrics: &[FAILED],
        items: &[ItemKind::Instance],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData"],
    controls: &[],
    remediation: "Stop and start the instance so that it moves to healthy hardware.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("failed_system_check.md"),
};

/// RES-STATE-2.
pub struct FailedSystemCheck;

impl Rule for FailedSystemCheck {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(view) = case.series(FAILED) else {
            return Verdict::Silent;
        };
        let mut failed = 0;
        let mut first = None;
        for point in view.back() {
            let apart = first.is_some_and(|later: Timestamp| later.since(point.at) > GAP_MS);
            if point.max < 1.0 || apart {
                break;
            }
            failed += 1;
            first = Some(point.at);
            if failed == POINTS {
                break;
            }
        }
        match (view.newest(), first) {
            (Some(newest), Some(first)) if failed >= POINTS => Verdict::found(
                Found::new(
                    META.severity,
                    format!(
                        "the system status check failed at {first} and at {}",
                        newest.at
                    ),
                    vec![evidence(
                        FAILED.name,
                        format!("{POINTS} failed points in a row"),
                        format!("{POINTS}"),
                        newest.at,
                    )],
                )
                .propose(proposal(ActionKind::Recover, [])),
            ),
            // One failed point alone is neither: the next one decides.
            (_, Some(_)) => Verdict::Silent,
            _ => Verdict::Clear,
        }
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let view = case.series(FAILED)?;
        let failed = view.back().take_while(|point| point.max >= 1.0).count();
        let (failed, wanted) = (failed as f64, POINTS as f64);
        Some(Measure::above(
            "failed checks in a row",
            failed,
            wanted,
            "points",
        ))
    }
}
