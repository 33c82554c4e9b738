//! Raw records onto Kafka, as programs that are not ours write them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use skyherd::model::Topic;
use skyherd::story::{StoryOptions, tell};

use crate::harness::{Broker, DEADLINE, Kafka, KafkaOptions};

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

/// Appends the records in order and returns once the broker has all of them.
pub(crate) fn load(broker: &Broker, records: &[Raw], partitioner: Partitioner) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.bootstrap)
        .set(
            "partitioner",
            match partitioner {
                Partitioner::Murmur2 => "murmur2_random",
                Partitioner::Crc32 => "consistent_random",
            },
        )
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .create()
        .expect("a producer can be made");
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
