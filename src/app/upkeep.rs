//! Keeps the embedded log from growing for ever, as a broker's retention and compaction do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::adapters::embedded::{Embedded, Keep};
use crate::model::{AgentName, Timestamp, Topic};
use crate::ports::{Clock as _, PortResult, TaskId};
use crate::runtime::{SystemClock, TaskMeta};
use crate::topology;

/// Between two rounds.
const ROUND: Duration = Duration::from_mins(10);
/// How long records of topics that are not compacted stay, as in `topics/aws.*.yaml`.
const KEPT_MS: i64 = 3 * Timestamp::DAY;
/// How long a dead letter or an audit record stays, as in their manifests.
const KEPT_LONG_MS: i64 = 90 * Timestamp::DAY;
/// How long a tombstone stays for readers that were away.
const TOMBSTONES_MS: i64 = 7 * Timestamp::DAY;
/// New records in a compacted partition that are worth a compaction.
const GROWN_RECORDS: u64 = 1_000;

/// Runs rounds until told to stop; the thread is woken by [`std::thread::Thread::unpark`].
pub(super) fn rounds(db: &Embedded, agents: &[AgentName], stop: &Arc<AtomicBool>) {
    let clock = SystemClock::default();
    let mut compacted: BTreeMap<(Topic, u32), u64> = BTreeMap::new();
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = round(db, agents, clock.now(), &mut compacted) {
            tracing::warn!(%error, "the log was not tidied; the next round tries again");
        }
        std::thread::park_timeout(ROUND);
    }
}

/// One round: removes what is older than its time and read by every agent, and superseded rows.
pub(super) fn round(
    db: &Embedded,
    agents: &[AgentName],
    now: Timestamp,
    compacted: &mut BTreeMap<(Topic, u32), u64>,
) -> PortResult<()> {
    for topic in Topic::ALL {
        for partition in 0..db.partitions() {
            let (_, end) = db.bounds(topic, partition).unwrap_or_default();
            if topic.compacted() {
                let seen = compacted.entry((topic, partition)).or_default();
                if end >= *seen + GROWN_RECORDS {
                    db.compact(topic, partition, now.plus(-TOMBSTONES_MS))?;
                    *seen = end;
                }
                continue;
            }
            let kept = match topic {
                Topic::DeadLetters | Topic::Audit => KEPT_LONG_MS,
                _ => KEPT_MS,
            };
            let keep = Keep {
                since: Some(now.plus(-kept)),
                bytes: None,
                needed_from: needed_from(db, agents, topic, partition),
            };
            db.retain(topic, partition, keep)?;
        }
    }
    Ok(())
}

/// The smallest stored position of the agents that read the topic; `None` when none does.
fn needed_from(db: &Embedded, agents: &[AgentName], topic: Topic, partition: u32) -> Option<u64> {
    topology::agents()
        .into_iter()
        .filter(|spec| agents.contains(&spec.name) && spec.reads.contains(&topic))
        .map(|spec| {
            let task = TaskId {
                agent: spec.name,
                partition,
            };
            let meta = db.meta(task).and_then(|meta| TaskMeta::decode(&meta).ok());
            meta.and_then(|meta| meta.positions.get(&topic).copied())
                .unwrap_or(0)
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::embedded::EmbeddedOptions;
    use crate::ports::{Checkpoint, Outgoing, Store as _};

    fn record(at: Timestamp) -> Outgoing {
        Outgoing {
            topic: Topic::AwsEvents,
            partition: 0,
            key: None,
            payload: Some(b"{}".to_vec()),
            headers: Vec::new(),
            timestamp_ms: Some(at.ms()),
        }
    }

    #[test]
    fn only_what_is_old_and_read_by_everyone_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions {
            partitions: 1,
            ..EmbeddedOptions::default()
        };
        let db = Embedded::open(dir.path(), options).unwrap();
        let now = Timestamp::from_ms(100 * Timestamp::DAY);
        for days in [10, 9, 8, 1] {
            db.append_many(&[record(now.plus(-days * Timestamp::DAY))])
                .unwrap();
        }
        let agents = [AgentName::Security];
        let tidy = || {
            round(&db, &agents, now, &mut BTreeMap::new()).unwrap();
            db.bounds(Topic::AwsEvents, 0)
        };
        assert_eq!(tidy(), Some((0, 4)), "the agent has read nothing yet");
        let task = TaskId {
            agent: AgentName::Security,
            partition: 0,
        };
        let epoch = db.acquire(task, 0).unwrap().epoch;
        let meta = TaskMeta {
            positions: [(Topic::AwsEvents, 2)].into(),
            ..TaskMeta::default()
        };
        let checkpoint = Checkpoint {
            task,
            epoch,
            expected: None,
            meta: meta.encode(),
            states: Vec::new(),
            recent: Vec::new(),
            wakes: Vec::new(),
            outputs: Vec::new(),
        };
        db.commit(&checkpoint).unwrap();
        assert_eq!(tidy(), Some((2, 4)), "the third is old but not read");
    }

    #[test]
    fn a_dead_letter_is_kept_from_when_it_was_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions {
            partitions: 1,
            ..EmbeddedOptions::default()
        };
        let db = Embedded::open(dir.path(), options).unwrap();
        let letter = Outgoing {
            topic: Topic::DeadLetters,
            timestamp_ms: None,
            ..record(Timestamp::from_ms(0))
        };
        db.append_many(&[letter]).unwrap();
        let now = SystemClock::default().now();
        let left_after = |days: i64| {
            let at = now.plus(days * Timestamp::DAY);
            round(&db, &[], at, &mut BTreeMap::new()).unwrap();
            db.bounds(Topic::DeadLetters, 0)
        };
        assert_eq!(left_after(89), Some((0, 1)));
        assert_eq!(left_after(91), Some((1, 1)));
    }
}
