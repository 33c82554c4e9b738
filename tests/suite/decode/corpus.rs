//! Every sample file is accounted for.

use std::collections::BTreeMap;

use serde_json::Value;
use skyherd::model::Topic;
use skyherd::sources::{Decoded, decode};

use super::samples;

#[test]
fn every_eventbridge_sample_is_accounted_for() {
    let Some(events) = samples("events") else {
        return;
    };
    let manifest = std::fs::read_to_string(events.join("MANIFEST.jsonl")).unwrap();
    let mut counts = BTreeMap::<String, [usize; 3]>::new();
    for line in manifest.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap();
        if !file.starts_with("eventbridge/") {
            continue;
        }
        let folder = row["kind"].as_str().unwrap();
        let placeholder = row["placeholder"].as_bool().unwrap();
        let payload = std::fs::read(events.join(file)).unwrap();
        let outside = ["eventbridge/ecr", "eventbridge/ecs", "eventbridge/other"].contains(&folder);
        let count = counts.entry(folder.to_owned()).or_default();
        match decode(Topic::AwsEvents, None, Some(&payload)) {
            Ok(Decoded::Message(message)) => {
                println!(
                    "{file}: {}",
                    match message {
                        skyherd::model::Message::Facts(f) => f[0].subject.to_string(),
                        _ => String::new(),
                    }
                );
                count[0] += 1;
            }
            Ok(Decoded::Ignored(reason)) => {
                assert!(
                    outside,
                    "{file} is of a kind of ours but ignored: {reason:?}"
                );
                count[1] += 1;
            }
            Err(reason) => {
                assert!(placeholder, "{file} holds no placeholder: {reason}");
                println!("{file}: {reason}");
                count[2] += 1;
            }
        }
    }
    println!("{counts:#?}");
    assert_eq!(counts.len(), 17);
}
