#![doc = include_str!("credits_exhausted.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Measure, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const BALANCE: Metric = Metric {
    namespace: "AWS/EC2",
    name: "CPUCreditBalance",
};
const SURPLUS: Metric = Metric {
    namespace: "AWS/EC2",
    name: "CPUSurplusCreditsCharged",
};
/// Part of the most credits an instance can hold (catalogue).
const LOW_PART: f64 = 0.10;
/// For how long (catalogue).
const LOW_MS: i64 = 30 * Timestamp::MINUTE;

static META: Meta = Meta {
    id: "PERF-EC2-3",
    title: "Burstable instance runs out of CPU credits",
    agent: AgentName::Performance,
    severity: Severity::High,
    needs: Needs {
        subjects: &["instance"],
        metrics: &[BALANCE, SURPLUS],
        items: &[ItemKind::Instance],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData", "ec2:DescribeInstances"],
    controls: &[],
    remediation: "Switch credits to unlimited, or move to a family without credits.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("credits_exhausted.md"),
};

/// PERF-EC2-3.
pub struct CreditsExhausted;

/// The most credits a type can hold: what it earns in 24 hours (EC2 user guide, burstable
/// performance instances).
fn credits_max(class: &str) -> Option<f64> {
    let (family, size) = class.split_once('.')?;
    let t2 = match family {
        "t2" => true,
        "t3" | "t3a" | "t4g" => false,
        _ => return None,
    };
    Some(match (size, t2) {
        ("nano", true) => 72.0,
        ("nano", false) | ("micro", true) => 144.0,
        ("micro", false) | ("small", true) => 288.0,
        ("small", false) | ("medium", _) => 576.0,
        ("large", _) => 864.0,
        ("xlarge", true) => 1_296.0,
        ("2xlarge", true) => 1_958.4,
        ("xlarge", false) => 2_304.0,
        ("2xlarge", false) => 4_608.0,
        _ => return None,
    })
}

impl Rule for CreditsExhausted {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let charged = case.series(SURPLUS).and_then(|view| view.newest().copied());
        if let Some(charged) = charged.filter(|point| point.max > 0.0) {
            return Verdict::found(Self::found(
                case,
                format!("surplus credits were charged: {:.1}", charged.sum),
                evidence(SURPLUS.name, format!("{:.1}", charged.sum), "0", charged.at),
            ));
        }
        let Some(view) = case.series(BALANCE) else {
            return Verdict::Silent;
        };
        let Some(most) = case.thing().and_then(|thing| credits_max(&thing.class)) else {
            return Verdict::Silent;
        };
        let low = LOW_PART * most;
        let since = match view.run(|point| point.average() < low) {
            Ok(None) => return Verdict::Clear,
            Ok(Some(since)) | Err(since) if case.as_of.since(since) >= LOW_MS => since,
            _ => return Verdict::Silent,
        };
        let balance = view
            .newest()
            .map_or(0.0, crate::rules::stats::Point::average);
        Verdict::found(Self::found(
            case,
            format!("the credit balance has been below {low:.1} of {most} since {since}"),
            evidence(
                BALANCE.name,
                format!("{balance:.1}"),
                format!("{low:.1}"),
                case.as_of,
            ),
        ))
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let most = credits_max(&case.thing()?.class)?;
        let balance = case.series(BALANCE)?.newest()?.average();
        Some(Measure::below(
            "credit balance",
            balance,
            LOW_PART * most,
            "credits",
        ))
    }
}

impl CreditsExhausted {
    fn found(case: &Case<'_>, why: String, evidence: crate::model::Evidence) -> Found {
        let class = case
            .thing()
            .map_or_else(String::new, |thing| thing.class.to_string());
        Found::new(META.severity, why, vec![evidence]).propose(proposal(
            ActionKind::ChangeCredits,
            [("credits", "unlimited".into()), ("type", class)],
        ))
    }
}
