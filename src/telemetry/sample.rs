//! What the registry says of one agent at one moment, for views over time.

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily};

use super::metrics::{Family, Metrics};
use super::specs::Id;
use crate::model::{AgentName, Topic};

/// Observations by bucket.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Buckets {
    /// (upper bound, observations at or below it), smallest first.
    pub counts: Vec<(f64, u64)>,
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Buckets {
    fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        self.count += histogram.get_sample_count();
        self.sum += histogram.get_sample_sum();
        for (index, bucket) in histogram.get_bucket().iter().enumerate() {
            let (bound, count) = (bucket.upper_bound(), bucket.cumulative_count());
            match self.counts.get_mut(index) {
                Some((_, known)) => *known += count,
                None => self.counts.push((bound, count)),
            }
        }
    }

    /// What was observed since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let known = |index: usize| before.counts.get(index).map_or(0, |(_, count)| *count);
        Self {
            counts: self
                .counts
                .iter()
                .enumerate()
                .map(|(index, (bound, count))| (*bound, count.saturating_sub(known(index))))
                .collect(),
            count: self.count.saturating_sub(before.count),
            sum: self.sum - before.sum,
        }
    }

    /// The value that `part` (0 to 1) of the observations do not exceed, interpolated within its
    /// bucket; `None` without observations. Beyond the last bound it is that bound.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let wanted = part * self.count as f64;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.counts {
            let count = *count as f64;
            if count >= wanted && count > below {
                let share = ((wanted - below) / (count - below)).clamp(0.0, 1.0);
                return Some(low + share * (bound - low));
            }
            (low, below) = (*bound, count);
        }
        Some(low)
    }

    /// Sum over count; `None` without observations.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// One agent's metrics at one moment. Counters count from the start of the process.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AgentSample {
    /// Records taken, by topic.
    pub taken: Vec<(Topic, u64)>,
    /// Rows and messages published, by topic.
    pub published: Vec<(Topic, u64)>,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Records behind, over all topics.
    pub lag: u64,
    /// Age of the newest event, in seconds; `None` before the first.
    pub event_age: Option<f64>,
    /// Tasks owned.
    pub owned: u64,
    /// Of them, caught up.
    pub live: u64,
    /// Of them, stopped on a fault.
    pub parked: u64,
    /// Seconds from arrival to row.
    pub latency: Buckets,
    /// Seconds of checkpoints.
    pub checkpoints: Buckets,
}

impl Metrics {
    /// What the registry says of `agent` now.
    pub fn sample(&self, agent: AgentName) -> AgentSample {
        let mut sample = AgentSample::default();
        let topics = |id: Id| {
            let mut counts = Vec::new();
            self.each(id, agent, |metric| {
                let topic = label(metric, "topic").and_then(Topic::parse);
                counts.extend(topic.map(|topic| (topic, metric.get_counter().get_value() as u64)));
            });
            counts
        };
        sample.taken = topics(Id::RecordsTaken);
        sample.published = topics(Id::RowsPublished);
        self.each(Id::DeadLetters, agent, |metric| {
            sample.dead_letters += metric.get_counter().get_value() as u64;
        });
        self.each(Id::Lag, agent, |metric| {
            sample.lag += metric.get_gauge().get_value() as u64;
        });
        self.each(Id::EventAge, agent, |metric| {
            sample.event_age = Some(metric.get_gauge().get_value());
        });
        self.each(Id::Tasks, agent, |metric| {
            let value = metric.get_gauge().get_value() as u64;
            match label(metric, "state") {
                Some("owned") => sample.owned = value,
                Some("live") => sample.live = value,
                Some("parked") => sample.parked = value,
                _ => {}
            }
        });
        self.each(Id::Latency, agent, |metric| sample.latency.add(metric));
        self.each(Id::CheckpointSeconds, agent, |metric| {
            sample.checkpoints.add(metric);
        });
        sample
    }

    fn each(&self, id: Id, agent: AgentName, mut each: impl FnMut(&Metric)) {
        let families: Vec<MetricFamily> = match self.family(id) {
            Family::Counter(family) => family.collect(),
            Family::Gauge(family) => family.collect(),
            Family::Histogram(family) => family.collect(),
        };
        for family in &families {
            for metric in family.get_metric() {
                if label(metric, "agent") == Some(agent.as_str()) {
                    each(metric);
                }
            }
        }
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    let pair = metric.get_label().iter().find(|pair| pair.name() == name)?;
    Some(pair.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Signal;

    #[test]
    fn a_sample_says_what_was_signalled_of_that_agent_alone() {
        let metrics = Metrics::new();
        let (agent, topic) = (AgentName::Cost, Topic::AwsBilling);
        for (agent, count) in [(agent, 7), (AgentName::Security, 99)] {
            metrics.emit(&Signal::RecordsTaken {
                agent,
                topic,
                partition: 0,
                count,
            });
        }
        metrics.emit(&Signal::Lag {
            agent,
            topic,
            records: 4,
        });
        metrics.emit(&Signal::Tasks {
            agent,
            owned: 3,
            live: 2,
            parked: 1,
        });
        let before = metrics.sample(agent);
        assert_eq!(before.taken, [(topic, 7)]);
        assert_eq!((before.lag, before.owned, before.live), (4, 3, 2));
        assert_eq!(before.latency.quantile(0.5), None);
        for _ in 0..100 {
            metrics.emit(&Signal::RowPublished {
                agent,
                topic: Topic::FindingsCost,
                latency_seconds: 0.015,
            });
        }
        let latency = metrics.sample(agent).latency.since(&before.latency);
        let median = latency.quantile(0.5).unwrap();
        assert!((0.01..=0.02).contains(&median), "{median}");
        assert_eq!(latency.count, 100);
    }
}
