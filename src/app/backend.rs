//! Embedded or cluster: which adapters a process runs on.

use std::sync::Arc;

use crate::adapters::embedded::{Embedded, EmbeddedOptions};
use crate::agents::Capabilities;
use crate::config::Config;
use crate::model::Topic;
use crate::ports::{Log, Outgoing, PortResult, RecordView, Store, Usage};

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
    /// Reads every partition of a topic from `next` to its end, moving `next` along.
    fn read(
        &self,
        topic: Topic,
        next: &mut [u64],
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()>;
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
    fn read(
        &self,
        topic: Topic,
        next: &mut [u64],
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()> {
        for (partition, next) in next.iter_mut().enumerate() {
            *next = self.0.read(topic, partition as u32, *next, sink)?;
        }
        Ok(())
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
