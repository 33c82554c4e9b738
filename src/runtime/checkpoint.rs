//! A checkpoint: outputs durable, then states, wakes and positions in one atomic step, then
//! offsets for lag tools.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::agents::Agent;
use crate::model::Subject;
use crate::ports::{Appender, Checkpoint, Committed, Outgoing, PortError, Positions, Store};

use super::codec::encode_state;
use super::failpoint::{Failpoint, Point};
use super::task::Task;
use super::worker::Shared;

/// Longest one attempt waits for outputs to become durable.
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// A checkpoint to perform. Repeating it is harmless.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) checkpoint: Checkpoint,
    /// Outputs of this and earlier batches must be durable first.
    pub(super) batch: u64,
    pub(super) positions: Positions,
    pub(super) bytes: u64,
    pub(super) started_ms: u64,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Done {
    Store(Committed),
    Failed(PortError),
}

/// One attempt: settle, then commit.
pub(super) fn perform(
    appender: &dyn Appender,
    store: &dyn Store,
    failpoint: Option<&Failpoint>,
    job: &Job,
) -> Done {
    if !appender.atomic()
        && let Err(error) = appender.settle(job.batch, SETTLE_WAIT)
    {
        return Done::Failed(error);
    }
    if let Some(failpoint) = failpoint {
        failpoint.pass(Point::Settled);
    }
    match store.commit(&job.checkpoint) {
        Ok(committed) => {
            if let Some(failpoint) = failpoint {
                failpoint.pass(Point::Stored);
            }
            Done::Store(committed)
        }
        Err(error) => Done::Failed(error),
    }
}

/// Builds the next checkpoint of a task from everything that changed since the last.
///
/// The caller has seen to it that no message is half delivered and that the appender has every
/// output (or that outputs ride along).
pub(super) fn build<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    batch: u64,
    now_ms: u64,
) -> Job {
    task.meta.generation += 1;
    task.meta.unbacked = task.full_backup || !task.unbacked.is_empty();
    let meta = task.meta.encode();
    let mut bytes = meta.len();
    let mut states = Vec::with_capacity(task.dirty.len());
    let mut recent = Vec::new();
    for subject in task.dirty.drain(..) {
        let Some(entry) = task.cache.get_mut(&subject) else {
            continue;
        };
        entry.dirty = false;
        let encoded = encode_state(A::STATE_VERSION, &entry.state);
        bytes += encoded.len() + subject.as_str().len();
        if !entry.recent.is_empty() {
            let excess = entry
                .recent
                .len()
                .saturating_sub(shared.options.recent_capacity);
            let added: Vec<Vec<u8>> = entry
                .recent
                .drain(..)
                .skip(excess)
                .map(|observation| encode_state(1, &observation))
                .collect();
            bytes += added.iter().map(Vec::len).sum::<usize>();
            recent.push((subject.clone(), added));
        }
        states.push((subject, Some(encoded)));
    }
    let wakes: Vec<(Subject, Option<crate::model::Timestamp>)> =
        std::mem::take(&mut task.wake_changes)
            .into_iter()
            .map(|(subject, change)| (subject, change.to))
            .collect();
    let mut outputs: Vec<Outgoing> = Vec::new();
    if shared.atomic {
        outputs.extend(task.outputs.drain(..));
    }
    if !states.is_empty() {
        task.state_bytes_mean = (bytes / states.len()).max(64);
    }
    task.changed = false;
    Job {
        positions: task.meta.positions.clone(),
        checkpoint: Checkpoint {
            task: task.id,
            epoch: task.epoch,
            expected: task.stored.clone(),
            meta,
            states,
            recent,
            wakes,
            outputs,
        },
        batch,
        bytes: bytes as u64,
        started_ms: now_ms,
    }
}

/// Whether a checkpoint is due: enough is dirty, or enough time has passed.
pub(super) fn due<A: Agent>(shared: &Shared<A>, task: &Task<A>, now_ms: u64) -> bool {
    if !task.changed || task.in_flight.is_some() || task.retry.is_some() {
        return false;
    }
    shared.atomic
        || task.dirty.len() * task.state_bytes_mean >= shared.options.dirty_bytes_max
        || now_ms.saturating_sub(task.checkpointed_ms) >= shared.options.checkpoint_interval_ms
}

/// Performs checkpoints in the loop, or on a thread of its own.
pub(super) enum Checkpointer {
    Inline,
    Thread {
        jobs: Sender<Arc<Job>>,
        results: Receiver<(Arc<Job>, Done)>,
    },
}

impl Checkpointer {
    /// Starts the thread when one is wanted; it ends when the worker is dropped.
    pub(super) fn start(
        threaded: bool,
        name: &str,
        appender: Arc<dyn Appender>,
        store: Arc<dyn Store>,
        failpoint: Option<Arc<Failpoint>>,
    ) -> std::io::Result<Self> {
        if !threaded {
            return Ok(Self::Inline);
        }
        let (jobs, inbox) = channel::<Arc<Job>>();
        let (outbox, results) = channel();
        std::thread::Builder::new()
            .name(format!("{name}-checkpoint"))
            .spawn(move || {
                while let Ok(job) = inbox.recv() {
                    let done = perform(&*appender, &*store, failpoint.as_deref(), &job);
                    if outbox.send((job, done)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self::Thread { jobs, results })
    }
}
