//! Kafka for the log, Redis for the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;

use crate::adapters::kafka::{
    KafkaAppender, KafkaFollower, KafkaLog, KafkaOptions, KafkaReader, check_partitions,
};
use crate::adapters::redis::{RedisMode, RedisOptions, RedisStore, RedisTls};
use crate::agents::Capabilities;
use crate::config::{Config, Kafka, Redis, RedisMode as ConfiguredMode};
use crate::model::Topic;
use crate::ports::{Appender as _, Log, Outgoing, PortError, PortResult, RecordView, Store};

use super::Backend;
use super::backend::Follower;

/// Longest a publication waits to be durable.
const PUBLISH_WAIT: Duration = Duration::from_secs(20);
/// Longest a publication waits for room in the producer's queue before it is refused.
const ROOM_ATTEMPTS: u32 = 50;
const ROOM_REST: Duration = Duration::from_millis(20);

/// A process's connections to the cluster.
pub(super) struct Cluster {
    kafka: KafkaOptions,
    redis: RedisOptions,
    partitions: u32,
    publisher: KafkaAppender,
    batch: AtomicU64,
    reader: Mutex<KafkaReader>,
}

impl Cluster {
    /// Connects, and refuses topics that are absent or have another number of partitions.
    pub(super) fn open(config: &Config, kafka: &Kafka) -> anyhow::Result<Self> {
        let kafka = kafka_options(config, kafka);
        let redis = config
            .redis
            .as_ref()
            .context("kafka needs redis: add a [redis] section")?;
        let redis = redis_options(config, redis)?;
        check_partitions(&kafka, &Topic::ALL, config.partitions)
            .context("see `skyherd topics diff`; `skyherd topics apply` creates what is absent")?;
        Ok(Self {
            publisher: KafkaAppender::open(&kafka, "publisher")?,
            reader: Mutex::new(KafkaReader::open(&kafka, "view")?),
            batch: AtomicU64::new(1),
            partitions: config.partitions,
            kafka,
            redis,
        })
    }
}

/// What the Kafka adapter is told.
pub fn kafka_options(config: &Config, kafka: &Kafka) -> KafkaOptions {
    KafkaOptions {
        brokers: kafka.brokers.join(","),
        properties: kafka
            .properties
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        node: config.node.clone(),
        ..KafkaOptions::default()
    }
}

/// What the Redis adapter is told: user, password, database and TLS may stand in the URL.
fn redis_options(config: &Config, redis: &Redis) -> anyhow::Result<RedisOptions> {
    let mut options = RedisOptions {
        mode: match redis.mode {
            ConfiguredMode::Standalone => RedisMode::Standalone,
            ConfiguredMode::Sentinel => RedisMode::Sentinel {
                service: redis.sentinel_master.clone(),
            },
            ConfiguredMode::Cluster => RedisMode::Cluster,
        },
        addresses: Vec::new(),
        username: redis.username.clone(),
        password: redis
            .password
            .as_ref()
            .map(|secret| secret.expose().to_owned()),
        prefix: redis.prefix.clone(),
        recent_capacity: config.memory.recent_capacity,
        ..RedisOptions::default()
    };
    for (index, secret) in redis.urls.iter().enumerate() {
        // The URL may hold a password, so the message names its place, not its text.
        let url = redis::parse_redis_url(secret.expose())
            .with_context(|| format!("redis.urls[{index}] is not redis://host:port/db"))?;
        let host = url.host_str().unwrap_or("127.0.0.1");
        options.addresses.push(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        if url.scheme() == "rediss" {
            options.tls = Some(RedisTls {
                ca_file: redis.ca_file.clone(),
                client: None,
            });
        }
        if options.username.is_none() && !url.username().is_empty() {
            options.username = Some(url.username().to_owned());
        }
        if options.password.is_none() {
            options.password = url.password().map(str::to_owned);
        }
        if let Ok(db) = url.path().trim_start_matches('/').parse() {
            options.db = db;
        }
    }
    Ok(options)
}

impl Backend for Cluster {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn ports(&self, spec: &Capabilities) -> anyhow::Result<(Box<dyn Log>, Arc<dyn Store>)> {
        let topics = crate::runtime::topics_of(spec, false);
        let log = KafkaLog::open(&self.kafka, spec.name, 0, &topics)?;
        // A connection of its own: one agent's large load does not hold up another.
        let store = RedisStore::open(self.redis.clone())?;
        Ok((Box::new(log), Arc::new(store)))
    }

    fn publish(&self, records: &[Outgoing]) -> PortResult<()> {
        let batch = self.batch.fetch_add(1, Ordering::Relaxed);
        for record in records {
            let mut attempts = 0;
            loop {
                match self.publisher.append(batch, record) {
                    Ok(()) => break,
                    Err(PortError::Transient(_)) if attempts < ROOM_ATTEMPTS => {
                        attempts += 1;
                        std::thread::park_timeout(ROOM_REST);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.publisher.settle(batch, PUBLISH_WAIT)
    }

    fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(RedisStore::open(self.redis.clone())?))
    }

    fn follow(&self, topics: &[Topic], next: Vec<u64>) -> PortResult<Box<dyn Follower>> {
        let follower = KafkaFollower::open(&self.kafka, topics, self.partitions, next)?;
        Ok(Box::new(follower))
    }

    fn all_bounds(&self, topics: &[Topic]) -> PortResult<Vec<(u64, u64)>> {
        self.reader.lock().all_bounds(topics, self.partitions)
    }

    fn bounds(&self, topic: Topic, partition: u32) -> PortResult<(u64, u64)> {
        self.reader.lock().bounds(topic, partition)
    }

    fn scan(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        self.reader.lock().scan(topic, partition, from, max, sink)
    }
}

impl Follower for KafkaFollower {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<()> {
        KafkaFollower::poll(self, max, wait, sink)
    }
    fn next(&self) -> &[u64] {
        KafkaFollower::next(self)
    }
}
