//! `aws.billing`: one row of a bill as a JSON object with the export's own column names: FOCUS from
//! 1.0 on, the legacy Cost and Usage Report and CUR 2.0, all of them as one [`CostLine`].
//!
//! Amounts may be strings or numbers, read digit by digit either way. Two columns are our own:
//! `x_skyherd_row` is a row's place in a delivery, `x_skyherd_delivered` stands in the last record
//! an account is sent of one.

mod cur;
mod focus;
mod row;

use smol_str::SmolStr;

use super::subject::{Path, check_name, fact_key};
use super::{Decoded, facts, ignored, undecodable};
use crate::model::{BillingPeriod, CostLine, Delivered, Fact, FactBody, Place, Undecodable};
pub(super) use focus::is_aws;
pub(super) use row::Column;
use row::{Row, missing};

/// The columns of a period in our own records.
const PERIOD: (Column, Column) = (Column::BillingPeriodStart, Column::BillingPeriodEnd);

/// Decodes one row.
pub(super) fn decode(payload: &[u8]) -> Result<Decoded, Undecodable> {
    let row = Row::read(payload)?;
    if let Some(delivery) = row.text(Column::Delivered) {
        return delivered(&row, &delivery);
    }
    if row.has(Column::ReportKeys) {
        return Ok(ignored("manifest of a bill's delivery"));
    }
    let line = if cur::is(&row) {
        cur::line(&row)?
    } else {
        if let Some(other) = focus::other_provider(&row)? {
            return Ok(ignored(format!("provider {other}")));
        }
        focus::line(&row)?
    };
    let mut path = Path::new("cost");
    path.part(&line.service);
    path.part(&line.usage_type);
    Ok(facts([Fact {
        subject: path.subject(&line.account, &line.region),
        // The start: a month's purchase ends in the future.
        at: line.start,
        // A row told again with other amounts is a restatement, not a repetition.
        dedupe: Some(fact_key(&[
            &line.row.to_string(),
            &line.billed.amount().to_string(),
            &line.effective.amount().to_string(),
        ])),
        body: FactBody::Cost(Box::new(line)),
    }]))
}

/// The account that owns a row: the usage account, else the payer's organization.
fn account(row: &Row<'_>, used: Column, payer: Column) -> Result<SmolStr, Undecodable> {
    match (row.text(used), row.text(payer)) {
        (Some(account), _) => {
            check_name(used.name(), &account)?;
            Ok(SmolStr::new(account))
        }
        (None, Some(payer_id)) => {
            check_name(payer.name(), &payer_id)?;
            Ok(SmolStr::new(format!("org:{payer_id}")))
        }
        (None, None) => Err(missing(used.name())),
    }
}

/// The row's place in a delivery, written `delivery/number` in hexadecimal digits.
fn place(row: &Row<'_>, period: BillingPeriod) -> Result<Option<Place>, Undecodable> {
    let Some(text) = row.text(Column::DeliveryRow) else {
        return Ok(None);
    };
    let parts = text
        .split_once('/')
        .and_then(|(delivery, number)| Some((hexadecimal(delivery)?, hexadecimal(number)?)));
    let (delivery, number) = parts.ok_or_else(|| {
        undecodable(format!(
            "aws.billing: {} is {text:?}; expected two hexadecimal numbers such as 1f/2",
            Column::DeliveryRow.name()
        ))
    })?;
    Ok(Some(Place {
        period,
        delivery,
        number,
    }))
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// The record that ends a delivery for an account, or says why it does not end.
fn delivered(row: &Row<'_>, delivery: &str) -> Result<Decoded, Undecodable> {
    if let Some(why) = row.text(Column::Missing) {
        return Ok(ignored(format!("a delivery that is not whole: {why}")));
    }
    let account = account(row, Column::SubAccountId, Column::BillingAccountId)?;
    let at = row.time(Column::ChargePeriodStart)?;
    let delivery = hexadecimal(delivery).ok_or_else(|| {
        undecodable(format!(
            "aws.billing: {} is {delivery:?}; expected a hexadecimal number",
            Column::Delivered.name()
        ))
    })?;
    let period = row.period(PERIOD, at)?;
    Ok(facts([Fact {
        subject: Path::new("delivery").subject(&account, "global"),
        at,
        dedupe: Some(fact_key(&[
            "delivered",
            &delivery.to_string(),
            &at.to_string(),
        ])),
        body: FactBody::Delivered(Delivered { period, delivery }),
    }]))
}

/// A hash of every column that says what a row is, none that says how much: rows have no key, and
/// a restated amount must find the row it replaces.
fn identity(row: &Row<'_>, columns: &[Column], tags: &[(SmolStr, SmolStr)]) -> u64 {
    let cells: Vec<_> = columns
        .iter()
        .map(|column| row.text(*column).unwrap_or_default())
        .collect();
    let tags = tags
        .iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let parts: Vec<&str> = cells.iter().map(AsRef::as_ref).chain(tags).collect();
    fact_key(&parts)
}
