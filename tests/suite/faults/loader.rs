//! Raw records onto Kafka, as programs that are not ours write them.

use std::time::Duration;

use crate::story::{StoryOptions, tell};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use skyherd::model::Topic;

use crate::harness::{Broker, DEADLINE, Kafka, KafkaOptions, unique};

/// One record of a raw topic.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) topic: Topic,
    /// The record key; empty for a record without key.
    pub(crate) account: String,
    pub(crate) payload: Vec<u8>,
}

/// How the outside producer chooses a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partitioner {
    /// Java's default: right for us.
    Murmur2,
    /// librdkafka's default: most records land in another account's partition.
    Crc32,
}

/// A fetch brings whole batches, so these are small enough for a slowed reader to take a little at a time.
const BATCH_BYTES: &str = "16384";

/// The recorded story as raw records, in order of time.
pub(crate) fn story(options: StoryOptions) -> Vec<Raw> {
    tell(options)
        .map(|record| Raw {
            topic: record.topic,
            account: record.account,
            payload: record.payload,
        })
        .collect()
}

/// The story split at the beginning of a day: what was before, and the rest.
pub(crate) fn story_split(options: StoryOptions, day: i64) -> (Vec<Raw>, Vec<Raw>) {
    let mut before = story(options);
    // Days are told one after the other, and none of them knows how many follow.
    let rest = before.split_off(
        story(StoryOptions {
            days: day,
            ..options
        })
        .len(),
    );
    (before, rest)
}

/// Appends the records in order and returns once the broker has all of them.
pub(crate) fn load(broker: &Broker, records: &[Raw], partitioner: Partitioner) {
    let producer: BaseProducer = outsider(broker)
        .set(
            "partitioner",
            match partitioner {
                Partitioner::Murmur2 => "murmur2_random",
                Partitioner::Crc32 => "consistent_random",
            },
        )
        .create()
        .expect("a producer can be made");
    send(&producer, records);
}

/// As [`load`], but readers see all of the records at the same moment. Under a live process those of one topic do not
/// run ahead of another's then, so what it decides does not hang on how fast they are written.
pub(crate) fn load_at_once(broker: &Broker, records: &[Raw]) {
    let producer: BaseProducer = outsider(broker)
        .set("partitioner", "murmur2_random")
        .set("transactional.id", unique("load"))
        .create()
        .expect("a producer can be made");
    producer
        .init_transactions(DEADLINE)
        .and_then(|()| producer.begin_transaction())
        .expect("a transaction can begin");
    send(&producer, records);
    producer
        .commit_transaction(DEADLINE)
        .expect("the broker commits");
}

/// The configuration of a producer that is not ours.
pub(crate) fn outsider(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &broker.bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("batch.size", BATCH_BYTES);
    config
}

fn send(producer: &BaseProducer, records: &[Raw]) {
    for raw in records {
        let mut record = BaseRecord::to(raw.topic.as_str()).payload(&raw.payload);
        if !raw.account.is_empty() {
            record = record.key(&raw.account);
        }
        while let Err((error, returned)) = producer.send(record) {
            assert_eq!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                "{} cannot be loaded",
                raw.topic
            );
            producer.poll(Duration::from_millis(10));
            record = returned;
        }
    }
    producer
        .flush(DEADLINE)
        .expect("the broker takes all records");
}

#[test]
fn an_outside_producer_with_javas_partitioner_agrees_with_ours() {
    const PARTITIONS: u32 = 8;
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else {
        return;
    };
    kafka.create_topic(Topic::AwsEvents.as_str(), PARTITIONS, &[]);
    let records: Vec<Raw> = (0..40)
        .map(|number| Raw {
            topic: Topic::AwsEvents,
            account: format!("{:012}", 100_200_300_400_u64 + number),
            payload: format!("{{\"n\":{number}}}").into_bytes(),
        })
        .collect();
    for (partitioner, right) in [(Partitioner::Murmur2, true), (Partitioner::Crc32, false)] {
        let before = kafka.end_offsets("aws\\.events");
        load(&kafka, &records, partitioner);
        let ours = kafka
            .console_consumer(Topic::AwsEvents.as_str())
            .into_iter()
            .filter(|record| {
                let place = (Topic::AwsEvents.as_str().to_owned(), record.partition);
                record.offset >= before[&place]
            })
            .map(|record| {
                let account = String::from_utf8(record.key.unwrap()).unwrap();
                let home = skyherd::model::partition_of(&account, PARTITIONS);
                home == u32::try_from(record.partition).unwrap()
            })
            .collect::<Vec<_>>();
        assert_eq!(ours.len(), records.len());
        assert_eq!(ours.iter().all(|home| *home), right, "{partitioner:?}");
    }
}
