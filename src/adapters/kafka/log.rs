//! The port [`Log`] on a member.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::assignment::Place;
use super::context::End;
use super::error::port_error;
use super::member::KafkaLog;
use super::reader::KafkaReader;
use super::{offsets, record};
use crate::model::Topic;
use crate::ports::{Appender, Gap, Log, Ownership, PortError, PortResult, Positions, RecordView};

/// How long a poll that has a record waits for more: a turn over all tasks costs about what deciding
/// a few records does, so one for every record would take more than the records.
const LINGER: Duration = Duration::from_millis(1);
/// Longest a close may take before the consumer is left to its own thread.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

impl Log for KafkaLog {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<Option<Ownership>> {
        if let Some(event) = self.next_event()? {
            return Ok(Some(event));
        }
        if self.outside {
            self.look_into_bounds()?;
        }
        let mut deadline = Instant::now() + wait;
        let mut taken = 0;
        let mut drained = false;
        while taken < max {
            let left = if taken == 0 || drained {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let Some(consumer) = self.consumer.as_ref() else {
                return Err(PortError::Fatal("the Kafka consumer is closed".into()));
            };
            match consumer.poll(left) {
                Some(Ok(message)) => {
                    let (at, offset) = (message.partition(), message.offset());
                    match self.share.take(message.topic(), at, offset) {
                        Place::Next(topic) => {
                            if taken == 0 {
                                deadline = Instant::now() + LINGER;
                            }
                            record::show(&message, topic, sink);
                            taken += 1;
                            drained = false;
                        }
                        Place::Elsewhere => {}
                        Place::Before => {
                            let topic = message.topic().to_owned();
                            drop(message);
                            let known = self.share.topics().iter().find(|(_, name)| *name == topic);
                            if let Some((topic, _)) = known
                                && self.anew.insert((*topic, at as u32))
                            {
                                self.hand_back(BTreeSet::from([at as u32]));
                            }
                        }
                    }
                }
                Some(Err(error)) => match self.judge(&error) {
                    Err(error) if taken == 0 => return Err(error),
                    Err(_) => break,
                    Ok(()) => {}
                },
                None if taken > 0 && !drained => drained = true,
                // A rebalance or another event ends a poll early.
                None if taken > 0 || left.is_zero() => break,
                None => {}
            }
            let pending = !self.found.is_empty() || !self.context.events.lock().is_empty();
            if pending || self.outside {
                break;
            }
        }
        if taken == 0 {
            return self.next_event();
        }
        Ok(None)
    }

    fn start(&mut self, tasks: &[(u32, Positions)]) -> PortResult<Vec<Gap>> {
        let places = self
            .share
            .places(tasks.iter().map(|(partition, _)| *partition));
        let all = offsets::bounds(self.consumer()?, &places)?;
        let mut gaps = Vec::new();
        for (partition, positions) in tasks {
            for (index, (topic, name)) in self.share.topics().to_vec().into_iter().enumerate() {
                let Some(bounds) = all.get(&(name.clone(), *partition)).copied() else {
                    return Err(PortError::Transient(format!(
                        "Kafka says nothing of {name} partition {partition}"
                    )));
                };
                let wanted = positions.get(&topic).copied();
                let stored = wanted.map(|wanted| i64::try_from(wanted).unwrap_or(i64::MAX));
                let anew = self.anew.remove(&(topic, *partition));
                let first = match stored {
                    Some(stored) if bounds.contain(stored) && !anew => stored,
                    _ => bounds.low,
                };
                if let Some(wanted) = wanted.filter(|wanted| *wanted != first as u64) {
                    gaps.push(Gap {
                        topic,
                        partition: *partition,
                        wanted,
                        resumed: first as u64,
                    });
                }
                self.share.begin(index, *partition, first);
                let end = End::begin(bounds.high);
                let mut ends = self.context.ends.lock();
                ends.entry(name).or_default().insert(*partition as i32, end);
            }
        }
        self.assign()?;
        Ok(gaps)
    }

    fn stop(&mut self, partitions: &[u32]) -> PortResult<()> {
        for partition in partitions {
            self.share.end(*partition);
        }
        if self.unassigned && !self.revoking {
            return Ok(());
        }
        if self.share.owned().is_empty() {
            self.revoking = false;
            return self
                .consumer()?
                .unassign()
                .map_err(|error| port_error("give back Kafka partitions", &error));
        }
        if partitions.is_empty() {
            return Ok(());
        }
        // In a revocation the group waits for one answer, which is given when all have stopped.
        if self.revoking { Ok(()) } else { self.assign() }
    }

    fn pause(&mut self, topic: Topic, partition: u32, paused: bool) -> PortResult<()> {
        let Some(index) = self.share.index(topic) else {
            return Ok(());
        };
        if self.share.next(index, partition).is_none() {
            return Ok(());
        }
        self.share.pause(index, partition, paused);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.share.topics()[index].1, partition as i32);
        let consumer = self.consumer()?;
        let done = if paused {
            consumer.pause(&list)
        } else {
            consumer.resume(&list)
        };
        done.map_err(|error| port_error("pause or resume a Kafka partition", &error))
    }

    fn end(&self, topic: Topic, partition: u32) -> Option<u64> {
        let index = self.share.index(topic)?;
        let ends = self.context.ends.lock();
        let end = ends
            .get(&self.share.topics()[index].1)?
            .get(&(partition as i32))?;
        let next = self.share.next(index, partition);
        let offset = match next {
            Some(next) if end.drained => next,
            Some(next) => next.max(end.offset),
            None => end.offset,
        };
        Some(offset as u64)
    }

    fn refresh_ends(&mut self, partitions: &[u32]) -> PortResult<()> {
        let places = self.share.places(partitions.iter().copied());
        let found = offsets::query(self.consumer()?, &places, Offset::End)?;
        let mut ends = self.context.ends.lock();
        for ((topic, partition), offset) in found {
            ends.entry(topic)
                .or_default()
                .entry(partition as i32)
                .or_default()
                .refresh(offset);
        }
        Ok(())
    }

    fn read(
        &mut self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => KafkaReader::open(&self.options, &format!("{}-reader", self.name))?,
        };
        // Kept only when it went well: a failed reader is replaced.
        let next = reader.read(topic, partition, from, sink)?;
        self.reader = Some(reader);
        Ok(next)
    }

    fn appender(&self) -> Arc<dyn Appender> {
        Arc::clone(&self.appender) as Arc<dyn Appender>
    }

    fn report(&mut self, partition: u32, positions: &Positions) {
        let Some(consumer) = self.consumer.as_ref() else {
            return;
        };
        let mut list = TopicPartitionList::new();
        for (topic, next) in positions {
            let Some(index) = self.share.index(*topic) else {
                continue;
            };
            let name = &self.share.topics()[index].1;
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            if let Err(error) = list.add_partition_offset(name, partition as i32, offset) {
                tracing::debug!(%error, "offsets not reported");
                return;
            }
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "offsets not reported");
        }
    }

    fn close(&mut self) -> PortResult<()> {
        self.reader = None;
        let Some(closed) = self.leave() else {
            return Ok(());
        };
        closed
            .recv_timeout(CLOSE_WITHIN)
            .map_err(|_| PortError::Transient("Kafka does not answer; left without it".into()))
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::debug!(%error, "kafka consumer not closed in order");
        }
    }
}
