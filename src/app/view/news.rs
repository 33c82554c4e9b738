//! A record of a followed topic as news to the view; read without any lock.

use std::sync::Arc;

use crate::http::Mark;
use crate::model::{Finding, Message, Recommendation, Request, Task, TaskResult, Timestamp, Topic};
use crate::ports::RecordView;
use crate::runtime::HEADER_CAUSE;
use crate::sources::{Decoded, decode};

use super::letters::{Letter, letter_of};

/// Header of a mark beside a dead letter: the letter's offset in the same partition.
pub const HEADER_MARK: &str = "skyherd_mark";
/// Header of a replayed dead letter: `partition/offset` of the letter.
pub const HEADER_REPLAYED: &str = "skyherd_replayed";

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) topic: Topic,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        Some(Self {
            topic: Topic::parse(parts.next()?)?,
            partition: parts.next()?.parse().ok()?,
            offset: parts.next()?.parse().ok()?,
        })
    }
}

/// A row with where it stands, what led to it, and its text.
#[derive(Debug)]
pub(super) struct Told<T> {
    pub(super) row: T,
    pub(super) place: Place,
    /// The record that led to it.
    pub(super) cause: Option<Place>,
    /// One line of JSON.
    pub(super) text: Arc<str>,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum News {
    Recommendation(Told<Box<Recommendation>>),
    Finding(Told<Box<Finding>>),
    /// The row of this key is gone.
    Gone(Topic, String),
    Letter(Box<Letter>),
    /// Of the letter at that partition and offset.
    Mark(u32, u64, Mark),
    Request(Box<Request>),
    Task(Box<Task>),
    Result(Box<TaskResult>),
}

impl News {
    pub(super) fn of(record: &RecordView<'_>) -> Option<Self> {
        let text = |name: &str| {
            let value = record.header(name)?;
            std::str::from_utf8(value).ok()
        };
        if record.topic == Topic::DeadLetters {
            return match text(HEADER_MARK) {
                Some(offset) => {
                    let mark = serde_json::from_slice(record.payload?).ok()?;
                    Some(Self::Mark(record.partition, offset.parse().ok()?, mark))
                }
                None => Some(Self::Letter(Box::new(letter_of(record)))),
            };
        }
        let place = Place {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
        };
        let cause = text(HEADER_CAUSE).and_then(Place::parse);
        let line = || match record.payload.map(String::from_utf8_lossy) {
            Some(line) if !line.contains(['\n', '\r']) => Some(Arc::from(line)),
            _ => None,
        };
        match decode(record.topic, record.key, record.payload) {
            Ok(Decoded::Message(Message::Recommendation(row))) => {
                let text = line().or_else(|| written(&row))?;
                Some(Self::Recommendation(Told {
                    row,
                    place,
                    cause,
                    text,
                }))
            }
            Ok(Decoded::Message(Message::Finding(row))) => {
                let text = line().or_else(|| written(&row))?;
                Some(Self::Finding(Told {
                    row,
                    place,
                    cause,
                    text,
                }))
            }
            Ok(Decoded::Message(Message::Request(request))) => Some(Self::Request(request)),
            Ok(Decoded::Message(Message::Task(task))) => Some(Self::Task(task)),
            Ok(Decoded::Message(Message::Result(result))) => Some(Self::Result(result)),
            _ if record.topic.compacted() => {
                let key = String::from_utf8_lossy(record.key?).into_owned();
                Some(Self::Gone(record.topic, key))
            }
            _ => None,
        }
    }
}

fn written<T: serde::Serialize>(row: &T) -> Option<Arc<str>> {
    serde_json::to_string(row).ok().map(Arc::from)
}

/// The record's own time.
pub(super) fn time_of(record: &RecordView<'_>) -> Option<Timestamp> {
    record.timestamp_ms.map(Timestamp::from_ms)
}
