//! Task memory as a script in a memory server would keep it: each call whole or not at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::state::State;
use super::{Caller, SimWorld};
use crate::model::{Subject, Timestamp};
use crate::ports::{Acquired, AsOf, Checkpoint, Committed, PortError, PortResult, Store, TaskId};

/// What the store keeps of one task.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct TaskMemory {
    /// 0 before the first owner.
    pub epoch: u64,
    /// As last committed.
    pub meta: Option<Vec<u8>>,
    /// By subject.
    pub states: BTreeMap<Subject, Vec<u8>>,
    /// By subject, oldest first.
    pub recent: BTreeMap<Subject, VecDeque<Vec<u8>>>,
    /// By subject.
    pub wakes: BTreeMap<Subject, Timestamp>,
}

/// The simulated store. Clones are the same store.
#[derive(Clone)]
pub struct SimStore {
    world: SimWorld,
    caller: Caller,
}

impl SimStore {
    pub(super) fn new(world: SimWorld, caller: Caller) -> Self {
        Self { world, caller }
    }
}

impl State {
    fn task(&self, task: TaskId) -> Option<&TaskMemory> {
        self.memory.get(&task).map(|memory| &**memory)
    }
    fn as_of<T>(&self, task: TaskId, read: impl FnOnce(&TaskMemory) -> T) -> AsOf<T> {
        let nothing = TaskMemory::default();
        let memory = self.task(task).unwrap_or(&nothing);
        AsOf {
            epoch: memory.epoch,
            meta: memory.meta.clone(),
            value: read(memory),
        }
    }
    fn task_mut(&mut self, task: TaskId) -> &mut TaskMemory {
        Arc::make_mut(self.memory.entry(task).or_default())
    }
}

impl TaskMemory {
    /// Whether `epoch` is the owner, and if not, who is wrong.
    fn judge(&self, epoch: u64) -> Option<Committed> {
        match self.epoch.cmp(&epoch) {
            std::cmp::Ordering::Greater => Some(Committed::Fenced),
            std::cmp::Ordering::Less => Some(Committed::WentBack),
            std::cmp::Ordering::Equal => None,
        }
    }

    fn commit(&mut self, checkpoint: &Checkpoint, recent_capacity: usize) -> Committed {
        if let Some(refused) = self.judge(checkpoint.epoch) {
            return refused;
        }
        if self.meta != checkpoint.expected {
            let repeat = self.meta.as_ref() == Some(&checkpoint.meta);
            return if repeat {
                Committed::Committed
            } else {
                Committed::WentBack
            };
        }
        self.meta = Some(checkpoint.meta.clone());
        for (subject, observations) in &checkpoint.recent {
            let ring = self.recent.entry(subject.clone()).or_default();
            ring.extend(observations.iter().cloned());
            let surplus = ring.len().saturating_sub(recent_capacity);
            ring.drain(..surplus);
        }
        for (subject, state) in &checkpoint.states {
            if let Some(state) = state {
                self.states.insert(subject.clone(), state.clone());
            } else {
                self.states.remove(subject);
                self.recent.remove(subject);
            }
        }
        for (subject, wake) in &checkpoint.wakes {
            match wake {
                Some(at) => self.wakes.insert(subject.clone(), *at),
                None => self.wakes.remove(subject),
            };
        }
        Committed::Committed
    }
}

impl Store for SimStore {
    fn acquire(&self, task: TaskId, epoch_min: u64) -> PortResult<Acquired> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        state.check_partition(task.partition)?;
        let memory = state.task_mut(task);
        memory.epoch = memory.epoch.saturating_add(1).max(epoch_min);
        let mut wakes: Vec<(Timestamp, Subject)> = memory
            .wakes
            .iter()
            .map(|(subject, at)| (*at, subject.clone()))
            .collect();
        wakes.sort();
        let acquired = Acquired {
            epoch: memory.epoch,
            meta: memory.meta.clone(),
            wakes,
        };
        after.then(acquired)
    }

    fn load(&self, task: TaskId, subjects: &[Subject]) -> PortResult<AsOf<Vec<Option<Vec<u8>>>>> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        after.then(state.as_of(task, |memory| {
            subjects
                .iter()
                .map(|subject| memory.states.get(subject).cloned())
                .collect()
        }))
    }

    fn commit(&self, checkpoint: &Checkpoint) -> PortResult<Committed> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        if !checkpoint.outputs.is_empty() {
            return Err(PortError::Fatal(
                "log and store are apart: outputs go to the appender, not into a checkpoint".into(),
            ));
        }
        let capacity = state.options.recent_capacity;
        let outcome = state.task_mut(checkpoint.task).commit(checkpoint, capacity);
        after.then(outcome)
    }

    fn recent(&self, task: TaskId, subject: &Subject, n: usize) -> PortResult<Vec<Vec<u8>>> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        let ring = state
            .task(task)
            .and_then(|memory| memory.recent.get(subject));
        let newest = ring.map_or_else(Vec::new, |ring| {
            ring.iter().rev().take(n).cloned().collect()
        });
        after.then(newest)
    }

    fn wipe(&self, task: TaskId, epoch: u64) -> PortResult<Committed> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        let memory = state.task_mut(task);
        let outcome = memory.judge(epoch).unwrap_or(Committed::Committed);
        if outcome == Committed::Committed {
            *memory = TaskMemory {
                epoch,
                ..TaskMemory::default()
            };
        }
        after.then(outcome)
    }

    fn subjects(
        &self,
        task: TaskId,
        after: Option<&Subject>,
        limit: usize,
    ) -> PortResult<AsOf<Vec<Subject>>> {
        use std::ops::Bound;
        let mut state = self.world.0.lock();
        let failure = state.call(self.caller)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        failure.then(state.as_of(task, |memory| {
            memory
                .states
                .range::<Subject, _>((from, Bound::Unbounded))
                .take(limit)
                .map(|(subject, _)| subject.clone())
                .collect()
        }))
    }
}
