//! An owner's case: takes findings in and out, and publishes what changed in its recommendations.
//!
//! `cycle`, `revision`, `seq`, `opened_at` and `at` follow the order edges came in; everything else
//! in a row is what `derive` says of the findings that are open.

use super::Effects;
use super::derive;
use super::state::{Case, Note, Slot};
use crate::model::{
    ActionKind, Finding, FindingId, Message, Recommendation, RecommendationState, Subject,
    Timestamp, Topic,
};

/// How long a resolved row stays before its tombstone: 30 days.
pub const RETENTION_MS: i64 = 30 * Timestamp::DAY;

/// The key at which an account's audit chain is kept.
pub(super) fn audit_key(account: &str) -> Subject {
    Subject::new(account, "global", &format!("audit/{account}"))
}

/// An open finding belongs to this owner.
pub(super) fn join(owner: &Subject, finding: &Finding, case: &mut Case, effects: &mut Effects) {
    let at = finding.at;
    case.findings.insert(finding.id.clone(), finding.clone());
    refresh(owner, at, case, effects);
}

/// A finding closed or belongs elsewhere.
pub(super) fn leave(
    owner: &Subject,
    id: &FindingId,
    at: Timestamp,
    case: &mut Case,
    effects: &mut Effects,
) {
    if case.findings.remove(id).is_some() {
        refresh(owner, at, case, effects);
    }
}

/// Publishes every recommendation the edge at `at` changed.
fn refresh(owner: &Subject, at: Timestamp, case: &mut Case, effects: &mut Effects) {
    effects.dirty = true;
    let wake = next_wake(case);
    let mut derived = derive::derive(owner, &case.findings);
    for action in ActionKind::ALL {
        let held = case.slots.get(&action).and_then(|slot| slot.row.as_ref());
        let before = held.and_then(Recommendation::content);
        // A row's time never runs backwards, whatever the order of the edges' own times.
        let floor = held.map_or(at, |row| at.max(row.at));
        match (before, derived.remove(&action)) {
            (None, None) => {}
            (None, Some(row)) => {
                let slot = case.slots.entry(action).or_default();
                slot.cycle += 1;
                let at = floor.max(row.at);
                let row = Recommendation {
                    opened_at: at,
                    at,
                    ..row
                };
                publish(slot, row, effects);
                audit(slot, "opened", effects);
            }
            (Some(before), Some(row)) => {
                if Some(before) != row.content() {
                    let slot = case.slots.entry(action).or_default();
                    revise(slot, row, floor, effects);
                }
            }
            (Some(_), None) => {
                let slot = case.slots.entry(action).or_default();
                revise(slot, derive::resolved(owner, action), floor, effects);
                audit(slot, "resolved", effects);
            }
        }
    }
    let next = next_wake(case);
    if next != wake {
        effects.wake = Some(next);
    }
}

/// The next revision of the cycle, at `floor` or later.
fn revise(slot: &mut Slot, row: Recommendation, floor: Timestamp, effects: &mut Effects) {
    let Some(before) = &slot.row else {
        return;
    };
    let row = Recommendation {
        revision: before.revision,
        opened_at: before.opened_at,
        at: floor.max(row.at),
        ..row
    };
    publish(slot, row, effects);
}

fn publish(slot: &mut Slot, row: Recommendation, effects: &mut Effects) {
    slot.seq += 1;
    let row = Recommendation {
        cycle: slot.cycle,
        revision: row.revision + 1,
        seq: slot.seq,
        ..row
    };
    slot.row = Some(row.clone());
    effects.publish.push(Message::Recommendation(Box::new(row)));
}

fn audit(slot: &Slot, what: &str, effects: &mut Effects) {
    let Some(row) = &slot.row else {
        return;
    };
    let note = Note::Audit {
        what: format!(
            "recommendation {what}: {} {}, cycle {}",
            row.action.as_str(),
            row.owner,
            row.cycle
        ),
        about: row.id.to_string(),
        at: row.at,
    };
    effects.notes.push((audit_key(row.owner.account()), note));
}

/// Publishes the tombstones that are due.
pub(super) fn wake(owner: &Subject, now: Timestamp, case: &mut Case, effects: &mut Effects) {
    for slot in case.slots.values_mut() {
        let due = slot
            .row
            .as_ref()
            .filter(|row| expires_at(row).is_some_and(|at| at <= now));
        let Some(row) = due else {
            continue;
        };
        let id = row.id.to_string();
        let tombstone = Message::Tombstone(Topic::Recommendations, owner.clone(), id);
        effects.publish.push(tombstone);
        effects.dirty = true;
        slot.row = None;
    }
    effects.wake = Some(next_wake(case));
}

fn next_wake(case: &Case) -> Option<Timestamp> {
    let rows = case.slots.values().filter_map(|slot| slot.row.as_ref());
    rows.filter_map(expires_at).min()
}

fn expires_at(row: &Recommendation) -> Option<Timestamp> {
    (row.state == RecommendationState::Resolved).then(|| row.at.plus(RETENTION_MS))
}

/// The row with this id.
pub(super) fn row<'a>(case: &'a Case, id: &str) -> Option<&'a Recommendation> {
    let mut rows = case.slots.values().filter_map(|slot| slot.row.as_ref());
    rows.find(|row| row.id.as_str() == id)
}

/// Takes over an earlier owner's row when none is held, and its counters in any case, so that
/// cycles go on. Its findings are derived again from their own topics; the next edge of the owner
/// revises or resolves the row by them.
pub(super) fn adopt(case: &mut Case, row: &Recommendation) -> bool {
    let slot = case.slots.entry(row.action).or_default();
    let ahead = row.cycle > slot.cycle || row.seq > slot.seq;
    slot.seq = slot.seq.max(row.seq);
    slot.cycle = slot.cycle.max(row.cycle);
    let free = slot.row.is_none();
    if free {
        slot.row = Some(row.clone());
    }
    free || ahead
}

/// The row that closes one that does not hold; `None` when it is closed already.
pub(super) fn withdraw(row: &Recommendation, now: Timestamp) -> Option<Recommendation> {
    row.content()?;
    Some(Recommendation {
        cycle: row.cycle,
        revision: row.revision + 1,
        seq: row.seq + 1,
        opened_at: row.opened_at,
        at: row.at.max(now),
        ..derive::resolved(&row.owner, row.action)
    })
}
