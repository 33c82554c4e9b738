//! The rows themselves: the newest of each, with what happened to it lately.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::http::{Change, FindingStory, HistoryStep, RecommendationStory};
use crate::model::{
    AgentName, Edge, Finding, Recommendation, RecommendationState, Subject, Timestamp,
};

use super::asks::Asks;
use super::letters::Letters;
use super::news::{News, Place, Told};

/// Steps kept of a row.
const STEPS_MAX: usize = 50;
/// Steps of one resource's history.
const HISTORY_MAX: usize = 200;
/// Closed rows kept of findings, and of recommendations; the oldest go first. Open ones are as
/// many as are open.
const CLOSED_MAX: usize = 50_000;

/// A step with the record that led to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) shown: HistoryStep,
    pub(super) cause: Option<Place>,
}

struct Tracked<T> {
    row: Arc<T>,
    steps: VecDeque<Step>,
}

impl<T> Tracked<T> {
    fn note(&mut self, step: Step) {
        if self.steps.len() == STEPS_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }
    fn history(&self) -> Vec<HistoryStep> {
        self.steps.iter().map(|step| step.shown.clone()).collect()
    }
}

/// Everything the view holds.
#[derive(Default)]
pub(super) struct Rows {
    recommendations: BTreeMap<String, Tracked<Recommendation>>,
    findings: BTreeMap<String, Tracked<Finding>>,
    closed: (usize, usize),
    open: [u64; AgentName::ALL.len()],
    pub(super) letters: Letters,
    pub(super) asks: Asks,
}

impl Rows {
    /// Takes news; returns the change when there is one to tell.
    pub(super) fn take(&mut self, news: News, now: Timestamp) -> Option<Change> {
        match news {
            News::Recommendation(told) => self.take_recommendation(told),
            News::Finding(told) => self.take_finding(told),
            News::Gone(topic, key) => {
                if topic == crate::model::Topic::Recommendations {
                    if let Some(gone) = self.recommendations.remove(&key) {
                        self.closed.0 -= usize::from(resolved(&gone.row));
                    }
                } else if let Some(gone) = self.findings.remove(&key) {
                    self.count(&gone.row, false);
                }
                None
            }
            News::Letter(letter) => {
                self.letters.take(*letter);
                None
            }
            News::Mark(partition, offset, mark) => {
                self.letters.mark(partition, offset, mark);
                None
            }
            News::Request(request) => self.asks.take_request(*request, now),
            News::Task(task) => self.asks.take_task(&task, now),
            News::Result(result) => self.asks.take_result(*result, now),
        }
    }

    fn take_recommendation(&mut self, told: Told<Box<Recommendation>>) -> Option<Change> {
        let Told {
            row, place, cause, ..
        } = told;
        let id = row.id.as_str();
        let before = self.recommendations.get(id).map(|known| &known.row);
        if before.is_some_and(|before| (before.epoch, before.seq) > (row.epoch, row.seq)) {
            return None;
        }
        let repeat = before.is_some_and(|before| same_step(before, &row));
        let what = change_of(before.map(|row| &**row), &row);
        self.closed.0 -= usize::from(before.is_some_and(|before| resolved(before)));
        self.closed.0 += usize::from(resolved(&row));
        let change = Change {
            kind: "recommendation",
            accounts: vec![row.owner.account().to_owned()],
            data: told.text,
        };
        let step = Step {
            shown: HistoryStep {
                at: row.at,
                what: what.to_owned(),
                revision: row.revision,
                cycle: row.cycle,
                severity: row.severity,
                says: row.title.clone(),
                topic: place.topic,
                partition: place.partition,
                offset: place.offset,
            },
            cause,
        };
        let id = id.to_owned();
        let row: Arc<Recommendation> = Arc::new(*row);
        let tracked = self.recommendations.entry(id).or_insert_with(|| Tracked {
            row: Arc::clone(&row),
            steps: VecDeque::new(),
        });
        tracked.row = row;
        if !repeat {
            tracked.note(step);
        }
        if self.closed.0 > CLOSED_MAX {
            forget(&mut self.recommendations, |row| {
                resolved(row).then_some(row.at)
            });
            self.closed.0 = count_closed(&self.recommendations, resolved);
        }
        Some(change)
    }

    fn take_finding(&mut self, told: Told<Box<Finding>>) -> Option<Change> {
        let Told {
            row, place, cause, ..
        } = told;
        let before = self
            .findings
            .get(row.id.as_str())
            .map(|known| Arc::clone(&known.row));
        if let Some(before) = &before
            && (before.epoch, before.seq) > (row.epoch, row.seq)
        {
            return None;
        }
        let repeat = before
            .as_ref()
            .is_some_and(|before| (before.episode, before.seq) == (row.episode, row.seq));
        if let Some(before) = &before {
            self.count(before, false);
        }
        self.count(&row, true);
        let change = Change {
            kind: "finding",
            accounts: vec![row.subject.account().to_owned()],
            data: told.text,
        };
        let what = match row.edge {
            Edge::Opened => "opened",
            Edge::Updated => turned(before.as_deref(), &row),
            Edge::Cleared => "cleared",
            Edge::Expired => "expired",
            Edge::Withdrawn => "withdrawn",
        };
        let step = Step {
            shown: HistoryStep {
                at: row.at,
                what: what.to_owned(),
                revision: row.seq,
                cycle: u64::from(row.episode),
                severity: row.severity,
                says: format!("{}: {}", row.rule, row.why),
                topic: place.topic,
                partition: place.partition,
                offset: place.offset,
            },
            cause,
        };
        let id = row.id.as_str().to_owned();
        let row: Arc<Finding> = Arc::new(*row);
        let tracked = self.findings.entry(id).or_insert_with(|| Tracked {
            row: Arc::clone(&row),
            steps: VecDeque::new(),
        });
        tracked.row = row;
        if !repeat {
            tracked.note(step);
        }
        if self.closed.1 > CLOSED_MAX {
            forget(&mut self.findings, |row| (!row.open()).then_some(row.at));
            self.closed.1 = count_closed(&self.findings, |row| !row.open());
        }
        Some(change)
    }

    fn count(&mut self, row: &Finding, comes: bool) {
        let counted = if row.open() {
            if !row.counts() {
                return;
            }
            &mut self.open[row.agent as usize]
        } else {
            self.closed.1 = if comes {
                self.closed.1 + 1
            } else {
                self.closed.1.saturating_sub(1)
            };
            return;
        };
        *counted = if comes {
            *counted + 1
        } else {
            counted.saturating_sub(1)
        };
    }

    pub(super) fn open_findings(&self, agent: AgentName) -> u64 {
        self.open[agent as usize]
    }

    pub(super) fn recommendations(&self) -> Vec<Arc<Recommendation>> {
        let rows = self.recommendations.values();
        rows.map(|known| Arc::clone(&known.row)).collect()
    }

    pub(super) fn findings(&self) -> Vec<Arc<Finding>> {
        let rows = self.findings.values();
        rows.map(|known| Arc::clone(&known.row)).collect()
    }

    /// A recommendation's story but for its flow, and the steps to draw that from: its own, then
    /// those of its findings by id.
    pub(super) fn recommendation(&self, id: &str) -> Option<(RecommendationStory, Steps)> {
        let known = self.recommendations.get(id)?;
        let findings: Vec<&Tracked<Finding>> = known
            .row
            .findings
            .iter()
            .filter_map(|(id, _)| self.findings.get(id.as_str()))
            .collect();
        let steps = Steps {
            own: known.steps.iter().cloned().collect(),
            findings: findings
                .iter()
                .map(|known| (known.row.id.to_string(), Vec::from(known.steps.clone())))
                .collect(),
        };
        let story = RecommendationStory {
            recommendation: Arc::clone(&known.row),
            findings: findings
                .iter()
                .map(|known| Arc::clone(&known.row))
                .collect(),
            history: known.history(),
            flow: Vec::new(),
        };
        Some((story, steps))
    }

    pub(super) fn finding(&self, id: &str) -> Option<(FindingStory, Vec<Step>)> {
        let known = self.findings.get(id)?;
        let story = FindingStory {
            finding: Arc::clone(&known.row),
            history: known.history(),
            flow: Vec::new(),
        };
        Some((story, known.steps.iter().cloned().collect()))
    }

    /// What happened to a resource's findings, newest first.
    pub(super) fn history(&self, subject: &Subject) -> Vec<HistoryStep> {
        let known = self.findings.values();
        let mut steps: Vec<HistoryStep> = known
            .filter(|known| known.row.subject == *subject)
            .flat_map(Tracked::history)
            .collect();
        steps.sort_by_key(|step| std::cmp::Reverse((step.at, step.revision)));
        steps.truncate(HISTORY_MAX);
        steps
    }
}

/// Steps of a recommendation and of the findings behind it.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) own: Vec<Step>,
    pub(super) findings: Vec<(String, Vec<Step>)>,
}

fn resolved(row: &Recommendation) -> bool {
    row.state == RecommendationState::Resolved
}

/// What changed with an update: its exemption, which readers look for, or anything else.
fn turned(before: Option<&Finding>, row: &Finding) -> &'static str {
    let muted = |row: &Finding| row.exemption.is_some();
    match (before.map(muted), muted(row)) {
        (Some(false), true) => "muted",
        (Some(true), false) => "unmuted",
        _ => "updated",
    }
}

/// The same row once more, under a newer epoch.
fn same_step(before: &Recommendation, row: &Recommendation) -> bool {
    (before.cycle, before.revision, before.seq, before.state)
        == (row.cycle, row.revision, row.seq, row.state)
}

fn change_of(before: Option<&Recommendation>, row: &Recommendation) -> &'static str {
    use RecommendationState::{Open, Resolved, Superseded, Vetoed};
    let former = before
        .filter(|before| before.cycle == row.cycle)
        .map(|before| before.state);
    match (row.state, former) {
        (Superseded, former) if former != Some(Superseded) => "superseded",
        (Vetoed, former) if former != Some(Vetoed) => "vetoed",
        (Resolved, _) => "resolved",
        (Open, None | Some(Resolved)) => "opened",
        (Open, Some(Superseded | Vetoed)) => "reopened",
        _ => "revised",
    }
}

/// Drops the older half of what `closed` gives a time for.
fn forget<T>(rows: &mut BTreeMap<String, Tracked<T>>, closed: impl Fn(&T) -> Option<Timestamp>) {
    let mut times: Vec<Timestamp> = rows
        .values()
        .filter_map(|known| closed(&known.row))
        .collect();
    times.sort_unstable();
    let Some(middle) = times.get(times.len() / 2).copied() else {
        return;
    };
    rows.retain(|_, known| closed(&known.row).is_none_or(|at| at > middle));
}

fn count_closed<T>(rows: &BTreeMap<String, Tracked<T>>, closed: impl Fn(&T) -> bool) -> usize {
    rows.values().filter(|known| closed(&known.row)).count()
}
