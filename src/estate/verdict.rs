//! What of the plan was seen, judged from published findings and recommendations alone.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::{Estate, Planted};
use crate::model::{ActionKind, AgentName, Finding, Recommendation, Subject, Timestamp};

/// What was published, each with the time at which the estate's clock stood when it first was.
#[derive(Clone, Debug, Default)]
pub struct Published {
    findings: BTreeMap<(SmolStr, Subject), Timestamp>,
    recommendations: BTreeMap<(Subject, ActionKind), Advice>,
}

#[derive(Clone, Debug)]
struct Advice {
    first: Timestamp,
    /// By agent that spoke in it, when it first did.
    agents: BTreeMap<AgentName, Timestamp>,
}

impl Published {
    /// Takes a row of a finding, published while the clock stood at `now`.
    pub fn finding(&mut self, row: &Finding, now: Timestamp) {
        let key = (row.rule.clone(), row.subject.clone());
        self.findings.entry(key).or_insert(now);
    }

    /// Takes a row of a recommendation, published while the clock stood at `now`.
    pub fn recommendation(&mut self, row: &Recommendation, now: Timestamp) {
        let key = (row.owner.clone(), row.action);
        let advice = self.recommendations.entry(key).or_insert(Advice {
            first: now,
            agents: BTreeMap::new(),
        });
        for (agent, _) in &row.why {
            advice.agents.entry(*agent).or_insert(now);
        }
    }
}

/// A planted situation that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What happened.
    pub planted: Planted,
    /// How long after its cause a recommendation with every agent's reason was there, in milliseconds.
    pub after_ms: i64,
}

/// One that was not.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// What happened.
    pub planted: Planted,
    /// What was absent.
    pub why: String,
}

/// What of the plan was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// In order of their causes.
    pub found: Vec<Found>,
    /// In order of their causes.
    pub missed: Vec<Missed>,
    /// Situations that the time played was too short for.
    pub too_early: usize,
    /// Look-alikes about which nothing was said.
    pub left_alone: usize,
    /// Look-alikes that were taken for a situation.
    pub taken_in: Vec<&'static str>,
    /// Findings and recommendations that no situation explains, one line each.
    pub beyond: Vec<String>,
}

/// Judges what was published.
pub(super) fn judge(estate: &Estate, published: &Published) -> Verdict {
    let mut verdict = Verdict::default();
    let mut plan: Vec<&Planted> = estate.planted().iter().collect();
    plan.sort_by_key(|planted| planted.cause);
    for planted in plan {
        match seen(planted, published) {
            Ok(at) => verdict.found.push(Found {
                planted: planted.clone(),
                after_ms: at.since(planted.cause),
            }),
            Err(_) if planted.cause.plus(planted.within_ms) > estate.end() => {
                verdict.too_early += 1;
            }
            Err(why) => verdict.missed.push(Missed {
                planted: planted.clone(),
                why,
            }),
        }
    }
    let said: BTreeSet<&Subject> = published
        .findings
        .keys()
        .map(|(_, subject)| subject)
        .chain(published.recommendations.keys().map(|(owner, _)| owner))
        .collect();
    for one in estate.look_alikes() {
        if one.subjects.iter().any(|subject| said.contains(subject)) {
            verdict.taken_in.push(one.name);
        } else {
            verdict.left_alone += 1;
        }
    }
    verdict.beyond = beyond(estate.planted(), published);
    verdict
}

/// When the recommendation with every agent's reason was there; else what is absent.
fn seen(planted: &Planted, published: &Published) -> Result<Timestamp, String> {
    let key = (planted.owner.clone(), planted.action);
    let Some(advice) = published.recommendations.get(&key) else {
        return Err(format!("no recommendation to {}", planted.action.as_str()));
    };
    let mut at = advice.first;
    for agent in planted.agents {
        match advice.agents.get(agent) {
            Some(first) => at = at.max(*first),
            None => return Err(format!("{agent} gives no reason")),
        }
    }
    Ok(at)
}

fn beyond(plan: &[Planted], published: &Published) -> Vec<String> {
    let signs: BTreeSet<(&str, &Subject)> = plan
        .iter()
        .flat_map(|planted| &planted.signs)
        .map(|(rule, subject)| (*rule, subject))
        .collect();
    let advice: BTreeSet<(&Subject, ActionKind)> = plan
        .iter()
        .flat_map(|planted| {
            let actions = planted.also.iter().chain([&planted.action]);
            actions.map(|action| (&planted.owner, *action))
        })
        .collect();
    let findings = published
        .findings
        .keys()
        .filter(|(rule, subject)| !signs.contains(&(rule.as_str(), subject)))
        .map(|(rule, subject)| format!("{rule} {subject}"));
    let recommendations = published
        .recommendations
        .keys()
        .filter(|(owner, action)| !advice.contains(&(owner, *action)))
        .map(|(owner, action)| format!("{} {owner}", action.as_str()));
    findings.chain(recommendations).collect()
}
