//! From a borrowed record to a queued one: decode once, find its owner, keep what cannot be read.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::agents::{Agent, Input, Keys};
use crate::model::{AgentName, Message, OWN_ACCOUNT, Subject, Timestamp, Topic, partition_of};
use crate::ports::{Outgoing, RecordView};
use crate::sources::{Decoded, decode};
use crate::telemetry::Signal;

use super::task::{Content, Queued, Task};
use super::worker::Shared;
use super::{FOREIGN_ROWS_MAX, echo};

/// Header of a forwarded record: `<topic>/<partition>/<offset>` where it first stood.
pub const HEADER_ORIGIN: &str = "skyherd_origin";
/// Header of a published row: `<topic>/<partition>/<offset>` of the record that led to it; absent
/// when time alone did.
pub const HEADER_CAUSE: &str = "skyherd_cause";
/// Header of a dead letter: why it could not be decoded.
pub const HEADER_REASON: &str = "skyherd_reason";
/// Header of a dead letter: the topic it stood in.
pub const HEADER_SOURCE_TOPIC: &str = "skyherd_topic";
/// Header of a dead letter: the partition it stood in.
pub const HEADER_SOURCE_PARTITION: &str = "skyherd_partition";
/// Header of a dead letter: the offset it stood at.
pub const HEADER_SOURCE_OFFSET: &str = "skyherd_offset";

/// W3C Trace Context; handed on unread.
pub(super) const HEADER_TRACE: &str = "traceparent";

/// Longest reason kept with a dead letter, in characters.
const REASON_CHARS_MAX: usize = 1_000;

/// What one poll brings.
#[derive(Default)]
pub(super) struct Intake {
    /// When its first record came: monotonic milliseconds and wall time. The others follow within
    /// milliseconds, and a look at the clock costs a tenth of what decoding one does.
    came: Option<(u64, Timestamp)>,
    /// Records by topic and partition.
    taken: BTreeMap<(Topic, u32), u64>,
}

impl Intake {
    fn came<A: Agent>(&mut self, shared: &Shared<A>) -> (u64, Timestamp) {
        *self
            .came
            .get_or_insert_with(|| (shared.clock.monotonic_ms(), shared.clock.now()))
    }
}

/// Takes one record into its task's queue.
pub(super) fn take<A: Agent>(
    shared: &Shared<A>,
    tasks: &mut BTreeMap<u32, Task<A>>,
    intake: &mut Intake,
    record: RecordView<'_>,
) {
    let Some(task) = tasks.get_mut(&record.partition) else {
        return;
    };
    let Some(queue) = task.queues.get(record.topic) else {
        return;
    };
    if record.offset < queue.next {
        return;
    }
    let came = intake.came(shared);
    let key = (record.topic, record.partition);
    *intake.taken.entry(key).or_default() += 1;
    let echoed = record.topic == shared.spec.writes;
    if echoed {
        if task.foreign.len() < FOREIGN_ROWS_MAX {
            echo::note(task, &record);
        }
    } else {
        let queued = classify(shared, task, &record, came);
        if let Some(queue) = task.queues.get_mut(record.topic) {
            queue.items.push_back(queued);
        }
    }
    if let Some(queue) = task.queues.get_mut(record.topic) {
        queue.next = record.offset + 1;
    }
    if echoed {
        echo::advance(task, record.topic);
    }
}

fn classify<A: Agent>(
    shared: &Shared<A>,
    task: &Task<A>,
    record: &RecordView<'_>,
    (taken_ms, wall): (u64, Timestamp),
) -> Queued {
    let name = shared.spec.name;
    let home = record.topic.home() == Some(name);
    let content = match decode(record.topic, record.key, record.payload) {
        Ok(Decoded::Message(message)) => {
            if home && record.topic == Topic::AwsEvents && message.account() == OWN_ACCOUNT {
                shared.metrics.emit(&Signal::ReportTaken { agent: name });
            }
            place(shared, record, message, home, wall)
        }
        Ok(Decoded::Ignored(ignored)) => {
            if home {
                let reason = ignored.0.as_str();
                shared.metrics.emit(&Signal::RecordIgnored {
                    agent: name,
                    topic: record.topic,
                    reason,
                });
            }
            Content::Skip
        }
        Err(undecodable) if home => dead_letter(shared, record, &undecodable.0),
        Err(_) => Content::Skip,
    };
    let (mut at, mut origin, mut routes) = (None, None, SmallVec::new());
    let content = match content {
        Content::Message(message) => {
            (at, origin) = (message.at(), origin_of(record));
            route(&shared.agent, &message, &mut routes);
            if routes.is_empty() {
                Content::Heard
            } else {
                Content::Message(message)
            }
        }
        other => other,
    };
    Queued {
        offset: record.offset,
        at: at.unwrap_or(task.meta.clock),
        origin,
        content,
        routes,
        trace: record.header(HEADER_TRACE).map(Into::into),
        taken_ms,
    }
}

/// The subjects a message goes to, with the fact that concerns each.
fn route<A: Agent>(agent: &A, message: &Message, routes: &mut SmallVec<[(usize, Subject); 1]>) {
    let mut keys = Keys::new();
    if let Message::Facts(facts) = message {
        for (index, fact) in facts.iter().enumerate() {
            agent.route(Input::Fact(fact), &mut keys);
            routes.extend(keys.drain(..).map(|key| (index, key)));
        }
    } else {
        agent.route(Input::Message(message), &mut keys);
        routes.extend(keys.drain(..).map(|key| (0, key)));
    }
}

/// Keeps a message that stands in its account's partition; sends others home, once.
fn place<A: Agent>(
    shared: &Shared<A>,
    record: &RecordView<'_>,
    mut message: Message,
    home: bool,
    wall: Timestamp,
) -> Content {
    let (agent, topic) = (shared.spec.name, record.topic);
    let expected = partition_of(message.account(), shared.options.partitions);
    if expected == record.partition {
        if clamp(shared, record, &mut message, wall) {
            shared
                .metrics
                .emit(&Signal::EventTimeClamped { agent, topic });
        }
        return Content::Message(Box::new(message));
    }
    shared.metrics.emit(&Signal::RecordMisplaced {
        agent,
        topic,
        forwarded: home,
    });
    if !home {
        return Content::Skip;
    }
    if record.header(HEADER_ORIGIN).is_some() {
        let reason = format!(
            "forwarded to partition {} but its account {} belongs to {expected}: the deployment's partition count must not change",
            record.partition,
            message.account()
        );
        return dead_letter(shared, record, &reason);
    }
    let mut headers = owned_headers(record);
    let origin = format!("{topic}/{}/{}", record.partition, record.offset);
    headers.push((HEADER_ORIGIN.into(), origin.into_bytes()));
    Content::Pass(Box::new(Outgoing {
        topic,
        partition: expected,
        key: Some(message.account().as_bytes().to_vec()),
        payload: record.payload.map(<[u8]>::to_vec),
        headers,
        timestamp_ms: record.timestamp_ms,
    }))
}

/// Holds event times at the record's own time when they are too far ahead of it.
///
/// The record's time is the broker's (raw topics use its clock), not this process's, so that a
/// replay clamps to the same value.
fn clamp<A: Agent>(
    shared: &Shared<A>,
    record: &RecordView<'_>,
    message: &mut Message,
    wall: Timestamp,
) -> bool {
    let Message::Facts(facts) = message else {
        return false;
    };
    let reference = record
        .timestamp_ms
        .map_or(wall, |ms| Timestamp::from_ms(ms).min(wall));
    let latest = reference.plus(shared.options.ahead_max_ms);
    let mut clamped = false;
    for fact in facts.iter_mut().filter(|fact| fact.at > latest) {
        fact.at = reference;
        clamped = true;
    }
    clamped
}

fn dead_letter<A: Agent>(shared: &Shared<A>, record: &RecordView<'_>, reason: &str) -> Content {
    shared.metrics.emit(&Signal::RecordDeadLettered {
        agent: shared.spec.name,
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        reason,
    });
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    let mut headers = owned_headers(record);
    for (name, value) in [
        (HEADER_REASON, reason),
        (HEADER_SOURCE_TOPIC, record.topic.to_string()),
        (HEADER_SOURCE_PARTITION, record.partition.to_string()),
        (HEADER_SOURCE_OFFSET, record.offset.to_string()),
    ] {
        headers.push((name.into(), value.into_bytes()));
    }
    Content::Pass(Box::new(Outgoing {
        topic: Topic::DeadLetters,
        partition: record.partition,
        key: record.key.map(<[u8]>::to_vec),
        payload: record.payload.map(<[u8]>::to_vec),
        headers,
        // Kept from when it was put aside, however old the record is.
        timestamp_ms: None,
    }))
}

fn owned_headers(record: &RecordView<'_>) -> Vec<(String, Vec<u8>)> {
    record
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

/// Reads [`HEADER_ORIGIN`].
fn origin_of(record: &RecordView<'_>) -> Option<(Topic, u32, u64)> {
    let text = std::str::from_utf8(record.header(HEADER_ORIGIN)?).ok()?;
    let mut parts = text.split('/');
    let topic = Topic::parse(parts.next()?)?;
    Some((
        topic,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

/// Tells the metrics what a poll brought.
pub(super) fn count<A: Agent>(shared: &Shared<A>, agent: AgentName, intake: &Intake) {
    for ((topic, partition), count) in &intake.taken {
        shared.metrics.emit(&Signal::RecordsTaken {
            agent,
            topic: *topic,
            partition: *partition,
            count: *count,
        });
    }
}
