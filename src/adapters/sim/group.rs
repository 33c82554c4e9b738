//! A consumer group as Kafka's classic protocol has it: everybody gives everything up, then
//! ranges are given out; a static member that restarts in time gets its range back.

use std::collections::{BTreeMap, BTreeSet};

/// The members of one agent.
#[derive(Default, Debug)]
pub(super) struct Group {
    members: BTreeMap<u32, Member>,
    /// Whether ranges must be given out anew once everybody has let go.
    unsettled: bool,
}

#[derive(Default, Debug)]
struct Member {
    /// Which consumer joined under this number last.
    consumer: u64,
    share: BTreeSet<u32>,
    /// Whether it knows its share.
    told: bool,
    /// Whether it must let go of its share.
    revoking: bool,
    /// When its heartbeats ended.
    silent_since_us: Option<u64>,
}

/// What a member must do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: it is not in the group.
    Absent,
    /// Nothing: another consumer has its number.
    Replaced,
    /// Go on.
    Settled,
    /// Take these.
    Assigned(BTreeSet<u32>),
    /// Let go of these.
    Revoked(BTreeSet<u32>),
}

impl Group {
    pub(super) fn join(&mut self, member: u32, consumer: u64) {
        if let Some(earlier) = self.members.get_mut(&member) {
            earlier.consumer = consumer;
            earlier.told = false;
            earlier.silent_since_us = None;
            if earlier.revoking {
                earlier.revoking = false;
                earlier.share.clear();
            }
        } else {
            let fresh = Member {
                consumer,
                ..Member::default()
            };
            self.members.insert(member, fresh);
            self.rebalance();
        }
    }

    pub(super) fn leave(&mut self, member: u32, consumer: u64) {
        if self.holds(member, consumer) {
            self.members.remove(&member);
            self.rebalance();
        }
    }

    /// Removes a member without asking it.
    pub(super) fn expel(&mut self, member: u32) -> Option<u64> {
        let gone = self.members.remove(&member)?;
        self.rebalance();
        Some(gone.consumer)
    }

    pub(super) fn silence(&mut self, member: u32, consumer: u64, now_us: u64) {
        if let Some(found) = self.members.get_mut(&member)
            && found.consumer == consumer
        {
            found.silent_since_us.get_or_insert(now_us);
        }
    }

    pub(super) fn rebalance(&mut self) {
        self.unsettled = true;
        for member in self.members.values_mut() {
            if member.told && !member.share.is_empty() {
                member.revoking = true;
            } else {
                member.share.clear();
            }
        }
    }

    pub(super) fn let_go(&mut self, member: u32, consumer: u64, partitions: &[u32]) {
        if let Some(found) = self.members.get_mut(&member)
            && found.consumer == consumer
            && found.revoking
        {
            found.share.retain(|p| !partitions.contains(p));
            found.revoking = !found.share.is_empty();
        }
    }

    /// Forgets who has been silent for a session, and gives out ranges when all have let go.
    pub(super) fn pump(&mut self, now_us: u64, session_us: u64, partitions: u32) {
        let expired: Vec<u32> = self
            .members
            .iter()
            .filter(|(_, m)| {
                m.silent_since_us
                    .is_some_and(|at| at + session_us <= now_us)
            })
            .map(|(member, _)| *member)
            .collect();
        for member in expired {
            self.expel(member);
        }
        if !self.unsettled || self.members.values().any(|m| m.revoking) {
            return;
        }
        self.unsettled = false;
        let count = self.members.len() as u32;
        let mut from = 0;
        for (index, member) in self.members.values_mut().enumerate() {
            let extra = u32::from((index as u32) < partitions % count);
            let to = from + partitions / count + extra;
            member.share = (from..to).collect();
            member.told = false;
            from = to;
        }
    }

    /// What the member must do next. An assignment is told once.
    pub(super) fn standing(&mut self, member: u32, consumer: u64) -> Standing {
        let Some(found) = self.members.get_mut(&member) else {
            return Standing::Absent;
        };
        if found.consumer != consumer {
            return Standing::Replaced;
        }
        if found.revoking {
            return Standing::Revoked(found.share.clone());
        }
        if !found.told && !found.share.is_empty() {
            found.told = true;
            return Standing::Assigned(found.share.clone());
        }
        Standing::Settled
    }

    fn holds(&self, member: u32, consumer: u64) -> bool {
        self.members
            .get(&member)
            .is_some_and(|m| m.consumer == consumer)
    }
}
