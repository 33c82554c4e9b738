//! One agent with its states in a map: the runtime's promises and nothing else.

use std::collections::BTreeMap;

use skyherd::agents::domain::{DomainAgent, DomainState};
use skyherd::agents::{Agent, Effects, Input, Keys, Step, Trigger};
use skyherd::model::{Fact, Finding, FindingStatus, Message, Subject, Timestamp};

pub(super) struct World {
    pub(super) agent: DomainAgent,
    pub(super) states: BTreeMap<Subject, DomainState>,
    pub(super) wakes: BTreeMap<Subject, Timestamp>,
    pub(super) now: Timestamp,
    pub(super) published: Vec<Message>,
    pub(super) late: u32,
    /// Whether every state goes through its encoded form between steps, as after a restart.
    pub(super) forgetful: bool,
}

impl World {
    pub(super) fn new(agent: DomainAgent) -> Self {
        Self {
            agent,
            states: BTreeMap::new(),
            wakes: BTreeMap::new(),
            now: Timestamp::default(),
            published: Vec::new(),
            late: 0,
            forgetful: false,
        }
    }

    pub(super) fn fact(&mut self, fact: &Fact) {
        self.advance(fact.at);
        self.input(Input::Fact(fact));
    }

    pub(super) fn message(&mut self, message: &Message) {
        self.advance(message.at().unwrap_or(self.now));
        self.input(Input::Message(message));
    }

    pub(super) fn advance(&mut self, to: Timestamp) {
        loop {
            let due = self
                .wakes
                .iter()
                .filter(|(_, at)| **at <= to)
                .min_by_key(|(key, at)| (**at, *key));
            let Some((key, at)) = due.map(|(key, at)| (key.clone(), *at)) else {
                break;
            };
            self.now = self.now.max(at);
            self.wakes.remove(&key);
            let notes = self.step(&key, Trigger::Wake);
            self.settle(notes);
        }
        self.now = self.now.max(to);
    }

    fn input(&mut self, input: Input<'_>) {
        let mut keys = Keys::new();
        self.agent.route(input, &mut keys);
        for key in keys {
            let notes = self.step(&key, Trigger::Input(input));
            self.settle(notes);
        }
    }

    fn settle(&mut self, notes: Vec<(Subject, skyherd::agents::domain::Note)>) {
        let mut queue = std::collections::VecDeque::from(notes);
        let mut handled = 0;
        while let Some((key, note)) = queue.pop_front() {
            handled += 1;
            assert!(handled < 10_000, "notes never end");
            queue.extend(self.step(&key, Trigger::Note(&note)));
        }
    }

    fn step(
        &mut self,
        key: &Subject,
        trigger: Trigger<'_, skyherd::agents::domain::Note>,
    ) -> Vec<(Subject, skyherd::agents::domain::Note)> {
        let mut state = self.states.remove(key).unwrap_or_default();
        let before = state.clone();
        let mut effects = Effects::default();
        let step = Step {
            trigger,
            key,
            now: self.now,
        };
        self.agent.handle(step, &mut state, &mut effects);
        assert!(
            before == state || effects.dirty,
            "{key} changed and was not said to"
        );
        if self.forgetful {
            let encoded = rmp_serde::to_vec_named(&state).unwrap();
            state = rmp_serde::from_slice(&encoded).unwrap();
        }
        self.states.insert(key.clone(), state);
        match effects.wake {
            Some(Some(at)) => {
                assert!(at > self.now, "{key} asks to be woken in the past");
                self.wakes.insert(key.clone(), at);
            }
            Some(None) => {
                self.wakes.remove(key);
            }
            None => {}
        }
        self.late += effects.late;
        self.published.extend(effects.publish);
        effects.notes
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.published.iter().filter_map(|message| match message {
            Message::Finding(row) => Some(row.as_ref()),
            _ => None,
        })
    }

    /// The last row of every finding, tombstones obeyed.
    pub(super) fn rows(&self) -> BTreeMap<String, Finding> {
        let mut rows = BTreeMap::new();
        for message in &self.published {
            match message {
                Message::Finding(row) => {
                    rows.insert(row.id.to_string(), row.as_ref().clone());
                }
                Message::Tombstone(_, _, key) => {
                    rows.remove(key);
                }
                _ => {}
            }
        }
        rows
    }

    pub(super) fn open(&self) -> Vec<(String, String)> {
        self.rows()
            .into_values()
            .filter(|row| row.status == FindingStatus::Open)
            .map(|row| {
                (
                    row.rule.to_string(),
                    format!("{} {}", row.subject, row.discriminator),
                )
            })
            .collect()
    }
}
