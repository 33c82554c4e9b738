//! What is remembered of one resource: bounded, newest by the facts' own times.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::budget::Budget;
use super::inventory::Thing;
use super::network::Exposure;
use super::own::memory::Own;
use super::spend::Spend;
use super::stats::Series;
use crate::model::{Environment, Subject, Timestamp, Usd};

/// Sightings kept with their times; older ones are folded into the state they amount to.
pub const SIGHTINGS: usize = 8;
/// Resources remembered as users of another.
pub const USERS: usize = 256;
/// Resources remembered as carrying another.
pub const CARRIERS: usize = 8;
/// Months whose spend is remembered of an account.
pub const MONTHS: usize = 3;
/// Groups remembered with what they open.
pub const EXPOSURES: usize = 16;

/// The tag an Auto Scaling group puts on its instances.
pub const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// States a resource went through, from inventory and events alike.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Sightings {
    /// State and beginning of what was folded, and the time of the last folded sighting.
    #[serde(default, rename = "b", skip_serializing_if = "Option::is_none")]
    base: Option<(SmolStr, Timestamp, Timestamp)>,
    /// Sorted by time, then rank.
    #[serde(default, rename = "t")]
    tail: Vec<(Timestamp, SmolStr)>,
}

impl Sightings {
    /// Takes a sighting. Returns whether anything changed.
    pub fn see(&mut self, at: Timestamp, state: &str) -> bool {
        if self
            .base
            .as_ref()
            .is_some_and(|(_, _, folded)| at <= *folded)
        {
            return false;
        }
        let key = (at, rank(state), state);
        let place = self
            .tail
            .binary_search_by(|(at, seen)| (*at, rank(seen), seen.as_str()).cmp(&key));
        let Err(index) = place else { return false };
        self.tail.insert(index, (at, state.into()));
        if self.tail.len() > SIGHTINGS {
            let (at, state) = self.tail.remove(0);
            let since = match &self.base {
                Some((before, since, _)) if *before == state => *since,
                _ => at,
            };
            self.base = Some((state, since, at));
        }
        true
    }

    /// The newest state and the earliest sighting of it without another between.
    pub fn current(&self) -> Option<(&str, Timestamp)> {
        let mut current = self
            .base
            .as_ref()
            .map(|(state, since, _)| (state.as_str(), *since));
        for (at, state) in &self.tail {
            match current {
                Some((before, _)) if before == state => {}
                _ => current = Some((state, *at)),
            }
        }
        current
    }
}

/// Order of states seen at the same moment: EC2's life cycle.
fn rank(state: &str) -> usize {
    const LIFE: [&str; 10] = [
        "pending",
        "creating",
        "running",
        "in-use",
        "available",
        "stopping",
        "stopped",
        "shutting-down",
        "terminated",
        "gone",
    ];
    LIFE.iter()
        .position(|known| *known == state)
        .unwrap_or(LIFE.len())
}

/// Who acts on a resource that another one carries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Carrier {
    /// Its actionable owner.
    pub owner: Subject,
    /// Its environment.
    pub environment: Option<Environment>,
}

/// Everything remembered of one resource.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The newest inventory item that showed the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thing: Option<Thing>,
    /// Its states.
    #[serde(default)]
    pub states: Sightings,
    /// Metrics that some rule of the agent looks at, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub series: BTreeMap<SmolStr, Series>,
    /// Spend by day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
    /// What is spent of it, when the subject is a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What was spent a month by when it began, when the subject is an account.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub months: BTreeMap<Timestamp, Usd>,
    /// Resources that use this one, and whether each has a public address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<SmolStr, bool>,
    /// What the groups of this resource open, by group id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposures: BTreeMap<SmolStr, Exposure>,
    /// Resources that say this one hangs on them, by name: more than one while it moves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carriers: BTreeMap<SmolStr, Carrier>,
    /// What processes of ours report, when the subject is one of them or an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Box<Own>>,
}

impl Memory {
    /// The newest state and since when.
    pub fn state(&self) -> Option<(&str, Timestamp)> {
        self.states.current()
    }
    /// Whether the resource is known to exist no longer.
    pub fn gone(&self) -> bool {
        matches!(self.state(), Some(("gone" | "terminated" | "deleted", _)))
    }
    /// The resource this one hangs on: by its own word, else by the other's.
    fn carrier(&self) -> Option<&Carrier> {
        match &self.thing {
            None => self.carriers.values().next(),
            Some(thing) => {
                let instance = thing.attached_to.as_ref()?;
                self.carriers
                    .get(format_smolstr!("instance/{instance}").as_str())
            }
        }
    }
    /// The resource a person would act on.
    pub fn owner(&self, subject: &Subject) -> Subject {
        if let Some(carrier) = self.carrier() {
            return carrier.owner.clone();
        }
        let Some(thing) = &self.thing else {
            return subject.clone();
        };
        match (thing.tags.get(GROUP_TAG), &thing.attached_to) {
            (Some(group), _) => subject.sibling(&format!("auto-scaling-group/{group}")),
            (None, Some(instance)) => subject.sibling(&format!("instance/{instance}")),
            (None, None) => subject.clone(),
        }
    }
    /// From the resource's own tags, else from what it hangs on.
    pub fn environment(&self) -> Option<Environment> {
        let own = self.thing.as_ref().and_then(Thing::environment);
        own.or_else(|| self.carrier()?.environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_ms(hour * Timestamp::HOUR)
    }

    #[test]
    fn the_newest_state_counts_from_its_first_sighting() {
        let mut seen = Sightings::default();
        seen.see(at(1), "running");
        for hour in 2..100 {
            seen.see(at(hour), "stopped");
        }
        assert_eq!(seen.current(), Some(("stopped", at(2))));
    }

    #[test]
    fn the_order_of_sightings_does_not_matter() {
        let facts = [
            (1, "running"),
            (2, "stopped"),
            (3, "running"),
            (4, "stopped"),
            (5, "stopped"),
        ];
        let mut forward = Sightings::default();
        let mut backward = Sightings::default();
        for (hour, state) in facts {
            forward.see(at(hour), state);
        }
        for (hour, state) in facts.into_iter().rev() {
            backward.see(at(hour), state);
        }
        assert_eq!(forward, backward);
        assert_eq!(forward.current(), Some(("stopped", at(4))));
    }
}
