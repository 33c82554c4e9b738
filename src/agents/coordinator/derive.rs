//! From the open findings of one owner to its recommendations: a pure function of the set.
//!
//! Nothing here knows what was recommended before or in which order findings came, which is why
//! two runs that end with the same findings end with the same advice.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::conflicts::{self, JOININGS, OPPOSITE, SUBSUMPTIONS, VETOES, Veto};
use super::{priority, words};
use crate::model::{
    ActionKind, AgentName, Environment, Finding, FindingId, Recommendation, RecommendationId,
    RecommendationState, Savings, Severity, Subject, Suppressed, Timestamp, Usd,
};

/// The open findings of one owner.
pub(super) type Findings = BTreeMap<FindingId, Finding>;

/// What one kind of change rests on.
#[derive(Default)]
struct Group<'a> {
    members: Vec<&'a Finding>,
    vetoed: Vec<(&'a Finding, Vec<Suppressed>)>,
    hidden: Vec<(&'a Finding, &'static str)>,
}

/// The recommendations that hold, with blank cycle, revision, seq, epoch and `opened_at`; `at` is
/// the newest edge among the findings behind them.
pub(super) fn derive(owner: &Subject, open: &Findings) -> BTreeMap<ActionKind, Recommendation> {
    let mut rows: BTreeMap<ActionKind, Recommendation> = group(open)
        .into_iter()
        .map(|(action, group)| (action, recommend(owner, action, group)))
        .collect();
    exclude(&mut rows);
    rows
}

/// What one pass over the open findings yields for judging each of them.
struct Bench<'a> {
    /// Findings that hide others, by rule and subject.
    strong: BTreeMap<(&'a str, &'a Subject), &'a Finding>,
    /// Findings that veto.
    vetoing: Vec<(&'a Veto, &'a Finding)>,
    /// Findings that ask for more capacity, with the kind of change.
    growing: Vec<(ActionKind, &'a Finding)>,
    /// Kinds of change proposed by findings that join no other.
    proposed: BTreeSet<ActionKind>,
}

impl<'a> Bench<'a> {
    fn new(open: &'a Findings) -> Self {
        let mut bench = Self {
            strong: BTreeMap::new(),
            vetoing: Vec::new(),
            growing: Vec::new(),
            proposed: BTreeSet::new(),
        };
        for finding in open.values() {
            let rule = finding.rule.as_str();
            if SUBSUMPTIONS.iter().any(|entry| entry.strong == rule) {
                let place = bench.strong.entry((rule, &finding.subject));
                place.or_insert(finding);
            }
            let vetoes = VETOES
                .iter()
                .filter(|veto| conflicts::applies(veto, finding));
            bench.vetoing.extend(vetoes.map(|veto| (veto, finding)));
            let Some(action) = proposal(finding) else {
                continue;
            };
            if matches!(action, ActionKind::Rightsize | ActionKind::Scale)
                && !conflicts::reducing(finding)
            {
                bench.growing.push((action, finding));
            }
            if JOININGS.iter().all(|join| join.rule != rule) {
                bench.proposed.insert(action);
            }
        }
        bench
    }

    /// The finding that hides this one. A strong finding is never weak itself, so its row exists.
    fn subsumed(&self, finding: &Finding) -> Option<(&'a Finding, &'static str)> {
        SUBSUMPTIONS
            .iter()
            .filter(|entry| entry.weak.contains(&finding.rule.as_str()))
            .find_map(|entry| {
                let strong = self.strong.get(&(entry.strong, &finding.subject))?;
                Some((*strong, entry.why))
            })
    }

    /// The change a finding stands for: the one it joins, its proposal, or a look by a person.
    fn action(&self, finding: &Finding) -> ActionKind {
        JOININGS
            .iter()
            .find(|join| join.rule == finding.rule && self.proposed.contains(&join.into))
            .map(|join| join.into)
            .or_else(|| proposal(finding))
            .unwrap_or(ActionKind::Investigate)
    }

    /// Whatever holds this change back. Growing wins over shrinking: a resource too small fails
    /// its users, one too large only costs money.
    fn vetoes(&self, finding: &Finding, action: ActionKind) -> Vec<Suppressed> {
        let vetoes = self
            .vetoing
            .iter()
            .filter(|(veto, _)| conflicts::blocks(veto, finding, action))
            .map(|(veto, other)| (*other, veto.why));
        let opposed = self
            .growing
            .iter()
            .filter(|(kind, _)| *kind == action && conflicts::reducing(finding))
            .map(|(_, other)| (*other, OPPOSITE));
        vetoes
            .chain(opposed)
            .filter(|(other, _)| other.id != finding.id)
            .map(|(other, why)| Suppressed {
                what: other.rule.clone(),
                why: format!("{}: {why}", other.subject.resource()),
            })
            .collect()
    }
}

fn proposal(finding: &Finding) -> Option<ActionKind> {
    finding.proposal.as_ref().map(|proposal| proposal.action)
}

fn group(open: &Findings) -> BTreeMap<ActionKind, Group<'_>> {
    let bench = Bench::new(open);
    let mut groups: BTreeMap<ActionKind, Group<'_>> = BTreeMap::new();
    for finding in open.values() {
        if let Some((strong, why)) = bench.subsumed(finding) {
            let group = groups.entry(bench.action(strong)).or_default();
            group.hidden.push((finding, why));
            continue;
        }
        let action = bench.action(finding);
        let held_by = bench.vetoes(finding, action);
        let group = groups.entry(action).or_default();
        if held_by.is_empty() {
            group.members.push(finding);
        } else {
            group.vetoed.push((finding, held_by));
        }
    }
    groups
}

fn recommend(owner: &Subject, action: ActionKind, group: Group<'_>) -> Recommendation {
    let Group {
        mut members,
        vetoed,
        hidden,
    } = group;
    let mut hides: Vec<Suppressed> = hidden
        .iter()
        .map(|(finding, why)| Suppressed {
            what: finding.rule.clone(),
            why: format!("{}: {why}", finding.subject.resource()),
        })
        .collect();
    let mut held_by = Vec::new();
    let state = if members.is_empty() && !vetoed.is_empty() {
        for (finding, reasons) in vetoed {
            members.push(finding);
            held_by.extend(reasons);
        }
        RecommendationState::Vetoed
    } else {
        for (finding, reasons) in vetoed {
            hides.extend(reasons.into_iter().map(|reason| Suppressed {
                what: finding.rule.clone(),
                why: format!("held back by {} on {}", reason.what, reason.why),
            }));
        }
        RecommendationState::Open
    };
    let severity = members
        .iter()
        .chain(hidden.iter().map(|(finding, _)| finding))
        .map(|finding| finding.severity)
        .max()
        .unwrap_or(Severity::Info);
    describe(owner, action, state, severity, &members, (hides, held_by))
}

fn describe(
    owner: &Subject,
    action: ActionKind,
    state: RecommendationState,
    severity: Severity,
    members: &[&Finding],
    (hides, held_by): (Vec<Suppressed>, Vec<Suppressed>),
) -> Recommendation {
    let (targets, savings) = words::targets(action, members);
    let confidence = members
        .iter()
        .map(|finding| finding.confidence.clamp(0.0, 1.0))
        .fold(1.0, f64::min);
    let environment = environment(members);
    let rules: BTreeSet<&SmolStr> = members.iter().map(|finding| &finding.rule).collect();
    Recommendation {
        title: words::title(owner, action, members),
        why: words::why(owner, members),
        findings: members
            .iter()
            .map(|finding| (finding.id.clone(), finding.episode))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        rules: rules.into_iter().cloned().collect(),
        evidence: words::evidence(members),
        severity,
        confidence,
        environment,
        priority: priority::prioritise(
            members,
            severity,
            worth(savings.as_ref()),
            confidence,
            environment,
        ),
        targets,
        savings,
        hides: words::tidy(hides),
        held_by: words::tidy(held_by),
        at: members
            .iter()
            .map(|finding| finding.at)
            .max()
            .unwrap_or_default(),
        ..blank(owner, action, state)
    }
}

/// Production when any finding says so: the stricter reading of mixed tags.
fn environment(members: &[&Finding]) -> Option<Environment> {
    let mut seen = members.iter().filter_map(|finding| finding.environment);
    let first = seen.next()?;
    if seen.any(|other| other == Environment::Production) {
        return Some(Environment::Production);
    }
    Some(first)
}

fn worth(savings: Option<&Savings>) -> Usd {
    savings.map_or(Usd::ZERO, |savings| savings.monthly)
}

/// Of the exclusive actions that nothing vetoes the strongest stays open; a vetoed one excludes
/// nothing.
fn exclude(rows: &mut BTreeMap<ActionKind, Recommendation>) {
    let open = |row: &Recommendation| row.state == RecommendationState::Open;
    let Some((rank, winner)) = rows
        .values()
        .filter(|row| open(row))
        .filter_map(|row| Some((row.action.exclusive_rank()?, row.action)))
        .min()
    else {
        return;
    };
    let mut excluded = Vec::new();
    for row in rows.values_mut().filter(|row| open(row)) {
        if row.action.exclusive_rank().is_none_or(|own| own <= rank) {
            continue;
        }
        row.state = RecommendationState::Superseded;
        row.held_by.push(Suppressed {
            what: winner.as_str().into(),
            why: format!("{} excludes {}", winner.as_str(), row.action.as_str()),
        });
        let worth = worth(row.savings.as_ref());
        excluded.push(Suppressed {
            what: row.action.as_str().into(),
            why: if worth > Usd::ZERO {
                format!("the alternative would save {worth} a month, which does not count here")
            } else {
                "the alternative, should this be refused".to_owned()
            },
        });
    }
    if let Some(row) = rows.get_mut(&winner) {
        row.hides.extend(excluded);
        row.hides = words::tidy(std::mem::take(&mut row.hides));
    }
}

/// The row of a recommendation no finding stands behind any more. It repeats nothing of its
/// earlier revisions: what was last open depends on the order findings closed in.
pub(super) fn resolved(owner: &Subject, action: ActionKind) -> Recommendation {
    Recommendation {
        title: words::title_resolved(owner, action),
        ..blank(owner, action, RecommendationState::Resolved)
    }
}

fn blank(owner: &Subject, action: ActionKind, state: RecommendationState) -> Recommendation {
    Recommendation {
        id: RecommendationId::derive(owner, action.as_str()),
        cycle: 0,
        revision: 0,
        seq: 0,
        epoch: 0,
        state,
        owner: owner.clone(),
        action,
        targets: Vec::new(),
        title: String::new(),
        why: Vec::<(AgentName, String)>::new(),
        findings: Vec::new(),
        rules: Vec::new(),
        evidence: Vec::new(),
        severity: Severity::Info,
        savings: None,
        confidence: 0.0,
        environment: None,
        priority: crate::model::Priority {
            score: 0.0,
            terms: Vec::new(),
        },
        hides: Vec::new(),
        held_by: Vec::new(),
        opened_at: Timestamp::default(),
        at: Timestamp::default(),
    }
}
