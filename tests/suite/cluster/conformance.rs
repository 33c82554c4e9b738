//! The common laws of log and store, on Kafka and Redis.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use skyherd::adapters::kafka::topics::{TopicAdmin, TopicSpec};
use skyherd::adapters::kafka::{KafkaLog, KafkaOptions, check_partitions};
use skyherd::adapters::redis::{RedisOptions, RedisStore};
use skyherd::model::Topic;
use skyherd::ports::{Log, Store};

use super::kafka::{broker, cut, deployment, patiently, specs, transient};
use crate::conformance::{AGENT, PARTITIONS, World, conforms};
use crate::harness::{Redis, RedisOptions as ServerOptions, unique};

fn server() -> Option<&'static Redis> {
    static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
    SHARED
        .get_or_init(|| Redis::start(&ServerOptions::default()))
        .as_ref()
}

/// Topics, group and keys of its own on shared servers.
struct ClusterWorld {
    kafka: KafkaOptions,
    redis: RedisOptions,
    made: bool,
}

impl ClusterWorld {
    /// Topics that keep everything, whatever their policy is in earnest: the laws write without
    /// keys, which a compacted topic refuses.
    fn make_topics(&mut self, reads: &[Topic]) {
        if std::mem::replace(&mut self.made, true) {
            return;
        }
        let mut topics: BTreeSet<Topic> = reads.iter().copied().collect();
        topics.extend([Topic::Workflows, Topic::FindingsResource]);
        let plain = specs(&[Topic::AwsEvents]).remove(0);
        let specs: Vec<TopicSpec> = topics
            .iter()
            .map(|topic| TopicSpec {
                name: topic.as_str().to_owned(),
                ..plain.clone()
            })
            .collect();
        let topics: Vec<Topic> = topics.into_iter().collect();
        let admin = TopicAdmin::open(&self.kafka).expect("a client");
        patiently(|| admin.apply(&specs, Some(PARTITIONS)));
        patiently(|| {
            check_partitions(&self.kafka, &topics, PARTITIONS).map_err(|error| transient(&error))
        });
    }
}

impl World for ClusterWorld {
    const KEEPS_TIME: bool = false;
    fn available() -> bool {
        broker().is_some() && server().is_some()
    }
    fn fresh() -> Self {
        let broker = broker().expect("looked at before");
        let server = server().expect("looked at before");
        Self {
            kafka: deployment(&broker.bootstrap),
            redis: RedisOptions {
                addresses: vec![format!("127.0.0.1:{}", server.port())],
                prefix: unique("p"),
                ..RedisOptions::default()
            },
            made: false,
        }
    }
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log> {
        self.make_topics(reads);
        Box::new(KafkaLog::open(&self.kafka, AGENT, 0, reads).expect("a consumer"))
    }
    fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(RedisStore::open(self.redis.clone()).expect("the server is up"))
    }
    fn reopen(&mut self) {}
    fn trim(&mut self, topic: Topic, partition: u32, before: u64) {
        cut(&self.kafka, topic, partition, before as i64);
    }
}

conforms!(cluster_conforms, super::ClusterWorld);
