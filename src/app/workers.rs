//! One thread an agent, and how the rest of the process talks to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::agents::Agent;
use crate::agents::coordinator::Coordinator;
use crate::agents::domain::DomainAgent;
use crate::config::Config;
use crate::model::AgentName;
use crate::ports::{PortError, PortResult};
use crate::runtime::{Failpoint, Options, Outside, Standing, SystemClock, Worker};
use crate::telemetry::Metrics;

use super::{Backend, Handle, Standings, TaskStanding};

/// How long a worker rests after a fault that is nobody's in particular.
const FAULT_REST: Duration = Duration::from_millis(200);

/// A question to a worker, answered between two turns.
struct Question {
    refresh: bool,
    answer: SyncSender<PortResult<(bool, Vec<Standing>)>>,
}

/// The running workers.
#[derive(Default)]
pub struct Workers {
    inboxes: Vec<(AgentName, Mutex<Sender<Question>>)>,
    /// Why the first worker that failed did.
    failure: Arc<watch::Sender<Option<String>>>,
}

impl Workers {
    /// Asks every worker how its tasks stand.
    pub fn standing(&self, refresh: bool, within: Duration) -> PortResult<Standings> {
        let mut all = Standings::default();
        for (agent, inbox) in &self.inboxes {
            let (answer, answers) = sync_channel(1);
            let gone = || PortError::Transient(format!("the {agent} worker does not answer"));
            inbox
                .lock()
                .send(Question { refresh, answer })
                .map_err(|_| gone())?;
            let (joined, tasks) = answers.recv_timeout(within).map_err(|_| gone())??;
            if !joined {
                all.joining.push(*agent);
            }
            all.tasks
                .extend(tasks.into_iter().map(|standing| TaskStanding {
                    agent: *agent,
                    standing,
                }));
        }
        Ok(all)
    }

    /// The agents whose workers answer within `within`, each.
    pub(super) fn answering(&self, within: Duration) -> BTreeSet<AgentName> {
        let mut answering = BTreeSet::new();
        for (agent, inbox) in &self.inboxes {
            let (answer, answers) = sync_channel(1);
            let question = Question {
                refresh: false,
                answer,
            };
            let asked = inbox.lock().send(question).is_ok();
            if asked && answers.recv_timeout(within).is_ok() {
                answering.insert(*agent);
            }
        }
        answering
    }

    /// Why a worker ended, when one did.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Resolves when a worker has ended on a failure.
    pub async fn failed(&self) {
        let mut failure = self.failure.subscribe();
        // An error would mean that the sender, which is ours, is gone.
        let _ = failure.wait_for(Option::is_some).await;
    }

    /// Whether this process runs the agent.
    pub fn runs(&self, agent: AgentName) -> bool {
        self.inboxes.iter().any(|(name, _)| *name == agent)
    }
}

/// What time it is for agents that hear nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Time {
    /// It goes on.
    Wall,
    /// It stands still: what was recorded stays as it was.
    Recorded,
}

/// A started service.
pub struct Service {
    handle: Arc<Handle>,
    threads: Vec<(AgentName, JoinHandle<()>)>,
    /// Threads besides the workers, woken to stop.
    helpers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Service {
    /// Starts a worker for each of `agents`.
    pub fn start(
        config: &Config,
        agents: &[AgentName],
        backend: Arc<dyn Backend>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        Self::start_in(Time::Wall, config, agents, backend, metrics)
    }

    /// As [`Service::start`], in a time of its own.
    pub(super) fn start_in(
        time: Time,
        config: &Config,
        agents: &[AgentName],
        backend: Arc<dyn Backend>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = Workers::default();
        let mut threads = Vec::new();
        for name in agents {
            let (inbox, questions) = channel();
            workers.inboxes.push((*name, Mutex::new(inbox)));
            let spawn = Spawn {
                backend: &*backend,
                metrics: &metrics,
                options: Options {
                    idle_time: time == Time::Wall,
                    ..options(config)
                },
                stop: Arc::clone(&stop),
                failure: Arc::clone(&workers.failure),
                questions,
            };
            let thread = match name {
                AgentName::Coordinator => spawn.start(Coordinator)?,
                domain => spawn.start(
                    DomainAgent::new(*domain)
                        .exempting(config.exempt())
                        .budgeting(config.plans()),
                )?,
            };
            threads.push((*name, thread));
        }
        let mut helpers = Vec::new();
        if let Some(db) = backend.embedded() {
            let (db, agents, stop) = (db.clone(), agents.to_vec(), Arc::clone(&stop));
            helpers.push(helper("upkeep", move || {
                super::upkeep::rounds(&db, &agents, &stop);
            })?);
        }
        let handle = Arc::new(Handle::new(backend, metrics, workers, true)?);
        let (shared, told) = (Arc::clone(&handle), Arc::clone(&stop));
        helpers.push(helper("view", move || {
            shared.view.follow(&*shared.backend, &told);
        })?);
        let (shared, told) = (Arc::clone(&handle), Arc::clone(&stop));
        helpers.push(helper("pulse", move || {
            let open = |agent| shared.view.open_findings(agent);
            shared.pulse.beat(&shared.metrics, &open, &told);
        })?);
        helpers.extend(super::watch::start(&handle, config, agents, &stop)?);
        #[cfg(feature = "aws")]
        helpers.extend(super::sources::start(&handle, config, &stop)?);
        Ok(Self {
            handle,
            threads,
            helpers,
            stop,
        })
    }

    /// What others may ask of it.
    pub fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    /// Stops every worker after a last checkpoint; an error when one had failed.
    pub fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Release);
        for helper in self.helpers {
            let name = helper.thread().name().unwrap_or_default().to_owned();
            helper.thread().unpark();
            if helper.join().is_err() {
                tracing::error!("the {name} thread ended in a panic; this is a bug");
            }
        }
        for (agent, thread) in self.threads {
            if thread.join().is_err() {
                anyhow::bail!(
                    "the {agent} worker ended in a panic; this is a bug, please report it"
                );
            }
        }
        match self.handle.failure() {
            Some(failure) => Err(anyhow::anyhow!(failure)),
            None => Ok(()),
        }
    }
}

pub(super) fn helper(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("could not start the {name} thread"))
}

/// The runtime's options from the configuration.
pub(super) fn options(config: &Config) -> Options {
    Options {
        partitions: config.partitions,
        dirty_bytes_max: usize::try_from(config.checkpoint.dirty_bytes_max).unwrap_or(usize::MAX),
        checkpoint_interval_ms: config.checkpoint.interval_ms,
        recent_capacity: config.memory.recent_capacity,
        backup_interval_ms: config.memory.backup_interval_ms,
        checkpoint_thread: config.cluster(),
        failpoint: config
            .failpoint
            .as_deref()
            .and_then(Failpoint::parse)
            .map(Arc::new),
        ..Options::default()
    }
}

struct Spawn<'a> {
    backend: &'a dyn Backend,
    metrics: &'a Arc<Metrics>,
    options: Options,
    stop: Arc<AtomicBool>,
    failure: Arc<watch::Sender<Option<String>>>,
    questions: Receiver<Question>,
}

impl Spawn<'_> {
    fn start<A: Agent>(self, agent: A) -> anyhow::Result<JoinHandle<()>> {
        let spec = agent.capabilities();
        let (log, store) = self.backend.ports(spec)?;
        let outside = Outside {
            log,
            store,
            clock: Arc::new(SystemClock::default()),
            metrics: Arc::clone(self.metrics),
        };
        let wait = self.options.poll_wait;
        let worker = Worker::new(agent, outside, self.options)
            .with_context(|| format!("could not start the {} worker", spec.name))?;
        let (stop, failure, questions) = (self.stop, self.failure, self.questions);
        std::thread::Builder::new()
            .name(spec.name.to_string())
            .spawn(move || {
                if let Err(error) = work(worker, &stop, &questions, wait) {
                    tracing::error!(agent = %spec.name, %error, "worker ended");
                    failure.send_if_modified(|first| {
                        let fresh = first.is_none();
                        first.get_or_insert(format!("{}: {error}", spec.name));
                        fresh
                    });
                }
            })
            .with_context(|| format!("could not start the {} thread", spec.name))
    }
}

/// Turns until told to stop, answering questions in between.
fn work<A: Agent>(
    mut worker: Worker<A>,
    stop: &AtomicBool,
    questions: &Receiver<Question>,
    wait: Duration,
) -> PortResult<()> {
    while !stop.load(Ordering::Acquire) {
        match worker.turn(wait) {
            Ok(_) => {}
            Err(PortError::Fatal(text)) => return Err(PortError::Fatal(text)),
            Err(error) => {
                tracing::warn!(%error, "turn cut short");
                std::thread::park_timeout(FAULT_REST);
            }
        }
        while let Ok(question) = questions.try_recv() {
            let standing = worker.standing(question.refresh);
            let answer = standing.map(|tasks| (worker.joined(), tasks));
            // An asker that went away needs no answer.
            let _gone = question.answer.try_send(answer);
        }
    }
    worker.shutdown()
}
