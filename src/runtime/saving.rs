//! When a worker checkpoints, and what follows from each answer of the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::agents::Agent;
use crate::ports::{Committed, PortError, PortResult, TaskId};
use crate::telemetry::Signal;

use super::checkpoint::{self, Checkpointer, Done, Job};
use super::ownership::note_fault;
use super::task::{Refused, Stage, Task};
use super::worker::{Shared, Worker};
use super::{backup, decide};

impl<A: Agent> Worker<A> {
    /// Begins (or repeats) a checkpoint when one is due or `forced`.
    pub(super) fn checkpoint(
        &mut self,
        partition: u32,
        now_ms: u64,
        forced: bool,
    ) -> PortResult<()> {
        let Some(task) = self.tasks.get_mut(&partition) else {
            return Ok(());
        };
        if task.in_flight.is_some() || !task.faults.ready(now_ms) {
            return Ok(());
        }
        let job = if let Some(job) = task.retry.take() {
            job
        } else {
            // A backup copies what a checkpoint stored, so one that is due asks for another even
            // if nothing has changed: else what a task saved last before it falls silent stays
            // without a backup.
            let due = checkpoint::due(&self.shared, task, now_ms)
                || (forced && task.changed)
                || backup::due(&self.shared, task, now_ms);
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

    pub(super) fn finish_checkpoints(&mut self) -> PortResult<()> {
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
    pub(super) fn finish(&mut self, job: &Arc<Job>, done: Done) -> PortResult<()> {
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
                self.committed(job, now_ms);
                Ok(())
            }
            Done::Store(Committed::Fenced) => {
                self.refuse(id, Refused::Fenced);
                Ok(())
            }
            Done::Store(Committed::WentBack) => {
                self.refuse(id, Refused::WentBack);
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

    /// A checkpoint is written: tells the log and begins a backup when one is due.
    fn committed(&mut self, job: &Job, now_ms: u64) {
        let id = job.checkpoint.task;
        let tasks = self.tasks.len().max(1);
        let Some(task) = self.tasks.get_mut(&id.partition) else {
            return;
        };
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
        let max = self.shared.options.subjects_cached_max / tasks;
        self.log.report(id.partition, &job.positions);
        if let Some(task) = self.tasks.get_mut(&id.partition)
            && task.plan.is_empty()
            && task.notes.is_none()
        {
            task.shrink_cache(max);
        }
    }

    /// Drops a task's state unsaved: it is another's now, or begins again from what there is.
    pub(super) fn refuse(&mut self, id: TaskId, refused: Refused) {
        let now_ms = self.shared.clock.monotonic_ms();
        match refused {
            Refused::Fenced => {
                self.shared.metrics.emit(&Signal::TaskFenced { task: id });
                let mut fenced = Task::new(id, &self.topics, now_ms);
                fenced.stage = Stage::Fenced;
                self.tasks.insert(id.partition, fenced);
            }
            Refused::WentBack => {
                self.shared
                    .metrics
                    .emit(&Signal::MemoryWentBack { task: id });
                self.reset(id.partition);
                if let Some(task) = self.tasks.get_mut(&id.partition) {
                    task.went_back = true;
                }
            }
        }
    }

    /// Drops a task's state unsaved and begins it again from its last checkpoint.
    pub(super) fn reset(&mut self, partition: u32) {
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
