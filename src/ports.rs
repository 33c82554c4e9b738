//! The outside as two ports: a log that is polled and appended to, and a store of task memory.
//!
//! A task is one agent's share of the work: one partition number over all the agent's topics.
//! Implementations: `adapters::embedded` (fjall, both ports, one batch a checkpoint),
//! `adapters::kafka` with `adapters::redis`, and `adapters::sim` (seeded faults). One conformance
//! suite (`tests/suite/conformance.rs`) holds for all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{AgentName, Subject, Timestamp, Topic};

/// What the caller must do about a port's failure.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Try again later; nothing happened, or what happened may be repeated.
    #[error("{0}")]
    Transient(String),
    /// The task's work since its last checkpoint cannot be trusted: drop its state and reacquire.
    #[error("{0}")]
    Lost(String),
    /// Stop: only a person can mend it. Says what, where and how.
    #[error("{0}")]
    Fatal(String),
}
/// A port's answer.
pub type PortResult<T> = Result<T, PortError>;

/// One agent's share of the work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId {
    /// Whose.
    pub agent: AgentName,
    /// Which partition number, over all the agent's topics.
    pub partition: u32,
}
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.agent, self.partition)
    }
}

/// The next offset to take, by topic. A topic that is not named is taken from its start.
pub type Positions = BTreeMap<Topic, u64>;

/// A record as the log shows it, borrowed for the duration of a call.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Where it stands.
    pub topic: Topic,
    /// Where it stands.
    pub partition: u32,
    /// Where it stands.
    pub offset: u64,
    /// The record key.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The record's own time in milliseconds, when it has one.
    pub timestamp_ms: Option<i64>,
}

impl RecordView<'_> {
    /// The last header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// A record to append. The partition is always explicit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub topic: Topic,
    /// Where to.
    pub partition: u32,
    /// The record key.
    pub key: Option<Vec<u8>>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Event time in milliseconds; without it the log gives the time of the append.
    pub timestamp_ms: Option<i64>,
}

/// A change of what this process owns; the worker must answer it before polling again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// These partitions are ours: acquire each task, then call [`Log::start`].
    Assigned(Vec<u32>),
    /// These go elsewhere: checkpoint within the deadline, then call [`Log::stop`].
    Revoked(Vec<u32>),
    /// These have gone elsewhere already: drop the state unsaved, then call [`Log::stop`].
    Lost(Vec<u32>),
}

/// A stored position outside the log: what is between was never seen, and is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where.
    pub topic: Topic,
    /// Where.
    pub partition: u32,
    /// The position asked for.
    pub wanted: u64,
    /// The position taken: the log's start.
    pub resumed: u64,
}

/// One consumer of the log: an agent's topics, all partitions this process owns of them.
pub trait Log: Send {
    /// Hands at most `max` records to `sink`, in order within each (topic, partition), waiting up
    /// to `wait` for the first. Returns a change of ownership instead of (never after) records.
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<Option<Ownership>>;

    /// Begins delivery of every topic of these partitions at the given positions. A position
    /// outside the log (below its start, beyond its end) resumes at the log's start and is
    /// returned as a gap. Called once for all partitions of an `Assigned`, and again for a
    /// partition whose task was reset.
    fn start(&mut self, tasks: &[(u32, Positions)]) -> PortResult<Vec<Gap>>;

    /// Ends delivery of these partitions and lets others have them. An empty list is allowed.
    fn stop(&mut self, partitions: &[u32]) -> PortResult<()>;

    /// Stops or resumes delivery of one topic partition, keeping its position. Advisory: a few
    /// records may still arrive after a pause.
    fn pause(&mut self, topic: Topic, partition: u32, paused: bool) -> PortResult<()>;

    /// The end of the log as last heard (the offset the next record will get); `None` when never.
    fn end(&self, topic: Topic, partition: u32) -> Option<u64>;

    /// Asks for the true ends of every topic of these partitions; afterwards [`Log::end`] is
    /// at least as new as the call. Fails when the log cannot be reached.
    fn refresh_ends(&mut self, partitions: &[u32]) -> PortResult<()>;

    /// Reads `topic` from `from` to its end as of the call, outside any assignment.
    /// Returns the next offset. A `from` below the log's start begins at its start.
    fn read(
        &mut self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64>;

    /// The way to append. Cheap to clone, usable from the checkpoint thread.
    fn appender(&self) -> Arc<dyn Appender>;

    /// Tells lag tools how far the checkpoints reach. Best effort; never read back.
    fn report(&mut self, partition: u32, positions: &Positions);

    /// Leaves for good (`skyherd drain`, shutdown).
    fn close(&mut self) -> PortResult<()>;
}

/// Appends records and tells when they are durable.
pub trait Appender: Send + Sync {
    /// Whether outputs must ride in [`Checkpoint::outputs`] because log and store commit as one.
    /// Then `append` is used only for records outside any task (publishing, forwarding tools).
    fn atomic(&self) -> bool;

    /// Sends a record as part of `batch`. Does not wait for it to be durable. `Transient` when a
    /// bounded queue is full: nothing was taken, try again.
    fn append(&self, batch: u64, record: &Outgoing) -> PortResult<()>;

    /// Waits until every record of this and earlier batches is durable. `Transient` when `within`
    /// passed first; `Lost` when a record failed for good (reported once).
    fn settle(&self, batch: u64, within: Duration) -> PortResult<()>;
}

/// What a task's owner finds in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The new owner's epoch: higher than every earlier one's.
    pub epoch: u64,
    /// The meta value last committed (positions, clock, …); `None` when there is none.
    pub meta: Option<Vec<u8>>,
    /// Every pending wake, oldest first.
    pub wakes: Vec<(Timestamp, Subject)>,
}

/// Something read from a task's memory, and which memory it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf<T> {
    /// The epoch of the task's owner; 0 when there never was one.
    pub epoch: u64,
    /// The meta value last committed; `None` when there is none.
    pub meta: Option<Vec<u8>>,
    /// What was read.
    pub value: T,
}

/// One atomic step of a task's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose.
    pub task: TaskId,
    /// The owner's epoch.
    pub epoch: u64,
    /// The meta value this owner last saw or wrote; `None` when there was none.
    pub expected: Option<Vec<u8>>,
    /// The meta value to write: positions, clock and what else the runtime keeps a task.
    pub meta: Vec<u8>,
    /// States to write; `None` deletes the subject's state and its recent observations.
    pub states: Vec<(Subject, Option<Vec<u8>>)>,
    /// Observations to add per subject, oldest first.
    pub recent: Vec<(Subject, Vec<Vec<u8>>)>,
    /// Wakes to set (replacing the subject's earlier one) or remove.
    pub wakes: Vec<(Subject, Option<Timestamp>)>,
    /// Records to append with the checkpoint; empty unless [`Appender::atomic`].
    pub outputs: Vec<Outgoing>,
}

/// What became of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    /// Everything was written.
    Committed,
    /// Another owner has a higher epoch; nothing was written. Drop the state unsaved.
    Fenced,
    /// The store is older than this owner's memory of it (an older dump, a flush): epoch lower or
    /// meta not as expected. Nothing was written. Drop the state and reacquire.
    WentBack,
}

/// How full something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes it holds.
    pub bytes: u64,
    /// Bytes it may hold; `None` without a bound.
    pub bound: Option<u64>,
}

/// Short-term memory of tasks.
pub trait Store: Send + Sync {
    /// Makes the caller the task's owner: raises the epoch above the stored one and to at least
    /// `epoch_min`, durably, and returns what is there.
    fn acquire(&self, task: TaskId, epoch_min: u64) -> PortResult<Acquired>;

    /// The states of `subjects`, in order, and what they are of, read in one atomic round trip.
    fn load(&self, task: TaskId, subjects: &[Subject]) -> PortResult<AsOf<Vec<Option<Vec<u8>>>>>;

    /// Writes a checkpoint whole or not at all. A repeat of a checkpoint that was written but
    /// whose answer was lost (stored meta equals `meta`, same epoch) is `Committed`.
    fn commit(&self, checkpoint: &Checkpoint) -> PortResult<Committed>;

    /// At most `n` observations of a subject, newest first; never more than the capacity.
    fn recent(&self, task: TaskId, subject: &Subject, n: usize) -> PortResult<Vec<Vec<u8>>>;

    /// Forgets everything of a task but its epoch (before a restore from the backup).
    fn wipe(&self, task: TaskId, epoch: u64) -> PortResult<Committed>;

    /// Every subject with state; at most `limit`, in order after `after`.
    fn subjects(
        &self,
        task: TaskId,
        after: Option<&Subject>,
        limit: usize,
    ) -> PortResult<AsOf<Vec<Subject>>>;
}

/// Observations kept a subject unless configured otherwise.
pub const RECENT_CAPACITY: usize = 100;

/// The wall clock. Only the runtime reads it, for the speed of time while nothing is heard, for
/// clamping event times ahead of it, and for back-off.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn now(&self) -> Timestamp;
    /// Milliseconds that only grow.
    fn monotonic_ms(&self) -> u64;
}
