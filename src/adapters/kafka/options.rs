//! Where Kafka is and how to speak to it.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

use crate::model::{AgentName, Topic};
use crate::ports::{PortError, PortResult};

/// Largest record we send, in bytes; `topics/*.yaml` allow as much where we write so much.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// Records that may wait to be sent; more is [`PortError::Transient`].
pub const QUEUE_RECORDS_MAX: usize = 100_000;
/// KiB that may wait to be sent.
pub const QUEUE_KIB_MAX: usize = 64 << 10;
/// KiB of fetched records waiting to be polled, per consumer.
pub const FETCHED_KIB_MAX: usize = 32 << 10;

/// Properties that the adapter's promises rest on; a configuration that sets one is refused.
const FIXED: &[(&str, &str)] = &[
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "range"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // A record waits for its broker without end: giving it up would lose it. The queue is bounded.
    ("message.timeout.ms", "0"),
];
/// Other names librdkafka knows fixed properties by, and those named by our own settings.
const ALIASES: &[&str] = &[
    "request.required.acks",
    "delivery.timeout.ms",
    "group.id",
    "group.instance.id",
    "bootstrap.servers",
    "metadata.broker.list",
];
/// Words in the names of properties whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "password",
    "secret",
    "key.pem",
    "jaas",
    "token",
    "oauthbearer.config",
];

/// Everything the Kafka log is told. Secrets do not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Seed brokers, `host:port`, comma-separated.
    pub brokers: String,
    /// librdkafka properties. A `consumer.` or `producer.` before the name restricts it to that
    /// client. They win over our defaults, but not over what the adapter's promises rest on.
    pub properties: BTreeMap<String, String>,
    /// This process' lasting name: a restart under the same name takes its partitions back
    /// without a rebalance.
    pub node: String,
    /// Before every topic name.
    pub topic_prefix: String,
    /// Before every group name.
    pub group_prefix: String,
    /// Whether members are static (named by the node). Others leave at once when closed and
    /// rebalance at every restart.
    pub static_members: bool,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            properties: BTreeMap::new(),
            node: "skyherd".into(),
            topic_prefix: String::new(),
            group_prefix: "skyherd.".into(),
            static_members: true,
        }
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<_, _> = self
            .properties
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { "***" } else { value }))
            .collect();
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("properties", &shown)
            .field("node", &self.node)
            .field("topic_prefix", &self.topic_prefix)
            .field("group_prefix", &self.group_prefix)
            .field("static_members", &self.static_members)
            .finish()
    }
}

/// Which client a configuration is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A member of an agent's group.
    Member,
    /// Reads what it assigns itself.
    Reader,
    /// Appends.
    Producer,
    /// Asks and administers.
    Admin,
}

impl KafkaOptions {
    /// The name of `topic` on the broker.
    pub fn topic_name(&self, topic: Topic) -> String {
        format!("{}{topic}", self.topic_prefix)
    }

    /// The consumer group of `agent`.
    pub fn group(&self, agent: AgentName) -> String {
        format!("{}{agent}", self.group_prefix)
    }

    /// The librdkafka configuration of one client; `Fatal` naming what may not be set.
    pub(super) fn client(&self, role: Role, name: &str) -> PortResult<ClientConfig> {
        let mut config = ClientConfig::new();
        config
            .set("client.id", format!("skyherd-{}-{name}", self.node))
            .set("bootstrap.servers", &self.brokers)
            .set("reconnect.backoff.max.ms", "5000");
        match role {
            Role::Member | Role::Reader => {
                config
                    .set("session.timeout.ms", "6000")
                    .set("heartbeat.interval.ms", "2000")
                    .set("fetch.queue.backoff.ms", "50")
                    .set("fetch.error.backoff.ms", "100")
                    .set("queued.max.messages.kbytes", FETCHED_KIB_MAX.to_string())
                    .set("topic.metadata.refresh.interval.ms", "30000");
            }
            Role::Producer => {
                // A finding passes three producers on its way to a recommendation: each
                // millisecond here is three there. Under load batches fill by themselves.
                config
                    .set("linger.ms", "1")
                    .set("compression.type", "lz4")
                    .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
                    .set(
                        "queue.buffering.max.messages",
                        QUEUE_RECORDS_MAX.to_string(),
                    )
                    .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string());
            }
            Role::Admin => {}
        }
        if role == Role::Member {
            config.set("statistics.interval.ms", "1000");
        }
        for (name, value) in &self.properties {
            let (only, name) = match name.split_once('.') {
                Some(("consumer", rest)) => (Some(false), rest),
                Some(("producer", rest)) => (Some(true), rest),
                _ => (None, name.as_str()),
            };
            if ALIASES.contains(&name) || FIXED.iter().any(|(fixed, _)| *fixed == name) {
                return Err(PortError::Fatal(format!(
                    "the Kafka property {name} cannot be set, Skyherd's promises rest on it; remove it from kafka.properties"
                )));
            }
            let producer = role == Role::Producer;
            if only.is_none_or(|wanted| role != Role::Admin && wanted == producer) {
                config.set(name, value);
            }
        }
        for (name, value) in FIXED {
            let producing = matches!(*name, "enable.idempotence" | "acks" | "message.timeout.ms");
            match role {
                Role::Producer if producing => config.set(*name, *value),
                Role::Member | Role::Reader if !producing => config.set(*name, *value),
                _ => continue,
            };
        }
        Ok(config)
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> KafkaOptions {
        KafkaOptions {
            properties: BTreeMap::from([(name.into(), value.into())]),
            ..KafkaOptions::default()
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        for name in [
            "sasl.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
        ] {
            let text = format!("{:?}", with(name, "hunter2"));
            assert!(text.contains(name) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_set() {
        for (name, _) in FIXED {
            assert!(matches!(
                with(name, "x").client(Role::Producer, "x"),
                Err(PortError::Fatal(text)) if text.contains(name)
            ));
        }
    }

    #[test]
    fn a_property_can_be_for_one_kind_of_client() {
        let options = with("producer.linger.ms", "77");
        let linger = |role| {
            let config = options.client(role, "x").expect("allowed");
            config.get("linger.ms").map(str::to_owned)
        };
        assert_eq!(linger(Role::Producer).as_deref(), Some("77"));
        assert_eq!(linger(Role::Member), None);
    }
}
