//! The registry read back: what this process knows of itself at one moment.

use std::collections::BTreeMap;

use super::Metrics;
use super::specs::{Id, SPECS};
use crate::model::{AgentName, Topic};

/// What an agent's worker had done by one moment, since the process began.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AgentSample {
    /// Records taken, by topic.
    pub taken: BTreeMap<Topic, u64>,
    /// Of these, reports of our own processes.
    pub reports: u64,
    /// Records kept in `dead-letters`.
    pub dead_letters: u64,
    /// Records not taken yet, by topic; not a sum but as it stands.
    pub lag: BTreeMap<Topic, u64>,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Seconds they took.
    pub checkpoint_seconds: f64,
    /// Tasks owned, as it stands.
    pub owned: u64,
    /// Tasks that have caught up, as it stands.
    pub live: u64,
}

/// What every agent's worker of this process had done by one moment.
pub type Sample = BTreeMap<AgentName, AgentSample>;

/// One line of the registry.
struct Line<'a> {
    metric: &'a prometheus::proto::Metric,
}

impl Line<'_> {
    fn label(&self, name: &str) -> Option<&str> {
        let pair = self
            .metric
            .get_label()
            .iter()
            .find(|pair| pair.name() == name)?;
        Some(pair.value())
    }
    fn agent(&self) -> Option<AgentName> {
        AgentName::parse(self.label("agent")?)
    }
    fn topic(&self) -> Option<Topic> {
        Topic::parse(self.label("topic")?)
    }
    fn count(&self) -> u64 {
        self.metric.get_counter().get_value() as u64
    }
    fn gauge(&self) -> u64 {
        self.metric.get_gauge().get_value().max(0.0) as u64
    }
}

impl Metrics {
    /// Reads the registry back.
    pub fn sample(&self) -> Sample {
        let mut sample = Sample::new();
        for family in self.gather() {
            let id = [
                Id::RecordsTaken,
                Id::ReportsTaken,
                Id::DeadLetters,
                Id::Lag,
                Id::CheckpointSeconds,
                Id::Tasks,
            ]
            .into_iter()
            .find(|id| SPECS[*id as usize].name == family.name());
            let Some(id) = id else { continue };
            for metric in family.get_metric() {
                let line = Line { metric };
                if let Some(agent) = line.agent() {
                    read(sample.entry(agent).or_default(), id, &line);
                }
            }
        }
        sample
    }
}

fn read(into: &mut AgentSample, id: Id, line: &Line<'_>) {
    match (id, line.topic()) {
        (Id::RecordsTaken, Some(topic)) => {
            into.taken.insert(topic, line.count());
        }
        (Id::Lag, Some(topic)) => {
            into.lag.insert(topic, line.gauge());
        }
        (Id::ReportsTaken, _) => into.reports = line.count(),
        (Id::DeadLetters, _) => into.dead_letters += line.count(),
        (Id::CheckpointSeconds, _) => {
            into.checkpoints = line.metric.get_histogram().get_sample_count();
            into.checkpoint_seconds = line.metric.get_histogram().get_sample_sum();
        }
        (Id::Tasks, _) => match line.label("state") {
            Some("owned") => into.owned = line.gauge(),
            Some("live") => into.live = line.gauge(),
            _ => {}
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Signal;

    #[test]
    fn what_was_told_is_read_back() {
        let metrics = Metrics::new();
        let agent = AgentName::Performance;
        for (topic, count) in [
            (Topic::AwsMetrics, 7),
            (Topic::AwsMetrics, 5),
            (Topic::AwsEvents, 2),
        ] {
            metrics.emit(&Signal::RecordsTaken {
                agent,
                topic,
                partition: 0,
                count,
            });
        }
        metrics.emit(&Signal::ReportTaken { agent });
        metrics.emit(&Signal::Lag {
            agent,
            topic: Topic::AwsMetrics,
            records: 9,
        });
        for reason in ["missing field `id`", "not JSON"] {
            let topic = Topic::AwsMetrics;
            metrics.emit(&Signal::RecordDeadLettered {
                agent,
                topic,
                partition: 0,
                offset: 0,
                reason,
            });
        }
        for seconds in [0.5, 1.5] {
            metrics.emit(&Signal::CheckpointWritten {
                agent,
                seconds,
                bytes: 1,
                subjects: 1,
            });
        }
        metrics.emit(&Signal::Tasks {
            agent,
            owned: 4,
            live: 3,
            parked: 1,
        });
        let sample = metrics.sample();
        let expected = AgentSample {
            taken: [(Topic::AwsMetrics, 12), (Topic::AwsEvents, 2)].into(),
            reports: 1,
            dead_letters: 2,
            lag: [(Topic::AwsMetrics, 9)].into(),
            checkpoints: 2,
            checkpoint_seconds: 2.0,
            owned: 4,
            live: 3,
        };
        assert_eq!(sample, [(agent, expected)].into());
    }
}
