//! From recommendation to change: approvals, actions, outcomes, workflow steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{RecommendationId, Subject, Timestamp};

/// Kinds of change. The order of exclusive ones is [`ActionKind::exclusive_rank`].
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// End an instance for good.
    Terminate,
    /// Stop an instance.
    Stop,
    /// Change an instance's or volume's size.
    Rightsize,
    /// Move to a newer generation or type of the same size.
    Upgrade,
    /// Run only in working hours.
    Schedule,
    /// Snapshot, then delete a volume or another idle resource.
    Delete,
    /// Take capacity away or add it.
    Scale,
    /// Revoke exactly one security group permission.
    RevokeIngress,
    /// Write tags.
    Tag,
    /// Stop and start on healthy hardware.
    Recover,
    /// Switch burstable credits to unlimited, or change family.
    ChangeCredits,
    /// A person must look.
    Investigate,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Terminate,
        Self::Stop,
        Self::Rightsize,
        Self::Upgrade,
        Self::Schedule,
        Self::Delete,
        Self::Scale,
        Self::RevokeIngress,
        Self::Tag,
        Self::Recover,
        Self::ChangeCredits,
        Self::Investigate,
    ];
    /// The name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Stop => "stop",
            Self::Rightsize => "rightsize",
            Self::Upgrade => "upgrade",
            Self::Schedule => "schedule",
            Self::Delete => "delete",
            Self::Scale => "scale",
            Self::RevokeIngress => "revoke_ingress",
            Self::Tag => "tag",
            Self::Recover => "recover",
            Self::ChangeCredits => "change_credits",
            Self::Investigate => "investigate",
        }
    }
    /// Rank among mutually exclusive actions on one resource, strongest first:
    /// terminate, stop, rightsize, upgrade, schedule. `None` excludes nothing.
    pub fn exclusive_rank(self) -> Option<u8> {
        match self {
            Self::Terminate => Some(0),
            Self::Stop => Some(1),
            Self::Rightsize => Some(2),
            Self::Upgrade => Some(3),
            Self::Schedule => Some(4),
            _ => None,
        }
    }
    /// Whether it cannot be undone; such changes need two people.
    pub fn destructive(self) -> bool {
        matches!(self, Self::Terminate | Self::Delete)
    }
}

/// A person's word on a recommendation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Do it.
    Approve,
    /// Do not.
    Reject,
    /// Ask again later.
    Snooze,
}

/// Binds a person to a digest of (action, parameters, observed configuration).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// Its owner: routes the approval.
    pub owner: Subject,
    /// Its cycle when approved.
    pub cycle: u64,
    /// Its revision when approved.
    pub revision: u64,
    /// What exactly was approved.
    pub digest: String,
    /// Who.
    pub person: String,
    /// What they said.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
    /// When it stops counting.
    pub expires_at: Timestamp,
    /// Why, in their words.
    #[serde(default)]
    pub reason: String,
}

/// A concrete, approved change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Hash of recommendation, cycle, revision and digest.
    pub id: String,
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// Its cycle.
    pub cycle: u64,
    /// Its revision.
    pub revision: u64,
    /// The approved digest.
    pub digest: String,
    /// The kind of change.
    pub kind: ActionKind,
    /// What is changed.
    pub target: Subject,
    /// Parameters of the change.
    #[serde(default)]
    pub parameters: BTreeMap<SmolStr, String>,
    /// When it was released.
    pub at: Timestamp,
}

/// How an action ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// Done and verified.
    Done,
    /// Not done; nothing changed.
    Failed,
    /// Done, then undone.
    RolledBack,
}

/// What became of an action.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The action.
    pub action: String,
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// What was changed.
    pub target: Subject,
    /// How it ended.
    pub status: OutcomeStatus,
    /// Why, for a person.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// A step of a workflow, written before the step it announces.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowStep {
    /// The workflow.
    pub workflow: String,
    /// `provision` or `optimize`.
    pub kind: String,
    /// The step that is about to be taken.
    pub step: String,
    /// Steps so far, from 1.
    pub seq: u64,
    /// About what.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// What the step needs to know.
    #[serde(default)]
    pub detail: BTreeMap<SmolStr, String>,
}
