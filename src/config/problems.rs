//! What is wrong with settings that decode: all of it, each with a way out.

use std::collections::BTreeSet;
use std::fmt;

use super::{Config, Kafka, PARTITIONS_MAX, Redis, RedisMode};

/// One thing wrong with the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The setting, `section.key` or the variable's name; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub hint: String,
}

impl Problem {
    /// Puts one together.
    pub fn new(path: &str, what: impl Into<String>, hint: &str) -> Self {
        Self {
            path: path.to_owned(),
            what: what.into(),
            hint: hint.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

/// librdkafka properties the guarantees rest on; they are not for the configuration.
const OWN_PROPERTIES: [(&str, &str); 10] = [
    ("bootstrap.servers", "set kafka.brokers"),
    ("group.id", "groups are named for the agents"),
    ("group.instance.id", "set node; ids derive from it"),
    ("group.protocol", "only the classic protocol is used"),
    ("partition.assignment.strategy", "tasks need range"),
    ("enable.auto.commit", "checkpoints commit offsets"),
    ("enable.auto.offset.store", "checkpoints commit offsets"),
    ("auto.offset.reset", "positions are kept in the memory"),
    (
        "enable.idempotence",
        "outputs must not be repeated or reordered",
    ),
    ("transactional.id", "transactions are not used"),
];

/// Characters of a node name that every Kafka group instance id and file system takes.
fn plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl Config {
    /// Everything wrong with these settings that can be seen without connecting anywhere.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.general(&mut problems);
        self.ranges(&mut problems);
        self.modes(&mut problems);
        self.access(&mut problems);
        super::sources::problems(self, &mut problems);
        super::files::problems(self, &mut problems);
        self.budget_problems(&mut problems);
        self.exemption_problems(&mut problems);
        if let Some(kafka) = &self.kafka {
            kafka_problems(kafka, &mut problems);
        }
        if let Some(redis) = &self.redis {
            redis_problems(redis, &mut problems);
        }
        problems
    }

    fn general(&self, problems: &mut Vec<Problem>) {
        let mut add = |path: &str, what: String, hint: &str| {
            problems.push(Problem::new(path, what, hint));
        };
        if !self.partitions.is_power_of_two() || self.partitions > PARTITIONS_MAX {
            let nearest = self
                .partitions
                .clamp(1, PARTITIONS_MAX)
                .next_power_of_two()
                .min(PARTITIONS_MAX);
            add(
                "partitions",
                format!(
                    "{} is not a power of two up to {PARTITIONS_MAX}",
                    self.partitions
                ),
                &format!("take {nearest}; it is fixed for the life of a deployment"),
            );
        }
        if self.agents.is_empty() {
            add(
                "agents",
                "no agent is named".into(),
                "name some of resource, cost, security, performance, coordinator, or leave it out for all",
            );
        }
        let distinct: BTreeSet<_> = self.agents.iter().collect();
        if distinct.len() < self.agents.len() {
            add("agents", "an agent is named twice".into(), "name each once");
        }
        if !plain_name(&self.node) {
            add(
                "node",
                format!(
                    "{:?} cannot be part of a Kafka group instance id",
                    self.node
                ),
                "use up to 128 letters, digits, '-', '_' and '.'",
            );
        }
        if self.data_dir.as_os_str().is_empty() {
            add("data_dir", "is empty".into(), "name a directory");
        }
        if let Err(error) = self
            .log
            .level
            .parse::<tracing_subscriber::filter::Targets>()
        {
            add(
                "log.level",
                format!("{:?}: {error}", self.log.level),
                "use error, warn, info, debug, trace or info,skyherd::runtime=debug",
            );
        }
    }

    fn ranges(&self, problems: &mut Vec<Problem>) {
        for (path, value, (min, max)) in [
            (
                "checkpoint.interval_ms",
                self.checkpoint.interval_ms,
                (10, 600_000),
            ),
            (
                "checkpoint.dirty_bytes_max",
                self.checkpoint.dirty_bytes_max,
                (65_536, 1 << 30),
            ),
            (
                "memory.recent_capacity",
                self.memory.recent_capacity as u64,
                (1, 10_000),
            ),
            (
                "memory.backup_interval_ms",
                self.memory.backup_interval_ms,
                (1_000, 86_400_000),
            ),
            // 0 switches it off.
            (
                "watch.interval_ms",
                self.watch.interval_ms,
                (if self.watch.interval_ms == 0 { 0 } else { 100 }, 3_600_000),
            ),
        ] {
            if value < min || value > max {
                problems.push(Problem::new(
                    path,
                    format!("{value} is outside {min} to {max}"),
                    "leave it out for the default",
                ));
            }
        }
    }

    fn modes(&self, problems: &mut Vec<Problem>) {
        match (&self.kafka, &self.redis) {
            (Some(_), None) => problems.push(Problem::new(
                "redis",
                "kafka is configured but redis is not",
                "add [redis] urls = [\"redis://host:6379\"]: in cluster mode states live in Redis",
            )),
            (None, Some(_)) => problems.push(Problem::new(
                "kafka",
                "redis is configured but kafka is not",
                "add [kafka] brokers = [\"host:9092\"], or remove [redis] to run embedded",
            )),
            _ => {}
        }
        if self.kafka.is_some() && !cfg!(feature = "kafka") {
            problems.push(Problem::new(
                "kafka",
                "this program was built without Kafka and Redis",
                "build it with the default features, or remove [kafka] and [redis]",
            ));
        }
    }

    fn access(&self, problems: &mut Vec<Problem>) {
        if let Some(tls) = &self.http.tls {
            self.tls_problems(tls, problems);
        }
        if !self.http.listen.ip().is_loopback() {
            if self.auth.tokens.is_empty() {
                problems.push(Problem::new(
                    "auth.tokens",
                    format!(
                        "{} can be reached from other machines but no token is configured",
                        self.http.listen
                    ),
                    "make one with `skyherd token NAME`, or listen on 127.0.0.1",
                ));
            }
            if !self.http.behind_tls_proxy {
                problems.push(Problem::new(
                    "http.behind_tls_proxy",
                    format!("{} would send tokens in plain text", self.http.listen),
                    "listen on 127.0.0.1 and let [http.tls] face the others, or put a TLS proxy in front and set it to true",
                ));
            }
        }
        for arn in &self.ingest.sns_topics {
            // `arn:aws:sns:REGION:ACCOUNT:NAME`
            let parts: Vec<&str> = arn.split(':').collect();
            let named = |part: &&str| !part.is_empty() && !part.contains('*');
            if parts.len() != 6 || parts[2] != "sns" || !parts[..5].iter().all(named) {
                problems.push(Problem::new(
                    "ingest.sns_topics",
                    format!("{arn:?} does not name an account's SNS topics"),
                    "write arn:aws:sns:REGION:ACCOUNT:NAME; only the name may end in `*`",
                ));
            }
        }
        let mut names = BTreeSet::new();
        for token in &self.auth.tokens {
            let hash = token.blake3.expose();
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                problems.push(Problem::new(
                    "auth.tokens",
                    format!("blake3 of token {:?} is not 64 hex digits", token.name),
                    "store the hash, never the token: `skyherd token NAME` prints both",
                ));
            }
            if !names.insert(token.name.as_str()) {
                problems.push(Problem::new(
                    "auth.tokens",
                    format!("two tokens are called {:?}", token.name),
                    "give each its own name, so that logs tell them apart",
                ));
            }
        }
    }
}

fn kafka_problems(kafka: &Kafka, problems: &mut Vec<Problem>) {
    if kafka.brokers.is_empty() {
        problems.push(Problem::new(
            "kafka.brokers",
            "no broker is named",
            "name at least one as host:port",
        ));
    }
    for broker in &kafka.brokers {
        let port = broker
            .rsplit_once(':')
            .map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        if port != Some(true) {
            problems.push(Problem::new(
                "kafka.brokers",
                format!("{broker:?} is not host:port"),
                "write it as kafka.example:9092",
            ));
        }
    }
    for (name, why) in OWN_PROPERTIES {
        if kafka.properties.get(name).is_some() {
            problems.push(Problem::new(
                &format!("kafka.properties.{name}"),
                "is not for the configuration to set",
                why,
            ));
        }
    }
}

fn redis_problems(redis: &Redis, problems: &mut Vec<Problem>) {
    let mut add = |path: &str, what: String, hint: &str| {
        problems.push(Problem::new(path, what, hint));
    };
    if redis.urls.is_empty() {
        add(
            "redis.urls",
            "no server is named".into(),
            "name one as redis://host:6379 or rediss://host:6379",
        );
    }
    for (index, url) in redis.urls.iter().enumerate() {
        let rest = ["redis://", "rediss://"]
            .iter()
            .find_map(|scheme| url.expose().strip_prefix(scheme));
        if rest.is_none_or(str::is_empty) {
            // The text itself may hold a password.
            add(
                "redis.urls",
                format!(
                    "url {} does not begin with redis:// or rediss://",
                    index + 1
                ),
                "write it as redis://host:6379",
            );
        }
    }
    if redis.mode == RedisMode::Standalone && redis.urls.len() > 1 {
        add(
            "redis.mode",
            format!("standalone with {} urls", redis.urls.len()),
            "name one url, or set mode to sentinel or cluster",
        );
    }
    if redis.mode == RedisMode::Sentinel && redis.sentinel_master.is_empty() {
        add(
            "redis.sentinel_master",
            "is empty in sentinel mode".into(),
            "name the server as the sentinels know it, often mymaster",
        );
    }
    if let Some(path) = &redis.ca_file
        && let Err(error) = std::fs::metadata(path)
    {
        add(
            "redis.ca_file",
            format!("{}: {error}", path.display()),
            "name a readable PEM file",
        );
    }
    if !plain_name(&redis.prefix) {
        add(
            "redis.prefix",
            format!("{:?} cannot begin keys", redis.prefix),
            "use letters, digits, '-', '_' and '.'; braces would break hash tags",
        );
    }
}
