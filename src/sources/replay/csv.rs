//! CSV files: how they are cut into rows and cells, and `CloudWatch`'s `timestamp,value`.

use std::io::{BufRead, Cursor};

use serde::Serialize;
use serde_json::{Map, Value};

use super::bills::Header;
use super::stem::Series;
use super::{Form, Shape, Sink, Stop, read_line};
use crate::model::{Statistics, Timestamp};
use crate::sources::PAYLOAD_BYTES_MAX;

/// How a text file is cut, by its first line.
pub(super) fn form_of(text: &[u8]) -> Form {
    let mut header = Vec::new();
    let mut lines = Cursor::new(text);
    if read_row(&mut lines, &mut header).unwrap_or_default() {
        let mut cutter = Cutter::default();
        let cells = cutter.cut(&header);
        let columns: Vec<&str> = cells.into_iter().flatten().map(str::trim).collect();
        if Header::of(&columns, "").is_some() {
            return Form::Bill;
        }
        if columns == ["timestamp", "value"] {
            return Form::Metric;
        }
        if header.starts_with(TRACE_HEAD) {
            return Form::VmTrace;
        }
    }
    Form::None
}

/// What the header of a Bitbrains trace of virtual machines begins with.
const TRACE_HEAD: &[u8] = b"Timestamp [ms];";

/// Gives every row as one record of points, a point a column; a row of another width as it stands.
pub(super) fn read_trace<E>(
    mut reader: impl BufRead,
    series: &Series,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut line = Vec::new();
    read_line(&mut reader, &mut line)?;
    let header = String::from_utf8_lossy(&line).into_owned();
    let names: Vec<(String, &str)> = header.split(';').skip(1).map(column).collect();
    line.clear();
    while read_line(&mut reader, &mut line)? {
        let text = line.trim_ascii();
        if !text.is_empty() {
            let payload = trace_json(series, &names, text).unwrap_or_else(|| text.to_vec());
            sink.give(Shape::VmTrace, Some(series.account.clone()), payload)?;
        }
        line.clear();
    }
    Ok(())
}

/// `Disk read throughput [KB/s]` → `DiskReadThroughput` in kilobytes a second. The share of the
/// processor has the name CloudWatch gives it, and so the rules know it.
fn column(title: &str) -> (String, &'static str) {
    let title = title.trim();
    let (words, unit) = title.split_once('[').unwrap_or((title, ""));
    let unit = match unit.trim_end_matches(']') {
        "%" => return ("CPUUtilization".into(), "Percent"),
        "KB" => "Kilobytes",
        "KB/s" => "Kilobytes/Second",
        _ => "None",
    };
    let words = words.split_whitespace().map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    (words.collect(), unit)
}

fn trace_json(series: &Series, names: &[(String, &str)], line: &[u8]) -> Option<Vec<u8>> {
    let mut cells = std::str::from_utf8(line).ok()?.split(';').map(str::trim);
    // Seconds, whatever the header says.
    let seconds: i64 = cells.next()?.parse().ok()?;
    let mut payload = Vec::new();
    let mut read = 0;
    for (name, unit) in names {
        let value: f64 = cells.next()?.parse().ok()?;
        if !value.is_finite() {
            return None;
        }
        let point = Point {
            metric_stream_name: "replay",
            account_id: &series.account,
            region: &series.region,
            namespace: &series.namespace,
            metric_name: name,
            dimensions: &series.dimensions,
            timestamp: seconds.checked_mul(Timestamp::SECOND)?,
            value: Statistics::of(value),
            unit,
        };
        serde_json::to_writer(&mut payload, &point).ok()?;
        payload.push(b'\n');
        read += 1;
    }
    (read > 0 && cells.next().is_none()).then_some(payload)
}

/// One data point, as a metric stream would send it.
#[derive(Serialize)]
struct Point<'a> {
    metric_stream_name: &'static str,
    account_id: &'a str,
    region: &'a str,
    namespace: &'a str,
    metric_name: &'a str,
    dimensions: &'a Map<String, Value>,
    timestamp: i64,
    value: Statistics,
    unit: &'a str,
}

/// Gives every row as one point of `series`; a row without a time or a number as it stands.
pub(super) fn read_metric<E>(
    mut reader: impl BufRead,
    series: &Series,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut line = Vec::new();
    read_line(&mut reader, &mut line)?;
    line.clear();
    while read_line(&mut reader, &mut line)? {
        let text = line.trim_ascii();
        if !text.is_empty() {
            let payload = metric_json(series, text).unwrap_or_else(|| text.to_vec());
            sink.give(Shape::MetricCsv, Some(series.account.clone()), payload)?;
        }
        line.clear();
    }
    Ok(())
}

fn metric_json(series: &Series, line: &[u8]) -> Option<Vec<u8>> {
    let (at, value) = std::str::from_utf8(line).ok()?.split_once(',')?;
    let value: f64 = value.trim().parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    serde_json::to_vec(&Point {
        metric_stream_name: "replay",
        account_id: &series.account,
        region: &series.region,
        namespace: &series.namespace,
        metric_name: &series.name,
        dimensions: &series.dimensions,
        timestamp: Timestamp::parse(at).ok()?.ms(),
        value: Statistics::of(value),
        unit: series.unit,
    })
    .ok()
}

/// Reads one row, over the line ends inside its quotes. `false` at the end of the input.
pub(super) fn read_row(reader: &mut impl BufRead, row: &mut Vec<u8>) -> std::io::Result<bool> {
    let (mut any, mut quoted) = (false, false);
    loop {
        let before = row.len();
        if !read_line(reader, row)? {
            return Ok(any);
        }
        any = true;
        quoted ^= memchr::memchr_iter(b'"', &row[before..]).count() % 2 == 1;
        if !quoted || row.len() >= PAYLOAD_BYTES_MAX {
            return Ok(true);
        }
    }
}

/// Cuts rows into cells, into room that is used again.
pub(super) struct Cutter {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            // The reader's own default has no tables to read by.
            reader: csv_core::Reader::new(),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl Cutter {
    /// The cells of one row; `None` when it is not text or not one row.
    pub(super) fn cut(&mut self, row: &[u8]) -> Option<impl Iterator<Item = &str>> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        self.reader.reset();
        // Cells hold no more bytes than the row, nor more ends than it has separators.
        self.text.resize(row.len().max(self.text.len()), 0);
        let (mut read, mut written, mut cells) = (0, 0, 0);
        loop {
            let (result, taken, put, ended) = self.reader.read_record(
                &row[read..],
                &mut self.text[written..],
                &mut self.ends[cells..],
            );
            read += taken;
            written += put;
            cells += ended;
            match result {
                // Called again with nothing left, it ends the row.
                InputEmpty => {}
                OutputFull => self.text.resize(self.text.len() * 2 + 1, 0),
                OutputEndsFull => self.ends.resize(self.ends.len() * 2 + 16, 0),
                Record => break,
                End => return None,
            }
        }
        if !row[read..].trim_ascii().is_empty() {
            return None;
        }
        let text = std::str::from_utf8(&self.text[..written]).ok()?;
        let mut from = 0;
        let ends = self.ends[..cells].iter();
        let whole = ends.clone().all(|end| text.is_char_boundary(*end));
        whole.then(|| {
            ends.map(move |end| {
                let cell = &text[from..*end];
                from = *end;
                cell
            })
        })
    }
}
