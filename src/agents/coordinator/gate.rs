//! Lets the newest row of each finding through, once, and tells the owners concerned.
//!
//! It stands at the finding's own subject, the one place that never changes in a finding's life.
//! So a move is seen even when the row that named the former owner was compacted away, and the
//! owners need no memory of what left them.

use super::Effects;
use super::case;
use super::conflicts::JOININGS;
use super::state::{Note, Seen, State};
use crate::model::{Finding, FindingId, Subject, Timestamp};

/// Closed and muted findings whose version is kept a subject, to refuse rows that come late. The oldest is
/// forgotten first.
pub const CLOSED_MAX: usize = 256;

/// Whose case a finding belongs to. One that joins another's recommendation belongs where that
/// change is made: an instance's exposure to the security group.
fn holder(finding: &Finding) -> &Subject {
    let target = || finding.proposal.as_ref()?.target.as_ref();
    if JOININGS.iter().any(|join| join.rule == finding.rule) {
        target().unwrap_or(&finding.owner)
    } else {
        &finding.owner
    }
}

/// Takes a row of the finding; `key` is its subject.
pub(super) fn take(key: &Subject, finding: &Finding, state: &mut State, effects: &mut Effects) {
    let version = (finding.epoch, finding.seq);
    let former = match state.seen.get(&finding.id) {
        Some(seen) if seen.version >= version => return,
        Some(seen) => seen.owner.clone(),
        None => None,
    };
    effects.dirty = true;
    // A muted finding is nobody's: it neither proposes, joins, hides nor vetoes.
    let owner = finding.counts().then(|| holder(finding).clone());
    state.seen.insert(
        finding.id.clone(),
        Seen {
            version,
            owner: owner.clone(),
            at: finding.at,
        },
    );
    forget(state);
    if former != owner
        && let Some(former) = former
    {
        leave(key, former, &finding.id, finding.at, state, effects);
    }
    match owner {
        Some(owner) if owner == *key => case::join(key, finding, &mut state.case, effects),
        Some(owner) => {
            let note = Note::Join(Box::new(finding.clone()));
            effects.notes.push((owner, note));
        }
        None => {}
    }
}

/// Takes a finding's tombstone: it closed, perhaps in a row that was compacted away.
pub(super) fn forget_row(
    key: &Subject,
    id: &str,
    now: Timestamp,
    state: &mut State,
    effects: &mut Effects,
) {
    let Some(id) = state.seen.keys().find(|seen| seen.as_str() == id).cloned() else {
        return;
    };
    effects.dirty = true;
    if let Some(Seen {
        owner: Some(owner), ..
    }) = state.seen.remove(&id)
    {
        leave(key, owner, &id, now, state, effects);
    }
}

fn leave(
    key: &Subject,
    owner: Subject,
    id: &FindingId,
    at: Timestamp,
    state: &mut State,
    effects: &mut Effects,
) {
    if owner == *key {
        case::leave(key, id, at, &mut state.case, effects);
    } else {
        effects.notes.push((owner, Note::Leave(id.clone(), at)));
    }
}

/// Keeps the bound on closed and muted findings. Open ones are as many as the agents keep open.
fn forget(state: &mut State) {
    let mut closed: Vec<(Timestamp, FindingId)> = state
        .seen
        .iter()
        .filter(|(_, seen)| seen.owner.is_none())
        .map(|(id, seen)| (seen.at, id.clone()))
        .collect();
    if closed.len() > CLOSED_MAX {
        closed.sort();
        for (_, id) in &closed[..closed.len() - CLOSED_MAX] {
            state.seen.remove(id);
        }
    }
}
