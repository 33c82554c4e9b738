//! The task reads its own output topic: rows of an earlier owner are confirmed by the replay,
//! adopted where the replay could not know, or withdrawn where it did not confirm them.
//!
//! This heals three things at once: outputs of a crash between append and checkpoint, outputs of
//! a zombie that a broker accepted late, and rows whose state is lost.

use crate::agents::Agent;
use crate::model::{Message, Subject, Topic};
use crate::ports::{PortResult, RecordView};
use crate::sources::{Decoded, decode};
use crate::telemetry::Signal;

use super::decide;
use super::task::Task;
use super::worker::Shared;

/// A row some other owner published after the last checkpoint.
#[derive(Debug)]
pub(super) struct Foreign {
    offset: u64,
    row: Message,
}

/// Notes a record of the task's own output topic.
pub(super) fn note<A: Agent>(task: &mut Task<A>, record: &RecordView<'_>) {
    let Some(key) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else {
        return;
    };
    match decode(record.topic, record.key, record.payload) {
        Ok(Decoded::Message(row)) => match row.version() {
            Some((epoch, _)) if epoch < task.epoch => {
                task.foreign.insert(
                    key.to_owned(),
                    Foreign {
                        offset: record.offset,
                        row,
                    },
                );
            }
            // Our own, or of an owner that came after us: then ours is not the word that counts.
            version => {
                task.foreign.remove(key);
                task.outranked |= version.is_some_and(|(epoch, _)| epoch > task.epoch);
            }
        },
        // A tombstone ends the row; an undecodable one is the reader's to keep.
        _ => {
            task.foreign.remove(key);
        }
    }
}

/// Moves the stored position of the own output up to the first row that is not settled. It does not
/// pass a row of a later owner: whoever takes over from there sees that the store had gone back.
pub(super) fn advance<A: Agent>(task: &mut Task<A>, output: Topic) {
    if task.outranked {
        return;
    }
    let next = task.queues.get(output).map_or(0, |queue| queue.next);
    let position = task
        .foreign
        .values()
        .map(|foreign| foreign.offset)
        .min()
        .unwrap_or(next);
    if task.meta.positions.insert(output, position) != Some(position) {
        task.changed = true;
    }
}

/// The subject whose state knows a row.
fn subject_of(row: &Message) -> Option<Subject> {
    match row {
        Message::Finding(row) => Some(row.subject.clone()),
        Message::Recommendation(row) => Some(row.owner.clone()),
        _ => None,
    }
}

/// A withdrawn row as the state shall remember it: its sequence goes on, so that readers take a
/// later opening for newer, but its opening does not count.
fn never_held(row: &Message) -> Message {
    let mut row = row.clone();
    match &mut row {
        Message::Finding(row) => row.episode = row.episode.saturating_sub(1),
        Message::Recommendation(row) => row.cycle = row.cycle.saturating_sub(1),
        _ => {}
    }
    row
}

/// Settles every foreign row of a task that has caught up.
pub(super) fn settle<A: Agent>(shared: &Shared<A>, task: &mut Task<A>) -> PortResult<()> {
    if task.foreign.is_empty() {
        return Ok(());
    }
    let subjects: Vec<Subject> = task
        .foreign
        .values()
        .filter_map(|foreign| subject_of(&foreign.row))
        .collect();
    decide::load(shared, task, subjects.iter())?;
    let foreign = std::mem::take(&mut task.foreign);
    for (key, Foreign { row, .. }) in foreign {
        let Some(subject) = subject_of(&row) else {
            continue;
        };
        let now = task.meta.clock;
        let Some(entry) = task.cache.get_mut(&subject) else {
            continue;
        };
        let known = shared.agent.row(&entry.state, &key);
        let (settled, edge) = match known {
            Some(truth) => (Some(truth), "confirmed"),
            None if task.meta.missed => {
                let adopted = shared.agent.adopt(&mut entry.state, &row);
                if adopted {
                    // The agent looks at what it took over, so that what is momentary still ends.
                    let soon = now.plus(1);
                    let wake = task.wake_of.get(&subject).map_or(soon, |at| soon.min(*at));
                    task.set_wake(&subject, Some(wake));
                    task.mark_dirty(&subject);
                    task.unbacked.insert(subject.clone());
                }
                let truth = task
                    .cache
                    .get(&subject)
                    .and_then(|entry| shared.agent.row(&entry.state, &key));
                (truth, "adopted")
            }
            None => {
                let withdrawn = shared.agent.withdraw(&row, now);
                if let Some(row) = withdrawn.as_ref().map(never_held)
                    && let Some(entry) = task.cache.get_mut(&subject)
                    && shared.agent.adopt(&mut entry.state, &row)
                {
                    task.mark_dirty(&subject);
                    task.unbacked.insert(subject.clone());
                }
                (withdrawn, "withdrawn")
            }
        };
        if let Some(mut message) = settled {
            message.stamp(task.epoch);
            decide::publish(shared, task, &message, None);
            shared.metrics.emit(&Signal::RowRepaired {
                task: task.id,
                edge,
            });
        }
    }
    advance(task, shared.spec.writes);
    task.changed = true;
    Ok(())
}
