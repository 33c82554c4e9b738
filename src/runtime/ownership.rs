//! Taking over a task and letting it go: acquire, restore, start; checkpoint, stop.

use crate::agents::Agent;
use crate::model::{Timestamp, Topic};
use crate::ports::{
    Acquired, Checkpoint, Committed, Log, Ownership, PortError, PortResult, Positions, TaskId,
};
use crate::telemetry::Signal;

use super::backup;
use super::meta::TaskMeta;
use super::task::{Stage, Task};
use super::worker::{Shared, Worker};

/// A fenced task that nobody takes from us is acquired again after this long.
const FENCED_MS_MAX: u64 = 10_000;

impl<A: Agent> Worker<A> {
    /// Answers a change of ownership.
    pub(super) fn own(&mut self, change: Ownership) -> PortResult<()> {
        let now_ms = self.shared.clock.monotonic_ms();
        let (assigned, revoked, lost) = match &change {
            Ownership::Assigned(partitions) => (partitions.len(), 0, 0),
            Ownership::Revoked(partitions) => (0, partitions.len(), 0),
            Ownership::Lost(partitions) => (0, 0, partitions.len()),
        };
        let agent = self.shared.spec.name;
        self.joined = matches!(change, Ownership::Assigned(_));
        self.shared.metrics.emit(&Signal::Rebalanced {
            agent,
            assigned,
            revoked,
            lost,
        });
        match change {
            Ownership::Assigned(partitions) => {
                for partition in partitions {
                    let id = TaskId { agent, partition };
                    self.tasks
                        .entry(partition)
                        .or_insert_with(|| Task::new(id, &self.topics, now_ms));
                }
                self.take_over()
            }
            Ownership::Revoked(partitions) => {
                let deadline = now_ms + self.shared.options.release_deadline_ms;
                self.save_all(&partitions, deadline);
                self.let_go(&partitions)
            }
            Ownership::Lost(partitions) => self.let_go(&partitions),
        }
    }

    fn let_go(&mut self, partitions: &[u32]) -> PortResult<()> {
        for partition in partitions {
            self.tasks.remove(partition);
        }
        self.log.stop(partitions)
    }

    /// Acquires and starts every task that waits for it and may try.
    pub(super) fn take_over(&mut self) -> PortResult<()> {
        let now_ms = self.shared.clock.monotonic_ms();
        let mut starting: Vec<(u32, Positions)> = Vec::new();
        for (partition, task) in &mut self.tasks {
            if task.stage == Stage::Fenced && now_ms.saturating_sub(task.stage_ms) > FENCED_MS_MAX {
                *task = Task::new(task.id, &self.topics, now_ms);
            }
            if !matches!(task.stage, Stage::Assigned | Stage::Acquired)
                || !task.faults.ready(now_ms)
            {
                continue;
            }
            if task.stage == Stage::Assigned
                && let Err(error) = acquire(&self.shared, &mut *self.log, task)
            {
                if matches!(error, PortError::Fatal(_)) {
                    return Err(error);
                }
                note_fault(&self.shared, task, &error, now_ms);
                continue;
            }
            starting.push((*partition, task.meta.positions.clone()));
        }
        if starting.is_empty() {
            return Ok(());
        }
        match self.start(&starting) {
            Ok(()) => Ok(()),
            Err(PortError::Fatal(text)) => Err(PortError::Fatal(text)),
            Err(error) => {
                for (partition, _) in &starting {
                    if let Some(task) = self.tasks.get_mut(partition) {
                        note_fault(&self.shared, task, &error, now_ms);
                    }
                }
                Ok(())
            }
        }
    }

    fn start(&mut self, starting: &[(u32, Positions)]) -> PortResult<()> {
        let now_ms = self.shared.clock.monotonic_ms();
        let gaps = self.log.start(starting)?;
        let partitions: Vec<u32> = starting.iter().map(|(partition, _)| *partition).collect();
        let mut again: Vec<(u32, Positions)> = Vec::new();
        for gap in &gaps {
            let Some(task) = self.tasks.get_mut(&gap.partition) else {
                continue;
            };
            let raw = Topic::RAW.contains(&gap.topic);
            let id = task.id;
            if raw || gap.wanted > 0 {
                self.shared.metrics.emit(&Signal::PositionGap {
                    task: id,
                    topic: gap.topic,
                    wanted: gap.wanted,
                    resumed: gap.resumed,
                });
            }
            // A recreated topic starts its offsets again, so origins counted on it say nothing.
            if gap.resumed < gap.wanted {
                task.meta.origins.retain(|(topic, ..)| *topic != gap.topic);
            }
            task.meta.missed |= raw;
            task.meta.positions.insert(gap.topic, gap.resumed);
            task.changed = true;
            if raw
                && gap.resumed > gap.wanted
                && let Some(positions) = catch_up(&self.shared, &mut *self.log, task)?
            {
                again.push((gap.partition, positions));
            }
        }
        if !again.is_empty() {
            for gap in self.log.start(&again)? {
                if let Some(task) = self.tasks.get_mut(&gap.partition) {
                    task.meta.positions.insert(gap.topic, gap.resumed);
                }
            }
        }
        self.log.refresh_ends(&partitions)?;
        for partition in partitions {
            let Some(task) = self.tasks.get_mut(&partition) else {
                continue;
            };
            for (topic, queue) in task.queues.iter_mut() {
                queue.items.clear();
                queue.next = task.meta.positions.get(&topic).copied().unwrap_or(0);
                queue.live_at = self.log.end(topic, partition).unwrap_or(queue.next);
                queue.paused = false;
            }
            task.stage = Stage::Running;
            task.stage_ms = now_ms;
            task.heard_ms = now_ms;
            if task.faults.clear() {
                self.shared
                    .metrics
                    .emit(&Signal::TaskResumed { task: task.id });
            }
        }
        Ok(())
    }
}

/// Counts a fault against a task; the one after the quick attempts parks it.
pub(super) fn note_fault<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    error: &PortError,
    now_ms: u64,
) {
    let error = error.to_string();
    if task.faults.note(task.id, now_ms) {
        shared.metrics.emit(&Signal::TaskParked {
            task: task.id,
            error: &error,
        });
    } else {
        shared.metrics.emit(&Signal::CheckpointRetried {
            task: task.id,
            error: &error,
        });
    }
}

/// Makes this worker the task's owner, from the store or, where that knows less, the backup.
fn acquire<A: Agent>(shared: &Shared<A>, log: &mut dyn Log, task: &mut Task<A>) -> PortResult<()> {
    let mut acquired = shared.store.acquire(task.id, task.epoch + 1)?;
    let usable = acquired
        .meta
        .as_deref()
        .is_some_and(|meta| !backup::is_partial(meta));
    if !shared.atomic && (!usable || task.went_back || outranked(shared, log, task.id, &acquired)?)
    {
        acquired = recover(shared, log, task, acquired)?;
    }
    adopt_acquired(task, acquired)?;
    if task.stored.is_none() {
        task.meta.lineage = task.epoch;
    }
    for (topic, _) in task.queues.iter() {
        task.meta.positions.entry(topic).or_insert(0);
    }
    task.full_backup = !shared.atomic && task.meta.unbacked;
    task.went_back = false;
    task.stage = Stage::Acquired;
    Ok(())
}

fn adopt_acquired<A: Agent>(task: &mut Task<A>, acquired: Acquired) -> PortResult<()> {
    task.epoch = acquired.epoch;
    task.meta = match &acquired.meta {
        Some(meta) => TaskMeta::decode(meta)
            .map_err(|error| PortError::Fatal(format!("{}: {error}", task.id)))?,
        None => TaskMeta::default(),
    };
    task.stored = acquired.meta;
    task.wakes = acquired.wakes.iter().cloned().collect();
    task.wake_of = acquired
        .wakes
        .into_iter()
        .map(|(at, subject)| (subject, at))
        .collect();
    Ok(())
}

/// The store has nothing, or less than it had: takes the backup when that is newer, and an epoch
/// above every one that the own output or the backup shows.
fn recover<A: Agent>(
    shared: &Shared<A>,
    log: &mut dyn Log,
    task: &mut Task<A>,
    acquired: Acquired,
) -> PortResult<Acquired> {
    let usable = acquired
        .meta
        .as_deref()
        .filter(|meta| !backup::is_partial(meta));
    let stored = usable.and_then(|meta| TaskMeta::decode(meta).ok());
    let backup = backup::read(log, task.id)?;
    let published = highest_epoch(shared, log, task.id, 0)?;
    // An owner may be alive that this store no longer knows of and whose rows are still under way:
    // after a loss epochs go on from the wall clock, which no earlier one can have reached.
    let wall = shared.clock.now().ms().max(0) as u64;
    let known = published.max(backup.as_ref().map_or(0, |backup| backup.epoch));
    let epoch_min = (known + 1).max(wall);
    let acquired = if acquired.epoch < epoch_min {
        shared.store.acquire(task.id, epoch_min)?
    } else {
        acquired
    };
    let newer = backup.filter(|backup| {
        stored
            .as_ref()
            .is_none_or(|stored| backup.meta.age() > stored.age())
    });
    match (newer, stored) {
        (Some(backup), _) => backup::restore(shared, task.id, acquired.epoch, &backup)?,
        (None, Some(stored)) => begin_lineage(shared, task.id, &acquired, stored)?,
        // A restore that was cut off and has no backup any more: begin with nothing.
        (None, None) if acquired.meta.is_some() => {
            shared.store.wipe(task.id, acquired.epoch)?;
        }
        (None, None) => return Ok(acquired),
    }
    shared.store.acquire(task.id, acquired.epoch + 1)
}

/// Goes on from an older store in a lineage of its own: what was backed up of the time that is no
/// more does not belong to it.
fn begin_lineage<A: Agent>(
    shared: &Shared<A>,
    task: TaskId,
    acquired: &Acquired,
    stored: TaskMeta,
) -> PortResult<()> {
    let meta = TaskMeta {
        lineage: acquired.epoch,
        unbacked: true,
        ..stored
    };
    let checkpoint = Checkpoint {
        task,
        epoch: acquired.epoch,
        expected: acquired.meta.clone(),
        meta: meta.encode(),
        states: Vec::new(),
        recent: Vec::new(),
        wakes: Vec::new(),
        outputs: Vec::new(),
    };
    match shared.store.commit(&checkpoint)? {
        Committed::Committed => Ok(()),
        other => Err(PortError::Transient(format!(
            "{task}: the store changed while it was taken over ({other:?})"
        ))),
    }
}

/// After a gap: the backup's positions, when the backup is ahead of the store.
fn catch_up<A: Agent>(
    shared: &Shared<A>,
    log: &mut dyn Log,
    task: &mut Task<A>,
) -> PortResult<Option<Positions>> {
    if shared.atomic {
        return Ok(None);
    }
    let Some(backup) = backup::read(log, task.id)? else {
        return Ok(None);
    };
    if backup.meta.age() <= task.meta.age() {
        return Ok(None);
    }
    let missed = task.meta.missed;
    backup::restore(shared, task.id, task.epoch, &backup)?;
    let acquired = shared.store.acquire(task.id, task.epoch + 1)?;
    adopt_acquired(task, acquired)?;
    task.meta.missed |= missed;
    task.full_backup = task.meta.unbacked;
    Ok(Some(task.meta.positions.clone()))
}

/// Whether the task's output holds rows of an epoch the store should have known: it was put back
/// to an older state while nobody was looking, and readers would take our rows for old.
fn outranked<A: Agent>(
    shared: &Shared<A>,
    log: &mut dyn Log,
    task: TaskId,
    acquired: &Acquired,
) -> PortResult<bool> {
    let meta = acquired
        .meta
        .as_deref()
        .and_then(|meta| TaskMeta::decode(meta).ok());
    let from = meta.and_then(|meta| meta.positions.get(&shared.spec.writes).copied());
    Ok(highest_epoch(shared, log, task, from.unwrap_or(0))? >= acquired.epoch)
}

/// The highest owner epoch that the task's own output shows from an offset on.
fn highest_epoch<A: Agent>(
    shared: &Shared<A>,
    log: &mut dyn Log,
    task: TaskId,
    from: u64,
) -> PortResult<u64> {
    use crate::sources::{Decoded, decode};
    let mut highest = 0;
    log.read(shared.spec.writes, task.partition, from, &mut |record| {
        if let Ok(Decoded::Message(row)) = decode(record.topic, record.key, record.payload)
            && let Some((epoch, _)) = row.version()
        {
            highest = highest.max(epoch);
        }
    })?;
    Ok(highest)
}

/// The event time a task would have if time went on at wall speed since it last heard something.
pub(super) fn idle_now<A: Agent>(task: &Task<A>, now_ms: u64) -> Timestamp {
    task.meta
        .clock
        .plus(now_ms.saturating_sub(task.heard_ms) as i64)
}
