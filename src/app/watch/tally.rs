//! What is open in the whole deployment, counted from the rows of the topics.

use std::collections::BTreeMap;

use crate::app::Backend;
use crate::model::{
    ActionKind, AgentName, Edge, FindingStatus, Message, RecommendationState, Severity, Topic, Usd,
};
use crate::ports::{PortResult, RecordView};
use crate::sources::{Decoded, decode};
use crate::telemetry::{Metrics, Signal};

/// Topics whose rows are counted.
const TOPICS: [Topic; 5] = [
    Topic::FindingsResource,
    Topic::FindingsCost,
    Topic::FindingsSecurity,
    Topic::FindingsPerformance,
    Topic::Recommendations,
];

/// What a row counts for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Counts {
    Finding(AgentName, Severity),
    Recommendation(Severity, ActionKind, Usd),
}

/// A row's version and what it counts for; `None` when it is closed.
type Row = ((u64, u64), Option<Counts>);

/// The rows as of the last look.
pub(super) struct Tally {
    next: BTreeMap<Topic, Vec<u64>>,
    rows: BTreeMap<String, Row>,
}

impl Tally {
    pub(super) fn new(partitions: u32) -> Self {
        let start = vec![0; partitions as usize];
        Self {
            next: TOPICS.map(|topic| (topic, start.clone())).into(),
            rows: BTreeMap::new(),
        }
    }

    /// Reads what is new and sets the gauges.
    pub(super) fn refresh(&mut self, backend: &dyn Backend, metrics: &Metrics) -> PortResult<()> {
        let Self { next, rows } = self;
        for (topic, next) in next {
            backend.read(*topic, next, &mut |record| take(rows, &record))?;
        }
        self.tell(metrics);
        Ok(())
    }

    fn tell(&self, metrics: &Metrics) {
        let mut findings: BTreeMap<(AgentName, Severity), u64> = BTreeMap::new();
        let mut open: BTreeMap<(Severity, ActionKind), u64> = BTreeMap::new();
        let mut savings: BTreeMap<ActionKind, Usd> = BTreeMap::new();
        for (_, counts) in self.rows.values() {
            match *counts {
                Some(Counts::Finding(agent, severity)) => {
                    *findings.entry((agent, severity)).or_default() += 1;
                }
                Some(Counts::Recommendation(severity, action, monthly)) => {
                    *open.entry((severity, action)).or_default() += 1;
                    let sum = savings.entry(action).or_insert(Usd::ZERO);
                    *sum = [*sum, monthly].into_iter().sum();
                }
                None => {}
            }
        }
        // Zeros are told too: a label that was once told would else keep its last number.
        for severity in Severity::ALL {
            for agent in AgentName::ALL {
                if agent != AgentName::Coordinator {
                    let count = findings.get(&(agent, severity)).copied().unwrap_or(0);
                    metrics.emit(&Signal::OpenFindings {
                        agent,
                        severity,
                        count,
                    });
                }
            }
            for action in ActionKind::ALL {
                let count = open.get(&(severity, action)).copied().unwrap_or(0);
                metrics.emit(&Signal::OpenRecommendations {
                    severity,
                    action,
                    count,
                });
            }
        }
        for action in ActionKind::ALL {
            let monthly = savings.get(&action).copied().unwrap_or(Usd::ZERO);
            metrics.emit(&Signal::MonthlySavings { action, monthly });
        }
    }
}

/// Takes a row unless a newer one of its key is known; a tombstone forgets it.
fn take(rows: &mut BTreeMap<String, Row>, record: &RecordView<'_>) {
    let Some(key) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else {
        return;
    };
    let counts = match decode(record.topic, record.key, record.payload) {
        Ok(Decoded::Message(Message::Finding(row))) => {
            let open = row.status == FindingStatus::Open && row.edge != Edge::Withdrawn;
            let counts = Counts::Finding(row.agent, row.severity);
            ((row.epoch, row.seq), open.then_some(counts))
        }
        Ok(Decoded::Message(Message::Recommendation(row))) => {
            let monthly = row
                .savings
                .as_ref()
                .map_or(Usd::ZERO, |savings| savings.monthly);
            let counts = Counts::Recommendation(row.severity, row.action, monthly);
            let open = row.state == RecommendationState::Open;
            ((row.epoch, row.seq), open.then_some(counts))
        }
        _ => {
            rows.remove(key);
            return;
        }
    };
    if rows
        .get(key)
        .is_none_or(|(version, _)| *version <= counts.0)
    {
        rows.insert(key.to_owned(), counts);
    }
}
