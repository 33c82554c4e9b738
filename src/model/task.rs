//! Requests to the coordinator, tasks for agents, and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Account, AgentName, Subject, Timestamp};

/// What can be asked.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Everything known about a subject or account.
    Assess,
    /// What could be better for less.
    Optimize,
    /// What is unsafe.
    Security,
    /// Which controls fail.
    Compliance,
    /// What it costs.
    Cost,
    /// How budgets stand.
    Budget,
    /// Make something.
    Provision,
}

/// A question from outside.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Chosen by the asker; repeats are the same request.
    pub id: String,
    /// What is asked.
    pub kind: TaskKind,
    /// About which account.
    pub account: Account,
    /// About which resource; the whole account when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// When it was asked.
    pub at: Timestamp,
    /// When an answer, partial or not, is due.
    pub deadline: Timestamp,
}

/// One agent's part of a request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Derived from request and agent.
    pub id: String,
    /// The request it belongs to.
    pub request: String,
    /// Who shall do it.
    pub agent: AgentName,
    /// What is asked.
    pub kind: TaskKind,
    /// About which account.
    pub account: Account,
    /// About which resource; the whole account when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Agents it has been at, first to last; bounds delegation.
    #[serde(default)]
    pub route: Vec<AgentName>,
    /// When it was given.
    pub at: Timestamp,
    /// When an answer is due.
    pub deadline: Timestamp,
}

impl Task {
    /// Most agents a task may pass through.
    pub const HOPS_MAX: usize = 3;
}

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Answered.
    Done,
    /// Given up after the last attempt.
    Failed,
    /// Handed to another agent.
    Delegated,
    /// No agent can.
    Refused,
}

/// One try at a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// What went wrong; empty when it succeeded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// What an agent knows in reply: one line a fact.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// One sentence.
    pub summary: String,
    /// Open findings of the subject, as ids with their reason.
    #[serde(default)]
    pub findings: Vec<(super::FindingId, String)>,
}

/// An agent's reply to a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskResult {
    /// The task.
    pub task: String,
    /// The request it belongs to.
    pub request: String,
    /// Who replies.
    pub agent: AgentName,
    /// About which account.
    pub account: Account,
    /// How it ended.
    pub status: TaskStatus,
    /// The reply, when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Every try, first to last.
    pub attempts: Vec<Attempt>,
    /// Agents it has been at.
    #[serde(default)]
    pub route: Vec<AgentName>,
    /// When.
    pub at: Timestamp,
    /// The owner epoch of the task that published it; the runtime writes it.
    #[serde(default)]
    pub epoch: u64,
}
