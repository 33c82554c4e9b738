//! Which findings hide, join or block others: the coordinator's judgement as data, with reasons.
//!
//! Order between exclusive actions is `ActionKind::exclusive_rank`.

use crate::model::{ActionKind, AgentName, Finding, Severity, Usd};

/// One misconfiguration, one row: an open `strong` finding hides `weak` ones of its subject.
pub(super) struct Subsumption {
    pub(super) strong: &'static str,
    pub(super) weak: &'static [&'static str],
    pub(super) why: &'static str,
}

/// Every subsumption.
pub(super) const SUBSUMPTIONS: &[Subsumption] = &[Subsumption {
    strong: "SEC-SG-1",
    weak: &[
        "SEC-SG-2", "SEC-SG-3", "SEC-SG-4", "SEC-SG-5", "SEC-SG-6", "SEC-SG-7",
    ],
    why: "every port is open already; closing that closes this",
}];

/// A finding that shows another's harm from the victim's side: it joins that recommendation.
pub(super) struct Joining {
    pub(super) rule: &'static str,
    pub(super) into: ActionKind,
}

/// Every joining.
pub(super) const JOININGS: &[Joining] = &[Joining {
    // An instance is exposed through its group: revoking the group's permission mends both.
    rule: "SEC-EXP-1",
    into: ActionKind::RevokeIngress,
}];

/// Which changes of a kind a veto stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All.
    Every,
    /// Those that take capacity away.
    Reducing,
}

/// Open findings on an owner that hold back changes of the same owner.
pub(super) struct Veto {
    /// Rule ids; one that ends in `-` stands for every rule that begins so.
    pub(super) rules: &'static [&'static str],
    pub(super) severity_min: Severity,
    pub(super) blocks: &'static [(ActionKind, Reach)],
    pub(super) why: &'static str,
}

/// Every veto.
pub(super) const VETOES: &[Veto] = &[
    Veto {
        rules: &[
            "PERF-EC2-1",
            "PERF-EC2-2",
            "PERF-EC2-3",
            "PERF-EC2-4",
            "PERF-EBS-2",
        ],
        severity_min: Severity::High,
        // Scheduling stays possible: a resource short of capacity by day may still sleep by night.
        blocks: &[
            (ActionKind::Terminate, Reach::Every),
            (ActionKind::Stop, Reach::Every),
            (ActionKind::Rightsize, Reach::Reducing),
            (ActionKind::Scale, Reach::Reducing),
        ],
        why: "it is short of capacity, so none is taken away",
    },
    Veto {
        rules: &["SEV-"],
        severity_min: Severity::Critical,
        blocks: &[
            (ActionKind::Terminate, Reach::Every),
            (ActionKind::Delete, Reach::Every),
        ],
        why: "a security incident is open; deleting would destroy evidence",
    },
];

/// Why a change that takes capacity away loses to one of the same kind that adds some.
pub(super) const OPPOSITE: &str = "it asks for more capacity where this would take some away";

/// Whether the finding falls under the veto.
pub(super) fn applies(veto: &Veto, finding: &Finding) -> bool {
    finding.severity >= veto.severity_min
        && veto.rules.iter().any(|rule| {
            if rule.ends_with('-') {
                finding.rule.starts_with(rule)
            } else {
                finding.rule == *rule
            }
        })
}

/// Whether the veto stops this change.
pub(super) fn blocks(veto: &Veto, finding: &Finding, action: ActionKind) -> bool {
    veto.blocks
        .iter()
        .any(|(kind, reach)| *kind == action && (*reach == Reach::Every || reducing(finding)))
}

/// Whether the finding's proposal takes capacity away: it says so (`direction`), saves money, or
/// comes from the agent that only ever saves.
pub(super) fn reducing(finding: &Finding) -> bool {
    let Some(proposal) = &finding.proposal else {
        return false;
    };
    match proposal.parameters.get("direction").map(String::as_str) {
        Some("down") => true,
        Some("up") => false,
        _ => {
            finding.agent == AgentName::Cost
                || proposal
                    .savings
                    .as_ref()
                    .is_some_and(|savings| savings.monthly > Usd::ZERO)
        }
    }
}
