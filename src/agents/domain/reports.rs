//! Reports of our own processes → memory.

use serde::de::DeserializeOwned;

use super::edges::Turn;
use crate::model::{AgentReport, Event, EventKind, ProcessReport, Timestamp};
use crate::rules::own::memory::{Agent, Own, Process, Worker};

impl Turn<'_> {
    /// Remembers the report an event carries, if it is one. The decoder let only sound ones in.
    pub(super) fn take_report(&mut self, event: &Event, at: Timestamp) {
        let own = &mut self.state.memory.own;
        match event.kind {
            EventKind::AgentReport if self.key.kind() == "worker" => {
                let fresh = || Box::new(Own::Worker(Worker::default()));
                if let Own::Worker(worker) = &mut **own.get_or_insert_with(fresh)
                    && let Some(report) = read::<AgentReport>(event)
                {
                    worker.take(&report, at);
                }
            }
            EventKind::AgentReport => {
                let fresh = || Box::new(Own::Agent(Agent::default()));
                if let Own::Agent(agent) = &mut **own.get_or_insert_with(fresh)
                    && let Some(report) = read::<AgentReport>(event)
                {
                    agent.take(&report, at);
                }
            }
            EventKind::ProcessReport => {
                let fresh = || Box::new(Own::Process(Process::default()));
                if let Own::Process(process) = &mut **own.get_or_insert_with(fresh)
                    && let Some(report) = read::<ProcessReport>(event)
                {
                    process.take(&report, at);
                }
            }
            _ => {}
        }
    }
}

fn read<T: DeserializeOwned>(event: &Event) -> Option<T> {
    serde_json::from_value(event.detail.clone()).ok()
}
