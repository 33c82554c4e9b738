//! What can go wrong.

use super::state::State;
use crate::model::{AgentName, Topic};
use crate::ports::PortError;

/// How often a port call fails, in 10,000 calls.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Rates {
    /// `Transient`, and nothing happened.
    pub before: u16,
    /// `Transient`, though it happened.
    pub after: u16,
    /// `Lost`, with or without the effect.
    pub lost: u16,
}

/// How one call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fuse {
    /// `Transient`, and nothing happened.
    Before,
    /// `Transient`, though it happened.
    After,
    /// `Lost`, with or without the effect.
    Lost,
    /// The calling process dies before the effect.
    KillBefore,
    /// The calling process dies after the effect.
    KillAfter,
}

/// Something that happens to the deployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Every member of the agent's group must let go, then ranges are given out anew.
    Rebalance(AgentName),
    /// A member is out of the group and hears so at its next poll.
    Lose(AgentName, u32),
    /// A member is out of the group and does not hear so: it goes on polling, appending and
    /// committing what it has, beside the new owner, until healed.
    CutOff(AgentName, u32),
    /// The end of a cut-off: the member hears of its loss at its next poll.
    Heal(AgentName, u32),
    /// The process dies: its handles answer `Fatal`, some of what it sent arrives, and its
    /// groups notice after the session timeout or when it starts again.
    Kill(u32),
    /// The store is put back to an earlier snapshot, or emptied when there is none.
    RestoreStore,
    /// The store is emptied.
    FlushStore,
    /// The records before an offset are removed.
    Trim {
        /// Where.
        topic: Topic,
        /// Where.
        partition: u32,
        /// The new start, at most the end.
        before: u64,
    },
    /// Only the last record of each key stays.
    Compact {
        /// Where.
        topic: Topic,
        /// Where.
        partition: u32,
    },
}

/// A failure that waits for the call's effect.
#[must_use]
pub(super) struct After(pub(super) Option<PortError>);

impl After {
    /// Ends a call whose effect is done.
    pub(super) fn then<T>(self, answer: T) -> Result<T, PortError> {
        self.0.map_or(Ok(answer), Err)
    }
}

pub(super) fn killed(process: u32) -> PortError {
    PortError::Fatal(format!(
        "process {process} was killed by the simulation; drop its handles"
    ))
}

impl State {
    /// Whether the present call fails, by fuse or by chance.
    pub(super) fn choose_failure(&mut self) -> Option<Fuse> {
        if let Some(fuse) = self.fuses.remove(&self.calls) {
            return Some(fuse);
        }
        let rates = self.options.rates;
        if rates == Rates::default() {
            return None;
        }
        let draw = self.rng.below(10_000) as u32;
        let before = u32::from(rates.before);
        let after = before + u32::from(rates.after);
        let lost = after + u32::from(rates.lost);
        match draw {
            n if n < before => Some(Fuse::Before),
            n if n < after => Some(Fuse::After),
            n if n < lost => Some(Fuse::Lost),
            _ => None,
        }
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::Rebalance(agent) => self.groups.entry(agent).or_default().rebalance(),
            Fault::Lose(agent, member) => {
                self.groups.entry(agent).or_default().expel(member);
            }
            Fault::CutOff(agent, member) => {
                if let Some(consumer) = self.groups.entry(agent).or_default().expel(member) {
                    self.cut_off.insert((agent, member, consumer));
                }
            }
            Fault::Heal(agent, member) => {
                self.cut_off.retain(|(a, m, _)| (*a, *m) != (agent, member));
            }
            Fault::Kill(process) => self.kill(process),
            Fault::RestoreStore => {
                let pick = self.rng.below(self.snapshots.len());
                self.memory = self.snapshots.get(pick).cloned().unwrap_or_default();
            }
            Fault::FlushStore => self.memory.clear(),
            Fault::Trim {
                topic,
                partition,
                before,
            } => {
                let found = self.partition_mut(topic, partition);
                found.start = found.start.max(before.min(found.end));
                found.records = found.records.split_off(&found.start);
            }
            Fault::Compact { topic, partition } => {
                let found = self.partition_mut(topic, partition);
                let mut seen = std::collections::BTreeSet::new();
                let newest_first: Vec<u64> = found.records.keys().rev().copied().collect();
                for offset in newest_first {
                    let key = found.records[&offset].key.clone();
                    if key.is_some_and(|key| !seen.insert(key)) {
                        found.records.remove(&offset);
                    }
                }
            }
        }
    }
}
