//! One agent in one process: the turn that polls, decides, appends and checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::agents::{Agent, Capabilities, Effects};
use crate::model::{Timestamp, Topic};
use crate::ports::{Appender, Clock, Log, Ownership, PortError, PortResult, Store};
use crate::telemetry::{Metrics, Signal};

use super::checkpoint::Checkpointer;
use super::ownership::{idle_now, note_fault};
use super::task::{Refused, Stage, Task};
use super::{Options, backup, decide, echo, intake, merge};

/// The outside, as a worker needs it.
pub struct Outside {
    /// The agent's consumer.
    pub log: Box<dyn Log>,
    /// Its memory.
    pub store: Arc<dyn Store>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where signals go.
    pub metrics: Arc<Metrics>,
}

/// What every part of a worker reads and none changes.
pub(super) struct Shared<A: Agent> {
    pub(super) agent: A,
    pub(super) spec: &'static Capabilities,
    pub(super) store: Arc<dyn Store>,
    pub(super) appender: Arc<dyn Appender>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: Options,
    /// Outputs ride in checkpoints.
    pub(super) atomic: bool,
    /// The batch that outputs are appended to now.
    pub(super) batch: AtomicU64,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Records decided.
    pub taken: usize,
    /// Wakes fired.
    pub woken: usize,
}

/// One agent in one process.
pub struct Worker<A: Agent> {
    pub(super) shared: Shared<A>,
    pub(super) log: Box<dyn Log>,
    pub(super) tasks: BTreeMap<u32, Task<A>>,
    /// What a task consumes: the agent's reads, and its own output where log and store are apart.
    pub(super) topics: Vec<Topic>,
    effects: Effects<A::Note>,
    pub(super) checkpointer: Checkpointer,
    pub(super) gauged_ms: u64,
    /// The group has said what this member owns, be it nothing, and has not taken it back.
    pub(super) joined: bool,
}

impl<A: Agent> Worker<A> {
    /// A worker that owns nothing yet. `outside.log` delivers [`topics_of`] the agent.
    pub fn new(agent: A, outside: Outside, options: Options) -> std::io::Result<Self> {
        let Outside {
            log,
            store,
            clock,
            metrics,
        } = outside;
        let appender = log.appender();
        let atomic = appender.atomic();
        let spec = agent.capabilities();
        let checkpointer = Checkpointer::start(
            options.checkpoint_thread && !atomic,
            spec.name.as_str(),
            Arc::clone(&appender),
            Arc::clone(&store),
            options.failpoint.clone(),
        )?;
        let shared = Shared {
            agent,
            spec,
            store,
            appender,
            clock,
            metrics,
            options,
            atomic,
            batch: AtomicU64::new(1),
        };
        Ok(Self {
            topics: topics_of(spec, atomic),
            shared,
            log,
            tasks: BTreeMap::new(),
            effects: Effects::default(),
            checkpointer,
            gauged_ms: 0,
            joined: false,
        })
    }

    /// One round: finish checkpoints, poll, decide, checkpoint. `wait` bounds the poll.
    pub fn turn(&mut self, wait: Duration) -> PortResult<Turn> {
        self.finish_checkpoints()?;
        self.take_over()?;
        let now_ms = self.shared.clock.monotonic_ms();
        let wait = if self.tasks.values().any(|task| task.can_advance(now_ms)) {
            Duration::ZERO
        } else {
            wait
        };
        if let Some(change) = self.poll(wait)? {
            self.own(change)?;
        }
        let mut turn = Turn::default();
        let now_ms = self.shared.clock.monotonic_ms();
        for partition in self.partitions() {
            let done = self.advance(partition, now_ms)?;
            turn.taken += done.taken;
            turn.woken += done.woken;
        }
        self.balance_queues()?;
        self.gauge(now_ms);
        Ok(turn)
    }

    pub(super) fn partitions(&self) -> Vec<u32> {
        self.tasks.keys().copied().collect()
    }

    fn poll(&mut self, wait: Duration) -> PortResult<Option<Ownership>> {
        let mut brought = intake::Intake::default();
        let (shared, tasks) = (&self.shared, &mut self.tasks);
        let polled = self
            .log
            .poll(shared.options.poll_records_max, wait, &mut |record| {
                intake::take(shared, tasks, &mut brought, record);
            });
        intake::count(shared, shared.spec.name, &brought);
        match polled {
            Ok(change) => Ok(change),
            Err(PortError::Transient(error)) => {
                // The client reconnects by itself; nothing was taken, nothing is lost.
                tracing::debug!(agent = %shared.spec.name, error, "poll failed");
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Does what one task can do now.
    fn advance(&mut self, partition: u32, now_ms: u64) -> PortResult<Turn> {
        let mut turn = Turn::default();
        let Some(task) = self.tasks.get_mut(&partition) else {
            return Ok(turn);
        };
        if task.stage != Stage::Running {
            return Ok(turn);
        }
        if task.faults.ready(now_ms) {
            let stuffed =
                task.dirty.len() * task.state_bytes_mean >= self.shared.options.dirty_bytes_max * 2;
            // With two checkpoints' worth unsaved, deciding on would outgrow the bound.
            let backed = match task.backup {
                Some(_) if task.outputs.is_empty() => backup::advance(&self.shared, task),
                _ => Ok(()),
            };
            let done = if let Err(error) = backed {
                Err(error)
            } else if stuffed && task.unsaved() {
                decide::send(&self.shared, task).map(|_| Turn::default())
            } else {
                decide_on(
                    &self.shared,
                    task,
                    &mut *self.log,
                    &mut self.effects,
                    now_ms,
                )
            };
            match done {
                Ok(done) => {
                    turn = done;
                    if task.retry.is_none() && task.in_flight.is_none() && task.faults.clear() {
                        self.shared
                            .metrics
                            .emit(&Signal::TaskResumed { task: task.id });
                    }
                }
                Err(PortError::Fatal(text)) => return Err(PortError::Fatal(text)),
                Err(PortError::Lost(_)) => {
                    match task.refused {
                        Some(refused) => {
                            let id = task.id;
                            self.refuse(id, refused);
                        }
                        None => self.reset(partition),
                    }
                    return Ok(turn);
                }
                Err(error) => note_fault(&self.shared, task, &error, now_ms),
            }
        }
        self.checkpoint(partition, now_ms, false)?;
        Ok(turn)
    }

    /// Pauses topics whose queues are full and resumes those that have room.
    fn balance_queues(&mut self) -> PortResult<()> {
        let max = self.shared.options.queued_records_max;
        for (partition, task) in &mut self.tasks {
            if task.stage != Stage::Running {
                continue;
            }
            for (topic, queue) in task.queues.iter_mut() {
                let paused = if queue.paused {
                    queue.items.len() > max / 2
                } else {
                    queue.items.len() >= max
                };
                if paused != queue.paused {
                    match self.log.pause(topic, *partition, paused) {
                        Ok(()) => queue.paused = paused,
                        // It may have happened: taken as paused, it is resumed when there is room.
                        Err(PortError::Transient(_)) => queue.paused = true,
                        Err(other) => return Err(other),
                    }
                }
            }
        }
        Ok(())
    }

    /// Saves everything within the release deadline and leaves.
    pub fn shutdown(mut self) -> PortResult<()> {
        let partitions = self.partitions();
        let deadline = self.shared.clock.monotonic_ms() + self.shared.options.release_deadline_ms;
        self.save_all(&partitions, deadline);
        self.tasks.clear();
        self.log.stop(&partitions)?;
        self.log.close()
    }
}

/// The topics a worker of an agent consumes: what the agent reads and, where log and store are
/// apart, its own output.
pub fn topics_of(spec: &Capabilities, atomic: bool) -> Vec<Topic> {
    let mut topics = spec.reads.to_vec();
    if !atomic {
        topics.push(spec.writes);
    }
    topics
}

/// Plans, decides, settles foreign rows, and lets time pass while nothing is heard.
fn decide_on<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    log: &mut dyn Log,
    effects: &mut Effects<A::Note>,
    now_ms: u64,
) -> PortResult<Turn> {
    let mut turn = Turn::default();
    if task.outranked {
        stand_down(shared, task)?;
    }
    merge::plan(shared, task, log, now_ms);
    turn.taken = decide::run(shared, task, effects, now_ms)?;
    if task.has_work() {
        return Ok(turn);
    }
    if !task.live && caught_up(task, log) {
        task.live = true;
        task.heard_ms = now_ms;
        let seconds = now_ms.saturating_sub(task.acquired_ms) as f64 / 1_000.0;
        shared.metrics.emit(&Signal::TaskLive {
            task: task.id,
            seconds,
        });
    }
    if !task.live {
        return Ok(turn);
    }
    echo::settle(shared, task)?;
    turn.woken = idle(shared, task, log, effects, now_ms)?;
    decide::send(shared, task)?;
    Ok(turn)
}

/// The own output shows a later owner, so nothing this one publishes would count. Either the store
/// names that owner, or it was put back to before it and takes us for the owner still.
fn stand_down<A: Agent>(shared: &Shared<A>, task: &mut Task<A>) -> PortResult<()> {
    task.trust(shared.store.load(task.id, &[])?)?;
    task.refused = Some(Refused::WentBack);
    Err(PortError::Lost(format!(
        "the output of {} has rows of a later owner",
        task.id
    )))
}

/// Whether everything that was there at the acquisition is taken. Offsets that carry no record
/// (transaction markers, what compaction removed) are never taken, so the log's word counts too.
fn caught_up<A: Agent>(task: &Task<A>, log: &dyn Log) -> bool {
    task.queues.iter().all(|(topic, queue)| {
        queue.next >= queue.live_at
            || log
                .end(topic, task.id.partition)
                .is_some_and(|end| queue.next >= end)
    })
}

/// Fires wakes that come due by the passing of time alone, once the log says that nothing is
/// waiting to be heard. A log that cannot be reached says nothing, so time stands still.
fn idle<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    log: &mut dyn Log,
    effects: &mut Effects<A::Note>,
    now_ms: u64,
) -> PortResult<usize> {
    // Before the first fact there is no event time to go on from.
    if !shared.options.idle_time || task.meta.clock == Timestamp::default() {
        return Ok(0);
    }
    let now = idle_now(task, now_ms);
    if task.due(now).is_none() {
        return Ok(0);
    }
    log.refresh_ends(&[task.id.partition])?;
    let heard_all = task.queues.iter().all(|(topic, queue)| {
        log.end(topic, task.id.partition)
            .is_none_or(|end| queue.next >= end)
    });
    if !heard_all {
        return Ok(0);
    }
    let fired = decide::fire_wakes(shared, task, effects, now)?;
    task.meta.clock = task.meta.clock.max(now);
    task.heard_ms = now_ms;
    Ok(fired)
}
