//! An exemption: somebody's word that a finding is as it is meant to be, for a while.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TimeError, Timestamp};

/// Where the word was given.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ExemptedBy {
    /// The resource's tag `skyherd:exempt`.
    Tag,
    /// An entry of `[[exemptions]]` in the configuration.
    Configuration,
}

/// Why a finding is muted: it stays visible, and nothing is recommended because of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exemption {
    /// Where it was said.
    pub by: ExemptedBy,
    /// The reason given, for a person; empty when a tag gives none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Event time at which it ends.
    pub until: Timestamp,
}

impl Exemption {
    /// Reads the end of an exemption: a day, which ends it as it begins in UTC, or an instant.
    pub fn parse_until(text: &str) -> Result<Timestamp, TimeError> {
        let midnight = format!("{}T00:00:00Z", text.trim());
        Timestamp::parse(&midnight).or_else(|_| Timestamp::parse(text))
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            ExemptedBy::Tag => "its tag skyherd:exempt",
            ExemptedBy::Configuration => "the configuration",
        };
        write!(f, "muted by {by} until {}", self.until)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
