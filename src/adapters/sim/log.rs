//! A consumer and its producer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::group::Standing;
use super::producer::{ProducerHandle, SimAppender};
use super::state::State;
use super::{Caller, SimWorld};
use crate::model::{AgentName, Topic};
use crate::ports::{
    Appender, Gap, Log, Outgoing, Ownership, PortError, PortResult, Positions, RecordView,
};

/// Most records of one topic partition in a row.
const BURST: usize = 8;
/// Records that may still come after a pause.
const LEAK: usize = 3;

/// One member of an agent's group. Dropping it without [`Log::close`] is what a crash does.
pub struct SimLog {
    world: SimWorld,
    caller: Caller,
    agent: AgentName,
    member: u32,
    consumer: u64,
    reads: Vec<Topic>,
    /// Partitions it was assigned and has not stopped.
    held: BTreeSet<u32>,
    cursors: Vec<Cursor>,
    heard: BTreeMap<(Topic, u32), u64>,
    producer: Arc<ProducerHandle>,
    joined: bool,
    closed: bool,
}

struct Cursor {
    topic: Topic,
    partition: u32,
    next: u64,
    paused: bool,
    leak: usize,
}

/// A record copied out of the lock, so that a sink may call the world.
type Delivered = (Topic, u32, u64, Arc<Outgoing>);

impl SimLog {
    pub(super) fn new(
        world: SimWorld,
        caller: Caller,
        agent: AgentName,
        member: u32,
        consumer: u64,
        reads: &[Topic],
    ) -> Self {
        let producer = Arc::new(ProducerHandle::new(&world, caller));
        world.0.lock().consumers.insert((member, agent, consumer));
        Self {
            producer,
            world,
            caller,
            agent,
            member,
            consumer,
            reads: reads.to_vec(),
            held: BTreeSet::new(),
            cursors: Vec::new(),
            heard: BTreeMap::new(),
            joined: false,
            closed: false,
        }
    }

    /// What the group has to say to this member.
    fn hear(&mut self, state: &mut State) -> PortResult<Option<Ownership>> {
        let whoami = (self.agent, self.member, self.consumer);
        if state.cut_off.contains(&whoami) {
            return Ok(None);
        }
        let (now_us, partitions) = (state.now_us, state.options.partitions);
        let session_us = state.options.session_ms * 1_000;
        let group = state.groups.entry(self.agent).or_default();
        group.pump(now_us, session_us, partitions);
        let mut standing = group.standing(self.member, self.consumer);
        if matches!(standing, Standing::Absent | Standing::Replaced) && !self.held.is_empty() {
            let lost = self.held.iter().copied().collect();
            return Ok(Some(Ownership::Lost(lost)));
        }
        if standing == Standing::Absent || (standing == Standing::Replaced && !self.joined) {
            group.join(self.member, self.consumer);
            self.joined = true;
            group.pump(now_us, session_us, partitions);
            standing = group.standing(self.member, self.consumer);
        }
        match standing {
            Standing::Replaced => Err(PortError::Fatal(format!(
                "another consumer joined as member {} of {}",
                self.member, self.agent
            ))),
            Standing::Assigned(share) => {
                self.held.clone_from(&share);
                Ok(Some(Ownership::Assigned(share.into_iter().collect())))
            }
            Standing::Revoked(share) => Ok(Some(Ownership::Revoked(share.into_iter().collect()))),
            Standing::Settled | Standing::Absent => Ok(None),
        }
    }

    /// Chooses what to deliver: bursts of random topic partitions, each in order, some late.
    fn choose(&mut self, state: &mut State, max: usize) -> Vec<Delivered> {
        let target = if max == 0 || state.rng.one_in(2) {
            max
        } else {
            1 + state.rng.below(max)
        };
        let mut ready = Vec::new();
        for (index, cursor) in self.cursors.iter_mut().enumerate() {
            let (start, end) = state.bounds(cursor.topic, cursor.partition);
            cursor.next = cursor.next.max(start);
            self.heard.insert((cursor.topic, cursor.partition), end);
            let flows = !cursor.paused || cursor.leak > 0;
            if flows && cursor.next < end && !state.rng.one_in(8) {
                ready.push(index);
            }
        }
        let mut chosen = Vec::new();
        while chosen.len() < target && !ready.is_empty() {
            let pick = state.rng.below(ready.len());
            let cursor = &mut self.cursors[ready[pick]];
            let burst = (1 + state.rng.below(BURST)).min(target - chosen.len());
            if !cursor.take(state, burst, &mut chosen) {
                ready.swap_remove(pick);
            }
        }
        chosen
    }
}

impl Cursor {
    /// Takes at most `count` records; whether more may be there.
    fn take(&mut self, state: &State, count: usize, into: &mut Vec<Delivered>) -> bool {
        let Some(found) = state.partition(self.topic, self.partition) else {
            return false;
        };
        let allowed = if self.paused {
            count.min(self.leak)
        } else {
            count
        };
        let mut taken = 0;
        for (offset, record) in found.records.range(self.next..).take(allowed) {
            into.push((self.topic, self.partition, *offset, record.clone()));
            self.next = offset + 1;
            taken += 1;
        }
        if self.paused {
            self.leak -= taken;
        } else if taken < allowed {
            self.next = found.end;
        }
        taken == count
    }
}

fn deliver(records: &[Delivered], sink: &mut dyn FnMut(RecordView<'_>)) {
    for (topic, partition, offset, record) in records {
        let headers: Vec<(&str, &[u8])> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        sink(RecordView {
            topic: *topic,
            partition: *partition,
            offset: *offset,
            key: record.key.as_deref(),
            payload: record.payload.as_deref(),
            headers: &headers,
            timestamp_ms: record.timestamp_ms,
        });
    }
}

impl Log for SimLog {
    /// A failure after the effect comes after records were handed over: they count as taken.
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<Option<Ownership>> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        state.send_some(self.producer.id());
        if self.closed {
            return Ok(None);
        }
        if let Some(change) = self.hear(&mut state)? {
            return Ok(Some(change));
        }
        let chosen = self.choose(&mut state, max);
        if chosen.is_empty() {
            state.now_us += wait.as_micros() as u64;
        }
        drop(state);
        deliver(&chosen, sink);
        after.then(None)
    }

    fn start(&mut self, tasks: &[(u32, Positions)]) -> PortResult<Vec<Gap>> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        let mut gaps = Vec::new();
        for (partition, positions) in tasks {
            let partition = *partition;
            state.check_partition(partition)?;
            self.cursors.retain(|cursor| cursor.partition != partition);
            for &topic in &self.reads {
                let (start, end) = state.bounds(topic, partition);
                let wanted = positions.get(&topic).copied().unwrap_or(start);
                let inside = (start..=end).contains(&wanted);
                if !inside {
                    gaps.push(Gap {
                        topic,
                        partition,
                        wanted,
                        resumed: start,
                    });
                }
                self.cursors.push(Cursor {
                    topic,
                    partition,
                    next: if inside { wanted } else { start },
                    paused: false,
                    leak: 0,
                });
            }
        }
        after.then(gaps)
    }

    fn stop(&mut self, partitions: &[u32]) -> PortResult<()> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        self.cursors.retain(|c| !partitions.contains(&c.partition));
        self.held.retain(|p| !partitions.contains(p));
        if let Some(group) = state.groups.get_mut(&self.agent) {
            group.let_go(self.member, self.consumer, partitions);
        }
        after.then(())
    }

    fn pause(&mut self, topic: Topic, partition: u32, paused: bool) -> PortResult<()> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        let leak = state.rng.below(LEAK + 1);
        for cursor in &mut self.cursors {
            if (cursor.topic, cursor.partition) == (topic, partition) {
                cursor.paused = paused;
                cursor.leak = leak;
            }
        }
        after.then(())
    }

    fn end(&self, topic: Topic, partition: u32) -> Option<u64> {
        self.heard.get(&(topic, partition)).copied()
    }

    fn refresh_ends(&mut self, partitions: &[u32]) -> PortResult<()> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        for &topic in &self.reads {
            for &partition in partitions {
                let (_, end) = state.bounds(topic, partition);
                self.heard.insert((topic, partition), end);
            }
        }
        after.then(())
    }

    /// A failure after the effect comes after all records were handed over.
    fn read(
        &mut self,
        topic: Topic,
        partition: u32,
        from: u64,
        sink: &mut dyn FnMut(RecordView<'_>),
    ) -> PortResult<u64> {
        let mut state = self.world.0.lock();
        let after = state.call(self.caller)?;
        state.check_partition(partition)?;
        let mut found: Vec<Delivered> = Vec::new();
        if let Some(records) = state.partition(topic, partition) {
            for (offset, record) in records.records.range(from..) {
                found.push((topic, partition, *offset, record.clone()));
            }
        }
        let (_, end) = state.bounds(topic, partition);
        drop(state);
        deliver(&found, sink);
        after.then(end)
    }

    fn appender(&self) -> Arc<dyn Appender> {
        Arc::new(SimAppender::new(self.producer.clone(), self.caller))
    }

    fn report(&mut self, _partition: u32, _positions: &Positions) {}

    fn close(&mut self) -> PortResult<()> {
        let world = self.world.clone();
        let mut state = world.0.lock();
        let after = state.call(self.caller)?;
        self.closed = true;
        self.cursors.clear();
        self.held.clear();
        if let Some(group) = state.groups.get_mut(&self.agent) {
            group.leave(self.member, self.consumer);
        }
        after.then(())
    }
}

impl Drop for SimLog {
    fn drop(&mut self) {
        let mut state = self.world.0.lock();
        let now_us = state.now_us;
        state
            .consumers
            .remove(&(self.member, self.agent, self.consumer));
        if let Some(group) = state.groups.get_mut(&self.agent) {
            group.silence(self.member, self.consumer, now_us);
        }
    }
}
