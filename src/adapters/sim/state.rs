//! Everything a simulated deployment consists of, behind one lock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::fault::{After, Fault, Fuse, killed};
use super::group::Group;
use super::rng::Rng;
use super::{CALL_US, Caller, SimOptions, TaskMemory};
use crate::model::{AgentName, Topic};
use crate::ports::{Outgoing, PortError, PortResult, TaskId};

/// Snapshots of the store that are kept.
const SNAPSHOTS: usize = 4;

/// A topic partition.
#[derive(Default)]
pub(super) struct Partition {
    pub start: u64,
    pub end: u64,
    pub records: BTreeMap<u64, Arc<Outgoing>>,
}

/// What a producer was given and has not sent.
#[derive(Default)]
pub(super) struct Producer {
    pub process: Option<u32>,
    pub pending: VecDeque<Outgoing>,
}

pub(super) struct State {
    pub options: SimOptions,
    pub rng: Rng,
    pub now_us: u64,
    pub calls: u64,
    pub failures: u64,
    pub fuses: BTreeMap<u64, Fuse>,
    pub scheduled: BTreeMap<u64, Vec<Fault>>,
    pub log: BTreeMap<(Topic, u32), Partition>,
    pub groups: BTreeMap<AgentName, Group>,
    /// Members that are out of their group and do not know.
    pub cut_off: BTreeSet<(AgentName, u32, u64)>,
    pub producers: BTreeMap<u64, Producer>,
    pub memory: BTreeMap<TaskId, Arc<TaskMemory>>,
    pub snapshots: VecDeque<BTreeMap<TaskId, Arc<TaskMemory>>>,
    /// Processes that die as soon as the present call is done.
    doomed: Vec<u32>,
    /// The life each process is in.
    lives: BTreeMap<u32, u64>,
    /// Consumers by process, to be silenced when it dies.
    pub consumers: BTreeSet<(u32, AgentName, u64)>,
    ids: u64,
}

impl State {
    pub(super) fn new(seed: u64, options: SimOptions) -> Self {
        Self {
            options,
            rng: Rng::new(seed),
            now_us: 0,
            calls: 0,
            failures: 0,
            fuses: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            log: BTreeMap::new(),
            groups: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            producers: BTreeMap::new(),
            memory: BTreeMap::new(),
            snapshots: VecDeque::new(),
            doomed: Vec::new(),
            lives: BTreeMap::new(),
            consumers: BTreeSet::new(),
            ids: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn caller(&mut self, process: u32) -> Caller {
        self.bury();
        Caller {
            process: Some(process),
            life: *self.lives.entry(process).or_default(),
        }
    }

    /// Begins a port call: counts it, lets what is due happen, and decides whether it fails.
    pub(super) fn call(&mut self, caller: Caller) -> PortResult<After> {
        self.bury();
        self.calls += 1;
        self.now_us += CALL_US;
        self.snapshot_when_due();
        while let Some(entry) = self.scheduled.first_entry()
            && *entry.key() <= self.calls
        {
            for fault in entry.remove() {
                self.inject(fault);
            }
        }
        if let Some(process) = caller.process
            && self.lives.get(&process) != Some(&caller.life)
        {
            return Err(killed(process));
        }
        let Some(failure) = self.choose_failure() else {
            return Ok(After(None));
        };
        self.failures += 1;
        let call = self.calls;
        match failure {
            Fuse::Before => Err(PortError::Transient(format!(
                "call {call} failed before its effect"
            ))),
            Fuse::After => Ok(After(Some(PortError::Transient(format!(
                "call {call} failed after its effect"
            ))))),
            Fuse::Lost => {
                let lost = PortError::Lost(format!("call {call} was lost"));
                if self.rng.one_in(2) {
                    Err(lost)
                } else {
                    Ok(After(Some(lost)))
                }
            }
            Fuse::KillBefore | Fuse::KillAfter => self.kill_caller(caller, failure),
        }
    }

    fn kill_caller(&mut self, caller: Caller, failure: Fuse) -> PortResult<After> {
        let Some(process) = caller.process else {
            return Ok(After(None));
        };
        if failure == Fuse::KillBefore {
            self.kill(process);
            Err(killed(process))
        } else {
            self.doomed.push(process);
            Ok(After(Some(killed(process))))
        }
    }

    fn bury(&mut self) {
        for process in std::mem::take(&mut self.doomed) {
            self.kill(process);
        }
    }

    fn snapshot_when_due(&mut self) {
        let every = self.options.snapshot_every;
        if every > 0 && self.calls.is_multiple_of(every) {
            self.snapshots.push_back(self.memory.clone());
            if self.snapshots.len() > SNAPSHOTS {
                self.snapshots.pop_front();
            }
        }
    }

    pub(super) fn kill(&mut self, process: u32) {
        *self.lives.entry(process).or_default() += 1;
        let now_us = self.now_us;
        for (_, agent, consumer) in self.consumers.iter().filter(|(p, _, _)| *p == process) {
            if let Some(group) = self.groups.get_mut(agent) {
                group.silence(process, *consumer, now_us);
            }
        }
        self.consumers.retain(|(p, _, _)| *p != process);
        let producers: Vec<u64> = self
            .producers
            .iter()
            .filter(|(_, producer)| producer.process == Some(process))
            .map(|(id, _)| *id)
            .collect();
        for id in producers {
            self.abandon(id);
        }
    }

    /// Sends some of what a producer holds, in order.
    pub(super) fn send_some(&mut self, producer: u64) {
        let pending = self.producers.get(&producer).map_or(0, |p| p.pending.len());
        let count = self.rng.below(pending + 1);
        self.send(producer, count);
    }

    /// Sends the first `count` of what a producer holds.
    pub(super) fn send(&mut self, producer: u64, count: usize) {
        let Some(found) = self.producers.get_mut(&producer) else {
            return;
        };
        let count = count.min(found.pending.len());
        let sent: Vec<Outgoing> = found.pending.drain(..count).collect();
        for record in sent {
            self.append(record);
        }
    }

    /// Some of what a producer holds arrives, the rest never.
    pub(super) fn abandon(&mut self, producer: u64) {
        self.send_some(producer);
        if let Some(found) = self.producers.get_mut(&producer) {
            found.pending.clear();
        }
    }

    pub(super) fn append(&mut self, record: Outgoing) {
        let found = self.partition_mut(record.topic, record.partition);
        found.records.insert(found.end, Arc::new(record));
        found.end += 1;
    }

    pub(super) fn partition(&self, topic: Topic, partition: u32) -> Option<&Partition> {
        self.log.get(&(topic, partition))
    }

    pub(super) fn partition_mut(&mut self, topic: Topic, partition: u32) -> &mut Partition {
        self.log.entry((topic, partition)).or_default()
    }

    pub(super) fn bounds(&self, topic: Topic, partition: u32) -> (u64, u64) {
        self.partition(topic, partition)
            .map_or((0, 0), |found| (found.start, found.end))
    }

    pub(super) fn check_partition(&self, partition: u32) -> PortResult<()> {
        if partition < self.options.partitions {
            return Ok(());
        }
        Err(PortError::Fatal(format!(
            "there is no partition {partition}; there are {}",
            self.options.partitions
        )))
    }
}
