//! What is pushed over HTTP: answered as each protocol says, durable before it is answered, whole.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use skyherd::http::{Access, Certificates, Credential, Fetch, Service as _};
use skyherd::model::{AgentName, FactBody, Message, Topic};
use skyherd::sources::{Decoded, decode};

use super::world::{ACCOUNT, World};
use crate::harness::{DEADLINE, await_until};

const KEY: &str = "a firehose key";

/// Off loopback's openness: nothing is taken without a token.
fn guarded() -> Access {
    let mut access = Access::new(true);
    for (token, write, accounts) in [
        (KEY, true, vec![]),
        ("reader", false, vec![]),
        ("narrow", true, vec!["999".to_owned()]),
    ] {
        let credential = Credential {
            name: token.to_owned(),
            write,
            accounts,
            expires_at: None,
        };
        assert!(access.add(blake3::hash(token.as_bytes()).to_hex().as_str(), credential));
    }
    access
}

fn point(account: &str, volume: &str) -> Value {
    json!({
        "metric_stream_name": "s", "account_id": account, "region": "eu-west-1",
        "namespace": "AWS/EBS", "metric_name": "VolumeReadOps",
        "dimensions": {"VolumeId": volume, "Extra": "e"}, "timestamp": 1_769_860_800_000_i64,
        "value": {"count": 1.0, "sum": 1.0, "min": 1.0, "max": 1.0}, "unit": "Count",
    })
}

fn delivery(id: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let records: Vec<Value> = records
        .iter()
        .map(|record| json!({ "data": STANDARD.encode(record) }))
        .collect();
    json!({ "requestId": id, "timestamp": 1_769_860_800_000_i64, "records": records })
        .to_string()
        .into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

const ARN: &str = "arn:aws:firehose:eu-west-1:111122223333:deliverystream/metrics";

fn deliver(world: &World, id: &str, more: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("x-amz-firehose-protocol-version", "1.0"),
        ("x-amz-firehose-request-id", id),
        ("x-amz-firehose-source-arn", ARN),
    ];
    for (name, value) in more {
        headers.retain(|(own, _)| own != name);
        headers.push((name, value));
    }
    world.send("/ingest/firehose", &headers, body)
}

/// Every record of a topic, by the account in its key.
fn stored(world: &World, topic: Topic) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for partition in 0..world.backend.partitions() {
        world
            .backend
            .scan(topic, partition, 0, 100_000, &mut |record| {
                let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                assert_eq!(
                    skyherd::model::partition_of(&key, world.backend.partitions()),
                    partition
                );
                all.entry(key)
                    .or_default()
                    .push(record.payload.unwrap_or_default().to_vec());
            })
            .unwrap();
    }
    all
}

/// Every series of the metric records, as (namespace, name, dimensions), once each.
fn points(records: &BTreeMap<String, Vec<Vec<u8>>>) -> usize {
    let decoded = records
        .values()
        .flatten()
        .map(|payload| decode(Topic::AwsMetrics, None, Some(payload)));
    decoded
        .map(|decoded| match decoded {
            Ok(Decoded::Message(Message::Facts(facts))) => facts.len(),
            other => panic!("{other:?}"),
        })
        .sum()
}

#[test]
fn a_delivery_is_answered_with_its_id_and_split_by_account() {
    let world = World::open();
    let lines = format!(
        "{}\n{}\n{}\n",
        point("111122223333", "vol-1"),
        point("999", "vol-2"),
        point("111122223333", "vol-3")
    );
    let body = delivery("r-1", &[lines.into_bytes()]);
    let (status, answer) = deliver(&world, "r-1", &[], &body);
    assert_eq!(
        (status, &answer["requestId"]),
        (200, &json!("r-1")),
        "{answer}"
    );
    assert!(
        answer["timestamp"].is_i64() && answer.get("errorMessage").is_none(),
        "{answer}"
    );
    let records = stored(&world, Topic::AwsMetrics);
    assert_eq!(records.keys().collect::<Vec<_>>(), ["111122223333", "999"]);
    assert_eq!(points(&records), 3);
}

#[test]
fn a_delivery_told_again_is_answered_again_and_stored_once() {
    let world = World::open();
    let body = delivery("r-1", &[point(ACCOUNT, "vol-1").to_string().into_bytes()]);
    for packed in [false, true, false] {
        let packed_body = gzip(&body);
        let (more, bytes): (&[_], &[u8]) = if packed {
            (&[("content-encoding", "gzip")], &packed_body)
        } else {
            (&[], &body)
        };
        let (status, answer) = deliver(&world, "r-1", more, bytes);
        assert_eq!(
            (status, &answer["requestId"]),
            (200, &json!("r-1")),
            "{answer}"
        );
    }
    assert_eq!(points(&stored(&world, Topic::AwsMetrics)), 1);
    assert_eq!(
        counted(&world),
        [
            r#"records_total{result="stored",road="firehose"} 1"#,
            r#"requests_total{result="repeated",road="firehose"} 2"#,
            r#"requests_total{result="taken",road="firehose"} 1"#,
        ]
    );
    // The same body under another id is another request.
    assert_eq!(deliver(&world, "r-2", &[], &body).0, 200);
    assert_eq!(points(&stored(&world, Topic::AwsMetrics)), 2);
}

#[test]
fn only_the_access_key_of_a_writer_lets_a_delivery_in_and_it_only_reaches_its_accounts() {
    let world = World::with(&AgentName::ALL, guarded());
    let body = delivery("r-1", &[point(ACCOUNT, "vol-1").to_string().into_bytes()]);
    for (key, status) in [
        (None, 401),
        (Some("wrong"), 401),
        (Some("reader"), 403),
        (Some("narrow"), 403),
        (Some(KEY), 200),
    ] {
        let header = key.map(|key| ("x-amz-firehose-access-key", key));
        let more: Vec<_> = header.into_iter().collect();
        let (got, answer) = deliver(&world, "r-1", &more, &body);
        assert_eq!(got, status, "{key:?}: {answer}");
        assert_eq!(answer["requestId"], "r-1");
        assert_eq!(
            answer.get("errorMessage").is_some(),
            status != 200,
            "{answer}"
        );
        assert_eq!(
            points(&stored(&world, Topic::AwsMetrics)),
            usize::from(status == 200)
        );
    }
}

#[test]
fn a_request_that_is_none_of_firehoses_is_refused_in_its_own_words() {
    let world = World::open();
    let good = delivery("r-1", &[point(ACCOUNT, "vol-1").to_string().into_bytes()]);
    let bomb = gzip(&vec![
        b' ';
        skyherd::http::DECOMPRESSED_BYTES_MAX as usize + 1
    ]);
    let no_id: &[(&str, &str)] = &[("x-amz-firehose-request-id", "")];
    let nameless = br#"{"timestamp":1,"records":[]}"#;
    let named = br#"{"requestId":"r-1","timestamp":1,"records":[{}]}"#;
    for (more, body, status) in [
        (
            &[("x-amz-firehose-protocol-version", "2.0")][..],
            &good[..],
            400,
        ),
        (&[("content-encoding", "br")], &good, 415),
        (&[("content-encoding", "gzip")], &good, 400),
        (&[("content-encoding", "gzip")], &bomb, 413),
        (&[], b"{}", 400),
        (&[], b"no json", 400),
        (&[], br#"{"records":[{}]}"#, 400),
        (no_id, nameless, 400),
        (no_id, named, 400),
    ] {
        let (got, answer) = deliver(&world, "r-1", more, body);
        assert_eq!(got, status, "{more:?}: {answer}");
        let id = if body == nameless { "" } else { "r-1" };
        assert_eq!(answer["requestId"], id, "{more:?}: {answer}");
        assert!(
            answer["errorMessage"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
        assert!(answer["timestamp"].is_i64());
    }
    // Nothing of it counts as an attempt.
    assert_eq!(deliver(&world, "r-1", &[], &good).0, 200);
    assert_eq!(points(&stored(&world, Topic::AwsMetrics)), 1);
}

/// Waits for this many dead letters.
fn letters(world: &World, count: usize) -> Vec<Vec<u8>> {
    await_until("the letters", DEADLINE, || {
        let letters: Vec<_> = stored(world, Topic::DeadLetters)
            .into_values()
            .flatten()
            .collect();
        (letters.len() >= count).then_some(letters)
    })
}

/// The metrics of pushes that are not 0, without their common prefix.
fn counted(world: &World) -> Vec<String> {
    let text = world.handle.metrics().render();
    text.lines()
        .filter_map(|line| line.strip_prefix("skyherd_push_"))
        .filter(|line| !line.ends_with(" 0"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_record_that_cannot_be_read_is_put_aside_byte_for_byte_and_fails_nobody() {
    let world = World::open();
    let half = format!("{}\n{{\"metric_name\": \"half\n", point(ACCOUNT, "vol-2"));
    let long = vec![b'x'; 1_024 * 1_024 + 1];
    let poison: [&[u8]; 7] = [
        b"not for us\n",
        b" {\"metric_name\": \"half\n\n",
        &[1, 2, 3, 0xff],
        &[0x1f, 0x8b, 1],
        b"",
        // What of it can be read is stored all the same.
        half.as_bytes(),
        // More than a record may have, less than a topic takes.
        &long,
    ];
    let mut records: Vec<Vec<u8>> = poison.iter().map(|bytes| bytes.to_vec()).collect();
    records.insert(1, point(ACCOUNT, "vol-1").to_string().into_bytes());
    let mut body: Value = serde_json::from_slice(&delivery("r-1", &records)).unwrap();
    let no_base64 = "{no base64}";
    body["records"][0] = json!({ "data": no_base64 });
    let mut poison = poison.to_vec();
    poison[0] = no_base64.as_bytes();
    let (status, answer) = deliver(&world, "r-1", &[], body.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    let kept = letters(&world, poison.len());
    assert_eq!(kept.len(), poison.len());
    for bytes in poison {
        assert!(
            kept.iter().any(|letter| letter == bytes),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    let well: Vec<_> = stored(&world, Topic::AwsMetrics)
        .into_values()
        .flatten()
        .filter(|payload| decode(Topic::AwsMetrics, None, Some(payload)).is_ok())
        .collect();
    assert_eq!(points(&BTreeMap::from([(String::new(), well)])), 2);
    assert_eq!(
        counted(&world),
        [
            r#"records_total{result="quarantined",road="firehose"} 7"#,
            r#"records_total{result="stored",road="firehose"} 2"#,
            r#"requests_total{result="taken",road="firehose"} 1"#,
        ]
    );
}

#[test]
fn a_record_that_nobody_can_keep_as_it_stood_fails_the_batch_for_good() {
    let world = World::open();
    let huge = vec![b'x'; 2 * 1_024 * 1_024];
    let (status, answer) = deliver(&world, "r-1", &[], &delivery("r-1", &[huge]));
    // Firehose does not try 413 again: the batch goes to its bucket.
    assert_eq!((status, &answer["requestId"]), (413, &json!("r-1")));
}

#[test]
fn what_is_put_aside_for_a_stream_nobody_named_is_found_too() {
    let world = World::open();
    let headers = [("x-amz-firehose-request-id", "r-1")];
    let body = delivery("r-1", &[b"not for us".to_vec()]);
    assert_eq!(world.send("/ingest/firehose", &headers, &body).0, 200);
    assert_eq!(letters(&world, 1), [b"not for us"]);
}

#[test]
fn nothing_reaches_an_account_in_the_dress_of_what_cannot_be_read() {
    let world = World::with(&AgentName::ALL, guarded());
    let event = state_change("1").to_string();
    let smuggled = json!({
        "requestId": "r-1", "timestamp": 1, "records": [{ "data": event }],
    });
    let narrow = [("x-amz-firehose-access-key", "narrow")];
    let (status, answer) = deliver(&world, "r-1", &narrow, smuggled.to_string().as_bytes());
    assert_eq!(status, 403, "{answer}");
    assert!(stored(&world, Topic::AwsEvents).is_empty());
    assert_eq!(
        counted(&world),
        [r#"requests_total{result="refused",road="firehose"} 1"#]
    );
}

#[test]
fn who_may_not_deliver_is_told_so_before_sending_the_batch() {
    let world = World::with(&AgentName::ALL, guarded());
    let mut stream = std::net::TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // The body is announced and never comes.
    let head = "POST /ingest/firehose HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\
                X-Amz-Firehose-Request-Id: r-1\r\nX-Amz-Firehose-Access-Key: wrong\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = vec![0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
}

#[test]
fn a_stream_s_common_attributes_say_whose_a_record_is_that_does_not_say_so() {
    let world = World::open();
    // An answer of Cost Explorer says for what, and not for whom.
    let answer = json!({ "GroupDefinitions": [], "ResultsByTime": [{
        "TimePeriod": { "Start": "2026-11-01", "End": "2026-11-02" }, "Estimated": false, "Groups": [],
        "Total": { "UnblendedCost": { "Amount": "1.5", "Unit": "USD" } },
    }] });
    let body = |id: &str| {
        let data = STANDARD.encode(answer.to_string());
        json!({ "requestId": id, "timestamp": 1, "records": [{ "data": data }] }).to_string()
    };
    let name = "x-amz-firehose-common-attributes";
    for (id, attributes, account) in [
        (
            "1",
            r#"{"commonAttributes":{"account":"444455556666"}}"#,
            "444455556666",
        ),
        (
            "2",
            r#"{"commonAttributes":{"team":"web"}}"#,
            "111122223333",
        ),
    ] {
        let (status, answer) = deliver(&world, id, &[(name, attributes)], body(id).as_bytes());
        assert_eq!(status, 200, "{answer}");
        let held = stored(&world, Topic::AwsBilling);
        let told = held.get(account).and_then(|told| told.last());
        let Ok(Decoded::Message(Message::Facts(facts))) =
            decode(Topic::AwsBilling, None, told.map(Vec::as_slice))
        else {
            panic!("{held:?}");
        };
        assert_eq!(facts[0].subject.account(), account);
    }
    for odd in [
        "account=1",
        r#"{"common":{}}"#,
        r#"{"commonAttributes":{"account":1}}"#,
    ] {
        let (status, answer) = deliver(&world, "3", &[(name, odd)], body("3").as_bytes());
        assert_eq!((status, &answer["requestId"]), (400, &json!("3")));
        let said = answer["errorMessage"].as_str().unwrap();
        assert!(said.contains("X-Amz-Firehose-Common-Attributes"), "{said}");
    }
}

#[test]
fn recorded_deliveries_are_answered_as_the_protocol_says_and_keep_every_dimension() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events/firehose-http-request");
    if !folder.exists() {
        #[allow(clippy::print_stdout, reason = "a test that could not run says so")]
        {
            println!("NOT RUN: the samples {} are absent", folder.display());
        }
        return;
    }
    let world = World::open();
    let (mut expected, mut files) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let recorded: Value =
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let body = recorded["body"].as_str().unwrap();
        let own: Value = serde_json::from_str(body).unwrap();
        let headers: Vec<(String, String)> = recorded["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let named = headers
            .iter()
            .find(|(name, _)| *name == "x-amz-firehose-request-id");
        let id = named.map_or_else(|| own["requestId"].as_str().unwrap(), |(_, id)| id);
        for _ in 0..2 {
            let (status, answer) = world.send("/ingest/firehose", &headers, body.as_bytes());
            assert_eq!(
                (status, &answer["requestId"]),
                (200, &json!(id)),
                "{answer}"
            );
        }
        for record in own["records"].as_array().unwrap() {
            let bytes = STANDARD.decode(record["data"].as_str().unwrap()).unwrap();
            expected += pairs_on_the_wire(&bytes);
        }
        files += 1;
    }
    assert!(files > 0 && expected > 0);
    let mut kept = 0;
    for payload in stored(&world, Topic::AwsMetrics).values().flatten() {
        let Ok(Decoded::Message(Message::Facts(facts))) =
            decode(Topic::AwsMetrics, None, Some(payload))
        else {
            panic!("{}", String::from_utf8_lossy(payload));
        };
        for fact in &facts {
            let FactBody::Metric(point) = &fact.body else {
                panic!("{fact:?}")
            };
            kept += point.dimensions.len();
        }
    }
    assert_eq!(kept, expected);
    assert!(stored(&world, Topic::DeadLetters).is_empty());
}

/// Dimensions in a record of OpenTelemetry metrics, counted without the product's reader: by
/// field numbers alone. In 0.7 each point has two labels more than dimensions, the namespace's
/// and the metric's; in 1.0 dimensions are the pairs inside the attribute `Dimensions`.
fn pairs_on_the_wire(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = varint(&mut bytes) as usize;
        let (request, rest) = bytes.split_at(length);
        bytes = rest;
        for resource in fields(request, 1) {
            for scope in fields(resource, 2) {
                for metric in fields(scope, 2) {
                    for point in fields(metric, 11)
                        .into_iter()
                        .flat_map(|summary| fields(summary, 1))
                    {
                        count += fields(point, 1).len().saturating_sub(2);
                        for attribute in fields(point, 7) {
                            for value in fields(attribute, 2) {
                                count += fields(value, 6)
                                    .into_iter()
                                    .map(|list| fields(list, 1).len())
                                    .sum::<usize>();
                            }
                        }
                    }
                }
            }
        }
    }
    count
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}

/// The length-delimited fields of this number.
fn fields(mut bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        match tag & 7 {
            0 => {
                varint(&mut bytes);
            }
            1 => bytes = &bytes[8..],
            2 => {
                let length = varint(&mut bytes) as usize;
                let (inside, rest) = bytes.split_at(length);
                bytes = rest;
                if tag >> 3 == number {
                    found.push(inside);
                }
            }
            5 => bytes = &bytes[4..],
            other => panic!("wire type {other}"),
        }
    }
    found
}

fn state_change(id: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2", "account": ACCOUNT, "time": "2026-01-31T12:00:00Z",
        "region": "eu-west-1", "resources": [],
        "detail": {"instance-id": "i-0abc", "state": "stopped"}
    })
}

#[test]
fn an_api_destinations_events_and_other_json_of_aws_are_stored_whole_or_not_at_all() {
    let world = World::open();
    let json_body = [("content-type", "application/json; charset=utf-8")];
    let send = |body: &Value| {
        world.send(
            "/ingest/eventbridge",
            &json_body,
            body.to_string().as_bytes(),
        )
    };
    let (status, answer) = send(&state_change("1"));
    assert_eq!((status, &answer["stored"]), (202, &json!(1)), "{answer}");
    let (status, answer) = send(&json!([state_change("2"), point(ACCOUNT, "vol-1")]));
    assert_eq!((status, &answer["stored"]), (202, &json!(2)), "{answer}");
    let (status, answer) = send(
        &json!({"version": "0", "id": "x", "detail-type": "ECR Image Action", "source": "aws.ecr",
        "account": ACCOUNT, "time": "2026-01-31T12:00:00Z", "region": "eu-west-1", "resources": [], "detail": {}}),
    );
    assert_eq!((status, &answer["stored"]), (200, &json!(0)), "{answer}");
    assert!(
        answer["ignored"][0]
            .as_str()
            .unwrap()
            .starts_with("aws.ecr"),
        "{answer}"
    );
    let (status, answer) = send(&json!([state_change("3"), {"no": "kind"}]));
    assert_eq!(
        (status, &answer["code"]),
        (422, &json!("undecodable")),
        "{answer}"
    );
    let events = stored(&world, Topic::AwsEvents);
    assert_eq!(events[ACCOUNT].len(), 2);
    assert_eq!(stored(&world, Topic::AwsMetrics)[ACCOUNT].len(), 1);
    assert_eq!(
        counted(&world),
        [
            r#"records_total{result="ignored",road="eventbridge"} 1"#,
            r#"records_total{result="stored",road="eventbridge"} 3"#,
            r#"requests_total{result="refused",road="eventbridge"} 1"#,
            r#"requests_total{result="taken",road="eventbridge"} 3"#,
        ]
    );
}

#[test]
fn cloudevents_are_taken_structured_batched_and_binary() {
    let world = World::open();
    let structured = json!({
        "specversion": "1.0", "id": "c-1", "source": "urn:relay", "type": "com.example.relayed",
        "time": "2026-01-31T12:00:00Z", "datacontenttype": "application/json", "data": state_change("1"),
    });
    // Attributes that name an AWS event make its envelope.
    let of_aws = json!({
        "specversion": "1.0", "id": "c-2", "source": "aws.ec2", "type": "EC2 Instance State-change Notification",
        "time": "2026-01-31T12:00:00Z", "account": ACCOUNT, "region": "eu-west-1",
        "data": {"instance-id": "i-0abc", "state": "stopped"},
    });
    let send = |media: &str, more: &[(&str, &str)], body: &Value| {
        let mut headers = vec![("content-type", media)];
        headers.extend_from_slice(more);
        world.send("/ingest/cloudevents", &headers, body.to_string().as_bytes())
    };
    let (status, answer) = send("application/cloudevents+json", &[], &structured);
    assert_eq!((status, &answer["stored"]), (202, &json!(1)), "{answer}");
    let (status, answer) = send(
        "application/cloudevents-batch+json",
        &[],
        &json!([structured, of_aws]),
    );
    assert_eq!((status, &answer["stored"]), (202, &json!(2)), "{answer}");
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "c-3"),
        ("ce-source", "urn:relay"),
        ("ce-type", "relayed"),
    ];
    let (status, answer) = send("application/json", &binary, &state_change("3"));
    assert_eq!((status, &answer["stored"]), (202, &json!(1)), "{answer}");
    // What does not fit a header is written in percents, of which there may be plain ones too.
    let of_aws_binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "100%-sure%2"),
        ("ce-source", "aws.ec2"),
        ("ce-type", "EC2%20Instance%20State-change%20Notification"),
        ("ce-account", ACCOUNT),
        ("ce-region", "eu-west-1"),
        ("ce-time", "2026-01-31T12:00:00Z"),
    ];
    let detail = json!({"instance-id": "i-0abc", "state": "stopped"});
    let (status, answer) = send("application/json", &of_aws_binary, &detail);
    assert_eq!((status, &answer["stored"]), (202, &json!(1)), "{answer}");
    assert_eq!(send("application/json", &[], &state_change("4")).0, 415);
    let events = stored(&world, Topic::AwsEvents);
    assert_eq!(events[ACCOUNT].len(), 5);
    let last = String::from_utf8_lossy(events[ACCOUNT].last().unwrap());
    assert!(
        last.contains("EC2 Instance State-change Notification"),
        "{last}"
    );
}

/// What SNS' hosts would answer.
struct Hosts {
    certificate: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fetch for Hosts {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.asked.lock().push(url.to_owned());
        Ok(self.certificate.clone())
    }
}

fn openssl(arguments: &[&str], folder: &Path) {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Signs the message as SNS does.
fn signed(mut message: Value, folder: &Path) -> Value {
    let names: &[&str] = if message["Type"] == "Notification" {
        &[
            "Message",
            "MessageId",
            "Subject",
            "Timestamp",
            "TopicArn",
            "Type",
        ]
    } else {
        &[
            "Message",
            "MessageId",
            "SubscribeURL",
            "Timestamp",
            "Token",
            "TopicArn",
            "Type",
        ]
    };
    let mut text = String::new();
    for name in names {
        if let Some(value) = message[*name].as_str() {
            text.extend([name, "\n", value, "\n"]);
        }
    }
    std::fs::write(folder.join("text"), text).unwrap();
    let digest = if message["SignatureVersion"] == "2" {
        "-sha256"
    } else {
        "-sha1"
    };
    openssl(
        &[
            "dgst",
            digest,
            "-sign",
            "key.pem",
            "-out",
            "signature",
            "text",
        ],
        folder,
    );
    let signature = std::fs::read(folder.join("signature")).unwrap();
    message["Signature"] = STANDARD.encode(signature).into();
    message
}

#[test]
fn sns_is_believed_by_its_signature_and_only_for_topics_that_are_ours() {
    if cfg!(not(feature = "aws")) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    openssl(
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
            "cert.pem", "-days", "2", "-subj", "/CN=sns",
        ],
        folder.path(),
    );
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut access = guarded();
    access.add_topic(&format!("arn:aws:sns:eu-west-1:{ACCOUNT}:*"));
    access.judge_by(Certificates::new(Box::new(Hosts {
        certificate: std::fs::read(folder.path().join("cert.pem")).unwrap(),
        asked: Arc::clone(&asked),
    })));
    let world = World::with(&AgentName::ALL, access);
    let send = |message: &Value| {
        world.send(
            "/ingest/sns",
            &[("content-type", "text/plain; charset=UTF-8")],
            message.to_string().as_bytes(),
        )
    };
    let topic = format!("arn:aws:sns:eu-west-1:{ACCOUNT}:alarms");
    let alarm = json!({
        "AlarmName": "busy", "AWSAccountId": ACCOUNT, "NewStateValue": "ALARM", "OldStateValue": "OK",
        "StateChangeTime": "2026-01-31T12:00:00.006+0000",
        "AlarmArn": format!("arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:busy"),
    });
    let certificate = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem";
    let notification = |version: &str| {
        json!({
            "Type": "Notification", "MessageId": format!("m-{version}"), "TopicArn": topic, "Subject": "ALARM",
            "Message": alarm.to_string(), "Timestamp": "2026-01-31T12:00:01.000Z",
            "SignatureVersion": version, "SigningCertURL": certificate,
        })
    };
    for version in ["1", "2"] {
        let (status, answer) = send(&signed(notification(version), folder.path()));
        assert_eq!(
            (status, &answer["stored"]),
            (200, &json!(1)),
            "{version}: {answer}"
        );
    }
    assert_eq!(asked.lock().len(), 1, "a certificate is fetched once");
    let confirmation = signed(
        json!({
            "Type": "SubscriptionConfirmation", "MessageId": "m-3", "TopicArn": topic, "Token": "t",
            "Message": "You have chosen to subscribe", "Timestamp": "2026-01-31T12:00:01.000Z",
            "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
            "SignatureVersion": "1", "SigningCertURL": certificate,
        }),
        folder.path(),
    );
    let (status, answer) = send(&confirmation);
    assert_eq!(
        (status, &answer["confirmed"]),
        (200, &json!(true)),
        "{answer}"
    );
    assert_eq!(
        asked.lock().last().unwrap(),
        confirmation["SubscribeURL"].as_str().unwrap()
    );
    // Signed by SNS and ours, but of no kind that can be read: put aside as it came.
    let mut budget = notification("1");
    budget["Message"] = "{\"half".into();
    let budget = signed(budget, folder.path());
    let (status, answer) = send(&budget);
    assert_eq!((status, &answer["stored"]), (200, &json!(0)), "{answer}");
    assert_eq!(letters(&world, 1), [budget.to_string().into_bytes()]);
    let heard = asked.lock().len();
    let change = |name: &str, value: &str| {
        let mut message = signed(notification("1"), folder.path());
        message[name] = value.into();
        message
    };
    let elsewhere = "arn:aws:sns:eu-west-1:666666666666:alarms";
    let mut elsewhere_confirmed = confirmation.clone();
    elsewhere_confirmed["SubscribeURL"] = "https://evil.example/?Action=ConfirmSubscription".into();
    let mut foreign = notification("1");
    foreign["TopicArn"] = elsewhere.into();
    for (message, code) in [
        (change("Message", "{}"), "not_signed"),
        (change("Signature", "AAAA"), "not_signed"),
        (change("SignatureVersion", "3"), "not_signed"),
        (
            change(
                "SigningCertURL",
                "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
            ),
            "not_signed",
        ),
        (
            change(
                "SigningCertURL",
                "https://sns.eu-west-1.amazonaws.com/?Action=GetEndpointAttributes&x=.pem",
            ),
            "not_signed",
        ),
        (signed(elsewhere_confirmed, folder.path()), "not_signed"),
        (signed(foreign, folder.path()), "topic_foreign"),
    ] {
        let (status, answer) = send(&message);
        assert_eq!(
            (status, answer["code"].as_str().unwrap()),
            (403, code),
            "{answer}"
        );
    }
    assert_eq!(asked.lock().len(), heard, "no foreign host is asked");
    assert_eq!(
        counted(&world),
        [
            r#"records_total{result="quarantined",road="sns"} 1"#,
            r#"records_total{result="stored",road="sns"} 2"#,
            r#"requests_total{result="refused",road="sns"} 7"#,
            r#"requests_total{result="taken",road="sns"} 4"#,
        ]
    );
}

/// No host answers.
struct Nowhere;

impl Fetch for Nowhere {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        Err(format!("{url}: no route"))
    }
}

#[test]
fn a_message_whose_certificate_cannot_be_had_is_neither_believed_nor_lost() {
    let mut access = guarded();
    let topic = format!("arn:aws:sns:eu-west-1:{ACCOUNT}:alarms");
    access.add_topic(&topic);
    access.judge_by(Certificates::new(Box::new(Nowhere)));
    let world = World::with(&AgentName::ALL, access);
    let message = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": "{}",
        "Timestamp": "2026-01-31T12:00:01.000Z", "SignatureVersion": "1", "Signature": "AAAA",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    });
    let (status, answer) = world.send("/ingest/sns", &[], message.to_string().as_bytes());
    // SNS tries again on 5xx.
    assert_eq!((status, &answer["code"]), (503, &json!("not_verified")));
}
