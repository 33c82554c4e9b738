//! Folders and buckets that are watched: what lies there is told as a replay tells it, and once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use skyherd::model::{FactBody, Message, Topic, Usd};
use skyherd::rules::spend::Spend;
use skyherd::sources::replay::{Options, ReplayError, Settled, Summary, read};
use skyherd::sources::{Decoded, decode};

use super::moto::{Act, Moto, Proxy};
use super::world::World;
use crate::decode::bills::report;
use crate::harness::{DEADLINE, await_until};

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
/// October 2026, which [`report`] bills.
const MONTH: &str = "20261001-20261101";
/// More rows than one batch of the source, so that a part is durable before the whole is read.
const MANY: u32 = 28;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As those do who know that others look: a file is there whole or not at all.
    let aside = path.with_extension("tmp");
    std::fs::write(&aside, bytes).unwrap();
    std::fs::rename(aside, path).unwrap();
}

fn manifest(root: &Path, assembly: &str, files: &[&str]) {
    let keys: Vec<String> = files
        .iter()
        .map(|file| format!("elsewhere/r/{MONTH}/{assembly}/{file}"))
        .collect();
    let text = json!({ "assemblyId": assembly, "reportKeys": keys }).to_string();
    put(
        root,
        &format!("r/{MONTH}/{assembly}/r-Manifest.json"),
        text.as_bytes(),
    );
}

fn bill(root: &Path, assembly: &str, file: &str, accounts: &[&str], days: u32, cost: &str) {
    let text = report(accounts, days, |_| cost.to_owned());
    let name = format!("r/{MONTH}/{assembly}/{file}");
    put(root, &name, &gzipped(text.as_bytes()));
}

/// A log file of CloudTrail.
fn trail(names: &[&str]) -> Vec<u8> {
    let records: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "eventVersion": "1.10", "eventID": format!("e-{name}"), "eventName": name,
                "eventSource": "ec2.amazonaws.com", "eventTime": "2026-10-03T00:00:00Z",
                "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNTS[0], "eventType": "AwsApiCall",
                "userIdentity": { "type": "Root", "accountId": ACCOUNTS[0], "arn": format!("arn:aws:iam::{}:root", ACCOUNTS[0]) },
                "sourceIPAddress": "198.51.100.7", "requestParameters": { "groupId": "sg-1" },
            })
        })
        .collect();
    gzipped(json!({ "Records": records }).to_string().as_bytes())
}

/// What Firehose backs up of a metric stream.
fn points() -> Vec<u8> {
    let mut text = String::new();
    for minute in 0..30 {
        let point = json!({
            "metric_stream_name": "s", "account_id": ACCOUNTS[1], "region": "eu-west-1", "namespace": "AWS/EC2",
            "metric_name": "CPUUtilization", "dimensions": { "InstanceId": "i-1" }, "timestamp": 1_791_000_000_000_i64 + minute * 60_000,
            "value": { "count": 1.0, "sum": 7.5, "min": 7.5, "max": 7.5 }, "unit": "Percent",
        });
        let _ = writeln!(text, "{point}");
    }
    gzipped(text.as_bytes())
}

/// What the cost agent makes of a log: what each account spent on each day.
fn spent(records: &[Value]) -> BTreeMap<(String, i64), Usd> {
    let mut spends: BTreeMap<(String, String), Spend> = BTreeMap::new();
    for record in records {
        let payload = record.to_string();
        let decoded = decode(Topic::AwsBilling, None, Some(payload.as_bytes()));
        let Ok(Decoded::Message(Message::Facts(facts))) = decoded else {
            panic!("{payload}: {decoded:?}");
        };
        for fact in facts {
            let (account, subject) = (fact.subject.account().to_owned(), fact.subject.to_string());
            match fact.body {
                FactBody::Cost(line) => {
                    let spend = spends.entry((account, subject)).or_default();
                    spend.stage(&line, line.place.as_ref().expect("a row of a delivery"));
                }
                FactBody::Delivered(delivered) => {
                    for ((of, _), spend) in &mut spends {
                        if *of == account {
                            spend.deliver(&delivered);
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let mut all = BTreeMap::new();
    for ((account, _), spend) in &spends {
        for day in 20_000..21_500 {
            if let Some(sum) = spend.day(day) {
                *all.entry((account.clone(), day)).or_default() += sum;
            }
        }
    }
    all
}

/// Everything of one account's month.
fn month(world: &World, account: &str) -> Usd {
    let spent = spent(&world.records("aws.billing"));
    let of = spent.iter().filter(|((of, _), _)| of == account);
    of.map(|(_, sum)| *sum).sum()
}

fn cents(text: &str) -> Usd {
    Usd::new(text.parse().unwrap())
}

/// What a topic holds, without what names a delivery.
fn said(records: Vec<Value>) -> Vec<String> {
    let mut all: Vec<String> = records
        .into_iter()
        .map(|mut record| {
            if let Some(row) = record.as_object_mut() {
                row.remove("x_skyherd_row");
                row.remove("x_skyherd_delivered");
            }
            record.to_string()
        })
        .collect();
    all.sort();
    all
}

/// What a replay of a folder publishes on a topic.
fn replayed(root: &Path, topic: Topic) -> Vec<Value> {
    let mut all = Vec::new();
    read(&[root.to_owned()], &Options::default(), |record| {
        if record.topic == topic && !matches!(record.settled, Some(Settled::Ignored(_))) {
            all.push(record.payload);
        }
        Ok::<_, ReplayError>(())
    })
    .unwrap();
    let decoded = all
        .into_iter()
        .filter(|payload| matches!(decode(topic, None, Some(payload)), Ok(Decoded::Message(_))));
    decoded
        .map(|payload| serde_json::from_slice(&payload).unwrap())
        .collect()
}

fn errors(world: &World) -> Vec<String> {
    let rows = world.sources();
    let errors = rows
        .iter()
        .flat_map(|row| row["errors"].as_array().unwrap());
    errors
        .map(|error| error.as_str().unwrap().to_owned())
        .collect()
}

/// Waits until a round ended that began or went on now: what it read is known to be taken.
fn await_round(world: &World) {
    let last = |world: &World| world.sources()[0]["last_success"].clone();
    let before = last(world);
    await_until("a round ends", DEADLINE, || {
        (last(world) != before).then_some(())
    });
}

/// Files below a folder.
fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                count_files(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

fn watched(from: &str) -> String {
    // Reports about the process itself would stand among the events.
    format!("[[files]]\nfrom = '{from}'\ninterval_ms = 1000\n[watch]\ninterval_ms = 0")
}

#[test]
fn a_folder_is_told_as_a_replay_tells_it_and_half_a_bill_waits() {
    let files = tempfile::tempdir().unwrap();
    let root = files.path();
    put(
        root,
        "AWSLogs/CloudTrail/a.json.gz",
        &trail(&["StopInstances", "StartInstances"]),
    );
    put(root, "backup/points.gz", &points());
    put(root, "backup/broken.json", b"{\"Records\": [");
    bill(root, "a1", "r-1.csv.gz", &ACCOUNTS, 3, "1.25");
    manifest(root, "a1", &["r-1.csv.gz", "r-2.csv.gz"]);
    let world = World::new("http://127.0.0.1:9", &watched(root.to_str().unwrap()));
    let mut skyherd = world.run();
    await_until("what the delivery waits for is named", DEADLINE, || {
        let errors = errors(&world);
        errors
            .iter()
            .any(|error| error.contains("r-2.csv.gz, which is not there"))
            .then_some(())
    });
    assert_eq!(
        world.records("aws.billing"),
        [] as [Value; 0],
        "half a bill"
    );
    bill(root, "a1", "r-2.csv.gz", &ACCOUNTS[..1], 3, "0.75");
    await_until("the bill is whole", DEADLINE, || {
        (month(&world, ACCOUNTS[0]) == cents("6") && month(&world, ACCOUNTS[1]) == cents("3.75"))
            .then_some(())
    });
    for topic in [Topic::AwsBilling, Topic::AwsEvents] {
        let told: Vec<Value> = world.records(topic.as_str());
        let told = told.into_iter().filter(Value::is_object).collect();
        assert_eq!(said(told), said(replayed(root, topic)), "{topic}");
    }
    assert_eq!(replayed(root, Topic::AwsEvents).len(), 2);
    assert_eq!(world.records("aws.metrics").len(), 30, "a point a minute");
    await_until("the broken file is put aside", DEADLINE, || {
        (world.records("dead-letters").len() == 1).then_some(())
    });
    // A second delivery of the month replaces the first, also for whom it has nothing of any more.
    bill(root, "a2", "r-1.csv.gz", &ACCOUNTS[..1], 2, "0.5");
    manifest(root, "a2", &["r-1.csv.gz"]);
    await_until("the month is another", DEADLINE, || {
        (month(&world, ACCOUNTS[0]) == cents("1") && month(&world, ACCOUNTS[1]) == cents("0"))
            .then_some(())
    });
    await_round(&world);
    let told = |topic: &str| world.records(topic).len();
    let before = (told("aws.billing"), told("aws.metrics"));
    skyherd.stop();
    put(
        root,
        "AWSLogs/CloudTrail/b.json.gz",
        &trail(&["TerminateInstances"]),
    );
    let mut again = world.run();
    await_until("what came meanwhile is told", DEADLINE, || {
        world
            .records("aws.events")
            .iter()
            .any(|event| event.to_string().contains("TerminateInstances"))
            .then_some(())
    });
    world.await_whole(1);
    assert_eq!(
        (told("aws.billing"), told("aws.metrics")),
        before,
        "nothing is told twice"
    );
    // A restart knows whom the delivery before was of.
    bill(root, "a3", "r-1.csv.gz", &ACCOUNTS[1..2], 2, "0.25");
    manifest(root, "a3", &["r-1.csv.gz"]);
    await_until("the month is the other's", DEADLINE, || {
        (month(&world, ACCOUNTS[0]) == cents("0") && month(&world, ACCOUNTS[1]) == cents("0.5"))
            .then_some(())
    });
    again.stop();
}

/// Puts every file of a folder into a bucket, in order of name.
fn upload(moto: &Moto, root: &Path) {
    moto.python(&format!(
        r#"
import os
s3 = client("s3")
if "bills" not in [b["Name"] for b in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket="bills", CreateBucketConfiguration={{"LocationConstraint": "eu-west-1"}})
for folder, _, names in sorted(os.walk("{root}")):
    for name in sorted(names):
        path = os.path.join(folder, name)
        s3.upload_file(path, "bills", "deep/" + os.path.relpath(path, "{root}"))
"#,
        root = root.display()
    ));
}

/// What a column holds on a day.
type Cell<'a> = Box<dyn Fn(u32) -> String + 'a>;

/// FOCUS in Parquet, a row a day.
fn parquet(account: &str, days: u32, cost: &str) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let day = |day: u32| format!("2026-09-{day:02}T00:00:00Z");
    let columns: [(&str, Cell<'_>); 7] = [
        ("ProviderName", Box::new(|_| "AWS".to_owned())),
        ("SubAccountId", Box::new(|_| account.to_owned())),
        ("ServiceName", Box::new(|_| "Amazon S3".to_owned())),
        ("SkuId", Box::new(|_| "sku".to_owned())),
        ("BilledCost", Box::new(|_| cost.to_owned())),
        ("ChargePeriodStart", Box::new(day)),
        ("ChargePeriodEnd", Box::new(move |at| day(at + 1))),
    ];
    let mut fields = String::new();
    for (name, _) in &columns {
        let _ = write!(fields, "REQUIRED BYTE_ARRAY {name} (UTF8);");
    }
    let schema = parse_message_type(&format!("message bill {{ {fields} }}")).unwrap();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, cell) in &columns {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = (1..=days).map(|at| cell(at).as_str().into()).collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, None, None)
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_bucket_s_bills_and_logs_arrive_whatever_the_network_does() {
    let Some(moto) = Moto::start() else { return };
    let files = tempfile::tempdir().unwrap();
    let root = files.path();
    bill(root, "a1", "r-1.csv.gz", &ACCOUNTS, 3, "1.25");
    bill(root, "a1", "r-2.csv.gz", &ACCOUNTS[..1], 3, "0.75");
    manifest(root, "a1", &["r-1.csv.gz", "r-2.csv.gz"]);
    put(
        root,
        "focus/data/BILLING_PERIOD=2026-09/f-1.parquet",
        &parquet("777788889999", 4, "2.5"),
    );
    put(
        root,
        "AWSLogs/CloudTrail/a.json.gz",
        &trail(&["StopInstances"]),
    );
    upload(&moto, root);
    let proxy = Proxy::start(&moto, |asked| match (asked.action.as_str(), asked.before) {
        ("ListObjectsV2" | "GetObject", 0) => Act::Refuse(503, "SlowDown"),
        ("ListObjectsV2" | "GetObject", 1) => Act::Reset,
        ("GetObject", 2) => Act::Refuse(500, "InternalError"),
        ("GetObject", 3) => Act::Cut,
        _ => Act::Pass,
    });
    let world = World::new(&proxy.url(), &watched("s3://bills/deep"));
    let mut skyherd = world.run();
    world.await_whole(1);
    await_until("the bill without a manifest has rested", DEADLINE, || {
        (month(&world, "777788889999") == cents("10")).then_some(())
    });
    assert_eq!(month(&world, ACCOUNTS[0]), cents("6"));
    assert_eq!(month(&world, ACCOUNTS[1]), cents("3.75"));
    assert_eq!(world.records("aws.events").len(), 1);
    assert!(proxy.count("GetObject") > 5, "it was asked again");
    assert_eq!(proxy.count("WriteObject"), 0, "nothing is written");
    let shown = world.command(&["sources"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("s3://bills/deep"), "{}", shown.stdout);
    let second = tempfile::tempdir().unwrap();
    bill(second.path(), "a2", "r-1.csv.gz", &ACCOUNTS, 2, "0.5");
    manifest(second.path(), "a2", &["r-1.csv.gz"]);
    upload(&moto, second.path());
    await_until("the month is another", DEADLINE, || {
        (month(&world, ACCOUNTS[0]) == cents("1") && month(&world, ACCOUNTS[1]) == cents("1"))
            .then_some(())
    });
    assert_eq!(month(&world, "777788889999"), cents("10"));
    await_round(&world);
    assert_eq!(
        count_files(&world.data().join("spool")),
        0,
        "copies are gone"
    );
    skyherd.stop();
}

#[test]
fn killed_within_a_delivery_it_ends_up_where_it_would_have() {
    let Some(moto) = Moto::start() else { return };
    let files = tempfile::tempdir().unwrap();
    let root = files.path();
    let accounts: Vec<String> = (0..40)
        .map(|number| format!("1000000000{number:02}"))
        .collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    bill(root, "a1", "r-1.csv.gz", &accounts, MANY, "0.5");
    bill(root, "a1", "r-2.csv.gz", &accounts, MANY, "0.25");
    manifest(root, "a1", &["r-1.csv.gz", "r-2.csv.gz"]);
    upload(&moto, root);
    // The second file hangs until the process is gone.
    let proxy = Proxy::start(&moto, |asked| {
        if asked.action == "GetObject" && asked.body.contains("r-2.csv.gz") {
            Act::Slow(std::time::Duration::from_mins(10))
        } else {
            Act::Pass
        }
    });
    let world = World::new(&proxy.url(), &watched("s3://bills"));
    let mut skyherd = world.run();
    await_until("rows are durable", DEADLINE, || {
        (!world.records("aws.billing").is_empty()).then_some(())
    });
    assert!(
        spent(&world.records("aws.billing")).is_empty(),
        "no month is taken before its end"
    );
    skyherd.kill();
    proxy.set(|_| Act::Pass);
    let mut again = world.run();
    world.await_whole(1);
    let whole = spent(&world.records("aws.billing"));
    assert_eq!(whole.len(), accounts.len() * MANY as usize);
    assert!(whole.values().all(|sum| *sum == cents("0.75")), "{whole:?}");
    // Killed once more, now that all is done: nothing is told again.
    let told = world.records("aws.billing").len();
    again.kill();
    let mut last = world.run();
    world.await_whole(1);
    assert_eq!(world.records("aws.billing").len(), told);
    last.stop();
}

#[test]
fn a_bucket_is_replayed_as_its_files_are_and_one_that_refuses_is_named() {
    let Some(moto) = Moto::start() else { return };
    let files = tempfile::tempdir().unwrap();
    let root = files.path();
    bill(root, "a1", "r-1.csv.gz", &ACCOUNTS, 3, "1.25");
    put(
        root,
        "AWSLogs/CloudTrail/a.json.gz",
        &trail(&["StopInstances", "StartInstances"]),
    );
    put(root, "points.gz", &points());
    upload(&moto, root);
    let world = World::new(&moto.url(), "");
    let mut local = Summary::default();
    read(&[root.to_owned()], &Options::default(), |record| {
        let _fate = local.take(&record);
        Ok::<_, ReplayError>(())
    })
    .unwrap();
    let ended = world.ask(&["replay", "--summary", "s3://bills/deep"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let local = serde_json::to_value(&local).unwrap();
    for name in [
        "files",
        "read",
        "decoded",
        "ignored",
        "dead_lettered",
        "kinds",
        "deliveries",
    ] {
        assert_eq!(told[name], local[name], "{name}");
    }
    let ended = world.ask(&["replay", "--summary", "s3://nobodys"]);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("s3:ListBucket of nobodys"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_live_check_lists_each_bucket_and_names_the_policy_that_lacks() {
    let Some(moto) = Moto::start() else { return };
    let files = tempfile::tempdir().unwrap();
    put(
        files.path(),
        "AWSLogs/CloudTrail/a.json.gz",
        &trail(&["StopInstances"]),
    );
    upload(&moto, files.path());
    let proxy = Proxy::start(&moto, |_| Act::Pass);
    let world = World::new(&proxy.url(), &watched("s3://bills/deep"));
    let ended = world.ask(&["check", "--live"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    proxy.set(|asked| match asked.action.as_str() {
        "GetObject" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let ended = world.ask(&["check", "--live"]);
    assert_ne!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("s3:GetObject"), "{}", ended.stdout);
}
