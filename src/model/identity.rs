//! Who and what: accounts, subjects, agents and derived ids.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// An AWS account id, kept as the opaque text it came as; `org:<payer>` for what no account owns.
pub type Account = SmolStr;
/// An AWS region, or `global`.
pub type Region = SmolStr;

/// One resource of one account: `account/region/resource`, such as
/// `111122223333/eu-west-1/instance/i-0abc`. The unit of state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Subject(SmolStr);

/// Text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a subject; expected account/region/resource")]
pub struct SubjectError(pub String);

impl Subject {
    /// Longest subject taken from outside, in bytes; longer text is no subject.
    pub const BYTES_MAX: usize = 1_024;

    /// The subject of `resource` (for example `instance/i-0abc`) in an account and region.
    pub fn new(account: &str, region: &str, resource: &str) -> Self {
        // One allocation: the text is put together on the stack.
        let mut text = smallvec::SmallVec::<[u8; 128]>::new();
        for (index, part) in [account, region, resource].into_iter().enumerate() {
            if index > 0 {
                text.push(b'/');
            }
            text.extend_from_slice(part.as_bytes());
        }
        Self(SmolStr::new(std::str::from_utf8(&text).unwrap_or_default()))
    }

    /// Reads `account/region/resource`.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let mut parts = text.splitn(3, '/');
        let complete = parts.next().is_some_and(|part| !part.is_empty())
            && parts.next().is_some_and(|part| !part.is_empty())
            && parts.next().is_some_and(|part| !part.is_empty());
        if complete && text.len() <= Self::BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(SubjectError(text.chars().take(128).collect()))
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The account.
    pub fn account(&self) -> &str {
        self.part(0)
    }
    /// The region, or `global`.
    pub fn region(&self) -> &str {
        self.part(1)
    }
    /// The resource with its type: `instance/i-0abc`.
    pub fn resource(&self) -> &str {
        self.part(2)
    }
    /// The resource's type: `instance`.
    pub fn kind(&self) -> &str {
        self.resource().split('/').next().unwrap_or_default()
    }
    /// The resource's own id: `i-0abc`.
    pub fn id(&self) -> &str {
        self.resource().split_once('/').map_or("", |(_, id)| id)
    }
    /// Another resource in the same account and region.
    #[must_use]
    pub fn sibling(&self, resource: &str) -> Self {
        Self::new(self.account(), self.region(), resource)
    }

    fn part(&self, index: usize) -> &str {
        self.0.splitn(3, '/').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Subject {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Subject".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[^/]+/[^/]+/.+$",
            "description": "One resource: account/region/resource."
        })
    }
}

/// The first 16 bytes of BLAKE3 over `parts`, each preceded by its length, as 32 hex digits.
///
/// Lengths keep `("ab", "c")` and `("a", "bc")` apart.
pub fn derive_hex(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

macro_rules! derived_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);
        impl $name {
            /// The 32 hex digits.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}
derived_id! {
    /// What a finding is called for life: a hash of rule, subject and discriminator.
    FindingId
}
derived_id! {
    /// What a recommendation is called for life: a hash of account, owner and action kind.
    RecommendationId
}

impl FindingId {
    /// Derives the id. No time enters it, so a ticket, a mute and a replay mean the same finding.
    pub fn derive(rule: &str, subject: &Subject, discriminator: &str) -> Self {
        Self(derive_hex(&[
            "finding",
            rule,
            subject.as_str(),
            discriminator,
        ]))
    }
}
impl RecommendationId {
    /// Derives the id; account is part of `owner`.
    pub fn derive(owner: &Subject, action: &str) -> Self {
        Self(derive_hex(&[
            "recommendation",
            owner.account(),
            owner.as_str(),
            action,
        ]))
    }
}

/// The deciders.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentName {
    /// Provisioning, configuration, lifecycle, state.
    Resource,
    /// Cost, usage, budgets, savings.
    Cost,
    /// Security, compliance, vulnerabilities, access.
    Security,
    /// Performance, bottlenecks, scaling.
    Performance,
    /// Joins the four into recommendations.
    Coordinator,
}

impl AgentName {
    /// Every agent, in data-flow order.
    pub const ALL: [Self; 5] = [
        Self::Resource,
        Self::Cost,
        Self::Security,
        Self::Performance,
        Self::Coordinator,
    ];

    /// The name in topics, groups, metrics and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Cost => "cost",
            Self::Security => "security",
            Self::Performance => "performance",
            Self::Coordinator => "coordinator",
        }
    }
    /// The agent of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.as_str() == text)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_keeps_its_parts_apart() {
        let subject = Subject::new("1", "eu-west-1", "instance/i-1");
        assert_eq!(
            (
                subject.account(),
                subject.region(),
                subject.kind(),
                subject.id()
            ),
            ("1", "eu-west-1", "instance", "i-1")
        );
        assert!(Subject::parse("1/eu-west-1").is_err());
        assert!(Subject::parse("1//x").is_err());
    }

    #[test]
    fn lengths_keep_neighbouring_parts_apart() {
        assert_ne!(derive_hex(&["ab", "c"]), derive_hex(&["a", "bc"]));
    }
}
