//! Everything that travels, as one closed list.

use smallvec::SmallVec;

use super::{
    Action, Approval, AuditRecord, Fact, Finding, Outcome, Recommendation, Request, Subject, Task,
    TaskResult, Timestamp, Topic, WorkflowStep,
};

/// One decoded message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Facts of one account; a Security Hub event or a metric batch holds several.
    Facts(SmallVec<[Fact; 1]>),
    /// A row of a findings topic.
    Finding(Box<Finding>),
    /// A row of the recommendations topic.
    Recommendation(Box<Recommendation>),
    /// A question.
    Request(Box<Request>),
    /// A person's word.
    Approval(Box<Approval>),
    /// Work for an agent.
    Task(Box<Task>),
    /// An agent's reply.
    Result(Box<TaskResult>),
    /// An approved change.
    Action(Box<Action>),
    /// What became of it.
    Outcome(Box<Outcome>),
    /// A workflow's next step.
    Workflow(Box<WorkflowStep>),
    /// A decision, chained.
    Audit(Box<AuditRecord>),
    /// The row of this topic with this key is gone.
    Tombstone(Topic, Subject, String),
}

impl Message {
    /// The account that owns the message: its partition key.
    pub fn account(&self) -> &str {
        match self {
            Self::Facts(facts) => facts.first().map_or("", |fact| fact.subject.account()),
            Self::Finding(row) => row.subject.account(),
            Self::Recommendation(row) => row.owner.account(),
            Self::Request(request) => &request.account,
            Self::Approval(approval) => approval.owner.account(),
            Self::Task(task) => &task.account,
            Self::Result(result) => &result.account,
            Self::Action(action) => action.target.account(),
            Self::Outcome(outcome) => outcome.target.account(),
            Self::Workflow(step) => step.subject.account(),
            Self::Audit(record) => &record.account,
            Self::Tombstone(_, subject, _) => subject.account(),
        }
    }

    /// The event time the message carries. A batch of facts counts from its earliest.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Facts(facts) => facts.iter().map(|fact| fact.at).min(),
            Self::Finding(row) => Some(row.at),
            Self::Recommendation(row) => Some(row.at),
            Self::Request(request) => Some(request.at),
            Self::Approval(approval) => Some(approval.at),
            Self::Task(task) => Some(task.at),
            Self::Result(result) => Some(result.at),
            Self::Action(action) => Some(action.at),
            Self::Outcome(outcome) => Some(outcome.at),
            Self::Workflow(step) => Some(step.at),
            Self::Audit(record) => Some(record.at),
            Self::Tombstone(..) => None,
        }
    }

    /// The record key: the row in compacted topics, the account elsewhere.
    pub fn key(&self) -> &str {
        match self {
            Self::Finding(row) => row.id.as_str(),
            Self::Recommendation(row) => row.id.as_str(),
            Self::Workflow(step) => &step.workflow,
            Self::Tombstone(_, _, key) => key,
            other => other.account(),
        }
    }

    /// The topic the message is published to; `None` for facts, which the outside publishes.
    pub fn topic(&self) -> Option<Topic> {
        Some(match self {
            Self::Facts(_) => return None,
            Self::Finding(row) => Topic::written_by(row.agent),
            Self::Recommendation(_) => Topic::Recommendations,
            Self::Request(_) => Topic::Requests,
            Self::Approval(_) => Topic::Approvals,
            Self::Task(_) => Topic::Tasks,
            Self::Result(_) => Topic::Results,
            Self::Action(_) => Topic::Actions,
            Self::Outcome(_) => Topic::Outcomes,
            Self::Workflow(_) => Topic::Workflows,
            Self::Audit(_) => Topic::Audit,
            Self::Tombstone(topic, ..) => *topic,
        })
    }

    /// Writes the publishing task's epoch into rows that carry one.
    pub fn stamp(&mut self, epoch: u64) {
        match self {
            Self::Finding(row) => row.epoch = epoch,
            Self::Recommendation(row) => row.epoch = epoch,
            Self::Result(result) => result.epoch = epoch,
            Self::Audit(record) => record.epoch = epoch,
            _ => {}
        }
    }

    /// (epoch, seq) of rows that carry them.
    pub fn version(&self) -> Option<(u64, u64)> {
        match self {
            Self::Finding(row) => Some((row.epoch, row.seq)),
            Self::Recommendation(row) => Some((row.epoch, row.seq)),
            _ => None,
        }
    }

    /// The JSON the record carries; empty for a tombstone.
    ///
    /// # Errors
    /// Never for the types above; facts are published by the outside and have no encoding here.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Facts(_) => Err(serde::ser::Error::custom(
                "facts are published in AWS's shapes",
            )),
            Self::Finding(row) => serde_json::to_vec(row),
            Self::Recommendation(row) => serde_json::to_vec(row),
            Self::Request(request) => serde_json::to_vec(request),
            Self::Approval(approval) => serde_json::to_vec(approval),
            Self::Task(task) => serde_json::to_vec(task),
            Self::Result(result) => serde_json::to_vec(result),
            Self::Action(action) => serde_json::to_vec(action),
            Self::Outcome(outcome) => serde_json::to_vec(outcome),
            Self::Workflow(step) => serde_json::to_vec(step),
            Self::Audit(record) => serde_json::to_vec(record),
            Self::Tombstone(..) => Ok(Vec::new()),
        }
    }
}

/// A record that is well-formed but not for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored(pub String);

/// A record that is none of the kinds its topic carries: what, where, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);
