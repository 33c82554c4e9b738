//! Records of files on their way into the log, batch by batch; each is durable before the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::{PUBLISH_REST, PUBLISH_TRIES, Shared};
use super::Trouble;
use crate::app::address;
use crate::app::pack::Pack;
use crate::model::Topic;
use crate::ports::{Outgoing, PortError};
use crate::sources::replay::{RawRecord, ReplayError, Settled};
use crate::sources::{Decoded, Shape, decode};
use crate::telemetry::Signal;

/// Records of one batch.
const BATCH_RECORDS: usize = 1_000;
/// Bytes of one batch, about.
const BATCH_BYTES: usize = 4 * 1_024 * 1_024;
/// Records between two lines about how far a file is.
const TOLD_EVERY: u64 = 100_000;
/// How often a log that is away is looked whether the process is to stop.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// What was read and is published.
pub(super) struct Desk {
    shared: Arc<Shared>,
    place: String,
    batch: Vec<Outgoing>,
    bytes: usize,
    pack: Pack,
    /// Records published.
    pub(super) published: u64,
    told: u64,
}

impl From<ReplayError> for Trouble {
    fn from(error: ReplayError) -> Self {
        Self::File(error.source.to_string())
    }
}

impl Desk {
    pub(super) fn new(shared: &Arc<Shared>, place: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            place: place.to_owned(),
            batch: Vec::new(),
            bytes: 0,
            pack: Pack::default(),
            published: 0,
            told: 0,
        }
    }

    /// Takes a record; what is of no kind of ours is not published, as a replay does not.
    pub(super) fn take(&mut self, record: &RawRecord) -> Result<(), Trouble> {
        if matches!(record.settled, Some(Settled::Ignored(_))) {
            return Ok(());
        }
        if record.what == Shape::MetricStream {
            let key = record.account.as_deref().map(str::as_bytes);
            if let Ok(Decoded::Message(message)) = decode(record.topic, key, Some(&record.payload))
            {
                if self.pack.takes(record, &message) {
                    return Ok(());
                }
                self.unpack()?;
                // The first of the next gathering always fits, unless it is too long for any.
                if self.pack.takes(record, &message) {
                    return Ok(());
                }
            }
        }
        self.unpack()?;
        self.push(record.topic, record.account.as_deref(), &record.payload)
    }

    fn unpack(&mut self) -> Result<(), Trouble> {
        match self.pack.empty() {
            Some((account, payload)) => self.push(Topic::AwsMetrics, Some(&account), &payload),
            None => Ok(()),
        }
    }

    fn push(&mut self, topic: Topic, account: Option<&str>, payload: &[u8]) -> Result<(), Trouble> {
        let now = self.shared.now().ms();
        let partitions = self.shared.backend().partitions();
        self.batch
            .push(address(topic, account, payload, partitions, now));
        self.bytes += payload.len();
        if self.batch.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES {
            self.send()
        } else {
            Ok(())
        }
    }

    /// Publishes everything at hand; returns once it is durable.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        self.unpack()?;
        self.send()
    }

    fn send(&mut self) -> Result<(), Trouble> {
        if self.batch.is_empty() {
            return Ok(());
        }
        publish(&self.shared, &self.batch)?;
        let count = self.batch.len() as u64;
        self.batch.clear();
        self.bytes = 0;
        self.published += count;
        self.shared
            .handle
            .board
            .more(&super::row(&self.place), count);
        if self.published - self.told >= TOLD_EVERY {
            self.told = self.published;
            self.shared.handle.metrics.emit(&Signal::SourceProgress {
                source: super::SOURCE,
                place: &self.place,
                records: self.published,
            });
        }
        Ok(())
    }
}

/// Appends records; a log that is away is waited for, until the process is to stop.
pub(super) fn publish(shared: &Shared, records: &[Outgoing]) -> Result<(), Trouble> {
    for tried in 1.. {
        if shared.stop.load(Ordering::Acquire) {
            return Err(Trouble::Stopped);
        }
        match shared.backend().publish(records) {
            Ok(()) => return Ok(()),
            Err(PortError::Transient(_)) if tried < PUBLISH_TRIES => {}
            Err(error) => return Err(Trouble::Log(error)),
        }
        let looks = PUBLISH_REST.as_millis() / STOP_LOOK.as_millis();
        for _ in 0..looks {
            if shared.stop.load(Ordering::Acquire) {
                return Err(Trouble::Stopped);
            }
            std::thread::sleep(STOP_LOOK);
        }
    }
    Err(Trouble::Stopped)
}
