//! How fast each kind of input is decoded, beside a bare parse of the same bytes by the same library.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skyherd::estate::{Estate, EstateOptions};
use skyherd::model::{Message, Topic};
use skyherd::sources::{Decoded, Fate, Hints, decode, open};

use crate::cpu;
use crate::otlp;
use crate::report::{Report, Row, thousands};

/// Processor seconds of one measurement; the kernel tells them in hundredths.
const SECONDS: f64 = 0.4;
/// Measurements of each, taken in turns; the median's ratio is the figure.
const ROUNDS: usize = 5;
/// Records of a kind that are decoded over and over.
const SAMPLES: usize = 400;
/// Hours of the simulated estate they are taken from.
const HOURS: i64 = 30;

/// Decodes one record; returns how many facts it held.
type Decode = Box<dyn Fn(&[u8]) -> usize>;

/// Records of one kind.
struct Kind {
    name: String,
    samples: Vec<Vec<u8>>,
    ours: Decode,
    /// Parses one into the library's own values.
    bare: fn(&[u8]),
    library: &'static str,
}

/// Passes over every sample, as one measurement.
struct Pace {
    facts: usize,
    bytes: usize,
    cpu: f64,
}

impl Pace {
    fn of(samples: &[Vec<u8>], run: &dyn Fn(&[u8]) -> usize) -> Self {
        let (mut facts, mut bytes) = (0, 0);
        let began = cpu::own();
        loop {
            for sample in samples {
                facts += run(sample);
                bytes += sample.len();
            }
            let cpu = cpu::own() - began;
            if cpu >= SECONDS {
                return Self { facts, bytes, cpu };
            }
        }
    }
    fn mb_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu
    }
}

pub(crate) fn measure(report: &mut Report) {
    for kind in kinds() {
        report.add(row(&kind));
    }
}

fn row(kind: &Kind) -> Row {
    let mut rounds: Vec<(Pace, Pace)> = (0..ROUNDS)
        .map(|_| {
            let bare = Pace::of(&kind.samples, &|sample| {
                (kind.bare)(sample);
                1
            });
            (Pace::of(&kind.samples, &kind.ours), bare)
        })
        .collect();
    let ratio = |(ours, bare): &(Pace, Pace)| ours.mb_per_second() / bare.mb_per_second();
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let texts: Vec<String> = rounds
        .iter()
        .map(|round| format!("{:.2}", ratio(round)))
        .collect();
    let round = &rounds[rounds.len() / 2];
    let (ours, bare) = round;
    let facts = ours.facts as f64 / ours.cpu;
    Row {
        what: format!(
            "decode {}, {} bytes each",
            kind.name,
            thousands(
                kind.samples.iter().map(Vec::len).sum::<usize>() as f64 / kind.samples.len() as f64
            )
        ),
        figure: format!(
            "{} facts/core-second, {:.0} MB/s = {:.2} of bare; rounds: {}",
            thousands(facts),
            ours.mb_per_second(),
            ratio(round),
            texts.join(", ")
        ),
        baseline: format!("{}: {:.0} MB/s", kind.library, bare.mb_per_second()),
        goal: String::new(),
        numbers: json!({
            "kind": kind.name, "facts_per_core_second": facts, "megabytes_per_second": ours.mb_per_second(),
            "bare_megabytes_per_second": bare.mb_per_second(), "ratio": ratio(round),
        }),
    }
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let (mut events, mut points) = (Vec::new(), Vec::new());
    for ((topic, name), samples) in estate() {
        match topic {
            Topic::AwsMetrics => points.clone_from(&samples),
            Topic::AwsEvents => events.extend(samples.iter().take(40).cloned()),
            _ => {}
        }
        kinds.push(Kind {
            name,
            samples,
            ours: Box::new(move |bytes| decoded(topic, bytes)),
            bare: values,
            library: VALUES,
        });
    }
    for (name, labels) in [("0.7", true), ("1.0", false)] {
        let records = points.iter().map(|record| otlp::record(record, labels));
        kinds.push(Kind {
            name: format!("metric stream, OpenTelemetry {name}"),
            samples: records.collect(),
            ours: Box::new(|bytes| decoded(Topic::AwsMetrics, bytes)),
            bare: |bytes| otlp::parse(bytes),
            library: "prost alone",
        });
    }
    kinds.extend(wrapped(&events, &points));
    kinds
}

const VALUES: &str = "serde_json into values alone";

/// The estate's records by topic and kind.
fn estate() -> BTreeMap<(Topic, String), Vec<Vec<u8>>> {
    let options = EstateOptions {
        hours: HOURS,
        ..EstateOptions::default()
    };
    let mut kinds: BTreeMap<(Topic, String), Vec<Vec<u8>>> = BTreeMap::new();
    for record in Estate::new(options).into_records() {
        let text = |name: &str| {
            let value: Value = serde_json::from_slice(&record.payload).unwrap_or_default();
            value[name].as_str().unwrap_or_default().to_owned()
        };
        let name = match record.topic {
            Topic::AwsMetrics => "metric stream, JSON".to_owned(),
            Topic::AwsEvents => format!("EventBridge {:?}", text("detail-type")),
            Topic::AwsInventory => format!("inventory of {}", text("kind")),
            Topic::AwsBilling => "FOCUS row".to_owned(),
            _ => continue,
        };
        let samples = kinds.entry((record.topic, name)).or_default();
        if samples.len() < SAMPLES {
            samples.push(record.payload);
        }
    }
    kinds
}

/// The same events and points as they come through other services.
fn wrapped(events: &[Vec<u8>], points: &[Vec<u8>]) -> Vec<Kind> {
    let sns = |event: &Vec<u8>| {
        json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t",
            "Message": String::from_utf8_lossy(event), "Timestamp": "2026-01-31T12:00:00.000Z",
        })
        .to_string()
    };
    let sqs = |event: &Vec<u8>| {
        let record = json!({
            "messageId": "m", "body": sns(event), "attributes": {"SentTimestamp": "1769860800000"},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:q",
        });
        json!({ "Records": [record] }).to_string()
    };
    let subscription = |events: &[Vec<u8>]| {
        let lines: Vec<Value> = events
            .iter()
            .map(|event| json!({"id": "1", "timestamp": 1_769_860_800_000_i64, "message": String::from_utf8_lossy(event)}))
            .collect();
        let text = json!({
            "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "g", "logStream": "s",
            "subscriptionFilters": ["f"], "logEvents": lines,
        });
        gzip(text.to_string().as_bytes())
    };
    let firehose = |points: &[Vec<u8>]| {
        let records: Vec<Value> = points
            .iter()
            .map(|point| json!({ "data": STANDARD.encode(point) }))
            .collect();
        json!({"requestId": "r", "timestamp": 1_769_860_800_000_i64, "records": records})
            .to_string()
    };
    let ours = |bytes: &[u8]| opened(bytes);
    vec![
        Kind {
            name: "event in SNS".into(),
            samples: events.iter().map(|event| sns(event).into_bytes()).collect(),
            ours: Box::new(ours),
            bare: |bytes| inside(bytes, &["/Message"]),
            library: "serde_json into values alone, inside and out",
        },
        Kind {
            name: "event in SNS in SQS".into(),
            samples: events.iter().map(|event| sqs(event).into_bytes()).collect(),
            ours: Box::new(ours),
            bare: |bytes| inside(bytes, &["/Records/0/body", "/Message"]),
            library: "serde_json into values alone, inside and out",
        },
        Kind {
            name: "events in a log subscription, gzip".into(),
            samples: events.chunks(20).map(subscription).collect(),
            ours: Box::new(ours),
            bare: |bytes| {
                let mut plain = Vec::new();
                let read = flate2::bufread::GzDecoder::new(bytes).read_to_end(&mut plain);
                black_box(read.is_ok());
                let value: Value = serde_json::from_slice(&plain).unwrap_or_default();
                for event in value["logEvents"].as_array().into_iter().flatten() {
                    values(event["message"].as_str().unwrap_or_default().as_bytes());
                }
            },
            library: "flate2, and serde_json into values, inside and out",
        },
        Kind {
            name: "Firehose request of 40 metric-stream records".into(),
            samples: points
                .chunks(40)
                .map(|points| firehose(points).into_bytes())
                .collect(),
            ours: Box::new(ours),
            bare: |bytes| {
                let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
                for record in value["records"].as_array().into_iter().flatten() {
                    let data = record["data"].as_str().unwrap_or_default();
                    values(&STANDARD.decode(data).unwrap_or_default());
                }
            },
            library: "base64, and serde_json into values, inside and out",
        },
    ]
}

/// Every JSON value of the bytes, parsed.
fn values(bytes: &[u8]) {
    let mut all = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    assert!(all.by_ref().all(|value| black_box(value).is_ok()));
}

/// The value, and what stands as text at these places one inside the other.
fn inside(bytes: &[u8], places: &[&str]) {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if let Some((place, rest)) = places.split_first() {
        let text = value.pointer(place).and_then(Value::as_str);
        inside(text.unwrap_or_default().as_bytes(), rest);
    }
    black_box(value);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).expect("memory takes every byte");
    packer.finish().expect("memory takes every byte")
}

fn decoded(topic: Topic, bytes: &[u8]) -> usize {
    match decode(topic, None, Some(bytes)) {
        Ok(Decoded::Message(Message::Facts(facts))) => facts.len(),
        Ok(_) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// Opens and decodes what comes out.
fn opened(bytes: &[u8]) -> usize {
    let parts = open(bytes, &Hints::default());
    parts
        .into_iter()
        .map(|part| match part.fate {
            Fate::Record { topic, .. } => decoded(topic, &part.payload),
            Fate::Ignored(_) => 0,
            Fate::Refused(error) => panic!("{error}"),
        })
        .sum()
}
