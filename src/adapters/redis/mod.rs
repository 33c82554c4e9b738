//! [`Store`] on Redis: one hash tag a task, every change one atomic script.
//!
//! Keys of a task, `{skyherd:<agent>:<partition>}` being its hash tag: `:meta` (hash: epoch, meta),
//! `:state` (hash: subject to value), `:wakes` (sorted set by time), `:observed` (set of subjects
//! with observations) and `:r:<subject>` (list, newest first). None of them ever expires: a
//! vanished wake or open finding would be a silent loss. How durable a commit is follows from the
//! server's own persistence; a server that forgot is seen by its epoch and meta, see
//! [`Committed::WentBack`].

mod connect;
mod error;
mod options;

use redis::{FromRedisValue, Script};

use crate::model::{Subject, Timestamp};
use crate::ports::{
    Acquired, AsOf, Checkpoint, Committed, PortError, PortResult, RECENT_CAPACITY, Store, TaskId,
    Usage,
};

pub use options::{RedisMode, RedisOptions, RedisTls};

use connect::Pool;
use error::unreadable;

/// Longest value Redis takes, in bytes (its `proto-max-bulk-len`).
pub const VALUE_BYTES_MAX: usize = 512 << 20;
/// Longest checkpoint sent as one script call, in bytes; below Redis' 1 GiB query buffer.
pub const COMMIT_BYTES_MAX: usize = 768 << 20;
/// Highest epoch: what the script's numbers carry exactly.
pub const EPOCH_MAX: u64 = 1 << 53;

/// Tasks' memory in Redis.
pub struct RedisStore {
    pool: Pool,
    prefix: String,
    capacity: usize,
    clustered: bool,
    acquire: Script,
    load: Script,
    list: Script,
    commit: Script,
    wipe: Script,
}

impl RedisStore {
    /// Connects and checks that this Redis may be trusted with state.
    ///
    /// `Transient` when it cannot be reached, `Fatal` when it refuses us or may evict keys.
    pub fn open(options: RedisOptions) -> PortResult<Self> {
        let prefix = options.prefix.clone();
        let capacity = options.recent_capacity.max(1);
        let clustered = options.mode == RedisMode::Cluster;
        let store = Self {
            pool: Pool::new(options)?,
            prefix,
            capacity,
            clustered,
            acquire: Script::new(include_str!("acquire.lua")),
            load: Script::new(include_str!("load.lua")),
            list: Script::new(include_str!("list.lua")),
            commit: Script::new(include_str!("commit.lua")),
            wipe: Script::new(include_str!("wipe.lua")),
        };
        store.pool.run("reach", |connection| {
            redis::cmd("PING").query::<redis::Value>(connection)
        })?;
        Ok(store)
    }

    /// How full the server is. Of a cluster nothing is said: one node's answer is not the whole.
    pub fn usage(&self) -> PortResult<Option<Usage>> {
        if self.clustered {
            return Ok(None);
        }
        let text: String = self.pool.run("ask the memory of", |connection| {
            redis::cmd("INFO").arg("memory").query(connection)
        })?;
        Ok(usage(&text))
    }

    fn key(&self, task: TaskId, part: &str) -> String {
        format!(
            "{{{}:{}:{}}}:{part}",
            self.prefix, task.agent, task.partition
        )
    }

    fn list(&self, task: TaskId, subject: &str) -> String {
        format!("{}{subject}", self.key(task, "r:"))
    }

    fn read_epoch(&self, task: TaskId, text: &str) -> PortResult<u64> {
        text.parse()
            .map_err(|_| unreadable(&self.key(task, "meta"), "its epoch is no number"))
    }

    fn as_of<T>(
        &self,
        task: TaskId,
        (epoch, meta, value): (Option<String>, Option<Vec<u8>>, T),
    ) -> PortResult<AsOf<T>> {
        let epoch = epoch.map_or(Ok(0), |text| self.read_epoch(task, &text))?;
        Ok(AsOf { epoch, meta, value })
    }

    /// The commit script's keys and arguments, in the order `commit.lua` reads them.
    fn commit_call(&self, checkpoint: &Checkpoint) -> redis::ScriptInvocation<'_> {
        let task = checkpoint.task;
        let mut call = self.commit.prepare_invoke();
        for part in ["meta", "state", "wakes", "observed"] {
            call.key(self.key(task, part));
        }
        call.arg(checkpoint.epoch)
            .arg(u8::from(checkpoint.expected.is_some()))
            .arg(checkpoint.expected.as_deref().unwrap_or_default())
            .arg(&checkpoint.meta[..])
            .arg(self.capacity)
            .arg(checkpoint.recent.len())
            .arg(checkpoint.states.len())
            .arg(checkpoint.wakes.len());
        for (subject, values) in &checkpoint.recent {
            call.key(self.list(task, subject.as_str()));
            let kept = &values[values.len().saturating_sub(self.capacity)..];
            call.arg(subject.as_str()).arg(kept.len());
            for value in kept {
                call.arg(&value[..]);
            }
        }
        for (subject, value) in &checkpoint.states {
            if value.is_none() {
                call.key(self.list(task, subject.as_str()));
            }
            call.arg(subject.as_str())
                .arg(u8::from(value.is_some()))
                .arg(value.as_deref().unwrap_or_default());
        }
        for (subject, at) in &checkpoint.wakes {
            call.arg(subject.as_str())
                .arg(u8::from(at.is_some()))
                .arg(at.map_or(0, Timestamp::ms));
        }
        call
    }
}

impl Store for RedisStore {
    fn acquire(&self, task: TaskId, epoch_min: u64) -> PortResult<Acquired> {
        check_epoch(epoch_min)?;
        let mut call = self.acquire.prepare_invoke();
        call.key(self.key(task, "meta"))
            .key(self.key(task, "wakes"))
            .arg(epoch_min);
        let (epoch, meta, wakes): (String, Option<Vec<u8>>, Vec<(String, f64)>) =
            self.pool.run("acquire a task in", |connection| {
                let (epoch, meta, flat): (String, Option<Vec<u8>>, redis::Value) =
                    call.invoke(connection)?;
                Ok((epoch, meta, FromRedisValue::from_redis_value(flat)?))
            })?;
        let epoch = self.read_epoch(task, &epoch)?;
        check_epoch(epoch)?;
        Ok(Acquired {
            epoch,
            meta,
            wakes: wakes
                .into_iter()
                .map(|(subject, at)| Ok((Timestamp::from_ms(at as i64), read_subject(&subject)?)))
                .collect::<PortResult<_>>()?,
        })
    }

    fn load(&self, task: TaskId, subjects: &[Subject]) -> PortResult<AsOf<Vec<Option<Vec<u8>>>>> {
        let mut call = self.load.prepare_invoke();
        call.key(self.key(task, "meta"))
            .key(self.key(task, "state"));
        for subject in subjects {
            call.arg(subject.as_str());
        }
        let answer = self
            .pool
            .run("load states from", |connection| call.invoke(connection))?;
        self.as_of(task, answer)
    }

    fn commit(&self, checkpoint: &Checkpoint) -> PortResult<Committed> {
        if !checkpoint.outputs.is_empty() {
            return Err(PortError::Fatal(
                "a checkpoint for Redis carries outputs; they belong to the log's appender".into(),
            ));
        }
        check_epoch(checkpoint.epoch)?;
        check_sizes(checkpoint)?;
        let call = self.commit_call(checkpoint);
        let answer = self.pool.run("write a checkpoint to", |connection| {
            call.invoke::<String>(connection)
        })?;
        committed(&answer)
    }

    fn recent(&self, task: TaskId, subject: &Subject, n: usize) -> PortResult<Vec<Vec<u8>>> {
        let Some(last) = n.min(self.capacity).checked_sub(1) else {
            return Ok(Vec::new());
        };
        let mut command = redis::cmd("LRANGE");
        command
            .arg(self.list(task, subject.as_str()))
            .arg(0)
            .arg(last);
        self.pool.run("read observations from", |connection| {
            command.query(connection)
        })
    }

    fn wipe(&self, task: TaskId, epoch: u64) -> PortResult<Committed> {
        let mut call = self.wipe.prepare_invoke();
        for part in ["meta", "state", "wakes", "observed"] {
            call.key(self.key(task, part));
        }
        call.arg(epoch).arg(self.list(task, ""));
        let answer = self.pool.run("wipe a task in", |connection| {
            call.invoke::<String>(connection)
        })?;
        committed(&answer)
    }

    fn subjects(
        &self,
        task: TaskId,
        after: Option<&Subject>,
        limit: usize,
    ) -> PortResult<AsOf<Vec<Subject>>> {
        let mut call = self.list.prepare_invoke();
        call.key(self.key(task, "meta"))
            .key(self.key(task, "state"));
        let answer = self
            .pool
            .run("list subjects of", |connection| call.invoke(connection))?;
        let AsOf {
            epoch,
            meta,
            value: mut names,
        } = self.as_of::<Vec<String>>(task, answer)?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after.as_str()));
        names.sort_unstable();
        names.truncate(limit);
        let value = names
            .iter()
            .map(|name| read_subject(name))
            .collect::<PortResult<_>>()?;
        Ok(AsOf { epoch, meta, value })
    }
}

/// What `INFO memory` says; a `maxmemory` of 0 is no bound.
fn usage(info: &str) -> Option<Usage> {
    let number = |name: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some(Usage {
        bytes: number("used_memory:")?,
        bound: number("maxmemory:").filter(|bound| *bound > 0),
    })
}

/// Capacity of a subject's observations unless configured.
pub(crate) const CAPACITY_DEFAULT: usize = RECENT_CAPACITY;

fn committed(answer: &str) -> PortResult<Committed> {
    match answer {
        "committed" => Ok(Committed::Committed),
        "fenced" => Ok(Committed::Fenced),
        "went-back" => Ok(Committed::WentBack),
        other => Err(unreadable("a script's answer", other)),
    }
}

fn check_epoch(epoch: u64) -> PortResult<()> {
    if epoch < EPOCH_MAX {
        return Ok(());
    }
    Err(PortError::Fatal(format!(
        "epoch {epoch} is above {EPOCH_MAX}, more than Redis' scripts can count"
    )))
}

fn check_sizes(checkpoint: &Checkpoint) -> PortResult<()> {
    let mut total = checkpoint.meta.len() + checkpoint.expected.as_ref().map_or(0, Vec::len);
    let values = checkpoint
        .states
        .iter()
        .filter_map(|(subject, value)| Some((subject, value.as_ref()?)))
        .chain(
            checkpoint
                .recent
                .iter()
                .flat_map(|(subject, values)| values.iter().map(move |value| (subject, value))),
        );
    for (subject, value) in values {
        total += subject.as_str().len() + value.len();
        if value.len() > VALUE_BYTES_MAX {
            return Err(PortError::Fatal(format!(
                "the state of {subject} is {} bytes, more than the {VALUE_BYTES_MAX} Redis can hold in one value",
                value.len()
            )));
        }
    }
    if total > COMMIT_BYTES_MAX {
        return Err(PortError::Fatal(format!(
            "a checkpoint of {} is {total} bytes, more than the {COMMIT_BYTES_MAX} that fit one Redis call; checkpoint more often",
            checkpoint.task
        )));
    }
    Ok(())
}

/// The subject of that text, which we wrote, so it has three parts.
fn read_subject(text: &str) -> PortResult<Subject> {
    let mut parts = text.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(account), Some(region), Some(resource)) => {
            Ok(Subject::new(account, region, resource))
        }
        _ => Err(unreadable(text, "it is not account/region/resource")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_maxmemory_there_is_no_bound() {
        let info = "# Memory\r\nused_memory:1024\r\nmaxmemory:0\r\n";
        let expected = Usage {
            bytes: 1024,
            bound: None,
        };
        assert_eq!(usage(info), Some(expected));
        let bounded = usage("used_memory:1\r\nmaxmemory:4096\r\n").unwrap();
        assert_eq!(bounded.bound, Some(4096));
    }
}
