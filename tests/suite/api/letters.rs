//! Dead letters: found, looked at, sent back as they were, and dropped.

use serde_json::{Value, json};
use skyherd::model::{Topic, partition_of};

use super::world::{ACCOUNT, World};

const BROKEN: &[u8] = b"\x00\xffnot an event";

fn letter(world: &World) -> Value {
    let topic = Topic::AwsEvents;
    world.handle.publish(topic, Some(ACCOUNT), BROKEN).unwrap();
    world
        .rows("/api/v1/dead-letters", "dead_letters", 1)
        .remove(0)
}

fn path(letter: &Value) -> String {
    format!(
        "/api/v1/dead-letters/{}/{}",
        letter["partition"], letter["offset"]
    )
}

/// Key and payload of every record of `aws.events` in the account's partition.
fn events(world: &World) -> Vec<(Option<Vec<u8>>, Option<Vec<u8>>)> {
    let partition = partition_of(ACCOUNT, world.backend.partitions());
    let mut records = Vec::new();
    let mut note = |record: skyherd::ports::RecordView<'_>| {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        records.push((owned(record.key), owned(record.payload)));
    };
    let topic = Topic::AwsEvents;
    world
        .backend
        .scan(topic, partition, 0, 100, &mut note)
        .unwrap();
    records
}

#[test]
fn a_letter_tells_its_reason_and_every_byte() {
    let world = World::open();
    let letter = letter(&world);
    assert_eq!(letter["topic"], json!("aws.events"));
    assert_eq!(letter["key"], json!(ACCOUNT));
    assert_eq!(letter["bytes"], json!(BROKEN.len()));
    assert!(letter["reason"].as_str().unwrap().contains("aws.events"));
    let story = world.get(&path(&letter));
    assert_eq!(story["encoding"], json!("base64"));
    assert_eq!(story["payload"], json!("AP9ub3QgYW4gZXZlbnQ="));
    for (query, count) in [
        ("topic=aws.events&q=not+an", 1),
        ("topic=aws.metrics", 0),
        ("reason=nothing", 0),
    ] {
        let list = world.get(&format!("/api/v1/dead-letters?{query}"));
        assert_eq!(list["total"], json!(count), "{query}");
    }
    for nowhere in ["0/999", "99/0", "x/y"] {
        let (status, _) = world.ask("GET", &format!("/api/v1/dead-letters/{nowhere}"), &[]);
        assert_eq!(status, 404, "{nowhere}");
    }
}

#[test]
fn a_replayed_letter_is_the_record_it_was_and_is_marked() {
    let world = World::open();
    let letter = letter(&world);
    let before = events(&world);
    let (status, answer) = world.ask("POST", &format!("{}/replay", path(&letter)), &[]);
    assert_eq!((status, &answer["topic"]), (202, &json!("aws.events")));
    let after = events(&world);
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after.last(), before.last(), "byte for byte");
    // It still cannot be decoded, and the new letter counts as one of its own.
    let rows = world.rows("/api/v1/dead-letters", "dead_letters", 2);
    let replays: Vec<&Value> = rows.iter().map(|row| &row["replays"]).collect();
    assert!(
        replays.contains(&&json!(1)) && replays.contains(&&json!(0)),
        "{rows:?}"
    );
    let story = world.get(&path(&letter));
    assert_eq!(story["marks"][0]["what"], json!("replayed"));
    assert_eq!(story["marks"][0]["by"], json!("anonymous"));
}

#[test]
fn a_dropped_letter_is_listed_no_more_and_not_lost() {
    let world = World::open();
    let letter = letter(&world);
    let (status, mark) = world.ask("DELETE", &path(&letter), &[]);
    assert_eq!((status, &mark["what"]), (200, &json!("dropped")));
    assert_eq!(world.get("/api/v1/dead-letters")["total"], json!(0));
    let story = world.get(&path(&letter));
    assert_eq!(story["marks"][0]["what"], json!("dropped"));
    assert_eq!(
        world
            .ask("POST", &format!("{}/replay", path(&letter)), &[])
            .0,
        202
    );
    // The mark itself is no letter.
    let next = letter["offset"].as_u64().unwrap() + 1;
    let mark = format!("/api/v1/dead-letters/{}/{next}", letter["partition"]);
    assert_eq!(world.ask("GET", &mark, &[]).0, 404);
}
