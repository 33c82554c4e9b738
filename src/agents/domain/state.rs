//! What an agent remembers of one subject.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::flap::Flap;
use super::tasks::TaskMemory;
use crate::model::{Finding, FindingId, FindingStatus, Subject, Timestamp};
use crate::rules::{Memory, Rule};

/// Hashes of the newest events, to recognise one told twice.
pub(super) const SEEN_MAX: usize = 64;
/// Findings remembered of one subject; the oldest closed one makes room.
pub const FINDINGS_MAX: usize = 256;
/// Open findings an account's own memory lists by name; more are only counted.
pub const INDEX_MAX: usize = 512;
/// Bytes of the names of an account's usages that bills have rows of; the rest is never summed up,
/// and counted as late.
pub(super) const USAGES_BYTES_MAX: usize = 512 * 1_024;
/// Characters of a reason the account's memory keeps.
const REASON_CHARS: usize = 160;
/// How long a closed row stays before its tombstone, in milliseconds.
pub const RETENTION_MS: i64 = 30 * Timestamp::DAY;
/// An encoded state is never larger, in bytes.
pub const STATE_BYTES_MAX: usize = 1 << 20;

/// What is remembered of one finding.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FindingMemory {
    /// Whether it is open.
    #[serde(default)]
    pub open: bool,
    /// Openings so far.
    #[serde(default)]
    pub episode: u32,
    /// Edges so far.
    #[serde(default)]
    pub seq: u64,
    /// When it was closed, by the task's clock; its retention counts from here.
    #[serde(default)]
    pub closed_at: Option<Timestamp>,
    /// Facts its row was made from, to see whether they changed.
    #[serde(default)]
    pub facts: SmolStr,
    /// When a momentary finding runs out; the row may lag behind.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The row last published, until its tombstone.
    #[serde(default)]
    pub row: Option<Box<Finding>>,
}

/// An agent's memory of one subject.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DomainState {
    /// Hashes of events, oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) seen: VecDeque<u64>,
    /// What rules look at.
    #[serde(default)]
    pub memory: Memory,
    /// Flap control by rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) flaps: BTreeMap<SmolStr, Flap>,
    /// By rule and discriminator, joined by `|`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<SmolStr, FindingMemory>,
    /// When rules want to judge again, by rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) wakes: BTreeMap<SmolStr, Timestamp>,
    /// The wake last asked for.
    #[serde(default)]
    pub(super) wake: Option<Timestamp>,
    /// Tasks taken and their results, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tasks: Vec<TaskMemory>,
    /// In an account's own memory: open findings by id, with subject and reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) index: BTreeMap<FindingId, (Subject, String)>,
    /// In an account's own memory: usages that bills had rows of, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) usages: Vec<Subject>,
}

/// The key of a finding in [`DomainState::findings`].
pub(super) fn finding_key(rule: &str, discriminator: &str) -> SmolStr {
    SmolStr::from_iter([rule, "|", discriminator])
}

impl DomainState {
    /// Remembers an event's hash. Returns whether it was new.
    pub(super) fn first_time(&mut self, hash: u64) -> bool {
        if self.seen.contains(&hash) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        true
    }

    /// The open findings' rows, muted ones too.
    pub fn open_rows(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .values()
            .filter(|memory| memory.open)
            .filter_map(|memory| memory.row.as_deref())
    }

    /// In an account's own memory: open findings of the whole account that nobody muted, with
    /// their reasons.
    pub fn index_findings(&self) -> Vec<(FindingId, String)> {
        self.index
            .iter()
            .map(|(id, (_, why))| (id.clone(), why.clone()))
            .collect()
    }

    /// Makes room for one more finding. Returns whether there is any.
    pub(super) fn make_room(&mut self) -> bool {
        if self.findings.len() < FINDINGS_MAX {
            return true;
        }
        let oldest = self
            .findings
            .iter()
            .filter(|(_, memory)| !memory.open)
            .min_by_key(|(_, memory)| memory.closed_at)
            .map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.findings.remove(&key).is_some())
    }

    /// Writes a line of the account's index. Returns whether it changed.
    pub(super) fn index_row(&mut self, id: &FindingId, open: Option<&(Subject, String)>) -> bool {
        match open {
            None => self.index.remove(id).is_some(),
            Some((subject, why)) => {
                let known = self.index.contains_key(id);
                if !known && self.index.len() >= INDEX_MAX {
                    return false;
                }
                let line = (subject.clone(), why.chars().take(REASON_CHARS).collect());
                self.index.insert(id.clone(), line.clone()) != Some(line)
            }
        }
    }

    /// Remembers a usage of the account. Returns whether it is new; `None` when there is no room.
    pub(super) fn index_usage(&mut self, usage: &Subject) -> Option<bool> {
        let Err(place) = self.usages.binary_search(usage) else {
            return Some(false);
        };
        let bytes: usize = self.usages.iter().map(|usage| usage.as_str().len()).sum();
        if bytes + usage.as_str().len() > USAGES_BYTES_MAX {
            return None;
        }
        self.usages.insert(place, usage.clone());
        Some(true)
    }

    /// Takes over an earlier owner's row, unless what is remembered is as new.
    pub(super) fn adopt(&mut self, rule: &dyn Rule, row: &Finding) -> bool {
        let meta = rule.meta();
        let key = finding_key(meta.id, &row.discriminator);
        if self
            .findings
            .get(&key)
            .is_some_and(|memory| memory.seq >= row.seq)
        {
            return false;
        }
        if !self.findings.contains_key(&key) && !self.make_room() {
            return false;
        }
        let open = row.status == FindingStatus::Open;
        if !meta.needs.metrics.is_empty() {
            self.flaps.insert(meta.id.into(), Flap::adopted(open));
        }
        let memory = FindingMemory {
            open,
            episode: row.episode,
            seq: row.seq,
            closed_at: (!open).then_some(row.at),
            facts: SmolStr::default(),
            expires_at: row.expires_at,
            row: Some(Box::new(row.clone())),
        };
        self.findings.insert(key, memory);
        true
    }
}
