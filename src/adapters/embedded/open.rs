//! Opening a data directory: who may, and whether it fits.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::{Condvar, Mutex};

use super::codec::{self, Mark};
use super::{Bounds, Embedded, EmbeddedOptions, Inner, JOURNAL_BYTES_MAX, MEMTABLE_BYTES};
use crate::model::{AgentName, Topic};
use crate::ports::{PortError, TaskId};

/// The layout this version writes.
const FORMAT: u32 = 1;
/// Kafka's own order of magnitude; more would only cost memory.
const PARTITIONS_MAX: u32 = 4_096;
const FORMAT_KEY: &str = "format";
const PARTITIONS_KEY: &str = "partitions";
const LOCK_FILE: &str = "skyherd.lock";

/// Why a data directory was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it.
    #[error(
        "the data directory {} is in use by process {process}; stop that process, or give this one another directory",
        dir.display()
    )]
    InUse {
        /// Which directory.
        dir: PathBuf,
        /// The process that wrote its number last, `?` when unknown.
        process: String,
    },
    /// Made with another number of partitions.
    #[error(
        "the data directory {} has {stored} partitions a topic, not {asked}; the number is fixed for its life: set partitions = {stored}, or start with a new directory and replay into it",
        dir.display()
    )]
    Partitions {
        /// Which directory.
        dir: PathBuf,
        /// As created.
        stored: u32,
        /// As configured.
        asked: u32,
    },
    /// Not a number of partitions.
    #[error("partitions = {0} is not possible; choose 1 to {PARTITIONS_MAX}")]
    PartitionsRange(u32),
    /// Written by a newer version.
    #[error(
        "the data directory {} has layout {stored}, this version knows up to {FORMAT}; run the version of skyherd that wrote it or a newer one",
        dir.display()
    )]
    Newer {
        /// Which directory.
        dir: PathBuf,
        /// Its layout.
        stored: u32,
    },
    /// The directory's content is not ours, or is damaged.
    #[error("the data directory {} holds an unreadable {what}; restore it from a copy", dir.display())]
    Damaged {
        /// Which directory.
        dir: PathBuf,
        /// What could not be read.
        what: String,
    },
    /// The file system refused.
    #[error("the data directory {}: {what}: {source}; see that it exists, is writable and has room", dir.display())]
    Io {
        /// Which directory.
        dir: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the data directory {} cannot be opened: {source}; see that it is writable and has room, or restore it from a copy", dir.display())]
    Database {
        /// Which directory.
        dir: PathBuf,
        /// Why not.
        source: fjall::Error,
    },
}

impl From<OpenError> for PortError {
    fn from(error: OpenError) -> Self {
        Self::Fatal(error.to_string())
    }
}

impl Embedded {
    /// Opens `dir`, creating it when there is nothing. Everything acknowledged before the last
    /// process ended, however it ended, is there.
    pub fn open(dir: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        if !(1..=PARTITIONS_MAX).contains(&options.partitions) {
            return Err(OpenError::PartitionsRange(options.partitions));
        }
        let lock = lock(dir)?;
        let failed = |source| match source {
            fjall::Error::Locked => OpenError::InUse {
                dir: dir.to_owned(),
                process: "?".into(),
            },
            fjall::Error::InvalidVersion(stored) => OpenError::Newer {
                dir: dir.to_owned(),
                stored: stored.map_or(u32::MAX, |version| u32::from(u8::from(version))),
            },
            source => OpenError::Database {
                dir: dir.to_owned(),
                source,
            },
        };
        let db = Database::builder(dir.join("db"))
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .open()
            .map_err(failed)?;
        let keyspace = |name| {
            db.keyspace(name, || {
                KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
            })
        };
        let meta = keyspace("meta").map_err(failed)?;
        check_meta(dir, &db, &meta, options.partitions)?;
        let records = keyspace("records").map_err(failed)?;
        let marks = keyspace("marks").map_err(failed)?;
        let tasks = keyspace("tasks").map_err(failed)?;
        let embedded = Inner {
            rows: read_rows(dir, &tasks, options.partitions)?,
            bounds: read_bounds(dir, &records, &marks, options.partitions)?,
            states: keyspace("states").map_err(failed)?,
            wakes: keyspace("wakes").map_err(failed)?,
            recents: keyspace("recents").map_err(failed)?,
            records,
            marks,
            tasks,
            db,
            dir: dir.to_owned(),
            options,
            writing: Mutex::new(()),
            removing: Mutex::new(()),
            appended: Mutex::new(0),
            appended_signal: Condvar::new(),
            syncs: super::syncs::Syncs::default(),
            _lock: lock,
        };
        Ok(Self(Arc::new(embedded)))
    }
}

/// Takes the directory for this process; the operating system frees it however we end.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let failed = |what| {
        move |source| OpenError::Io {
            dir: dir.to_owned(),
            what,
            source,
        }
    };
    std::fs::create_dir_all(dir).map_err(failed("creating it"))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK_FILE))
        .map_err(failed("opening its lock file"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let known = file.read_to_string(&mut process).is_ok() && !process.trim().is_empty();
            return Err(OpenError::InUse {
                dir: dir.to_owned(),
                process: if known { process.trim() } else { "?" }.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed("locking it")(source)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(failed("writing its lock file"))?;
    Ok(file)
}

/// Compares the stored layout and number of partitions, or stores them in a new directory.
fn check_meta(dir: &Path, db: &Database, meta: &Keyspace, asked: u32) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database {
        dir: dir.to_owned(),
        source,
    };
    let number = |name: &str| -> Result<Option<u32>, OpenError> {
        let Some(value) = meta.get(name).map_err(failed)? else {
            return Ok(None);
        };
        let bytes = <[u8; 4]>::try_from(&*value).map_err(|_| OpenError::Damaged {
            dir: dir.to_owned(),
            what: format!("number of {name}"),
        })?;
        Ok(Some(u32::from_be_bytes(bytes)))
    };
    let (Some(format), Some(stored)) = (number(FORMAT_KEY)?, number(PARTITIONS_KEY)?) else {
        let mut batch = db.batch();
        batch.insert(meta, FORMAT_KEY, FORMAT.to_be_bytes());
        batch.insert(meta, PARTITIONS_KEY, asked.to_be_bytes());
        return batch.commit().map_err(failed);
    };
    if format > FORMAT {
        return Err(OpenError::Newer {
            dir: dir.to_owned(),
            stored: format,
        });
    }
    if stored != asked {
        return Err(OpenError::Partitions {
            dir: dir.to_owned(),
            stored,
            asked,
        });
    }
    Ok(())
}

fn read_rows(
    dir: &Path,
    tasks: &Keyspace,
    partitions: u32,
) -> Result<Vec<Mutex<codec::TaskRow>>, OpenError> {
    let mut rows = Vec::new();
    for agent in AgentName::ALL {
        for partition in 0..partitions {
            let task = TaskId { agent, partition };
            let value = tasks
                .get(codec::task_key(task))
                .map_err(|source| OpenError::Database {
                    dir: dir.to_owned(),
                    source,
                })?;
            let row = match value {
                None => codec::TaskRow::default(),
                Some(value) => codec::decode_task(&value).ok_or_else(|| OpenError::Damaged {
                    dir: dir.to_owned(),
                    what: format!("row of task {task}"),
                })?,
            };
            rows.push(Mutex::new(row));
        }
    }
    Ok(rows)
}

/// The end is after the last record, or after what was last removed.
fn read_bounds(
    dir: &Path,
    records: &Keyspace,
    marks: &Keyspace,
    partitions: u32,
) -> Result<Vec<Bounds>, OpenError> {
    let failed = |source| OpenError::Database {
        dir: dir.to_owned(),
        source,
    };
    let mut bounds = Vec::new();
    for topic in Topic::ALL {
        for partition in 0..partitions {
            let damaged = |what| OpenError::Damaged {
                dir: dir.to_owned(),
                what: format!("{what} of {topic}/{partition}"),
            };
            let prefix = codec::partition_key(topic, partition);
            let mark = match marks.get(prefix).map_err(failed)? {
                None => Mark::default(),
                Some(value) => codec::decode_mark(&value).ok_or_else(|| damaged("start"))?,
            };
            let last = match records.prefix(prefix).next_back() {
                None => None,
                Some(guard) => {
                    let key = guard.key().map_err(failed)?;
                    Some(codec::offset_of(&key).ok_or_else(|| damaged("last record"))?)
                }
            };
            let end = last.map_or(0, |offset| offset + 1).max(mark.end_floor);
            bounds.push(Bounds {
                start: mark.start.into(),
                end: end.into(),
            });
        }
    }
    Ok(bounds)
}
