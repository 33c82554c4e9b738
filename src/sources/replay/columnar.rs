//! Parquet files of bills, row by row: one page of each column is in memory at a time.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use super::bills::{Cell, Header};
use super::{Sink, Stop};
use crate::model::Timestamp;

/// What such a file begins with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Nanoseconds of a millisecond.
const NANOS_OF_MS: i64 = 1_000_000;
/// Microseconds of a millisecond.
const MICROS_OF_MS: i64 = 1_000;

/// Gives every row of a bill; nothing when the columns are not a bill's.
pub(super) fn read<E>(file: File, owner: &str, sink: &mut Sink<'_, E>) -> Result<(), Stop<E>> {
    let reader = guarded(|| SerializedFileReader::new(file))?;
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    let Some(header) = Header::of(&names, owner) else {
        return Ok(());
    };
    sink.bills.has(sink.file);
    let nanoseconds: Vec<bool> = fields
        .iter()
        .map(|field| {
            let what = field.get_basic_info().logical_type_ref();
            matches!(what, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
        })
        .collect();
    for group in 0..reader.num_row_groups() {
        let group = guarded(|| reader.get_row_group(group))?;
        let mut rows = guarded(|| RowIter::from_row_group(None, &*group))?;
        while let Some(row) = guarded(|| rows.next().transpose())? {
            give(&header, &row, &nanoseconds, owner, sink)?;
        }
    }
    Ok(())
}

/// What the library makes of a file. It gives up in panics where a file contradicts itself, and a
/// file from outside must not end the process.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> io::Result<T> {
    let broken = |error: String| io::Error::new(ErrorKind::InvalidData, error);
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| broken(error.to_string())),
        Err(_) => Err(broken("its pages contradict its schema".to_owned())),
    }
}

fn give<E>(
    header: &Header,
    row: &Row,
    nanoseconds: &[bool],
    owner: &str,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let written: Vec<Written<'_>> = row
        .get_column_iter()
        .zip(nanoseconds)
        .map(|((_, field), nanoseconds)| match field {
            Field::Long(at) if *nanoseconds => Written::time(at / NANOS_OF_MS),
            field => Written::of(field),
        })
        .collect();
    let cells: Vec<Cell<'_>> = written
        .iter()
        .map(|cell| match cell {
            Written::Missing => Cell::Missing,
            Written::Borrowed(text) => Cell::of(text),
            Written::Text(text) => Cell::of(text),
            Written::Json(text) => Cell::Json(text),
        })
        .collect();
    header.give(&cells, owner, sink)
}

/// A cell as text.
enum Written<'a> {
    Missing,
    Borrowed(&'a str),
    Text(String),
    Json(String),
}

impl<'a> Written<'a> {
    fn time(at_ms: i64) -> Self {
        Self::Text(Timestamp::from_ms(at_ms).to_string())
    }

    fn of(field: &'a Field) -> Self {
        match field {
            Field::Str(text) => Self::Borrowed(text),
            // The digits a float was made from: the fewest that read back as the same.
            Field::Float(number) if number.is_finite() => Self::Text(number.to_string()),
            Field::Double(number) if number.is_finite() => Self::Text(number.to_string()),
            Field::Null | Field::Float(_) | Field::Double(_) => Self::Missing,
            Field::TimestampMillis(at) => Self::time(*at),
            Field::TimestampMicros(at) => Self::time(at / MICROS_OF_MS),
            Field::Bytes(bytes) => match bytes.as_utf8() {
                Ok(text) => Self::Borrowed(text),
                Err(_) => Self::Missing,
            },
            Field::MapInternal(_) | Field::ListInternal(_) | Field::Group(_) => match json(field) {
                Value::Object(map) if map.is_empty() => Self::Missing,
                value => Self::Json(value.to_string()),
            },
            other => Self::Text(other.to_string()),
        }
    }
}

/// A value inside a map, list or group.
fn json(field: &Field) -> Value {
    match field {
        Field::MapInternal(map) => map
            .entries()
            .iter()
            .filter_map(|(name, value)| Some((text(name)?, json(value))))
            .collect::<Map<_, _>>()
            .into(),
        Field::Group(row) => row
            .get_column_iter()
            .map(|(name, value)| (name.clone(), json(value)))
            .collect::<Map<_, _>>()
            .into(),
        Field::ListInternal(list) => list.elements().iter().map(json).collect(),
        field => text(field).map_or(Value::Null, Value::String),
    }
}

fn text(field: &Field) -> Option<String> {
    match Written::of(field) {
        Written::Borrowed(text) => Some(text.to_owned()),
        Written::Text(text) => Some(text),
        Written::Missing | Written::Json(_) => None,
    }
}
