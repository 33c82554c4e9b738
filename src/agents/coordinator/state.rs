//! What the coordinator remembers, by key, and what its subjects tell each other.
//!
//! One type serves every key; a key uses the part its role needs (see [`super`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{
    ActionKind, Finding, FindingId, Recommendation, Request, Subject, TaskResult, Timestamp,
};

/// What is remembered of one key.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Role "subject of findings": the newest version of each, and who was told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) seen: BTreeMap<FindingId, Seen>,
    /// Role "owner": its case.
    #[serde(default)]
    pub(super) case: Case,
    /// Role "request".
    #[serde(default)]
    pub(super) request: Option<Asked>,
    /// Role "desk of an account": ids of requests that are open.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) desk: BTreeSet<String>,
    /// Role "audit of an account": where its chain ends.
    #[serde(default)]
    pub(super) chain: Chain,
}

/// The newest row of a finding.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// (owner epoch, seq).
    pub(super) version: (u64, u64),
    /// Whose case holds it; `None` once closed.
    pub(super) owner: Option<Subject>,
    /// Event time of the row.
    pub(super) at: Timestamp,
}

/// An owner's open findings and what is recommended.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// Open findings.
    #[serde(default)]
    pub(super) findings: BTreeMap<FindingId, Finding>,
    /// One a kind of change ever recommended: at most as many as there are kinds.
    #[serde(default)]
    pub(super) slots: BTreeMap<ActionKind, Slot>,
}

/// One recommendation's life.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Cycles so far. Outlives the row: an action's id holds the cycle and must never repeat.
    pub(super) cycle: u64,
    /// Rows so far; outlives the row, so that versions never run backwards.
    pub(super) seq: u64,
    /// The row as last published, until its tombstone.
    pub(super) row: Option<Recommendation>,
}

/// The end of an audit chain.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Chain {
    /// Records so far.
    pub(super) seq: u64,
    /// Hash of the last.
    pub(super) hash: String,
}

/// A request and what came back.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The question.
    pub(super) request: Request,
    /// One part an agent asked, by task id.
    pub(super) parts: BTreeMap<String, Part>,
    /// When it was answered.
    pub(super) answered_at: Option<Timestamp>,
}

/// One agent's part.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Who was asked.
    pub(super) agent: crate::model::AgentName,
    /// The final result.
    pub(super) result: Option<TaskResult>,
}

/// What keys of one account tell each other.
#[derive(Debug)]
pub enum Note {
    /// To an owner: this finding is open here.
    Join(Box<Finding>),
    /// To an owner: this finding closed or went to another owner, at that event time.
    Leave(FindingId, Timestamp),
    /// To the account's audit key: chain this.
    Audit {
        /// What was decided.
        what: String,
        /// About which row.
        about: String,
        /// When, in event time.
        at: Timestamp,
    },
    /// To a request's key: the desk let it in.
    Ask(Box<Request>),
    /// To the desk: this request is answered.
    Answered(String),
}
