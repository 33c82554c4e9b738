//! Where the records of one file go, and why reading one ends early.

use std::io;
use std::path::Path;

use super::delivery::Bills;
use super::{RawRecord, ReplayError, Settled, Shape};
use crate::model::Topic;
use crate::sources::{Fate, Hints, PAYLOAD_BYTES_MAX, Part, open};

/// Where the records of one file go.
pub(super) struct Sink<'a, E> {
    pub(super) folder: &'a str,
    pub(super) file: &'a Path,
    pub(super) each: &'a mut dyn FnMut(RawRecord) -> Result<(), E>,
    pub(super) given: u64,
    pub(super) bills: &'a mut Bills,
    pub(super) hints: Hints,
}

impl<E> Sink<'_, E> {
    pub(super) fn give(
        &mut self,
        what: Shape,
        account: Option<String>,
        payload: Vec<u8>,
    ) -> Result<(), Stop<E>> {
        self.pass((what, what.topic()), account, payload, None)
    }

    pub(super) fn pass(
        &mut self,
        (what, topic): (Shape, Topic),
        account: Option<String>,
        mut payload: Vec<u8>,
        settled: Option<Settled>,
    ) -> Result<(), Stop<E>> {
        payload.truncate(PAYLOAD_BYTES_MAX);
        self.given += 1;
        (self.each)(RawRecord {
            folder: self.folder.to_owned(),
            file: self.file.to_owned(),
            topic,
            account,
            payload,
            what,
            settled,
        })
        .map_err(Stop::Caller)
    }

    /// Gives every part of something wrapped or worded otherwise.
    pub(super) fn open(&mut self, bytes: &[u8]) -> Result<(), Stop<E>> {
        for part in open(bytes, &self.hints) {
            let Part {
                what,
                payload,
                fate,
            } = part;
            let (topic, account, settled) = match fate {
                Fate::Record { topic, account } => (topic, Some(account), None),
                Fate::Ignored(why) => (what.topic(), None, Some(Settled::Ignored(why))),
                Fate::Refused(why) => (what.topic(), None, Some(Settled::Refused(why))),
            };
            self.pass((what, topic), account, payload, settled)?;
        }
        Ok(())
    }
}

/// Why reading a file ended early.
pub(super) enum Stop<E> {
    /// The file.
    Io(io::Error),
    /// Whoever takes the records.
    Caller(E),
}

impl<E: From<ReplayError>> Stop<E> {
    pub(super) fn at(self, path: &Path) -> E {
        match self {
            Self::Io(source) => E::from(ReplayError {
                path: path.to_owned(),
                source,
            }),
            Self::Caller(error) => error,
        }
    }
}

impl<E> From<io::Error> for Stop<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
