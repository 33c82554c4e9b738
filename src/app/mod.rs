//! The composition root: builds adapters, starts workers and the API, stops them in order.

mod api;
mod backend;
#[cfg(feature = "kafka")]
mod cluster;
mod replay;
mod upkeep;
mod view;
mod watch;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::Config;
use crate::model::{AgentName, Recommendation, Topic, partition_of};
use crate::ports::{Clock as _, Outgoing, PortResult};
use crate::runtime::{Standing, SystemClock};
use crate::sources::{Decoded, decode};
use crate::telemetry::Metrics;

pub use api::{inspect, stretch};
pub use backend::{Backend, open};
#[cfg(feature = "kafka")]
pub use cluster::kafka_options;
pub use replay::{Outcome, Replay, ReplayOptions};
pub use watch::Watch;
pub use workers::{Service, Workers};

/// Longest a readiness question waits for a worker's turn.
const STANDING_WAIT: Duration = Duration::from_secs(5);

/// Where a published record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The topic.
    pub topic: Topic,
    /// The partition of its account.
    pub partition: u32,
}

/// How one task stands, with its agent.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TaskStanding {
    /// Whose.
    pub agent: AgentName,
    /// How.
    #[serde(flatten)]
    pub standing: Standing,
}

/// What the API and tools may ask of a running process.
pub struct Handle {
    /// The registry.
    pub metrics: Arc<Metrics>,
    backend: Arc<dyn Backend>,
    workers: Workers,
    view: view::View,
    clock: SystemClock,
}

impl Handle {
    /// How every owned task stands. With `refresh` the log is asked for its true ends first.
    pub fn standing(&self, refresh: bool) -> PortResult<Vec<TaskStanding>> {
        self.workers.standing(refresh, STANDING_WAIT)
    }

    /// Appends a raw record or request to its account's partition; returns once it is durable.
    pub fn publish(
        &self,
        topic: Topic,
        key: Option<&str>,
        payload: &[u8],
    ) -> PortResult<Published> {
        let record = address(
            topic,
            key,
            payload,
            self.backend.partitions(),
            self.clock.now().ms(),
        );
        let published = Published {
            topic,
            partition: record.partition,
        };
        self.backend.publish(&[record])?;
        Ok(published)
    }

    /// Every recommendation, as the topic has it.
    pub fn recommendations(&self) -> PortResult<Vec<Recommendation>> {
        self.view.recommendations(&*self.backend)
    }

    /// Why a worker ended, when one did.
    pub fn failure(&self) -> Option<String> {
        self.workers.failure()
    }
}

/// Addresses a record from outside: its account's partition, keyed with the account. What cannot
/// be decoded goes by its key and becomes a dead letter.
pub fn address(
    topic: Topic,
    key: Option<&str>,
    payload: &[u8],
    partitions: u32,
    now_ms: i64,
) -> Outgoing {
    let decoded = decode(topic, key.map(str::as_bytes), Some(payload));
    let account = match &decoded {
        Ok(Decoded::Message(message)) => message.account(),
        _ => key.unwrap_or_default(),
    };
    let record_key = key.unwrap_or(account);
    Outgoing {
        topic,
        partition: partition_of(account, partitions),
        key: (!record_key.is_empty()).then(|| record_key.as_bytes().to_vec()),
        payload: Some(payload.to_vec()),
        headers: Vec::new(),
        timestamp_ms: Some(now_ms),
    }
}

/// Runs the service until it is told to stop (SIGTERM, ctrl-c) or a worker fails for good.
pub fn run(config: &Config, agents: &[AgentName]) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    let backend = open(config)?;
    let service = Service::start(config, agents, backend, metrics)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("could not start the HTTP runtime")?;
    let served = runtime.block_on(api::serve(
        config,
        service.handle(),
        stopping(service.handle()),
    ));
    let stopped = service.stop();
    served?;
    stopped
}

/// Resolves on SIGTERM, ctrl-c, or when a worker has ended.
async fn stopping(handle: Arc<Handle>) {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let failed = async {
        while handle.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = terminated => tracing::info!("told to stop"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted"),
        () = failed => tracing::error!("a worker ended"),
    }
}
