//! JSON files: one value, several after one another, an array of them, or one a line.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Shape, Sink, Stop, keep, read_line};
use crate::model::Topic;
use crate::sources::{Decoded, decode};

/// Whether the text has one value a line: one of its first two lines is a whole object.
pub(super) fn is_lines(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut filled = lines
        .by_ref()
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    filled
        .by_ref()
        .take(2)
        .any(|line| line.starts_with(b"{") && is_json(line))
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Gives the values of every line; a broken line is one record and the next line goes on.
pub(super) fn read_lines<E>(
    mut reader: impl BufRead,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        if !line.trim_ascii().is_empty() {
            read_document(Cursor::new(&line), sink)?;
        }
        line.clear();
    }
    Ok(())
}

/// Gives every value; from the first broken one on, the rest is one record.
pub(super) fn read_document<E>(
    reader: impl BufRead,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut splitter = Splitter {
        reader,
        in_array: false,
        wrapped: false,
        seen: Vec::new(),
    };
    loop {
        match splitter.next()? {
            Piece::Value(bytes) => {
                let (what, account) = recognise(&bytes);
                match what {
                    Shape::Unrecognised => sink.open(&bytes)?,
                    Shape::BillManifest => {
                        sink.bills.expect(&bytes);
                        sink.give(what, account, bytes)?;
                    }
                    _ => sink.give(what, account, bytes)?,
                }
            }
            Piece::Broken(bytes) => return sink.give(Shape::Unrecognised, None, bytes),
            Piece::End => return Ok(()),
        }
    }
}

/// What a log file of CloudTrail is: one object with one list.
const RECORDS: &str = "Records";

/// Where the list begins in a text that begins as such an object does.
pub(super) fn records_at(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let name = format!("\"{RECORDS}\"");
    for token in ["{", &name, ":", "["] {
        let rest = text[at..].trim_ascii_start();
        if !rest.starts_with(token.as_bytes()) {
            return None;
        }
        at = text.len() - rest.len() + token.len();
    }
    Some(at)
}

/// Gives every record of one object's list by itself, however long the list is. `list` is where it
/// begins.
pub(super) fn read_records<E>(
    mut reader: impl BufRead,
    list: usize,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    std::io::copy(&mut reader.by_ref().take(list as u64), &mut std::io::sink())?;
    let mut splitter = Splitter {
        reader,
        in_array: true,
        wrapped: true,
        seen: Vec::new(),
    };
    loop {
        match splitter.next()? {
            Piece::Value(record) => {
                let head = format!("{{\"{RECORDS}\":[");
                sink.open(&[head.as_bytes(), &record, b"]}"].concat())?;
            }
            Piece::Broken(bytes) => return sink.give(Shape::Unrecognised, None, bytes),
            Piece::End => return Ok(()),
        }
    }
}

/// Cuts a stream into its top-level values, or the elements of a top-level array.
struct Splitter<R> {
    reader: R,
    in_array: bool,
    /// Whether the array stands in an object, which ends after it.
    wrapped: bool,
    /// Everything since the last value given, so that what is broken is given as it stands.
    seen: Vec<u8>,
}

enum Piece {
    Value(Vec<u8>),
    Broken(Vec<u8>),
    End,
}

impl<R: BufRead> Splitter<R> {
    fn next(&mut self) -> std::io::Result<Piece> {
        loop {
            let Some(byte) = self.byte()? else {
                let rest = std::mem::take(&mut self.seen);
                let blank = rest
                    .iter()
                    .all(|byte| byte.is_ascii_whitespace() || matches!(byte, b']' | b'}'));
                return Ok(if blank {
                    Piece::End
                } else {
                    Piece::Broken(rest)
                });
            };
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b',' if self.in_array => {}
                b']' if self.in_array => self.in_array = false,
                b'}' if self.wrapped && !self.in_array => self.wrapped = false,
                b'[' if !self.in_array => self.in_array = true,
                b'{' | b'[' => {
                    let start = self.seen.len() - 1;
                    let whole = self.nested()?;
                    return self.piece(start, whole);
                }
                _ => return self.rest(),
            }
        }
    }

    /// Reads to the end of the object or array just begun; `false` when the input ends first.
    fn nested(&mut self) -> std::io::Result<bool> {
        let (mut depth, mut in_text, mut escaped) = (1_usize, false, false);
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let mut taken = 0;
            for byte in bytes {
                taken += 1;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    _ if in_text => {}
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            keep(&mut self.seen, &bytes[..taken]);
            self.reader.consume(taken);
            if depth == 0 {
                return Ok(true);
            }
        }
    }

    fn piece(&mut self, start: usize, whole: bool) -> std::io::Result<Piece> {
        // A value over the limit was cut, is no JSON any more, and is refused whole.
        if whole && self.seen.get(start..).is_some_and(is_json) {
            let value = self.seen.split_off(start);
            self.seen.clear();
            return Ok(Piece::Value(value));
        }
        self.rest()
    }

    fn rest(&mut self) -> std::io::Result<Piece> {
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(Piece::Broken(std::mem::take(&mut self.seen)));
            }
            keep(&mut self.seen, bytes);
            let taken = bytes.len();
            self.reader.consume(taken);
        }
    }

    fn byte(&mut self) -> std::io::Result<Option<u8>> {
        let Some(byte) = self.reader.fill_buf()?.first().copied() else {
            return Ok(None);
        };
        self.reader.consume(1);
        // Blanks alone may outgrow the limit: they are kept only while they fit.
        keep(&mut self.seen, &[byte]);
        Ok(Some(byte))
    }
}

/// The fields that tell the shapes apart, and the account each keeps elsewhere.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
    detail: Option<IgnoredAny>,
    metric_name: Option<IgnoredAny>,
    item: Option<IgnoredAny>,
    #[serde(rename = "reportKeys", alias = "dataFiles")]
    report_keys: Option<IgnoredAny>,
    #[serde(rename = "BilledCost")]
    billed_cost: Option<IgnoredAny>,
    #[serde(borrow)]
    account: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "SubAccountId")]
    sub_account: Option<&'a RawValue>,
}

/// What one value is, and whose.
fn recognise(bytes: &[u8]) -> (Shape, Option<String>) {
    let Ok(probe) = serde_json::from_slice::<Probe<'_>>(bytes) else {
        return (Shape::Unrecognised, None);
    };
    if probe.metric_name.is_some() {
        (Shape::MetricStream, probe.account_id.and_then(text))
    } else if probe.detail_type.is_some() && probe.detail.is_some() {
        // The event's owner may stand deep in its detail: decoding knows where.
        let owner = owner(bytes).or_else(|| probe.account.and_then(text));
        (Shape::Eventbridge, owner)
    } else if probe.item.is_some() {
        (Shape::Inventory, probe.account.and_then(text))
    } else if probe.billed_cost.is_some() {
        (Shape::Focus, probe.sub_account.and_then(text))
    } else if probe.report_keys.is_some() {
        (Shape::BillManifest, None)
    } else {
        (Shape::Unrecognised, None)
    }
}

fn owner(event: &[u8]) -> Option<String> {
    match decode(Topic::AwsEvents, None, Some(event)) {
        Ok(Decoded::Message(message)) => Some(message.account().to_owned()),
        _ => None,
    }
}

fn text(raw: &RawValue) -> Option<String> {
    let text: Cow<'_, str> = serde_json::from_str(raw.get()).ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}
