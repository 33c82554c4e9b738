//! A task's working set: queues, decoded states, wakes, and what awaits the next checkpoint.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use smallvec::SmallVec;

use crate::agents::{Agent, Observation};
use crate::model::{Message, Subject, Timestamp, Topic};
use crate::ports::{AsOf, Outgoing, PortError, PortResult, TaskId};

use super::backup;
use super::checkpoint::Job;
use super::echo::Foreign;
use super::meta::TaskMeta;
use super::queues::Queues;
use super::retry::Faults;

/// A decoded record waiting for its turn.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) offset: u64,
    /// Event time, clamped; the clock as of its neighbours where the record has none.
    pub(super) at: Timestamp,
    /// Where a forwarded record first stood.
    pub(super) origin: Option<(Topic, u32, u64)>,
    pub(super) content: Content,
    /// (fact of the message, subject), in the order they are handled.
    pub(super) routes: SmallVec<[(usize, Subject); 1]>,
    /// The record's W3C `traceparent`, handed on to what it leads to.
    pub(super) trace: Option<Box<[u8]>>,
    /// Monotonic milliseconds at which this process took it.
    pub(super) taken_ms: u64,
}

/// A queued record in merge order.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) topic: Topic,
    pub(super) queued: Queued,
}

/// Notes of the message or wake at hand that are not delivered yet. While there are any, nothing
/// else is decided and no checkpoint is taken: together with the message they are one step.
#[derive(Debug)]
pub(super) struct Notes<N> {
    pub(super) queue: VecDeque<(Subject, N, usize)>,
    /// The position that is taken once they are delivered.
    pub(super) position: Option<(Topic, u64)>,
    pub(super) trace: Option<Box<[u8]>>,
    pub(super) taken_ms: u64,
}

/// A wake as the store has it, and as it shall be.
#[derive(Clone, Copy, Debug)]
pub(super) struct WakeChange {
    from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

/// How far a task has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Ours by assignment, not yet acquired in the store.
    Assigned,
    /// Acquired; delivery not started.
    Acquired,
    /// Delivering.
    Running,
    /// Another owner holds it: nothing is done until ownership changes.
    Fenced,
}

/// Why the store is not, or no longer, this owner's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// A later owner has it.
    Fenced,
    /// It is older than what this owner knows of it.
    WentBack,
}

/// What a record asks of the task.
#[derive(Debug)]
pub(super) enum Content {
    /// Something to decide about.
    Message(Box<Message>),
    /// A message that concerns no subject of this agent: time passes, no more. It is not kept while
    /// it waits, since what one agent has no use for may be most of a topic.
    Heard,
    /// Something to append unseen: a dead letter or a misplaced record on its way home.
    Pass(Box<Outgoing>),
    /// Nothing; only the position moves.
    Skip,
}

/// A decoded state and what of it is not yet saved.
pub(super) struct Entry<S> {
    pub(super) state: S,
    pub(super) dirty: bool,
    pub(super) recent: Vec<Observation>,
    /// The task's tick when last used; oldest clean entries leave the cache first.
    pub(super) used: u64,
}

/// The working set of one task.
pub(super) struct Task<A: Agent> {
    pub(super) id: TaskId,
    pub(super) epoch: u64,
    pub(super) meta: TaskMeta,
    /// The meta value the store holds, as this owner last saw or wrote it.
    pub(super) stored: Option<Vec<u8>>,
    pub(super) queues: Queues,
    /// Records taken from the queues in merge order, not yet decided.
    pub(super) plan: VecDeque<Planned>,
    pub(super) notes: Option<Notes<A::Note>>,
    pub(super) cache: HashMap<Subject, Entry<A::State>>,
    pub(super) dirty: Vec<Subject>,
    /// Mean encoded size of a state as of the last checkpoint: dirty bytes without encoding.
    pub(super) state_bytes_mean: usize,
    pub(super) tick: u64,
    pub(super) wakes: BTreeSet<(Timestamp, Subject)>,
    pub(super) wake_of: HashMap<Subject, Timestamp>,
    pub(super) wake_changes: BTreeMap<Subject, WakeChange>,
    /// Outputs the appender has not taken yet (or that ride in the checkpoint).
    pub(super) outputs: VecDeque<Outgoing>,
    /// Subjects changed since the last backup.
    pub(super) unbacked: BTreeSet<Subject>,
    pub(super) backed_up_ms: u64,
    /// The backup under way.
    pub(super) backup: Option<backup::Run>,
    /// The last owner left subjects without backup, so the next one copies them all.
    pub(super) full_backup: bool,
    pub(super) foreign: BTreeMap<String, Foreign>,
    pub(super) faults: Faults,
    /// The checkpoint under way.
    pub(super) in_flight: Option<Arc<Job>>,
    /// The checkpoint whose attempt failed and shall be repeated as it is.
    pub(super) retry: Option<Arc<Job>>,
    pub(super) checkpointed_ms: u64,
    /// Something since the last checkpoint is worth saving.
    pub(super) changed: bool,
    /// When the last record or wake was taken, in monotonic milliseconds.
    pub(super) heard_ms: u64,
    /// Since when the merge waits for a lagging topic.
    pub(super) waiting_ms: Option<u64>,
    pub(super) acquired_ms: u64,
    pub(super) live: bool,
    pub(super) stage: Stage,
    /// When the stage was entered, in monotonic milliseconds.
    pub(super) stage_ms: u64,
    /// The store was found older than this owner's memory: the backup may be newer than it.
    pub(super) went_back: bool,
    /// The own output has a row of a later owner.
    pub(super) outranked: bool,
    /// What was read last is not of the memory this owner wrote.
    pub(super) refused: Option<Refused>,
}

impl<A: Agent> Task<A> {
    pub(super) fn new(id: TaskId, topics: &[Topic], now_ms: u64) -> Self {
        Self {
            id,
            epoch: 0,
            meta: TaskMeta::default(),
            stored: None,
            queues: Queues::new(topics),
            plan: VecDeque::new(),
            notes: None,
            cache: HashMap::new(),
            dirty: Vec::new(),
            state_bytes_mean: 1_024,
            tick: 0,
            wakes: BTreeSet::new(),
            wake_of: HashMap::new(),
            wake_changes: BTreeMap::new(),
            outputs: VecDeque::new(),
            unbacked: BTreeSet::new(),
            backed_up_ms: now_ms,
            backup: None,
            full_backup: false,
            foreign: BTreeMap::new(),
            faults: Faults::default(),
            in_flight: None,
            retry: None,
            checkpointed_ms: now_ms,
            changed: false,
            heard_ms: now_ms,
            waiting_ms: None,
            acquired_ms: now_ms,
            live: false,
            stage: Stage::Assigned,
            stage_ms: now_ms,
            went_back: false,
            outranked: false,
            refused: None,
        }
    }

    /// What was read from the store, if it is of the memory this owner wrote.
    ///
    /// A store that is put back, read from and put forward again before the next checkpoint shows
    /// no other sign of it. A checkpoint under way may be there or not: what it changes is cached.
    pub(super) fn trust<T>(&mut self, read: AsOf<T>) -> PortResult<T> {
        let known = || {
            let under_way = [&self.in_flight, &self.retry].into_iter().flatten();
            self.stored == read.meta
                || under_way
                    .into_iter()
                    .any(|job| read.meta.as_ref() == Some(&job.checkpoint.meta))
        };
        let refused = match read.epoch.cmp(&self.epoch) {
            Ordering::Equal if known() => return Ok(read.value),
            Ordering::Greater => Refused::Fenced,
            Ordering::Equal | Ordering::Less => Refused::WentBack,
        };
        self.refused = Some(refused);
        Err(PortError::Lost(format!(
            "the memory of {} is not the one its owner wrote",
            self.id
        )))
    }

    /// Sets, moves or cancels a subject's wake; false when that changes nothing.
    pub(super) fn set_wake(&mut self, subject: &Subject, at: Option<Timestamp>) -> bool {
        if self.wake_of.get(subject).copied() == at {
            return false;
        }
        let from = self.stored_wake(subject);
        if let Some(earlier) = self.wake_of.remove(subject) {
            self.wakes.remove(&(earlier, subject.clone()));
        }
        if let Some(at) = at {
            self.wakes.insert((at, subject.clone()));
            self.wake_of.insert(subject.clone(), at);
        }
        self.wake_changes
            .insert(subject.clone(), WakeChange { from, to: at });
        self.changed = true;
        true
    }

    /// The subject's wake as of the last checkpoint built.
    pub(super) fn stored_wake(&self, subject: &Subject) -> Option<Timestamp> {
        match self.wake_changes.get(subject) {
            Some(change) => change.from,
            None => self.wake_of.get(subject).copied(),
        }
    }

    /// The first wake due at or before `until`.
    pub(super) fn due(&self, until: Timestamp) -> Option<(Timestamp, Subject)> {
        self.wakes.first().filter(|(at, _)| *at <= until).cloned()
    }

    /// Marks a cached subject as changed.
    pub(super) fn mark_dirty(&mut self, subject: &Subject) {
        if let Some(entry) = self.cache.get_mut(subject)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(subject.clone());
        }
        self.changed = true;
    }

    /// Whether anything is queued, planned or half done.
    pub(super) fn has_work(&self) -> bool {
        self.notes.is_some()
            || !self.plan.is_empty()
            || self.queues.iter().any(|(_, queue)| !queue.items.is_empty())
    }

    /// Whether something can be done without hearing more: it does not wait for another topic's
    /// records or for the end of a back-off.
    pub(super) fn can_advance(&self, now_ms: u64) -> bool {
        let waits = self.plan.is_empty() && self.notes.is_none() && self.waiting_ms.is_some();
        self.has_work() && !waits && self.faults.ready(now_ms)
    }

    /// Whether a checkpoint would save something.
    pub(super) fn unsaved(&self) -> bool {
        self.changed || self.in_flight.is_some() || self.retry.is_some()
    }

    /// Drops clean, least recently used states until at most `max` are cached.
    pub(super) fn shrink_cache(&mut self, max: usize) {
        if self.cache.len() <= max {
            return;
        }
        let mut clean: Vec<(u64, Subject)> = self
            .cache
            .iter()
            .filter(|(_, entry)| !entry.dirty && entry.recent.is_empty())
            .map(|(subject, entry)| (entry.used, subject.clone()))
            .collect();
        clean.sort_unstable();
        // A quarter more than needed, so that the next subject does not start this again.
        let excess = self.cache.len() - max + max / 4;
        for (_, subject) in clean.into_iter().take(excess) {
            self.cache.remove(&subject);
        }
    }
}
