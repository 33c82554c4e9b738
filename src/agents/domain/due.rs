//! What time alone brings: ends, retries, tombstones, and the next wake.

use smol_str::SmolStr;

use super::edges::Turn;
use super::state::{FindingMemory, RETENTION_MS};
use crate::model::{Edge, Environment, Message, Timestamp};

/// How long statistics of a resource that is gone are kept: late points may still come, and what
/// looked gone may come back.
const FORGET_MS: i64 = Timestamp::DAY;

impl Turn<'_> {
    /// The resource is known to be gone: nothing but momentary facts can hold of it.
    pub(super) fn resource_gone(&mut self, was_gone: bool) {
        let over: Vec<SmolStr> = self
            .state
            .findings
            .iter()
            .filter(|(_, memory)| memory.open && memory.expires_at.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.close(&key, Edge::Cleared, self.at);
        }
        if !was_gone && !self.state.wakes.is_empty() {
            self.state.wakes.clear();
            self.effects.dirty = true;
        }
    }

    /// Statistics of a resource that has been gone for a while, when it is time to forget them.
    fn forget_at(&self) -> Option<Timestamp> {
        let memory = &self.state.memory;
        if !memory.gone() || (memory.series.is_empty() && self.state.flaps.is_empty()) {
            return None;
        }
        memory.state().map(|(_, since)| since.plus(FORGET_MS))
    }

    /// Whether the resource has been gone for so long that nothing of it is measured any more.
    pub(super) fn forgotten(&self) -> bool {
        let memory = &self.state.memory;
        memory.gone()
            && memory
                .state()
                .is_some_and(|(_, since)| since.plus(FORGET_MS) <= self.now)
    }

    /// Does what is due.
    pub(super) fn wake(&mut self) {
        let due = self.state.wake.unwrap_or(self.now).min(self.now);
        self.at = due;
        let agent = self.agent;
        for rule in &agent.rules {
            if self
                .state
                .wakes
                .get(rule.meta().id)
                .is_some_and(|at| *at <= self.now)
            {
                self.state.wakes.remove(rule.meta().id);
                self.effects.dirty = true;
                if !self.state.memory.gone() {
                    self.judge_rule(*rule, None);
                }
            }
        }
        let ended: Vec<(SmolStr, Timestamp)> = self
            .state
            .findings
            .iter()
            .filter(|(_, memory)| memory.open)
            .filter_map(|(key, memory)| Some((key.clone(), memory.expires_at?)))
            .filter(|(_, at)| *at <= self.now)
            .collect();
        for (key, at) in ended {
            self.close(&key, Edge::Expired, at);
        }
        if self.forget_at().is_some_and(|at| at <= self.now) {
            self.state.memory.series.clear();
            self.state.flaps.clear();
            self.effects.dirty = true;
        }
        self.bury();
        self.retry_tasks();
    }

    /// Tombstones for rows whose retention is over. Episode and seq stay remembered.
    fn bury(&mut self) {
        for memory in self.state.findings.values_mut() {
            let over = memory
                .closed_at
                .is_some_and(|at| at.plus(RETENTION_MS) <= self.now);
            if let Some(row) = memory.row.take_if(|_| over && !memory.open) {
                self.effects.dirty = true;
                self.effects.publish.push(Message::Tombstone(
                    self.agent.topic(),
                    row.subject.clone(),
                    row.id.as_str().to_owned(),
                ));
            }
        }
    }

    /// Brings what open rows say of their resource up to date, then asks for the next wake.
    pub(super) fn finish(mut self, woken: bool) {
        if (self.effects.dirty || woken && self.exemption_ended())
            && !self.state.findings.is_empty()
        {
            self.follow_resource();
        }
        // What is overdue already waits for the next step: a wake lies in the future.
        let next = self.next_wake().map(|at| at.max(self.now.plus(1)));
        if woken || next != self.state.wake {
            self.effects.dirty |= next != self.state.wake;
            self.state.wake = next;
            self.effects.wake = Some(next);
        }
    }

    /// Whether time alone has ended the exemption of an open row.
    fn exemption_ended(&self) -> bool {
        self.state.open_rows().any(|row| {
            let until = row.exemption.as_ref().map(|exemption| exemption.until);
            until.is_some_and(|until| until <= self.now)
        })
    }

    fn follow_resource(&mut self) {
        let owner = self.state.memory.owner(self.key);
        let environment: Option<Environment> = self.state.memory.environment();
        let mut rows = Vec::new();
        for memory in self
            .state
            .findings
            .values_mut()
            .filter(|memory| memory.open)
        {
            let FindingMemory {
                row: Some(row),
                seq,
                ..
            } = memory
            else {
                continue;
            };
            let targeted = row
                .proposal
                .as_ref()
                .and_then(|proposal| proposal.target.as_ref())
                .is_some();
            let moved = !targeted && row.owner != owner;
            let thing = self.state.memory.thing.as_ref();
            let before = row.exemption.as_ref();
            let asked = (&*row.rule, self.key, self.now);
            let exemption = self.agent.exemption(asked, thing, before);
            if !moved && row.environment == environment && row.exemption == exemption {
                continue;
            }
            *seq += 1;
            row.owner_before = moved.then(|| std::mem::replace(&mut row.owner, owner.clone()));
            row.environment = environment;
            row.exemption = exemption;
            row.edge = Edge::Updated;
            row.at = self.at;
            row.seq = *seq;
            rows.push((**row).clone());
        }
        for row in rows {
            self.publish(row);
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let rules = self.state.wakes.values().copied();
        let findings = self.state.findings.values().filter_map(|memory| {
            if memory.open {
                let row = memory.row.as_ref();
                let muted = row.and_then(|row| Some(row.exemption.as_ref()?.until));
                memory.expires_at.into_iter().chain(muted).min()
            } else {
                memory
                    .row
                    .as_ref()
                    .and(memory.closed_at)
                    .map(|at| at.plus(RETENTION_MS))
            }
        });
        let tasks = self.state.tasks.iter().filter_map(|task| task.next);
        rules
            .chain(findings)
            .chain(tasks)
            .chain(self.forget_at())
            .min()
    }
}
