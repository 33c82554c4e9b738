//! What the runtime keeps of a task beside its subjects: one value, committed with every
//! checkpoint and compared with what the owner last saw.

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, Topic};
use crate::ports::Positions;

use super::codec::{CodecError, decode_state, encode_state};

/// Raised when the fields below change in a way defaults cannot bridge.
const META_VERSION: u8 = 1;

/// Positions, clock and the rest of a task's own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMeta {
    /// The epoch in which this line of checkpoints began: with nothing, or with what was left of an
    /// earlier line after a loss of memory.
    #[serde(default)]
    pub lineage: u64,
    /// Checkpoints so far.
    pub generation: u64,
    /// Next offsets. The agent's own output is among them where it is echoed.
    pub positions: Positions,
    /// The task's clock: latest event time taken.
    pub clock: Timestamp,
    /// Highest origin offset applied of records forwarded from another partition.
    #[serde(default)]
    pub origins: Vec<(Topic, u32, u64)>,
    /// Facts are known to be missing (positions outside the log): rows of earlier owners are
    /// adopted, not withdrawn.
    #[serde(default)]
    pub missed: bool,
    /// Subjects changed since the last backup that was completed.
    #[serde(default)]
    pub unbacked: bool,
}

impl TaskMeta {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        encode_state(META_VERSION, self)
    }
    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_state(META_VERSION, bytes)
    }
    /// Tells the newer of store and backup: generations count within a lineage.
    pub fn age(&self) -> (u64, u64) {
        (self.lineage, self.generation)
    }
    /// Notes that a forwarded record is applied; false when it had been before.
    pub fn apply_origin(&mut self, topic: Topic, partition: u32, offset: u64) -> bool {
        let known = self
            .origins
            .iter_mut()
            .find(|(t, p, _)| (*t, *p) == (topic, partition));
        match known {
            Some((_, _, highest)) if offset <= *highest => false,
            Some((_, _, highest)) => {
                *highest = offset;
                true
            }
            None => {
                self.origins.push((topic, partition, offset));
                self.origins.sort_unstable();
                true
            }
        }
    }
}
