//! The outside's shapes → messages. Parsing is pure.
//!
//! [`decode`] turns one record into a [`Message`]; [`open`] makes records of whatever AWS sends, in
//! whatever wrapping; [`replay`] alone reads files, to make records of them.

mod about;
mod billing;
mod cloudtrail;
mod events;
mod inventory;
mod metrics;
mod open;
mod otlp;
pub mod replay;
mod reports;
mod rows;
mod securityhub;
mod shape;
mod subject;

pub use inventory::RawInventory;
pub use open::{DEPTH_MAX, Fate, Hints, PARTS_MAX, Part, UNPACKED_BYTES_MAX, open};
pub use shape::Shape;

use smallvec::SmallVec;

use crate::model::{Fact, Ignored, Message, Topic, Undecodable};

/// Longest payload taken, in bytes: `EventBridge`'s own limit.
pub const PAYLOAD_BYTES_MAX: usize = 1_024 * 1_024;
/// Most facts one record may carry.
pub const FACTS_MAX: usize = 1_000;
/// Longest reason of a refusal, in bytes; it travels in a header.
const REASON_BYTES_MAX: usize = 512;

/// What a record turned out to be.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every record is a message; a box would cost an allocation a metric point"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// Something to decide about.
    Message(Message),
    /// Well-formed, not of our kinds; the reason names its kind.
    Ignored(Ignored),
}

/// Decodes one record of `topic`. `payload` is `None` for a tombstone.
///
/// Unknown fields are welcome. Owner and time are read from the fact, never from `key`.
///
/// # Errors
/// [`Undecodable`] naming the field when a required one is missing or of another shape, when the
/// payload is none of the topic's kinds, or over [`PAYLOAD_BYTES_MAX`] or [`FACTS_MAX`].
pub fn decode(
    topic: Topic,
    key: Option<&[u8]>,
    payload: Option<&[u8]>,
) -> Result<Decoded, Undecodable> {
    // The row's key alone does not name its subject, so a tombstone cannot become a message here.
    let _ = key;
    let payload = payload.unwrap_or_default();
    if payload.is_empty() {
        return if topic.compacted() && topic != Topic::Memory {
            Ok(ignored("tombstone"))
        } else {
            Err(undecodable(format!(
                "{topic}: the record has no payload; send one JSON object"
            )))
        };
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(undecodable(format!(
            "{topic}: {} bytes are more than the {PAYLOAD_BYTES_MAX} a record may have; split it",
            payload.len()
        )));
    }
    let own = decode_own(topic, payload);
    match own {
        Err(reason) if Topic::RAW.contains(&topic) => opened(topic, payload).unwrap_or(Err(reason)),
        own => own,
    }
}

/// Decodes what stands in the topic's own form, nothing else.
fn decode_own(topic: Topic, payload: &[u8]) -> Result<Decoded, Undecodable> {
    match topic {
        Topic::AwsMetrics => metrics::decode(payload),
        Topic::AwsEvents => events::decode(payload),
        Topic::AwsInventory => inventory::decode(payload),
        Topic::AwsBilling => billing::decode(payload),
        Topic::Memory | Topic::DeadLetters => Err(undecodable(format!(
            "{topic}: its records are bytes kept for recovery, not messages"
        ))),
        _ => rows::decode(topic, payload),
    }
}

/// What a producer published as it got it, wrapped or in another form; `None` when it is not one
/// account's facts of this topic.
fn opened(topic: Topic, payload: &[u8]) -> Option<Result<Decoded, Undecodable>> {
    let mut all = SmallVec::<[Fact; 1]>::new();
    let mut reason = None;
    for part in open(payload, &Hints::default()) {
        match part.fate {
            Fate::Record { topic: own, .. } if own == topic => {
                match decode_own(topic, &part.payload) {
                    Ok(Decoded::Message(Message::Facts(facts))) => all.extend(facts),
                    _ => return None,
                }
            }
            // An input with one part that cannot be read is put aside whole.
            Fate::Record { .. } | Fate::Refused(_) => return None,
            Fate::Ignored(why) => reason = Some(why),
        }
    }
    let same =
        |one: &Fact| Some(one.subject.account()) == all.first().map(|fact| fact.subject.account());
    if !all.iter().all(same) || all.len() > FACTS_MAX {
        return None;
    }
    if all.is_empty() {
        return reason.map(|reason| Ok(Decoded::Ignored(reason)));
    }
    Some(Ok(Decoded::Message(Message::Facts(all))))
}

/// A refusal, its text held to [`REASON_BYTES_MAX`] since it may quote the input.
fn undecodable(mut reason: String) -> Undecodable {
    if reason.len() > REASON_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX - "…".len()));
        reason.push('…');
    }
    Undecodable(reason)
}

fn ignored(reason: impl Into<String>) -> Decoded {
    let Undecodable(reason) = undecodable(reason.into());
    Decoded::Ignored(Ignored(reason))
}

fn facts(facts: impl IntoIterator<Item = crate::model::Fact>) -> Decoded {
    Decoded::Message(Message::Facts(facts.into_iter().collect()))
}
