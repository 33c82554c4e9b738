//! One agent's reading of the embedded log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Embedded;
use crate::model::{AgentName, Topic};
use crate::ports::{Appender, Gap, Log, Ownership, PortResult, Positions, RecordView};

/// Records taken of one topic partition before the next one's turn.
const TURN_RECORDS: usize = 256;

/// One agent's consumer: it owns every partition from its first poll on.
pub struct EmbeddedLog {
    db: Embedded,
    agent: AgentName,
    reads: Vec<Topic>,
    announced: bool,
    cursors: Vec<Cursor>,
    /// Whose turn it is.
    turn: usize,
    reported: BTreeMap<u32, Positions>,
}

struct Cursor {
    topic: Topic,
    partition: u32,
    next: u64,
    paused: bool,
}

impl Embedded {
    /// A consumer of `reads` for `agent`, over all partitions.
    pub fn log(&self, agent: AgentName, reads: &[Topic]) -> EmbeddedLog {
        EmbeddedLog {
            db: self.clone(),
            agent,
            reads: reads.to_vec(),
            announced: false,
            cursors: Vec::new(),
            turn: 0,
            reported: BTreeMap::new(),
        }
    }
}

impl EmbeddedLog {
    /// Whose.
    pub fn agent(&self) -> AgentName {
        self.agent
    }

    /// How far the checkpoints of a partition reach, as last reported.
    pub fn reported(&self, partition: u32) -> Option<&Positions> {
        self.reported.get(&partition)
    }

    /// One round over all topic partitions, so that a busy one does not starve the others.
    fn sweep(&mut self, max: usize, sink: &mut dyn FnMut(RecordView<'_>)) -> PortResult<usize> {
        let mut taken = 0;
        let mut idle = 0;
        while taken < max && idle < self.cursors.len() {
            self.turn = (self.turn + 1) % self.cursors.len();
            let cursor = &mut self.cursors[self.turn];
            let (start, end) = self
                .db
                .bounds(cursor.topic, cursor.partition)
                .unwrap_or_default();
            // A trim may have passed us by.
            cursor.next = cursor.next.max(start);
            if cursor.paused || cursor.next >= end {
                idle += 1;
                continue;
            }
            let turn = TURN_RECORDS.min(max - taken);
            let (count, next) = self.db.scan(
                cursor.topic,
                cursor.partition,
                (cursor.next, end),
                turn,
                sink,
            )?;
            cursor.next = next;
            taken += count;
            idle = 0;
        }
        Ok(taken)
    }
}

impl Log for EmbeddedLog {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<Option<Ownership>> {
        if !self.announced {
            self.announced = true;
            return Ok(Some(Ownership::Assigned(
                (0..self.db.partitions()).collect(),
            )));
        }
        let deadline = super::deadline(wait);
        loop {
            let seen = self.db.appended();
            if self.sweep(max, sink)? > 0 {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.db.wait_appended(seen, left) {
                return Ok(None);
            }
        }
    }

    fn start(&mut self, tasks: &[(u32, Positions)]) -> PortResult<Vec<Gap>> {
        let mut gaps = Vec::new();
        for (partition, positions) in tasks {
            let partition = *partition;
            self.cursors.retain(|cursor| cursor.partition != partition);
            for &topic in &self.reads {
                let Some((start, end)) = self.db.bounds(topic, partition) else {
                    return Err(self.db.no_partition(partition));
                };
                let wanted = positions.get(&topic).copied().unwrap_or(start);
                let next = if (start..=end).contains(&wanted) {
                    wanted
                } else {
                    gaps.push(Gap {
                        topic,
                        partition,
                        wanted,
                        resumed: start,
                    });
                    start
                };
                self.cursors.push(Cursor {
                    topic,
                    partition,
                    next,
                    paused: false,
                });
            }
        }
        Ok(gaps)
    }

    fn stop(&mut self, partitions: &[u32]) -> PortResult<()> {
        self.cursors
            .retain(|cursor| !partitions.contains(&cursor.partition));
        self.turn = 0;
        Ok(())
    }

    fn pause(&mut self, topic: Topic, partition: u32, paused: bool) -> PortResult<()> {
        for cursor in &mut self.cursors {
            if cursor.topic == topic && cursor.partition == partition {
                cursor.paused = paused;
            }
        }
        Ok(())
    }

    fn end(&self, topic: Topic, partition: u32) -> Option<u64> {
        self.db.bounds(topic, partition).map(|(_, end)| end)
    }

    fn refresh_ends(&mut self, _partitions: &[u32]) -> PortResult<()> {
        Ok(())
    }

    fn read(
        &mut self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        self.db.read(topic, partition, from, sink)
    }

    fn appender(&self) -> Arc<dyn Appender> {
        Arc::new(self.db.clone())
    }

    fn report(&mut self, partition: u32, positions: &Positions) {
        self.reported.insert(partition, positions.clone());
    }

    fn close(&mut self) -> PortResult<()> {
        self.cursors.clear();
        Ok(())
    }
}

impl Embedded {
    /// Reads a topic partition from `from`, or its start when that is later, to its end as of
    /// the call. Returns the next offset.
    pub fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        let Some((start, end)) = self.bounds(topic, partition) else {
            return Err(self.no_partition(partition));
        };
        let from = from.max(start);
        if from >= end {
            return Ok(end);
        }
        self.scan(topic, partition, (from, end), usize::MAX, sink)?;
        Ok(end)
    }
}
