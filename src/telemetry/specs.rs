//! The closed list of metrics. Labels come from closed sets, never an account, subject or id.

/// What is measured how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets; the bounds are these.
    Histogram(&'static [f64]),
}

impl MetricKind {
    /// The word Prometheus uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric of the closed list.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec {
    /// `skyherd_<noun>_<unit>[_total]`.
    pub name: &'static str,
    /// What it says, with its unit.
    pub help: &'static str,
    /// Label names; values come from closed sets.
    pub labels: &'static [&'static str],
    /// How it is measured.
    pub kind: MetricKind,
}

/// Seconds from a millisecond to a minute, close together where the promises are.
const LATENCY: MetricKind = MetricKind::Histogram(&[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
]);
/// Bytes from a kilobyte to a gigabyte.
const BYTES: MetricKind = MetricKind::Histogram(&[
    1_024.0,
    16_384.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    67_108_864.0,
    1_073_741_824.0,
]);
const COUNTER: MetricKind = MetricKind::Counter;
const GAUGE: MetricKind = MetricKind::Gauge;

const AGENT: &[&str] = &["agent"];
const AGENT_TOPIC: &[&str] = &["agent", "topic"];
const AGENT_TOPIC_REASON: &[&str] = &["agent", "topic", "reason"];

/// Positions in [`SPECS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Id {
    RecordsTaken,
    PartitionRecords,
    RecordsIgnored,
    DeadLetters,
    RecordsMisplaced,
    RecordsRepeated,
    EventTimesClamped,
    PointsLate,
    EventAge,
    RowsPublished,
    Latency,
    Lag,
    CheckpointSeconds,
    CheckpointBytes,
    CheckpointSubjects,
    CheckpointRetries,
    TasksFenced,
    MemoryWentBack,
    TasksParked,
    TasksResumed,
    Rebalances,
    PartitionsMoved,
    RestoreSeconds,
    PositionGaps,
    GapRecords,
    SubjectsRestored,
    Backups,
    BackupSubjects,
    RowsRepaired,
    Tasks,
    SubjectsCached,
    ReportsTaken,
    WatchRounds,
    SourceQuiet,
    MemoryBytes,
    MemoryBound,
    OpenFindings,
    OpenRecommendations,
    MonthlySavings,
    SourceCalls,
    SourceClients,
    SourceRounds,
    SourceRecords,
    SourceBytes,
    SourcePaid,
    SourceAge,
    HttpRequests,
    PushRequests,
    PushRecords,
    BuildInfo,
}

const fn spec(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricSpec {
    MetricSpec {
        name,
        help,
        labels,
        kind,
    }
}

/// Every metric there is, in the order of [`Id`].
#[rustfmt::skip]
pub const SPECS: &[MetricSpec] = &[
    spec("skyherd_records_taken_total", COUNTER, AGENT_TOPIC, "Records taken from a topic."),
    spec("skyherd_partition_records_total", COUNTER, &["agent", "partition"], "Records taken by partition: the load of each."),
    spec("skyherd_records_ignored_total", COUNTER, AGENT_TOPIC_REASON, "Well-formed records of kinds that are not ours."),
    spec("skyherd_dead_letters_total", COUNTER, AGENT_TOPIC_REASON, "Undecodable records kept in dead-letters."),
    spec("skyherd_records_misplaced_total", COUNTER, &["agent", "topic", "result"], "Records found in another account's partition: forwarded by the home agent, skipped by others."),
    spec("skyherd_records_repeated_total", COUNTER, AGENT_TOPIC, "Records that repeated one already applied."),
    spec("skyherd_event_times_clamped_total", COUNTER, AGENT_TOPIC, "Event times too far ahead of the wall clock."),
    spec("skyherd_points_late_total", COUNTER, AGENT, "Metric points too late for their statistics."),
    spec("skyherd_event_age_seconds", GAUGE, AGENT, "Age of the newest event taken, against the wall clock."),
    spec("skyherd_rows_published_total", COUNTER, AGENT_TOPIC, "Rows and messages published."),
    spec("skyherd_latency_seconds", LATENCY, AGENT_TOPIC, "From an event's arrival in this process to the published row it caused."),
    spec("skyherd_lag_records", GAUGE, AGENT_TOPIC, "Records between the owned tasks' positions and the end of the log."),
    spec("skyherd_checkpoint_seconds", LATENCY, AGENT, "Duration of checkpoints."),
    spec("skyherd_checkpoint_bytes", BYTES, AGENT, "State bytes of checkpoints."),
    spec("skyherd_checkpoint_subjects_total", COUNTER, AGENT, "Subjects written by checkpoints."),
    spec("skyherd_checkpoint_retries_total", COUNTER, AGENT, "Checkpoints that met a transient fault."),
    spec("skyherd_tasks_fenced_total", COUNTER, AGENT, "Tasks lost to an owner with a higher epoch."),
    spec("skyherd_memory_went_back_total", COUNTER, AGENT, "Tasks reacquired because the memory was older than known."),
    spec("skyherd_tasks_parked_total", COUNTER, AGENT, "Times a task's intake stopped on a lasting fault."),
    spec("skyherd_tasks_resumed_total", COUNTER, AGENT, "Times a parked task went on."),
    spec("skyherd_rebalances_total", COUNTER, AGENT, "Changes of assignment."),
    spec("skyherd_partitions_moved_total", COUNTER, &["agent", "change"], "Partitions assigned, revoked and lost."),
    spec("skyherd_task_restore_seconds", LATENCY, AGENT, "From a task's assignment until it has taken everything that was there."),
    spec("skyherd_position_gaps_total", COUNTER, AGENT_TOPIC, "Stored positions outside the log."),
    spec("skyherd_position_gap_records_total", COUNTER, AGENT_TOPIC, "Records the log dropped before they were taken."),
    spec("skyherd_subjects_restored_total", COUNTER, AGENT, "Subjects whose state came from the backup."),
    spec("skyherd_backups_total", COUNTER, AGENT, "Backups written to the memory topic."),
    spec("skyherd_backup_subjects_total", COUNTER, AGENT, "Subjects written by backups."),
    spec("skyherd_rows_repaired_total", COUNTER, &["agent", "edge"], "Rows of an earlier owner that were set right."),
    spec("skyherd_tasks", GAUGE, &["agent", "state"], "Tasks of this process: owned, live, parked."),
    spec("skyherd_subjects_cached", GAUGE, AGENT, "Subjects whose state is in process memory."),
    spec("skyherd_reports_taken_total", COUNTER, AGENT, "Reports of Skyherd's own processes among the records taken by their home agent."),
    spec("skyherd_watch_rounds_total", COUNTER, &["result"], "Rounds in which this process reported on itself: published, or failed and tried again with the next."),
    spec("skyherd_source_quiet_seconds", GAUGE, &["topic"], "Seconds since the home agent in this process last took a record of a raw topic, as of the last round."),
    spec("skyherd_memory_bytes", GAUGE, &["of"], "Memory held, as of the last round: by the process, and by the store that keeps the agents' memory."),
    spec("skyherd_memory_bound_bytes", GAUGE, &["of"], "What process and store may hold, where there is a bound."),
    spec("skyherd_open_findings", GAUGE, &["agent", "severity"], "Open findings of the whole deployment that nobody muted, as of the last round; every process says the same."),
    spec("skyherd_open_recommendations", GAUGE, &["severity", "action"], "Open recommendations of the whole deployment as of the last round; every process says the same."),
    spec("skyherd_monthly_savings_usd", GAUGE, &["action"], "What acting on all open recommendations would save, in USD a month, as of the last round."),
    spec("skyherd_source_calls_total", COUNTER, &["api", "result"], "Requests sent to AWS, retries too: answered, put off, or failed."),
    spec("skyherd_source_clients_total", COUNTER, &["result"], "Times a client of an AWS API was at hand (kept) or had to be made."),
    spec("skyherd_source_rounds_total", COUNTER, &["source", "result"], "Rounds of a source through one account and region: whole, or partial."),
    spec("skyherd_source_records_total", COUNTER, &["source"], "Records that a source published."),
    spec("skyherd_source_bytes_total", COUNTER, &["source"], "Bytes of files that a source read, packed as they were."),
    spec("skyherd_source_micro_usd_total", COUNTER, &["source"], "Millionths of a US dollar that asking AWS cost, by its list prices."),
    spec("skyherd_source_age_seconds", GAUGE, &["source"], "Seconds since the account and region that waits longest was last taken whole."),
    spec("skyherd_http_requests_total", COUNTER, &["route", "class"], "HTTP requests by route and class of status."),
    spec("skyherd_push_requests_total", COUNTER, &["road", "result"], "Requests that pushed records over HTTP: taken, repeated (stored by an earlier attempt), refused."),
    spec("skyherd_push_records_total", COUNTER, &["road", "result"], "Records pushed over HTTP: stored, ignored for their kind, quarantined since they could not be read."),
    spec("skyherd_build_info", GAUGE, &["version"], "1, with the version as label."),
];

/// The class of a refusal's text, so that a metric's label stays within a closed set.
pub(super) fn ignored_label(reason: &str) -> &'static str {
    if reason == "tombstone" {
        "tombstone"
    } else if reason.starts_with("provider ") {
        "other_provider"
    } else if reason.contains(": ") {
        "unknown_event"
    } else {
        "other"
    }
}

/// The class of a dead letter's reason.
pub(super) fn dead_letter_label(reason: &str) -> &'static str {
    const CLASSES: [(&str, &str); 8] = [
        ("missing field", "missing_field"),
        ("is empty", "missing_field"),
        ("no payload", "no_payload"),
        ("more than the", "too_large"),
        ("not JSON", "not_json"),
        ("expected value", "not_json"),
        ("EOF while", "not_json"),
        ("no message of ours", "unknown_kind"),
    ];
    CLASSES
        .iter()
        .find(|(words, _)| reason.contains(words))
        .map_or("bad_value", |(_, label)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_positions_follow_the_rules() {
        assert_eq!(SPECS.len(), Id::BuildInfo as usize + 1);
        assert_eq!(SPECS[Id::Latency as usize].name, "skyherd_latency_seconds");
        assert_eq!(SPECS[Id::Lag as usize].name, "skyherd_lag_records");
        assert_eq!(SPECS[Id::Tasks as usize].name, "skyherd_tasks");
        for spec in SPECS {
            assert!(spec.name.starts_with("skyherd_"), "{}", spec.name);
            assert_eq!(
                spec.name.ends_with("_total"),
                spec.kind == MetricKind::Counter,
                "{}",
                spec.name
            );
            assert!(spec.help.ends_with('.'), "{}", spec.name);
            for label in spec.labels {
                let unbounded = ["account", "subject", "id", "resource", "key"];
                assert!(!unbounded.contains(label), "{}", spec.name);
            }
        }
    }
}
