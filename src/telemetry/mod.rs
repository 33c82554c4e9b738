//! What an operator sees: logs through `tracing`, metrics as a closed list.
//!
//! Each observable fact is one [`Signal`]; [`Metrics::emit`] writes the metric and, where wanted,
//! the log line. Nobody else touches the registry.

mod logs;
mod metrics;
mod pulled;
mod sample;
mod specs;

pub use logs::{colours, start_logs};
pub use metrics::Metrics;
pub use sample::{AgentSample, Buckets, Sample};
pub use specs::{MetricKind, MetricSpec, SPECS};

use crate::model::{ActionKind, AgentName, Severity, Topic, Usd};
use crate::ports::TaskId;

/// Something that happened, past tense. Labels come from closed sets.
#[derive(Clone, Debug)]
pub enum Signal<'a> {
    /// Records were taken from a topic.
    RecordsTaken {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// Where.
        partition: u32,
        /// How many.
        count: u64,
    },
    /// A record was well-formed but not of our kinds.
    RecordIgnored {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// Why, in words.
        reason: &'a str,
    },
    /// A record went to the dead letters.
    RecordDeadLettered {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// Where.
        partition: u32,
        /// Where.
        offset: u64,
        /// Why, in words.
        reason: &'a str,
    },
    /// A record stood in another account's partition; `forwarded` by its home agent.
    RecordMisplaced {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// Whether this agent sent it on.
        forwarded: bool,
    },
    /// A record repeated one already applied.
    RecordRepeated {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
    },
    /// An event time ahead of the wall clock was clamped.
    EventTimeClamped {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
    },
    /// Points came too late for their statistics.
    PointsLate {
        /// Whose.
        agent: AgentName,
        /// How many.
        count: u64,
    },
    /// Age of the newest event taken, against the wall clock.
    EventAge {
        /// Whose.
        agent: AgentName,
        /// How long, in seconds.
        seconds: f64,
    },
    /// A row was published; latency from the event's arrival in this process.
    RowPublished {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// Seconds from arrival to publication.
        latency_seconds: f64,
    },
    /// Records between a task's position and the log's end, over its topics.
    Lag {
        /// Whose.
        agent: AgentName,
        /// Where.
        topic: Topic,
        /// How many.
        records: u64,
    },
    /// A checkpoint was written.
    CheckpointWritten {
        /// Whose.
        agent: AgentName,
        /// How long, in seconds.
        seconds: f64,
        /// State bytes.
        bytes: u64,
        /// How many subjects.
        subjects: u64,
    },
    /// A checkpoint met a transient fault.
    CheckpointRetried {
        /// Which.
        task: TaskId,
        /// What went wrong.
        error: &'a str,
    },
    /// Another owner holds the task.
    TaskFenced {
        /// Which.
        task: TaskId,
    },
    /// The store had gone back.
    MemoryWentBack {
        /// Which.
        task: TaskId,
    },
    /// Intake of a task stopped on a lasting fault.
    TaskParked {
        /// Which.
        task: TaskId,
        /// What went wrong.
        error: &'a str,
    },
    /// A parked task resumed.
    TaskResumed {
        /// Which.
        task: TaskId,
    },
    /// Partitions were assigned or taken away.
    Rebalanced {
        /// Whose.
        agent: AgentName,
        /// Partitions gained.
        assigned: usize,
        /// Partitions given up.
        revoked: usize,
        /// Partitions lost before they could be saved.
        lost: usize,
    },
    /// A task became live: it has taken everything that was there when it was acquired.
    TaskLive {
        /// Which.
        task: TaskId,
        /// How long, in seconds.
        seconds: f64,
    },
    /// A stored position lay outside the log.
    PositionGap {
        /// Which.
        task: TaskId,
        /// Where.
        topic: Topic,
        /// The stored position.
        wanted: u64,
        /// The position taken.
        resumed: u64,
    },
    /// State came from the backup topic.
    StateRestored {
        /// Which.
        task: TaskId,
        /// How many subjects.
        subjects: u64,
    },
    /// A backup was written.
    BackupWritten {
        /// Whose.
        agent: AgentName,
        /// How many subjects.
        subjects: u64,
    },
    /// An earlier owner's row was set right.
    RowRepaired {
        /// Which.
        task: TaskId,
        /// `confirmed`, `adopted` or `withdrawn`.
        edge: &'static str,
    },
    /// Tasks by state, for gauges.
    Tasks {
        /// Whose.
        agent: AgentName,
        /// Held by this process.
        owned: usize,
        /// Caught up since they were acquired.
        live: usize,
        /// Stopped on a fault.
        parked: usize,
    },
    /// Subjects in the cache.
    SubjectsCached {
        /// Whose.
        agent: AgentName,
        /// How many.
        count: usize,
    },
    /// A report of one of our own processes was taken by its home agent.
    ReportTaken {
        /// Whose.
        agent: AgentName,
    },
    /// This process reported on itself, or tried to.
    WatchRound {
        /// Why it could not.
        error: Option<&'a str>,
    },
    /// How long a raw topic has brought this process nothing.
    SourceQuiet {
        /// Which.
        topic: Topic,
        /// How long, in seconds.
        seconds: f64,
    },
    /// Memory held by the process or by the store.
    MemoryHeld {
        /// `process` or `store`.
        of: &'static str,
        /// Bytes.
        bytes: u64,
        /// Bytes it may hold; `None` without a bound.
        bound: Option<u64>,
    },
    /// Open findings of the deployment.
    OpenFindings {
        /// Whose.
        agent: AgentName,
        /// How bad.
        severity: Severity,
        /// How many.
        count: u64,
    },
    /// Open recommendations of the deployment.
    OpenRecommendations {
        /// How bad.
        severity: Severity,
        /// What to do.
        action: ActionKind,
        /// How many.
        count: u64,
    },
    /// What open recommendations of one kind would save.
    MonthlySavings {
        /// What to do.
        action: ActionKind,
        /// A month.
        monthly: Usd,
    },
    /// What was pushed over HTTP was answered.
    Pushed {
        /// The road it came by, such as `firehose`.
        road: &'static str,
        /// `taken`, `repeated` or `refused`.
        result: &'static str,
        /// Records published.
        stored: u64,
        /// Parts of no kind of ours.
        ignored: u64,
        /// Records that could not be read.
        quarantined: u64,
    },
    /// Calls of an AWS API, since the last time it was told.
    SourceCalls {
        /// Its name in IAM actions.
        api: &'static str,
        /// Requests sent, retries too.
        calls: u64,
        /// Of them, those AWS put off.
        throttles: u64,
        /// Of them, those that failed otherwise.
        errors: u64,
    },
    /// Clients of AWS APIs, since the last time it was told.
    SourceClients {
        /// Times one was at hand.
        kept: u64,
        /// Times one had to be made.
        made: u64,
    },
    /// How long ago the place that waits longest was last taken whole.
    SourceAge {
        /// Which source.
        source: &'static str,
        /// How long, in seconds.
        seconds: f64,
    },
    /// A round of a source through one place ended.
    SourceSwept {
        /// Which source.
        source: &'static str,
        /// Where.
        account: &'a str,
        /// Where.
        region: &'a str,
        /// Records published.
        records: u64,
        /// Resources known.
        known: u64,
        /// How long, in seconds.
        seconds: f64,
        /// Whether nothing was missing.
        whole: bool,
    },
    /// A long file is being read.
    SourceProgress {
        /// Which source.
        source: &'static str,
        /// Where.
        place: &'a str,
        /// Records published by this round so far.
        records: u64,
    },
    /// A source asked for something that AWS takes money for.
    SourcePaid {
        /// Which source.
        source: &'static str,
        /// Millionths of a US dollar, by AWS's list prices.
        micro_usd: u64,
    },
    /// A round of a source that reads files ended.
    SourceRead {
        /// Which source.
        source: &'static str,
        /// Bytes read, packed as they were.
        bytes: u64,
    },
    /// Something could not be pulled.
    SourceFailed {
        /// Where.
        account: &'a str,
        /// Where.
        region: &'a str,
        /// What went wrong.
        error: &'a str,
    },
    /// An HTTP request was answered.
    HttpRequest {
        /// The route's pattern, or `other`.
        route: &'static str,
        /// The status code.
        status: u16,
    },
}
