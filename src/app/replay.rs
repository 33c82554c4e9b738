//! Recorded input through the real topology, on a data directory of its own, one thread, in a
//! fixed order: the same files give the same rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::embedded::{Embedded, EmbeddedOptions};
use crate::agents::Agent;
use crate::agents::coordinator::Coordinator;
use crate::agents::domain::DomainAgent;
use crate::config::Config;
use crate::model::{Finding, Message, Recommendation, Topic};
use crate::ports::{Clock as _, Outgoing, PortResult, RecordView};
use crate::rules::Exemptions;
use crate::rules::budget::Plan;
use crate::runtime::{Options, Outside, Standing, SystemClock, Turn, Worker};
use crate::sources::{Decoded, decode};
use crate::telemetry::Metrics;
use crate::topology::DOMAINS;

use super::Backend;
use super::backend::Local;

/// Records appended in one batch.
const BATCH_RECORDS: usize = 1_000;

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Partitions of every topic.
    pub partitions: u32,
    /// Findings to mute, beside those that tags mute.
    pub exemptions: Exemptions,
    /// What accounts may cost a month.
    pub budgets: Vec<Plan>,
}

impl ReplayOptions {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            partitions: config.partitions,
            exemptions: config.exempt(),
            budgets: config.plans(),
        }
    }
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            partitions: crate::config::PARTITIONS,
            exemptions: Exemptions::default(),
            budgets: Vec::new(),
        }
    }
}

/// What a replay ended with: the last row of each finding and recommendation, by id.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Findings, open and closed.
    pub findings: Vec<Finding>,
    /// Recommendations in every state.
    pub recommendations: Vec<Recommendation>,
    /// Dead letters written.
    pub dead_letters: u64,
}

/// A replay under way: append everything, then run it to the end.
pub struct Replay {
    db: Embedded,
    options: ReplayOptions,
    pending: Vec<Outgoing>,
    clock: SystemClock,
    metrics: Arc<Metrics>,
    crew: Vec<Box<dyn Crew>>,
    taken: u64,
    /// Next offset of the agents' outputs to hand out, by topic and partition.
    heard: BTreeMap<(Topic, u32), u64>,
}

impl Replay {
    /// A replay in `dir`, which should be empty.
    pub fn open(dir: &Path, options: ReplayOptions) -> anyhow::Result<Self> {
        let embedded = EmbeddedOptions {
            partitions: options.partitions,
            ..EmbeddedOptions::default()
        };
        Ok(Self {
            db: Embedded::open(dir, embedded)?,
            options,
            pending: Vec::with_capacity(BATCH_RECORDS),
            clock: SystemClock::default(),
            metrics: Arc::new(Metrics::default()),
            crew: Vec::new(),
            taken: 0,
            heard: BTreeMap::new(),
        })
    }

    /// Partitions of every topic.
    pub(super) fn partitions(&self) -> u32 {
        self.options.partitions
    }

    /// Where it keeps log and memory.
    pub(super) fn dir(&self) -> &Path {
        self.db.dir()
    }

    /// What a service goes on with where the replay ended.
    pub(super) fn into_backend(self) -> Arc<dyn Backend> {
        Arc::new(Local(self.db))
    }

    /// Appends one raw record to its account's partition.
    pub fn push(&mut self, topic: Topic, key: Option<&str>, payload: &[u8]) -> PortResult<()> {
        let now_ms = self.clock.now().ms();
        self.pending.push(super::address(
            topic,
            key,
            payload,
            self.options.partitions,
            now_ms,
        ));
        if self.pending.len() >= BATCH_RECORDS {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> PortResult<()> {
        self.db.append_many(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Runs the agents until nothing is left to do, then ends. `progress` hears how many records of
    /// all topics were taken so far.
    pub fn run(&mut self, progress: &mut dyn FnMut(u64)) -> anyhow::Result<Outcome> {
        self.settle(progress)?;
        for worker in self.crew.drain(..) {
            worker.finish()?;
        }
        self.outcome()
    }

    /// Runs the agents until nothing of what was pushed is left to do; more may be pushed after.
    pub fn settle(&mut self, progress: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
        self.flush()?;
        if self.crew.is_empty() {
            for name in DOMAINS {
                let worker = self.worker(
                    DomainAgent::new(name)
                        .exempting(self.options.exemptions.clone())
                        .budgeting(self.options.budgets.clone()),
                )?;
                self.crew.push(worker);
            }
            let coordinator = self.worker(Coordinator)?;
            self.crew.push(coordinator);
        }
        loop {
            let mut moved = false;
            for worker in &mut self.crew {
                // Each agent goes as far as it can before the next: a fixed order.
                loop {
                    let turn = worker.turn()?;
                    self.taken += turn.taken as u64;
                    if turn == Turn::default() {
                        break;
                    }
                    moved = true;
                    progress(self.taken);
                }
            }
            if !moved
                && self
                    .crew
                    .iter_mut()
                    .try_fold(true, |all, worker| worker.quiet().map(|quiet| all && quiet))?
            {
                return Ok(());
            }
        }
    }

    /// Hands out every finding and recommendation published since the last call, topic by topic.
    pub fn published(&mut self, each: &mut dyn FnMut(Message)) -> anyhow::Result<()> {
        let topics = DOMAINS.map(Topic::written_by);
        for topic in topics.into_iter().chain([Topic::Recommendations]) {
            for partition in 0..self.options.partitions {
                let next = self.heard.entry((topic, partition)).or_default();
                let from = *next;
                self.db
                    .read(topic, partition, from, &mut |record: RecordView<'_>| {
                        *next = record.offset + 1;
                        if let Ok(Decoded::Message(message)) =
                            decode(record.topic, record.key, record.payload)
                        {
                            each(message);
                        }
                    })?;
            }
        }
        Ok(())
    }

    fn worker<A: Agent>(&self, agent: A) -> anyhow::Result<Box<dyn Crew>> {
        let spec = agent.capabilities();
        let outside = Outside {
            log: Box::new(self.db.log(spec.name, spec.reads)),
            store: Arc::new(self.db.clone()),
            clock: Arc::new(SystemClock::default()),
            metrics: Arc::clone(&self.metrics),
        };
        let options = Options {
            partitions: self.options.partitions,
            idle_time: false,
            ..Options::default()
        };
        Ok(Box::new(Worker::new(agent, outside, options)?))
    }

    /// The last rows of every finding and recommendation, by id.
    fn outcome(&self) -> anyhow::Result<Outcome> {
        let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
        let mut recommendations: BTreeMap<String, Recommendation> = BTreeMap::new();
        let mut dead_letters = 0;
        let mut collect =
            |record: RecordView<'_>| match decode(record.topic, record.key, record.payload) {
                Ok(Decoded::Message(Message::Finding(row))) => {
                    findings.insert(row.id.to_string(), *row);
                }
                Ok(Decoded::Message(Message::Recommendation(row))) => {
                    recommendations.insert(row.id.to_string(), *row);
                }
                _ => {}
            };
        for partition in 0..self.options.partitions {
            for name in DOMAINS {
                self.db
                    .read(Topic::written_by(name), partition, 0, &mut collect)?;
            }
            self.db
                .read(Topic::Recommendations, partition, 0, &mut collect)?;
            self.db
                .read(Topic::DeadLetters, partition, 0, &mut |_| dead_letters += 1)?;
        }
        Ok(Outcome {
            findings: findings.into_values().collect(),
            recommendations: recommendations.into_values().collect(),
            dead_letters,
        })
    }
}

/// Workers of different agents, side by side.
trait Crew {
    fn turn(&mut self) -> PortResult<Turn>;
    fn quiet(&mut self) -> PortResult<bool>;
    fn finish(self: Box<Self>) -> PortResult<()>;
}

impl<A: Agent> Crew for Worker<A> {
    fn turn(&mut self) -> PortResult<Turn> {
        Worker::turn(self, Duration::ZERO)
    }
    fn quiet(&mut self) -> PortResult<bool> {
        Ok(self.standing(true)?.iter().all(Standing::quiet))
    }
    fn finish(self: Box<Self>) -> PortResult<()> {
        (*self).shutdown()
    }
}
