//! What is remembered of Skyherd's own reports: bounded windows, by the reports' own times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::model::{AgentReport, ProcessReport, Timestamp};

/// Rounds remembered of a worker and of a process.
pub const ROUNDS: usize = 5;
/// Processes remembered an agent; of more, the one heard of longest ago is forgotten.
pub const NODES_MAX: usize = 64;
/// Active rounds of a source whose times are remembered.
pub const ACTIVE_TIMES: usize = 16;
/// Hours in which a source was active that are remembered: eight days.
pub const ACTIVE_HOURS: i64 = 8 * 24;
/// A process that others have replaced is forgotten after this silence, in milliseconds.
const REPLACED_MS: i64 = Timestamp::DAY;

/// What a process said of itself or of an agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Own {
    /// One agent in one process.
    Worker(Worker),
    /// One agent wherever it runs.
    Agent(Agent),
    /// One process.
    Process(Process),
}

/// One round of a worker.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// When the report was made.
    pub at: Timestamp,
    /// Milliseconds the round lasted.
    pub span_ms: u64,
    /// Records not taken yet.
    pub lag: u64,
    /// Records taken.
    pub taken: u64,
    /// Records of the agent's home topics taken.
    pub home_taken: u64,
    /// Of those, undecodable ones.
    pub dead_letters: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Seconds they took together.
    pub checkpoint_seconds: f64,
}

/// One agent in one process.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Worker {
    /// Oldest first.
    pub rounds: VecDeque<Round>,
}

impl Worker {
    /// Takes a report made at `at`; one that is not newer than the newest changes nothing.
    /// Returns whether it was taken.
    pub fn take(&mut self, report: &AgentReport, at: Timestamp) -> bool {
        if self.rounds.back().is_some_and(|newest| at <= newest.at) {
            return false;
        }
        // A worker that is not there, or no longer, tells nothing of its work.
        if !report.runs || report.leaving {
            let had = !self.rounds.is_empty();
            self.rounds.clear();
            return had;
        }
        if !report.answers {
            return false;
        }
        self.rounds.push_back(Round {
            at,
            span_ms: report.interval_ms,
            lag: report.lag,
            taken: report.taken,
            home_taken: report.home_taken,
            dead_letters: report.dead_letters,
            checkpoints: report.checkpoints,
            checkpoint_seconds: report.checkpoint_seconds,
        });
        if self.rounds.len() > ROUNDS {
            self.rounds.pop_front();
        }
        true
    }

    /// The newest `count` rounds, oldest first; `None` while there are fewer.
    pub fn newest(&self, count: usize) -> Option<Vec<Round>> {
        let skip = self.rounds.len().checked_sub(count)?;
        Some(self.rounds.iter().skip(skip).copied().collect())
    }
}

/// One process as the reports on one agent know it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its newest report.
    pub at: Timestamp,
    /// Milliseconds between its reports.
    pub interval_ms: u64,
    /// Whether it ran the agent.
    pub runs: bool,
    /// Consecutive reports by which the worker did not answer.
    pub unanswered: u32,
    /// Whether every task had caught up and nothing of the source was waiting.
    pub caught_up: bool,
}

impl Seen {
    /// Whether it is overdue at `now`: two reports are missing, and a quarter of a round passed.
    pub fn overdue(&self, now: Timestamp) -> bool {
        now.since(self.at) >= late_ms(self.interval_ms)
    }
}

/// Longest silence that is no reason to worry, in milliseconds: two rounds and a quarter.
pub fn late_ms(interval_ms: u64) -> i64 {
    i64::try_from(interval_ms / 4 * 9).unwrap_or(i64::MAX)
}

/// One agent wherever it runs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Agent {
    /// Processes by name.
    pub nodes: BTreeMap<SmolStr, Seen>,
    /// The newest report of any process.
    pub newest: Timestamp,
    /// Milliseconds between the reports of the process that reported last.
    pub interval_ms: u64,
    /// The newest report by which some process ran the agent.
    pub ran_at: Option<Timestamp>,
    /// The raw topic the agent is the home of.
    pub source: Source,
}

impl Agent {
    /// Takes a report made at `at`; a process's own reports count in the order of their times.
    /// Returns whether it was taken.
    pub fn take(&mut self, report: &AgentReport, at: Timestamp) -> bool {
        let known = self.nodes.get(&report.node);
        if known.is_some_and(|known| at <= known.at) {
            return false;
        }
        let unanswered = match known {
            Some(known) if report.runs && !report.answers => known.unanswered.saturating_add(1),
            _ => u32::from(report.runs && !report.answers),
        };
        self.newest = self.newest.max(at);
        self.interval_ms = report.interval_ms;
        if report.runs {
            self.ran_at = self.ran_at.max(Some(at));
        }
        if report.leaving {
            self.nodes.remove(&report.node);
        } else {
            let seen = Seen {
                at,
                interval_ms: report.interval_ms,
                runs: report.runs,
                unanswered,
                caught_up: report.answers && report.live >= report.owned && report.source_lag == 0,
            };
            self.nodes.insert(report.node.clone(), seen);
        }
        if let Some(taken) = report.source_taken {
            self.source.take(taken, at);
        }
        self.forget();
        true
    }

    /// Processes that run the agent and are not overdue.
    pub fn running(&self) -> impl Iterator<Item = (&SmolStr, &Seen)> {
        self.nodes
            .iter()
            .filter(|(_, seen)| seen.runs && !seen.overdue(self.newest))
    }

    fn forget(&mut self) {
        let (newest, replaced) = (self.newest, self.running().next().is_some());
        self.nodes.retain(|_, seen| {
            let gone = seen.overdue(newest) && newest.since(seen.at) >= REPLACED_MS;
            !(gone && (replaced || !seen.runs))
        });
        while self.nodes.len() > NODES_MAX {
            let oldest = self.nodes.iter().min_by_key(|(_, seen)| seen.at);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.nodes.remove(&name);
        }
    }
}

/// When a raw topic brought something.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    /// Times of the newest reports by which it did.
    pub active: BTreeSet<Timestamp>,
    /// Hours since 1970 in which it did.
    pub hours: BTreeSet<i64>,
}

impl Source {
    fn take(&mut self, taken: u64, at: Timestamp) {
        if taken == 0 {
            return;
        }
        self.active.insert(at);
        if self.active.len() > ACTIVE_TIMES {
            self.active.pop_first();
        }
        self.hours.insert(at.ms().div_euclid(Timestamp::HOUR));
        while let (Some(first), Some(last)) = (self.hours.first(), self.hours.last()) {
            if last - first < ACTIVE_HOURS {
                break;
            }
            self.hours.pop_first();
        }
    }

    /// Longest time between two of the newest active reports, in milliseconds.
    pub fn longest_pause_ms(&self) -> i64 {
        let later = self.active.iter().skip(1);
        let pauses = self.active.iter().zip(later);
        pauses.map(|(a, b)| b.since(*a)).max().unwrap_or(0)
    }

    /// Longest run of hours without anything in the last eight days, in milliseconds.
    pub fn longest_quiet_ms(&self) -> i64 {
        let later = self.hours.iter().skip(1);
        let pauses = self.hours.iter().zip(later);
        let hours = pauses.map(|(a, b)| b - a - 1).max().unwrap_or(0);
        hours * Timestamp::HOUR
    }
}

/// One process: its newest two rounds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    /// When, and what it said; the older first.
    pub rounds: VecDeque<(Timestamp, ProcessReport)>,
}

impl Process {
    /// Rounds by which memory is judged.
    pub const ROUNDS: usize = 2;

    /// Takes a report made at `at`. Returns whether it was taken.
    pub fn take(&mut self, report: &ProcessReport, at: Timestamp) -> bool {
        if self.rounds.back().is_some_and(|(newest, _)| at <= *newest) {
            return false;
        }
        self.rounds.push_back((at, report.clone()));
        if self.rounds.len() > Self::ROUNDS {
            self.rounds.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(node: &str, taken: u64) -> AgentReport {
        AgentReport {
            agent: "cost".into(),
            node: node.into(),
            interval_ms: 60_000,
            runs: true,
            answers: true,
            source_taken: Some(taken),
            ..AgentReport::default()
        }
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_ms(minute * Timestamp::MINUTE)
    }

    #[test]
    fn windows_stay_within_their_bounds() {
        let (mut agent, mut worker) = (Agent::default(), Worker::default());
        for step in 0..20_000 {
            let report = report(&format!("node-{}", step % 1_000), 1);
            agent.take(&report, minute(step));
            worker.take(&report, minute(step));
        }
        assert_eq!(worker.rounds.len(), ROUNDS);
        assert!(agent.nodes.len() <= NODES_MAX);
        assert_eq!(agent.source.active.len(), ACTIVE_TIMES);
        assert!(agent.source.hours.len() as i64 <= ACTIVE_HOURS);
    }

    #[test]
    fn a_repeated_or_late_report_changes_nothing() {
        let mut agent = Agent::default();
        assert!(agent.take(&report("a", 1), minute(5)));
        let before = agent.clone();
        assert!(!agent.take(&report("a", 9), minute(5)));
        assert!(!agent.take(&report("a", 9), minute(4)));
        assert_eq!(agent, before);
    }

    #[test]
    fn a_process_that_others_replaced_is_forgotten_after_a_day() {
        let mut agent = Agent::default();
        agent.take(&report("a", 1), minute(0));
        agent.take(&report("b", 1), minute(24 * 60 - 1));
        assert!(agent.nodes.contains_key("a"));
        agent.take(&report("b", 1), minute(24 * 60 + 1));
        assert!(!agent.nodes.contains_key("a"));
        agent.take(&report("c", 1), minute(72 * 60));
        assert_eq!(agent.nodes.len(), 1);
    }
}
