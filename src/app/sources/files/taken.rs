//! Which files were taken, so that none is taken twice, and whom each bill was of. Pure; rows of the
//! `memory` topic keep it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::hash::hash_of;
use super::super::known::PREFIX;
use crate::sources::replay::Ends;

/// Rows that one place is spread over, so that a change rewrites a small one and the most files fit
/// the broker's limit of a message.
const SHARDS: usize = 32;

/// Most accounts and billing periods of one bill that are remembered, so that they fit the broker's
/// limit of a message. A longer bill's next delivery takes nothing back from accounts that it lacks.
const ENDS_MAX: usize = 30_000;

/// A row's key, and what it holds; `None` when there is nothing left to hold.
pub(super) type Row = (String, Option<Vec<u8>>);

/// What was taken of one place: by file or delivery, which content.
#[derive(Debug, Default)]
pub(super) struct Taken {
    shards: [BTreeMap<u64, u64>; SHARDS],
    changed: [bool; SHARDS],
    /// What the last delivery of a bill had rows of.
    ends: BTreeMap<u64, Ends>,
    /// Bills whose ends changed or are gone.
    ended: BTreeSet<u64>,
}

fn shard(key: u64) -> usize {
    (key % SHARDS as u64) as usize
}

fn row_key(place: &str, number: usize) -> String {
    format!("{PREFIX}files/{:016x}/{number}", hash_of(&[place]))
}

fn ends_prefix(place: &str) -> String {
    format!("{PREFIX}files/{:016x}/ends/", hash_of(&[place]))
}

fn ends_key(place: &str, bill: u64) -> String {
    format!("{}{bill:016x}", ends_prefix(place))
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

    /// What the last delivery of a bill had rows of.
    pub(super) fn ends(&self, bill: u64) -> Ends {
        self.ends.get(&bill).cloned().unwrap_or_default()
    }

    /// Takes note of what a delivery had rows of.
    pub(super) fn ended(&mut self, bill: u64, ends: Ends) {
        let known = self.ends.remove(&bill);
        if known.as_ref() != Some(&ends) {
            self.ended.insert(bill);
        }
        if ends.len() <= ENDS_MAX {
            self.ends.insert(bill, ends);
        }
    }

    /// Forgets what is not there any more.
    pub(super) fn keep(&mut self, live: &BTreeSet<u64>) {
        self.ended
            .extend(self.ends.keys().filter(|bill| !live.contains(bill)));
        self.ends.retain(|bill, _| live.contains(bill));
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
    pub(super) fn changes(&mut self, place: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        for (number, changed) in self.changed.iter_mut().enumerate() {
            if std::mem::take(changed) {
                let row: Vec<(u64, u64)> = self.shards[number]
                    .iter()
                    .map(|(key, content)| (*key, *content))
                    .collect();
                let payload = rmp_serde::to_vec(&row).unwrap_or_default();
                rows.push((row_key(place, number), Some(payload)));
            }
        }
        for bill in std::mem::take(&mut self.ended) {
            let ends = self.ends.get(&bill);
            let payload = ends.map(|ends| rmp_serde::to_vec(ends).unwrap_or_default());
            rows.push((ends_key(place, bill), payload));
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
        let prefix = ends_prefix(place);
        let of_bills = rows.range(prefix.clone()..);
        let of_bills = of_bills.map_while(|(key, row)| Some((key.strip_prefix(&prefix)?, row)));
        taken.ends = of_bills
            .filter_map(|(bill, row)| {
                let bill = u64::from_str_radix(bill, 16).ok()?;
                Some((bill, rmp_serde::from_slice(row).ok()?))
            })
            .collect();
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
        let rows = apply(BTreeMap::new(), taken.changes("/a"));
        assert!(taken.changes("/a").is_empty());
        let mut after = Taken::from_rows(&rows, "/a");
        assert!(after.has(7, 8) && !after.has(7, 9) && !after.has(200, 1));
        assert_eq!(Taken::from_rows(&rows, "/b").len(), 0);
        after.keep(&BTreeSet::from([7]));
        assert_eq!(after.len(), 1);
        let kept = apply(rows, after.changes("/a"));
        let last = Taken::from_rows(&kept, "/a");
        assert!(
            last.has(7, 8) && last.len() == 1,
            "what is gone is gone in the rows"
        );
    }

    #[test]
    fn a_restart_knows_whom_a_bill_was_of_until_it_is_gone() {
        let of = |account: &str| -> Ends {
            let touched = (account.to_owned(), "2026-11".to_owned(), String::new());
            [(touched, "2026-11-02".to_owned())].into()
        };
        let mut taken = Taken::default();
        taken.ended(1, of("a"));
        taken.ended(2, of("b"));
        let rows = apply(BTreeMap::new(), taken.changes("/a"));
        taken.ended(2, of("b"));
        assert!(taken.changes("/a").is_empty(), "nothing changed");
        let mut after = Taken::from_rows(&rows, "/a");
        assert_eq!((after.ends(1), after.ends(2)), (of("a"), of("b")));
        assert!(Taken::from_rows(&rows, "/b").ends(1).is_empty());
        after.ended(1, of("c"));
        after.keep(&BTreeSet::from([1]));
        let rows = apply(rows, after.changes("/a"));
        let last = Taken::from_rows(&rows, "/a");
        assert_eq!((last.ends(1), last.ends(2)), (of("c"), Ends::new()));
        assert_eq!(rows.len(), 1);
    }

    /// What the log holds after more rows.
    fn apply(mut rows: BTreeMap<String, Vec<u8>>, changes: Vec<Row>) -> BTreeMap<String, Vec<u8>> {
        for (key, row) in changes {
            match row {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
            };
        }
        rows
    }
}
