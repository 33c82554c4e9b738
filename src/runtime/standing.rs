//! How tasks stand: for readiness, status and gauges.

use std::collections::BTreeMap;

use crate::agents::Agent;
use crate::model::{Timestamp, Topic};
use crate::ports::PortResult;
use crate::telemetry::Signal;

use super::merge;
use super::ownership::idle_now;
use super::task::Stage;
use super::worker::Worker;

/// Gauges are refreshed this often.
const GAUGES_MS: u64 = 1_000;

/// How one task stands, for readiness and status.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// The partition.
    pub partition: u32,
    /// It has taken everything that was there when it was acquired.
    pub live: bool,
    /// Intake is stopped on a lasting fault, or another owner holds it.
    pub parked: bool,
    /// Records between its positions and the log's ends.
    pub lag: u64,
    /// Something is not yet saved, settled or sent.
    pub dirty: bool,
    /// A wake is due.
    pub wake_due: bool,
    /// The task's clock.
    pub clock: Timestamp,
}

impl Standing {
    /// Nothing is left to do until something new is heard.
    pub fn quiet(&self) -> bool {
        self.live && !self.parked && self.lag == 0 && !self.dirty && !self.wake_due
    }
}

impl<A: Agent> Worker<A> {
    pub(super) fn gauge(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.gauged_ms) < GAUGES_MS {
            return;
        }
        self.gauged_ms = now_ms;
        let agent = self.shared.spec.name;
        // A topic of tasks that went elsewhere must not keep its last lag.
        let mut lags: BTreeMap<Topic, u64> = self.topics.iter().map(|topic| (*topic, 0)).collect();
        let (mut live, mut parked, mut cached) = (0, 0, 0);
        let mut newest = Timestamp::default();
        for task in self.tasks.values() {
            for (topic, lag) in merge::lag(task, &*self.log) {
                *lags.entry(topic).or_default() += lag;
            }
            live += usize::from(task.live);
            parked += usize::from(task.faults.parked());
            cached += task.cache.len();
            newest = newest.max(task.meta.clock);
        }
        let metrics = &self.shared.metrics;
        for (topic, records) in lags {
            metrics.emit(&Signal::Lag {
                agent,
                topic,
                records,
            });
        }
        metrics.emit(&Signal::Tasks {
            agent,
            owned: self.tasks.len(),
            live,
            parked,
        });
        metrics.emit(&Signal::SubjectsCached {
            agent,
            count: cached,
        });
        if newest != Timestamp::default() {
            let seconds = self.shared.clock.now().since(newest) as f64 / 1_000.0;
            metrics.emit(&Signal::EventAge { agent, seconds });
        }
    }

    /// Whether the group has said what this worker owns. Before, and while the group shares out
    /// anew, its tasks say nothing of what is still to come.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// How every task stands. With `refresh` the log is asked for its true ends first.
    pub fn standing(&mut self, refresh: bool) -> PortResult<Vec<Standing>> {
        if refresh {
            let partitions = self.partitions();
            self.log.refresh_ends(&partitions)?;
        }
        let now_ms = self.shared.clock.monotonic_ms();
        Ok(self
            .tasks
            .values()
            .map(|task| Standing {
                partition: task.id.partition,
                live: task.live,
                parked: task.faults.parked() || task.stage != Stage::Running,
                lag: merge::lag(task, &*self.log)
                    .iter()
                    .map(|(_, lag)| lag)
                    .sum(),
                dirty: task.unsaved()
                    || task.has_work()
                    || task.backup.is_some()
                    || !task.outputs.is_empty()
                    || !task.foreign.is_empty(),
                wake_due: self.shared.options.idle_time
                    && task.due(idle_now(task, now_ms)).is_some(),
                clock: task.meta.clock,
            })
            .collect())
    }
}
