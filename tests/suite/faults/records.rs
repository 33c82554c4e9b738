//! Records that are not as they should be.

use std::collections::{BTreeMap, BTreeSet};

use crate::story::{DEVELOPMENT, PRODUCTION, StoryOptions};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use skyherd::model::{Timestamp, Topic, partition_of};

use super::{Ending, Partitioner, Raw, World, WorldOptions, load, outsider, story, story_split};
use crate::harness::{Broker, DEADLINE, Record};

const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 1,
    seed: 1,
};

/// Where and from where a forwarded record tells that it came.
const ORIGIN: &str = "skyherd_origin";

#[test]
fn an_event_of_2099_fires_nothing_and_holds_up_nobody() {
    let options = WorldOptions::default();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let before = recent_past();
    load(&world.kafka, &before, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    let far = Timestamp::parse("2099-12-31T23:59:59Z").expect("a time");
    let ahead = [
        cpu(far),
        state_change("i-0a0000000000000a1", "running", far),
    ];
    load(&world.kafka, &ahead, Partitioner::Murmur2);
    world.await_quiesced();
    for topic in [Topic::AwsMetrics, Topic::AwsEvents] {
        for agent in skyherd::topology::readers(topic) {
            let labels = [("agent", agent), ("topic", topic.as_str())];
            let clamped = world.metric_of("a", "skyherd_event_times_clamped_total", &labels);
            assert_eq!(clamped, 1, "{agent} {topic}");
        }
    }
    let after = vec![opened_to_the_world(ago(30))];
    load(&world.kafka, &after, Partitioner::Murmur2);
    world.await_quiesced();
    let ending = world.ending();
    // Neither of the two waits that a clock in 2099 would end is over.
    let held = |rule: &str| ending.findings.values().any(|line| line.starts_with(rule));
    assert!(held("SEV-3 "), "the root finding has expired: {ending:#?}");
    assert!(!held("RES-LIFE-2 "), "30 days have passed: {ending:#?}");
    assert!(held("SEC-SG-2 "), "the record after it: {ending:#?}");
    let records = [before, after].concat();
    ending.assert_equals(&Ending::embedded(&records, partitions), "an event of 2099");
}

/// Minutes before now.
fn ago(minutes: i64) -> Timestamp {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("it is after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("it is before the year 292 million");
    // Whole minutes, as the providers' times have no more than seconds.
    Timestamp::from_ms(now_ms / Timestamp::MINUTE * Timestamp::MINUTE)
        .plus(-minutes * Timestamp::MINUTE)
}

/// Two hours in which two waits begin: a stopped instance is told of after 30 days, and the use of root is forgotten
/// after one.
fn recent_past() -> Vec<Raw> {
    let stopped = instance("i-0a0000000000000a2", "stopped", ago(110));
    let root = json!({"type": "Root", "arn": format!("arn:aws:iam::{PRODUCTION}:root"), "accountId": PRODUCTION});
    vec![
        instance("i-0a0000000000000a1", "running", ago(120)),
        state_change("i-0a0000000000000a2", "stopped", ago(111)),
        stopped,
        call("iam", "CreateAccessKey", &root, &json!({}), ago(100)),
        cpu(ago(90)),
    ]
}

fn raw(topic: Topic, value: &Value) -> Raw {
    Raw {
        topic,
        account: PRODUCTION.to_owned(),
        payload: value.to_string().into_bytes(),
    }
}

fn instance(id: &str, state: &str, at: Timestamp) -> Raw {
    let item = json!({
        "InstanceId": id,
        "InstanceType": "m5.large",
        "LaunchTime": "2026-08-01T08:00:00Z",
        "State": {"Name": state},
        "SecurityGroups": [],
        "BlockDeviceMappings": [],
        "Tags": [],
    });
    raw(
        Topic::AwsInventory,
        &json!({"account": PRODUCTION, "region": "eu-west-1", "kind": "instance", "observed_at": at.to_string(), "item": item}),
    )
}

fn cpu(at: Timestamp) -> Raw {
    raw(
        Topic::AwsMetrics,
        &json!({
            "metric_stream_name": "test",
            "account_id": PRODUCTION,
            "region": "eu-west-1",
            "namespace": "AWS/EC2",
            "metric_name": "CPUUtilization",
            "dimensions": {"InstanceId": "i-0a0000000000000a1"},
            "timestamp": at.ms(),
            "value": {"count": 1.0, "sum": 40.0, "max": 40.0, "min": 40.0},
            "unit": "Percent",
        }),
    )
}

fn state_change(id: &str, state: &str, at: Timestamp) -> Raw {
    raw(
        Topic::AwsEvents,
        &json!({
            "version": "0",
            "id": format!("{id}-{state}"),
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2",
            "account": PRODUCTION,
            "time": at.to_string(),
            "region": "eu-west-1",
            "resources": [format!("arn:aws:ec2:eu-west-1:{PRODUCTION}:instance/{id}")],
            "detail": {"instance-id": id, "state": state},
        }),
    )
}

fn opened_to_the_world(at: Timestamp) -> Raw {
    let group = json!({
        "GroupId": "sg-0a0000000000000a2",
        "GroupName": "bastion",
        "VpcId": "vpc-0123456789abcdef0",
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "UserIdGroupPairs": []}],
        "IpPermissionsEgress": [],
    });
    raw(
        Topic::AwsInventory,
        &json!({"account": PRODUCTION, "region": "eu-west-1", "kind": "security-group", "observed_at": at.to_string(), "item": group}),
    )
}

fn call(service: &str, name: &str, identity: &Value, request: &Value, at: Timestamp) -> Raw {
    raw(
        Topic::AwsEvents,
        &json!({
            "version": "0",
            "id": format!("call-{name}"),
            "detail-type": "AWS API Call via CloudTrail",
            "source": format!("aws.{service}"),
            "account": PRODUCTION,
            "time": at.to_string(),
            "region": "us-east-1",
            "resources": [],
            "detail": {
                "eventVersion": "1.10",
                "eventID": format!("call-{name}"),
                "eventName": name,
                "eventSource": format!("{service}.amazonaws.com"),
                "eventTime": at.to_string(),
                "eventType": "AwsApiCall",
                "awsRegion": "us-east-1",
                "recipientAccountId": PRODUCTION,
                "sourceIPAddress": "203.0.113.7",
                "userIdentity": identity,
                "requestParameters": request,
                "responseElements": null,
            },
        }),
    )
}

/// A record that no source would write: key, payload, headers.
type Poison = (Option<Vec<u8>>, Vec<u8>, Vec<(&'static str, Vec<u8>)>);

fn poison() -> Vec<Poison> {
    let account = || Some(PRODUCTION.as_bytes().to_vec());
    vec![
        (
            account(),
            b"\0\xff\xfe{ not JSON\r\n\0".to_vec(),
            vec![("trace", b"\0\xff\n".to_vec()), ("empty", Vec::new())],
        ),
        (None, b"no key, no headers".to_vec(), Vec::new()),
        (
            None,
            (0..=255).collect(),
            vec![("twice", b"1".to_vec()), ("twice", b"2".to_vec())],
        ),
        (Some(b"\0\xc3\x28".to_vec()), b"{}".to_vec(), Vec::new()),
        (account(), Vec::new(), Vec::new()),
        (account(), b"[".repeat(100_000), Vec::new()),
        // Nearly as large as the topics take.
        (
            account(),
            b"\xf0\x9f\0".repeat(680_000),
            vec![("k", b"v".to_vec())],
        ),
    ]
}

#[test]
fn poison_is_kept_byte_for_byte_once_and_the_rest_goes_on() {
    let options = WorldOptions::default();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let records = story(StoryOptions {
        days: 3,
        period_minutes: 240,
        ..StoryOptions::default()
    });
    let half = records.len() / 2;
    load(&world.kafka, &records[..half], Partitioner::Murmur2);
    let producer: BaseProducer = outsider(&world.kafka)
        .set("message.max.bytes", "2097152")
        .create()
        .expect("a producer can be made");
    for topic in Topic::RAW {
        for (key, payload, headers) in &poison() {
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: Some(value),
                    })
                });
            let mut record = BaseRecord::<[u8], [u8]>::to(topic.as_str())
                .payload(payload)
                .headers(headers);
            match key {
                Some(key) => record = record.key(key),
                None => record = record.partition(3),
            }
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("taken");
        }
    }
    producer.flush(DEADLINE).expect("the broker takes them");
    load(&world.kafka, &records[half..], Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();

    let mut expected = Vec::new();
    for topic in Topic::RAW {
        let loaded: BTreeSet<&[u8]> = records.iter().map(|raw| &raw.payload[..]).collect();
        for record in world.kafka.console_consumer(topic.as_str()) {
            let payload = record.payload.as_deref().unwrap_or_default();
            if !loaded.contains(payload) {
                expected.push((topic, record));
            }
        }
    }
    assert_eq!(expected.len(), Topic::RAW.len() * poison().len());
    let mut letters = world.kafka.console_consumer(Topic::DeadLetters.as_str());
    for (topic, record) in &expected {
        let place = format!("{topic} {}/{}", record.partition, record.offset);
        let found: Vec<usize> = letters
            .iter()
            .enumerate()
            .filter(|(_, letter)| stood_at(letter, *topic, record))
            .map(|(index, _)| index)
            .collect();
        let [index] = found[..] else {
            panic!("{} dead letters for {place}", found.len());
        };
        let letter = letters.swap_remove(index);
        assert_eq!(letter.key, record.key, "{place}");
        assert!(
            letter.payload == record.payload,
            "{place}: not byte for byte"
        );
        assert_eq!(
            letter.headers[..record.headers.len()],
            record.headers[..],
            "{place}"
        );
        let reason = letter.header("skyherd_reason").expect("a reason");
        assert!(!reason.is_empty(), "{place}");
    }
    assert!(letters.is_empty(), "dead letters of nothing: {letters:?}");
    let counted = world.metric("a", "skyherd_dead_letters_total");
    assert_eq!(counted, expected.len() as u64);
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "poison");
}

fn stood_at(letter: &Record, topic: Topic, record: &Record) -> bool {
    letter.header("skyherd_topic") == Some(topic.as_str())
        && letter.header("skyherd_partition") == Some(&record.partition.to_string())
        && letter.header("skyherd_offset") == Some(&record.offset.to_string())
}

#[test]
fn misplaced_and_keyless_records_are_forwarded_once_and_in_order() {
    let options = WorldOptions::default();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let records = story(STORY);
    let (first, rest) = story_split(STORY, 1);
    world.run("a", None);
    // Each topic is forwarded by another agent, at its own pace. The first look at the things goes ahead: metrics that
    // run days ahead of it would rightly be judged by none of the rules that must know the thing.
    for part in [&first, &rest] {
        load(&world.kafka, part, Partitioner::Crc32);
        world.await_quiesced();
    }
    // A key keeps an account's records of a topic together, and so in order, wherever it leads. Records without one
    // are strewn over all partitions: another look at the things of the last day can bear that.
    let keyless: Vec<Raw> = story_split(STORY, STORY.days - 1)
        .1
        .into_iter()
        .filter(|raw| raw.topic == Topic::AwsInventory)
        .map(|raw| Raw {
            account: String::new(),
            ..raw
        })
        .collect();
    load(&world.kafka, &keyless, Partitioner::Crc32);
    world.await_quiesced();
    let mut misplaced = 0;
    for topic in Topic::RAW {
        misplaced += assert_forwarded(&world.kafka, topic, &records, partitions);
    }
    assert!(misplaced > records.len() / 2, "{misplaced} were misplaced");
    let forwarded = [("result", "forwarded")];
    let counted = world.metric_of("a", "skyherd_records_misplaced_total", &forwarded);
    assert_eq!(counted, misplaced as u64);
    assert_eq!(world.metric("a", "skyherd_dead_letters_total"), 0);
    let undisturbed = Ending::embedded(&records, partitions);
    world
        .ending()
        .without_openings()
        .assert_equals(&undisturbed.without_openings(), "CRC32 keys and none");
}

/// Every record of the topic stands in its account's partition in the end, those that did not at first exactly once
/// more and, of each pair of partitions, in their order; gives how many those were.
fn assert_forwarded(broker: &Broker, topic: Topic, records: &[Raw], partitions: u32) -> usize {
    let accounts: BTreeMap<&[u8], &str> = records
        .iter()
        .filter(|raw| raw.topic == topic)
        .map(|raw| (&raw.payload[..], &raw.account[..]))
        .collect();
    let (copies, originals): (Vec<Record>, Vec<Record>) = broker
        .console_consumer(topic.as_str())
        .into_iter()
        .partition(|record| record.header(ORIGIN).is_some());
    let payload = |record: &Record| record.payload.clone().unwrap_or_default();
    let home = |record: &Record| {
        let account = accounts[&payload(record)[..]];
        (account.to_owned(), partition_of(account, partitions) as i32)
    };
    let misplaced: BTreeMap<(i32, i64), &Record> = originals
        .iter()
        .filter(|record| record.partition != home(record).1)
        .map(|record| ((record.partition, record.offset), record))
        .collect();
    let mut last: BTreeMap<(i32, i32), i64> = BTreeMap::new();
    for copy in &copies {
        let text = copy.header(ORIGIN).expect("partitioned by it");
        let parts: Vec<&str> = text.split('/').collect();
        let (from, offset) = match parts[..] {
            [named, from, offset] if named == topic.as_str() => {
                (from.parse::<i32>().unwrap(), offset.parse::<i64>().unwrap())
            }
            _ => panic!("{text:?} names no place in {topic}"),
        };
        let original = misplaced
            .get(&(from, offset))
            .unwrap_or_else(|| panic!("{text} was not misplaced"));
        assert_eq!(payload(copy), payload(original), "{text}");
        let (account, partition) = home(copy);
        assert_eq!(copy.partition, partition, "{text}");
        assert_eq!(copy.key.as_deref(), Some(account.as_bytes()), "{text}");
        // Records come ordered by partition and offset, so a repetition shows as an offset that is not higher.
        let last = last.entry((from, copy.partition)).or_insert(-1);
        assert!(offset > *last, "{text} after {last}");
        *last = offset;
    }
    assert_eq!(copies.len(), misplaced.len(), "{topic}");
    misplaced.len()
}
