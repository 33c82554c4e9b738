//! Task memory: a checkpoint and its outputs are one batch.

use std::collections::BTreeSet;

use fjall::{Keyspace, OwnedWriteBatch};
use parking_lot::Mutex;

use super::Embedded;
use super::codec::{self, TaskRow};
use crate::model::{Subject, Timestamp};
use crate::ports::{Acquired, AsOf, Checkpoint, Committed, Outgoing, PortResult, Store, TaskId};

impl Embedded {
    fn row(&self, task: TaskId) -> PortResult<&Mutex<TaskRow>> {
        let partitions = self.0.options.partitions;
        if task.partition >= partitions {
            return Err(self.no_partition(task.partition));
        }
        Ok(&self.0.rows[task.agent as usize * partitions as usize + task.partition as usize])
    }

    /// The meta value a task's owner committed last; `None` when nobody did.
    pub fn meta(&self, task: TaskId) -> Option<Vec<u8>> {
        self.row(task).ok().and_then(|row| row.lock().meta.clone())
    }

    /// Every key and value of a task in a keyspace.
    fn each_of_task(
        &self,
        keyspace: &Keyspace,
        task: TaskId,
        mut each: impl FnMut(fjall::UserKey, fjall::UserValue),
    ) -> PortResult<()> {
        for guard in keyspace.prefix(codec::task_key(task)) {
            let (key, value) = guard
                .into_inner()
                .map_err(|error| self.broken("be read", &error))?;
            each(key, value);
        }
        Ok(())
    }

    fn read_wakes(&self, task: TaskId) -> PortResult<Vec<(Timestamp, Subject)>> {
        let mut wakes = Vec::new();
        let mut damaged = false;
        self.each_of_task(&self.0.wakes, task, |key, value| {
            let at = <[u8; 8]>::try_from(&*value).map(i64::from_le_bytes);
            match (at, codec::subject_of(&key)) {
                (Ok(at), Some(subject)) => wakes.push((Timestamp::from_ms(at), subject)),
                _ => damaged = true,
            }
        })?;
        if damaged {
            return Err(self.damaged(&format!("wakes of {task}")));
        }
        wakes.sort();
        Ok(wakes)
    }

    fn put_memory(&self, batch: &mut OwnedWriteBatch, checkpoint: &Checkpoint) -> PortResult<()> {
        let task = checkpoint.task;
        let mut deleted = BTreeSet::new();
        for (subject, state) in &checkpoint.states {
            let key = codec::subject_key(task, subject);
            if let Some(state) = state {
                batch.insert(&self.0.states, key, state.as_slice());
            } else {
                batch.remove(&self.0.states, key);
                self.remove_recent(batch, task, subject)?;
                deleted.insert(subject);
            }
        }
        for (subject, observations) in &checkpoint.recent {
            if !deleted.contains(subject) && !observations.is_empty() {
                self.add_recent(batch, task, subject, observations)?;
            }
        }
        for (subject, wake) in &checkpoint.wakes {
            let key = codec::subject_key(task, subject);
            match wake {
                Some(at) => batch.insert(&self.0.wakes, key, at.ms().to_le_bytes()),
                None => batch.remove(&self.0.wakes, key),
            }
        }
        Ok(())
    }

    fn put_row(&self, batch: &mut OwnedWriteBatch, task: TaskId, epoch: u64, meta: Option<&[u8]>) {
        batch.insert(
            &self.0.tasks,
            codec::task_key(task),
            codec::encode_task(epoch, meta),
        );
    }
}

impl TaskRow {
    fn as_of<T>(&self, value: T) -> AsOf<T> {
        AsOf {
            epoch: self.epoch,
            meta: self.meta.clone(),
            value,
        }
    }
}

/// Whether `epoch` is the owner, and if not, who is wrong.
fn judge(stored: u64, epoch: u64) -> Option<Committed> {
    match stored.cmp(&epoch) {
        std::cmp::Ordering::Greater => Some(Committed::Fenced),
        std::cmp::Ordering::Less => Some(Committed::WentBack),
        std::cmp::Ordering::Equal => None,
    }
}

impl Store for Embedded {
    fn acquire(&self, task: TaskId, epoch_min: u64) -> PortResult<Acquired> {
        let mut row = self.row(task)?.lock();
        let epoch = row.epoch.saturating_add(1).max(epoch_min);
        let mut batch = self.0.db.batch();
        self.put_row(&mut batch, task, epoch, row.meta.as_deref());
        batch
            .commit()
            .map_err(|error| self.broken("be written", &error))?;
        row.epoch = epoch;
        Ok(Acquired {
            epoch,
            meta: row.meta.clone(),
            wakes: self.read_wakes(task)?,
        })
    }

    fn load(&self, task: TaskId, subjects: &[Subject]) -> PortResult<AsOf<Vec<Option<Vec<u8>>>>> {
        let row = self.row(task)?.lock();
        let states = subjects
            .iter()
            .map(|subject| {
                self.0
                    .states
                    .get(codec::subject_key(task, subject))
                    .map(|value| value.map(|value| value.to_vec()))
                    .map_err(|error| self.broken("be read", &error))
            })
            .collect::<PortResult<_>>()?;
        Ok(row.as_of(states))
    }

    fn commit(&self, checkpoint: &Checkpoint) -> PortResult<Committed> {
        let mut row = self.row(checkpoint.task)?.lock();
        if let Some(refused) = judge(row.epoch, checkpoint.epoch) {
            return Ok(refused);
        }
        if row.meta != checkpoint.expected {
            let repeat = row.meta.as_ref() == Some(&checkpoint.meta);
            return Ok(if repeat {
                Committed::Committed
            } else {
                Committed::WentBack
            });
        }
        let mut batch = self.0.db.batch();
        self.put_memory(&mut batch, checkpoint)?;
        self.put_row(
            &mut batch,
            checkpoint.task,
            checkpoint.epoch,
            Some(&checkpoint.meta),
        );
        let outputs: Vec<&Outgoing> = checkpoint.outputs.iter().collect();
        self.write(batch, &outputs)?;
        row.meta = Some(checkpoint.meta.clone());
        Ok(Committed::Committed)
    }

    fn recent(&self, task: TaskId, subject: &Subject, n: usize) -> PortResult<Vec<Vec<u8>>> {
        // The task's row keeps a checkpoint from moving observations while they are read.
        let _row = self.row(task)?.lock();
        self.read_recent(task, subject, n)
    }

    fn wipe(&self, task: TaskId, epoch: u64) -> PortResult<Committed> {
        let mut row = self.row(task)?.lock();
        if let Some(refused) = judge(row.epoch, epoch) {
            return Ok(refused);
        }
        let mut batch = self.0.db.batch();
        for keyspace in [&self.0.states, &self.0.wakes, &self.0.recents] {
            self.each_of_task(keyspace, task, |key, _| batch.remove(keyspace, key))?;
        }
        self.put_row(&mut batch, task, epoch, None);
        batch
            .commit()
            .map_err(|error| self.broken("be written", &error))?;
        row.meta = None;
        Ok(Committed::Committed)
    }

    fn subjects(
        &self,
        task: TaskId,
        after: Option<&Subject>,
        limit: usize,
    ) -> PortResult<AsOf<Vec<Subject>>> {
        let row = self.row(task)?.lock();
        let prefix = codec::task_key(task);
        let from = after.map_or_else(|| prefix.to_vec(), |s| codec::subject_key(task, s));
        let mut subjects = Vec::new();
        for guard in self.0.states.range(from..) {
            if subjects.len() == limit {
                break;
            }
            let key = guard
                .key()
                .map_err(|error| self.broken("be read", &error))?;
            if !key.starts_with(&prefix) {
                break;
            }
            let subject = codec::subject_of(&key)
                .ok_or_else(|| self.damaged(&format!("a subject of {task}")))?;
            if after != Some(&subject) {
                subjects.push(subject);
            }
        }
        Ok(row.as_of(subjects))
    }
}
