//! What could not be decoded, kept byte for byte.
//!
//! A dead letter's payload is the original payload itself and its key the original key; reason
//! and origin travel in headers, so that nothing of the original is escaped or re-encoded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Topic;

/// Where a record first stood.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
}

/// The headers of a dead letter (`skyherd_reason`, `skyherd_topic`, …) as one value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Why it could not be decoded: what, where, and how to mend it.
    pub reason: String,
    /// The topic it stood in.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
}
