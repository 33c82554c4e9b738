//! What can be done with a dead letter. The topic is append-only, so each deed is a mark beside the
//! letter: who, what, when.

use crate::http::{Mark, MarkKind, Replayed, home_of};
use crate::model::{Timestamp, Topic};
use crate::ports::{Outgoing, PortError, PortResult};
use crate::runtime::{
    HEADER_ORIGIN, HEADER_REASON, HEADER_SOURCE_OFFSET, HEADER_SOURCE_PARTITION,
    HEADER_SOURCE_TOPIC,
};
use crate::sources::{Decoded, decode};

use super::Backend;
use super::view::{HEADER_MARK, HEADER_REPLAYED, read_letter};

/// Headers that told of the letter's former way; the next one is told anew.
const FORMER: [&str; 6] = [
    HEADER_ORIGIN,
    HEADER_REASON,
    HEADER_SOURCE_TOPIC,
    HEADER_SOURCE_PARTITION,
    HEADER_SOURCE_OFFSET,
    HEADER_REPLAYED,
];

/// Appends a letter's record to the topic it came from, key and payload byte for byte.
pub(super) fn replay(
    backend: &dyn Backend,
    place: (u32, u64),
    by: &str,
    now: Timestamp,
) -> PortResult<Replayed> {
    let (partition, offset) = place;
    let found = read_letter(backend, partition, offset)?.ok_or_else(|| gone(place))?;
    let row = &found.letter.row;
    let topic = Topic::parse(&row.topic).ok_or_else(|| {
        PortError::Fatal(format!(
            "the dead letter {partition}/{offset} names no topic to go back to: {:?}",
            row.topic
        ))
    })?;
    // A newer program may well read what an older one could not.
    let account = match decode(topic, found.key.as_deref(), found.payload.as_deref()) {
        Ok(Decoded::Message(message)) => Some(message.account().to_owned()),
        _ => None,
    };
    let home = home_of(
        account.as_deref(),
        row.origin_partition,
        backend.partitions(),
    );
    let mut headers = found.headers;
    headers.retain(|(name, _)| !FORMER.contains(&name.as_str()));
    let from = format!("{partition}/{offset}");
    headers.push((HEADER_REPLAYED.to_owned(), from.into_bytes()));
    let record = Outgoing {
        topic,
        partition: home,
        key: found.key.clone(),
        payload: found.payload,
        headers,
        timestamp_ms: Some(now.ms()),
    };
    let (mark, _) = mark(place, found.key, (MarkKind::Replayed, by), now);
    backend.publish(&[record, mark])?;
    Ok(Replayed {
        topic: topic.to_string(),
        partition: home,
    })
}

/// Marks a letter dropped: it is listed no more.
pub(super) fn forget(
    backend: &dyn Backend,
    place: (u32, u64),
    by: &str,
    now: Timestamp,
) -> PortResult<Mark> {
    let found = read_letter(backend, place.0, place.1)?.ok_or_else(|| gone(place))?;
    let (record, mark) = mark(place, found.key, (MarkKind::Dropped, by), now);
    backend.publish(&[record])?;
    Ok(mark)
}

fn gone((partition, offset): (u32, u64)) -> PortError {
    PortError::Transient(format!(
        "the dead letter {partition}/{offset} is no longer there"
    ))
}

fn mark(
    (partition, offset): (u32, u64),
    key: Option<Vec<u8>>,
    (what, by): (MarkKind, &str),
    now: Timestamp,
) -> (Outgoing, Mark) {
    let mark = Mark {
        what,
        by: by.to_owned(),
        at: now,
    };
    let record = Outgoing {
        topic: Topic::DeadLetters,
        partition,
        key,
        payload: serde_json::to_vec(&mark).ok(),
        headers: vec![(HEADER_MARK.to_owned(), offset.to_string().into_bytes())],
        timestamp_ms: Some(now.ms()),
    };
    (record, mark)
}
