//! Agents decide; they never perform. One step in, effects out, nothing awaited.
//!
//! Nothing here reads a clock, a topic or a store, which is why a recorded day can be replayed on
//! a laptop and give the findings production gave.

pub mod coordinator;
pub mod domain;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::model::{AgentName, Fact, Message, Subject, TaskKind, Timestamp, Topic};

/// What an agent is, as data: the topology, consumer groups and documentation derive from it.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// The name.
    pub name: AgentName,
    /// Topics it consumes, apart from its own output.
    pub reads: &'static [Topic],
    /// The compacted topic of its rows.
    pub writes: Topic,
    /// Other topics it publishes to.
    pub also_writes: &'static [Topic],
    /// Tasks it can execute.
    pub tasks: &'static [TaskKind],
}

/// What there is to decide about.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// One fact of a raw topic.
    Fact(&'a Fact),
    /// Any other message.
    Message(&'a Message),
}

/// Why the agent is asked.
#[derive(Clone, Copy, Debug)]
pub enum Trigger<'a, N> {
    /// A message arrived.
    Input(Input<'a>),
    /// Another subject of the same task left a note, during the same message.
    Note(&'a N),
    /// The wake the subject asked for is due.
    Wake,
}

/// One thing to decide.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a, N> {
    /// Why.
    pub trigger: Trigger<'a, N>,
    /// Whose state is at hand.
    pub key: &'a Subject,
    /// The task's clock: event time, never the wall clock. Never runs backwards.
    pub now: Timestamp,
}

/// Something worth remembering for a while: the short-term memory's unit.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Observation {
    /// Event time.
    pub at: Timestamp,
    /// What was observed: a metric's name, an event's kind, an edge.
    pub what: smol_str::SmolStr,
    /// The value.
    pub value: Observed,
}

/// The value of an observation: text wherever it is stored or shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// A state, an edge, an id.
    Text(smol_str::SmolStr),
    /// A measurement. Most are pushed out by newer ones before anybody reads them, so it becomes
    /// text only when it is stored.
    Number(f64),
}

impl std::fmt::Display for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Serialize for Observed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Observed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(Self::Text)
    }
}

/// What should happen. The runtime appends, remembers, then commits.
#[derive(Debug)]
pub struct Effects<N> {
    /// Rows and messages to publish, in order.
    pub publish: Vec<Message>,
    /// Notes for other subjects of the same account, handled before the next message.
    pub notes: Vec<(Subject, N)>,
    /// Observations of the step's subject.
    pub observe: Vec<Observation>,
    /// `Some(Some(at))` asks for a wake at `at`, replacing the subject's earlier one;
    /// `Some(None)` cancels it; `None` leaves it.
    pub wake: Option<Option<Timestamp>>,
    /// Whether the state changed and must be saved. Set it whenever `state` was touched.
    pub dirty: bool,
    /// Points too late for the statistics they belong to; counted, not applied.
    pub late: u32,
}

impl<N> Default for Effects<N> {
    fn default() -> Self {
        Self {
            publish: Vec::new(),
            notes: Vec::new(),
            observe: Vec::new(),
            wake: None,
            dirty: false,
            late: 0,
        }
    }
}

/// Subjects whose state an input needs.
pub type Keys = SmallVec<[Subject; 2]>;

/// A named decider.
pub trait Agent: Send + Sync + 'static {
    /// What it remembers of one subject. Fields may be added with `#[serde(default)]`.
    type State: Default + Serialize + DeserializeOwned + Send;
    /// What subjects of one account tell each other.
    type Note: Send + std::fmt::Debug;

    /// Raised when `State` changes in a way serde defaults cannot bridge.
    const STATE_VERSION: u8;

    /// What it is.
    fn capabilities(&self) -> &'static Capabilities;

    /// Subjects the input concerns, in the order they are handled; none when it is of no interest.
    fn route(&self, input: Input<'_>, keys: &mut Keys);

    /// Decides. Pure and deterministic: equal steps on equal states give equal effects.
    fn handle(
        &self,
        step: Step<'_, Self::Note>,
        state: &mut Self::State,
        effects: &mut Effects<Self::Note>,
    );

    /// The row with this key as the state has it, for comparison with what an earlier owner
    /// published; `None` when the state knows no such row.
    fn row(&self, state: &Self::State, key: &str) -> Option<Message>;

    /// Takes over a row an earlier owner published and whose state was lost with no way to
    /// derive it again, so that ids and episodes continue. Returns whether it was taken.
    fn adopt(&self, state: &mut Self::State, row: &Message) -> bool;

    /// The row that says an earlier owner's `row` does not hold; published when a replay that
    /// missed nothing did not confirm it.
    fn withdraw(&self, row: &Message, now: Timestamp) -> Option<Message>;
}
