//! Verdicts → edges: what is published, when, and what is remembered of it.

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::flap::Flap;
use super::notes::{Note, Says};
use super::state::{DomainState, FindingMemory, RETENTION_MS, finding_key};
use super::{DomainAgent, RuleRef, account_subject};
use crate::agents::{Effects, Step};
use crate::model::{
    Edge, Environment, Event, Finding, FindingId, FindingStatus, Message, Subject, Timestamp,
};
use crate::rules::stats::Series;
use crate::rules::{Case, Found, Meta, Rule, Verdict};

/// A momentary finding's row is published again when its end moved by this part of its span.
const EXPIRY_STEPS: i64 = 24;

/// How long statistics of a resource that is gone are kept: late points may still come, and what
/// looked gone may come back.
const FORGET_MS: i64 = Timestamp::DAY;

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
        let mut last_found = None;
        let mut newest_found = None;
        for as_of in self.times_to_judge(meta, touched) {
            if !flap.revisable(as_of) {
                continue;
            }
            let (found, verdict) = match rule.check(&self.case(as_of)) {
                Verdict::Silent => (None, None),
                Verdict::Clear => (None, Some(false)),
                Verdict::Found(found) => (found.into_iter().next(), Some(true)),
            };
            flap.set(as_of, verdict, meta.reopen_after, meta.clear_after);
            if found.is_some() {
                last_found.clone_from(&found);
            }
            newest_found = found;
        }
        let (open, changed) = flap.fold(meta.reopen_after, meta.clear_after);
        // What no point brought about happened now, not when the points it revised were made.
        let changed = changed.filter(|_| touched.is_some());
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

    /// Times with a point whose verdict may have changed, oldest first: those from `touched` on,
    /// or all that are still known when something else than a point changed.
    fn times_to_judge(&self, meta: &Meta, touched: Option<Timestamp>) -> SmallVec<[Timestamp; 1]> {
        let series = || {
            meta.needs
                .metrics
                .iter()
                .filter_map(|metric| self.state.memory.series.get(metric.name))
        };
        if let Some(touched) = touched
            && series().all(|series| series.times().next_back() <= Some(touched))
        {
            return smallvec::smallvec![touched];
        }
        let mut times: SmallVec<[Timestamp; 1]> = series()
            .flat_map(Series::times)
            .filter(|at| touched.is_none_or(|touched| *at >= touched))
            .collect();
        times.sort_unstable();
        times.dedup();
        times
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
            Verdict::Clear => SmallVec::new(),
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

    fn open_or_update(&mut self, meta: &'static Meta, mut found: Found) {
        let at = found.since.unwrap_or(self.at);
        let key = finding_key(meta.id, &found.discriminator);
        let ends = found.expires.map(|span| at.plus(span));
        if ends.is_some_and(|ends| ends <= self.now) {
            return;
        }
        if !self.state.findings.contains_key(&key) && !self.state.make_room() {
            return;
        }
        let owner = found
            .proposal
            .as_ref()
            .and_then(|proposal| proposal.target.clone())
            .unwrap_or_else(|| self.state.memory.owner(self.key));
        let environment = self.state.memory.environment();
        let memory = self.state.findings.entry(key).or_default();
        let before = memory.row.as_deref().filter(|_| memory.open);
        let ends = ends.max(memory.expires_at.filter(|_| before.is_some()));
        let Some(before) = before else {
            let row = row_of(meta, self.key, (found, owner, environment), at);
            self.write(row, Edge::Opened, ends);
            return;
        };
        if meta.momentary {
            keep_worse(&mut found, before, at);
        }
        let same = before.severity == found.severity
            && before.proposal == found.proposal
            && before.exposed == found.exposed
            && before.owner == owner
            && before.environment == environment
            && memory.facts == found.facts
            && !moved_on(before.expires_at, ends, found.expires);
        if same {
            if memory.expires_at != ends {
                memory.expires_at = ends;
                self.effects.dirty = true;
            }
            return;
        }
        let (opened_at, owner_before) = (before.opened_at, before.owner.clone());
        let (mut row, facts) = row_of(meta, self.key, (found, owner, environment), self.at);
        row.opened_at = opened_at;
        row.owner_before = (row.owner != owner_before).then_some(owner_before);
        self.write((row, facts), Edge::Updated, ends);
    }

    /// Numbers a row of an open finding, remembers and publishes it.
    fn write(&mut self, made: (Finding, SmolStr), edge: Edge, ends: Option<Timestamp>) {
        let (mut row, facts) = made;
        let key = finding_key(&row.rule, &row.discriminator);
        let memory = self.state.findings.entry(key).or_default();
        memory.seq += 1;
        memory.episode += u32::from(edge == Edge::Opened);
        memory.open = true;
        memory.closed_at = None;
        memory.facts = facts;
        memory.expires_at = ends;
        row.edge = edge;
        row.expires_at = ends;
        row.episode = memory.episode;
        row.seq = memory.seq;
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
        // Retention counts from when readers could first see it, however old the fact is.
        memory.closed_at = Some(at.max(self.now));
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
            self.tell(index, Says::Row { id, open });
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

    /// Brings owner and environment of open rows up to date, then asks for the next wake.
    pub(super) fn finish(mut self, woken: bool) {
        if self.effects.dirty && !self.state.findings.is_empty() {
            self.follow_owner();
        }
        // What is overdue already waits for the next step: a wake lies in the future.
        let next = self.next_wake().map(|at| at.max(self.now.plus(1)));
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
        rules
            .chain(findings)
            .chain(tasks)
            .chain(self.forget_at())
            .min()
    }
}

fn moved_on(before: Option<Timestamp>, after: Option<Timestamp>, span: Option<i64>) -> bool {
    match (before, after, span) {
        (Some(before), Some(after), Some(span)) => after.since(before) >= span / EXPIRY_STEPS,
        _ => before != after,
    }
}

/// A claim as a row that is not numbered yet, and the facts to compare the next one with.
fn row_of(
    meta: &'static Meta,
    subject: &Subject,
    (found, owner, environment): (Found, Subject, Option<Environment>),
    at: Timestamp,
) -> (Finding, SmolStr) {
    let row = Finding {
        id: FindingId::derive(meta.id, subject, &found.discriminator),
        rule: SmolStr::new_static(meta.id),
        agent: meta.agent,
        subject: subject.clone(),
        discriminator: found.discriminator,
        status: FindingStatus::Open,
        edge: Edge::Opened,
        severity: found.severity,
        title: meta.title.to_owned(),
        why: found.why,
        evidence: found.evidence,
        opened_at: at,
        at,
        expires_at: None,
        episode: 0,
        seq: 0,
        epoch: 0,
        owner,
        owner_before: None,
        proposal: found.proposal,
        confidence: found.confidence,
        exposed: found.exposed,
        environment,
    };
    (row, found.facts)
}

/// Of several moments under one name the worst is told, of equals the newest.
fn keep_worse(found: &mut Found, before: &Finding, at: Timestamp) {
    let told_at = before
        .evidence
        .first()
        .map_or(before.at, |evidence| evidence.at);
    if (found.severity, at) < (before.severity, told_at) {
        found.severity = before.severity;
        found.why.clone_from(&before.why);
        found.evidence.clone_from(&before.evidence);
        found.proposal.clone_from(&before.proposal);
        found.exposed = before.exposed;
    }
}
