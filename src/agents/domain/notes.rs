//! What resources of one account tell each other.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::model::{Delivered, EventKind, FindingId, Subject, Timestamp, Usd};
use crate::rules::budget::{PLANNED, Standing};
use crate::rules::memory::{CARRIERS, Carrier, EXPOSURES, MONTHS, USERS};
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
    /// To the account: an open finding, or that it is closed or muted.
    Row {
        /// The finding.
        id: FindingId,
        /// Its subject and reason; `None` when it is closed or muted.
        open: Option<(Subject, String)>,
    },
    /// To the account: rows of a bill were told of this usage.
    Bills {
        /// The usage.
        usage: Subject,
    },
    /// To a usage: all rows of a delivery were told.
    Delivered(Delivered),
    /// To the account: a usage of it cost more or less in a month than was told before.
    Spent {
        /// When the month begins.
        month: Timestamp,
        /// By how much.
        more: Usd,
    },
    /// To a budget of the configuration: how it stands.
    Stands(Standing),
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
                let known = &mut self.state.memory.exposures;
                if revise(known, EXPOSURES, group, exposure.as_ref()) {
                    self.relations_changed();
                }
            }
            Says::Carries { by, carrier } => {
                if revise(
                    &mut self.state.memory.carriers,
                    CARRIERS,
                    by,
                    carrier.as_ref(),
                ) {
                    self.relations_changed();
                }
            }
            Says::Row { id, open } => {
                self.effects.dirty |= self.state.index_row(id, open.as_ref());
            }
            Says::Bills { usage } => match self.state.index_usage(usage) {
                Some(new) => self.effects.dirty |= new,
                None => self.effects.late += 1,
            },
            Says::Delivered(delivered) => self.take_delivered(delivered),
            Says::Spent { month, more } => self.take_spent(*month, *more),
            Says::Stands(standing) => {
                let budget = self.state.memory.budget.get_or_insert_default();
                if budget.stand(standing, note.at) {
                    self.effects.dirty = true;
                    self.judge(|rule| rule.meta().needs.events.contains(&EventKind::Budget));
                }
            }
        }
    }

    /// Adds to the account's month, and tells the budgets of the configuration how they stand.
    fn take_spent(&mut self, month: Timestamp, more: Usd) {
        let months = &mut self.state.memory.months;
        if months.len() >= MONTHS && !months.contains_key(&month) {
            // A month before those remembered is in no budget's period.
            if months
                .first_key_value()
                .is_some_and(|(oldest, _)| *oldest > month)
            {
                return;
            }
            months.pop_first();
        }
        let spent = months.entry(month).or_default();
        *spent += more;
        let spent = *spent;
        self.effects.dirty = true;
        let (agent, account) = (self.agent, self.key.account());
        for plan in agent.budgets.iter().filter(|plan| plan.is_for(account)) {
            let subject = Subject::new(account, "global", &format!("{PLANNED}/{}", plan.name));
            let standing = Standing {
                month,
                spent,
                limit: plan.limit,
                thresholds: plan.thresholds.clone(),
            };
            self.tell(subject, Says::Stands(standing));
        }
    }

    fn take_user(&mut self, user: &SmolStr, public: Option<bool>) {
        if revise(&mut self.state.memory.users, USERS, user, public.as_ref()) {
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
    groups: BTreeMap<SmolStr, bool>,
    volumes: BTreeMap<SmolStr, Carrier>,
}

/// Writes or removes an entry of a map that holds at most `room`. Returns whether it changed.
fn revise<V: Clone + PartialEq>(
    known: &mut BTreeMap<SmolStr, V>,
    room: usize,
    key: &SmolStr,
    value: Option<&V>,
) -> bool {
    match value {
        None => known.remove(key).is_some(),
        Some(value) if known.get(key) == Some(value) => false,
        Some(_) if known.len() >= room && !known.contains_key(key) => false,
        Some(value) => {
            known.insert(key.clone(), value.clone());
            true
        }
    }
}

fn changes<V: Clone + PartialEq>(
    before: &BTreeMap<SmolStr, V>,
    after: &BTreeMap<SmolStr, V>,
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
