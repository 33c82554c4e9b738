//! Backups of task memory to the compacted `memory` topic, and the way back.
//!
//! A backup copies what one checkpoint stored: a row per changed subject and then a marker with the task's meta value; all carry
//! the checkpoint's lineage and generation. A restore takes, per subject, the newest row of the
//! newest marker's lineage that is not newer than that marker: rows of a backup that was cut off, of
//! a zombie, or of a time that was lost with the memory do not count. The topic keeps superseded
//! rows for a day (`min.compaction.lag.ms`), so the row before is still there then.

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
/// Bytes before a row's state: lineage, generation, wake (`i64::MIN` for none). Before a marker's
/// meta value: lineage, generation, epoch.
const HEADER_BYTES: usize = 24;

/// The key of a task's rows in the `memory` topic: the marker's, or a subject's.
pub fn backup_key(task: TaskId, subject: Option<&Subject>) -> String {
    subject.map_or_else(|| task.to_string(), |subject| format!("{task}/{subject}"))
}

/// A backup under way: it copies what the store holds as of one checkpoint, so the next
/// checkpoint waits until it is through.
#[derive(Debug)]
pub(super) struct Run {
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
    let marker = headed(&run.meta, task.epoch, run.meta.encode());
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
        let payload = headed(&run.meta, wake as u64, state);
        task.outputs.push_back(row(task.id, Some(subject), payload));
        run.copied += 1;
    }
    Ok(())
}

fn headed(meta: &TaskMeta, word: u64, body: Vec<u8>) -> Vec<u8> {
    let mut payload = Vec::with_capacity(HEADER_BYTES + body.len());
    for word in [meta.lineage, meta.generation, word] {
        payload.extend_from_slice(&word.to_be_bytes());
    }
    payload.extend(body);
    payload
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
    /// Lineage and generation of the checkpoint it copies.
    age: (u64, u64),
    wake: Option<Timestamp>,
    state: Vec<u8>,
}

/// Reads the newest complete backup of a task; `None` when there is none.
pub(super) fn read(log: &mut dyn Log, task: TaskId) -> PortResult<Option<Backup>> {
    let own = backup_key(task, None);
    let prefix = format!("{own}/");
    let mut newest: Option<(u64, TaskMeta)> = None;
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
        let (age, third) = ((word(0..8), word(8..16)), word(16..24));
        if key == own {
            if let Ok(meta) = TaskMeta::decode(body)
                && newest
                    .as_ref()
                    .is_none_or(|(_, known)| known.age() <= meta.age())
            {
                newest = Some((third, meta));
            }
        } else if let Some(Ok(subject)) = key.strip_prefix(&prefix).map(Subject::parse) {
            let wake = third as i64;
            let wake = (wake != i64::MIN).then(|| Timestamp::from_ms(wake));
            history.entry(subject).or_default().push(Row {
                age,
                wake,
                state: body.to_vec(),
            });
        }
    })?;
    let Some((epoch, meta)) = newest else {
        return Ok(None);
    };
    let newest = meta.age();
    let rows = history
        .into_iter()
        .filter_map(|(subject, rows)| {
            let row = rows
                .into_iter()
                .filter(|row| row.age.0 == newest.0 && row.age <= newest)
                .max_by_key(|row| row.age)?;
            Some((subject, row))
        })
        .collect();
    Ok(Some(Backup { epoch, meta, rows }))
}

/// Writes a backup into the (wiped) store in bounded steps.
///
/// The true meta value goes in with the last step only: a restore that is cut off is found
/// incomplete by the next owner, which begins again. A lineage begins with it, of which nothing is
/// backed up.
pub(super) fn restore<A: Agent>(
    shared: &Shared<A>,
    task: TaskId,
    epoch: u64,
    backup: &Backup,
) -> PortResult<()> {
    let lost = |committed: Committed| match committed {
        Committed::Committed => Ok(()),
        other => Err(PortError::Lost(format!(
            "{task}: the restore was overtaken ({other:?})"
        ))),
    };
    lost(shared.store.wipe(task, epoch)?)?;
    let meta = TaskMeta {
        lineage: epoch,
        unbacked: true,
        ..backup.meta.clone()
    };
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
        let meta = if last { meta.encode() } else { partial(step) };
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
            return Ok(());
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
