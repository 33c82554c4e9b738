//! CSV files: FOCUS exports, and `CloudWatch`'s `timestamp,value`.

use std::io::{BufRead, Cursor};

use serde::Serialize;
use serde_json::{Map, Value};

use super::stem::Series;
use super::{Form, Shape, Sink, Stop, read_line};
use crate::model::{Statistics, Timestamp};
use crate::sources::PAYLOAD_BYTES_MAX;

/// How a text file is cut, by its first line.
pub(super) fn form_of(text: &[u8]) -> Form {
    let mut header = Vec::new();
    let mut lines = Cursor::new(text);
    if read_row(&mut lines, &mut header).unwrap_or_default() {
        let columns = cells(&header).unwrap_or_default();
        let has = |name: &str| columns.iter().any(|column| column == name);
        if has("BilledCost") && has("ChargePeriodStart") {
            return Form::Focus;
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

/// Gives every row as the JSON object `aws.billing` carries; a row of another width as it stands.
pub(super) fn read_focus<E>(
    mut reader: impl BufRead,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut row = Vec::new();
    read_row(&mut reader, &mut row)?;
    let header = cells(&row).unwrap_or_default();
    row.clear();
    while read_row(&mut reader, &mut row)? {
        if !row.trim_ascii().is_empty() {
            let (account, payload) =
                focus_json(&header, &row).unwrap_or_else(|| (None, row.trim_ascii_end().to_vec()));
            sink.give(Shape::Focus, account, payload)?;
        }
        row.clear();
    }
    Ok(())
}

fn focus_json(header: &[String], row: &[u8]) -> Option<(Option<String>, Vec<u8>)> {
    let cells = cells(row).filter(|cells| cells.len() == header.len())?;
    let filled = |cell: &String| !cell.is_empty() && cell != "NULL";
    let column = |name: &str| {
        let place = header.iter().position(|column| column == name)?;
        cells.get(place).filter(|cell| filled(cell)).cloned()
    };
    let account = column("SubAccountId")
        .or_else(|| column("BillingAccountId").map(|payer| format!("org:{payer}")));
    let object: Map<String, Value> = header
        .iter()
        .zip(&cells)
        .map(|(name, cell)| {
            let value = Some(cell).filter(|cell| filled(cell)).cloned();
            (name.clone(), value.map_or(Value::Null, Value::String))
        })
        .collect();
    Some((account, serde_json::to_vec(&object).ok()?))
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
fn read_row(reader: &mut impl BufRead, row: &mut Vec<u8>) -> std::io::Result<bool> {
    let (mut any, mut quoted) = (false, false);
    loop {
        let before = row.len();
        if !read_line(reader, row)? {
            return Ok(any);
        }
        any = true;
        quoted ^= row[before..]
            .iter()
            .fold(false, |odd, byte| odd ^ (*byte == b'"'));
        if !quoted || row.len() >= PAYLOAD_BYTES_MAX {
            return Ok(true);
        }
    }
}

/// The cells of one row; `None` when it is not text or not one row.
fn cells(row: &[u8]) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(row.len().max(1))
        .from_reader(row);
    let mut rows = reader.records();
    let cells = rows.next()?.ok()?;
    if rows.next().is_some() {
        return None;
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}
