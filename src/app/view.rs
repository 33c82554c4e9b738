//! Recommendations, read whole from their topic: any process can answer the API.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::{Message, Recommendation, Topic};
use crate::ports::PortResult;
use crate::sources::{Decoded, decode};

use super::Backend;

/// The rows as of the last look, brought up to date when asked.
pub(super) struct View {
    state: Mutex<State>,
}

struct State {
    next: Vec<u64>,
    rows: BTreeMap<String, Recommendation>,
}

impl View {
    pub(super) fn new(partitions: u32) -> Self {
        let next = vec![0; partitions as usize];
        Self {
            state: Mutex::new(State {
                next,
                rows: BTreeMap::new(),
            }),
        }
    }

    /// Reads what is new and returns every row.
    pub(super) fn recommendations(&self, backend: &dyn Backend) -> PortResult<Vec<Recommendation>> {
        let mut state = self.state.lock();
        let State { next, rows } = &mut *state;
        backend.read(Topic::Recommendations, next, &mut |record| {
            let key = record
                .key
                .and_then(|key| std::str::from_utf8(key).ok())
                .unwrap_or_default();
            match decode(record.topic, record.key, record.payload) {
                Ok(Decoded::Message(Message::Recommendation(row))) => {
                    let newer = rows
                        .get(key)
                        .is_none_or(|known| (known.epoch, known.seq) <= (row.epoch, row.seq));
                    if newer {
                        rows.insert(key.to_owned(), *row);
                    }
                }
                _ => {
                    rows.remove(key);
                }
            }
        })?;
        Ok(rows.values().cloned().collect())
    }
}
