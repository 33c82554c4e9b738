//! How the agents of this process do: now, and a point a minute over the last 24 hours.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::http::{Rate, SeriesMetric};
use crate::model::{AgentName, Timestamp, Topic};
use crate::ports::Clock as _;
use crate::runtime::SystemClock;
use crate::telemetry::{AgentSample, Metrics};

/// Points kept of a metric: a day of minutes.
const POINTS_MAX: usize = 24 * 60;
/// Between two samples.
const EVERY: Duration = Duration::from_secs(2);

/// A sample of one agent at one time.
#[derive(Clone, Debug, Default)]
struct Seen {
    at: Timestamp,
    sample: AgentSample,
    open_findings: u64,
}

/// One agent's samples.
#[derive(Default)]
struct Agent {
    /// The last two samples.
    before: Option<Seen>,
    now: Option<Seen>,
    /// The first sample of the minute under way.
    minute: Option<Seen>,
    points: BTreeMap<SeriesMetric, VecDeque<(i64, f64)>>,
}

/// What one agent does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Doing {
    pub(super) sample: AgentSample,
    pub(super) records_per_second: f64,
    pub(super) latency_p50_ms: Option<f64>,
    pub(super) latency_p99_ms: Option<f64>,
}

/// Samples of every agent.
#[derive(Default)]
pub(super) struct Pulse {
    agents: Mutex<BTreeMap<AgentName, Agent>>,
}

impl Pulse {
    /// Samples until told to stop; the thread is woken by [`std::thread::Thread::unpark`].
    pub(super) fn beat(
        &self,
        metrics: &Metrics,
        open: &dyn Fn(AgentName) -> u64,
        stop: &AtomicBool,
    ) {
        let clock = SystemClock::default();
        while !stop.load(Ordering::Acquire) {
            for agent in AgentName::ALL {
                self.take(agent, clock.now(), metrics.sample(agent), open(agent));
            }
            std::thread::park_timeout(EVERY);
        }
    }

    /// Takes a sample.
    fn take(&self, agent: AgentName, at: Timestamp, sample: AgentSample, open_findings: u64) {
        let mut agents = self.agents.lock();
        let known = agents.entry(agent).or_default();
        let seen = Seen {
            at,
            sample,
            open_findings,
        };
        let minute = |at: Timestamp| at.ms().div_euclid(Timestamp::MINUTE);
        match &known.minute {
            // The first sample of a process shows a point at once, from its start on.
            None => {
                known.minute = Some(Seen {
                    at,
                    ..Seen::default()
                });
            }
            Some(first) if minute(first.at) != minute(at) => {
                known.minute = known.now.clone().map(|last| Seen { at, ..last });
            }
            Some(_) => {}
        }
        let first = known.minute.clone().unwrap_or_else(|| seen.clone());
        let start = minute(at) * Timestamp::MINUTE;
        for metric in SeriesMetric::ALL {
            let Some(value) = value(metric, &first, &seen) else {
                continue;
            };
            let points = known.points.entry(metric).or_default();
            match points.back_mut() {
                Some((at, newest)) if *at == start => *newest = value,
                _ => points.push_back((start, value)),
            }
            while points.len() > POINTS_MAX {
                points.pop_front();
            }
        }
        known.before = known.now.replace(seen);
    }

    /// The last 24 hours of a metric, oldest first.
    pub(super) fn series(&self, agent: AgentName, metric: SeriesMetric) -> Vec<(i64, f64)> {
        let agents = self.agents.lock();
        let points = agents
            .get(&agent)
            .and_then(|known| known.points.get(&metric));
        points.into_iter().flatten().copied().collect()
    }

    /// What an agent does now.
    pub(super) fn doing(&self, agent: AgentName, metrics: &Metrics) -> Doing {
        let mut doing = Doing {
            sample: metrics.sample(agent),
            ..Doing::default()
        };
        let agents = self.agents.lock();
        let Some(known) = agents.get(&agent) else {
            return doing;
        };
        if let (Some(before), Some(now)) = (&known.before, &known.now) {
            let taken = total(&now.sample.taken).saturating_sub(total(&before.sample.taken));
            doing.records_per_second = per_second(taken, before.at, now.at);
        }
        // Rows are rare: since the minute began, else since the process did.
        let first = known.minute.clone().unwrap_or_default();
        let lately = doing.sample.latency.since(&first.sample.latency);
        let latency = if lately.count > 0 {
            lately
        } else {
            doing.sample.latency.clone()
        };
        doing.latency_p50_ms = latency.quantile(0.5).map(|seconds| seconds * 1_000.0);
        doing.latency_p99_ms = latency.quantile(0.99).map(|seconds| seconds * 1_000.0);
        doing
    }

    /// Records a second between agents and topics, over the last two samples.
    pub(super) fn rates(&self) -> Vec<Rate> {
        let agents = self.agents.lock();
        let mut rates = Vec::new();
        for (agent, known) in agents.iter() {
            let (Some(before), Some(now)) = (&known.before, &known.now) else {
                continue;
            };
            let sides = [
                (false, &before.sample.taken, &now.sample.taken),
                (true, &before.sample.published, &now.sample.published),
            ];
            for (writes, former, latter) in sides {
                for (topic, count) in latter {
                    let known = former.get(topic).copied().unwrap_or_default();
                    rates.push(Rate {
                        agent: *agent,
                        topic: *topic,
                        writes,
                        per_second: per_second(count.saturating_sub(known), before.at, now.at),
                    });
                }
            }
        }
        rates
    }
}

fn total(counts: &BTreeMap<Topic, u64>) -> u64 {
    counts.values().sum()
}

fn per_second(count: u64, from: Timestamp, to: Timestamp) -> f64 {
    let seconds = to.since(from) as f64 / 1_000.0;
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// A metric's value over the minute that began with `first`.
fn value(metric: SeriesMetric, first: &Seen, now: &Seen) -> Option<f64> {
    let rate = |former: u64, latter: u64| {
        let elapsed = now.at.since(first.at) > 0;
        elapsed.then(|| per_second(latter.saturating_sub(former), first.at, now.at))
    };
    let (before, after) = (&first.sample, &now.sample);
    let latency = |part: f64| {
        let lately = after.latency.since(&before.latency);
        lately.quantile(part).map(|seconds| seconds * 1_000.0)
    };
    match metric {
        SeriesMetric::RecordsPerSecond => rate(total(&before.taken), total(&after.taken)),
        SeriesMetric::RowsPerSecond => rate(total(&before.published), total(&after.published)),
        SeriesMetric::DeadLettersPerSecond => rate(before.dead_letters, after.dead_letters),
        SeriesMetric::Lag => Some(total(&after.lag) as f64),
        SeriesMetric::LatencyP50Ms => latency(0.5),
        SeriesMetric::LatencyP99Ms => latency(0.99),
        SeriesMetric::EventAgeSeconds => after.event_age,
        SeriesMetric::CheckpointSeconds => after.checkpoints.since(&before.checkpoints).mean(),
        SeriesMetric::TasksLive => Some(after.live as f64),
        SeriesMetric::OpenFindings => Some(now.open_findings as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ms(second * Timestamp::SECOND)
    }

    fn taken(count: u64) -> AgentSample {
        AgentSample {
            taken: [(Topic::AwsMetrics, count)].into(),
            ..AgentSample::default()
        }
    }

    #[test]
    fn a_minute_is_one_point_with_its_own_rate() {
        let pulse = Pulse::default();
        let agent = AgentName::Cost;
        for second in 0..180 {
            // 10 a second in the second minute, none before and after.
            let count = 10 * (second - 60).clamp(0, 60) as u64;
            pulse.take(agent, at(second), taken(count), 3);
        }
        let points = pulse.series(agent, SeriesMetric::RecordsPerSecond);
        let rates: Vec<i64> = points.iter().map(|(_, rate)| rate.round() as i64).collect();
        assert_eq!(rates, [0, 10, 0], "{points:?}");
        let open = pulse.series(agent, SeriesMetric::OpenFindings);
        assert_eq!(open, [(0, 3.0), (60_000, 3.0), (120_000, 3.0)]);
    }

    #[test]
    fn a_day_of_points_is_kept_and_no_more() {
        let pulse = Pulse::default();
        for minute in 0..3_000 {
            pulse.take(AgentName::Cost, at(minute * 60), taken(0), 0);
        }
        let points = pulse.series(AgentName::Cost, SeriesMetric::Lag);
        assert_eq!(points.len(), POINTS_MAX);
        assert_eq!(points.last().map(|(at, _)| *at), Some(2_999 * 60_000));
    }
}
