//! Follows whole topics as they are written, outside any group: it owns nothing, commits nothing.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::error::{hint, port_error, port_error_live};
use super::options::{KafkaOptions, Role};
use super::reader::Quiet;
use super::record::show;
use crate::model::Topic;
use crate::ports::{PortError, PortResult, RecordView};

const DOING: &str = "follow topics";

/// Every partition of some topics, from given offsets on.
pub struct KafkaFollower {
    consumer: BaseConsumer<Quiet>,
    topics: Vec<(String, Topic)>,
    partitions: usize,
    next: Vec<u64>,
}

impl KafkaFollower {
    /// Follows `topics` from `next`, which has an offset a partition, topic by topic.
    pub fn open(
        options: &KafkaOptions,
        topics: &[Topic],
        partitions: u32,
        next: Vec<u64>,
    ) -> PortResult<Self> {
        let mut config = options.client(Role::Reader, "follower")?;
        // Assigning needs a group's name, though it is never joined.
        config.set("group.id", format!("{}follower", options.group_prefix));
        let consumer: BaseConsumer<Quiet> = config
            .create_with_context(Quiet)
            .map_err(|error| port_error(DOING, &error))?;
        let topics: Vec<(String, Topic)> = topics
            .iter()
            .map(|topic| (options.topic_name(*topic), *topic))
            .collect();
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (index, next) in next.iter().enumerate() {
            let (name, _) = &topics[index / partitions as usize];
            let partition = (index % partitions as usize) as i32;
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            list.add_partition_offset(name, partition, offset)
                .map_err(|error| port_error(DOING, &error))?;
        }
        consumer
            .assign(&list)
            .map_err(|error| port_error(DOING, &error))?;
        Ok(Self {
            consumer,
            topics,
            partitions: partitions as usize,
            next,
        })
    }

    /// Hands at most `max` records to `sink`, waiting up to `wait` for the first.
    pub fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()> {
        let deadline = Instant::now() + wait;
        let mut taken = 0;
        while taken < max {
            let left = if taken > 0 {
                Duration::ZERO
            } else {
                deadline.saturating_duration_since(Instant::now())
            };
            match self.consumer.poll(left) {
                None => break,
                Some(Ok(message)) => {
                    let known = self
                        .topics
                        .iter()
                        .position(|(name, _)| name == message.topic());
                    let Some(index) = known else { continue };
                    show(&message, self.topics[index].1, sink);
                    let place = index * self.partitions + message.partition() as usize;
                    if let Some(next) = self.next.get_mut(place) {
                        *next = message.offset() as u64 + 1;
                    }
                    taken += 1;
                }
                Some(Err(error)) => failed(&error)?,
            }
        }
        Ok(())
    }

    /// The next offset of every partition, topic by topic.
    pub fn next(&self) -> &[u64] {
        &self.next
    }
}

fn failed(error: &KafkaError) -> PortResult<()> {
    match error.rdkafka_error_code() {
        // Cut at its start while it was followed: the caller begins anew.
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
            Err(PortError::Transient(format!("could not {DOING}: {error}")))
        }
        Some(code) if hint(code).is_some() => Err(port_error_live(DOING, error)),
        _ => {
            tracing::debug!(%error, "kafka follower");
            Ok(())
        }
    }
}
