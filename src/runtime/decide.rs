//! Decisions of one task, in order: merge by event time, wakes before later messages, one round
//! trip of loads a plan, notes before the next message, effects appended as they come.

use crate::agents::{Agent, Effects, Input, Observation, Step, Trigger};
use crate::model::{Message, Subject, Timestamp, Topic};
use crate::ports::{Outgoing, PortError, PortResult};
use crate::telemetry::Signal;

use super::NOTE_HOPS_MAX;
use super::codec::{CodecError, decode_state};
use super::intake::{HEADER_CAUSE, HEADER_TRACE};
use super::task::{Content, Entry, Notes, Planned, Stage, Task};
use super::worker::Shared;

/// Decides what is planned. Returns how many records were taken.
pub(super) fn run<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
    now_ms: u64,
) -> PortResult<usize> {
    debug_assert!(task.stage == Stage::Running, "only running tasks decide");
    if !send(shared, task)? {
        return Ok(0);
    }
    deliver_notes(shared, task, effects)?;
    if task.plan.is_empty() {
        return Ok(0);
    }
    load_planned(shared, task)?;
    let mut taken = 0;
    while let Some(planned) = task.plan.front() {
        let at = planned.queued.at;
        fire_wakes(shared, task, effects, at)?;
        let Some(planned) = task.plan.pop_front() else {
            break;
        };
        take(shared, task, effects, planned)?;
        taken += 1;
        if !task.outputs.is_empty() && !send(shared, task)? {
            break;
        }
    }
    if taken > 0 {
        task.heard_ms = now_ms;
    }
    Ok(taken)
}

/// Fires every wake due at or before `until`, oldest first, each at its own time.
pub(super) fn fire_wakes<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
    until: Timestamp,
) -> PortResult<usize> {
    let mut fired = 0;
    while let Some((at, subject)) = task.due(until) {
        load(shared, task, std::iter::once(&subject))?;
        task.set_wake(&subject, None);
        task.meta.clock = task.meta.clock.max(at);
        let taken_ms = shared.clock.monotonic_ms();
        task.notes = Some(Notes {
            queue: [].into(),
            position: None,
            trace: None,
            taken_ms,
        });
        step(shared, task, effects, &subject, Trigger::Wake, 0);
        deliver_notes(shared, task, effects)?;
        fired += 1;
    }
    Ok(fired)
}

fn take<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
    planned: Planned,
) -> PortResult<()> {
    let Planned { topic, queued } = planned;
    task.changed = true;
    let position = Some((topic, queued.offset + 1));
    task.notes = Some(Notes {
        queue: [].into(),
        position,
        trace: queued.trace,
        taken_ms: queued.taken_ms,
    });
    match queued.content {
        Content::Skip => {}
        Content::Pass(record) => task.outputs.push_back(*record),
        Content::Heard | Content::Message(_) if repeated(task, queued.origin) => {
            let agent = shared.spec.name;
            shared
                .metrics
                .emit(&Signal::RecordRepeated { agent, topic });
        }
        Content::Heard => task.meta.clock = task.meta.clock.max(queued.at),
        Content::Message(message) => {
            task.meta.clock = task.meta.clock.max(queued.at);
            for (index, key) in &queued.routes {
                let input = match &*message {
                    Message::Facts(facts) => match facts.get(*index) {
                        Some(fact) => Input::Fact(fact),
                        None => continue,
                    },
                    other => Input::Message(other),
                };
                step(shared, task, effects, key, Trigger::Input(input), 0);
            }
        }
    }
    deliver_notes(shared, task, effects)
}

/// Whether a record forwarded from another partition was applied before; notes that it is now.
fn repeated<A: Agent>(task: &mut Task<A>, origin: Option<(Topic, u32, u64)>) -> bool {
    origin
        .is_some_and(|(topic, partition, offset)| !task.meta.apply_origin(topic, partition, offset))
}

/// Delivers the notes at hand, first in first out, then takes the position they belong to.
fn deliver_notes<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
) -> PortResult<()> {
    while let Some(notes) = &mut task.notes {
        let Some((subject, note, hops)) = notes.queue.pop_front() else {
            if let Some((topic, next)) = notes.position {
                task.meta.positions.insert(topic, next);
            }
            task.notes = None;
            break;
        };
        if let Err(error) = load(shared, task, std::iter::once(&subject)) {
            if let Some(notes) = &mut task.notes {
                notes.queue.push_front((subject, note, hops));
            }
            return Err(error);
        }
        step(shared, task, effects, &subject, Trigger::Note(&note), hops);
    }
    Ok(())
}

/// One decision on one loaded subject, and what follows from it.
fn step<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
    key: &Subject,
    trigger: Trigger<'_, A::Note>,
    hops: usize,
) {
    let now = task.meta.clock;
    task.tick += 1;
    let tick = task.tick;
    let Some(entry) = task.cache.get_mut(key) else {
        debug_assert!(false, "a subject is loaded before it is decided on");
        return;
    };
    entry.used = tick;
    shared
        .agent
        .handle(Step { trigger, key, now }, &mut entry.state, effects);
    let observed = !effects.observe.is_empty();
    if observed {
        observe(entry, &mut effects.observe, shared.options.recent_capacity);
    }
    let dirty = std::mem::take(&mut effects.dirty);
    if (observed || dirty) && !entry.dirty {
        entry.dirty = true;
        task.dirty.push(key.clone());
    }
    task.changed |= observed || dirty;
    remember(shared, task, effects, key, dirty);
    let taken_ms = task.notes.as_ref().map(|notes| notes.taken_ms);
    for mut message in effects.publish.drain(..) {
        message.stamp(task.epoch);
        publish(shared, task, &message, taken_ms);
    }
    if let Some(notes) = &mut task.notes {
        debug_assert!(
            hops < NOTE_HOPS_MAX,
            "a chain of notes ends within its bound"
        );
        let hop = hops + 1;
        let within = hop < NOTE_HOPS_MAX;
        notes.queue.extend(
            effects
                .notes
                .drain(..)
                .filter(|_| within)
                .map(|(to, note)| (to, note, hop)),
        );
    }
    effects.notes.clear();
}

/// Adds observations to the newest of a subject.
fn observe<S>(entry: &mut Entry<S>, seen: &mut Vec<Observation>, capacity: usize) {
    entry.recent.append(seen);
    let excess = entry.recent.len().saturating_sub(capacity);
    // Trimmed at twice the capacity, so that a busy subject does not shift at every point.
    if excess > capacity {
        entry.recent.drain(..excess);
    }
}

/// Takes in what else a step asked for; `dirty` says whether it changed the state.
fn remember<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    effects: &mut Effects<A::Note>,
    key: &Subject,
    mut dirty: bool,
) {
    if let Some(wake) = effects.wake.take() {
        // A wake in the past would fire before the next message for ever.
        let after = task.meta.clock.plus(1);
        // A wake alone counts as a change: a backup row carries state and wake together.
        if task.set_wake(key, wake.map(|at| at.max(after))) {
            task.mark_dirty(key);
            dirty = true;
        }
    }
    if dirty && !shared.atomic && !task.unbacked.contains(key) {
        task.unbacked.insert(key.clone());
    }
    if effects.late > 0 {
        let count = u64::from(std::mem::take(&mut effects.late));
        shared.metrics.emit(&Signal::PointsLate {
            agent: shared.spec.name,
            count,
        });
    }
}

/// Queues a message for the appender. `taken_ms` is when its cause was taken.
pub(super) fn publish<A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    message: &Message,
    taken_ms: Option<u64>,
) {
    let (Some(topic), Ok(payload)) = (message.topic(), message.encode()) else {
        return;
    };
    if topic == shared.spec.writes {
        task.foreign.remove(message.key());
    }
    if let Some(taken_ms) = taken_ms {
        let waited = shared.clock.monotonic_ms().saturating_sub(taken_ms);
        let latency_seconds = waited as f64 / 1_000.0;
        shared.metrics.emit(&Signal::RowPublished {
            agent: shared.spec.name,
            topic,
            latency_seconds,
        });
    }
    let mut headers = crate::model::cloud_event_headers(message, shared.spec.name);
    if let Some(trace) = task.notes.as_ref().and_then(|notes| notes.trace.as_ref()) {
        headers.push((HEADER_TRACE.to_owned(), trace.to_vec()));
    }
    if let Some((topic, next)) = task.notes.as_ref().and_then(|notes| notes.position) {
        let cause = format!("{topic}/{}/{}", task.id.partition, next.saturating_sub(1));
        headers.push((HEADER_CAUSE.to_owned(), cause.into_bytes()));
    }
    let tombstone = matches!(message, Message::Tombstone(..));
    task.outputs.push_back(Outgoing {
        topic,
        partition: task.id.partition,
        key: Some(message.key().as_bytes().to_vec()),
        payload: (!tombstone).then_some(payload),
        headers,
        // Where time decides how long a record is kept, it is the time of writing.
        timestamp_ms: topic
            .compacted()
            .then(|| message.at().map(Timestamp::ms))
            .flatten(),
    });
    task.changed = true;
}

/// Hands outputs to the appender; false while it is full. With an atomic log they stay for the
/// checkpoint.
pub(super) fn send<A: Agent>(shared: &Shared<A>, task: &mut Task<A>) -> PortResult<bool> {
    if shared.atomic {
        return Ok(true);
    }
    let batch = shared.batch.load(std::sync::atomic::Ordering::Relaxed);
    while let Some(record) = task.outputs.front() {
        match shared.appender.append(batch, record) {
            Ok(()) => {
                task.outputs.pop_front();
            }
            Err(PortError::Transient(_)) => return Ok(false),
            Err(other) => return Err(other),
        }
    }
    Ok(true)
}

/// Loads what the plan needs: its messages' subjects and those of wakes due before its end.
fn load_planned<A: Agent>(shared: &Shared<A>, task: &mut Task<A>) -> PortResult<()> {
    let mut wanted: Vec<Subject> = Vec::new();
    let mut until = Timestamp::default();
    for planned in &task.plan {
        until = until.max(planned.queued.at);
        for (_, key) in &planned.queued.routes {
            if !task.cache.contains_key(key) {
                wanted.push(key.clone());
            }
        }
    }
    let due = task.wakes.iter().take_while(|(at, _)| *at <= until);
    for (_, subject) in due.take(shared.options.plan_records_max) {
        if !task.cache.contains_key(subject) {
            wanted.push(subject.clone());
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    load(shared, task, wanted.iter())
}

/// Makes sure that the subjects' states are in the cache.
pub(super) fn load<'a, A: Agent>(
    shared: &Shared<A>,
    task: &mut Task<A>,
    subjects: impl Iterator<Item = &'a Subject>,
) -> PortResult<()> {
    let missing: Vec<Subject> = subjects
        .filter(|subject| !task.cache.contains_key(*subject))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let values = task.trust(shared.store.load(task.id, &missing)?)?;
    for (subject, value) in missing.into_iter().zip(values) {
        let state = match value {
            None => A::State::default(),
            Some(bytes) => {
                decode_state(A::STATE_VERSION, &bytes).map_err(|error: CodecError| {
                    PortError::Fatal(format!("{}: {subject}: {error}", task.id))
                })?
            }
        };
        let used = task.tick;
        task.cache.insert(
            subject,
            Entry {
                state,
                dirty: false,
                recent: Vec::new(),
                used,
            },
        );
    }
    Ok(())
}
