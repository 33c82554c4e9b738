//! The commands that look into a running cluster: dead letters, and why a rule says what it says.

use serde_json::{Value, json};
use skyherd::model::{Topic, partition_of};

use super::{Partitioner, Raw, World, WorldOptions, load};
use crate::harness::{DEADLINE, RedisOptions, await_until};
use crate::story::PRODUCTION;

const BROKEN: &[u8] = b"\0\xffnot an event";

/// Inventory shows a group open to the world, with that value of `skyherd:exempt`.
fn group(id: &str, exempt: &str) -> Raw {
    let item = json!({
        "GroupId": id,
        "GroupName": "bastion",
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        "Tags": [{"Key": "skyherd:exempt", "Value": exempt}],
    });
    let record = json!({
        "account": PRODUCTION, "region": "eu-west-1", "kind": "security-group",
        "observed_at": "2026-11-01T00:00:00Z", "item": item,
    });
    Raw {
        topic: Topic::AwsInventory,
        account: PRODUCTION.to_owned(),
        payload: record.to_string().into_bytes(),
    }
}

/// What a command says to the running process `a`, one JSON value a line.
fn say(world: &World, words: &[&str]) -> Vec<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    // Its data directory holds the file that names where the process listens.
    let done = world.command(&words, |config| config.replace("/command'", "/a'"));
    assert_eq!(
        done.code,
        Some(0),
        "{words:?}: {}{}",
        done.stdout,
        done.stderr
    );
    let lines = done.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// The letters listed, once they are so many.
fn letters(world: &World, count: usize) -> Vec<Value> {
    await_until("the list of dead letters", DEADLINE, || {
        let letters = say(world, &["dlq", "list"]);
        (letters.len() == count).then_some(letters)
    })
}

fn place(letter: &Value) -> String {
    format!("{}/{}", letter["partition"], letter["offset"])
}

#[test]
fn dead_letters_and_reasons_are_told_by_a_process_on_kafka_and_redis_cluster() {
    let options = WorldOptions {
        redis: RedisOptions {
            cluster: true,
            ..RedisOptions::default()
        },
        ..WorldOptions::default()
    };
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let broken = Raw {
        topic: Topic::AwsEvents,
        account: PRODUCTION.to_owned(),
        payload: BROKEN.to_vec(),
    };
    let records = [
        group("sg-0a1", "SEC-SG-2 until=2099-01-31 reason=a honeypot"),
        group("sg-0a2", "SEC-SG-2"),
        broken,
    ];
    load(&world.kafka, &records, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();

    let listed = letters(&world, 1);
    let first = place(&listed[0]);
    let home = partition_of(PRODUCTION, partitions);
    assert_eq!(first, format!("{home}/0"), "{listed:?}");
    assert_eq!(listed[0]["topic"], json!("aws.events"));
    let shown = &say(&world, &["dlq", "show", &first])[0];
    assert_eq!(shown["payload"], json!("AP9ub3QgYW4gZXZlbnQ="), "{shown}");
    assert!(
        shown["reason"]
            .as_str()
            .expect("a reason")
            .contains("aws.events")
    );

    say(&world, &["dlq", "replay", &first]);
    let listed = letters(&world, 2);
    let replays: Vec<&Value> = listed.iter().map(|letter| &letter["replays"]).collect();
    assert!(replays.contains(&&json!(1)), "{listed:?}");
    let events = world.kafka.console_consumer(Topic::AwsEvents.as_str());
    let sent = events
        .iter()
        .filter(|event| event.payload.as_deref() == Some(BROKEN));
    assert_eq!(sent.count(), 2, "once loaded, once sent back: {events:?}");

    let places: Vec<String> = listed.iter().map(place).collect();
    say(&world, &["dlq", "drop", &places[0], &places[1]]);
    letters(&world, 0);
    let shown = &say(&world, &["dlq", "show", &first])[0];
    assert_eq!(shown["payload"], json!("AP9ub3QgYW4gZXZlbnQ="), "{shown}");

    let why = |id: &str, rule: &str| {
        let subject = format!("{PRODUCTION}/eu-west-1/security-group/{id}");
        let told = say(&world, &["why", &subject, rule]).remove(0);
        let rule = &told["rules"][0];
        let text = |name: &str| rule[name].as_str().expect("text").to_owned();
        (text("verdict"), text("why"))
    };
    let (verdict, reason) = why("sg-0a1", "SEC-SG-2");
    assert_eq!(verdict, "muted", "{reason}");
    assert!(
        reason.contains("until 2099-01-31T00:00:00Z: a honeypot"),
        "{reason}"
    );
    let (verdict, reason) = why("sg-0a2", "SEC-SG-2");
    assert_eq!(verdict, "open", "{reason}");
    assert!(reason.contains("does not say until when"), "{reason}");
    assert_eq!(why("sg-0a2", "SEC-SG-1").0, "clear");
    assert_eq!(why("sg-0a3", "SEC-SG-2").0, "no_data");
}
