//! One agent in one process: the turn that polls, decides, appends and checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::agents::{Agent, Capabilities, Effects};
use crate::model::{Timestamp, Topic};
use crate::ports::{Appender, Clock, Committed, Log, Ownership, PortError, PortResult, Store};
use crate::telemetry::{Metrics, Signal};

use super::checkpoint::{self, Checkpointer, Done, Job};
use super::ownership::{idle_now, note_fault};
use super::task::{Stage, Task};
use super::{Options, backup, decide, echo, intake};

/// Gauges are refreshed this often.
const GAUGES_MS: u64 = 1_000;

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

/// How one task stands, for readiness and status.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// The partition.
    pub partition: u32,
    /// It has taken everything that was there when it was acquired.
    pub live: bool,
    /// Intake is stopped on a lasting fault, or another owner holds it.
    pub parked: bool,
    /// Records between its positions and the log's ends.
    pub lag: u64,
    /// Something is not yet saved, settled or sent.
    pub dirty: bool,
    /// A wake is due.
    pub wake_due: bool,
    /// The task's clock.
    pub clock: Timestamp,
}

impl Standing {
    /// Nothing is left to do until something new is heard.
    pub fn quiet(&self) -> bool {
        self.live && !self.parked && self.lag == 0 && !self.dirty && !self.wake_due
    }
}

/// One agent in one process.
pub struct Worker<A: Agent> {
    pub(super) shared: Shared<A>,
    pub(super) log: Box<dyn Log>,
    pub(super) tasks: BTreeMap<u32, Task<A>>,
    /// What a task consumes: the agent's reads, and its own output where log and store are apart.
    pub(super) topics: Vec<Topic>,
    effects: Effects<A::Note>,
    checkpointer: Checkpointer,
    gauged_ms: u64,
}

impl<A: Agent> Worker<A> {
    /// A worker that owns nothing yet. `outside.log` delivers [`Self::topics_of`] the agent.
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
            topics: Self::topics_of(spec, atomic),
            shared,
            log,
            tasks: BTreeMap::new(),
            effects: Effects::default(),
            checkpointer,
            gauged_ms: 0,
        })
    }

    /// The topics a worker of an agent consumes.
    pub fn topics_of(spec: &Capabilities, atomic: bool) -> Vec<Topic> {
        let mut topics = spec.reads.to_vec();
        if !atomic {
            topics.push(spec.writes);
        }
        topics
    }

    /// One round: finish checkpoints, poll, decide, checkpoint. `wait` bounds the poll.
    pub fn turn(&mut self, wait: Duration) -> PortResult<Turn> {
        self.finish_checkpoints()?;
        self.take_over()?;
        let wait = if self.tasks.values().any(Task::has_work) {
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

    fn partitions(&self) -> Vec<u32> {
        self.tasks.keys().copied().collect()
    }

    fn poll(&mut self, wait: Duration) -> PortResult<Option<Ownership>> {
        let mut taken = intake::Taken::new();
        let (shared, tasks) = (&self.shared, &mut self.tasks);
        let polled = self
            .log
            .poll(shared.options.poll_records_max, wait, &mut |record| {
                intake::take(shared, tasks, &mut taken, record);
            });
        intake::count(shared, shared.spec.name, &taken);
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
                    self.reset(partition);
                    return Ok(turn);
                }
                Err(error) => note_fault(&self.shared, task, &error, now_ms),
            }
        }
        self.checkpoint(partition, now_ms, false)?;
        Ok(turn)
    }

    /// Begins (or repeats) a checkpoint when one is due or `forced`.
    fn checkpoint(&mut self, partition: u32, now_ms: u64, forced: bool) -> PortResult<()> {
        let Some(task) = self.tasks.get_mut(&partition) else {
            return Ok(());
        };
        if task.in_flight.is_some() || !task.faults.ready(now_ms) {
            return Ok(());
        }
        let job = if let Some(job) = task.retry.take() {
            job
        } else {
            let due = checkpoint::due(&self.shared, task, now_ms) || (forced && task.changed);
            if !due || task.notes.is_some() || task.backup.is_some() {
                return Ok(());
            }
            match prepare(&self.shared, task, now_ms) {
                Ok(Some(job)) => Arc::new(job),
                Ok(None) => return Ok(()),
                Err(PortError::Fatal(text)) => return Err(PortError::Fatal(text)),
                Err(error) => {
                    note_fault(&self.shared, task, &error, now_ms);
                    return Ok(());
                }
            }
        };
        task.in_flight = Some(Arc::clone(&job));
        match &self.checkpointer {
            Checkpointer::Thread { jobs, .. } => jobs
                .send(job)
                .map_err(|_| PortError::Fatal("the checkpoint thread ended".into())),
            Checkpointer::Inline => {
                let done = checkpoint::perform(
                    &*self.shared.appender,
                    &*self.shared.store,
                    self.shared.options.failpoint.as_deref(),
                    &job,
                );
                self.finish(&job, done)
            }
        }
    }

    fn finish_checkpoints(&mut self) -> PortResult<()> {
        let Checkpointer::Thread { results, .. } = &self.checkpointer else {
            return Ok(());
        };
        let finished: Vec<_> = results.try_iter().collect();
        for (job, done) in finished {
            self.finish(&job, done)?;
        }
        Ok(())
    }

    /// Takes in what became of a checkpoint.
    fn finish(&mut self, job: &Arc<Job>, done: Done) -> PortResult<()> {
        let now_ms = self.shared.clock.monotonic_ms();
        let id = job.checkpoint.task;
        let Some(task) = self.tasks.get_mut(&id.partition) else {
            return Ok(());
        };
        // A result for an owner that is no longer: the task was reset in between.
        if task
            .in_flight
            .take_if(|flying| Arc::ptr_eq(flying, job))
            .is_none()
        {
            return Ok(());
        }
        match done {
            Done::Store(Committed::Committed) => {
                task.stored = Some(job.checkpoint.meta.clone());
                task.checkpointed_ms = now_ms;
                if task.faults.clear() {
                    self.shared.metrics.emit(&Signal::TaskResumed { task: id });
                }
                self.shared.metrics.emit(&Signal::CheckpointWritten {
                    agent: id.agent,
                    seconds: now_ms.saturating_sub(job.started_ms) as f64 / 1_000.0,
                    bytes: job.bytes,
                    subjects: job.checkpoint.states.len() as u64,
                });
                if backup::due(&self.shared, task, now_ms) {
                    backup::begin(task, &job.checkpoint.meta, now_ms);
                }
                let max = self.shared.options.subjects_cached_max / self.tasks.len().max(1);
                self.log.report(id.partition, &job.positions);
                if let Some(task) = self.tasks.get_mut(&id.partition)
                    && task.plan.is_empty()
                    && task.notes.is_none()
                {
                    task.shrink_cache(max);
                }
                Ok(())
            }
            Done::Store(Committed::Fenced) => {
                self.shared.metrics.emit(&Signal::TaskFenced { task: id });
                let mut fenced = Task::new(id, &self.topics, now_ms);
                fenced.stage = Stage::Fenced;
                self.tasks.insert(id.partition, fenced);
                Ok(())
            }
            Done::Store(Committed::WentBack) => {
                self.shared
                    .metrics
                    .emit(&Signal::MemoryWentBack { task: id });
                self.reset(id.partition);
                if let Some(task) = self.tasks.get_mut(&id.partition) {
                    task.went_back = true;
                }
                Ok(())
            }
            Done::Failed(PortError::Fatal(text)) => Err(PortError::Fatal(text)),
            Done::Failed(PortError::Lost(error)) => {
                self.shared.metrics.emit(&Signal::CheckpointRetried {
                    task: id,
                    error: &error,
                });
                // Outputs of a batch are of every task: none of them is known to be durable.
                for partition in self.partitions() {
                    self.reset(partition);
                }
                Ok(())
            }
            Done::Failed(error) => {
                task.retry = Some(Arc::clone(job));
                note_fault(&self.shared, task, &error, now_ms);
                Ok(())
            }
        }
    }

    /// Drops a task's state unsaved and begins it again from its last checkpoint.
    fn reset(&mut self, partition: u32) {
        let now_ms = self.shared.clock.monotonic_ms();
        if let Some(task) = self.tasks.get_mut(&partition)
            && task.stage != Stage::Fenced
        {
            let epoch = task.epoch;
            *task = Task::new(task.id, &self.topics, now_ms);
            task.epoch = epoch;
        }
    }

    /// Saves the given tasks as far as the deadline (monotonic milliseconds) allows. What is not
    /// saved by then is replayed by the next owner.
    pub(super) fn save_all(&mut self, partitions: &[u32], deadline_ms: u64) {
        loop {
            let now_ms = self.shared.clock.monotonic_ms();
            let mut open = false;
            for partition in partitions {
                if let Err(error) = self.checkpoint(*partition, now_ms, true) {
                    tracing::warn!(agent = %self.shared.spec.name, partition, %error, "not saved");
                    return;
                }
                open |= self.tasks.get(partition).is_some_and(|task| {
                    task.stage == Stage::Running && task.notes.is_none() && task.unsaved()
                });
            }
            if !open || now_ms >= deadline_ms {
                return;
            }
            if self.await_checkpoint(deadline_ms - now_ms).is_err() {
                return;
            }
        }
    }

    /// Waits for one checkpoint of the thread; in the loop they are done by now.
    fn await_checkpoint(&mut self, within_ms: u64) -> PortResult<()> {
        let wait = Duration::from_millis(within_ms.min(100));
        let result = match &self.checkpointer {
            Checkpointer::Thread { results, .. } => results.recv_timeout(wait).ok(),
            Checkpointer::Inline => None,
        };
        match result {
            Some((job, done)) => self.finish(&job, done),
            // Nothing finished, or a fault awaits its back-off: let a moment pass.
            None if matches!(self.checkpointer, Checkpointer::Inline) => Err(PortError::Transient(
                "not saved at the first attempt".into(),
            )),
            None => Ok(()),
        }
    }

    /// Pauses topics whose queues are full and resumes those that have room.
    fn balance_queues(&mut self) -> PortResult<()> {
        let max = self.shared.options.queued_records_max;
        for (partition, task) in &mut self.tasks {
            if task.stage != Stage::Running {
                continue;
            }
            for (topic, queue) in &mut task.queues {
                let paused = if queue.paused {
                    queue.items.len() > max / 2
                } else {
                    queue.items.len() >= max
                };
                if paused != queue.paused {
                    match self.log.pause(*topic, *partition, paused) {
                        Ok(()) => queue.paused = paused,
                        Err(PortError::Transient(_)) => {}
                        Err(other) => return Err(other),
                    }
                }
            }
        }
        Ok(())
    }

    fn gauge(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.gauged_ms) < GAUGES_MS {
            return;
        }
        self.gauged_ms = now_ms;
        let agent = self.shared.spec.name;
        let mut lags: BTreeMap<Topic, u64> = BTreeMap::new();
        let (mut live, mut parked, mut cached) = (0, 0, 0);
        let mut newest = Timestamp::default();
        for task in self.tasks.values() {
            for (topic, lag) in decide::lag(task, &*self.log) {
                *lags.entry(topic).or_default() += lag;
            }
            live += usize::from(task.live);
            parked += usize::from(task.faults.parked());
            cached += task.cache.len();
            newest = newest.max(task.meta.clock);
        }
        let metrics = &self.shared.metrics;
        for (topic, records) in lags {
            metrics.emit(&Signal::Lag {
                agent,
                topic,
                records,
            });
        }
        metrics.emit(&Signal::Tasks {
            agent,
            owned: self.tasks.len(),
            live,
            parked,
        });
        metrics.emit(&Signal::SubjectsCached {
            agent,
            count: cached,
        });
        if newest != Timestamp::default() {
            let seconds = self.shared.clock.now().since(newest) as f64 / 1_000.0;
            metrics.emit(&Signal::EventAge { agent, seconds });
        }
    }

    /// How every task stands. With `refresh` the log is asked for its true ends first.
    pub fn standing(&mut self, refresh: bool) -> PortResult<Vec<Standing>> {
        if refresh {
            let partitions = self.partitions();
            self.log.refresh_ends(&partitions)?;
        }
        let now_ms = self.shared.clock.monotonic_ms();
        Ok(self
            .tasks
            .values()
            .map(|task| Standing {
                partition: task.id.partition,
                live: task.live,
                parked: task.faults.parked() || task.stage != Stage::Running,
                lag: decide::lag(task, &*self.log)
                    .iter()
                    .map(|(_, lag)| lag)
                    .sum(),
                dirty: task.unsaved()
                    || task.has_work()
                    || task.backup.is_some()
                    || !task.outputs.is_empty()
                    || !task.foreign.is_empty(),
                wake_due: self.shared.options.idle_time
                    && task.due(idle_now(task, now_ms)).is_some(),
                clock: task.meta.clock,
            })
            .collect())
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

/// Plans, decides, settles foreign rows, and lets time pass while nothing is heard.
fn decide_on<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    log: &mut dyn Log,
    effects: &mut Effects<A::Note>,
    now_ms: u64,
) -> PortResult<Turn> {
    let mut turn = Turn::default();
    decide::plan(shared, task, log, now_ms);
    turn.taken = decide::run(shared, task, effects, now_ms)?;
    if task.has_work() {
        return Ok(turn);
    }
    if !task.live
        && task
            .queues
            .values()
            .all(|queue| queue.next >= queue.live_at)
    {
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
        log.end(*topic, task.id.partition)
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

/// Puts a checkpoint together; `None` while the appender is full.
fn prepare<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    now_ms: u64,
) -> PortResult<Option<Job>> {
    if !decide::send(shared, task)? {
        return Ok(None);
    }
    let batch = shared.batch.fetch_add(1, Ordering::Relaxed);
    Ok(Some(checkpoint::build(shared, task, batch, now_ms)))
}
