//! Every sample file is accounted for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use skyherd::model::{FactBody, Message};
use skyherd::sources::replay::{Options, RawRecord, ReplayError, Shape, Summary, read};
use skyherd::sources::{Decoded, decode};

use super::samples;

/// Kinds of event outside the product, by the samples' folders.
const OUTSIDE: [&str; 3] = ["eventbridge/ecr", "eventbridge/ecs", "eventbridge/other"];

fn replay(
    path: &Path,
    mut each: impl FnMut(&RawRecord, &Result<Decoded, skyherd::model::Undecodable>),
) -> Summary {
    let mut summary = Summary::default();
    read(&[path.to_owned()], &Options::default(), |record| {
        let fate = summary.take(&record);
        each(&record, &fate);
        Ok::<_, ReplayError>(())
    })
    .unwrap();
    assert!(summary.holds(), "{summary:?}");
    summary
}

#[test]
fn every_eventbridge_sample_is_accounted_for() {
    let Some(events) = samples("events") else {
        return;
    };
    let manifest = std::fs::read_to_string(events.join("MANIFEST.jsonl")).unwrap();
    let mut rows = BTreeMap::new();
    for line in manifest.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap();
        if file.starts_with("eventbridge/") {
            let placeholder = row["placeholder"].as_bool().unwrap();
            rows.insert(file.to_owned(), placeholder);
        }
    }
    let mut seen = 0;
    let summary = replay(&events.join("eventbridge"), |record, fate| {
        let file = record.file.strip_prefix(&events).unwrap().to_str().unwrap();
        let placeholder = rows[file];
        seen += 1;
        match fate {
            Ok(Decoded::Message(message)) => {
                assert_eq!(record.account.as_deref(), Some(message.account()), "{file}");
            }
            Ok(Decoded::Ignored(reason)) => {
                let outside = OUTSIDE.contains(&record.folder.as_str());
                assert!(outside, "{file} is of our kinds but ignored: {reason:?}");
            }
            Err(reason) => assert!(placeholder, "{file} holds no placeholder: {reason}"),
        }
    });
    assert_eq!(seen, rows.len());
    assert_eq!(summary.files as usize, rows.len());
    assert_eq!(summary.folders["eventbridge/securityhub"].decoded, 12);
}

#[test]
fn every_metric_stream_point_keeps_all_its_dimensions() {
    let Some(folder) = samples("events/metric-stream-json") else {
        return;
    };
    let mut points = 0;
    let summary = replay(&folder, |record, fate| {
        if record.what != Shape::MetricStream {
            return;
        }
        let Ok(Decoded::Message(Message::Facts(facts))) = fate else {
            panic!("{record:?}: {fate:?}");
        };
        let sent: Value = serde_json::from_slice(&record.payload).unwrap();
        let FactBody::Metric(point) = &facts[0].body else {
            panic!("{facts:?}");
        };
        let kept: serde_json::Map<_, _> = point
            .dimensions
            .iter()
            .map(|(name, value)| (name.to_string(), Value::from(value.as_str())))
            .collect();
        assert_eq!(sent["dimensions"], Value::Object(kept));
        assert_eq!(sent["timestamp"], facts[0].at.ms());
        points += 1;
    });
    // The third file describes the format's table, it is no stream.
    assert_eq!(summary.kinds["api-answer"].ignored, 1);
    assert!(points > 5, "{points}");
}

#[test]
fn every_row_of_the_focus_samples_is_decoded_or_of_another_cloud() {
    let Some(folder) = samples("events/focus-1.0-csv") else {
        return;
    };
    let mut rows = std::collections::BTreeSet::new();
    let summary = replay(&folder, |record, fate| {
        assert!(matches!(record.what, Shape::Focus | Shape::Delivery));
        if let Ok(Decoded::Message(Message::Facts(facts))) = fate
            && let FactBody::Cost(line) = &facts[0].body
        {
            rows.insert(line.row);
        }
    });
    assert_eq!(summary.total.dead_lettered, 0, "{summary:?}");
    let reasons: Vec<_> = summary.total.ignored_reasons.keys().cloned().collect();
    assert_eq!(reasons, ["provider Microsoft", "provider Oracle"]);
    let decoded = summary.kinds["focus"].decoded;
    assert_eq!(decoded, rows.len() as u64, "rows share a key");
}

#[test]
fn every_row_of_the_aws_series_of_nab_is_a_point_of_a_named_resource() {
    let Some(folder) = samples("nab/data/realAWSCloudwatch") else {
        return;
    };
    let mut subjects = std::collections::BTreeSet::new();
    let summary = replay(&folder, |_, fate| {
        if let Ok(Decoded::Message(message)) = fate
            && let Message::Facts(facts) = message
        {
            subjects.insert(facts[0].subject.to_string());
        }
    });
    assert_eq!(summary.total.read, summary.total.decoded);
    assert_eq!(subjects.len(), 17, "{subjects:?}");
    let instances = subjects
        .iter()
        .filter(|subject| subject.contains("/instance/i-"));
    assert_eq!(instances.count(), 13, "{subjects:?}");
}

#[test]
fn every_malformed_sample_is_one_dead_letter_byte_for_byte() {
    let Some(folder) = samples("events/malformed") else {
        return;
    };
    let summary = replay(&folder, |record, _| {
        assert_eq!(record.payload, std::fs::read(&record.file).unwrap());
    });
    assert_eq!(summary.total.read, summary.files);
    assert_eq!(summary.total.dead_lettered, summary.files);
    assert_eq!(summary.files, 10);
}

#[test]
fn every_sample_there_is_can_be_replayed() {
    let Some(folder) = samples("events") else {
        return;
    };
    let summary = replay(&folder, |record, fate| {
        // What the reader could not recognise must never pass for an event.
        if record.what == Shape::Unrecognised {
            assert!(fate.is_err(), "{record:?}");
        }
    });
    assert!(summary.total.decoded > 600, "{summary:?}");
}

#[test]
fn an_event_told_twice_decodes_equal() {
    let Some(folder) = samples("events/eventbridge") else {
        return;
    };
    replay(&folder, |record, fate| {
        let again = decode(record.topic, None, Some(&record.payload));
        assert_eq!(&again, fate);
    });
}
