//! The newest observations of a subject, as a short head and whole chunks behind it.
//!
//! A new observation rewrites the head alone (at most [`CHUNK`] observations); a full head becomes
//! a chunk of its own, and the chunk that has left the capacity goes.

use fjall::OwnedWriteBatch;

use super::Embedded;
use super::codec;
use crate::model::Subject;
use crate::ports::{PortResult, TaskId};

/// Observations of a chunk.
const CHUNK: u64 = 16;

/// The newest observations of a subject.
#[derive(Default)]
struct Head {
    /// Observations ever added.
    count: u64,
    /// The last `count % CHUNK` of them, oldest first.
    tail: Vec<Vec<u8>>,
}

/// agent, partition, subject length, subject: the length keeps one subject's chunks out of the
/// range of another whose name it begins.
fn head_key(task: TaskId, subject: &Subject) -> Vec<u8> {
    let text = subject.as_str().as_bytes();
    let mut key = Vec::with_capacity(5 + 2 + text.len() + 8);
    key.extend_from_slice(&codec::task_key(task));
    key.extend_from_slice(&(text.len() as u16).to_be_bytes());
    key.extend_from_slice(text);
    key
}

fn chunk_key(head: &[u8], chunk: u64) -> Vec<u8> {
    let mut key = head.to_vec();
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

impl Embedded {
    fn head(&self, key: &[u8], subject: &Subject) -> PortResult<Head> {
        let Some(value) = self
            .0
            .recents
            .get(key)
            .map_err(|error| self.broken("be read", &error))?
        else {
            return Ok(Head::default());
        };
        let read = || {
            let mut reader = codec::Reader::new(&value)?;
            Some(Head {
                count: reader.varint()?,
                tail: reader.list()?,
            })
        };
        read().ok_or_else(|| self.damaged(&format!("observations of {subject}")))
    }

    /// The chunks that can be read, and one more, which may be going.
    fn chunks_kept(&self) -> u64 {
        (self.0.options.recent_capacity as u64).div_ceil(CHUNK) + 1
    }

    pub(super) fn add_recent(
        &self,
        batch: &mut OwnedWriteBatch,
        task: TaskId,
        subject: &Subject,
        observations: &[Vec<u8>],
    ) -> PortResult<()> {
        let key = head_key(task, subject);
        let mut head = self.head(&key, subject)?;
        for observation in observations {
            head.tail.push(observation.clone());
            head.count += 1;
            if head.count.is_multiple_of(CHUNK) {
                let chunk = head.count / CHUNK - 1;
                let mut value = codec::begin();
                codec::encode_list(&mut value, &head.tail);
                batch.insert(&self.0.recents, chunk_key(&key, chunk), value);
                if let Some(old) = chunk.checked_sub(self.chunks_kept()) {
                    batch.remove(&self.0.recents, chunk_key(&key, old));
                }
                head.tail.clear();
            }
        }
        let mut value = codec::begin();
        codec::put_varint(&mut value, head.count);
        codec::encode_list(&mut value, &head.tail);
        batch.insert(&self.0.recents, key, value);
        Ok(())
    }

    pub(super) fn remove_recent(
        &self,
        batch: &mut OwnedWriteBatch,
        task: TaskId,
        subject: &Subject,
    ) -> PortResult<()> {
        let key = head_key(task, subject);
        if self.head(&key, subject)?.count == 0 {
            return Ok(());
        }
        // By range, since a smaller capacity may have left chunks of a larger one behind.
        for guard in self.0.recents.prefix(&key) {
            let found = guard
                .key()
                .map_err(|error| self.broken("be read", &error))?;
            batch.remove(&self.0.recents, found);
        }
        Ok(())
    }

    pub(super) fn read_recent(
        &self,
        task: TaskId,
        subject: &Subject,
        n: usize,
    ) -> PortResult<Vec<Vec<u8>>> {
        let key = head_key(task, subject);
        let head = self.head(&key, subject)?;
        let wanted = n.min(self.0.options.recent_capacity);
        let mut chunk = head.count / CHUNK;
        let mut newest = head.tail;
        newest.reverse();
        while newest.len() < wanted && chunk > 0 {
            chunk -= 1;
            let Some(value) = self
                .0
                .recents
                .get(chunk_key(&key, chunk))
                .map_err(|error| self.broken("be read", &error))?
            else {
                break;
            };
            let items = codec::Reader::new(&value)
                .and_then(|mut reader| reader.list())
                .ok_or_else(|| self.damaged(&format!("observations of {subject}")))?;
            newest.extend(items.into_iter().rev());
        }
        newest.truncate(wanted);
        Ok(newest)
    }
}
