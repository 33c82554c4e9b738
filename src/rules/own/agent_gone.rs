#![doc = include_str!("agent_gone.md")]

use super::memory::{Agent, late_ms};
use super::{OF_AGENTS, WATCHER, agent, look_into, span};
use crate::model::{AgentName, Severity};
use crate::rules::{Case, Found, Meta, Rule, Verdict, evidence};

/// Rounds in which a worker may leave a question unanswered. OURS: one may be a long load.
const UNANSWERED: u32 = 2;

static META: Meta = Meta {
    id: "SELF-GONE-1",
    title: "Agent is gone",
    agent: WATCHER,
    severity: Severity::High,
    needs: OF_AGENTS,
    permissions: &[],
    controls: &[],
    remediation: "Start the process again; read the end of its log for why it went.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("agent_gone.md"),
};

/// SELF-GONE-1.
pub struct AgentGone;

/// What is missing of an agent; nothing when all is well.
pub(super) fn missing(agent: &Agent) -> Vec<Found> {
    let Some(ran_at) = agent.ran_at else {
        return Vec::new();
    };
    let silent = agent.newest.since(ran_at);
    let replaced = agent.running().count();
    if replaced == 0 && silent >= late_ms(agent.interval_ms) {
        let since = evidence("last ran", ran_at.to_string(), "two rounds", ran_at);
        return vec![
            Found::new(
                Severity::High,
                format!(
                    "no process has run it for {}; its records wait",
                    span(silent)
                ),
                vec![since],
            )
            .since(ran_at),
        ];
    }
    agent
        .nodes
        .iter()
        .filter(|(_, seen)| seen.runs)
        .filter_map(|(node, seen)| {
            let (severity, why) = if seen.overdue(agent.newest) {
                let took = match replaced {
                    1 => "another process has its share".to_owned(),
                    more => format!("{more} other processes share its work"),
                };
                (
                    Severity::Low,
                    format!("{node} is gone without a word; {took}"),
                )
            } else if seen.unanswered >= UNANSWERED {
                (
                    Severity::High,
                    format!("its worker on {node} does not answer"),
                )
            } else {
                return None;
            };
            let heard = evidence("last report", seen.at.to_string(), "two rounds", seen.at);
            Some(
                Found::new(severity, why, vec![heard])
                    .since(seen.at)
                    .discriminator(node.clone()),
            )
        })
        .collect()
}

/// The verdict on the agent of the case.
pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Some(agent) = agent(case).filter(|agent| agent.ran_at.is_some()) else {
        return Verdict::Silent;
    };
    Verdict::found_or_clear(
        missing(agent)
            .into_iter()
            .map(|found| look_into(found, case.subject)),
    )
}

impl Rule for AgentGone {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if AgentName::parse(case.subject.id()) == Some(WATCHER) {
            return Verdict::Silent;
        }
        judge(case)
    }
}
