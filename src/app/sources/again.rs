//! Kinds of resource that are swept before their time: because that failed, or because an event
//! names something that can be asked for only with all of its kind. Pure.

use std::collections::BTreeMap;

use crate::model::ItemKind;

/// When which kinds are due, in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Again {
    due: BTreeMap<ItemKind, u64>,
    /// When a kind was last swept out of turn.
    began: BTreeMap<ItemKind, u64>,
}

impl Again {
    /// An event asks for a kind: at once, then no more often than every `rest`.
    pub(super) fn ask(&mut self, kind: ItemKind, now: u64, rest: u64) {
        let rested = self.began.get(&kind).map_or(now, |began| began + rest);
        let at = rested.max(now);
        let due = self.due.entry(kind).or_insert(at);
        *due = at.min(*due);
    }

    /// A kind failed.
    pub(super) fn failed(&mut self, kind: ItemKind, now: u64, rest: u64) {
        self.due.insert(kind, now + rest);
    }

    /// Whether any kind is due.
    pub(super) fn due(&self, now: u64) -> bool {
        self.due.values().any(|due| *due <= now)
    }

    /// Takes what is due.
    pub(super) fn take(&mut self, now: u64) -> Vec<ItemKind> {
        let due = self.due.extract_if(.., |_, due| *due <= now);
        let kinds: Vec<ItemKind> = due.map(|(kind, _)| kind).collect();
        self.began.extend(kinds.iter().map(|kind| (*kind, now)));
        kinds
    }

    /// Everything is swept now.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: ItemKind = ItemKind::IamRole;
    const USER: ItemKind = ItemKind::IamUser;

    #[test]
    fn what_events_ask_for_is_swept_at_once_and_what_they_add_a_rest_later_in_one() {
        let mut again = Again::default();
        assert!(!again.due(5));
        again.ask(ROLE, 5, 60);
        again.ask(ROLE, 5, 60);
        assert!(again.due(5));
        assert_eq!(again.take(5), [ROLE]);
        for now in 6..20 {
            again.ask(ROLE, now, 60);
        }
        again.ask(USER, 20, 60);
        assert_eq!(again.take(64), [USER]);
        assert_eq!(again.take(65), [ROLE]);
        assert!(!again.due(u64::MAX));
    }

    #[test]
    fn what_failed_comes_up_again_after_a_rest_unless_everything_did_before() {
        let mut again = Again::default();
        again.failed(ROLE, 5, 60);
        assert_eq!(again.take(64), []);
        assert_eq!(again.take(65), [ROLE]);
        again.failed(ROLE, 70, 60);
        again.clear();
        assert!(!again.due(u64::MAX));
    }
}
