//! What a run ended with, in a form in which two runs can be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use skyherd::app::{Replay, ReplayOptions};
use skyherd::model::{
    AgentName, Finding, FindingStatus, Recommendation, RecommendationState, Topic,
};

use super::loader::Raw;
use crate::harness::{Broker, Record};

/// Open findings and recommendations by id.
///
/// Left out is what a replay may rightly count differently: epochs, sequence numbers, revisions and cycles (an edge
/// published twice is one edge, and a coordinator that hears a closing twice closes twice), and the time of the last row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) findings: BTreeMap<String, String>,
    pub(crate) recommendations: BTreeMap<String, String>,
}

impl Ending {
    /// The undisturbed run: the same records through the embedded topology.
    pub(crate) fn embedded(records: &[Raw], partitions: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut replay = Replay::open(
            folder.path(),
            ReplayOptions {
                partitions,
                ..ReplayOptions::default()
            },
        )
        .unwrap();
        for raw in records {
            replay
                .push(raw.topic, Some(&raw.account), &raw.payload)
                .unwrap();
        }
        let outcome = replay.run(&mut |_| {}).unwrap();
        Self::of(&outcome.findings, &outcome.recommendations)
    }

    /// What Kafka holds, read by Kafka's own console consumer.
    pub(crate) fn on(broker: &Broker) -> Self {
        Self::read(|topic| broker.console_consumer(topic.as_str()))
    }

    /// What the topics hold, of which `records` gives all records, those of one key in order.
    pub(crate) fn read(records: impl Fn(Topic) -> Vec<Record>) -> Self {
        let mut findings: Vec<Finding> = Vec::new();
        for agent in AgentName::ALL {
            if agent != AgentName::Coordinator {
                let records = records(Topic::written_by(agent));
                findings.extend(newest(&records, |row: &Finding| (row.epoch, row.seq)));
            }
        }
        let records = records(Topic::Recommendations);
        let recommendations = newest(&records, |row: &Recommendation| (row.epoch, row.seq));
        Self::of(&findings, &recommendations)
    }

    /// From rows, the newest of each id.
    pub(crate) fn of(findings: &[Finding], recommendations: &[Recommendation]) -> Self {
        let findings = findings
            .iter()
            .filter(|row| row.status == FindingStatus::Open)
            .map(|row| (row.id.to_string(), finding_line(row)))
            .collect();
        let recommendations = recommendations
            .iter()
            .filter(|row| row.state != RecommendationState::Resolved)
            .map(|row| (row.id.to_string(), recommendation_line(row)))
            .collect();
        Self {
            findings,
            recommendations,
        }
    }

    /// Without the reasons of findings and their times: which fact a finding was opened on depends on when each was
    /// heard, and a record that took the way through another partition is heard later than those of other topics.
    pub(crate) fn without_openings(mut self) -> Self {
        for line in self.findings.values_mut() {
            let (_, rest) = line.split_once(" from ").expect("lines name the opening");
            let (what, _) = line.split_at(line.len() - rest.len());
            let (_, rest) = rest.split_once(' ').expect("more follows the time");
            let (facts, _) = rest.split_once(" | ").unwrap_or((rest, ""));
            *line = format!("{what}{facts}");
        }
        self
    }

    /// Panics with the lines that differ, each under the run that has it.
    pub(crate) fn assert_equals(&self, undisturbed: &Self, what: &str) {
        let mut text = String::new();
        for (mine, theirs) in [
            (&self.findings, &undisturbed.findings),
            (&self.recommendations, &undisturbed.recommendations),
        ] {
            for (id, line) in mine {
                if theirs.get(id) != Some(line) {
                    writeln!(text, "only {what}: {id} {line}").expect("text grows");
                }
            }
            for (id, line) in theirs {
                if mine.get(id) != Some(line) {
                    writeln!(text, "only undisturbed: {id} {line}").expect("text grows");
                }
            }
        }
        assert!(text.is_empty(), "{what} ended otherwise:\n{text}");
        assert!(
            !self.findings.is_empty() && !self.recommendations.is_empty(),
            "{what}: both runs ended with nothing, which proves nothing"
        );
    }
}

fn finding_line(row: &Finding) -> String {
    format!(
        "{} {} episode {} from {} {} owner {} | {}",
        row.rule,
        row.subject,
        row.episode,
        row.opened_at,
        row.severity.as_str(),
        row.owner,
        row.why
    )
}

fn recommendation_line(row: &Recommendation) -> String {
    format!(
        "{:?} {:?} {} {} findings {:?} targets {:?} savings {:?}",
        row.state,
        row.action,
        row.owner,
        row.severity.as_str(),
        row.findings,
        row.targets,
        row.savings
    )
}

/// As a reader of the topic does: of each key the row with the greatest (epoch, seq), and none after a tombstone.
fn newest<T: serde::de::DeserializeOwned>(
    records: &[Record],
    rank: impl Fn(&T) -> (u64, u64),
) -> Vec<T> {
    let mut rows: BTreeMap<Vec<u8>, T> = BTreeMap::new();
    for record in records {
        let key = record
            .key
            .clone()
            .expect("rows of compacted topics have a key");
        let Some(payload) = &record.payload else {
            rows.remove(&key);
            continue;
        };
        let row: T = serde_json::from_slice(payload).unwrap_or_else(|error| {
            panic!("{error} in {}", String::from_utf8_lossy(payload));
        });
        if rows.get(&key).is_none_or(|known| rank(&row) >= rank(known)) {
            rows.insert(key, row);
        }
    }
    rows.into_values().collect()
}
