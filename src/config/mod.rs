//! File and environment become one typed value; every problem is told at once.
//!
//! A setting is looked for in the environment first (`SKYHERD_KAFKA__BROKERS`, `__` between
//! levels), then in the file, then here. Nothing outside this module reads the environment.

mod budgets;
mod by_metric;
mod costs;
mod exemptions;
mod files;
mod http;
mod load;
mod problems;
mod secret;
mod sources;

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

pub use budgets::Budget;
pub use by_metric::ByMetric;
#[cfg(feature = "aws")]
pub(crate) use by_metric::fits;
pub use costs::{Budgets, Costs};
pub use exemptions::Exemption;
pub use files::{Files, bucket};
pub use http::{Http, Ingest, Tls};
pub(crate) use load::nearest;
pub use load::{Loaded, load, load_here};
pub use problems::Problem;
pub use secret::{Properties, Secret};
#[cfg(feature = "aws")]
pub(crate) use sources::retention_hours;
pub use sources::{Account, Alarms, Metrics, Organization, Sources};

use crate::model::{AgentName, Timestamp};

/// Partitions of every topic unless configured otherwise.
pub const PARTITIONS: u32 = 32;
/// Most partitions a deployment can have; bounds metric labels and tasks.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Everything a process is told.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the embedded log and memory and the materialised views live. Default: `skyherd` under
    /// `$XDG_STATE_HOME` or `~/.local/state`; without a home, `./skyherd-data`.
    pub data_dir: PathBuf,
    /// Partitions of every topic: a power of two, fixed for the life of a deployment.
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: u32,
    /// Agents this process runs.
    pub agents: Vec<AgentName>,
    /// This process's name among its peers; part of its Kafka group instance ids, so two processes
    /// must not share it. Default: the host's name.
    pub node: String,
    /// The HTTP API.
    pub http: Http,
    /// Apache Kafka; with it the process runs in cluster mode and `redis` is needed too.
    pub kafka: Option<Kafka>,
    /// Redis, the short-term memory in cluster mode.
    pub redis: Option<Redis>,
    /// When states are saved.
    pub checkpoint: Checkpoint,
    /// Short-term memory.
    pub memory: Memory,
    /// The process's watch over itself.
    pub watch: Watch,
    /// Log lines.
    pub log: Log,
    /// Who may use the HTTP API.
    pub auth: Auth,
    /// What is pushed over HTTP.
    pub ingest: Ingest,
    /// AWS accounts whose facts are pulled.
    pub accounts: Vec<Account>,
    /// What is pulled from them.
    pub sources: Sources,
    /// Folders and buckets that are watched for files.
    pub files: Vec<Files>,
    /// What accounts may cost a month.
    pub budgets: Vec<Budget>,
    /// What is meant to be as it is: findings that are muted.
    pub exemptions: Vec<Exemption>,
    /// Where a test ends the process (`SKYHERD_TEST_FAILPOINT`); not a setting of the file.
    #[serde(skip)]
    #[schemars(skip)]
    pub failpoint: Option<String>,
}

/// Apache Kafka.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Bootstrap brokers, `host:port`.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub brokers: Vec<String>,
    /// Any librdkafka property. In the environment `_` stands for `.`:
    /// `SKYHERD_KAFKA__PROPERTIES__SASL_USERNAME`.
    pub properties: Properties,
}

/// How Redis is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedisMode {
    /// One server.
    #[default]
    Standalone,
    /// Sentinels that name the server; `urls` are theirs.
    Sentinel,
    /// Redis Cluster; `urls` are some of its nodes.
    Cluster,
}

/// Redis.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://host:port/db`, or `rediss://` for TLS; several for sentinels or cluster nodes.
    #[serde(deserialize_with = "secret_list")]
    #[schemars(with = "Vec<String>")]
    pub urls: Vec<Secret>,
    /// How it is run.
    pub mode: RedisMode,
    /// The name sentinels know the server by.
    pub sentinel_master: String,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// PEM file of the authority that signed the server's certificate; else the system's.
    pub ca_file: Option<PathBuf>,
    /// What every key begins with.
    pub prefix: String,
}

/// When states are saved.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Checkpoint {
    /// Milliseconds between checkpoints of a task with changes.
    pub interval_ms: u64,
    /// Changed bytes of a task that cause a checkpoint at once.
    pub dirty_bytes_max: u64,
}

/// Short-term memory.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Observations kept a subject.
    pub recent_capacity: usize,
    /// Milliseconds between backups of changed states to the `memory` topic.
    pub backup_interval_ms: u64,
}

/// The process's watch over itself.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Milliseconds between its reports on itself, which the rules SELF-* judge; 0 for none.
    pub interval_ms: u64,
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The format of that name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Log lines.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Form.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,skyherd::runtime=debug`.
    pub level: String,
}

/// Who may use the HTTP API.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Bearer tokens. Without any, the API is open on loopback.
    pub tokens: Vec<Token>,
}

/// What a token allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    #[default]
    Read,
    /// Read and publish.
    Write,
}

/// One bearer token, stored as its hash. `skyherd token NAME` makes one.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whose; appears in logs.
    pub name: String,
    /// BLAKE3 of the token, 64 hex digits.
    pub blake3: Secret,
    /// What it allows.
    #[serde(default)]
    pub role: Role,
    /// Accounts it is limited to; all when empty.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// When it stops counting, RFC 3339; never when absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl Config {
    /// The JSON Schema of the file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
    /// Whether the process runs on Kafka and Redis.
    pub fn cluster(&self) -> bool {
        self.kafka.is_some()
    }
    /// The file in the data directory that names the address a running service listens on.
    pub fn address_file(&self) -> PathBuf {
        self.data_dir.join("http-address")
    }
}

impl Default for Config {
    /// The defaults that need no look at the machine; `load_here` puts in home and host name.
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("skyherd-data"),
            partitions: PARTITIONS,
            agents: AgentName::ALL.to_vec(),
            node: "node".to_owned(),
            http: Http::default(),
            kafka: None,
            redis: None,
            checkpoint: Checkpoint::default(),
            memory: Memory::default(),
            watch: Watch::default(),
            log: Log::default(),
            auth: Auth::default(),
            ingest: Ingest::default(),
            accounts: Vec::new(),
            sources: Sources::default(),
            files: Vec::new(),
            budgets: Vec::new(),
            exemptions: Vec::new(),
            failpoint: None,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            mode: RedisMode::Standalone,
            sentinel_master: String::new(),
            username: None,
            password: None,
            ca_file: None,
            prefix: "skyherd".to_owned(),
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            interval_ms: 2_000,
            dirty_bytes_max: 8 * 1_024 * 1_024,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            recent_capacity: crate::ports::RECENT_CAPACITY,
            backup_interval_ms: 10 * 60 * 1_000,
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// One text with commas, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        OneOrMany::Many(texts) => texts,
    })
}

fn secret_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
    Ok(list(deserializer)?.into_iter().map(Secret::new).collect())
}

/// Reads `address:port`; `localhost` stands for 127.0.0.1, `:8080` and `*:8080` for every address.
fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let spelled = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
        _ => text.clone(),
    };
    spelled
        .parse()
        .map_err(|_| serde::de::Error::custom(format!("{text:?} is not address:port")))
}
