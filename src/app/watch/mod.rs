//! The process watches itself: once a round it reads its own registry back and publishes what it
//! finds as events of its own, which the rules `SELF-*` judge like any others.
//!
//! Deliberately absent: any judgement. Whether a number is bad is a rule's to say, so that it can
//! be replayed, explained and muted, and so that two processes never write one row.

mod machine;
mod report;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::{Handle, address};
use crate::config::Config;
use crate::model::{AgentName, OWN_ACCOUNT, Timestamp, Topic};
use crate::ports::{Clock as _, Outgoing, PortResult};
use crate::runtime::SystemClock;
use crate::telemetry::{Sample, Signal};

use report::Around;

/// Longest a worker may take to answer that it is there: far above a turn, below a round.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A process that watches itself.
pub struct Watch {
    handle: Arc<Handle>,
    node: String,
    interval_ms: u64,
    agents: Vec<AgentName>,
    /// What the last report that was published told up to.
    told: Sample,
    /// When each raw topic last brought something to this process; at first, when it began.
    heard: BTreeMap<Topic, Timestamp>,
}

impl Watch {
    /// Watches the running service behind `handle`, which runs `agents`.
    pub fn new(handle: Arc<Handle>, config: &Config, agents: &[AgentName]) -> Self {
        Self {
            handle,
            node: config.node.clone(),
            interval_ms: config.watch.interval_ms,
            agents: agents.to_vec(),
            told: Sample::new(),
            heard: BTreeMap::new(),
        }
    }

    /// One round at `at`: publishes a report on each agent and on the process, and brings the
    /// gauges up to date. `leaving` says that the process stops in good order.
    ///
    /// What happened since the last published round is told by the next when this one fails.
    pub fn round(&mut self, at: Timestamp, leaving: bool) -> PortResult<()> {
        let sample = self.handle.metrics.sample_all();
        let answering = self.handle.workers.answering(ANSWER_WAIT);
        let node = self.node.clone();
        let around = Around {
            node: &node,
            interval_ms: self.interval_ms,
            leaving,
            at,
        };
        let mut records: Vec<Outgoing> = Vec::new();
        for agent in AgentName::ALL {
            let runs = self.agents.contains(&agent);
            let answers = answering.contains(&agent);
            let told = report::of_agent(&around, agent, (runs, answers), (&self.told, &sample));
            self.note_source(agent, told.source_taken, at);
            records.push(self.record(&report::agent_event(&around, &told), at));
        }
        let process = machine::process_memory();
        let store = self.handle.backend.usage().unwrap_or_default();
        self.note_memory("process", process.as_ref());
        self.note_memory("store", store.as_ref());
        let told = report::of_process(&around, process.as_ref(), store.as_ref());
        records.push(self.record(&report::process_event(&around, &told), at));
        let published = self.handle.backend.publish(&records);
        let error = published.as_ref().err().map(ToString::to_string);
        let error = error.as_deref();
        self.handle.metrics.emit(&Signal::WatchRound { error });
        published?;
        self.told = sample;
        let view = &self.handle.view;
        view.fresh(&*self.handle.backend)?;
        tally::tell(
            &self.handle.metrics,
            &view.findings(),
            &view.recommendations(),
        );
        Ok(())
    }

    fn record(&self, event: &serde_json::Value, at: Timestamp) -> Outgoing {
        let payload = event.to_string().into_bytes();
        let partitions = self.handle.backend.partitions();
        address(
            Topic::AwsEvents,
            Some(OWN_ACCOUNT),
            &payload,
            partitions,
            at.ms(),
        )
    }

    fn note_source(&mut self, agent: AgentName, taken: Option<u64>, at: Timestamp) {
        let source = report::source_of(agent);
        let (Some(topic), Some(taken)) = (source, taken) else {
            return;
        };
        let heard = self.heard.entry(topic).or_insert(at);
        if taken > 0 {
            *heard = at;
        }
        let seconds = at.since(*heard) as f64 / 1_000.0;
        self.handle
            .metrics
            .emit(&Signal::SourceQuiet { topic, seconds });
    }

    fn note_memory(&self, of: &'static str, usage: Option<&crate::ports::Usage>) {
        if let Some(usage) = usage {
            let (bytes, bound) = (usage.bytes, usage.bound);
            self.handle
                .metrics
                .emit(&Signal::MemoryHeld { of, bytes, bound });
        }
    }
}

/// Starts the thread that watches, unless the configuration says not to.
pub(super) fn start(
    handle: &Arc<Handle>,
    config: &Config,
    agents: &[AgentName],
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if config.watch.interval_ms == 0 {
        return Ok(None);
    }
    let watch = Watch::new(Arc::clone(handle), config, agents);
    let stop = Arc::clone(stop);
    let thread = std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || rounds(watch, &stop))
        .context("could not start the watch thread")?;
    Ok(Some(thread))
}

/// Rounds until told to stop, then a farewell, so that nobody takes a stop for a loss.
fn rounds(mut watch: Watch, stop: &AtomicBool) {
    let clock = SystemClock::default();
    let interval = watch.interval_ms;
    let mut due = clock.monotonic_ms() + interval;
    let mut reached = true;
    loop {
        while !stop.load(Ordering::Acquire) && clock.monotonic_ms() < due {
            std::thread::park_timeout(Duration::from_millis(
                due.saturating_sub(clock.monotonic_ms()),
            ));
        }
        if stop.load(Ordering::Acquire) {
            break;
        }
        reached = watch.round(clock.now(), false).is_ok();
        // A round that took long is not made up for.
        due = (due + interval).max(clock.monotonic_ms());
    }
    // Where nothing is reached a farewell would only hold up the stop; and a process that ends
    // because a worker failed leaves nothing in good order.
    if reached && watch.handle.failure().is_none() {
        let _unsaid = watch.round(clock.now(), true);
    }
}
