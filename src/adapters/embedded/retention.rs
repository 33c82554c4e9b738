//! Removing what nobody needs any more from the log.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use fjall::OwnedWriteBatch;

use super::Embedded;
use super::codec::{self, Mark};
use crate::model::{Timestamp, Topic};
use crate::ports::PortResult;

/// Records removed in one batch, so that appends wait for one only shortly.
const REMOVED_AT_ONCE: usize = 4_096;

/// What to keep of a topic partition. The default keeps everything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Records with a time at or after this, and everything behind the first such record.
    pub since: Option<Timestamp>,
    /// At most this many bytes of payload, keys and headers, the newest.
    pub bytes: Option<u64>,
    /// Nothing at or after this offset is removed: the smallest position any task still needs.
    pub needed_from: Option<u64>,
}

/// What a removal did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Trimmed {
    /// The log's start afterwards.
    pub start: u64,
    /// Records removed.
    pub removed: u64,
}

impl Embedded {
    /// Removes every record before `before`, which becomes the start (or the end, when `before`
    /// is beyond it). Offsets are never given twice.
    pub fn trim(&self, topic: Topic, partition: u32, before: u64) -> PortResult<Trimmed> {
        let _removing = self.0.removing.lock();
        let Some((start, end)) = self.bounds(topic, partition) else {
            return Err(self.no_partition(partition));
        };
        let to = before.min(end);
        if to <= start {
            return Ok(Trimmed { start, removed: 0 });
        }
        // The start first: from now on nobody reads what is being removed, and a process that
        // dies in between leaves only unreachable records.
        let mut batch = self.0.db.batch();
        self.put_mark(&mut batch, topic, partition, to, to);
        self.finish(batch)?;
        if let Some(bounds) = self.bound(topic, partition) {
            bounds.start.fetch_max(to, Ordering::AcqRel);
        }
        let mut removed = 0;
        let mut doomed = Vec::new();
        let range = codec::record_key(topic, partition, 0)..codec::record_key(topic, partition, to);
        for guard in self.0.records.range(range) {
            let key = guard
                .key()
                .map_err(|error| self.broken("be read", &error))?;
            doomed.push(key);
            removed += 1;
            if doomed.len() == REMOVED_AT_ONCE {
                self.remove_records(&mut doomed)?;
            }
        }
        self.remove_records(&mut doomed)?;
        Ok(Trimmed { start: to, removed })
    }

    /// Trims a topic partition to what `keep` asks for.
    pub fn retain(&self, topic: Topic, partition: u32, keep: Keep) -> PortResult<Trimmed> {
        let Some((start, end)) = self.bounds(topic, partition) else {
            return Err(self.no_partition(partition));
        };
        let mut before = start;
        if let Some(since) = keep.since {
            before = before.max(self.first_since(topic, partition, (start, end), since)?);
        }
        if let Some(bytes) = keep.bytes {
            before = before.max(self.first_within(topic, partition, (start, end), bytes)?);
        }
        if let Some(needed) = keep.needed_from {
            before = before.min(needed);
        }
        self.trim(topic, partition, before)
    }

    /// Keeps the last record of every key (and records without one), and drops tombstones whose
    /// time is before `tombstones_before`. Offsets stay; the start does not move.
    /// Returns how many records were removed.
    pub fn compact(
        &self,
        topic: Topic,
        partition: u32,
        tombstones_before: Timestamp,
    ) -> PortResult<u64> {
        let _removing = self.0.removing.lock();
        let Some((start, end)) = self.bounds(topic, partition) else {
            return Err(self.no_partition(partition));
        };
        let mut last: HashMap<Vec<u8>, (u64, bool)> = HashMap::new();
        let mut doomed_offsets = Vec::new();
        self.read(topic, partition, start, &mut |record| {
            let Some(key) = record.key else { return };
            let old_tombstone = record.payload.is_none()
                && record
                    .timestamp_ms
                    .is_some_and(|at| at < tombstones_before.ms());
            let now = (record.offset, old_tombstone);
            if let Some(entry) = last.get_mut(key) {
                doomed_offsets.push(entry.0);
                *entry = now;
            } else {
                last.insert(key.to_vec(), now);
            }
        })?;
        doomed_offsets.extend(last.values().filter(|(_, old)| *old).map(|(at, _)| *at));
        // Oldest first: a process that dies in between must not leave a row whose tombstone went.
        doomed_offsets.sort_unstable();
        let mut batch = self.0.db.batch();
        self.put_mark(&mut batch, topic, partition, start, end);
        self.finish(batch)?;
        for offsets in doomed_offsets.chunks(REMOVED_AT_ONCE) {
            let mut doomed = offsets
                .iter()
                .map(|&offset| codec::record_key(topic, partition, offset).into())
                .collect();
            self.remove_records(&mut doomed)?;
        }
        Ok(doomed_offsets.len() as u64)
    }

    fn put_mark(
        &self,
        batch: &mut OwnedWriteBatch,
        topic: Topic,
        partition: u32,
        start: u64,
        end_floor: u64,
    ) {
        batch.insert(
            &self.0.marks,
            codec::partition_key(topic, partition),
            codec::encode_mark(Mark { start, end_floor }),
        );
    }

    fn finish(&self, batch: OwnedWriteBatch) -> PortResult<()> {
        batch
            .commit()
            .map_err(|error| self.broken("be written", &error))
    }

    fn remove_records(&self, doomed: &mut Vec<fjall::UserKey>) -> PortResult<()> {
        let mut batch = self.0.db.batch();
        for key in doomed.drain(..) {
            batch.remove(&self.0.records, key);
        }
        self.finish(batch)
    }

    /// The offset of the first record that is not older than `since`; the end when all are.
    fn first_since(
        &self,
        topic: Topic,
        partition: u32,
        (start, end): (u64, u64),
        since: Timestamp,
    ) -> PortResult<u64> {
        let mut from = start;
        let mut found = None;
        while from < end && found.is_none() {
            let (_, next) = self.scan(
                topic,
                partition,
                (from, end),
                REMOVED_AT_ONCE,
                &mut |record| {
                    let young = record.timestamp_ms.is_none_or(|at| at >= since.ms());
                    if young && found.is_none() {
                        found = Some(record.offset);
                    }
                },
            )?;
            from = next;
        }
        Ok(found.unwrap_or(end))
    }

    /// The smallest offset from which on records take at most `bytes`.
    fn first_within(
        &self,
        topic: Topic,
        partition: u32,
        (start, end): (u64, u64),
        bytes: u64,
    ) -> PortResult<u64> {
        let range =
            codec::record_key(topic, partition, start)..codec::record_key(topic, partition, end);
        let mut total = 0;
        let mut first = end;
        for guard in self.0.records.range(range).rev() {
            let (key, value) = guard
                .into_inner()
                .map_err(|error| self.broken("be read", &error))?;
            total += value.len() as u64;
            if total > bytes {
                break;
            }
            first = codec::offset_of(&key).unwrap_or(first);
        }
        Ok(first)
    }
}
