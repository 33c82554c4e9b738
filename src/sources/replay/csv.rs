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
    }
    Form::None
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
