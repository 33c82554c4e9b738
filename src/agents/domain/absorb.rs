//! Facts → memory: upserted by their own times, never added twice.

use smol_str::{SmolStr, format_smolstr};

use super::edges::Turn;
use super::notes::Says;
use super::{DomainAgent, RuleRef, account_subject};
use crate::agents::{Observation, Observed};
use crate::model::{
    AgentName, ApiCall, CostLine, Delivered, Event, EventKind, Fact, FactBody, Item, ItemKind,
    MetricPoint, Place, Presence, Subject, Timestamp, Usd,
};
use crate::rules::Thing;
use crate::rules::budget::month_of;
use crate::rules::stats::Upsert;

/// The subject of a usage: what cost lines are compared by.
pub(super) fn usage_subject(line: &CostLine) -> Subject {
    let region = if line.region.is_empty() {
        "global"
    } else {
        line.region.as_str()
    };
    let mut usage = format!("usage/{}/{}", line.service, line.usage_type);
    if usage.len() > USAGE_BYTES {
        let end = (0..=USAGE_BYTES)
            .rev()
            .find(|end| usage.is_char_boundary(*end))
            .unwrap_or(0);
        usage.truncate(end);
    }
    Subject::new(&line.account, region, &usage)
}
/// Longest usage in a subject; leaves room for account and region within [`Subject::BYTES_MAX`].
const USAGE_BYTES: usize = 512;

/// Whether the event names the state of its subject.
pub(super) fn tells_state(event: &Event, subject: &Subject) -> bool {
    match event.kind {
        EventKind::InstanceState => true,
        EventKind::ApiCall => {
            matches!(subject.kind(), "volume" | "security-group")
                && matches!(
                    ApiCall::of(&event.detail).name(),
                    "AttachVolume" | "DetachVolume" | "DeleteVolume" | "DeleteSecurityGroup"
                )
        }
        _ => false,
    }
}

fn told_state(event: &Event) -> Option<&str> {
    if event.kind == EventKind::InstanceState {
        return event.detail.get("state")?.as_str();
    }
    let call = ApiCall::of(&event.detail);
    if call.error_code().is_some() {
        return None;
    }
    Some(match call.name() {
        "AttachVolume" => "in-use",
        "DetachVolume" => "available",
        _ => "deleted",
    })
}

impl DomainAgent {
    pub(super) fn watches_groups(&self) -> bool {
        self.name == AgentName::Security
    }
    pub(super) fn watches_volumes(&self) -> bool {
        self.name != AgentName::Security
    }
}

impl Turn<'_> {
    /// Takes a fact and judges what it concerns.
    pub(super) fn take_fact(&mut self, fact: &Fact) {
        match &fact.body {
            FactBody::Metric(point) => self.take_point(point, fact.at),
            // A time ahead of the clock was clamped there, and so it is here.
            FactBody::Item(item) => self.take_item(item, fact.at.min(self.now)),
            FactBody::Event(event) => {
                if fact.dedupe.is_some_and(|hash| !self.state.first_time(hash)) {
                    return;
                }
                self.take_event(event, fact.at.min(self.now));
            }
            FactBody::Cost(line) => match &line.place {
                Some(place) => self.stage_cost(line, place),
                None => self.take_cost(line),
            },
            FactBody::Delivered(delivered) => {
                self.at = fact.at.min(self.now);
                self.tell_delivered(delivered);
            }
        }
    }

    fn take_point(&mut self, point: &MetricPoint, at: Timestamp) {
        let agent = self.agent;
        let Some((metric, readers)) = agent.readers(point) else {
            return;
        };
        // Nobody measures the future: such a point would shadow every later one.
        if at > self.now {
            self.effects.late += 1;
            return;
        }
        if self.forgotten() {
            return;
        }
        let series = &mut self.state.memory.series;
        let series = match series.get_mut(metric.name) {
            Some(series) => series,
            None => series.entry(SmolStr::new_static(metric.name)).or_default(),
        };
        match series.upsert(at, &point.statistics) {
            Upsert::Unchanged => return,
            Upsert::Late => {
                self.effects.late += 1;
                return;
            }
            Upsert::Changed => {}
        }
        self.at = at;
        self.effects.dirty = true;
        let value = point.statistics.average();
        self.observe(
            at,
            SmolStr::new_static(metric.name),
            Observed::Number(value),
        );
        if self.state.memory.gone() {
            return;
        }
        for rule in readers {
            if rule.meta().needs.judges(self.key) {
                self.judge_rule(*rule, Some(at));
            }
        }
    }

    fn take_item(&mut self, item: &Item, at: Timestamp) {
        self.at = at;
        let before = self.parts();
        let was_gone = self.state.memory.gone();
        let (state_changed, replaced) = if item.presence == Presence::Gone {
            (self.state.memory.states.see(at, "gone"), false)
        } else {
            let (thing, state) = Thing::of(item, at);
            let seen = self.state.memory.states.see(at, &state);
            (seen, self.replace_thing(thing))
        };
        if !state_changed && !replaced {
            return;
        }
        self.effects.dirty = true;
        let state = self
            .state
            .memory
            .state()
            .map_or("unknown", |(state, _)| state);
        let state = SmolStr::from(state);
        self.observe(at, item.kind.as_str().into(), Observed::Text(state));
        self.tell_parts(&before);
        if item.kind == ItemKind::SecurityGroup && self.agent.watches_groups() {
            let users: Vec<SmolStr> = self.state.memory.users.keys().cloned().collect();
            self.tell_exposure(&users);
        }
        if self.state.memory.gone() {
            self.resource_gone(was_gone);
        } else {
            self.judge(|rule| rule.meta().needs.items.contains(&item.kind));
        }
    }

    /// Keeps the newer of two items by their own times; of two at the same time the greater.
    fn replace_thing(&mut self, thing: Thing) -> bool {
        let known = &mut self.state.memory.thing;
        let newer = known
            .as_ref()
            .is_none_or(|known| (known.at, known) < (thing.at, &thing));
        if newer {
            *known = Some(thing);
        }
        newer
    }

    fn take_event(&mut self, event: &Event, at: Timestamp) {
        self.at = at;
        self.effects.dirty = true;
        let id = Observed::Text(event.id.clone());
        self.observe(at, event.detail_type.clone(), id);
        self.take_report(event, at);
        if event.kind == EventKind::Budget {
            let known = &mut self.state.memory.budget;
            let mut budget = known.take().unwrap_or_default();
            // One that says nothing of a sum is not remembered.
            if budget.take(&event.detail, at) || budget.limit > Usd::ZERO {
                *known = Some(budget);
            }
        }
        let before = self.parts();
        let was_gone = self.state.memory.gone();
        let told = if tells_state(event, self.key) {
            told_state(event)
        } else {
            None
        };
        let moved = told.is_some_and(|state| self.state.memory.states.see(at, state));
        if moved {
            self.tell_parts(&before);
        }
        if self.state.memory.gone() {
            self.resource_gone(was_gone);
        }
        let rules: Vec<RuleRef> = self.agent.rules.clone();
        for rule in rules {
            let meta = rule.meta();
            let asked = meta.needs.events.contains(&event.kind) && rule.wants(event);
            // A change of state concerns whatever judges items.
            let concerned = asked || (moved && !meta.needs.items.is_empty());
            if !concerned || !meta.needs.judges(self.key) {
                continue;
            }
            if meta.momentary {
                self.judge_moment(rule, event, at);
            } else if !self.state.memory.gone() {
                self.judge_rule(rule, None);
            }
        }
    }

    fn take_cost(&mut self, line: &CostLine) {
        let before = self.month_of(line.start);
        let spend = self.state.memory.spend.get_or_insert_default();
        match spend.upsert(line) {
            Upsert::Unchanged => return,
            Upsert::Late => {
                self.effects.late += 1;
                return;
            }
            Upsert::Changed => {}
        }
        self.at = line.start.min(self.now);
        self.effects.dirty = true;
        self.observe(
            self.at,
            "cost".into(),
            Observed::Text(format_smolstr!("{}", line.effective)),
        );
        self.tell_spent(line.start, before);
        self.judge(|rule| rule.meta().needs.costs);
    }

    /// Takes a row of a delivery aside, until all of it was told.
    fn stage_cost(&mut self, line: &CostLine, place: &Place) {
        self.at = line.start.min(self.now);
        let spend = self.state.memory.spend.get_or_insert_default();
        let (taken, first) = spend.stage(line, place);
        self.effects.dirty |= first || taken == Upsert::Changed;
        if taken == Upsert::Late {
            self.effects.late += 1;
        }
        if first {
            let usage = self.key.clone();
            self.tell(account_subject(self.key.account()), Says::Bills { usage });
        }
    }

    /// Tells every usage of the account that all rows of a delivery were told.
    fn tell_delivered(&mut self, delivered: &Delivered) {
        for usage in self.state.usages.clone() {
            self.tell(usage, Says::Delivered(*delivered));
        }
    }

    /// Lets a delivery's sums count.
    pub(super) fn take_delivered(&mut self, delivered: &Delivered) {
        let start = delivered.period.start;
        let before = self.month_of(start);
        let Some(spend) = &mut self.state.memory.spend else {
            return;
        };
        let changed = spend.deliver(delivered);
        let newest = spend.newest().and_then(|day| Some((day, spend.day(day)?)));
        self.effects.dirty = true;
        self.tell_spent(start, before);
        if let Some((day, sum)) = newest.filter(|_| changed) {
            let day = Timestamp::from_ms(day.saturating_mul(Timestamp::DAY)).min(self.now);
            self.observe(day, "cost".into(), Observed::Text(format_smolstr!("{sum}")));
            self.judge(|rule| rule.meta().needs.costs);
        }
    }

    /// What this usage cost in the month of a moment.
    fn month_of(&self, at: Timestamp) -> Usd {
        let spend = self.state.memory.spend.as_ref().zip(month_of(at));
        spend.map_or(Usd::ZERO, |(spend, (first, next))| {
            spend.sum(first.day(), next.day() - 1)
        })
    }

    /// Tells the account by how much the month is another one now.
    fn tell_spent(&mut self, at: Timestamp, before: Usd) {
        let more = self.month_of(at) - before;
        if let Some((month, _)) = month_of(at).filter(|_| more != Usd::ZERO) {
            let account = account_subject(self.key.account());
            self.tell(account, Says::Spent { month, more });
        }
    }

    pub(super) fn observe(&mut self, at: Timestamp, what: SmolStr, value: Observed) {
        self.effects.observe.push(Observation { at, what, value });
    }
}
