//! The composition root: builds adapters, starts workers and the API, stops them in order.

mod api;
mod backend;
#[cfg(feature = "kafka")]
mod cluster;
mod https;
mod insight;
mod letters;
mod pack;
mod pulse;
mod replay;
#[cfg(feature = "aws")]
mod sources;
mod upkeep;
mod view;
mod watch;
mod why;
mod workers;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::http::Question;
use crate::model::{AgentName, Request, Subject, Topic, derive_hex, partition_of};
use crate::ports::{Clock as _, Outgoing, PortError, PortResult};
use crate::runtime::{Standing, SystemClock};
use crate::sources::{Decoded, decode};
use crate::telemetry::Metrics;

pub use api::{inspect, stretch, take_apart};
pub use backend::{Backend, open};
#[cfg(feature = "kafka")]
pub use cluster::kafka_options;
pub use pack::Pack;
pub use replay::{Outcome, Replay, ReplayOptions};
#[cfg(feature = "aws")]
pub use sources::{
    Live, LiveAccount, LivePermission, Plan, PlannedAccount, PlannedFiles, PlannedSource,
    check_live, plan, read_bucket,
};
pub use view::{HEADER_MARK, HEADER_REPLAYED};
pub use watch::Watch;
use workers::Time;
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

/// How a process stands.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Standings {
    /// Every task it owns.
    pub tasks: Vec<TaskStanding>,
    /// Its agents that do not know yet what they own.
    pub joining: Vec<AgentName>,
}

/// What the API and tools may ask of a running process.
pub struct Handle {
    /// The registry.
    pub metrics: Arc<Metrics>,
    backend: Arc<dyn Backend>,
    workers: Workers,
    view: view::View,
    insight: insight::Insight,
    pulse: pulse::Pulse,
    asked: AtomicU64,
    /// How the sources of this process do.
    #[cfg(feature = "aws")]
    board: sources::Board,
    /// Whether a thread keeps the view up to date; else each look does.
    followed: bool,
    clock: SystemClock,
}

impl Handle {
    /// How every owned task stands. With `refresh` the log is asked for its true ends first.
    pub fn standing(&self, refresh: bool) -> PortResult<Standings> {
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

    /// What a data directory or cluster holds, without running anything on it.
    pub fn offline(config: &Config) -> anyhow::Result<Arc<Self>> {
        let backend = open(config)?;
        let metrics = Arc::new(Metrics::default());
        Ok(Arc::new(Self::new(
            backend,
            metrics,
            Workers::default(),
            false,
        )?))
    }

    fn new(
        backend: Arc<dyn Backend>,
        metrics: Arc<Metrics>,
        workers: Workers,
        followed: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            metrics,
            view: view::View::new(),
            insight: insight::Insight::new(backend.store()?, backend.partitions()),
            pulse: pulse::Pulse::default(),
            asked: AtomicU64::new(0),
            #[cfg(feature = "aws")]
            board: sources::Board::default(),
            backend,
            workers,
            followed,
            clock: SystemClock::default(),
        })
    }

    /// Waits until what is durable now is in the view.
    fn fresh(&self) -> PortResult<()> {
        if self.followed {
            self.view.fresh(&*self.backend)
        } else {
            self.view.read_once(&*self.backend)
        }
    }

    /// Publishes a request for each account, under one id, which is returned once all are durable.
    fn ask(&self, question: &Question) -> PortResult<String> {
        let at = self.clock.now();
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let id = derive_hex(&[
            "request",
            &question.accounts.join(","),
            question.subject.as_ref().map_or("", Subject::as_str),
            &at.ms().to_string(),
            &std::process::id().to_string(),
            &number.to_string(),
        ]);
        let mut records = Vec::new();
        for account in &question.accounts {
            let request = Request {
                id: id.clone(),
                kind: question.kind,
                account: account.as_str().into(),
                subject: question.subject.clone(),
                at,
                deadline: at.plus(question.deadline_ms),
            };
            let payload = serde_json::to_vec(&request)
                .map_err(|error| PortError::Fatal(format!("a request has no JSON: {error}")))?;
            let partitions = self.backend.partitions();
            let key = Some(account.as_str());
            records.push(address(Topic::Requests, key, &payload, partitions, at.ms()));
        }
        self.backend.publish(&records)?;
        Ok(id)
    }

    /// Why a worker ended, when one did.
    pub fn failure(&self) -> Option<String> {
        self.workers.failure()
    }

    /// Resolves when a worker has ended on a failure.
    async fn failed(&self) {
        self.workers.failed().await;
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

/// Why a service that did not fail stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// SIGTERM.
    Told,
    /// Ctrl-c.
    Interrupted,
    /// A worker ended; stopping the service says why.
    Failed,
}

/// Runs the service until it is told to stop (SIGTERM, ctrl-c) or a worker fails for good.
pub fn run(config: &Config, agents: &[AgentName]) -> anyhow::Result<Stopped> {
    let metrics = Arc::new(Metrics::default());
    let backend = open(config)?;
    let service = Service::start(config, agents, backend, metrics)?;
    host(config, service, CtrlC::Ours, &|| {
        api::listen(config.http.listen, "http.listen")
    })
}

/// Serves what a replay ended with on `address`, or on any port of that host when it is taken, until
/// SIGTERM; ctrl-c is the caller's to hear. The agents take what is published meanwhile; otherwise
/// time stands still for them, lest what was recorded grow old. `told` hears the address.
pub fn show(
    replay: Replay,
    address: SocketAddr,
    told: &dyn Fn(SocketAddr),
) -> anyhow::Result<Stopped> {
    let mut config = Config {
        partitions: replay.partitions(),
        data_dir: replay.dir().to_owned(),
        ..Config::default()
    };
    // A process that watches itself would write into the estate.
    config.watch.interval_ms = 0;
    let backend = replay.into_backend();
    let service = Service::start_in(
        Time::Recorded,
        &config,
        &AgentName::ALL,
        backend,
        Arc::new(Metrics::default()),
    )?;
    host(&config, service, CtrlC::Others, &|| {
        let any = SocketAddr::new(address.ip(), 0);
        let taken = |address| api::listen(address, "http.listen");
        let listener = taken(address).or_else(|_| taken(any))?;
        told(listener.local_addr()?);
        Ok(listener)
    })
}

/// Serves the API of a started service until it is to stop, and stops it.
fn host(
    config: &Config,
    service: Service,
    interrupt: CtrlC,
    listen: &dyn Fn() -> anyhow::Result<TcpListener>,
) -> anyhow::Result<Stopped> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("could not start the HTTP runtime")?;
    let (why, stopped) = std::sync::mpsc::sync_channel(1);
    let handle = service.handle();
    // Before anybody can know that the service runs: a signal from then on is heard.
    let signals = {
        let _within = runtime.enter();
        Signals::listen(interrupt)?
    };
    let stop = async move {
        // The other end is there as long as the server is.
        let _ = why.try_send(stopping(handle, signals).await);
    };
    let served = listen().and_then(|listener| {
        runtime.block_on(api::serve(config, listener, service.handle(), stop))
    });
    // Ends what a stream or a slow request still runs, before the workers it asks are gone.
    drop(runtime);
    service.stop()?;
    served?;
    Ok(stopped.try_recv().unwrap_or(Stopped::Failed))
}

/// Who is to hear ctrl-c.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CtrlC {
    Ours,
    Others,
}

/// The signals that stop a service.
struct Signals {
    terminate: Signal,
    interrupt: Option<Signal>,
}

impl Signals {
    fn listen(interrupt: CtrlC) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("could not listen for signals");
        let ours = interrupt == CtrlC::Ours;
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: ours.then(|| listen(SignalKind::interrupt())).transpose()?,
        })
    }
}

/// Resolves on SIGTERM, ctrl-c, or when a worker has ended.
async fn stopping(handle: Arc<Handle>, mut signals: Signals) -> Stopped {
    let interrupted = async {
        match &mut signals.interrupt {
            Some(interrupt) => interrupt.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = signals.terminate.recv() => {
            tracing::info!("told to stop");
            Stopped::Told
        }
        _ = interrupted => {
            tracing::info!("interrupted");
            Stopped::Interrupted
        }
        () = handle.failed() => {
            tracing::error!("a worker ended");
            Stopped::Failed
        }
    }
}
