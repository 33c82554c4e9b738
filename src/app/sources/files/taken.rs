//! Which files were taken, so that none is taken twice. Pure; rows of the `memory` topic keep it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::known::PREFIX;

/// Rows that one place is spread over, so that a change rewrites a small one and the most files fit
/// the broker's limit of a message.
const SHARDS: usize = 32;

/// A hash of words.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let head = hasher.finalize().as_bytes().first_chunk().copied();
    u64::from_le_bytes(head.unwrap_or_default())
}

/// What was taken of one place: by file or delivery, which content.
#[derive(Debug, Default)]
pub(super) struct Taken {
    shards: [BTreeMap<u64, u64>; SHARDS],
    changed: [bool; SHARDS],
}

fn shard(key: u64) -> usize {
    (key % SHARDS as u64) as usize
}

fn row_key(place: &str, number: usize) -> String {
    format!("{PREFIX}files/{:016x}/{number}", hash(&[place]))
}

impl Taken {
    /// Whether this content was taken.
    pub(super) fn has(&self, key: u64, content: u64) -> bool {
        self.shards[shard(key)].get(&key) == Some(&content)
    }

    /// Takes note that it was.
    pub(super) fn set(&mut self, key: u64, content: u64) {
        let at = shard(key);
        self.changed[at] |= self.shards[at].insert(key, content) != Some(content);
    }

    /// Forgets what is not there any more.
    pub(super) fn keep(&mut self, live: &BTreeSet<u64>) {
        for (shard, changed) in self.shards.iter_mut().zip(&mut self.changed) {
            let before = shard.len();
            shard.retain(|key, _| live.contains(key));
            *changed |= shard.len() < before;
        }
    }

    /// Files and deliveries known.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(BTreeMap::len).sum()
    }

    /// The rows that changed since the last call, by key.
    pub(super) fn changes(&mut self, place: &str) -> Vec<(String, Vec<u8>)> {
        let mut rows = Vec::new();
        for (number, changed) in self.changed.iter_mut().enumerate() {
            if std::mem::take(changed) {
                let row: Vec<(u64, u64)> = self.shards[number]
                    .iter()
                    .map(|(key, content)| (*key, *content))
                    .collect();
                let payload = rmp_serde::to_vec(&row).unwrap_or_default();
                rows.push((row_key(place, number), payload));
            }
        }
        rows
    }

    /// What `rows` hold of a place. A row that cannot be read counts as none: what it knew is
    /// taken again.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, place: &str) -> Self {
        let mut taken = Self::default();
        for number in 0..SHARDS {
            let row = rows.get(&row_key(place, number));
            let row =
                row.and_then(|payload| rmp_serde::from_slice::<Vec<(u64, u64)>>(payload).ok());
            taken.shards[number] = row.unwrap_or_default().into_iter().collect();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_knows_what_was_taken_and_other_content_is_new() {
        let mut taken = Taken::default();
        for key in 0..100 {
            taken.set(key, key + 1);
        }
        let rows: BTreeMap<_, _> = taken.changes("/a").into_iter().collect();
        assert!(taken.changes("/a").is_empty());
        let mut after = Taken::from_rows(&rows, "/a");
        assert!(after.has(7, 8) && !after.has(7, 9) && !after.has(200, 1));
        assert_eq!(Taken::from_rows(&rows, "/b").len(), 0);
        after.keep(&BTreeSet::from([7]));
        assert_eq!(after.len(), 1);
        let kept: BTreeMap<_, _> = rows.into_iter().chain(after.changes("/a")).collect();
        let last = Taken::from_rows(&kept, "/a");
        assert!(
            last.has(7, 8) && last.len() == 1,
            "what is gone is gone in the rows"
        );
    }
}
