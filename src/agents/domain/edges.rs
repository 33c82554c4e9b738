//! Verdicts → edges: what is published, when, and what is remembered of it.

use smol_str::SmolStr;

use super::flap::Flap;
use super::notes::Note;
use super::state::{DomainState, FindingMemory, RETENTION_MS, finding_key};
use super::{DomainAgent, RuleRef, account_subject};
use crate::agents::{Effects, Step};
use crate::model::{
    Edge, Environment, Event, Finding, FindingId, FindingStatus, Message, Subject, Timestamp,
};
use crate::rules::{Case, Found, Meta, Rule, Verdict};

/// A momentary finding's row is published again when its end moved by this part of its span.
const EXPIRY_STEPS: i64 = 24;

/// One step of the agent, with what it works on at hand.
pub(super) struct Turn<'a> {
    pub(super) agent: &'a DomainAgent,
    pub(super) key: &'a Subject,
    /// The task's clock.
    pub(super) now: Timestamp,
    /// The event time of what is decided now.
    pub(super) at: Timestamp,
    pub(super) state: &'a mut DomainState,
    pub(super) effects: &'a mut Effects<Note>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        agent: &'a DomainAgent,
        step: &Step<'a, Note>,
        state: &'a mut DomainState,
        effects: &'a mut Effects<Note>,
    ) -> Self {
        Self {
            agent,
            key: step.key,
            now: step.now,
            at: step.now,
            state,
            effects,
        }
    }

    fn case(&self, as_of: Timestamp) -> Case<'_> {
        Case {
            subject: self.key,
            now: self.now,
            as_of,
            memory: &self.state.memory,
            event: None,
        }
    }

    /// Judges every rule that `concerned` picks and that judges this subject.
    pub(super) fn judge(&mut self, concerned: impl Fn(&dyn Rule) -> bool) {
        if self.state.memory.gone() {
            return;
        }
        let agent = self.agent;
        for rule in &agent.rules {
            let meta = rule.meta();
            if !meta.momentary && meta.needs.judges(self.key) && concerned(*rule) {
                self.judge_rule(*rule, None);
            }
        }
    }

    /// Judges one rule. `touched` is the time of the metric point that changed, if it was one.
    pub(super) fn judge_rule(&mut self, rule: RuleRef, touched: Option<Timestamp>) {
        if rule.meta().needs.metrics.is_empty() {
            let verdict = rule.check(&self.case(self.now));
            self.settle(rule.meta(), verdict);
        } else {
            self.judge_series(rule, touched);
        }
        let wake = rule
            .wake_at(&self.case(self.now))
            .filter(|at| *at > self.now);
        let id = rule.meta().id;
        match wake {
            Some(at) => {
                if self.state.wakes.get(id) != Some(&at) {
                    self.state.wakes.insert(SmolStr::new_static(id), at);
                }
            }
            None if self.state.wakes.is_empty() => {}
            None => {
                self.state.wakes.remove(id);
            }
        }
    }

    fn judge_series(&mut self, rule: RuleRef, touched: Option<Timestamp>) {
        let meta = rule.meta();
        let mut flap = self
            .state
            .flaps
            .get_mut(meta.id)
            .map(std::mem::take)
            .unwrap_or_default();
        let mut times = flap.affected(touched);
        if touched.is_none() && times.is_empty() {
            times.extend(self.newest_point(meta));
        }
        let mut last_found = None;
        let mut newest_found = None;
        for as_of in times {
            match rule.check(&self.case(as_of)) {
                Verdict::Silent => {}
                Verdict::Clear => {
                    flap.set(as_of, false, meta.reopen_after, meta.clear_after);
                    newest_found = None;
                }
                Verdict::Found(found) => {
                    flap.set(as_of, true, meta.reopen_after, meta.clear_after);
                    last_found = found.into_iter().next();
                    newest_found.clone_from(&last_found);
                }
            }
        }
        let (open, changed) = flap.fold(meta.reopen_after, meta.clear_after);
        if flap != Flap::default() {
            match self.state.flaps.get_mut(meta.id) {
                Some(known) => *known = flap,
                None => {
                    self.state.flaps.insert(SmolStr::new_static(meta.id), flap);
                }
            }
        }
        let key = finding_key(meta.id, "");
        let is_open = self
            .state
            .findings
            .get(&key)
            .is_some_and(|memory| memory.open);
        let at = self.at;
        match (open, is_open) {
            (true, false) => {
                if let Some(found) = last_found {
                    self.at = changed.unwrap_or(at);
                    self.open_or_update(meta, *found);
                }
            }
            (true, true) => {
                if let Some(found) = newest_found {
                    self.open_or_update(meta, *found);
                }
            }
            (false, true) => self.close(&key, Edge::Cleared, changed.unwrap_or(at)),
            (false, false) => {}
        }
        self.at = at;
    }

    fn newest_point(&self, meta: &Meta) -> Option<Timestamp> {
        let series = &self.state.memory.series;
        meta.needs
            .metrics
            .iter()
            .filter_map(|metric| series.get(metric.name)?.times().next_back())
            .max()
    }

    /// Judges a momentary rule on the event at hand.
    pub(super) fn judge_moment(&mut self, rule: RuleRef, event: &Event, at: Timestamp) {
        let case = Case {
            event: Some((event, at)),
            ..self.case(self.now)
        };
        if let Verdict::Found(found) = rule.check(&case) {
            for found in found {
                self.open_or_update(rule.meta(), *found);
            }
        }
    }

    fn settle(&mut self, meta: &'static Meta, verdict: Verdict) {
        let found = match verdict {
            Verdict::Silent => return,
            Verdict::Clear => smallvec::SmallVec::new(),
            Verdict::Found(found) => found,
        };
        if !self.state.findings.is_empty() {
            let over: Vec<SmolStr> = self
                .state
                .findings
                .values()
                .filter(|memory| memory.open)
                .filter_map(|memory| memory.row.as_deref())
                .filter(|row| row.rule.as_str() == meta.id)
                .filter(|row| {
                    found
                        .iter()
                        .all(|found| found.discriminator != row.discriminator)
                })
                .map(|row| finding_key(meta.id, &row.discriminator))
                .collect();
            for key in over {
                self.close(&key, Edge::Cleared, self.at);
            }
        }
        for found in found {
            self.open_or_update(meta, *found);
        }
    }

    fn open_or_update(&mut self, meta: &'static Meta, found: Found) {
        let at = found.since.unwrap_or(self.at);
        let key = finding_key(meta.id, &found.discriminator);
        let expires_at = found.expires.map(|span| at.plus(span));
        if expires_at.is_some_and(|expires| expires <= self.now) {
            return;
        }
        if !self.state.findings.contains_key(&key) && !self.state.make_room() {
            return;
        }
        let target = found
            .proposal
            .as_ref()
            .and_then(|proposal| proposal.target.clone());
        let owner = target.unwrap_or_else(|| self.state.memory.owner(self.key));
        let environment = self.state.memory.environment();
        let memory = self.state.findings.entry(key).or_default();
        let expires_at = expires_at.max(memory.expires_at.filter(|_| memory.open));
        let (edge, owner_before) = match memory.row.as_deref().filter(|_| memory.open) {
            None => (Edge::Opened, None),
            Some(row) => {
                let same = row.severity == found.severity
                    && row.proposal == found.proposal
                    && row.exposed == found.exposed
                    && row.owner == owner
                    && row.environment == environment
                    && memory.facts == found.facts
                    && !moved_on(row.expires_at, expires_at, found.expires);
                if same {
                    if memory.expires_at != expires_at {
                        memory.expires_at = expires_at;
                        self.effects.dirty = true;
                    }
                    return;
                }
                (
                    Edge::Updated,
                    (row.owner != owner).then(|| row.owner.clone()),
                )
            }
        };
        let opened_at = match (&memory.row, edge) {
            (Some(row), Edge::Updated) => row.opened_at,
            _ => at,
        };
        memory.seq += 1;
        memory.episode += u32::from(edge == Edge::Opened);
        memory.open = true;
        memory.closed_at = None;
        memory.facts = found.facts;
        memory.expires_at = expires_at;
        let row = Finding {
            id: FindingId::derive(meta.id, self.key, &found.discriminator),
            rule: SmolStr::new_static(meta.id),
            agent: meta.agent,
            subject: self.key.clone(),
            discriminator: found.discriminator,
            status: FindingStatus::Open,
            edge,
            severity: found.severity,
            title: meta.title.to_owned(),
            why: found.why,
            evidence: found.evidence,
            opened_at,
            at: if edge == Edge::Opened { at } else { self.at },
            expires_at,
            episode: memory.episode,
            seq: memory.seq,
            epoch: 0,
            owner,
            owner_before,
            proposal: found.proposal,
            confidence: found.confidence,
            exposed: found.exposed,
            environment,
        };
        memory.row = Some(Box::new(row.clone()));
        self.publish(row);
    }

    fn close(&mut self, key: &str, edge: Edge, at: Timestamp) {
        let Some(memory) = self.state.findings.get_mut(key) else {
            return;
        };
        let Some(row) = memory.row.as_deref_mut().filter(|_| memory.open) else {
            return;
        };
        memory.open = false;
        memory.closed_at = Some(at);
        memory.seq += 1;
        row.status = match edge {
            Edge::Expired => FindingStatus::Expired,
            _ => FindingStatus::Cleared,
        };
        row.edge = edge;
        row.at = at;
        row.seq = memory.seq;
        row.owner_before = None;
        row.expires_at = memory.expires_at;
        let row = row.clone();
        self.publish(row);
    }

    fn publish(&mut self, row: Finding) {
        self.effects.dirty = true;
        let edge = match row.edge {
            Edge::Opened => "opened",
            Edge::Updated => "updated",
            Edge::Cleared => "cleared",
            Edge::Expired => "expired",
            Edge::Withdrawn => "withdrawn",
        };
        self.observe(row.at, row.rule.clone(), SmolStr::new_static(edge));
        let open = (row.status == FindingStatus::Open)
            .then(|| (row.subject.clone(), format!("{}: {}", row.rule, row.why)));
        let index = account_subject(self.key.account());
        if index == *self.key {
            self.state.index_row(&row.id, open.as_ref());
        } else {
            let id = row.id.clone();
            self.effects.notes.push((index, Note::Row { id, open }));
        }
        self.effects.publish.push(Message::Finding(Box::new(row)));
    }

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
        if !was_gone {
            self.state.memory.series.clear();
            self.state.flaps.clear();
            self.state.wakes.clear();
            self.effects.dirty = true;
        }
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

    /// Brings owner and environment of open rows up to date, then asks for the next wake.
    pub(super) fn finish(mut self, woken: bool) {
        if self.effects.dirty && !self.state.findings.is_empty() {
            self.follow_owner();
        }
        let next = self.next_wake();
        if woken || next != self.state.wake {
            self.effects.dirty |= next != self.state.wake;
            self.state.wake = next;
            self.effects.wake = Some(next);
        }
    }

    fn follow_owner(&mut self) {
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
            if !moved && row.environment == environment {
                continue;
            }
            *seq += 1;
            row.owner_before = moved.then(|| std::mem::replace(&mut row.owner, owner.clone()));
            row.environment = environment;
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
                memory.expires_at
            } else {
                memory
                    .row
                    .as_ref()
                    .and(memory.closed_at)
                    .map(|at| at.plus(RETENTION_MS))
            }
        });
        let tasks = self.state.tasks.iter().filter_map(|task| task.next);
        rules.chain(findings).chain(tasks).min()
    }
}

fn moved_on(before: Option<Timestamp>, after: Option<Timestamp>, span: Option<i64>) -> bool {
    match (before, after, span) {
        (Some(before), Some(after), Some(span)) => after.since(before) >= span / EXPIRY_STEPS,
        _ => before != after,
    }
}
