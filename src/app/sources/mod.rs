//! What is pulled from AWS while the service runs: who is asked, when, and what becomes of it.
//!
//! An account is pulled by the process that owns its partition of the resource agent, so that
//! several processes share the accounts and one that dies is taken over from. What was seen is kept
//! in rows of the `memory` topic, beside the agents' backups.

mod accounts;
mod again;
mod alarms;
mod attributes;
mod costs;
mod events;
mod files;
mod hash;
mod known;
mod live;
mod marks;
mod metrics;
mod money;
mod plan;
mod reports;
mod status;
mod sweep;
mod told;
mod turn;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle as Task;

use super::{Backend, Handle};
use crate::adapters::aws::{Api, Aws, CallError, Counts, Tally};
use crate::config::Config;
use crate::model::{AgentName, Timestamp, Topic, partition_of};
use crate::ports::{Clock as _, Outgoing, PortError};
use crate::runtime::SystemClock;
use crate::telemetry::Signal;

use accounts::{Found, Target};
use events::{Asked, Named};
pub use files::read_bucket;
pub use live::{Live, LiveAccount, LivePermission, check_live};
pub use plan::{Plan, PlannedAccount, PlannedFiles, PlannedSource, plan};
pub(crate) use status::Board;
use units::Unit;

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(200);
/// Between two looks at which partitions are this process's.
const OWNED_EVERY_MS: u64 = 5_000;
/// Longest wait for the workers to say so.
const OWNED_WAIT: Duration = Duration::from_secs(5);
/// How soon accounts are looked for again when some did not answer.
const LOOK_AGAIN_MS: u64 = 5 * 60_000;
/// Sweeps under way at once.
const SWEEPS_MAX: usize = 16;
/// Pause after the log did not take a record.
const PUBLISH_REST: Duration = Duration::from_secs(1);
/// Tries to publish before a sweep is given up.
const PUBLISH_TRIES: usize = 60;

/// Why a sweep ended before its end.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("the log does not take records: {0}")]
    Log(PortError),
    #[error("{0}: more pages than can be; the API repeats itself")]
    Endless(&'static str),
    #[error("not asked: sources.monthly_usd_max allows no more this month")]
    Money,
    #[error("an item has no JSON: {0}")]
    Shape(String),
}

/// What every pulling task shares.
struct Shared {
    aws: Aws,
    tally: Arc<Tally>,
    handle: Arc<Handle>,
    config: Config,
    clock: SystemClock,
    sweeps: tokio::sync::Semaphore,
    /// Whether the process is to stop.
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn backend(&self) -> &Arc<dyn Backend> {
        &self.handle.backend
    }

    fn partition(&self, account: &str) -> u32 {
        partition_of(account, self.backend().partitions())
    }

    fn outgoing(&self, topic: Topic, account: &str, key: &str, payload: Vec<u8>) -> Outgoing {
        Outgoing {
            topic,
            partition: self.partition(account),
            key: Some(key.as_bytes().to_vec()),
            payload: Some(payload),
            headers: Vec::new(),
            timestamp_ms: Some(self.now().ms()),
        }
    }

    /// Appends records; returns once they are durable. A log that is away is waited for.
    async fn publish(&self, records: Vec<Outgoing>) -> Result<(), Fault> {
        let records = Arc::new(records);
        for _ in 1..PUBLISH_TRIES {
            match self.append(&records).await {
                Err(PortError::Transient(_)) => tokio::time::sleep(PUBLISH_REST).await,
                done => return done.map_err(Fault::Log),
            }
        }
        self.append(&records).await.map_err(Fault::Log)
    }

    async fn append(&self, records: &Arc<Vec<Outgoing>>) -> Result<(), PortError> {
        let (backend, records) = (Arc::clone(self.backend()), Arc::clone(records));
        let appended = tokio::task::spawn_blocking(move || backend.publish(&records)).await;
        appended.unwrap_or_else(|error| Err(PortError::Fatal(error.to_string())))
    }

    /// Takes note of what was asked for money.
    fn paid(&self, place: &status::Place, micro_usd: u64) {
        let source = place.2;
        self.handle.board.paid(place, micro_usd);
        let metrics = &self.handle.metrics;
        metrics.emit(&Signal::SourcePaid { source, micro_usd });
    }

    /// The partitions whose accounts this process pulls; `None` for all.
    fn owned(&self) -> Option<BTreeSet<u32>> {
        if self.backend().embedded().is_some() {
            return None;
        }
        // Workers that do not answer own nothing new.
        let standings = self
            .handle
            .workers
            .standing(false, OWNED_WAIT)
            .unwrap_or_default();
        let tasks = standings.tasks.iter();
        Some(
            tasks
                .filter(|task| task.agent == AgentName::Resource)
                .map(|task| task.standing.partition)
                .collect(),
        )
    }
}

/// Waits for a future where nothing else runs.
fn blocking<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime of the sources")?;
    Ok(runtime.block_on(future))
}

/// Starts pulling, where the configuration names an account or a place with files.
pub(super) fn start(
    handle: &Arc<Handle>,
    config: &Config,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let wanted = !config.accounts.is_empty() || config.sources.organization.is_some();
    let pulls = config.sources.inventory_interval_ms > 0
        || config.sources.metrics.is_some()
        || config.sources.costs.is_some()
        || config.sources.budgets.is_some()
        || config.sources.alarms.is_some();
    if !(wanted && pulls) && config.files.is_empty() {
        return Ok(Vec::new());
    }
    let tally = Arc::clone(&handle.board.tally);
    let shared = Arc::new(Shared {
        aws: Aws::new(Arc::clone(&tally)),
        tally,
        handle: Arc::clone(handle),
        config: config.clone(),
        clock: SystemClock::default(),
        sweeps: tokio::sync::Semaphore::new(SWEEPS_MAX),
        stop: Arc::clone(stop),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime of the sources")?;
    let (named, events) = tokio::sync::mpsc::channel(events::QUEUE_MAX);
    let (handle, told) = (Arc::clone(handle), Arc::clone(stop));
    let listener = super::workers::helper("events", move || {
        events::listen(&handle, &named, &told);
    })?;
    let told = Arc::clone(stop);
    let puller = super::workers::helper("sources", move || {
        let mut rounds = Rounds::new(shared, events);
        runtime.block_on(async {
            while !told.load(Ordering::Acquire) {
                rounds.step().await;
                tokio::time::sleep(TICK).await;
            }
        });
        // A call under way is of no more use to anybody.
        runtime.shutdown_background();
    })?;
    Ok(vec![listener, puller])
}

/// What is due, and what is under way.
struct Rounds {
    shared: Arc<Shared>,
    events: Receiver<Named>,
    units: BTreeMap<(String, String), Unit>,
    targets: BTreeMap<(String, String), Target>,
    owned: Option<BTreeSet<u32>>,
    owned_due: u64,
    looking: Option<Task<Found>>,
    look_due: u64,
    watches: Vec<files::Watch>,
    told: [Counts; Api::ALL.len()],
    clients: (u64, u64),
}

impl Rounds {
    fn new(shared: Arc<Shared>, events: Receiver<Named>) -> Self {
        Self {
            watches: files::watches(&shared),
            shared,
            events,
            units: BTreeMap::new(),
            targets: BTreeMap::new(),
            owned: Some(BTreeSet::new()),
            owned_due: 0,
            looking: None,
            look_due: 0,
            told: Default::default(),
            clients: (0, 0),
        }
    }

    async fn step(&mut self) {
        let now = self.shared.clock.monotonic_ms();
        self.look(now).await;
        self.own(now).await;
        for ((_, region), unit) in &mut self.units {
            // Costs are the account's and not a region's.
            unit.start_due(&self.shared, now, region == accounts::GLOBAL);
        }
        for watch in &mut self.watches {
            watch.step(&self.shared, now, self.owned.as_ref());
        }
        self.hear();
        self.tell();
    }

    /// Looks for accounts and regions, off this task.
    async fn look(&mut self, now: u64) {
        if self.looking.is_none() && now >= self.look_due {
            let shared = Arc::clone(&self.shared);
            self.looking = Some(tokio::spawn(async move {
                accounts::look(&shared.aws, &shared.config).await
            }));
        }
        let Some(task) = self.looking.take_if(|task| task.is_finished()) else {
            return;
        };
        let every = self.shared.config.sources.discovery_interval_ms;
        self.look_due = now + every.min(LOOK_AGAIN_MS);
        let Ok(found) = task.await else {
            return;
        };
        self.look_due = now
            + if found.refused.is_empty() {
                every
            } else {
                every.min(LOOK_AGAIN_MS)
            };
        let at = self.shared.now();
        let board = &self.shared.handle.board;
        for (account, error) in &found.refused {
            self.shared.handle.metrics.emit(&Signal::SourceFailed {
                account,
                region: "-",
                error: &error.to_string(),
            });
            let place = (account.clone(), "-".to_owned(), "accounts");
            board.note(place, at, (0, 0), vec![error.to_string()]);
        }
        board.retain(|(account, _, source)| {
            *source != "accounts" || found.refused.iter().any(|(name, _)| name == account)
        });
        if found.refused.is_empty() {
            self.targets = found.targets;
        } else {
            // What does not answer today may be one that did yesterday: it stays.
            self.targets.extend(found.targets);
        }
        self.owned_due = 0;
    }

    /// Takes up the targets of the partitions that are ours, lets go of the others.
    async fn own(&mut self, now: u64) {
        if now < self.owned_due {
            return;
        }
        self.owned_due = now + OWNED_EVERY_MS;
        let shared = Arc::clone(&self.shared);
        let Ok(owned) = tokio::task::spawn_blocking(move || shared.owned()).await else {
            return;
        };
        self.owned = owned;
        let ours = |account: &str| {
            let partition = self.shared.partition(account);
            self.owned
                .as_ref()
                .is_none_or(|owned| owned.contains(&partition))
        };
        let targets = &self.targets;
        self.units
            .retain(|key, _| targets.contains_key(key) && ours(&key.0));
        let units = &self.units;
        let fresh: Vec<Target> = targets
            .iter()
            .filter(|(key, _)| ours(&key.0) && !units.contains_key(*key))
            .map(|(_, target)| target.clone())
            .collect();
        if fresh.is_empty() {
            return;
        }
        let accounts: BTreeSet<&String> = targets.keys().map(|(account, _)| account).collect();
        let share = u64::from(self.shared.config.sources.monthly_usd_max) * 1_000_000
            / accounts.len().max(1) as u64;
        let purses: units::Purses = units
            .iter()
            .map(|((account, _), unit)| (account.clone(), unit.purse()))
            .collect();
        for purse in purses.values() {
            // One that is being spent from is told the next time.
            if let Ok(mut purse) = purse.try_lock() {
                purse.share(share);
            }
        }
        let shared = Arc::clone(&self.shared);
        let made =
            tokio::task::spawn_blocking(move || units::restored(&shared, fresh, purses, share))
                .await;
        match made {
            Ok(Ok(made)) => self.units.extend(made),
            // The log is away: the next look tries again.
            Ok(Err(error)) => tracing::warn!(%error, "what sources knew could not be read"),
            Err(_) => {}
        }
    }

    /// Asks at once for what events named.
    fn hear(&mut self) {
        let mut heard: BTreeMap<(String, String), BTreeSet<Asked>> = BTreeMap::new();
        while let Ok(named) = self.events.try_recv() {
            let place = (named.account, named.region);
            if self.units.contains_key(&place) {
                heard.entry(place).or_default().insert(named.asked);
            }
        }
        for (place, asked) in heard {
            if let Some(unit) = self.units.get(&place) {
                unit.ask(&self.shared, &asked);
            }
        }
    }
}
