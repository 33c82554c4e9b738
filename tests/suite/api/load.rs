//! Ten thousand open recommendations, and a thousand updates a second: every row once, and how
//! long it took is printed.

use std::time::Instant;

use serde_json::{Value, json};
use skyherd::http::Access;
use skyherd::model::{AgentName, Topic, partition_of};
use skyherd::ports::Outgoing;

use super::world::{ACCOUNT, World};

/// Recommendations that are open.
const OPEN: usize = 10_000;
/// Updates that are streamed.
const UPDATES: usize = 5_000;
/// A word in every title.
pub(super) const TOPIC: &str = "written-for-load";

/// A row of the recommendations topic.
pub(super) fn recommendation(number: usize, seq: u64) -> Outgoing {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/schemas/examples/recommendation.json"
    );
    let mut row: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let id = format!("{number:032x}");
    row["id"] = id.clone().into();
    row["seq"] = seq.into();
    row["revision"] = seq.into();
    row["title"] = format!("{TOPIC} {number}").into();
    row["owner"] = format!("{ACCOUNT}/eu-west-1/instance/i-{number:08x}").into();
    row["priority"]["score"] = ((number * 7_919) % 100).into();
    Outgoing {
        topic: Topic::Recommendations,
        partition: partition_of(ACCOUNT, 4),
        key: Some(id.into_bytes()),
        payload: Some(row.to_string().into_bytes()),
        headers: Vec::new(),
        timestamp_ms: Some(0),
    }
}

fn world() -> World {
    World::prepared(&[AgentName::Coordinator], Access::new(true), |backend| {
        let rows: Vec<Outgoing> = (0..OPEN).map(|number| recommendation(number, 1)).collect();
        backend.publish(&rows).unwrap();
    })
}

#[test]
fn a_page_of_ten_thousand_is_answered_from_what_was_read_once() {
    let world = world();
    assert_eq!(world.get("/api/v1/recommendations")["total"], json!(OPEN));
    for query in ["", "?limit=1000", "?q=load+9999", "?sort=owner&order=desc"] {
        let begin = Instant::now();
        let page = world.get(&format!("/api/v1/recommendations{query}"));
        let took = begin.elapsed();
        println!("{OPEN} open, recommendations{query}: {took:?}");
        assert!(page["total"].as_u64().unwrap() > 0, "{query}");
    }
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let page = world.get(&format!("/api/v1/recommendations?limit=1000{cursor}"));
        for row in page["recommendations"].as_array().unwrap() {
            assert!(seen.insert(row["id"].as_str().unwrap().to_owned()));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), OPEN);
}

#[test]
fn a_flood_of_updates_reaches_a_reader_whole() {
    let world = world();
    assert_eq!(world.get("/api/v1/recommendations")["total"], json!(OPEN));
    let mut stream = world.stream(None);
    assert_eq!(stream.next().kind, "hello");
    let begin = Instant::now();
    let backend = std::sync::Arc::clone(&world.backend);
    let writer = std::thread::spawn(move || {
        for chunk in (0..UPDATES).collect::<Vec<_>>().chunks(100) {
            let rows: Vec<Outgoing> = chunk
                .iter()
                .map(|number| recommendation(*number, 2))
                .collect();
            backend.publish(&rows).unwrap();
        }
    });
    for number in 0..UPDATES {
        let event = stream.change();
        assert_eq!(event.kind, "recommendation");
        assert_eq!(event.data["id"], json!(format!("{number:032x}")));
        assert_eq!(event.data["seq"], json!(2));
    }
    let took = begin.elapsed();
    let rate = UPDATES as f64 / took.as_secs_f64();
    println!("{UPDATES} updates streamed in {took:?}: {rate:.0} a second");
    writer.join().unwrap();
}
