//! The registry of one process, written through [`Signal`]s only.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

use super::Signal;
use super::logs;
use super::specs::{Id, MetricKind, SPECS, dead_letter_label, ignored_label};
use crate::model::{AgentName, Topic};

/// One registered metric.
pub(super) enum Family {
    Counter(IntCounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

const SLOTS: usize = AgentName::ALL.len() * Topic::ALL.len();

/// Counters of the hot path, resolved at first use: one per (agent, topic).
struct Hot {
    taken: [OnceLock<IntCounter>; SLOTS],
    published: [OnceLock<IntCounter>; SLOTS],
    latency: [OnceLock<Histogram>; SLOTS],
}

/// The registry of one process.
pub struct Metrics {
    registry: Registry,
    families: Vec<Family>,
    hot: Hot,
    lines: AtomicU64,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn slot(agent: AgentName, topic: Topic) -> usize {
    agent as usize * Topic::ALL.len() + topic as usize
}

#[rustfmt::skip] // One signal a line reads as the table it is.
impl Metrics {
    /// Registers the closed list.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = SPECS
            .iter()
            .map(|spec| {
                let (family, collector): (Family, Box<dyn Collector>) = match spec.kind {
                    MetricKind::Counter => {
                        let family =
                            IntCounterVec::new(Opts::new(spec.name, spec.help), spec.labels)
                                .expect("names and labels of the closed list are valid");
                        (Family::Counter(family.clone()), Box::new(family))
                    }
                    MetricKind::Gauge => {
                        let family = GaugeVec::new(Opts::new(spec.name, spec.help), spec.labels)
                            .expect("names and labels of the closed list are valid");
                        (Family::Gauge(family.clone()), Box::new(family))
                    }
                    MetricKind::Histogram(bounds) => {
                        let options =
                            HistogramOpts::new(spec.name, spec.help).buckets(bounds.to_vec());
                        let family = HistogramVec::new(options, spec.labels)
                            .expect("names, labels and bounds of the closed list are valid");
                        (Family::Histogram(family.clone()), Box::new(family))
                    }
                };
                registry
                    .register(collector)
                    .expect("no name stands twice in the closed list");
                family
            })
            .collect();
        let metrics = Self {
            registry,
            families,
            hot: Hot {
                taken: std::array::from_fn(|_| OnceLock::new()),
                published: std::array::from_fn(|_| OnceLock::new()),
                latency: std::array::from_fn(|_| OnceLock::new()),
            },
            lines: AtomicU64::new(0),
        };
        metrics.set(Id::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        metrics
    }

    pub(super) fn family(&self, id: Id) -> &Family {
        &self.families[id as usize]
    }

    /// Everything in Prometheus' text form, version 0.0.4.
    pub fn render(&self) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }

    /// Writes the metric and, where wanted, the log line.
    pub fn emit(&self, signal: &Signal<'_>) {
        self.write_flow(signal);
        logs::write(signal, &self.lines);
    }

    /// What happens to records and rows.
    fn write_flow(&self, signal: &Signal<'_>) {
        match *signal {
            Signal::RecordsTaken { agent, topic, partition, count } => {
                self.taken(agent, topic, partition, count);
            }
            Signal::RecordIgnored { agent, topic, reason } => {
                let labels = [agent.as_str(), topic.as_str(), ignored_label(reason)];
                self.add(Id::RecordsIgnored, &labels, 1);
            }
            Signal::RecordDeadLettered { agent, topic, reason, .. } => {
                let labels = [agent.as_str(), topic.as_str(), dead_letter_label(reason)];
                self.add(Id::DeadLetters, &labels, 1);
            }
            Signal::RecordMisplaced { agent, topic, forwarded } => {
                let result = if forwarded { "forwarded" } else { "skipped" };
                let labels = [agent.as_str(), topic.as_str(), result];
                self.add(Id::RecordsMisplaced, &labels, 1);
            }
            Signal::RecordRepeated { agent, topic } => {
                self.add(Id::RecordsRepeated, &[agent.as_str(), topic.as_str()], 1);
            }
            Signal::EventTimeClamped { agent, topic } => {
                self.add(Id::EventTimesClamped, &[agent.as_str(), topic.as_str()], 1);
            }
            Signal::PointsLate { agent, count } => {
                self.add(Id::PointsLate, &[agent.as_str()], count);
            }
            Signal::EventAge { agent, seconds } => {
                self.set(Id::EventAge, &[agent.as_str()], seconds);
            }
            Signal::RowPublished { agent, topic, latency_seconds } => {
                self.published(agent, topic, latency_seconds);
            }
            Signal::Lag { agent, topic, records } => {
                self.set(Id::Lag, &[agent.as_str(), topic.as_str()], records as f64);
            }
            Signal::HttpRequest { route, status } => {
                let class = ["1xx", "2xx", "3xx", "4xx", "5xx"]
                    [usize::from(status / 100).clamp(1, 5) - 1];
                self.add(Id::HttpRequests, &[route, class], 1);
            }
            Signal::Pushed { road, result, stored, ignored, quarantined } => {
                self.add(Id::PushRequests, &[road, result], 1);
                for (result, count) in
                    [("stored", stored), ("ignored", ignored), ("quarantined", quarantined)]
                {
                    self.add(Id::PushRecords, &[road, result], count);
                }
            }
            _ => self.write_task(signal),
        }
    }

    /// What happens to tasks and their memory.
    fn write_task(&self, signal: &Signal<'_>) {
        match *signal {
            Signal::CheckpointWritten { agent, seconds, bytes, subjects } => {
                self.observe(Id::CheckpointSeconds, &[agent.as_str()], seconds);
                self.observe(Id::CheckpointBytes, &[agent.as_str()], bytes as f64);
                self.add(Id::CheckpointSubjects, &[agent.as_str()], subjects);
            }
            Signal::CheckpointRetried { task, .. } => self.add_task(Id::CheckpointRetries, task, 1),
            Signal::TaskFenced { task } => self.add_task(Id::TasksFenced, task, 1),
            Signal::MemoryWentBack { task } => self.add_task(Id::MemoryWentBack, task, 1),
            Signal::TaskParked { task, .. } => self.add_task(Id::TasksParked, task, 1),
            Signal::TaskResumed { task } => self.add_task(Id::TasksResumed, task, 1),
            Signal::Rebalanced { agent, assigned, revoked, lost } => {
                self.add(Id::Rebalances, &[agent.as_str()], 1);
                for (change, count) in
                    [("assigned", assigned), ("revoked", revoked), ("lost", lost)]
                {
                    self.add(Id::PartitionsMoved, &[agent.as_str(), change], count as u64);
                }
            }
            Signal::TaskLive { task, seconds } => {
                self.observe(Id::RestoreSeconds, &[task.agent.as_str()], seconds);
            }
            Signal::PositionGap { task, topic, wanted, resumed } => {
                let labels = [task.agent.as_str(), topic.as_str()];
                self.add(Id::PositionGaps, &labels, 1);
                self.add(Id::GapRecords, &labels, resumed.saturating_sub(wanted));
            }
            Signal::StateRestored { task, subjects } => {
                self.add_task(Id::SubjectsRestored, task, subjects);
            }
            Signal::BackupWritten { agent, subjects } => {
                self.add(Id::Backups, &[agent.as_str()], 1);
                self.add(Id::BackupSubjects, &[agent.as_str()], subjects);
            }
            Signal::RowRepaired { task, edge } => {
                self.add(Id::RowsRepaired, &[task.agent.as_str(), edge], 1);
            }
            Signal::Tasks { agent, owned, live, parked } => {
                for (state, count) in [("owned", owned), ("live", live), ("parked", parked)] {
                    self.set(Id::Tasks, &[agent.as_str(), state], count as f64);
                }
            }
            Signal::SubjectsCached { agent, count } => {
                self.set(Id::SubjectsCached, &[agent.as_str()], count as f64);
            }
            _ => self.write_watch(signal),
        }
    }

    /// What the process says of itself once a round.
    fn write_watch(&self, signal: &Signal<'_>) {
        match *signal {
            Signal::ReportTaken { agent } => self.add(Id::ReportsTaken, &[agent.as_str()], 1),
            Signal::WatchRound { error } => {
                let result = if error.is_none() { "published" } else { "failed" };
                self.add(Id::WatchRounds, &[result], 1);
            }
            Signal::SourceQuiet { topic, seconds } => {
                self.set(Id::SourceQuiet, &[topic.as_str()], seconds);
            }
            Signal::MemoryHeld { of, bytes, bound } => {
                self.set(Id::MemoryBytes, &[of], bytes as f64);
                if let Some(bound) = bound {
                    self.set(Id::MemoryBound, &[of], bound as f64);
                }
            }
            Signal::OpenFindings { agent, severity, count } => {
                self.set(Id::OpenFindings, &[agent.as_str(), severity.as_str()], count as f64);
            }
            Signal::OpenRecommendations { severity, action, count } => {
                let labels = [severity.as_str(), action.as_str()];
                self.set(Id::OpenRecommendations, &labels, count as f64);
            }
            Signal::MonthlySavings { action, monthly } => {
                self.set(Id::MonthlySavings, &[action.as_str()], monthly.as_f64());
            }
            _ => self.write_pulled(signal),
        }
    }

    fn taken(&self, agent: AgentName, topic: Topic, partition: u32, count: u64) {
        self.hot.taken[slot(agent, topic)]
            .get_or_init(|| self.counter(Id::RecordsTaken, &[agent.as_str(), topic.as_str()]))
            .inc_by(count);
        let mut digits = [0_u8; 10];
        let labels = [agent.as_str(), decimal(partition, &mut digits)];
        self.add(Id::PartitionRecords, &labels, count);
    }

    fn published(&self, agent: AgentName, topic: Topic, latency_seconds: f64) {
        let slot = slot(agent, topic);
        self.hot.published[slot]
            .get_or_init(|| self.counter(Id::RowsPublished, &[agent.as_str(), topic.as_str()]))
            .inc();
        self.hot.latency[slot]
            .get_or_init(|| self.histogram(Id::Latency, &[agent.as_str(), topic.as_str()]))
            .observe(latency_seconds);
    }

    fn add_task(&self, id: Id, task: crate::ports::TaskId, count: u64) {
        self.add(id, &[task.agent.as_str()], count);
    }

    pub(super) fn add(&self, id: Id, labels: &[&str], count: u64) {
        self.counter(id, labels).inc_by(count);
    }

    fn counter(&self, id: Id, labels: &[&str]) -> IntCounter {
        match &self.families[id as usize] {
            Family::Counter(family) => family.with_label_values(labels),
            _ => unreachable!("{id:?} is a counter in the closed list"),
        }
    }

    pub(super) fn set(&self, id: Id, labels: &[&str], value: f64) {
        match &self.families[id as usize] {
            Family::Gauge(family) => family.with_label_values(labels).set(value),
            _ => unreachable!("{id:?} is a gauge in the closed list"),
        }
    }

    fn histogram(&self, id: Id, labels: &[&str]) -> Histogram {
        match &self.families[id as usize] {
            Family::Histogram(family) => family.with_label_values(labels),
            _ => unreachable!("{id:?} is a histogram in the closed list"),
        }
    }

    fn observe(&self, id: Id, labels: &[&str], value: f64) {
        self.histogram(id, labels).observe(value);
    }
}

/// A number as text without an allocation.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ActionKind, Severity, Usd};
    use crate::ports::TaskId;

    /// One of every signal.
    #[rustfmt::skip]
    fn every_signal() -> Vec<Signal<'static>> {
        let (agent, topic) = (AgentName::Cost, Topic::AwsBilling);
        let task = TaskId { agent, partition: 3 };
        vec![
            Signal::RecordsTaken { agent, topic, partition: 31, count: 7 },
            Signal::RecordIgnored { agent, topic, reason: "provider Oracle" },
            Signal::RecordDeadLettered { agent, topic, partition: 3, offset: 1, reason: "missing field `id`" },
            Signal::RecordMisplaced { agent, topic, forwarded: true },
            Signal::RecordRepeated { agent, topic },
            Signal::EventTimeClamped { agent, topic },
            Signal::PointsLate { agent, count: 2 },
            Signal::EventAge { agent, seconds: 1.5 },
            Signal::RowPublished { agent, topic: Topic::FindingsCost, latency_seconds: 0.004 },
            Signal::Lag { agent, topic, records: 9 },
            Signal::CheckpointWritten { agent, seconds: 0.1, bytes: 4_096, subjects: 2 },
            Signal::CheckpointRetried { task, error: "timed out" },
            Signal::TaskFenced { task },
            Signal::MemoryWentBack { task },
            Signal::TaskParked { task, error: "refused" },
            Signal::TaskResumed { task },
            Signal::Rebalanced { agent, assigned: 2, revoked: 1, lost: 0 },
            Signal::TaskLive { task, seconds: 0.2 },
            Signal::PositionGap { task, topic, wanted: 10, resumed: 25 },
            Signal::StateRestored { task, subjects: 5 },
            Signal::BackupWritten { agent, subjects: 4 },
            Signal::RowRepaired { task, edge: "withdrawn" },
            Signal::Tasks { agent, owned: 3, live: 2, parked: 1 },
            Signal::SubjectsCached { agent, count: 11 },
            Signal::ReportTaken { agent },
            Signal::WatchRound { error: None },
            Signal::SourceQuiet { topic, seconds: 90.0 },
            Signal::MemoryHeld { of: "process", bytes: 1 << 20, bound: Some(1 << 30) },
            Signal::OpenFindings { agent, severity: Severity::High, count: 2 },
            Signal::OpenRecommendations { severity: Severity::High, action: ActionKind::Stop, count: 2 },
            Signal::MonthlySavings { action: ActionKind::Stop, monthly: Usd::from_mills(12_340) },
            Signal::SourceCalls { api: "ec2", calls: 7, throttles: 2, errors: 1 },
            Signal::SourceClients { kept: 6, made: 1 },
            Signal::SourceAge { source: "inventory", seconds: 90.0 },
            Signal::SourceRead { source: "files", bytes: 9 },
            Signal::SourcePaid { source: "costs", micro_usd: 10_000 },
            Signal::SourceSwept { source: "inventory", account: "111122223333", region: "eu-west-1", records: 5, known: 9, seconds: 1.5, whole: true },
            Signal::HttpRequest { route: "/metrics", status: 200 },
            Signal::Pushed { road: "firehose", result: "taken", stored: 4, ignored: 2, quarantined: 1 },
        ]
    }

    #[test]
    fn every_signal_writes_and_every_metric_is_written() {
        let metrics = Metrics::new();
        for signal in every_signal() {
            let before = metrics.render();
            metrics.emit(&signal);
            assert_ne!(before, metrics.render(), "{signal:?}");
        }
        let text = metrics.render();
        for spec in SPECS {
            assert!(text.contains(spec.name), "nothing writes {}", spec.name);
        }
        for line in [
            "skyherd_partition_records_total{agent=\"cost\",partition=\"31\"} 7",
            "skyherd_dead_letters_total{agent=\"cost\",reason=\"missing_field\",topic=\"aws.billing\"} 1",
            "skyherd_position_gap_records_total{agent=\"cost\",topic=\"aws.billing\"} 15",
            "skyherd_push_records_total{result=\"quarantined\",road=\"firehose\"} 1",
            "skyherd_latency_seconds_bucket{agent=\"cost\",topic=\"findings.cost\",le=\"0.005\"} 1",
            "skyherd_source_calls_total{api=\"ec2\",result=\"answered\"} 4",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn numbers_are_written_without_loss() {
        let mut digits = [0; 10];
        for number in [0, 7, 10, 1_023, u32::MAX] {
            assert_eq!(decimal(number, &mut digits), number.to_string());
        }
    }
}
