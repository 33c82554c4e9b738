//! What a cluster has, and how it differs from what it should have.

use std::collections::BTreeMap;
use std::fmt;

/// Settings by name: the value in force, and whether it was set for this topic.
pub type Settings = BTreeMap<String, (String, bool)>;

/// One topic as the cluster has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its whole name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many copies of the first.
    pub replicas: u32,
    /// Settings in force; those set for this topic are marked.
    pub config: Settings,
}

/// Where cluster and manifests differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The cluster lacks the topic.
    Missing {
        /// Its whole name.
        topic: String,
    },
    /// A setting has another value.
    Config {
        /// The topic's whole name.
        topic: String,
        /// The setting.
        setting: String,
        /// The manifest's value.
        wanted: String,
        /// The cluster's value.
        found: String,
    },
    /// The number of partitions differs; it is never changed.
    Partitions {
        /// The topic's whole name.
        topic: String,
        /// The manifest's number.
        wanted: u32,
        /// The cluster's number.
        found: u32,
    },
    /// The cluster has a topic beside ours that no manifest names.
    Extra {
        /// Its whole name.
        topic: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic } => write!(f, "{topic} is missing"),
            Self::Config {
                topic,
                setting,
                wanted,
                found,
            } => write!(f, "{topic}: {setting} is {found}, should be {wanted}"),
            Self::Partitions {
                topic,
                wanted,
                found,
            } => write!(
                f,
                "{topic} has {found} partitions, should have {wanted}; not changed, since accounts would part from their state"
            ),
            Self::Extra { topic } => write!(f, "{topic} is in no manifest"),
        }
    }
}

/// What [`TopicAdmin::apply`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Topics made.
    pub created: Vec<String>,
    /// Topics whose settings were changed.
    pub altered: Vec<String>,
    /// What it refuses to change; the command exits with 1 when there is any.
    pub refused: Vec<Difference>,
}
