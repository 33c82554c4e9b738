//! What goes on beside the work: Kafka compacts topics, and the machine of a single process is switched off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::story::StoryOptions;
use skyherd::model::{AgentName, Recommendation, Topic};

use super::{Ending, Partitioner, Raw, World, WorldOptions, load, outsider, story};
use crate::harness::proc::get;
use crate::harness::{Broker, DEADLINE, KafkaOptions, Proc, Record, await_until, free_port};

const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 720,
    copies: 1,
    seed: 1,
};
const PARTITIONS: u32 = 8;

#[test]
fn a_compacted_topic_still_holds_every_live_id() {
    let mut options = WorldOptions {
        partitions: PARTITIONS,
        ..WorldOptions::default()
    };
    let properties = &mut options.kafka.properties;
    properties.insert("log.cleaner.backoff.ms".to_owned(), "100".to_owned());
    let Some(mut world) = World::start(options) else {
        return;
    };
    let records = story(STORY);
    load(&world.kafka, &records, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    let served = recommendations(world.listen("a"));
    world.stop("a");
    let written = row_topics().map(|topic| (topic, rows(&world.kafka, topic)));
    let mut written = BTreeMap::from(written);
    let before = Ending::read(|topic| written[&topic].clone());
    let undisturbed = Ending::embedded(&records, PARTITIONS);
    before.assert_equals(&undisturbed, "before compaction");
    assert_eq!(served, before.recommendations);
    written.retain(|_, records| superseded(records) > 0);
    let rewritten: Vec<Topic> = written.into_keys().collect();
    assert!(rewritten.contains(&Topic::Recommendations), "{rewritten:?}");
    assert!(rewritten.len() > 1, "{rewritten:?}");

    compact_at_once(&world.kafka);
    let compacted = row_topics().map(|topic| {
        let compacted = await_until("Kafka removes every superseded row", DEADLINE, || {
            let records = rows(&world.kafka, topic);
            (superseded(&records) == 0).then_some(records)
        });
        (topic, compacted)
    });
    let compacted = BTreeMap::from(compacted);
    Ending::read(|topic| compacted[&topic].clone()).assert_equals(&before, "compacted");

    world.run("b", None);
    world.await_quiesced();
    assert_eq!(recommendations(world.listen("b")), before.recommendations);
}

fn row_topics() -> [Topic; AgentName::ALL.len()] {
    AgentName::ALL.map(Topic::written_by)
}

/// The key of rows that are nobody's: what is appended so that segments end.
const NOBODYS: &[u8] = b"nobodys";

/// What a topic holds of rows that are somebody's.
fn rows(broker: &Broker, topic: Topic) -> Vec<Record> {
    let mut records = broker.console_consumer(topic.as_str());
    records.retain(|record| record.key.as_deref() != Some(NOBODYS));
    records
}

/// How many of the records have another one of the same key.
fn superseded(records: &[Record]) -> usize {
    let keys: BTreeSet<_> = records.iter().map(|record| &record.key).collect();
    records.len() - keys.len()
}

/// Has Kafka compact the topics of rows as soon as it can. It never touches the segment it appends to, so one more
/// record ends that of every partition: the tombstone of a row that never was.
fn compact_at_once(broker: &Broker) {
    let client: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &broker.bootstrap)
        .create()
        .expect("a client can be made");
    let names = row_topics().map(Topic::as_str);
    let wanted = names.map(|name| {
        AlterConfig::new(ResourceSpecifier::Topic(name))
            .set("cleanup.policy", "compact")
            .set("segment.ms", "100")
            .set("min.cleanable.dirty.ratio", "0.01")
            .set("max.compaction.lag.ms", "100")
            .set("delete.retention.ms", "0")
    });
    let answers = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be made")
        .block_on(client.alter_configs(&wanted, &AdminOptions::new()))
        .expect("the broker answers");
    for answer in answers {
        answer.expect("the broker takes the settings");
    }
    let producer: BaseProducer = outsider(broker).create().expect("a producer can be made");
    for name in names {
        for partition in 0..PARTITIONS {
            let partition = i32::try_from(partition).expect("a partition number");
            let record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(name).key(NOBODYS).partition(partition);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("the queue holds these few");
        }
    }
    producer
        .flush(DEADLINE)
        .expect("the broker takes all records");
}

/// What the HTTP API serves of recommendations that are not resolved, as [`Ending`] shows them.
fn recommendations(listen: &str) -> BTreeMap<String, String> {
    let answer = answer(listen, "/api/v1/recommendations?state=all&limit=1000");
    let rows: Vec<Recommendation> =
        serde_json::from_value(answer["recommendations"].clone()).expect("rows");
    assert_eq!(answer["total"].as_u64(), Some(rows.len() as u64));
    Ending::of(&[], &rows).recommendations
}

fn answer(listen: &str, path: &str) -> Value {
    let (status, body) = get(&format!("http://{listen}{path}")).expect("the API answers");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("the API answers JSON")
}

/// Every record of a topic, by the HTTP API.
fn served(listen: &str, topic: Topic) -> Vec<Record> {
    let mut records = Vec::new();
    for partition in 0..PARTITIONS {
        let mut from = 0;
        loop {
            let query = format!("partition={partition}&from={from}&limit=1000");
            let stretch = answer(listen, &format!("/api/v1/topics/{topic}/records?{query}"));
            let shown = stretch["records"].as_array().expect("a list");
            records.extend(shown.iter().map(|record| {
                Record {
                    partition: i32::try_from(partition).expect("a partition number"),
                    offset: record["offset"].as_i64().expect("an offset"),
                    key: record["key"].as_str().map(|key| key.as_bytes().to_vec()),
                    payload: Some(&record["payload"])
                        .filter(|payload| !payload.is_null())
                        .map(|payload| payload.to_string().into_bytes()),
                    headers: Vec::new(),
                }
            }));
            from = stretch["next"].as_u64().expect("an offset");
            if from >= stretch["end"].as_u64().expect("an offset") {
                break;
            }
        }
    }
    records
}

/// How often the process is killed.
const KILLS: usize = 7;

#[test]
fn an_embedded_service_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let listen = format!("127.0.0.1:{}", free_port());
    let config = configure(folder.path(), &listen);
    let start = || Proc::spawn(["run", "--config", &config], &[]);
    let records = story(STORY);
    let mut service = start();
    service.await_ready(&listen);
    // Killed the moment a record was acknowledged, with whatever was not saved yet.
    for (number, stretch) in records
        .chunks(records.len().div_ceil(KILLS + 1))
        .enumerate()
    {
        if number > 0 {
            service.kill();
            service = start();
            service.await_ready(&listen);
        }
        publish(&listen, stretch);
    }
    service.await_quiesced(&listen);
    let ending = Ending::read(|topic| served(&listen, topic));
    ending.assert_equals(&Ending::embedded(&records, PARTITIONS), "killed");
    assert_eq!(recommendations(&listen), ending.recommendations);
}

/// Publishes one after the other, each once the one before is acknowledged.
fn publish(listen: &str, records: &[Raw]) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(DEADLINE))
        .build();
    let agent: ureq::Agent = agent.into();
    for raw in records {
        let mut answer = agent
            .post(format!("http://{listen}/api/v1/events?topic={}", raw.topic))
            .content_type("application/json")
            .send(&raw.payload[..])
            .expect("the API answers");
        let status = answer.status().as_u16();
        // 200: well-formed, but nothing to decide about.
        assert!(
            status == 202 || status == 200,
            "{status} {:?} to {}",
            answer.body_mut().read_to_string(),
            String::from_utf8_lossy(&raw.payload)
        );
    }
}

/// Writes a configuration; gives its path.
fn configure(folder: &Path, listen: &str) -> String {
    let mut text = String::new();
    writeln!(text, "partitions = {PARTITIONS}").expect("text grows");
    writeln!(text, "data_dir = '{}'", folder.join("data").display()).expect("text grows");
    writeln!(text, "[http]\nlisten = {listen:?}").expect("text grows");
    writeln!(text, "[checkpoint]\ninterval_ms = 200").expect("text grows");
    let path = folder.join("skyherd.toml");
    std::fs::write(&path, text).expect("the folder can be written");
    path.to_string_lossy().into_owned()
}
