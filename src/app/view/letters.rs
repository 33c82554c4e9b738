//! Dead letters and the marks beside them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::http::{DeadLetterRow, DeadLetterStory, Encoding, Mark, MarkKind};
use crate::model::Topic;
use crate::ports::{PortResult, RecordView};
use crate::runtime::{
    HEADER_REASON, HEADER_SOURCE_OFFSET, HEADER_SOURCE_PARTITION, HEADER_SOURCE_TOPIC,
};

use super::news::{HEADER_MARK, time_of};
use crate::app::Backend;

/// Letters listed; the oldest heard of goes first.
const LETTERS_MAX: usize = 10_000;
/// Marks kept of a letter.
const MARKS_MAX: usize = 100;
/// Bytes of a payload shown in the list.
const PREVIEW_BYTES: usize = 240;

/// A dead letter as the view knows it.
#[derive(Clone, Debug)]
pub(in crate::app) struct Letter {
    pub(in crate::app) row: Arc<DeadLetterRow>,
    pub(in crate::app) marks: Vec<Mark>,
}

/// Letters by place, and the order they came in.
#[derive(Default)]
pub(super) struct Letters {
    known: BTreeMap<(u32, u64), Letter>,
    order: VecDeque<(u32, u64)>,
}

impl Letters {
    pub(super) fn take(&mut self, letter: Letter) {
        let place = (letter.row.partition, letter.row.offset);
        if self.known.insert(place, letter).is_none() {
            self.order.push_back(place);
        }
        while self.order.len() > LETTERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    pub(super) fn mark(&mut self, partition: u32, offset: u64, mark: Mark) {
        // A letter older than those listed needs no mark.
        let Some(letter) = self.known.get_mut(&(partition, offset)) else {
            return;
        };
        if mark.what == MarkKind::Replayed {
            Arc::make_mut(&mut letter.row).replays += 1;
        }
        if letter.marks.len() < MARKS_MAX {
            letter.marks.push(mark);
        }
    }

    pub(super) fn listed(&self) -> Vec<Arc<DeadLetterRow>> {
        let kept = self.known.values().filter(|letter| {
            let mut marks = letter.marks.iter();
            marks.all(|mark| mark.what != MarkKind::Dropped)
        });
        kept.map(|letter| Arc::clone(&letter.row)).collect()
    }

    pub(super) fn get(&self, partition: u32, offset: u64) -> Option<Letter> {
        self.known.get(&(partition, offset)).cloned()
    }
}

/// The letter a record of `dead-letters` is.
pub(super) fn letter_of(record: &RecordView<'_>) -> Letter {
    let text = |name: &str| {
        record
            .header(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let payload = record.payload.unwrap_or_default();
    let preview = &payload[..payload.len().min(PREVIEW_BYTES)];
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let row = DeadLetterRow {
        partition: record.partition,
        offset: record.offset,
        topic: text(HEADER_SOURCE_TOPIC).unwrap_or_default(),
        origin_partition: number(HEADER_SOURCE_PARTITION).unwrap_or_default() as u32,
        origin_offset: number(HEADER_SOURCE_OFFSET).unwrap_or_default(),
        reason: text(HEADER_REASON).unwrap_or_else(|| "not told".to_owned()),
        at: time_of(record),
        key: record
            .key
            .map(|key| String::from_utf8_lossy(key).into_owned()),
        payload_preview: String::from_utf8_lossy(preview).into_owned(),
        bytes: payload.len(),
        replays: 0,
    };
    Letter {
        row: Arc::new(row),
        marks: Vec::new(),
    }
}

/// A dead letter as it stands in the log.
pub(in crate::app) struct ReadLetter {
    pub(in crate::app) letter: Letter,
    pub(in crate::app) key: Option<Vec<u8>>,
    pub(in crate::app) payload: Option<Vec<u8>>,
    pub(in crate::app) headers: Vec<(String, Vec<u8>)>,
}

/// Reads the letter at a place; `None` when none stands there.
pub(in crate::app) fn read_letter(
    backend: &dyn Backend,
    partition: u32,
    offset: u64,
) -> PortResult<Option<ReadLetter>> {
    if partition >= backend.partitions() {
        return Ok(None);
    }
    let (start, end) = backend.bounds(Topic::DeadLetters, partition)?;
    if !(start..end).contains(&offset) {
        return Ok(None);
    }
    let mut found = None;
    backend.scan(Topic::DeadLetters, partition, offset, 1, &mut |record| {
        if record.offset == offset && record.header(HEADER_MARK).is_none() {
            found = Some(ReadLetter {
                letter: letter_of(&record),
                key: record.key.map(<[u8]>::to_vec),
                payload: record.payload.map(<[u8]>::to_vec),
                headers: record
                    .headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                    .collect(),
            });
        }
    })?;
    Ok(found)
}

impl ReadLetter {
    /// For the API, with what the view knows of it.
    pub(in crate::app) fn story(self, known: Option<Letter>) -> DeadLetterStory {
        let Letter { row, marks } = known.unwrap_or(self.letter);
        let (encoding, payload) = match self.payload.map(String::from_utf8) {
            None => (Encoding::Text, None),
            Some(Ok(text)) => (Encoding::Text, Some(text)),
            Some(Err(bytes)) => (Encoding::Base64, Some(base64(bytes.as_bytes()))),
        };
        let headers = self.headers.into_iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(&value).into_owned();
            (name, value)
        });
        DeadLetterStory {
            row,
            headers: headers.collect(),
            encoding,
            payload,
            marks,
        }
    }
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4 {
            if place <= chunk.len() {
                let sextet = (bits >> (18 - 6 * place)) & 63;
                text.push(char::from(LETTERS[sextet as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
