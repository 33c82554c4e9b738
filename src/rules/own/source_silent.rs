#![doc = include_str!("source_silent.md")]

use super::memory::Seen;
use super::{OF_AGENTS, WATCHER, agent, look_into, span};
use crate::model::{AgentName, Severity, Topic};
use crate::rules::{Case, Found, Meta, Rule, Verdict, evidence};

/// Active rounds before a source's habit counts as known. OURS.
const KNOWN: usize = 5;
/// A source with pauses may pause this many times as long as it did. OURS: of sources whose
/// records come by chance, one in a thousand pauses is three times the longest of sixteen.
const PAUSES: i64 = 3;

static META: Meta = Meta {
    id: "SELF-SRC-1",
    title: "A source of facts is silent",
    agent: WATCHER,
    severity: Severity::High,
    needs: OF_AGENTS,
    permissions: &[],
    controls: &[],
    remediation: "Look at what publishes to the topic: the metric stream, the event rule, the inventory sweep, the cost export.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("source_silent.md"),
};

/// SELF-SRC-1.
pub struct SourceSilent;

/// The raw topic the agent of that name is the home of.
fn source_of(agent: &str) -> Option<Topic> {
    let agent = AgentName::parse(agent)?;
    Topic::RAW
        .into_iter()
        .find(|topic| topic.home() == Some(agent))
}

impl Rule for SourceSilent {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let (Some(agent), Some(topic)) = (agent(case), source_of(case.subject.id())) else {
            return Verdict::Silent;
        };
        let Some(last) = agent.source.active.last() else {
            return Verdict::Silent;
        };
        if agent.newest == *last {
            return Verdict::Clear;
        }
        // What has not been taken cannot be told from what never came.
        let mut running = agent.running().peekable();
        let unknown =
            running.peek().is_none() || !running.all(|(_, seen): (_, &Seen)| seen.caught_up);
        if unknown || agent.source.active.len() < KNOWN {
            return Verdict::Silent;
        }
        let round = i64::try_from(agent.interval_ms).unwrap_or(i64::MAX);
        let pause = agent.source.longest_pause_ms();
        // Reports come a little early or late: half a round makes no difference.
        let patience = if pause <= round + round / 2 {
            2 * round - round / 2
        } else {
            PAUSES.saturating_mul(pause)
        };
        let quiet = agent.newest.since(*last);
        if quiet < patience.max(agent.source.longest_quiet_ms()) {
            return Verdict::Silent;
        }
        let found = Found::new(
            META.severity,
            format!(
                "{topic} has brought nothing for {}; it used to within {}",
                span(quiet),
                span(pause.max(round))
            ),
            vec![evidence(
                "last record",
                last.to_string(),
                format!("within {}", span(patience)),
                *last,
            )],
        )
        .since(*last);
        Verdict::found(look_into(found, case.subject))
    }
}
