//! What became of every record of a replay.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::{RawRecord, Settled, Shape};
use crate::model::{Ignored, Undecodable};
use crate::sources::{Decoded, decode};

/// Most distinct reasons a count keeps; further ones share [`OTHER_REASONS`].
const REASONS_MAX: usize = 256;
/// The name of what exceeds [`REASONS_MAX`].
const OTHER_REASONS: &str = "other reasons";

/// How many records, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records that were something to decide about.
    pub decoded: u64,
    /// Records well-formed but not of our kinds.
    pub ignored: u64,
    /// Records refused.
    pub dead_lettered: u64,
    /// Why records were ignored.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ignored_reasons: BTreeMap<String, u64>,
    /// Why records were refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dead_letter_reasons: BTreeMap<String, u64>,
}

impl Counts {
    /// Whether every record read is accounted for.
    pub fn holds(&self) -> bool {
        self.read == self.decoded + self.ignored + self.dead_lettered
    }

    fn is_none(&self) -> bool {
        self.read == 0
    }

    fn take(&mut self, fate: &Result<Decoded, Undecodable>) {
        self.read += 1;
        match fate {
            Ok(Decoded::Message(_)) => self.decoded += 1,
            Ok(Decoded::Ignored(Ignored(reason))) => {
                self.ignored += 1;
                count(&mut self.ignored_reasons, reason);
            }
            Err(Undecodable(reason)) => {
                self.dead_lettered += 1;
                count(&mut self.dead_letter_reasons, reason);
            }
        }
    }
}

fn count(reasons: &mut BTreeMap<String, u64>, reason: &str) {
    let full = reasons.len() >= REASONS_MAX && !reasons.contains_key(reason);
    let reason = if full { OTHER_REASONS } else { reason };
    *reasons.entry(reason.to_owned()).or_default() += 1;
}

/// The counts of a whole replay, by kind and by folder: the object of `replay --summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files that gave a record.
    pub files: u64,
    /// All records.
    #[serde(flatten)]
    pub total: Counts,
    /// By what they were recognised as.
    pub kinds: BTreeMap<&'static str, Counts>,
    /// By folder.
    pub folders: BTreeMap<String, Counts>,
    /// Ends of bills' deliveries, one for each account and billing period touched; stated by
    /// the replay and in no file, so they are not among the records read.
    #[serde(skip_serializing_if = "Counts::is_none")]
    pub deliveries: Counts,
    #[serde(skip)]
    last_file: PathBuf,
}

impl Summary {
    /// Decodes the record, counts what becomes of it, and gives that back.
    ///
    /// # Errors
    /// As [`decode`] has it.
    pub fn take(&mut self, record: &RawRecord) -> Result<Decoded, Undecodable> {
        let key = record.account.as_deref().map(str::as_bytes);
        let fate = match &record.settled {
            None => decode(record.topic, key, Some(&record.payload)),
            Some(Settled::Ignored(why)) => Ok(Decoded::Ignored(why.clone())),
            Some(Settled::Refused(why)) => Err(why.clone()),
        };
        if record.what == Shape::Delivery {
            self.deliveries.take(&fate);
            return fate;
        }
        if self.last_file != record.file {
            self.files += 1;
            self.last_file.clone_from(&record.file);
        }
        self.total.take(&fate);
        self.kinds
            .entry(record.what.as_str())
            .or_default()
            .take(&fate);
        match self.folders.get_mut(&record.folder) {
            Some(counts) => counts.take(&fate),
            None => self
                .folders
                .entry(record.folder.clone())
                .or_default()
                .take(&fate),
        }
        fate
    }

    /// Whether read = decoded + ignored + dead-lettered in every count, and the kinds and the
    /// folders each add up to the whole.
    pub fn holds(&self) -> bool {
        let adds_up = |parts: Vec<&Counts>| {
            parts.iter().all(|part| part.holds())
                && parts.iter().map(|part| part.read).sum::<u64>() == self.total.read
        };
        self.total.holds()
            && adds_up(self.kinds.values().collect())
            && adds_up(self.folders.values().collect())
    }
}
