//! A member of a consumer group: joining, what its events mean, handing tasks back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::assignment::Assignment;
use super::context::{Context, Rebalanced};
use super::error::{hint, port_error, port_error_live};
use super::offsets;
use super::options::{KafkaOptions, Role};
use super::producer::KafkaAppender;
use super::reader::KafkaReader;
use crate::model::{AgentName, Topic};
use crate::ports::{Ownership, PortError, PortResult};

/// Most fencings in [`FENCED_WITHIN`] that a broker's restarts can be the reason of: each takes
/// seconds, while another process under our name fences as fast as we join.
const FENCED_MAX: usize = 4;
const FENCED_WITHIN: Duration = Duration::from_secs(20);

/// One member of an agent's group, with its producer.
pub struct KafkaLog {
    pub(super) options: KafkaOptions,
    pub(super) group: String,
    pub(super) name: String,
    pub(super) consumer: Option<BaseConsumer<Context>>,
    pub(super) context: Context,
    pub(super) share: Assignment,
    /// Changes of ownership found out by ourselves, before those of the group.
    pub(super) found: VecDeque<Ownership>,
    /// Topics' partitions known to have been made anew, until started.
    pub(super) anew: BTreeSet<(Topic, u32)>,
    /// Whether a fetch met an offset outside the log that is not yet looked into.
    pub(super) outside: bool,
    /// Whether the group waits for the rest of a revocation.
    pub(super) revoking: bool,
    /// Whether the consumer was never assigned anything.
    pub(super) unassigned: bool,
    /// When the consumer was fenced, as far as it still counts.
    fenced: VecDeque<Instant>,
    pub(super) reader: Option<KafkaReader>,
    pub(super) appender: Arc<KafkaAppender>,
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
        let topics: Vec<(Topic, String)> = topics
            .iter()
            .map(|topic| (*topic, options.topic_name(*topic)))
            .collect();
        let group = options.group(agent);
        let (consumer, context) = join(options, &group, &name, &topics)?;
        Ok(Self {
            appender: Arc::new(KafkaAppender::open(options, &name)?),
            options: options.clone(),
            group,
            name,
            consumer: Some(consumer),
            context,
            share: Assignment::new(topics),
            found: VecDeque::new(),
            anew: BTreeSet::new(),
            outside: false,
            revoking: false,
            unassigned: true,
            fenced: VecDeque::new(),
            reader: None,
        })
    }

    /// Begins anew after librdkafka gave the consumer up because another took its static name.
    ///
    /// Usually that other was this member itself: a coordinator that died between taking its join
    /// and answering it fences the repeat. Again and again in a short time it is another process.
    fn rejoin(&mut self, error: &KafkaError) -> PortResult<()> {
        self.fenced.retain(|at| at.elapsed() < FENCED_WITHIN);
        if self.fenced.len() >= FENCED_MAX {
            return Err(self.failed(error, hint(Code::FencedInstanceId)));
        }
        self.fenced.push_back(Instant::now());
        let owned: Vec<u32> = self.share.owned().iter().copied().collect();
        self.leave();
        let (consumer, context) =
            join(&self.options, &self.group, &self.name, self.share.topics())?;
        self.consumer = Some(consumer);
        self.context = context;
        self.unassigned = true;
        self.revoking = false;
        self.outside = false;
        self.found.clear();
        if !owned.is_empty() {
            self.found.push_back(Ownership::Lost(owned));
        }
        Ok(())
    }

    /// Gives the consumer up. Dropping one waits for the group without bound, so it is left to a
    /// thread of its own, which says when it is done.
    pub(super) fn leave(&mut self) -> Option<mpsc::Receiver<()>> {
        let consumer = self.consumer.take()?;
        self.context.closing.store(true, Ordering::Release);
        if let Err(error) = consumer.unassign() {
            tracing::debug!(%error, "assignment not given back while closing");
        }
        let (sender, closed) = mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            let _ = sender.send(());
        });
        Some(closed)
    }

    fn failed(&self, error: &KafkaError, hint: Option<&str>) -> PortError {
        PortError::Fatal(format!(
            "the Kafka consumer {} has failed: {error}; {}",
            self.name,
            hint.unwrap_or("restart the process")
        ))
    }

    pub(super) fn consumer(&self) -> PortResult<&BaseConsumer<Context>> {
        self.consumer
            .as_ref()
            .ok_or_else(|| PortError::Fatal("the Kafka consumer is closed".into()))
    }

    pub(super) fn next_event(&mut self) -> PortResult<Option<Ownership>> {
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
    pub(super) fn assign(&mut self) -> PortResult<()> {
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
        self.unassigned = false;
        Ok(())
    }

    /// After a fetch outside the log: partitions whose position is outside have lost records, so
    /// their tasks are handed back to be acquired anew, which reports the gap.
    pub(super) fn look_into_bounds(&mut self) -> PortResult<()> {
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

    pub(super) fn hand_back(&mut self, partitions: BTreeSet<u32>) {
        let partitions: Vec<u32> = partitions.into_iter().collect();
        self.found.push_back(Ownership::Lost(partitions.clone()));
        self.found.push_back(Ownership::Assigned(partitions));
    }

    /// What an error event means to the poll that met it.
    pub(super) fn judge(&mut self, error: &KafkaError) -> PortResult<()> {
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
            Code::FencedInstanceId => self.rejoin(error),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(self.failed(error, hint(code)))
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

/// A consumer that joins the group in the background.
fn join(
    options: &KafkaOptions,
    group: &str,
    name: &str,
    topics: &[(Topic, String)],
) -> PortResult<(BaseConsumer<Context>, Context)> {
    let mut config = options.client(Role::Member, name)?;
    config.set("group.id", group);
    if options.static_members {
        config.set("group.instance.id", format!("{}-{name}", options.node));
    }
    let context = Context::default();
    let consumer: BaseConsumer<Context> = config
        .create_with_context(context.clone())
        .map_err(|error| port_error("set up the Kafka consumer", &error))?;
    let names: Vec<&str> = topics.iter().map(|(_, name)| name.as_str()).collect();
    consumer
        .subscribe(&names)
        .map_err(|error| port_error("subscribe to Kafka topics", &error))?;
    Ok((consumer, context))
}
