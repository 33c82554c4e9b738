//! Reads one partition from a position to its end, outside any group.

use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::context::log;
use super::error::{hint, port_error, port_error_live};
use super::offsets::bounds;
use super::options::{KafkaOptions, Role};
use super::record::show;
use crate::model::Topic;
use crate::ports::{PortError, PortResult, RecordView};

/// Longest wait for the next record before a read is given up.
const NEXT_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Quiet;
impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}
impl ConsumerContext for Quiet {}

/// Materialises topics: it owns nothing and commits nothing.
pub struct KafkaReader {
    options: KafkaOptions,
    consumer: BaseConsumer<Quiet>,
}

impl KafkaReader {
    /// A reader; `name` tells it apart in the brokers' logs.
    pub fn open(options: &KafkaOptions, name: &str) -> PortResult<Self> {
        let mut config = options.client(Role::Reader, name)?;
        // Assigning needs a group's name, though it is never joined.
        config
            .set("group.id", format!("{}reader", options.group_prefix))
            .set("enable.partition.eof", "true");
        let consumer = config
            .create_with_context(Quiet)
            .map_err(|error| port_error("set up a Kafka reader", &error))?;
        Ok(Self {
            options: options.clone(),
            consumer,
        })
    }

    /// A partition's first offset and its end.
    pub fn bounds(&self, topic: Topic, partition: u32) -> PortResult<(u64, u64)> {
        let name = self.options.topic_name(topic);
        let all = bounds(&self.consumer, &[(&name, partition)])?;
        let found = all
            .get(&(name.clone(), partition))
            .copied()
            .ok_or_else(|| {
                PortError::Transient(format!(
                    "Kafka says nothing of {name} partition {partition}"
                ))
            })?;
        Ok((found.low as u64, found.high as u64))
    }

    /// First offset and end of every partition of `topics`, topic by topic.
    pub fn all_bounds(&self, topics: &[Topic], partitions: u32) -> PortResult<Vec<(u64, u64)>> {
        let names: Vec<String> = topics
            .iter()
            .map(|topic| self.options.topic_name(*topic))
            .collect();
        let places: Vec<(&str, u32)> = names
            .iter()
            .flat_map(|name| (0..partitions).map(|partition| (name.as_str(), partition)))
            .collect();
        let all = bounds(&self.consumer, &places)?;
        let found = places.iter().map(|(name, partition)| {
            let found = all.get(&((*name).to_owned(), *partition));
            found.map_or((0, 0), |bounds| (bounds.low as u64, bounds.high as u64))
        });
        Ok(found.collect())
    }

    /// See [`crate::ports::Log::read`]. A `from` beyond the end reads nothing and returns the end.
    pub fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        self.scan(topic, partition, from, usize::MAX, sink)
    }

    /// As [`KafkaReader::read`], but hands over at most `max` records and returns where to go on.
    pub fn scan(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        let name = self.options.topic_name(topic);
        let all = bounds(&self.consumer, &[(&name, partition)])?;
        let Some(bounds) = all.get(&(name.clone(), partition)).copied() else {
            return Err(PortError::Transient(format!(
                "Kafka says nothing of {name} partition {partition}"
            )));
        };
        let first = i64::try_from(from).unwrap_or(i64::MAX).max(bounds.low);
        if first >= bounds.high {
            return Ok(bounds.high as u64);
        }
        let doing = format!("read {name} partition {partition}");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&name, partition as i32, Offset::Offset(first))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| port_error(&doing, &error))?;
        let wanted = (bounds.high, max);
        let read = self.read_to((topic, partition), wanted, &doing, sink);
        self.consumer
            .unassign()
            .map_err(|error| port_error(&doing, &error))?;
        Ok(read?.unwrap_or(bounds.high as u64))
    }

    /// Reads to `end`, or until `max` were handed over and there may be more: then says where.
    fn read_to(
        &self,
        (topic, partition): (Topic, u32),
        (end, max): (i64, usize),
        doing: &str,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<Option<u64>> {
        let mut taken = 0;
        let mut deadline = Instant::now() + NEXT_WITHIN;
        while Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    if message.offset() >= end {
                        return Ok(None);
                    }
                    show(&message, topic, sink);
                    taken += 1;
                    if message.offset() + 1 >= end {
                        return Ok(None);
                    }
                    if taken == max {
                        return Ok(Some(message.offset() as u64 + 1));
                    }
                    deadline = Instant::now() + NEXT_WITHIN;
                }
                // What stands between the last record and the end is never shown.
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition as i32 => {
                    return Ok(None);
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    // Cut at its start while it was read: the caller begins anew.
                    Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                        return Err(PortError::Transient(format!("could not {doing}: {error}")));
                    }
                    Some(code) if hint(code).is_some() => {
                        return Err(port_error_live(doing, &error));
                    }
                    _ => tracing::debug!(%error, "kafka reader"),
                },
                None => {}
            }
        }
        Err(PortError::Transient(format!(
            "could not {doing}: no record for {NEXT_WITHIN:?}"
        )))
    }
}
