//! The vocabulary: plain data, derived identities, no clock, no I/O.
//!
//! Deliberately absent: Kafka, Redis, HTTP, async, randomness and any reading of the wall clock.

mod audit;
mod change;
mod cloudtrail;
mod cost;
mod dead_letter;
mod exemption;
mod fact;
mod finding;
mod headers;
mod identity;
mod item;
mod message;
mod money;
mod partition;
mod recommendation;
mod report;
mod task;
mod time;
mod topic;

pub use audit::AuditRecord;
pub use change::{Action, ActionKind, Approval, Decision, Outcome, OutcomeStatus, WorkflowStep};
pub use cloudtrail::{ApiCall, Identity};
pub use cost::{
    BillingPeriod, ChargeKind, Commitment, CommitmentKind, CommitmentPart, CostLine, Delivered,
    Place,
};
pub use dead_letter::{DeadLetter, Origin};
pub use exemption::{ExemptedBy, Exemption};
pub use fact::{Dimensions, Event, EventKind, Fact, FactBody, MetricPoint, Statistics};
pub use finding::{
    Edge, Environment, Evidence, Finding, FindingStatus, Proposal, Savings, Severity,
};
pub use headers::cloud_event_headers;
pub use identity::{
    Account, AgentName, FindingId, RecommendationId, Region, Subject, SubjectError, derive_hex,
};
pub use item::{Item, ItemKind, Presence};
pub use message::{Ignored, Message, Undecodable};
pub use money::Usd;
pub use partition::{murmur2, partition_of};
pub use recommendation::{Priority, PriorityTerm, Recommendation, RecommendationState, Suppressed};
pub use report::{
    AGENT_REPORT, AgentReport, OWN_ACCOUNT, OWN_SOURCE, PROCESS_REPORT, ProcessReport,
    agent_subject, names_a_node, process_subject, worker_subject,
};
pub use task::{Answer, Attempt, Request, Task, TaskKind, TaskResult, TaskStatus};
pub use time::{TimeError, Timestamp};
pub use topic::Topic;
