//! The only loop that performs effects: poll, decode, decide, append, checkpoint.
//!
//! A [`Worker`] is one agent in one process: one thread, one [`crate::ports::Log`], any number of
//! tasks. What a task may rely on, whatever fails (named in tests and in the simulator):
//!
//! * **I1** the same log gives the same open findings, episodes and recommendations.
//! * **I2** what a record led to is durable before the record's position is.
//! * **I3** a task's memory never runs backwards; what it never knew is not cleared.
//! * **I4** a row of an earlier owner is confirmed, adopted or withdrawn before a task is quiet.
//! * **I5** a misplaced record is forwarded in order and applied once; an undecodable one is kept.
//! * **I6** every bounded thing stays within its bound.
//!
//! Deliberately absent: any client library, and any decision.

mod backup;
mod checkpoint;
mod clock;
mod codec;
mod decide;
mod echo;
mod failpoint;
mod intake;
mod merge;
mod meta;
mod ownership;
mod retry;
mod saving;
mod standing;
mod task;
mod worker;

pub use backup::backup_key;
pub use clock::SystemClock;
pub use codec::{CodecError, decode_state, encode_state};
pub use failpoint::{Failpoint, Point};
pub use intake::{
    HEADER_CAUSE, HEADER_ORIGIN, HEADER_REASON, HEADER_SOURCE_OFFSET, HEADER_SOURCE_PARTITION,
    HEADER_SOURCE_TOPIC,
};
pub use meta::TaskMeta;
pub use standing::Standing;
pub use worker::{Outside, Turn, Worker, topics_of};

use std::time::Duration;

/// How a worker behaves. Every bound of the runtime has its name here.
#[derive(Clone, Debug)]
pub struct Options {
    /// Partitions of every topic.
    pub partitions: u32,
    /// Records taken in one poll.
    pub poll_records_max: usize,
    /// Longest a poll waits for the first record.
    pub poll_wait: Duration,
    /// Records decided in one go per task: one round trip to the store.
    pub plan_records_max: usize,
    /// Records queued per topic of a task before its delivery is paused.
    pub queued_records_max: usize,
    /// Longest a task waits for a topic that is known to lag, before it goes on without.
    pub merge_wait_ms: u64,
    /// Encoded bytes of changed state that force a checkpoint.
    pub dirty_bytes_max: usize,
    /// Longest between checkpoints while anything is dirty.
    pub checkpoint_interval_ms: u64,
    /// Subjects kept decoded, over all tasks of the worker.
    pub subjects_cached_max: usize,
    /// Observations kept a subject.
    pub recent_capacity: usize,
    /// Between backups of changed state to the `memory` topic.
    pub backup_interval_ms: u64,
    /// Longest a checkpoint may take when partitions are revoked or the process stops.
    pub release_deadline_ms: u64,
    /// Event times further ahead of the record's own time are clamped to it.
    pub ahead_max_ms: i64,
    /// Whether checkpoints run on their own thread (cluster) or in the loop (embedded, simulated).
    pub checkpoint_thread: bool,
    /// Where a test ends the process.
    pub failpoint: Option<std::sync::Arc<Failpoint>>,
    /// Whether the clock advances at wall speed while nothing is heard; off for bounded replays.
    pub idle_time: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 32,
            poll_records_max: 2_000,
            poll_wait: Duration::from_millis(50),
            plan_records_max: 512,
            queued_records_max: 4_000,
            merge_wait_ms: 30_000,
            dirty_bytes_max: 8 << 20,
            checkpoint_interval_ms: 2_000,
            subjects_cached_max: 200_000,
            recent_capacity: crate::ports::RECENT_CAPACITY,
            backup_interval_ms: 60_000,
            release_deadline_ms: 5_000,
            ahead_max_ms: 5 * 60 * 1_000,
            checkpoint_thread: false,
            failpoint: None,
            idle_time: true,
        }
    }
}

/// Quick attempts before a task counts as parked.
pub const QUICK_ATTEMPTS: u32 = 3;
/// Hops a chain of notes may take within one message.
pub const NOTE_HOPS_MAX: usize = 8;
/// Foreign rows remembered at once by a task.
pub const FOREIGN_ROWS_MAX: usize = 100_000;
