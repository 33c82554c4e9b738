//! Whatever AWS sends, in whatever it came wrapped → raw records, each of one account and ready
//! to be published.
//!
//! Wrappings nest (SNS in SQS, log subscriptions in Kinesis in Firehose) and are opened down to
//! [`DEPTH_MAX`]. Facts that AWS words differently from its `EventBridge` events (an alarm through
//! SNS, a finding in a file, an API's answer) are put into the words of those events, so that a
//! rule reads one form; bytes that stand in a topic's own form already are kept as they are.
//! Nothing is dropped: what is not a record is given with the reason.

mod advice;
mod answers;
mod carriers;
mod costs;
mod facts;
mod measured;
mod metrics;
mod packing;
mod told;

use serde_json::{Map, Value};

use packing::Packing;

use super::otlp::is_binary;
use super::subject::check_name;
use super::{Decoded, PAYLOAD_BYTES_MAX, Shape, decode_own, undecodable};
use crate::model::{Ignored, Timestamp, Topic, Undecodable};

/// Wrappings opened one inside the other; what is deeper is refused.
pub const DEPTH_MAX: usize = 4;
/// Most parts one input may hold; a batch of Firehose's largest request stays below.
pub const PARTS_MAX: usize = 100_000;
/// Most bytes a compressed part may unpack to.
pub const UNPACKED_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What is known of an input from outside, used where the input itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Whose it is.
    pub account: Option<String>,
    /// Where it is from.
    pub region: Option<String>,
    /// When it came.
    pub at: Option<Timestamp>,
    /// The namespace of metrics an answer does not name.
    pub namespace: Option<String>,
    /// The name of such metrics; by default the answer's label.
    pub name: Option<String>,
    /// Their dimensions.
    pub dimensions: Vec<(String, String)>,
}

/// One part of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it was recognised as, outside of what it was wrapped in.
    pub what: Shape,
    /// The record's bytes; of a part that is none, the bytes as they stood.
    pub payload: Vec<u8>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A record that decodes.
    Record {
        /// Where it is published.
        topic: Topic,
        /// The account that owns it.
        account: String,
    },
    /// Well-formed, not of our kinds; the reason names its kind.
    Ignored(Ignored),
    /// None of our kinds, or one that lacks what it needs.
    Refused(Undecodable),
}

/// Opens one input: JSON of any kind known, one value or several, `OpenTelemetry` metrics, or text
/// of a kind known; compressed with gzip or not. Gives at least one part.
pub fn open(bytes: &[u8], hints: &Hints) -> Vec<Part> {
    let mut opener = Opener { parts: Vec::new() };
    opener.bytes(bytes, &Within::new(hints));
    if opener.parts.is_empty() {
        let reason = undecodable("the input is empty; send at least one record".into());
        opener.refuse(Shape::Unrecognised, bytes, reason);
    }
    opener.parts
}

/// Where in an input one is.
#[derive(Clone)]
struct Within {
    hints: Hints,
    /// The wrapping around, if any.
    carrier: Option<Shape>,
    depth: usize,
    /// Whether gzip was taken off here already.
    unpacked: bool,
}

impl Within {
    fn new(hints: &Hints) -> Self {
        Self {
            hints: hints.clone(),
            carrier: None,
            depth: 0,
            unpacked: false,
        }
    }
    /// One wrapping further in.
    fn deeper(&self, carrier: Shape) -> Self {
        Self {
            hints: self.hints.clone(),
            carrier: Some(carrier),
            depth: self.depth + 1,
            unpacked: false,
        }
    }
    /// The wrapping's account and region, where its ARN tells them.
    fn told_by_arn(mut self, arn: Option<&str>) -> Self {
        let mut parts = arn.unwrap_or_default().split(':').skip(3);
        let mut next = || parts.next().filter(|part| check_name("arn", part).is_ok());
        if let Some(region) = next() {
            self.hints.region = Some(region.to_owned());
        }
        if let Some(account) = next() {
            self.hints.account = Some(account.to_owned());
        }
        self
    }
    fn at(mut self, at: Option<Timestamp>) -> Self {
        self.hints.at = at.or(self.hints.at);
        self
    }
}

type Object = Map<String, Value>;

struct Opener {
    parts: Vec<Part>,
}

impl Opener {
    fn give(&mut self, what: Shape, payload: Vec<u8>, fate: Fate) {
        if self.parts.len() < PARTS_MAX {
            self.parts.push(Part {
                what,
                payload,
                fate,
            });
        } else if let Some(last) = self.parts.last_mut() {
            // The caller sees a refusal and keeps the whole.
            last.fate = Fate::Refused(undecodable(format!(
                "the input holds more than {PARTS_MAX} records; split it"
            )));
        }
    }
    fn refuse(&mut self, what: Shape, bytes: &[u8], reason: Undecodable) {
        let kept = &bytes[..bytes.len().min(PAYLOAD_BYTES_MAX)];
        self.give(what, kept.to_vec(), Fate::Refused(reason));
    }
    fn ignore(&mut self, what: Shape, bytes: &[u8], reason: &str) {
        let reason = format!("{}: {reason}", what.as_str());
        let kept = &bytes[..bytes.len().min(PAYLOAD_BYTES_MAX)];
        let Undecodable(reason) = undecodable(reason);
        self.give(what, kept.to_vec(), Fate::Ignored(Ignored(reason)));
    }
    /// Gives what stands in a topic's own form. `original` is kept where it does not decode.
    fn record(&mut self, what: Shape, topic: Topic, payload: Vec<u8>, original: &[u8]) {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let reason = format!(
                "{topic}: {} bytes are more than the {PAYLOAD_BYTES_MAX} a record may have; split it",
                payload.len()
            );
            return self.refuse(what, original, undecodable(reason));
        }
        match decode_own(topic, &payload) {
            Ok(Decoded::Message(message)) => {
                let account = message.account().to_owned();
                self.give(what, payload, Fate::Record { topic, account });
            }
            Ok(Decoded::Ignored(reason)) => self.give(what, payload, Fate::Ignored(reason)),
            Err(reason) => self.refuse(what, original, reason),
        }
    }

    fn bytes(&mut self, bytes: &[u8], within: &Within) {
        if within.depth > DEPTH_MAX {
            let reason = undecodable(format!(
                "more than {DEPTH_MAX} wrappings one inside the other; send what is inside them"
            ));
            return self.refuse(within.carrier.unwrap_or(Shape::Unrecognised), bytes, reason);
        }
        if let Some(packing) = Packing::of(bytes).filter(|_| !within.unpacked) {
            return self.packed(packing, bytes, within);
        }
        if is_binary(bytes) {
            return self.otlp(bytes);
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            let reason = undecodable("the bytes are neither text nor OpenTelemetry metrics".into());
            return self.refuse(Shape::Unrecognised, bytes, reason);
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with(['{', '[']) && !carriers::is_template(text) {
            self.json(text, within);
        } else {
            self.text(text, within);
        }
    }

    fn packed(&mut self, packing: Packing, bytes: &[u8], within: &Within) {
        match packing.undo(bytes) {
            Ok(plain) => {
                let mut inside = within.clone();
                inside.unpacked = true;
                self.bytes(&plain, &inside);
            }
            Err(reason) => self.refuse(Shape::Unrecognised, bytes, undecodable(reason)),
        }
    }

    /// One JSON value, or several after one another.
    fn json(&mut self, text: &str, within: &Within) {
        if metrics::is_stream(text) {
            return self.metric_stream(text);
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        loop {
            let before = values.byte_offset();
            match values.next() {
                None => return,
                Some(Ok(value)) => {
                    let raw = &text[before..values.byte_offset()];
                    self.value(value, raw.trim().as_bytes(), within);
                }
                Some(Err(error)) => {
                    let reason = undecodable(format!("{error}; expected JSON"));
                    let rest = text[before..].trim().as_bytes();
                    return self.refuse(Shape::Unrecognised, rest, reason);
                }
            }
        }
    }

    /// One JSON value. `raw` are its bytes as they stood.
    fn value(&mut self, value: Value, raw: &[u8], within: &Within) {
        if within.depth > DEPTH_MAX {
            return self.bytes(raw, within);
        }
        match value {
            Value::Object(object) => self.object(object, raw, within),
            Value::Array(values) => {
                for value in values {
                    let raw = value.to_string();
                    // An array within an array is no more than a deeper wrapping.
                    let mut inside = within.clone();
                    inside.depth += usize::from(value.is_array());
                    self.value(value, raw.as_bytes(), &inside);
                }
            }
            other => self.text(other.as_str().unwrap_or_default(), within),
        }
    }

    fn object(&mut self, object: Object, raw: &[u8], within: &Within) {
        let has = |name: &str| object.contains_key(name);
        if has("detail-type") && has("detail") {
            self.event(object, raw, within);
        } else if has("metric_name") && has("account_id") {
            self.record(Shape::MetricStream, Topic::AwsMetrics, raw.to_vec(), raw);
        } else if has("item") && has("kind") {
            self.record(Shape::Inventory, Topic::AwsInventory, raw.to_vec(), raw);
        } else if has("BilledCost") {
            self.record(Shape::Focus, Topic::AwsBilling, raw.to_vec(), raw);
        } else if !(self.carrier(&object, raw, within)
            || self.fact(&object, raw, within)
            || self.answer(&object, raw, within))
        {
            self.unknown(raw, within);
        }
    }

    /// JSON of no kind known. Queues and topics carry other programs' messages too; anywhere else
    /// it is refused.
    fn unknown(&mut self, raw: &[u8], within: &Within) {
        match within.carrier {
            Some(carrier) if carriers::carries_anything(carrier) => {
                self.ignore(carrier, raw, "a JSON message of no AWS kind");
            }
            _ => {
                let reason = "JSON of none of AWS's kinds; the README lists what is read";
                self.refuse(Shape::Unrecognised, raw, undecodable(reason.into()));
            }
        }
    }

    fn text(&mut self, text: &str, within: &Within) {
        if costs::is_budget(text) {
            return self.budget(text, within);
        }
        match within.carrier {
            Some(carrier) if carriers::carries_anything(carrier) => {
                let what = if carriers::is_template(text) {
                    "a template that was not filled in"
                } else {
                    "a text of no AWS kind"
                };
                self.ignore(carrier, text.as_bytes(), what);
            }
            _ => {
                let reason = undecodable("text of no AWS kind; expected JSON".into());
                self.refuse(Shape::Unrecognised, text.as_bytes(), reason);
            }
        }
    }
}

/// A text of the object, trimmed; `None` when absent or empty.
fn text<'v>(object: &'v Object, name: &str) -> Option<&'v str> {
    let text = object.get(name)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// A time as AWS's services write them: text of several forms, seconds or milliseconds.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse(text)
            .or_else(|_| Timestamp::parse(&text.replace(": ", ":")))
            .ok()
            .or_else(|| text.parse().ok().map(number_time)),
        Value::Number(number) => number.as_f64().map(number_time),
        _ => None,
    }
}

fn number_time(number: f64) -> Timestamp {
    /// Numbers from here on are milliseconds: as seconds they would be after the year 5000.
    const MS_MIN: f64 = 1e11;
    let ms = if number < MS_MIN {
        number * 1_000.0
    } else {
        number
    };
    Timestamp::from_ms(ms as i64)
}
