//! Backups of task memory to the compacted `memory` topic, and the way back.
//!
//! A backup copies what one checkpoint stored: a row per changed subject and then a marker with the task's meta value; all carry
//! the checkpoint's generation. A restore takes, per subject, the newest row not newer than the
//! newest marker: rows of a backup that was cut off do not count. The topic keeps superseded rows
//! for a day (`min.compaction.lag.ms`), so the row before is still there then.

use std::collections::{BTreeMap, VecDeque};

use crate::agents::Agent;
use crate::model::{Subject, Timestamp, Topic};
use crate::ports::{Checkpoint, Committed, Log, Outgoing, PortError, PortResult, TaskId};
use crate::telemetry::Signal;

use super::meta::TaskMeta;
use super::task::Task;
use super::worker::Shared;

/// Changed subjects that force a backup before its interval has passed.
const SUBJECTS_MAX: usize = 50_000;
/// Subjects copied in one turn: one round trip to the store.
const PAGE_SUBJECTS: usize = 1_000;
/// Bytes of restored state written to the store in one checkpoint.
const RESTORE_BYTES_MAX: usize = 8 << 20;
/// Bytes before the state in a row: generation, wake (`i64::MIN` for none).
const HEADER_BYTES: usize = 16;

/// The key of a task's rows in the `memory` topic: the marker's, or a subject's.
pub fn backup_key(task: TaskId, subject: Option<&Subject>) -> String {
    subject.map_or_else(|| task.to_string(), |subject| format!("{task}/{subject}"))
}

/// A backup under way: it copies what the store holds as of one checkpoint, so the next
/// checkpoint waits until it is through.
#[derive(Debug)]
pub(super) struct Run {
    generation: u64,
    meta: TaskMeta,
    /// Subjects still to copy; refilled page by page when `full`.
    subjects: VecDeque<Subject>,
    /// Every subject is copied: this owner does not know what the last backup lacks.
    full: bool,
    after: Option<Subject>,
    copied: u64,
}

/// Whether a backup shall begin (right after a checkpoint, with none under way).
pub(super) fn due<A: Agent>(shared: &Shared<A>, task: &Task<A>, now_ms: u64) -> bool {
    !shared.atomic
        && task.backup.is_none()
        && (task.full_backup || !task.unbacked.is_empty())
        && (task.unbacked.len() >= SUBJECTS_MAX
            || now_ms.saturating_sub(task.backed_up_ms) >= shared.options.backup_interval_ms)
}

/// Begins a backup of what the checkpoint with this meta value stored.
pub(super) fn begin<A: Agent>(task: &mut Task<A>, meta: &[u8], now_ms: u64) {
    let Ok(meta) = TaskMeta::decode(meta) else {
        return;
    };
    let full = std::mem::take(&mut task.full_backup);
    let changed = std::mem::take(&mut task.unbacked);
    // Subjects that are changed but not in this checkpoint belong to the next backup.
    task.unbacked.extend(task.dirty.iter().cloned());
    task.backed_up_ms = now_ms;
    task.backup = Some(Run {
        generation: meta.generation,
        meta,
        subjects: if full {
            VecDeque::new()
        } else {
            changed.into_iter().collect()
        },
        full,
        after: None,
        copied: 0,
    });
}

/// Copies the next page; after the last one the marker goes out and the backup is through.
pub(super) fn advance<A: Agent>(shared: &Shared<A>, task: &mut Task<A>) -> PortResult<()> {
    let Some(mut run) = task.backup.take() else {
        return Ok(());
    };
    let copied = copy_page(shared, task, &mut run);
    let more = run.full || !run.subjects.is_empty();
    if more || copied.is_err() {
        task.backup = Some(run);
        return copied;
    }
    run.meta.unbacked = false;
    let mut marker = run.generation.to_be_bytes().to_vec();
    marker.extend_from_slice(&task.epoch.to_be_bytes());
    marker.extend(run.meta.encode());
    task.outputs.push_back(row(task.id, None, marker));
    // The next checkpoint says whether everything is backed up.
    task.changed = true;
    let (agent, subjects) = (shared.spec.name, run.copied);
    shared
        .metrics
        .emit(&Signal::BackupWritten { agent, subjects });
    Ok(())
}

/// Copies as many subjects as a page holds; those of a run that was refused stay for the next try.
fn copy_page<A: Agent>(shared: &Shared<A>, task: &mut Task<A>, run: &mut Run) -> PortResult<()> {
    if run.full && run.subjects.is_empty() {
        let after = run.after.as_ref();
        let page = task.trust(shared.store.subjects(task.id, after, PAGE_SUBJECTS)?)?;
        run.full = page.len() == PAGE_SUBJECTS;
        run.after = page.last().cloned();
        run.subjects = page.into();
    }
    let count = run.subjects.len().min(PAGE_SUBJECTS);
    let page: Vec<Subject> = run.subjects.iter().take(count).cloned().collect();
    if page.is_empty() {
        return Ok(());
    }
    let states = task.trust(shared.store.load(task.id, &page)?)?;
    run.subjects.drain(..count);
    for (subject, state) in page.iter().zip(states) {
        let Some(state) = state else { continue };
        let wake = task.stored_wake(subject).map_or(i64::MIN, Timestamp::ms);
        let mut payload = run.generation.to_be_bytes().to_vec();
        payload.extend_from_slice(&wake.to_be_bytes());
        payload.extend(state);
        task.outputs.push_back(row(task.id, Some(subject), payload));
        run.copied += 1;
    }
    Ok(())
}

fn row(task: TaskId, subject: Option<&Subject>, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        topic: Topic::Memory,
        partition: task.partition,
        key: Some(backup_key(task, subject).into_bytes()),
        payload: Some(payload),
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

/// What the `memory` topic holds of a task.
pub(super) struct Backup {
    pub(super) epoch: u64,
    pub(super) meta: TaskMeta,
    pub(super) rows: BTreeMap<Subject, Row>,
}

/// One backed up subject.
pub(super) struct Row {
    generation: u64,
    wake: Option<Timestamp>,
    state: Vec<u8>,
}

/// Reads the newest complete backup of a task; `None` when there is none.
pub(super) fn read(log: &mut dyn Log, task: TaskId) -> PortResult<Option<Backup>> {
    let own = backup_key(task, None);
    let prefix = format!("{own}/");
    let mut markers: Vec<(u64, u64, TaskMeta)> = Vec::new();
    let mut history: BTreeMap<Subject, Vec<Row>> = BTreeMap::new();
    log.read(Topic::Memory, task.partition, 0, &mut |record| {
        let (Some(key), Some(payload)) = (record.key, record.payload) else {
            return;
        };
        let Ok(key) = std::str::from_utf8(key) else {
            return;
        };
        let Some((head, body)) = payload.split_at_checked(HEADER_BYTES) else {
            return;
        };
        let word = |range: std::ops::Range<usize>| {
            head.get(range)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u64::from_be_bytes)
        };
        let (generation, second) = (word(0..8), word(8..16));
        if key == own {
            if let Ok(meta) = TaskMeta::decode(body) {
                markers.push((generation, second, meta));
            }
        } else if let Some(Ok(subject)) = key.strip_prefix(&prefix).map(Subject::parse) {
            let wake = second as i64;
            let wake = (wake != i64::MIN).then(|| Timestamp::from_ms(wake));
            history.entry(subject).or_default().push(Row {
                generation,
                wake,
                state: body.to_vec(),
            });
        }
    })?;
    // Generations run on over owners and restores, so the last marker read is the newest.
    let Some((newest, epoch, meta)) = markers.pop() else {
        return Ok(None);
    };
    let rows = history
        .into_iter()
        .filter_map(|(subject, rows)| {
            let row = rows
                .into_iter()
                .rev()
                .find(|row| row.generation <= newest)?;
            Some((subject, row))
        })
        .collect();
    Ok(Some(Backup { epoch, meta, rows }))
}

/// Writes a backup into the (wiped) store in bounded steps and returns the stored meta value.
///
/// The true meta value goes in with the last step only: a restore that is cut off is found
/// incomplete by the next owner, which begins again.
pub(super) fn restore<A: Agent>(
    shared: &Shared<A>,
    task: TaskId,
    epoch: u64,
    backup: &Backup,
) -> PortResult<Vec<u8>> {
    let lost = |committed: Committed| match committed {
        Committed::Committed => Ok(()),
        other => Err(PortError::Lost(format!(
            "{task}: the restore was overtaken ({other:?})"
        ))),
    };
    lost(shared.store.wipe(task, epoch)?)?;
    let mut expected: Option<Vec<u8>> = None;
    let mut step = 0_u64;
    let mut rows = backup.rows.iter().peekable();
    loop {
        let (mut states, mut wakes, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < RESTORE_BYTES_MAX
            && let Some((subject, row)) = rows.next()
        {
            bytes += row.state.len();
            states.push((subject.clone(), Some(row.state.clone())));
            wakes.extend(row.wake.map(|at| (subject.clone(), Some(at))));
        }
        let last = rows.peek().is_none();
        let meta = if last {
            backup.meta.encode()
        } else {
            partial(step)
        };
        step += 1;
        let checkpoint = Checkpoint {
            task,
            epoch,
            expected,
            meta: meta.clone(),
            states,
            recent: Vec::new(),
            wakes,
            outputs: Vec::new(),
        };
        lost(shared.store.commit(&checkpoint)?)?;
        if last {
            shared.metrics.emit(&Signal::StateRestored {
                task,
                subjects: backup.rows.len() as u64,
            });
            return Ok(meta);
        }
        expected = Some(meta);
    }
}

/// The meta value of a restore under way; no [`TaskMeta`] encodes to it.
fn partial(step: u64) -> Vec<u8> {
    [b"restoring".as_slice(), &step.to_be_bytes()].concat()
}

/// Whether a stored meta value was left by a restore that was cut off.
pub(super) fn is_partial(meta: &[u8]) -> bool {
    meta.starts_with(b"restoring")
}
