//! What sweeps have shown of one kind of resource in one place, so that what is unchanged is not
//! told again and what is gone is told once. Pure; rows of the `memory` topic keep it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::hash::hash;
use crate::model::{ItemKind, Timestamp};

/// Rows that one kind of one place is spread over, so that a change rewrites a small one and the
/// largest account fits the broker's limit of a message.
const SHARDS: usize = 16;
/// How long a resource that does not change goes untold.
const RETELL_MS: i64 = 24 * 3_600_000;
/// What the keys of these rows begin with; agents' backups begin with the agent's name.
pub(super) const PREFIX: &str = "source/";

#[derive(Clone, Copy, PartialEq, Debug)]
struct Seen {
    /// Hash of the item as last published; 0 while that is not known to have happened.
    print: u64,
    told: Timestamp,
    /// When the sweep began that saw it last; not kept.
    sweep: Timestamp,
}

/// One kind of resource in one place.
#[derive(Debug, Default)]
pub(super) struct Known {
    shards: [BTreeMap<String, Seen>; SHARDS],
    changed: [bool; SHARDS],
}

fn shard(id: &str) -> usize {
    (hash(id.as_bytes()) % SHARDS as u64) as usize
}

/// The fingerprint of an item.
pub(super) fn print(item: &Value) -> u64 {
    // 0 says that nothing was published.
    hash(item.to_string().as_bytes()).max(1)
}

impl Known {
    /// Takes note that the sweep begun at `sweep` shows the resource; whether it is to be told.
    pub(super) fn see(&mut self, id: &str, print: u64, sweep: Timestamp, now: Timestamp) -> bool {
        let at = shard(id);
        if let Some(seen) = self.shards[at].get_mut(id) {
            seen.sweep = sweep;
            return seen.print != print || now.since(seen.told) >= RETELL_MS;
        }
        let seen = Seen {
            print: 0,
            told: now,
            sweep,
        };
        self.shards[at].insert(id.to_owned(), seen);
        self.changed[at] = true;
        true
    }

    /// Takes note that the resource was published as it is.
    pub(super) fn told(&mut self, id: &str, print: u64, now: Timestamp) {
        let at = shard(id);
        if let Some(seen) = self.shards[at].get_mut(id) {
            (seen.print, seen.told) = (print, now);
            self.changed[at] = true;
        }
    }

    /// What a complete sweep begun at `sweep` did not show.
    pub(super) fn missing(&self, sweep: Timestamp) -> Vec<String> {
        let all = self.shards.iter().flatten();
        all.filter(|(_, seen)| seen.sweep < sweep)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Every resource known.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.shards.iter().flat_map(BTreeMap::keys)
    }

    /// Whether the resource is known.
    pub(super) fn has(&self, id: &str) -> bool {
        self.shards[shard(id)].contains_key(id)
    }

    /// Forgets a resource that was told to be gone.
    pub(super) fn forget(&mut self, id: &str) {
        let at = shard(id);
        self.changed[at] |= self.shards[at].remove(id).is_some();
    }

    /// Resources known.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(BTreeMap::len).sum()
    }

    /// The rows that changed since the last call, by key.
    pub(super) fn changes(&mut self, place: &str, kind: ItemKind) -> Vec<(String, Vec<u8>)> {
        let mut rows = Vec::new();
        for (number, changed) in self.changed.iter_mut().enumerate() {
            if !std::mem::take(changed) {
                continue;
            }
            let row: Vec<(&str, u64, i64)> = self.shards[number]
                .iter()
                .map(|(id, seen)| (id.as_str(), seen.print, seen.told.ms()))
                .collect();
            let payload = rmp_serde::to_vec(&row).unwrap_or_default();
            rows.push((
                format!("{PREFIX}{place}/{}/{number}", kind.as_str()),
                payload,
            ));
        }
        rows
    }

    /// What `rows` hold of a kind in a place. A row that cannot be read counts as none: what it
    /// knew is told again.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, place: &str, kind: ItemKind) -> Self {
        let mut known = Self::default();
        for number in 0..SHARDS {
            let key = format!("{PREFIX}{place}/{}/{number}", kind.as_str());
            let Some(payload) = rows.get(&key) else {
                continue;
            };
            let row: Vec<(String, u64, i64)> = rmp_serde::from_slice(payload).unwrap_or_default();
            known.shards[number] = row
                .into_iter()
                .map(|(id, print, told)| {
                    let seen = Seen {
                        print,
                        told: Timestamp::from_ms(told),
                        sweep: Timestamp::from_ms(0),
                    };
                    (id, seen)
                })
                .collect();
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn what_is_unchanged_is_told_once_a_day_and_what_is_missing_once() {
        let mut known = Known::default();
        assert!(known.see("i-1", 7, at(1), at(1)));
        known.told("i-1", 7, at(1));
        assert!(!known.see("i-1", 7, at(2), at(2)));
        assert!(known.see("i-1", 8, at(3), at(3)), "it changed");
        assert!(
            known.see("i-1", 7, at(4), at(1 + RETELL_MS)),
            "a day passed"
        );
        assert_eq!(known.missing(at(4)), [""; 0]);
        assert_eq!(known.missing(at(5)), ["i-1"]);
        known.forget("i-1");
        assert_eq!((known.len(), known.missing(at(5)).len()), (0, 0));
    }

    #[test]
    fn a_restart_knows_what_was_announced_but_not_published() {
        let mut known = Known::default();
        known.see("i-1", 7, at(1), at(1));
        known.told("i-1", 7, at(1));
        known.see("i-2", 9, at(1), at(1));
        let rows: BTreeMap<_, _> = known
            .changes("a/b", ItemKind::Instance)
            .into_iter()
            .collect();
        assert!(known.changes("a/b", ItemKind::Instance).is_empty());
        let mut after = Known::from_rows(&rows, "a/b", ItemKind::Instance);
        assert!(!after.see("i-1", 7, at(2), at(2)));
        assert!(
            after.see("i-2", 9, at(2), at(2)),
            "nobody can say that it went out"
        );
        assert_eq!(Known::from_rows(&rows, "a/c", ItemKind::Instance).len(), 0);
        let broken: BTreeMap<_, _> = rows.into_keys().map(|key| (key, vec![0xc1])).collect();
        assert_eq!(
            Known::from_rows(&broken, "a/b", ItemKind::Instance).len(),
            0
        );
    }
}
