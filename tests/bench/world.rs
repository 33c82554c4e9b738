//! The servers of `./dev bench`, and a deployment of its own on them.

use std::time::{Duration, Instant};

use skyherd::adapters::kafka::topics::{TopicAdmin, built_in};
use skyherd::adapters::kafka::{KafkaAppender, KafkaOptions, KafkaReader, check_partitions};
use skyherd::adapters::redis::RedisOptions;
use skyherd::model::Topic;
use skyherd::ports::{Appender as _, Outgoing, PortError, PortResult};

/// Partitions of every topic.
pub(crate) const PARTITIONS: u32 = 8;
/// Longest that records may take to be written, or topics to appear.
const WITHIN: Duration = Duration::from_mins(1);
/// How long to rest when the producer's queue is full.
const ROOM_REST: Duration = Duration::from_millis(2);

/// Where the servers are.
#[derive(Clone)]
pub(crate) struct Servers {
    /// `host:port`.
    pub(crate) kafka: String,
    /// A URL.
    pub(crate) redis: String,
    /// The folder of Kafka's jars.
    pub(crate) jars: String,
}

impl Servers {
    /// From the environment; `Err` says what is absent.
    pub(crate) fn named() -> Result<Self, String> {
        let named = |name: &str| {
            std::env::var(name).map_err(|_| format!("{name} is not set; run ./dev bench"))
        };
        Ok(Self {
            kafka: named("SKYHERD_TEST_KAFKA")?,
            redis: named("SKYHERD_TEST_REDIS")?,
            jars: named("SKYHERD_KAFKA_LIBS")?,
        })
    }

    /// Seconds of processor time Redis has taken.
    pub(crate) fn redis_cpu(&self) -> f64 {
        let info = || -> redis::RedisResult<String> {
            let client = redis::Client::open(self.redis.as_str())?;
            redis::cmd("INFO")
                .arg("cpu")
                .query(&mut client.get_connection()?)
        };
        let text = info().unwrap_or_default();
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
        };
        field("used_cpu_user:").unwrap_or(f64::NAN) + field("used_cpu_sys:").unwrap_or(f64::NAN)
    }
}

/// Topics, groups and keys under one prefix.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) kafka: KafkaOptions,
    pub(crate) redis: RedisOptions,
}

impl Deployment {
    /// Creates every topic from its manifest. An empty prefix gives the names `skyherd run` uses.
    pub(crate) fn create(servers: &Servers, prefix: &str) -> PortResult<Self> {
        let kafka = KafkaOptions {
            brokers: servers.kafka.clone(),
            node: format!("{prefix}bench"),
            topic_prefix: prefix.to_owned(),
            group_prefix: format!("{prefix}skyherd."),
            ..KafkaOptions::default()
        };
        let address = servers
            .redis
            .trim_start_matches("redis://")
            .trim_end_matches('/');
        let redis = RedisOptions {
            addresses: vec![address.to_owned()],
            prefix: format!("{prefix}skyherd"),
            ..RedisOptions::default()
        };
        let admin = TopicAdmin::open(&kafka)?;
        let specs = built_in()?;
        patiently(|| admin.apply(&specs, Some(PARTITIONS)))?;
        patiently(|| {
            check_partitions(&kafka, &Topic::ALL, PARTITIONS)
                .map_err(|error| PortError::Transient(error.to_string()))
        })?;
        Ok(Self { kafka, redis })
    }

    /// Publishes records and waits until they are durable. Returns how many.
    pub(crate) fn publish(&self, records: impl Iterator<Item = Outgoing>) -> PortResult<u64> {
        let appender = KafkaAppender::open(&self.kafka, "preload")?;
        let mut count = 0;
        for record in records {
            append(&appender, 1, &record)?;
            count += 1;
        }
        appender.settle(1, WITHIN)?;
        Ok(count)
    }

    /// Where the topics' partitions end now.
    pub(crate) fn ends(&self, topics: &[Topic]) -> PortResult<Vec<(Topic, u32, u64)>> {
        let reader = KafkaReader::open(&self.kafka, "ends")?;
        let mut ends = Vec::new();
        for topic in topics {
            for partition in 0..PARTITIONS {
                ends.push((*topic, partition, reader.bounds(*topic, partition)?.1));
            }
        }
        Ok(ends)
    }

    /// Everything appended since `ends`.
    pub(crate) fn since(&self, ends: &[(Topic, u32, u64)]) -> PortResult<Vec<Outgoing>> {
        let reader = KafkaReader::open(&self.kafka, "since")?;
        let mut records = Vec::new();
        for (topic, partition, from) in ends {
            reader.read(*topic, *partition, *from, &mut |record| {
                records.push(Outgoing {
                    topic: record.topic,
                    partition: record.partition,
                    key: record.key.map(<[u8]>::to_vec),
                    payload: record.payload.map(<[u8]>::to_vec),
                    headers: record
                        .headers
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                        .collect(),
                    timestamp_ms: record.timestamp_ms,
                });
            })?;
        }
        Ok(records)
    }
}

/// Appends, waiting while the producer's queue is full.
pub(crate) fn append(appender: &KafkaAppender, batch: u64, record: &Outgoing) -> PortResult<()> {
    let deadline = Instant::now() + WITHIN;
    loop {
        match appender.append(batch, record) {
            Err(PortError::Transient(_)) if Instant::now() < deadline => {
                std::thread::park_timeout(ROOM_REST);
            }
            answer => return answer,
        }
    }
}

fn patiently<T>(mut call: impl FnMut() -> PortResult<T>) -> PortResult<T> {
    let deadline = Instant::now() + WITHIN;
    loop {
        match call() {
            Err(PortError::Transient(_)) if Instant::now() < deadline => {
                std::thread::park_timeout(ROOM_REST);
            }
            answer => return answer,
        }
    }
}
