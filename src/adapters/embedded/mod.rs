//! Log and memory in one data directory: nothing to install, safe against kill -9.
//!
//! One fjall database holds every topic partition and every task's memory, so a checkpoint
//! (outputs, states, observations, wakes, positions) is one batch: it is there whole or not at
//! all. A batch is in the operating system's hands before the call returns, which survives the
//! process; [`Embedded::persist`] survives the machine.

mod codec;
mod log;
mod open;
mod recent;
mod retention;
mod store;
mod syncs;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode};
use parking_lot::{Condvar, Mutex};

pub use log::EmbeddedLog;
pub use open::OpenError;
pub use retention::{Keep, Trimmed};

use crate::model::Topic;
use crate::ports::{Appender, Outgoing, PortError, PortResult, RECENT_CAPACITY, RecordView, Usage};
use codec::{Headers, TaskRow};
use syncs::Syncs;

/// Partitions of every topic unless configured otherwise.
pub const PARTITIONS_DEFAULT: u32 = 32;
/// Bytes of recently read blocks kept in memory unless configured otherwise.
pub const CACHE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Bytes of journal replayed at most when the directory is opened again: what bounds the time a
/// restart takes after kill -9.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bytes a keyspace gathers in memory before they become a table.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;

/// How to open a data directory.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// Partitions of every topic; fixed for the life of the directory.
    pub partitions: u32,
    /// Observations kept a subject.
    pub recent_capacity: usize,
    /// Bytes of recently read blocks kept in memory.
    pub cache_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            partitions: PARTITIONS_DEFAULT,
            recent_capacity: RECENT_CAPACITY,
            cache_bytes: CACHE_BYTES_DEFAULT,
        }
    }
}

/// A data directory in use by this process. Cheap to clone; the directory is free again when the
/// last clone, log and appender is gone. Implements [`Store`](crate::ports::Store) and
/// [`Appender`].
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    // Before `_lock`: fields drop in order, and the database must be closed while locked.
    db: Database,
    /// Records.
    records: Keyspace,
    /// Starts and end floors of topic partitions.
    marks: Keyspace,
    /// Epoch and meta a task.
    tasks: Keyspace,
    /// States.
    states: Keyspace,
    /// Wakes.
    wakes: Keyspace,
    /// Recent observations.
    recents: Keyspace,
    dir: PathBuf,
    options: EmbeddedOptions,
    /// Every task's row, which is also the lock under which it is checked and written.
    rows: Vec<Mutex<TaskRow>>,
    /// Every topic partition's bounds.
    bounds: Vec<Bounds>,
    /// Held while offsets are given out and written, so that they appear in order.
    writing: Mutex<()>,
    /// Held while records are removed, since a removal reads the bounds it then writes.
    removing: Mutex<()>,
    /// Counts appends; pollers with nothing to do wait on it.
    appended: Mutex<u64>,
    appended_signal: Condvar,
    syncs: Syncs,
    _lock: File,
}

/// The offsets a topic partition has.
#[derive(Default)]
struct Bounds {
    start: AtomicU64,
    end: AtomicU64,
}

/// A day for what would be longer: callers wait again.
fn deadline(within: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_hours(24);
    Instant::now() + within.min(LONGEST)
}

/// A failure of the database: it takes no more writes until it is opened again.
fn broken(dir: &Path, what: &str, error: &fjall::Error) -> PortError {
    PortError::Fatal(format!(
        "the data directory {} cannot {what}: {error}; see that the disk has room and is sound, \
         then start again (nothing that was acknowledged is lost)",
        dir.display()
    ))
}

impl Embedded {
    /// Partitions of every topic.
    pub fn partitions(&self) -> u32 {
        self.0.options.partitions
    }

    /// Bytes of disk the directory's tables and journal take. The disk's own size is not asked.
    pub fn usage(&self) -> PortResult<Option<Usage>> {
        let bytes = self.0.db.disk_space();
        let bytes = bytes.map_err(|error| self.broken("be measured", &error))?;
        Ok(Some(Usage { bytes, bound: None }))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Makes everything appended and committed so far survive the machine (fsync). Callers at
    /// the same time share one.
    pub fn persist(&self) -> PortResult<()> {
        self.0.syncs.after_now(|| {
            self.0
                .db
                .persist(PersistMode::SyncAll)
                .map_err(|error| self.broken("be synced", &error))
        })
    }

    /// Bytes on disk, journal included.
    pub fn disk_bytes(&self) -> PortResult<u64> {
        self.0
            .db
            .disk_space()
            .map_err(|error| self.broken("be measured", &error))
    }

    /// The offsets of a topic partition: its start and the next to be given. `None` when there
    /// is no such partition.
    pub fn bounds(&self, topic: Topic, partition: u32) -> Option<(u64, u64)> {
        let bounds = self.bound(topic, partition)?;
        Some((
            bounds.start.load(Ordering::Acquire),
            bounds.end.load(Ordering::Acquire),
        ))
    }

    /// Appends records in order, as one batch: all of them or none.
    pub fn append_many<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Outgoing>,
    ) -> PortResult<()> {
        let records: Vec<&Outgoing> = records.into_iter().collect();
        self.write(self.0.db.batch(), &records)
    }

    /// Counts appends: take it before looking, then [`Embedded::wait_appended`].
    pub fn appended(&self) -> u64 {
        *self.0.appended.lock()
    }

    /// Waits until something was appended after `seen` was taken, at most `within`.
    pub fn wait_appended(&self, seen: u64, within: Duration) -> bool {
        let deadline = deadline(within);
        let mut appended = self.0.appended.lock();
        while *appended == seen {
            if self
                .0
                .appended_signal
                .wait_until(&mut appended, deadline)
                .timed_out()
            {
                return *appended != seen;
            }
        }
        true
    }

    /// Hands the records from `from` up to but not at `to` to `sink`, at most `max`; returns how
    /// many and the next offset to read.
    pub fn scan(
        &self,
        topic: Topic,
        partition: u32,
        (from, to): (u64, u64),
        max: usize,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<(usize, u64)> {
        let range =
            codec::record_key(topic, partition, from)..codec::record_key(topic, partition, to);
        let mut taken = 0;
        let mut next = from;
        for guard in self.0.records.range(range) {
            if taken == max {
                return Ok((taken, next));
            }
            let (key, value) = guard
                .into_inner()
                .map_err(|error| self.broken("be read", &error))?;
            let offset = codec::offset_of(&key);
            let mut headers = Headers::new();
            let (Some(offset), Some(stored)) = (offset, codec::decode_record(&value, &mut headers))
            else {
                return Err(self.damaged(&format!("{topic}/{partition} at or after {next}")));
            };
            sink(RecordView {
                topic,
                partition,
                offset,
                key: stored.key,
                payload: stored.payload,
                headers: &headers,
                timestamp_ms: stored.timestamp_ms,
            });
            next = offset + 1;
            taken += 1;
        }
        // Offsets removed at the end of the range are passed as well.
        Ok((taken, next.max(to)))
    }

    fn bound(&self, topic: Topic, partition: u32) -> Option<&Bounds> {
        let partitions = self.0.options.partitions;
        (partition < partitions)
            .then(|| &self.0.bounds[topic as usize * partitions as usize + partition as usize])
    }

    fn broken(&self, what: &str, error: &fjall::Error) -> PortError {
        broken(&self.0.dir, what, error)
    }

    fn damaged(&self, place: &str) -> PortError {
        PortError::Fatal(format!(
            "the data directory {} holds an unreadable value ({place}); restore the directory \
             from a copy, or open it with the version of skyherd that wrote it",
            self.0.dir.display()
        ))
    }

    fn no_partition(&self, partition: u32) -> PortError {
        PortError::Fatal(format!(
            "there is no partition {partition}: the data directory {} has {}",
            self.0.dir.display(),
            self.0.options.partitions
        ))
    }

    /// Gives `records` their offsets and writes them with what is already in `batch`.
    fn write(&self, mut batch: OwnedWriteBatch, records: &[&Outgoing]) -> PortResult<()> {
        // As a broker does: a record without a time of its own has the time it was appended.
        let now = now_ms();
        let values: Vec<Vec<u8>> = records
            .iter()
            .map(|record| codec::encode_record(record, record.timestamp_ms.unwrap_or(now)))
            .collect();
        for record in records {
            if self.bound(record.topic, record.partition).is_none() {
                return Err(self.no_partition(record.partition));
            }
        }
        let writing = self.0.writing.lock();
        let mut ends: std::collections::BTreeMap<(Topic, u32), u64> =
            std::collections::BTreeMap::new();
        for (record, value) in records.iter().zip(values) {
            let bounds = self
                .bound(record.topic, record.partition)
                .expect("checked above");
            let end = ends
                .entry((record.topic, record.partition))
                .or_insert_with(|| bounds.end.load(Ordering::Acquire));
            batch.insert(
                &self.0.records,
                codec::record_key(record.topic, record.partition, *end),
                value,
            );
            *end += 1;
        }
        batch
            .commit()
            .map_err(|error| self.broken("be written", &error))?;
        for ((topic, partition), end) in ends {
            self.bound(topic, partition)
                .expect("checked above")
                .end
                .store(end, Ordering::Release);
        }
        drop(writing);
        if !records.is_empty() {
            *self.0.appended.lock() += 1;
            self.0.appended_signal.notify_all();
        }
        Ok(())
    }
}

/// The wall clock, in milliseconds since 1970.
fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

impl Appender for Embedded {
    fn atomic(&self) -> bool {
        true
    }
    fn append(&self, _batch: u64, record: &Outgoing) -> PortResult<()> {
        self.write(self.0.db.batch(), &[record])
    }
    /// Nothing to wait for: an append that returned is in the journal.
    fn settle(&self, _batch: u64, _within: Duration) -> PortResult<()> {
        Ok(())
    }
}
