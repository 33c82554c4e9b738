//! Topics and the API from outside: through the running service of a data directory, or directly.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::app::{Backend, Handle, address, open, stretch};
use crate::config::Config;
use crate::http::{Access, Local, Stored, Stretch, router};
use crate::model::Topic;

/// Longest wait for the service's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);
/// Largest answer taken, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Variable with the bearer token for a running service.
const TOKEN: &str = "SKYHERD_TOKEN";

/// The way to the topics.
pub(super) enum Client {
    /// A service holds the data directory; it is asked over HTTP.
    Service { base: String, agent: ureq::Agent },
    /// Nobody does, or the topics are Kafka's.
    Direct(Arc<dyn Backend>),
}

impl Client {
    /// Finds the way. With `existing`, an embedded data directory must be there already.
    pub(super) fn find(config: &Config, existing: bool) -> anyhow::Result<Self> {
        if !config.cluster() {
            if let Some(service) = running(config) {
                return Ok(service);
            }
            if existing && !config.data_dir.is_dir() {
                anyhow::bail!(no_data(config));
            }
        }
        Ok(Self::Direct(open(config)?))
    }

    /// Partitions of every topic.
    pub(super) fn partitions(&self) -> anyhow::Result<u32> {
        match self {
            Self::Direct(backend) => Ok(backend.partitions()),
            Self::Service { .. } => {
                let answer = self.get(Topic::AwsEvents, 0, 0, 1)?;
                let partitions = answer["partitions"].as_u64();
                Ok(partitions.context("the service does not tell its partitions")? as u32)
            }
        }
    }

    /// At most `limit` records of a partition from `from` on.
    pub(super) fn records(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> anyhow::Result<Stretch> {
        match self {
            Self::Direct(backend) => Ok(stretch(&**backend, topic, partition, from, limit)?),
            Self::Service { .. } => {
                let answer = self.get(topic, partition, from, limit)?;
                let records = answer["records"].as_array().map(Vec::as_slice);
                Ok(Stretch {
                    records: records.unwrap_or_default().iter().map(stored).collect(),
                    next: answer["next"].as_u64().unwrap_or(from),
                    end: answer["end"].as_u64().unwrap_or(from),
                })
            }
        }
    }

    /// Publishes a record of `account`; durable when this returns.
    pub(super) fn publish(
        &self,
        topic: Topic,
        account: &str,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        match self {
            Self::Direct(backend) => {
                let now = std::time::SystemTime::now();
                let now_ms = now
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.as_millis() as i64);
                let partitions = backend.partitions();
                let record = address(topic, Some(account), payload, partitions, now_ms);
                Ok(backend.publish(&[record])?)
            }
            Self::Service { base, agent } => {
                let url = format!("{base}/api/v1/events?topic={topic}");
                let mut request = agent.post(&url).content_type("application/json");
                if let Ok(token) = std::env::var(TOKEN) {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                answered(request.send(payload)).map(drop)
            }
        }
    }

    fn get(&self, topic: Topic, partition: u32, from: u64, limit: usize) -> anyhow::Result<Value> {
        let Self::Service { base, agent } = self else {
            anyhow::bail!("only a service is asked over HTTP");
        };
        let url = format!(
            "{base}/api/v1/topics/{topic}/records?partition={partition}&from={from}&limit={limit}"
        );
        let mut request = agent.get(&url);
        if let Ok(token) = std::env::var(TOKEN) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answered(request.call())
    }
}

/// The way to the API.
pub(super) enum Api {
    /// Of a running service.
    Service { base: String, agent: ureq::Agent },
    /// On the data itself, in this process.
    Local(Box<Local>),
}

impl Api {
    /// The running service of the configuration, else the data itself.
    pub(super) fn find(config: &Config) -> anyhow::Result<Self> {
        if let Some(service) = Self::running(config) {
            return Ok(service);
        }
        if !config.cluster() && !config.data_dir.is_dir() {
            anyhow::bail!(no_data(config));
        }
        let handle = Handle::offline(config)?;
        let router = router(handle, Access::new(true));
        Ok(Self::Local(Box::new(Local::new(router)?)))
    }

    /// The running service, when it answers.
    pub(super) fn running(config: &Config) -> Option<Self> {
        match running(config)? {
            Client::Service { base, agent } => Some(Self::Service { base, agent }),
            Client::Direct(_) => None,
        }
    }

    /// The answer's JSON.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send("GET", path)
    }

    /// The answer's JSON, whatever its status.
    pub(super) fn look(&self, path: &str) -> anyhow::Result<Value> {
        let (_, text) = self.ask("GET", path)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The answer's JSON; an error with the problem's hint when it was refused.
    pub(super) fn send(&self, method: &str, path: &str) -> anyhow::Result<Value> {
        let (status, text) = self.ask(method, path)?;
        refused_or(status, &text)
    }

    fn ask(&self, method: &str, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        match self {
            Self::Local(local) => Ok(local.call(method, path, None)?),
            Self::Service { base, agent } => {
                let mut request = ureq::http::Request::builder()
                    .method(method)
                    .uri(format!("{base}{path}"));
                if let Ok(token) = std::env::var(TOKEN) {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                let mut answer = agent
                    .run(request.body(())?)
                    .context("the running service could not be asked")?;
                let status = answer.status().as_u16();
                let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                Ok((status, body.read_to_vec()?))
            }
        }
    }
}

/// Percent-encodes what may not stand in a path or query as it is; slashes stay.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

fn no_data(config: &Config) -> String {
    format!(
        "there is no data in {}; start `skyherd run` first, or name another with SKYHERD_DATA_DIR",
        config.data_dir.display()
    )
}

/// The service of the data directory, when it answers.
fn running(config: &Config) -> Option<Client> {
    let address = std::fs::read_to_string(config.address_file()).ok()?;
    let address: std::net::SocketAddr = address.trim().parse().ok()?;
    // A service that listens everywhere is reached on this machine by loopback.
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let base = format!("http://{}", std::net::SocketAddr::new(host, address.port()));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_WITHIN))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    agent.get(format!("{base}/healthz")).call().ok()?;
    Some(Client::Service { base, agent })
}

fn answered(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<Value> {
    let mut answer = answer.context("the running service could not be asked")?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    refused_or(status, &body.read_to_vec()?)
}

fn refused_or(status: u16, text: &[u8]) -> anyhow::Result<Value> {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut hint = field("hint");
    if status == 401 {
        hint = format!("put a token into the variable {TOKEN}");
    }
    let detail = match field("detail") {
        detail if detail.is_empty() => detail,
        detail => format!(": {detail}"),
    };
    anyhow::bail!("{}{detail}; {hint}", field("title"))
}

fn stored(record: &Value) -> Stored {
    let payload = match &record["payload"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        value => Some(value.to_string().into_bytes()),
    };
    Stored {
        offset: record["offset"].as_u64().unwrap_or_default(),
        key: record["key"].as_str().map(|key| key.as_bytes().to_vec()),
        payload,
        timestamp_ms: record["timestamp_ms"].as_i64(),
    }
}
