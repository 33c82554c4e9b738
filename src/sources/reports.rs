//! Skyherd's reports on itself, which come as custom events on the same bus.

use super::events::Envelope;
use super::{Decoded, facts, undecodable};
use crate::model::{
    AgentReport, EventKind, OWN_ACCOUNT, ProcessReport, Undecodable, agent_subject, names_a_node,
    process_subject, worker_subject,
};

/// An agent's report is a fact about its worker and one about the agent wherever it runs.
pub(super) fn decode(envelope: Envelope<'_>) -> Result<Decoded, Undecodable> {
    if envelope.account != OWN_ACCOUNT {
        return Err(undecodable(format!(
            "aws.events: account is {:?}; a report of {} belongs to {OWN_ACCOUNT:?}",
            envelope.account, envelope.source
        )));
    }
    let wrong = |error: &str| {
        undecodable(format!(
            "aws.events: detail: {error} in {:?} of {}",
            envelope.detail_type, envelope.source
        ))
    };
    let time = envelope.at.to_string();
    if envelope.kind == EventKind::ProcessReport {
        let report: ProcessReport = serde_json::from_value(envelope.detail.clone())
            .map_err(|error| wrong(&error.to_string()))?;
        if !names_a_node(&report.node) {
            return Err(wrong("missing field `node`"));
        }
        let dedupe = envelope.key(&[&report.node, &time]);
        let fact = envelope.into_fact(process_subject(&report.node), dedupe);
        return Ok(facts([fact]));
    }
    let report: AgentReport = serde_json::from_value(envelope.detail.clone())
        .map_err(|error| wrong(&error.to_string()))?;
    if !report.sound() {
        return Err(wrong("missing field `agent`, `node` or `interval_ms`"));
    }
    let dedupe = envelope.key(&[&report.node, &report.agent, &time]);
    let worker = envelope.into_fact(worker_subject(&report.node, &report.agent), dedupe);
    let mut agent = worker.clone();
    agent.subject = agent_subject(&report.agent);
    Ok(facts([worker, agent]))
}
