//! Every topic of the flow, as a closed list.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AgentName;

/// A topic. `topics/*.yaml` says how each is kept; a test compares the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Topic {
    /// CloudWatch metric points, as metric streams write them.
    AwsMetrics,
    /// EventBridge envelopes.
    AwsEvents,
    /// Describe items with their account, region and time.
    AwsInventory,
    /// Cost line items.
    AwsBilling,
    /// Findings of the resource agent.
    FindingsResource,
    /// Findings of the cost agent.
    FindingsCost,
    /// Findings of the security agent.
    FindingsSecurity,
    /// Findings of the performance agent.
    FindingsPerformance,
    /// Questions to the coordinator.
    Requests,
    /// A person's consent or refusal.
    Approvals,
    /// One row a recommendation.
    Recommendations,
    /// What the coordinator asks of agents.
    Tasks,
    /// What agents answer.
    Results,
    /// Approved changes.
    Actions,
    /// What became of them.
    Outcomes,
    /// Steps of workflows, written before the step they announce.
    Workflows,
    /// Backups of agents' state.
    Memory,
    /// Hash-chained record of every decision.
    Audit,
    /// Undecodable records.
    DeadLetters,
}

impl Topic {
    /// Every topic, in data-flow order.
    pub const ALL: [Self; 19] = [
        Self::AwsMetrics,
        Self::AwsEvents,
        Self::AwsInventory,
        Self::AwsBilling,
        Self::FindingsResource,
        Self::FindingsCost,
        Self::FindingsSecurity,
        Self::FindingsPerformance,
        Self::Requests,
        Self::Approvals,
        Self::Recommendations,
        Self::Tasks,
        Self::Results,
        Self::Actions,
        Self::Outcomes,
        Self::Workflows,
        Self::Memory,
        Self::Audit,
        Self::DeadLetters,
    ];
    /// The four that carry facts about the accounts.
    pub const RAW: [Self; 4] = [
        Self::AwsMetrics,
        Self::AwsEvents,
        Self::AwsInventory,
        Self::AwsBilling,
    ];

    /// The name on the broker.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsMetrics => "aws.metrics",
            Self::AwsEvents => "aws.events",
            Self::AwsInventory => "aws.inventory",
            Self::AwsBilling => "aws.billing",
            Self::FindingsResource => "findings.resource",
            Self::FindingsCost => "findings.cost",
            Self::FindingsSecurity => "findings.security",
            Self::FindingsPerformance => "findings.performance",
            Self::Requests => "requests",
            Self::Approvals => "approvals",
            Self::Recommendations => "recommendations",
            Self::Tasks => "tasks",
            Self::Results => "results",
            Self::Actions => "actions",
            Self::Outcomes => "outcomes",
            Self::Workflows => "workflows",
            Self::Memory => "memory",
            Self::Audit => "audit",
            Self::DeadLetters => "dead-letters",
        }
    }
    /// The topic of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text)
    }
    /// Whether the broker keeps one record a key.
    pub fn compacted(self) -> bool {
        matches!(
            self,
            Self::FindingsResource
                | Self::FindingsCost
                | Self::FindingsSecurity
                | Self::FindingsPerformance
                | Self::Recommendations
                | Self::Workflows
                | Self::Memory
        )
    }
    /// The topic an agent's findings go to; the coordinator writes recommendations.
    pub fn written_by(agent: AgentName) -> Self {
        match agent {
            AgentName::Resource => Self::FindingsResource,
            AgentName::Cost => Self::FindingsCost,
            AgentName::Security => Self::FindingsSecurity,
            AgentName::Performance => Self::FindingsPerformance,
            AgentName::Coordinator => Self::Recommendations,
        }
    }
    /// The agent that alone forwards misplaced records and writes dead letters of this input.
    pub fn home(self) -> Option<AgentName> {
        match self {
            // Every domain agent reads tasks; one of them must own what cannot be read.
            Self::AwsInventory | Self::Tasks => Some(AgentName::Resource),
            Self::AwsBilling => Some(AgentName::Cost),
            Self::AwsEvents => Some(AgentName::Security),
            Self::AwsMetrics => Some(AgentName::Performance),
            Self::FindingsResource
            | Self::FindingsCost
            | Self::FindingsSecurity
            | Self::FindingsPerformance
            | Self::Requests
            | Self::Approvals
            | Self::Results => Some(AgentName::Coordinator),
            _ => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("there is no topic {text:?}")))
    }
}
