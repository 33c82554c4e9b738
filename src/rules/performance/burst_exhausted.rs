#![doc = include_str!("burst_exhausted.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity, Timestamp};
use crate::rules::stats::Point;
use crate::rules::{Case, Found, Measure, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const BALANCE: Metric = Metric {
    namespace: "AWS/EBS",
    name: "BurstBalance",
};
/// Percent of burst credits that is too low, and for how long (catalogue).
const LOW_PERCENT: f64 = 20.0;
const LOW_MS: i64 = 30 * Timestamp::MINUTE;
/// Volume types that have burst credits.
const BURSTING: [&str; 3] = ["gp2", "st1", "sc1"];

static META: Meta = Meta {
    id: "PERF-EBS-2",
    title: "Volume runs out of burst credits",
    agent: AgentName::Performance,
    severity: Severity::High,
    needs: Needs {
        subjects: &["volume"],
        metrics: &[BALANCE],
        items: &[ItemKind::Volume],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData", "ec2:DescribeVolumes"],
    controls: &[],
    remediation: "Change the volume to gp3, which has no burst credits.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("burst_exhausted.md"),
};

/// PERF-EBS-2.
pub struct BurstExhausted;

impl Rule for BurstExhausted {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let class = case.thing().map(|volume| volume.class.as_str());
        if class.is_some_and(|class| !BURSTING.contains(&class)) {
            return Verdict::Clear;
        }
        let Some(view) = case.series(BALANCE) else {
            return Verdict::Silent;
        };
        let since = match view.run(|point| point.average() < LOW_PERCENT) {
            Ok(None) => return Verdict::Clear,
            Ok(Some(since)) | Err(since) if case.as_of.since(since) >= LOW_MS => since,
            _ => return Verdict::Silent,
        };
        let balance = view.newest().map_or(0.0, Point::average);
        let from = class.unwrap_or("unknown").to_owned();
        Verdict::found(
            Found::new(
                META.severity,
                format!("the burst balance has been below {LOW_PERCENT} % since {since}"),
                vec![evidence(
                    BALANCE.name,
                    format!("{balance:.1} %"),
                    format!("{LOW_PERCENT} %"),
                    case.as_of,
                )],
            )
            .propose(proposal(
                ActionKind::Upgrade,
                [("from", from), ("to", "gp3".into())],
            )),
        )
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let class = case.thing().map(|volume| volume.class.as_str());
        if class.is_some_and(|class| !BURSTING.contains(&class)) {
            return None;
        }
        let balance = case.series(BALANCE)?.newest()?.average();
        Some(Measure::below("burst balance", balance, LOW_PERCENT, "%"))
    }
}
