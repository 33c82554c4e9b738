//! What a recommendation says to a person: title, reasons, evidence, targets, savings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::conflicts::JOININGS;
use crate::model::{ActionKind, AgentName, Evidence, Finding, Savings, Subject, Suppressed, Usd};

/// Numbers a recommendation carries.
pub(super) const EVIDENCE_MAX: usize = 20;
/// Reasons an agent gives in one recommendation.
const REASONS_MAX: usize = 3;
/// Resources named in one sentence.
const NAMED_MAX: usize = 10;
/// Hidden findings and actions listed.
const HIDES_MAX: usize = 50;

/// What the change is called.
fn verb(action: ActionKind) -> &'static str {
    match action {
        ActionKind::Terminate => "Terminate",
        ActionKind::Stop => "Stop",
        ActionKind::Rightsize => "Resize",
        ActionKind::Upgrade => "Upgrade",
        ActionKind::Schedule => "Schedule",
        ActionKind::Delete => "Delete",
        ActionKind::Scale => "Scale",
        ActionKind::RevokeIngress => "Revoke ingress of",
        ActionKind::Tag => "Tag",
        ActionKind::Recover => "Recover",
        ActionKind::ChangeCredits => "Change CPU credits of",
        ActionKind::Investigate => "Look into",
    }
}

/// The title of an open recommendation; the worst finding gives the reason.
pub(super) fn title(owner: &Subject, action: ActionKind, findings: &[&Finding]) -> String {
    let place = format!("{} {}", verb(action), owner.resource());
    let Some(first) = worst_first(findings).first().copied() else {
        return place;
    };
    match findings.len() - 1 {
        0 => format!("{place}: {}", first.title),
        1 => format!("{place}: {} (and 1 more reason)", first.title),
        more => format!("{place}: {} (and {more} more reasons)", first.title),
    }
}

/// The title of a resolved recommendation.
pub(super) fn title_resolved(owner: &Subject, action: ActionKind) -> String {
    format!("{} {}: no reason is left", verb(action), owner.resource())
}

/// Each agent's reasons, worst first.
pub(super) fn why(owner: &Subject, findings: &[&Finding]) -> Vec<(AgentName, String)> {
    let mut by_agent: BTreeMap<AgentName, Vec<&str>> = BTreeMap::new();
    for finding in worst_first(findings) {
        let reasons = by_agent.entry(finding.agent).or_default();
        if !reasons.contains(&finding.why.as_str()) {
            reasons.push(&finding.why);
        }
    }
    by_agent
        .into_iter()
        .map(|(agent, reasons)| {
            let mut text = reasons[..reasons.len().min(REASONS_MAX)].join("; ");
            if reasons.len() > REASONS_MAX {
                let more = (reasons.len() - REASONS_MAX).to_string();
                text.extend(["; and ", &more, " more"]);
            }
            if agent == AgentName::Security
                && let Some(reached) = reached(owner, findings)
            {
                text += &reached;
            }
            (agent, text)
        })
        .collect()
}

/// The resources seen from the victim's side.
fn reached(owner: &Subject, findings: &[&Finding]) -> Option<String> {
    let names: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| {
            finding.subject != *owner && JOININGS.iter().any(|join| join.rule == finding.rule)
        })
        .map(|finding| finding.subject.resource())
        .collect();
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    let named: Vec<&str> = names.into_iter().take(NAMED_MAX).collect();
    let mut text = format!("; reaches {}", named.join(", "));
    if more > 0 {
        text.extend([" and ", &more.to_string(), " more"]);
    }
    Some(text)
}

/// The findings' numbers, newest first, each once.
pub(super) fn evidence(findings: &[&Finding]) -> Vec<Evidence> {
    let mut all: Vec<&Evidence> = findings
        .iter()
        .flat_map(|finding| &finding.evidence)
        .collect();
    all.sort_by(|a, b| {
        (Reverse(a.at), &a.name, &a.value, &a.threshold).cmp(&(
            Reverse(b.at),
            &b.name,
            &b.value,
            &b.threshold,
        ))
    });
    all.dedup();
    all.into_iter().take(EVIDENCE_MAX).cloned().collect()
}

/// A change's target with its parameters.
pub(super) type Target = (Subject, BTreeMap<SmolStr, String>);

/// What exactly is changed, and what that saves. One change of one resource saves once, however
/// many findings ask for it; and a resource is given one new size, not two: of several proposals
/// with exclusive actions the one that saves most stands.
pub(super) fn targets(action: ActionKind, findings: &[&Finding]) -> (Vec<Target>, Option<Savings>) {
    let mut proposals: Vec<(&Subject, &Finding)> = findings
        .iter()
        .filter_map(|finding| {
            let proposal = finding.proposal.as_ref()?;
            (proposal.action == action && action != ActionKind::Investigate).then(|| {
                (
                    proposal.target.as_ref().unwrap_or(&finding.subject),
                    *finding,
                )
            })
        })
        .collect();
    proposals.sort_by_key(|(target, finding)| {
        let (severity, rule, id) = (finding.severity, &finding.rule, &finding.id);
        (
            *target,
            Reverse(monthly(finding)),
            Reverse(severity),
            rule,
            id,
        )
    });
    let exclusive = action.exclusive_rank().is_some();
    let mut targets: Vec<Target> = Vec::new();
    let mut counted: Vec<&Savings> = Vec::new();
    let mut previous = None;
    for (target, finding) in proposals {
        let Some(proposal) = &finding.proposal else {
            continue;
        };
        let leads = previous != Some(target);
        previous = Some(target);
        if leads {
            counted.extend(&proposal.savings);
        }
        let entry = (target.clone(), proposal.parameters.clone());
        if (leads || !exclusive) && !targets.contains(&entry) {
            targets.push(entry);
        }
    }
    targets.sort();
    (targets, total(&counted))
}

fn monthly(finding: &Finding) -> Option<Usd> {
    let savings = finding.proposal.as_ref()?.savings.as_ref()?;
    Some(savings.monthly)
}

/// The sum, with every price source named and the oldest price's date.
fn total(counted: &[&Savings]) -> Option<Savings> {
    let sources: BTreeSet<&str> = counted
        .iter()
        .map(|one| one.price_source.as_str())
        .collect();
    Some(Savings {
        monthly: counted.iter().map(|one| one.monthly).sum(),
        price_source: sources.into_iter().collect::<Vec<_>>().join(", ").into(),
        price_date: counted.iter().map(|one| &one.price_date).min()?.clone(),
    })
}

/// Sorts, drops repeats and bounds a list of what is hidden.
pub(super) fn tidy(mut list: Vec<Suppressed>) -> Vec<Suppressed> {
    list.sort_by(|a, b| (&a.what, &a.why).cmp(&(&b.what, &b.why)));
    list.dedup();
    if list.len() > HIDES_MAX {
        let more = list.len() - HIDES_MAX;
        list.truncate(HIDES_MAX);
        list.push(Suppressed {
            what: "…".into(),
            why: format!("and {more} more"),
        });
    }
    list
}

fn worst_first<'a>(findings: &[&'a Finding]) -> Vec<&'a Finding> {
    let mut sorted = findings.to_vec();
    sorted.sort_by_key(|finding| (Reverse(finding.severity), &finding.rule, &finding.id));
    sorted
}
