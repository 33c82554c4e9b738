//! A finding: one rule's claim about one subject, published when its verdict changes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{ActionKind, AgentName, Exemption, FindingId, Subject, Timestamp, Usd};

/// How bad it is.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Tidy up some day.
    Low,
    /// Plan it.
    Medium,
    /// Do it soon.
    High,
    /// Do it now.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 5] = [
        Self::Info,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];
    /// The name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
    /// The severity of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
    }
    /// One step milder.
    #[must_use]
    pub fn milder(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

/// Whether the claim holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// It holds.
    Open,
    /// A clean evaluation closed it, or the resource is gone.
    Cleared,
    /// A momentary fact whose time is over.
    Expired,
}

/// What changed when this row was published.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// The verdict became found.
    Opened,
    /// Still found; severity, reason or evidence changed.
    Updated,
    /// The verdict became clear.
    Cleared,
    /// A momentary finding ran out.
    Expired,
    /// A row of an earlier owner that the replay did not confirm.
    Withdrawn,
}

/// The environment a resource's tags put it in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Production.
    Production,
    /// Development, test, staging, sandbox.
    Development,
}

impl Environment {
    /// Reads the value of an `Environment` tag.
    pub fn from_tag(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "prod" | "production" | "live" | "prd" => Some(Self::Production),
            "dev" | "development" | "test" | "testing" | "stage" | "staging" | "sandbox" | "qa"
            | "uat" => Some(Self::Development),
            _ => None,
        }
    }
}

/// One number a reader can check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What was looked at: a metric, a field, an API call.
    pub name: SmolStr,
    /// What it was.
    pub value: String,
    /// What it was compared with, empty when nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub threshold: String,
    /// When it was observed.
    pub at: Timestamp,
}

/// What acting would save.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Savings {
    /// USD a month of 730 hours, before discounts.
    pub monthly: Usd,
    /// Where the price came from.
    pub price_source: SmolStr,
    /// The price's date, `YYYY-MM-DD`.
    pub price_date: SmolStr,
}

/// What the rule would do about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The kind of change.
    pub action: ActionKind,
    /// The resource that is changed, when not the finding's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Subject>,
    /// Parameters of the change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<SmolStr, String>,
    /// What it would save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savings: Option<Savings>,
}

/// One row of a findings topic: the finding's whole current state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Hash of rule, subject and discriminator; stable for life.
    pub id: FindingId,
    /// The rule, such as `COST-EC2-1`.
    pub rule: SmolStr,
    /// Who says so.
    pub agent: AgentName,
    /// About what.
    pub subject: Subject,
    /// Tells several findings of one rule on one subject apart.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub discriminator: SmolStr,
    /// Whether it holds.
    pub status: FindingStatus,
    /// What changed with this row.
    pub edge: Edge,
    /// How bad.
    pub severity: Severity,
    /// One line for a person.
    pub title: String,
    /// Why, with the numbers.
    pub why: String,
    /// The numbers.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// Event time of the opening of this episode.
    pub opened_at: Timestamp,
    /// Event time of this edge.
    pub at: Timestamp,
    /// When a momentary finding runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The n-th opening, from 1.
    pub episode: u32,
    /// Edges of this finding so far, from 1.
    pub seq: u64,
    /// The owner epoch of the task that published it; the runtime writes it.
    #[serde(default)]
    pub epoch: u64,
    /// The resource a person would act on: an instance's group, a volume's instance.
    pub owner: Subject,
    /// The owner in the previous row, when it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_before: Option<Subject>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
    /// 0 to 1.
    pub confidence: f64,
    /// Reachable from the internet.
    #[serde(default)]
    pub exposed: bool,
    /// From the resource's tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Who muted it, while it is open and muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
}

impl Finding {
    /// Whether the claim holds, muted or not.
    pub fn open(&self) -> bool {
        self.status == FindingStatus::Open && self.edge != Edge::Withdrawn
    }
    /// Whether the claim holds and nobody muted it: only such findings count and call for action.
    pub fn counts(&self) -> bool {
        self.open() && self.exemption.is_none()
    }
}
