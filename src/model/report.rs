//! What a process reports of itself, once a round: the raw material of the rules that watch
//! Skyherd. It travels on `aws.events` as any application's own event does.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{AgentName, Subject};

/// The account that owns what Skyherd says of itself.
pub const OWN_ACCOUNT: &str = "skyherd";
/// The `source` of its own events.
pub const OWN_SOURCE: &str = "skyherd";
/// `detail-type` of an [`AgentReport`].
pub const AGENT_REPORT: &str = "Skyherd Agent Report";
/// `detail-type` of a [`ProcessReport`].
pub const PROCESS_REPORT: &str = "Skyherd Process Report";
/// The region of what all processes have in common.
const EVERYWHERE: &str = "global";

/// One agent as one process sees it, over one round. Every process reports every agent, also those
/// it does not run: so an agent that is gone is still spoken of.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentReport {
    /// The agent's name.
    pub agent: SmolStr,
    /// The process.
    pub node: SmolStr,
    /// Milliseconds between its reports.
    pub interval_ms: u64,
    /// Whether it runs the agent.
    pub runs: bool,
    /// Whether it is about to stop in good order.
    pub leaving: bool,
    /// Whether the agent's worker answered when asked how it stands.
    pub answers: bool,
    /// Tasks it owns.
    pub owned: u64,
    /// Those of them that have caught up.
    pub live: u64,
    /// Records between its positions and the ends of its topics.
    pub lag: u64,
    /// Records it took in the round, of all topics.
    pub taken: u64,
    /// Those of topics it is the home of; reports such as this not counted.
    pub home_taken: u64,
    /// Records it found undecodable and kept.
    pub dead_letters: u64,
    /// Records it took of the raw topic it is the home of; `None` when it is of none.
    pub source_taken: Option<u64>,
    /// Records of that topic it has not taken yet.
    pub source_lag: u64,
    /// Checkpoints it wrote.
    pub checkpoints: u64,
    /// Seconds they took together.
    pub checkpoint_seconds: f64,
}

/// One process over one round.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessReport {
    /// The process.
    pub node: SmolStr,
    /// Bytes of memory it holds; 0 when not known.
    pub process_bytes: u64,
    /// Bytes it may hold before the machine ends it; 0 when not known.
    pub process_bound: u64,
    /// Bytes the short-term memory holds; 0 when not known.
    pub store_bytes: u64,
    /// Bytes it may hold before it refuses writes; 0 when not known.
    pub store_bound: u64,
}

/// An agent, wherever it runs: the owner of every finding about it.
pub fn agent_subject(agent: &str) -> Subject {
    Subject::new(OWN_ACCOUNT, EVERYWHERE, &format!("agent/{agent}"))
}

/// One agent in one process.
pub fn worker_subject(node: &str, agent: &str) -> Subject {
    Subject::new(OWN_ACCOUNT, node, &format!("worker/{agent}"))
}

/// One process.
pub fn process_subject(node: &str) -> Subject {
    Subject::new(OWN_ACCOUNT, node, &format!("process/{node}"))
}

/// Whether text can be part of the subjects above: a node's name as the configuration takes it.
pub fn names_a_node(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(plain)
}

impl AgentReport {
    /// Whether it speaks of an agent there is, by a process with a name.
    pub fn sound(&self) -> bool {
        AgentName::parse(&self.agent).is_some() && names_a_node(&self.node) && self.interval_ms > 0
    }
}
