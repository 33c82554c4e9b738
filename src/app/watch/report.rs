//! Two samples of the registry → what is reported. Pure.

use serde_json::{Value, json};

use crate::model::{
    AGENT_REPORT, AgentName, AgentReport, OWN_ACCOUNT, OWN_SOURCE, PROCESS_REPORT, ProcessReport,
    Timestamp, Topic,
};
use crate::ports::Usage;
use crate::telemetry::{AgentSample, Sample};

/// What every report of a round has in common.
pub(super) struct Around<'a> {
    pub(super) node: &'a str,
    pub(super) interval_ms: u64,
    pub(super) leaving: bool,
    pub(super) at: Timestamp,
}

/// The raw topic an agent is the home of.
pub(super) fn source_of(agent: AgentName) -> Option<Topic> {
    Topic::RAW
        .into_iter()
        .find(|topic| topic.home() == Some(agent))
}

/// What the agent did between two samples.
pub(super) fn of_agent(
    around: &Around<'_>,
    agent: AgentName,
    (runs, answers): (bool, bool),
    (before, after): (&Sample, &Sample),
) -> AgentReport {
    let nothing = AgentSample::default();
    let before = before.get(&agent).unwrap_or(&nothing);
    let after = after.get(&agent).unwrap_or(&nothing);
    let reports = after.reports.saturating_sub(before.reports);
    let taken = |topic: Topic| {
        let count = |sample: &AgentSample| sample.taken.get(&topic).copied().unwrap_or_default();
        let taken = count(after).saturating_sub(count(before));
        // What we say of ourselves is no fact about an account.
        if topic == Topic::AwsEvents && topic.home() == Some(agent) {
            taken.saturating_sub(reports)
        } else {
            taken
        }
    };
    let home = |topic: &Topic| topic.home() == Some(agent);
    let source = source_of(agent).filter(|_| runs);
    let waiting = |topic: Topic| after.lag.get(&topic).copied().unwrap_or_default();
    let checkpoints = after.checkpoints.since(&before.checkpoints);
    AgentReport {
        agent: agent.as_str().into(),
        node: around.node.into(),
        interval_ms: around.interval_ms,
        runs,
        leaving: around.leaving,
        answers,
        owned: after.owned,
        live: after.live,
        lag: after.lag.values().sum(),
        taken: Topic::ALL.into_iter().map(taken).sum(),
        home_taken: Topic::ALL.into_iter().filter(home).map(taken).sum(),
        dead_letters: after.dead_letters.saturating_sub(before.dead_letters),
        source_taken: source.map(taken),
        source_lag: source.map(waiting).unwrap_or_default(),
        checkpoints: checkpoints.count,
        checkpoint_seconds: checkpoints.sum.max(0.0),
    }
}

/// What the process holds.
pub(super) fn of_process(
    around: &Around<'_>,
    process: Option<&Usage>,
    store: Option<&Usage>,
) -> ProcessReport {
    let bytes = |usage: Option<&Usage>| usage.map_or(0, |usage| usage.bytes);
    let bound = |usage: Option<&Usage>| usage.and_then(|usage| usage.bound).unwrap_or(0);
    ProcessReport {
        node: around.node.into(),
        process_bytes: bytes(process),
        process_bound: bound(process),
        store_bytes: bytes(store),
        store_bound: bound(store),
    }
}

/// The record of an agent's report.
pub(super) fn agent_event(around: &Around<'_>, report: &AgentReport) -> Value {
    event(around, AGENT_REPORT, &report.agent, &json!(report))
}

/// The record of a process's report.
pub(super) fn process_event(around: &Around<'_>, report: &ProcessReport) -> Value {
    event(around, PROCESS_REPORT, "process", &json!(report))
}

/// A custom event as `EventBridge` would carry it.
fn event(around: &Around<'_>, detail_type: &str, what: &str, detail: &Value) -> Value {
    json!({
        "version": "0",
        "id": format!("{}-{what}-{}", around.node, around.at.ms()),
        "detail-type": detail_type,
        "source": OWN_SOURCE,
        "account": OWN_ACCOUNT,
        "time": around.at.to_string(),
        "region": "global",
        "resources": [],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;
    use crate::sources::{Decoded, decode};

    fn around() -> Around<'static> {
        Around {
            node: "skyherd-0",
            interval_ms: 60_000,
            leaving: false,
            at: Timestamp::from_ms(1_790_812_800_000),
        }
    }

    fn sample(agent: AgentName, counts: &[(Topic, u64)], reports: u64) -> Sample {
        let taken = counts.iter().copied().collect();
        let sample = AgentSample {
            taken,
            reports,
            ..AgentSample::default()
        };
        [(agent, sample)].into()
    }

    #[test]
    fn what_is_told_is_what_happened_between_two_samples() {
        let agent = AgentName::Resource;
        let before = sample(
            agent,
            &[(Topic::AwsInventory, 10), (Topic::AwsMetrics, 100)],
            0,
        );
        let after = sample(
            agent,
            &[
                (Topic::AwsInventory, 17),
                (Topic::AwsMetrics, 400),
                (Topic::Tasks, 2),
            ],
            0,
        );
        let told = of_agent(&around(), agent, (true, true), (&before, &after));
        assert_eq!((told.taken, told.home_taken), (309, 9));
        assert_eq!(told.source_taken, Some(7));
    }

    #[test]
    fn our_own_reports_are_no_sign_of_life_of_a_source() {
        let agent = AgentName::Security;
        let after = sample(agent, &[(Topic::AwsEvents, 6)], 6);
        let told = of_agent(&around(), agent, (true, true), (&Sample::new(), &after));
        assert_eq!((told.source_taken, told.taken), (Some(0), 0));
    }

    #[test]
    fn an_agent_that_does_not_run_here_tells_nothing_of_its_source() {
        let told = of_agent(
            &around(),
            AgentName::Cost,
            (false, false),
            (&Sample::new(), &Sample::new()),
        );
        assert_eq!(told.source_taken, None);
    }

    #[test]
    fn a_report_is_two_facts_about_worker_and_agent() {
        let told = of_agent(
            &around(),
            AgentName::Cost,
            (true, true),
            (&Sample::new(), &Sample::new()),
        );
        let payload = agent_event(&around(), &told).to_string();
        let decoded = decode(Topic::AwsEvents, None, Some(payload.as_bytes()));
        let Ok(Decoded::Message(Message::Facts(facts))) = decoded else {
            panic!("{decoded:?}");
        };
        let subjects: Vec<_> = facts.iter().map(|fact| fact.subject.to_string()).collect();
        assert_eq!(
            subjects,
            ["skyherd/skyherd-0/worker/cost", "skyherd/global/agent/cost"]
        );
        assert_eq!(facts[0].at, around().at);
    }
}
