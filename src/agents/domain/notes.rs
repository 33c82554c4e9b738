//! What resources of one account tell each other.

use smol_str::SmolStr;

use crate::model::{FindingId, Subject, Timestamp};
use crate::rules::memory::{Carrier, EXPOSURES, USERS};
use crate::rules::network::{Exposure, exposure};

use super::edges::Turn;

/// A note from one subject to another of the same account.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// Event time of what it tells.
    pub at: Timestamp,
    /// What it tells.
    pub says: Says,
}

/// What a note tells.
#[derive(Clone, PartialEq, Debug)]
pub enum Says {
    /// To a security group: `user` uses it (and whether it has a public address), or no longer.
    Uses {
        /// Such as `instance/i-0abc`.
        user: SmolStr,
        /// `None` when it no longer does.
        public: Option<bool>,
    },
    /// To a group's users: what it opens to anywhere.
    Opens {
        /// The group's id.
        group: SmolStr,
        /// `None` when nothing.
        exposure: Option<Exposure>,
    },
    /// To a volume: the instance it hangs on, or that it no longer does.
    Carries {
        /// Such as `instance/i-0abc`.
        by: SmolStr,
        /// `None` when it no longer does.
        carrier: Option<Carrier>,
    },
    /// To the account: an open finding, or that it is closed.
    Row {
        /// The finding.
        id: FindingId,
        /// Its subject and reason; `None` when it is closed.
        open: Option<(Subject, String)>,
    },
}

impl Turn<'_> {
    pub(super) fn tell(&mut self, to: Subject, says: Says) {
        self.effects.notes.push((to, Note { at: self.at, says }));
    }

    /// Takes a note.
    pub(super) fn take_note(&mut self, note: &Note) {
        self.at = note.at.min(self.now);
        match &note.says {
            Says::Uses { user, public } => self.take_user(user, *public),
            Says::Opens { group, exposure } => {
                let exposures = &mut self.state.memory.exposures;
                let changed = match exposure {
                    None => exposures.remove(group).is_some(),
                    Some(exposure) if exposures.get(group) == Some(exposure) => false,
                    Some(_) if exposures.len() >= EXPOSURES && !exposures.contains_key(group) => {
                        false
                    }
                    Some(exposure) => {
                        exposures.insert(group.clone(), exposure.clone());
                        true
                    }
                };
                if changed {
                    self.relations_changed();
                }
            }
            Says::Carries { by, carrier } => {
                let known = &mut self.state.memory.carrier;
                // Whoever lets go of it must be the one who had it.
                let stale = carrier.is_none() && known.as_ref().is_none_or(|known| known.by != *by);
                if !stale && known != carrier {
                    known.clone_from(carrier);
                    self.relations_changed();
                }
            }
            Says::Row { id, open } => {
                self.effects.dirty |= self.state.index_row(id, open.as_ref());
            }
        }
    }

    fn take_user(&mut self, user: &SmolStr, public: Option<bool>) {
        let users = &mut self.state.memory.users;
        let changed = match public {
            None => users.remove(user).is_some(),
            Some(public) if users.len() < USERS || users.contains_key(user) => {
                users.insert(user.clone(), public) != Some(public)
            }
            Some(_) => false,
        };
        if changed {
            self.relations_changed();
        }
        if public.is_some() {
            self.tell_exposure(std::slice::from_ref(user));
        }
    }

    fn relations_changed(&mut self) {
        self.effects.dirty = true;
        self.judge(|rule| rule.meta().needs.relations);
    }

    /// Tells users of this group what it opens, if it has been seen.
    pub(super) fn tell_exposure(&mut self, users: &[SmolStr]) {
        let Some(thing) = &self.state.memory.thing else {
            return;
        };
        let opens = if self.state.memory.gone() {
            None
        } else {
            exposure(&thing.ingress)
        };
        for user in users.iter().filter(|user| user.starts_with("instance/")) {
            self.tell(
                self.key.sibling(user),
                Says::Opens {
                    group: self.key.id().into(),
                    exposure: opens.clone(),
                },
            );
        }
    }

    /// Tells the parts of this instance or interface what changed for them. `before` is what
    /// they knew: the groups with its public address, and the carried volumes with their carrier.
    pub(super) fn tell_parts(&mut self, before: &Parts) {
        let after = self.parts();
        for (group, public) in changes(&before.groups, &after.groups) {
            self.tell(
                self.key.sibling(&format!("security-group/{group}")),
                Says::Uses {
                    user: self.key.resource().into(),
                    public,
                },
            );
        }
        for (volume, carrier) in changes(&before.volumes, &after.volumes) {
            self.tell(
                self.key.sibling(&format!("volume/{volume}")),
                Says::Carries {
                    by: self.key.resource().into(),
                    carrier,
                },
            );
        }
        if before.groups.keys().ne(after.groups.keys()) {
            let keep = |group: &SmolStr, _: &mut Exposure| after.groups.contains_key(group);
            self.state.memory.exposures.retain(keep);
        }
    }

    /// What the parts of this resource are to be told.
    pub(super) fn parts(&self) -> Parts {
        let memory = &self.state.memory;
        let Some(thing) = memory.thing.as_ref().filter(|_| !memory.gone()) else {
            return Parts::default();
        };
        let groups = if self.agent.watches_groups() {
            thing.groups.as_slice()
        } else {
            &[]
        };
        let volumes = if self.agent.watches_volumes() {
            thing.volumes.as_slice()
        } else {
            &[]
        };
        let carrier = Carrier {
            by: self.key.resource().into(),
            owner: memory.owner(self.key),
            environment: memory.environment(),
        };
        Parts {
            groups: groups
                .iter()
                .map(|group| (group.clone(), thing.public))
                .collect(),
            volumes: volumes
                .iter()
                .map(|volume| (volume.clone(), carrier.clone()))
                .collect(),
        }
    }
}

/// What the parts of a resource were told.
#[derive(Default)]
pub(super) struct Parts {
    groups: std::collections::BTreeMap<SmolStr, bool>,
    volumes: std::collections::BTreeMap<SmolStr, Carrier>,
}

fn changes<V: Clone + PartialEq>(
    before: &std::collections::BTreeMap<SmolStr, V>,
    after: &std::collections::BTreeMap<SmolStr, V>,
) -> Vec<(SmolStr, Option<V>)> {
    let left = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key.clone(), None));
    let came = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    left.chain(came).collect()
}
