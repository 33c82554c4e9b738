//! A recommendation: what to do about one owner, why, and how urgent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    ActionKind, AgentName, Environment, Evidence, FindingId, RecommendationId, Savings, Severity,
    Subject, Timestamp,
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
    /// What it would save.
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
