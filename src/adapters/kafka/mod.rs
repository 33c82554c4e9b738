//! [`Log`] and [`Appender`] on Apache Kafka through librdkafka.
//!
//! One member of an agent's consumer group, polled on the worker's own thread; payloads are
//! borrowed from librdkafka for the duration of the call. Rebalances are only recorded by the
//! callback and answered by the worker: `start` passes the stored positions in the assignment
//! itself, so that Kafka's committed offsets are never read. Members are static: closing sends no
//! LeaveGroup, a restart under the same node name takes its partitions back, and a node that is
//! taken away for good gives them up when its session times out (6 s unless configured), since
//! librdkafka offers no way to remove a static member at once.
//!
//! A topic deleted and made anew while no member watched shows as a gap only when a stored
//! position lies outside the new log; Kafka's clients do not tell a topic's identity.

mod assignment;
mod context;
mod error;
mod offsets;
mod options;
mod producer;
mod reader;
mod record;
pub mod topics;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::model::{AgentName, Topic};
use crate::ports::{Appender, Gap, Log, Ownership, PortError, PortResult, Positions, RecordView};

pub use offsets::{check_partitions, partition_counts};
pub use options::{
    FETCHED_KIB_MAX, KafkaOptions, QUEUE_KIB_MAX, QUEUE_RECORDS_MAX, RECORD_BYTES_MAX,
};
pub use producer::KafkaAppender;
pub use reader::KafkaReader;

use assignment::{Assignment, Place};
use context::{Context, End, Rebalanced};
use error::{hint, port_error, port_error_live};
use options::Role;

/// Longest a close may take before the consumer is left to its own thread.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// One member of an agent's group, with its producer.
pub struct KafkaLog {
    options: KafkaOptions,
    name: String,
    consumer: Option<BaseConsumer<Context>>,
    context: Context,
    share: Assignment,
    /// Changes of ownership found out by ourselves, before those of the group.
    found: VecDeque<Ownership>,
    /// Topics' partitions known to have been made anew, until started.
    anew: BTreeSet<(Topic, u32)>,
    /// Whether a fetch met an offset outside the log that is not yet looked into.
    outside: bool,
    /// Whether the group waits for the rest of a revocation.
    revoking: bool,
    reader: Option<KafkaReader>,
    appender: Arc<KafkaAppender>,
}

impl KafkaLog {
    /// Joins the group of `agent` as the node's member number `number`.
    ///
    /// Connects in the background; `Fatal` when the configuration is refused.
    pub fn open(
        options: &KafkaOptions,
        agent: AgentName,
        number: usize,
        topics: &[Topic],
    ) -> PortResult<Self> {
        let name = format!("{agent}-{number}");
        let mut config = options.client(Role::Member, &name)?;
        config.set("group.id", options.group(agent));
        if options.static_members {
            config.set("group.instance.id", format!("{}-{name}", options.node));
        }
        let context = Context::default();
        let consumer: BaseConsumer<Context> = config
            .create_with_context(context.clone())
            .map_err(|error| port_error("set up the Kafka consumer", &error))?;
        let topics: Vec<(Topic, String)> = topics
            .iter()
            .map(|topic| (*topic, options.topic_name(*topic)))
            .collect();
        let names: Vec<&str> = topics.iter().map(|(_, name)| name.as_str()).collect();
        consumer
            .subscribe(&names)
            .map_err(|error| port_error("subscribe to Kafka topics", &error))?;
        Ok(Self {
            appender: Arc::new(KafkaAppender::open(options, &name)?),
            options: options.clone(),
            name,
            consumer: Some(consumer),
            context,
            share: Assignment::new(topics),
            found: VecDeque::new(),
            anew: BTreeSet::new(),
            outside: false,
            revoking: false,
            reader: None,
        })
    }

    fn consumer(&self) -> PortResult<&BaseConsumer<Context>> {
        self.consumer
            .as_ref()
            .ok_or_else(|| PortError::Fatal("the Kafka consumer is closed".into()))
    }

    fn next_event(&mut self) -> PortResult<Option<Ownership>> {
        if let Some(found) = self.found.pop_front() {
            return Ok(Some(found));
        }
        let event = self.context.events.lock().pop_front();
        Ok(match event {
            None => None,
            Some(Rebalanced::Assigned(listed)) => {
                self.revoking = false;
                Some(Ownership::Assigned(self.share.numbers(&listed)?))
            }
            Some(Rebalanced::Revoked(listed)) => {
                self.revoking = true;
                Some(Ownership::Revoked(self.share.numbers(&listed)?))
            }
            Some(Rebalanced::Lost(listed)) => {
                self.revoking = true;
                Some(Ownership::Lost(self.share.numbers(&listed)?))
            }
        })
    }

    /// Tells librdkafka everything that is owned, with the offsets to go on from.
    ///
    /// The `range` protocol is eager, for which librdkafka takes whole assignments only.
    fn assign(&self) -> PortResult<()> {
        let (all, paused) = self.share.lists()?;
        let consumer = self.consumer()?;
        consumer
            .assign(&all)
            .map_err(|error| port_error("assign Kafka partitions", &error))?;
        if paused.count() > 0 {
            consumer
                .pause(&paused)
                .map_err(|error| port_error("pause Kafka partitions", &error))?;
        }
        Ok(())
    }

    /// After a fetch outside the log: partitions whose position is outside have lost records, so
    /// their tasks are handed back to be acquired anew, which reports the gap.
    fn look_into_bounds(&mut self) -> PortResult<()> {
        let places = self.share.places(self.share.owned().iter().copied());
        let all = offsets::bounds(self.consumer()?, &places)?;
        let mut affected = BTreeSet::new();
        for (index, (_, name)) in self.share.topics().iter().enumerate() {
            for partition in self.share.owned() {
                let next = self.share.next(index, *partition);
                let bounds = all.get(&(name.clone(), *partition));
                if let (Some(next), Some(bounds)) = (next, bounds)
                    && !bounds.contain(next)
                {
                    affected.insert(*partition);
                }
            }
        }
        self.outside = false;
        if affected.is_empty() {
            // librdkafka has stopped fetching what it complained of.
            return self.assign();
        }
        self.hand_back(affected);
        Ok(())
    }

    fn hand_back(&mut self, partitions: BTreeSet<u32>) {
        let partitions: Vec<u32> = partitions.into_iter().collect();
        self.found.push_back(Ownership::Lost(partitions.clone()));
        self.found.push_back(Ownership::Assigned(partitions));
    }

    /// What an error event means to the poll that met it.
    fn judge(&mut self, error: &KafkaError) -> PortResult<()> {
        let Some(code) = error.rdkafka_error_code() else {
            return Ok(());
        };
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                self.outside = true;
                Ok(())
            }
            Code::AllBrokersDown => Err(PortError::Transient(format!(
                "no Kafka broker of {} can be reached",
                self.options.brokers
            ))),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                let hint = hint(code).unwrap_or("restart the process");
                Err(PortError::Fatal(format!(
                    "the Kafka consumer {} has failed: {error}; {hint}",
                    self.name
                )))
            }
            _ if hint(code).is_some() => Err(port_error_live("consume from Kafka", error)),
            // Broken connections, moved leaders and the like: librdkafka goes on by itself.
            _ => {
                tracing::debug!(%error, member = self.name, "kafka consumer");
                Ok(())
            }
        }
    }
}

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
        let deadline = Instant::now() + wait;
        let mut taken = 0;
        while taken < max {
            let left = match taken {
                0 => deadline.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            let Some(consumer) = self.consumer.as_ref() else {
                return Err(PortError::Fatal("the Kafka consumer is closed".into()));
            };
            match consumer.poll(left) {
                Some(Ok(message)) => {
                    let (at, offset) = (message.partition(), message.offset());
                    match self.share.take(message.topic(), at, offset) {
                        Place::Next(topic) => {
                            record::show(&message, topic, sink);
                            taken += 1;
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
                let end = End {
                    offset: bounds.high,
                    drained: false,
                };
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
        match paused {
            true => consumer.pause(&list),
            false => consumer.resume(&list),
        }
        .map_err(|error| port_error("pause or resume a Kafka partition", &error))
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
            let end = End {
                offset,
                drained: false,
            };
            ends.entry(topic).or_default().insert(partition as i32, end);
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
        let Some(consumer) = self.consumer.take() else {
            return Ok(());
        };
        self.context.closing.store(true, Ordering::Release);
        if let Err(error) = consumer.unassign() {
            tracing::debug!(%error, "assignment not given back while closing");
        }
        // Dropping waits for the group without bound, so it is left to a thread of its own.
        let (sender, closed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            let _ = sender.send(());
        });
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
