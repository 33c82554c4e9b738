#![doc = include_str!("watcher_gone.md")]

use super::agent_gone::judge;
use super::{OF_AGENTS, WATCHER};
use crate::model::{AgentName, Event, Severity};
use crate::rules::{Case, Meta, Rule, Verdict};

static META: Meta = Meta {
    id: "SELF-GONE-2",
    title: "The agent that watches the others is gone",
    agent: AgentName::Security,
    severity: Severity::High,
    needs: OF_AGENTS,
    permissions: &[],
    controls: &[],
    remediation: "Start the process again; read the end of its log for why it went.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("watcher_gone.md"),
};

/// SELF-GONE-2.
pub struct WatcherGone;

impl Rule for WatcherGone {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if AgentName::parse(case.subject.id()) != Some(WATCHER) {
            return Verdict::Silent;
        }
        judge(case)
    }

    fn wants(&self, event: &Event) -> bool {
        let agent = event
            .detail
            .get("agent")
            .and_then(serde_json::Value::as_str);
        agent.and_then(AgentName::parse) == Some(WATCHER)
    }
}
