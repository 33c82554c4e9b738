//! Embedded or cluster: which adapters a process runs on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::adapters::embedded::{Embedded, EmbeddedOptions};
use crate::agents::Capabilities;
use crate::config::Config;
use crate::model::Topic;
use crate::ports::{Log, Outgoing, PortResult, RecordView, Store, Usage};

/// Reads topics as they are written, owning and committing nothing.
pub trait Follower: Send {
    /// Hands at most `max` records to `sink`, in order within a partition, waiting up to `wait`
    /// for the first.
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()>;
    /// The next offset of every partition, topic by topic.
    fn next(&self) -> &[u64];
}

/// What a process runs on.
pub trait Backend: Send + Sync {
    /// The embedded log, whose upkeep is ours; a broker sees to its own.
    fn embedded(&self) -> Option<&Embedded> {
        None
    }
    /// Partitions of every topic.
    fn partitions(&self) -> u32;
    /// An agent's consumer and memory.
    fn ports(&self, spec: &Capabilities) -> anyhow::Result<(Box<dyn Log>, Arc<dyn Store>)>;
    /// What the store of the agents' memory holds; `None` when it does not say.
    fn usage(&self) -> PortResult<Option<Usage>>;
    /// Appends records; returns once they are durable.
    fn publish(&self, records: &[Outgoing]) -> PortResult<()>;
    /// The memory of tasks, for reading.
    fn store(&self) -> anyhow::Result<Arc<dyn Store>>;
    /// Follows every partition of `topics` from `next`, topic by topic, outside any group.
    fn follow(&self, topics: &[Topic], next: Vec<u64>) -> PortResult<Box<dyn Follower>>;
    /// First offset and end of every partition of `topics`, topic by topic.
    fn all_bounds(&self, topics: &[Topic]) -> PortResult<Vec<(u64, u64)>>;
    /// A partition's first offset and its end.
    fn bounds(&self, topic: Topic, partition: u32) -> PortResult<(u64, u64)>;
    /// Hands at most `max` records of a partition to `sink`, from `from` (or the first there is)
    /// on; returns where to go on.
    fn scan(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64>;
}

/// Opens what the configuration names.
pub fn open(config: &Config) -> anyhow::Result<Arc<dyn Backend>> {
    #[cfg(feature = "kafka")]
    if let Some(kafka) = &config.kafka {
        return Ok(Arc::new(super::cluster::Cluster::open(config, kafka)?));
    }
    #[cfg(not(feature = "kafka"))]
    anyhow::ensure!(
        !config.cluster(),
        "this program was built without Kafka; build it with the default features, or remove the kafka section"
    );
    let options = EmbeddedOptions {
        partitions: config.partitions,
        recent_capacity: config.memory.recent_capacity,
        ..EmbeddedOptions::default()
    };
    Ok(Arc::new(Local(Embedded::open(&config.data_dir, options)?)))
}

/// One data directory.
pub(super) struct Local(pub(super) Embedded);

impl Backend for Local {
    fn embedded(&self) -> Option<&Embedded> {
        Some(&self.0)
    }
    fn partitions(&self) -> u32 {
        self.0.partitions()
    }
    fn ports(&self, spec: &Capabilities) -> anyhow::Result<(Box<dyn Log>, Arc<dyn Store>)> {
        Ok((
            Box::new(self.0.log(spec.name, spec.reads)),
            Arc::new(self.0.clone()),
        ))
    }
    fn usage(&self) -> PortResult<Option<Usage>> {
        self.0.usage()
    }
    fn publish(&self, records: &[Outgoing]) -> PortResult<()> {
        self.0.append_many(records)?;
        self.0.persist()
    }
    fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(self.0.clone()))
    }
    fn follow(&self, topics: &[Topic], next: Vec<u64>) -> PortResult<Box<dyn Follower>> {
        Ok(Box::new(LocalFollower {
            db: self.0.clone(),
            topics: topics.to_vec(),
            next,
            turn: 0,
        }))
    }
    fn all_bounds(&self, topics: &[Topic]) -> PortResult<Vec<(u64, u64)>> {
        let each = topics.iter().flat_map(|topic| {
            (0..self.0.partitions()).map(|partition| self.0.bounds(*topic, partition))
        });
        Ok(each.map(Option::unwrap_or_default).collect())
    }
    fn bounds(&self, topic: Topic, partition: u32) -> PortResult<(u64, u64)> {
        Ok(self.0.bounds(topic, partition).unwrap_or_default())
    }
    fn scan(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        let (start, end) = self.bounds(topic, partition)?;
        let from = from.max(start);
        if from >= end {
            return Ok(end);
        }
        let (_, next) = self.0.scan(topic, partition, (from, end), max, sink)?;
        Ok(next)
    }
}

/// A reader of the embedded log.
struct LocalFollower {
    db: Embedded,
    topics: Vec<Topic>,
    next: Vec<u64>,
    /// The partition that is read first: the one after where the last sweep was cut short, so that
    /// a busy one does not starve the others, and otherwise the first of the first topic.
    turn: usize,
}

impl LocalFollower {
    fn sweep(&mut self, max: usize, sink: &mut dyn FnMut(RecordView<'_>)) -> PortResult<usize> {
        let partitions = self.db.partitions() as usize;
        let mut taken = 0;
        let begun = std::mem::take(&mut self.turn);
        for step in 0..self.next.len() {
            let index = (begun + step) % self.next.len();
            if taken >= max {
                self.turn = index;
                break;
            }
            let (topic, partition) = (self.topics[index / partitions], index % partitions);
            let (start, end) = self.db.bounds(topic, partition as u32).unwrap_or_default();
            let from = self.next[index].max(start);
            if from >= end {
                self.next[index] = from;
                continue;
            }
            let range = (from, end);
            let (count, next) = self
                .db
                .scan(topic, partition as u32, range, max - taken, sink)?;
            // Compaction may have taken what stood before the end.
            let whole = count < max - taken;
            self.next[index] = if whole { end } else { next };
            taken += count;
        }
        Ok(taken)
    }
}

impl Follower for LocalFollower {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()> {
        let deadline = Instant::now() + wait;
        loop {
            let seen = self.db.appended();
            if self.sweep(max, sink)? > 0 {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.db.wait_appended(seen, left) {
                return Ok(());
            }
        }
    }
    fn next(&self) -> &[u64] {
        &self.next
    }
}
