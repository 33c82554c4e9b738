//! Bills: rows of an export as the JSON objects `aws.billing` carries.

use std::io::{BufRead, Write as _};

use serde_json::Value;

use super::csv::{Cutter, read_row};
use super::{Shape, Sink, Stop};
use crate::sources::billing::{Column, is_aws};

/// Columns of FOCUS that say whose a row is, or what; a file without the column gets the word
/// behind it. Amounts and times have no such stand-in.
const STAND_INS: [(&[Column], Column, &str); 3] = [
    (
        &[Column::ProviderName, Column::PublisherName],
        Column::ProviderName,
        "AWS",
    ),
    (
        &[Column::ServiceName],
        Column::ServiceName,
        "unnamed service",
    ),
    (
        &[Column::UsageType, Column::SkuId, Column::ChargeDescription],
        Column::ChargeDescription,
        "unnamed charge",
    ),
];

/// The columns of one file.
pub(super) struct Header {
    what: Shape,
    /// Each column's name as JSON, with its colon.
    names: Vec<Vec<u8>>,
    /// Members that every row gets.
    every: Vec<u8>,
    account: Option<usize>,
    payer: Option<usize>,
    provider: Option<usize>,
    start: Option<usize>,
    period: (Option<usize>, Option<usize>),
}

/// What stands in one cell.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Missing,
    Text(&'a str),
    /// JSON already.
    Json(&'a str),
}

impl<'a> Cell<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        match text.trim() {
            "" | "NULL" | "null" => Self::Missing,
            text => Self::Text(text),
        }
    }
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Header {
    /// The columns of a bill; `None` when they are not. `owner` is the account of a FOCUS file
    /// that has no column for one.
    pub(super) fn of<S: AsRef<str>>(columns: &[S], owner: &str) -> Option<Self> {
        let what = shape(columns)?;
        let known: Vec<Option<Column>> = columns.iter().map(|name| column(name.as_ref())).collect();
        let find = |wanted: &[Column]| {
            wanted
                .iter()
                .find_map(|wanted| known.iter().position(|column| *column == Some(*wanted)))
        };
        let names = columns.iter().zip(&known).map(|(name, known)| {
            // FOCUS files are not of one mind about capitals; CUR has several names for a column.
            let name = match known {
                Some(column) if what == Shape::Focus => column.name(),
                _ => name.as_ref(),
            };
            let mut name = serde_json::to_vec(name).unwrap_or_default();
            name.push(b':');
            name
        });
        let mut every = Vec::new();
        if what == Shape::Focus {
            let account = &[Column::SubAccountId, Column::BillingAccountId][..];
            let account = (account, Column::SubAccountId, owner);
            for (any, column, word) in STAND_INS.into_iter().chain([account]) {
                if find(any).is_none() {
                    let word = Value::from(word);
                    every.extend_from_slice(format!("\"{}\":{word},", column.name()).as_bytes());
                }
            }
        }
        Some(Self {
            what,
            names: names.collect(),
            every,
            account: find(&[Column::SubAccountId, Column::Account]),
            payer: find(&[Column::BillingAccountId, Column::Payer]),
            provider: find(&[Column::ProviderName, Column::PublisherName]),
            start: find(&[
                Column::ChargePeriodStart,
                Column::UsageStart,
                Column::TimeInterval,
            ]),
            period: (
                find(&[Column::BillingPeriodStart, Column::BillPeriodStart]),
                find(&[Column::BillingPeriodEnd, Column::BillPeriodEnd]),
            ),
        })
    }

    fn columns(&self) -> usize {
        self.names.len()
    }

    /// Gives a row.
    pub(super) fn give<E>(
        &self,
        cells: &[Cell<'_>],
        owner: &str,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), Stop<E>> {
        let cell = |place: Option<usize>| cells.get(place?)?.text();
        let account = match (cell(self.account), cell(self.payer)) {
            (Some(account), _) => Some(account.to_owned()),
            (None, Some(payer)) => Some(format!("org:{payer}")),
            (None, None) if self.what == Shape::Focus => Some(owner.to_owned()),
            (None, None) => None,
        };
        let mut payload = Vec::with_capacity(ROW_BYTES);
        payload.push(b'{');
        for (name, cell) in self.names.iter().zip(cells) {
            match cell {
                Cell::Missing => continue,
                Cell::Text(text) => {
                    payload.extend_from_slice(name);
                    // Writing to a vector does not fail.
                    let _ = serde_json::to_writer(&mut payload, text);
                }
                Cell::Json(text) => {
                    payload.extend_from_slice(name);
                    payload.extend_from_slice(text.as_bytes());
                }
            }
            payload.push(b',');
        }
        payload.extend_from_slice(&self.every);
        let start = cell(self.start).unwrap_or_default();
        let start = start.split_once('/').map_or(start, |(start, _)| start);
        let period = (cell(self.period.0), cell(self.period.1));
        // What another provider bills is in no account of ours.
        let ours = cell(self.provider).is_none_or(is_aws);
        let touched = account.as_deref().filter(|_| ours);
        let place = sink.bills.row(touched, start, period);
        let row = Column::DeliveryRow.name();
        let _ = write!(payload, "\"{row}\":\"{place}\"}}");
        sink.give(self.what, account, payload)
    }
}

/// What a row's JSON takes, about.
const ROW_BYTES: usize = 2_048;

/// The column of that name, whatever its capitals.
fn column(name: &str) -> Option<Column> {
    let alike = |column: &&Column| column.name().eq_ignore_ascii_case(name);
    Column::of(name).or_else(|| Column::ALL.iter().find(alike).copied())
}

/// Whose export has such columns. One that lacks an amount is still seen for what it is, so that
/// each row says what is missing.
fn shape<S: AsRef<str>>(columns: &[S]) -> Option<Shape> {
    let begins = |start: &str| columns.iter().any(|name| name.as_ref().starts_with(start));
    let has = |column: Column| {
        let alike = |name: &S| name.as_ref().eq_ignore_ascii_case(column.name());
        columns.iter().any(alike)
    };
    if begins("lineItem/") {
        Some(Shape::Cur)
    } else if begins("line_item_") {
        Some(Shape::Cur2)
    } else if has(Column::ChargePeriodStart)
        && (has(Column::BilledCost) || has(Column::EffectiveCost))
    {
        Some(Shape::Focus)
    } else {
        None
    }
}

/// Gives every row of a CSV file; a row of another width as it stands.
pub(super) fn read_csv<E>(
    mut reader: impl BufRead,
    owner: &str,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let (mut cutter, mut row) = (Cutter::default(), Vec::new());
    read_row(&mut reader, &mut row)?;
    let names: Vec<String> = match cutter.cut(&row) {
        Some(cells) => cells.map(|cell| cell.trim().to_owned()).collect(),
        None => Vec::new(),
    };
    let Some(header) = Header::of(&names, owner) else {
        return Ok(());
    };
    sink.bills.has(sink.file);
    row.clear();
    while read_row(&mut reader, &mut row)? {
        if !row.trim_ascii().is_empty() {
            let cells = cutter.cut(&row).map(|cells| cells.map(Cell::of));
            let cells: Option<smallvec::SmallVec<[Cell<'_>; COLUMNS]>> =
                cells.map(Iterator::collect);
            match cells.filter(|cells| cells.len() == header.columns()) {
                Some(cells) => header.give(&cells, owner, sink)?,
                None => sink.give(header.what, None, row.trim_ascii_end().to_vec())?,
            }
        }
        row.clear();
    }
    Ok(())
}

/// Columns of most exports.
const COLUMNS: usize = 256;
