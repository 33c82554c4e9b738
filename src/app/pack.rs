//! Points of one account and time that stand next to each other in a file, gathered into one
//! record as a stream delivers them: the log then holds a record where the file has hundreds of lines.

use crate::model::{Message, Timestamp};
use crate::sources::replay::{RawRecord, Shape};

/// Points to a record; decoding takes 1,000.
const POINTS_MAX: usize = 400;
/// Bytes to a record; decoding takes 1 MiB.
const BYTES_MAX: usize = 256 * 1024;

/// What is gathered so far.
#[derive(Default)]
pub struct Pack {
    of: Option<(String, Timestamp)>,
    payload: Vec<u8>,
    points: usize,
}

impl Pack {
    /// Takes the record in if it is such a point and goes with those at hand.
    pub fn takes(&mut self, record: &RawRecord, message: &Message) -> bool {
        let (Shape::MetricStream, Some(account), Some(at)) =
            (record.what, &record.account, message.at())
        else {
            return false;
        };
        let same = self
            .of
            .as_ref()
            .is_none_or(|(of, when)| of == account && *when == at);
        let room =
            self.points < POINTS_MAX && self.payload.len() + record.payload.len() <= BYTES_MAX;
        if !same || !room {
            return false;
        }
        self.of.get_or_insert_with(|| (account.clone(), at));
        self.payload.extend_from_slice(&record.payload);
        self.payload.push(b'\n');
        self.points += 1;
        true
    }

    /// What is gathered, and whose.
    pub fn empty(&mut self) -> Option<(String, Vec<u8>)> {
        let (account, _) = self.of.take()?;
        self.points = 0;
        Some((account, std::mem::take(&mut self.payload)))
    }
}
