//! A recommendation: what to do about one owner, why, and how urgent.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    ActionKind, AgentName, Environment, Evidence, FindingId, RecommendationId, Savings, Severity,
    Subject, Timestamp, Usd,
};

/// Where a recommendation is in its life (DESIGN.md §9; later states come with execution).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecommendationState {
    /// Its findings are open.
    Open,
    /// Another recommendation on the owner excludes it.
    Superseded,
    /// A veto holds it back.
    Vetoed,
    /// Every finding behind it is closed.
    Resolved,
}

/// One visible term of the ranking.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriorityTerm {
    /// `risk`, `saving`, `impact`, `confidence`, `exposure`, `environment`.
    pub name: SmolStr,
    /// The term's value before weighting.
    pub value: f64,
    /// Its weight; a factor for `exposure` and `environment`.
    pub weight: f64,
}

/// The ranking, shown term by term.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Priority {
    /// 0 to 150: `100 · Σ weight·value · exposure · environment`.
    pub score: f64,
    /// The terms it is made of.
    pub terms: Vec<PriorityTerm>,
}

/// A finding or action that this one hides, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Suppressed {
    /// The rule or action.
    pub what: SmolStr,
    /// Why it does not count.
    pub why: String,
}

/// One row of the recommendations topic: its whole current state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recommendation {
    /// Hash of account, owner and action kind.
    pub id: RecommendationId,
    /// One life from open to final, from 1.
    pub cycle: u64,
    /// Counts changes of this cycle, from 1.
    pub revision: u64,
    /// Rows of this id so far, from 1; with `epoch` orders them.
    pub seq: u64,
    /// The owner epoch of the task that published it; the runtime writes it.
    #[serde(default)]
    pub epoch: u64,
    /// Where it is in its life.
    pub state: RecommendationState,
    /// The resource to act on.
    pub owner: Subject,
    /// The kind of change.
    pub action: ActionKind,
    /// What exactly is changed: (subject, parameters), sorted.
    #[serde(default)]
    pub targets: Vec<(Subject, BTreeMap<SmolStr, String>)>,
    /// One line for a person.
    pub title: String,
    /// Each agent's reason.
    pub why: Vec<(AgentName, String)>,
    /// Findings behind it: (id, episode), sorted.
    pub findings: Vec<(FindingId, u32)>,
    /// Rules behind it, sorted.
    pub rules: Vec<SmolStr>,
    /// The numbers, newest first.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The worst of its findings.
    pub severity: Severity,
    /// What it would save. Counts in totals only as [`Recommendation::counted_savings`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savings: Option<Savings>,
    /// 0 to 1: the least sure of its findings.
    pub confidence: f64,
    /// From the owner's tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The ranking.
    pub priority: Priority,
    /// What it hides: subsumed findings, excluded actions.
    #[serde(default)]
    pub hides: Vec<Suppressed>,
    /// What holds it back: the winner that excludes it, or a veto.
    #[serde(default)]
    pub held_by: Vec<Suppressed>,
    /// Event time this cycle opened.
    pub opened_at: Timestamp,
    /// Event time of this row.
    pub at: Timestamp,
}

impl Recommendation {
    /// What it says, without what depends on the order messages arrived in: `cycle`, `revision`,
    /// `seq`, `epoch`, `opened_at` and `at` are blank. `None` once resolved, since an order in which
    /// the closing edge came first never opened it.
    ///
    /// Two runs over the same final findings agree on this, whatever happened on the way.
    pub fn content(&self) -> Option<Self> {
        if self.state == RecommendationState::Resolved {
            return None;
        }
        let blank = Timestamp::default();
        Some(Self {
            cycle: 0,
            revision: 0,
            seq: 0,
            epoch: 0,
            opened_at: blank,
            at: blank,
            ..self.clone()
        })
    }

    /// USD a month that count in a total: those of an open recommendation. What is superseded,
    /// vetoed or resolved shows its figure without adding it a second time.
    pub fn counted_savings(&self) -> Usd {
        match (&self.savings, self.state) {
            (Some(savings), RecommendationState::Open) => savings.monthly,
            _ => Usd::ZERO,
        }
    }

    /// The order of tables, most urgent first: critical rows the security agent speaks in, then
    /// score, then the smaller effort, the older, and the id, so that no two rows are equal.
    pub fn rank(&self, other: &Self) -> Ordering {
        let (calm, score, effort, opened) = self.rank_key();
        let (other_calm, other_score, other_effort, other_opened) = other.rank_key();
        calm.cmp(&other_calm)
            .then_with(|| other_score.total_cmp(&score))
            .then_with(|| effort.cmp(&other_effort))
            .then_with(|| opened.cmp(&other_opened))
            .then_with(|| self.id.cmp(&other.id))
    }

    /// What [`Recommendation::rank`] compares before the id: whether it is no critical matter of
    /// security, score (larger first), effort, age.
    pub fn rank_key(&self) -> (bool, f64, u8, Timestamp) {
        let critical = self.severity == Severity::Critical
            && self
                .why
                .iter()
                .any(|(agent, _)| *agent == AgentName::Security);
        let score = self.priority.score;
        (!critical, score, effort(self.action), self.opened_at)
    }
}

/// Work a change takes, 0 (a call) to 4 (a project); the steps are those of Cost Optimization Hub.
fn effort(action: ActionKind) -> u8 {
    match action {
        ActionKind::Tag | ActionKind::RevokeIngress | ActionKind::ChangeCredits => 0,
        ActionKind::Stop | ActionKind::Schedule | ActionKind::Scale => 1,
        ActionKind::Delete | ActionKind::Terminate | ActionKind::Recover => 2,
        ActionKind::Rightsize | ActionKind::Upgrade => 3,
        ActionKind::Investigate => 4,
    }
}
