//! A simulated cluster: both ports, every fault, no thread, no sleep, no randomness but the seed.
//!
//! It has the shape of Kafka with Redis: log and store are apart, producers are acknowledged at
//! [`Appender::settle`](crate::ports::Appender::settle), several members share an agent's
//! partitions. Two runs with the same seed and the same calls are the same. Time is virtual: a
//! port call costs [`CALL_US`], a poll that finds nothing costs its wait.
//!
//! Every fallible port call can fail: transiently before or after its effect, or as lost. Which
//! do is decided by rates and the seed, or by [`SimWorld::fuse`] for exactly one call.

mod fault;
mod group;
mod log;
mod producer;
mod rng;
mod state;
mod store;

use std::sync::Arc;

use parking_lot::Mutex;

pub use fault::{Fault, Fuse, Rates};
pub use log::SimLog;
pub use producer::SimAppender;
pub use store::{SimStore, TaskMemory};

use crate::model::{AgentName, Timestamp, Topic};
use crate::ports::{Clock, Outgoing, RECENT_CAPACITY, TaskId};
use state::State;

/// Microseconds of virtual time a port call takes.
pub const CALL_US: u64 = 20;

/// How a simulated deployment is set up.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Partitions of every topic.
    pub partitions: u32,
    /// Observations kept a subject.
    pub recent_capacity: usize,
    /// How often calls fail.
    pub rates: Rates,
    /// Milliseconds after which a silent member is out of its group.
    pub session_ms: u64,
    /// Port calls between two snapshots of the store; 0 takes none.
    pub snapshot_every: u64,
    /// Records a producer holds before it refuses more.
    pub queue_max: usize,
    /// The wall clock at the beginning.
    pub start: Timestamp,
}

impl Default for SimOptions {
    /// No faults, four partitions, 2026-01-01.
    fn default() -> Self {
        Self {
            partitions: 4,
            recent_capacity: RECENT_CAPACITY,
            rates: Rates::default(),
            session_ms: 6_000,
            snapshot_every: 500,
            queue_max: 10_000,
            start: Timestamp::from_ms(1_767_225_600_000),
        }
    }
}

/// A simulated deployment. Clones are the same deployment.
#[derive(Clone)]
pub struct SimWorld(Arc<Mutex<State>>);

/// Which process makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    /// `None`: a tool, which is never killed.
    process: Option<u32>,
    /// The how-manieth life of the process.
    life: u64,
}

impl SimWorld {
    /// A deployment with nothing in it.
    pub fn new(seed: u64, options: SimOptions) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, options))))
    }

    /// A consumer of `reads` for `agent`, as member (and process) number `member`. A second one
    /// with the same number takes the first one's place, as a restarted process does.
    pub fn log(&self, agent: AgentName, member: u32, reads: &[Topic]) -> SimLog {
        let mut state = self.0.lock();
        let caller = state.caller(member);
        let consumer = state.next_id();
        drop(state);
        SimLog::new(self.clone(), caller, agent, member, consumer, reads)
    }

    /// The store, used by no process in particular.
    pub fn store(&self) -> SimStore {
        let caller = Caller {
            process: None,
            life: 0,
        };
        SimStore::new(self.clone(), caller)
    }

    /// The store as process `member` uses it: unusable once the process is killed.
    pub fn store_of(&self, member: u32) -> SimStore {
        let caller = self.0.lock().caller(member);
        SimStore::new(self.clone(), caller)
    }

    /// The virtual clock.
    pub fn clock(&self) -> SimClock {
        SimClock(self.clone())
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.0.lock().now_us += ms * 1_000;
    }

    /// Makes a fault happen now.
    pub fn inject(&self, fault: Fault) {
        self.0.lock().inject(fault);
    }

    /// Makes a fault happen right before port call number `call` (see [`SimWorld::calls`]).
    pub fn schedule(&self, call: u64, fault: Fault) {
        let mut state = self.0.lock();
        state.scheduled.entry(call).or_default().push(fault);
    }

    /// Makes exactly port call number `call` fail.
    pub fn fuse(&self, call: u64, fuse: Fuse) {
        self.0.lock().fuses.insert(call, fuse);
    }

    /// Port calls made so far; the next one has this number plus one.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Calls made to fail so far, so that a test can tell that it tested something.
    pub fn failures(&self) -> u64 {
        self.0.lock().failures
    }

    /// Changes how often calls fail; `Rates::default()` ends it.
    pub fn set_rates(&self, rates: Rates) {
        self.0.lock().options.rates = rates;
    }

    /// Ends every fault to come: rates, fuses and schedule.
    pub fn calm(&self) {
        let mut state = self.0.lock();
        state.options.rates = Rates::default();
        state.fuses.clear();
        state.scheduled.clear();
    }

    /// Appends as an outsider whose producer never fails.
    pub fn publish<'a>(&self, records: impl IntoIterator<Item = &'a Outgoing>) {
        let mut state = self.0.lock();
        for record in records {
            state.append(record.clone());
        }
    }

    /// What a topic partition holds, with offsets.
    pub fn records(&self, topic: Topic, partition: u32) -> Vec<(u64, Outgoing)> {
        let state = self.0.lock();
        let Some(found) = state.partition(topic, partition) else {
            return Vec::new();
        };
        let copy = |(offset, record): (&u64, &Arc<Outgoing>)| (*offset, Outgoing::clone(record));
        found.records.iter().map(copy).collect()
    }

    /// Removes the records before an offset.
    pub fn trim(&self, topic: Topic, partition: u32, before: u64) {
        self.inject(Fault::Trim {
            topic,
            partition,
            before,
        });
    }

    /// A task's memory as it is stored.
    pub fn memory(&self, task: TaskId) -> TaskMemory {
        let state = self.0.lock();
        state
            .memory
            .get(&task)
            .map(|memory| TaskMemory::clone(memory))
            .unwrap_or_default()
    }
}

/// The virtual clock of a simulated deployment.
#[derive(Clone)]
pub struct SimClock(SimWorld);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let state = self.0.0.lock();
        state
            .options
            .start
            .plus((state.now_us / 1_000).cast_signed())
    }
    fn monotonic_ms(&self) -> u64 {
        self.0.0.lock().now_us / 1_000
    }
}
