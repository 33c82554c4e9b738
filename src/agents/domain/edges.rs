//! Verdicts → edges: what is published, when, and what is remembered of it.

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::notes::{Note, Says};
use super::state::{DomainState, finding_key};
use super::{DomainAgent, account_subject};
use crate::agents::{Effects, Observed, Step};
use crate::model::{
    Edge, Environment, Exemption, Finding, FindingId, FindingStatus, Message, Subject, Timestamp,
};
use crate::rules::{Found, Meta, Verdict};

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

/// What a row says of its resource rather than of the rule's claim.
struct Setting {
    owner: Subject,
    environment: Option<Environment>,
    exemption: Option<Exemption>,
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

    pub(super) fn settle(&mut self, meta: &'static Meta, verdict: Verdict) {
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

    pub(super) fn open_or_update(&mut self, meta: &'static Meta, mut found: Found) {
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
        let memory = self.state.findings.entry(key).or_default();
        let before = memory.row.as_deref().filter(|_| memory.open);
        let thing = self.state.memory.thing.as_ref();
        let muted = before.and_then(|row| row.exemption.as_ref());
        let setting = Setting {
            owner,
            environment: self.state.memory.environment(),
            exemption: (self.agent).exemption((meta.id, self.key, self.now), thing, muted),
        };
        let ends = ends.max(memory.expires_at.filter(|_| before.is_some()));
        let Some(before) = before else {
            let row = row_of(meta, self.key, (found, setting), at);
            self.write(row, Edge::Opened, ends);
            return;
        };
        if meta.momentary {
            keep_worse(&mut found, before, at);
        }
        let same = before.severity == found.severity
            && before.proposal == found.proposal
            && before.exposed == found.exposed
            && before.owner == setting.owner
            && before.environment == setting.environment
            && before.exemption == setting.exemption
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
        let (mut row, facts) = row_of(meta, self.key, (found, setting), self.at);
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

    pub(super) fn close(&mut self, key: &str, edge: Edge, at: Timestamp) {
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
        row.exemption = None;
        let row = row.clone();
        self.publish(row);
    }

    pub(super) fn publish(&mut self, row: Finding) {
        self.effects.dirty = true;
        let edge = match row.edge {
            Edge::Opened => "opened",
            Edge::Updated => "updated",
            Edge::Cleared => "cleared",
            Edge::Expired => "expired",
            Edge::Withdrawn => "withdrawn",
        };
        let edge = Observed::Text(SmolStr::new_static(edge));
        self.observe(row.at, row.rule.clone(), edge);
        let open = row
            .counts()
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
    (found, setting): (Found, Setting),
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
        owner: setting.owner,
        owner_before: None,
        proposal: found.proposal,
        confidence: found.confidence,
        exposed: found.exposed,
        environment: setting.environment,
        exemption: setting.exemption,
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
