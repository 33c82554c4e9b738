//! What an operator sees: logs through `tracing`, metrics as a closed list.
//!
//! Each observable fact is one [`Signal`]; [`Metrics::emit`] writes the metric and, where wanted,
//! the log line. Nobody else touches the registry.

mod metrics;

pub use metrics::{MetricSpec, Metrics};

use crate::model::{AgentName, Topic};
use crate::ports::TaskId;

/// Something that happened, past tense. Labels come from closed sets.
#[derive(Clone, Debug)]
pub enum Signal<'a> {
    /// Records were taken from a topic.
    RecordsTaken {
        agent: AgentName,
        topic: Topic,
        partition: u32,
        count: u64,
    },
    /// A record was well-formed but not of our kinds.
    RecordIgnored {
        agent: AgentName,
        topic: Topic,
        reason: &'a str,
    },
    /// A record went to the dead letters.
    RecordDeadLettered {
        agent: AgentName,
        topic: Topic,
        partition: u32,
        offset: u64,
        reason: &'a str,
    },
    /// A record stood in another account's partition; `forwarded` by its home agent.
    RecordMisplaced {
        agent: AgentName,
        topic: Topic,
        forwarded: bool,
    },
    /// A record repeated one already applied.
    RecordRepeated { agent: AgentName, topic: Topic },
    /// An event time ahead of the wall clock was clamped.
    EventTimeClamped { agent: AgentName, topic: Topic },
    /// Points came too late for their statistics.
    PointsLate { agent: AgentName, count: u64 },
    /// Age of the newest event taken, against the wall clock.
    EventAge { agent: AgentName, seconds: f64 },
    /// A row was published; latency from the event's arrival in this process.
    RowPublished {
        agent: AgentName,
        topic: Topic,
        latency_seconds: f64,
    },
    /// Records between a task's position and the log's end, over its topics.
    Lag {
        agent: AgentName,
        topic: Topic,
        records: u64,
    },
    /// A checkpoint was written.
    CheckpointWritten {
        agent: AgentName,
        seconds: f64,
        bytes: u64,
        subjects: u64,
    },
    /// A checkpoint met a transient fault.
    CheckpointRetried { task: TaskId, error: &'a str },
    /// Another owner holds the task.
    TaskFenced { task: TaskId },
    /// The store had gone back.
    MemoryWentBack { task: TaskId },
    /// Intake of a task stopped on a lasting fault.
    TaskParked { task: TaskId, error: &'a str },
    /// A parked task resumed.
    TaskResumed { task: TaskId },
    /// Partitions were assigned or taken away.
    Rebalanced {
        agent: AgentName,
        assigned: usize,
        revoked: usize,
        lost: usize,
    },
    /// A task became live: it has taken everything that was there when it was acquired.
    TaskLive { task: TaskId, seconds: f64 },
    /// A stored position lay outside the log.
    PositionGap {
        task: TaskId,
        topic: Topic,
        wanted: u64,
        resumed: u64,
    },
    /// State came from the backup topic.
    StateRestored { task: TaskId, subjects: u64 },
    /// A backup was written.
    BackupWritten { agent: AgentName, subjects: u64 },
    /// An earlier owner's row was set right.
    RowRepaired { task: TaskId, edge: &'static str },
    /// Tasks by state, for gauges.
    Tasks {
        agent: AgentName,
        owned: usize,
        live: usize,
        parked: usize,
    },
    /// Subjects in the cache.
    SubjectsCached { agent: AgentName, count: usize },
}
