//! Metric streams, in either format → records of one account each.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Fate, Opener};
use crate::model::Topic;
use crate::sources::{Decoded, FACTS_MAX, Shape, decode_own, otlp, undecodable};

/// Bytes of points gathered into one record; half of what one may have.
const GATHERED_BYTES_MAX: usize = 512 * 1_024;

/// What tells a metric stream's objects from any others.
#[derive(Deserialize)]
struct Probe<'a> {
    metric_name: Option<IgnoredAny>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// Whether the text begins with an object of a metric stream.
pub(super) fn is_stream(text: &str) -> bool {
    // An array would be read as the fields in their order.
    if !text.starts_with('{') {
        return false;
    }
    let first = serde_json::Deserializer::from_str(text)
        .into_iter::<Probe<'_>>()
        .next();
    matches!(
        first,
        Some(Ok(Probe {
            metric_name: Some(_),
            account_id: Some(_)
        }))
    )
}

/// Points of the same account, on their way into one record.
#[derive(Default)]
struct Gathered {
    lines: Vec<Vec<u8>>,
    bytes: usize,
}

/// Points by account, in the order they came.
struct Gathering<'o> {
    opener: &'o mut Opener,
    what: Shape,
    by_account: BTreeMap<String, Gathered>,
}

impl Gathering<'_> {
    fn add(&mut self, account: &str, line: Vec<u8>) {
        let gathered = match self.by_account.get_mut(account) {
            Some(gathered) => gathered,
            None => self.by_account.entry(account.to_owned()).or_default(),
        };
        if gathered.lines.len() >= FACTS_MAX || gathered.bytes + line.len() > GATHERED_BYTES_MAX {
            let full = std::mem::take(gathered);
            self.opener.points(self.what, full.lines);
            return self.add(account, line);
        }
        gathered.bytes += line.len() + 1;
        gathered.lines.push(line);
        // A line longer than all room goes alone.
        if gathered.bytes > GATHERED_BYTES_MAX {
            let full = std::mem::take(gathered);
            self.opener.points(self.what, full.lines);
        }
    }
    fn end(&mut self) {
        for (_, gathered) in std::mem::take(&mut self.by_account) {
            self.opener.points(self.what, gathered.lines);
        }
    }
}

impl Opener {
    /// Metric-stream objects, several of one or more accounts.
    pub(super) fn metric_stream(&mut self, text: &str) {
        let mut gathering = Gathering {
            opener: self,
            what: Shape::MetricStream,
            by_account: BTreeMap::new(),
        };
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let rest = loop {
            let before = values.byte_offset();
            match values.next() {
                None => break None,
                Some(Ok(raw)) => {
                    let account = serde_json::from_str::<Probe<'_>>(raw.get())
                        .ok()
                        .and_then(|probe| probe.account_id)
                        .map_or("", RawValue::get);
                    gathering.add(account, raw.get().as_bytes().to_vec());
                }
                Some(Err(error)) => break Some((before, error)),
            }
        };
        gathering.end();
        if let Some((before, error)) = rest {
            let reason = undecodable(format!("aws.metrics: {error}; expected metric-stream JSON"));
            self.refuse(
                Shape::MetricStream,
                text[before..].trim().as_bytes(),
                reason,
            );
        }
    }

    /// `OpenTelemetry` metrics, written as the JSON format has them.
    pub(super) fn otlp(&mut self, bytes: &[u8]) {
        let mut points = Vec::new();
        let read = otlp::points(bytes, &mut |point| {
            points.push((point.account.to_string(), point.json()));
            Ok(())
        });
        if let Err(reason) = read {
            // All of the record or nothing: what is put aside can be sent again whole.
            return self.refuse(Shape::MetricStreamOtlp, bytes, reason);
        }
        let mut gathering = Gathering {
            opener: self,
            what: Shape::MetricStreamOtlp,
            by_account: BTreeMap::new(),
        };
        for (account, line) in points {
            gathering.add(&account, line);
        }
        gathering.end();
    }

    /// One record of points of one account; when one of them is bad, each by itself.
    fn points(&mut self, what: Shape, lines: Vec<Vec<u8>>) {
        let payload = lines.join(&b'\n');
        match decode_own(Topic::AwsMetrics, &payload) {
            Ok(Decoded::Message(message)) => {
                let account = message.account().to_owned();
                let topic = Topic::AwsMetrics;
                self.give(what, payload, Fate::Record { topic, account });
            }
            Err(reason) if lines.len() < 2 => self.refuse(what, &payload, reason),
            Err(_) => {
                for line in lines {
                    self.points(what, vec![line]);
                }
            }
            Ok(Decoded::Ignored(reason)) => self.give(what, payload, Fate::Ignored(reason)),
        }
    }
}
