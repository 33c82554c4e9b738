//! One link of an audit chain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Account, AgentName, Timestamp, derive_hex};

/// A decision that was taken, chained per (task, account) by the hash of its predecessor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    /// Who decided.
    pub agent: AgentName,
    /// For which account.
    pub account: Account,
    /// Position in the chain, from 1.
    pub seq: u64,
    /// Hash of the predecessor; empty for the first.
    pub previous: String,
    /// What was decided.
    pub what: String,
    /// About which row: a recommendation, an approval, an action.
    pub about: String,
    /// When, in event time.
    pub at: Timestamp,
    /// Hash over all fields above.
    pub hash: String,
    /// The owner epoch of the task that published it; the runtime writes it.
    #[serde(default)]
    pub epoch: u64,
}

impl AuditRecord {
    /// Appends to a chain: `previous` is the last record's hash, `seq` its successor's number.
    pub fn link(
        agent: AgentName,
        account: &str,
        (seq, previous): (u64, &str),
        (what, about): (&str, &str),
        at: Timestamp,
    ) -> Self {
        let mut record = Self {
            agent,
            account: account.into(),
            seq,
            previous: previous.to_owned(),
            what: what.to_owned(),
            about: about.to_owned(),
            at,
            hash: String::new(),
            epoch: 0,
        };
        record.hash = record.expected_hash();
        record
    }

    /// The hash these fields must have.
    pub fn expected_hash(&self) -> String {
        derive_hex(&[
            self.agent.as_str(),
            &self.account,
            &self.seq.to_string(),
            &self.previous,
            &self.what,
            &self.about,
            &self.at.ms().to_string(),
        ])
    }
}
