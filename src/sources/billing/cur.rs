//! Rows of a Cost and Usage Report: the legacy one with `lineItem/UnblendedCost`, CUR 2.0 and the
//! legacy one's Parquet with `line_item_unblended_cost`.

use smol_str::SmolStr;

use super::row::{Column, Row, missing};
use super::{CostLine, account, check_name, identity, place};
use crate::model::{
    ChargeKind, Commitment, CommitmentKind, CommitmentPart, Timestamp, Undecodable, Usd,
};
use crate::sources::undecodable;

/// The columns that say what a row is. The line item's id is none of them: the next delivery gives
/// the same row another.
const IDENTITY: &[Column] = &[
    Column::TimeInterval,
    Column::Payer,
    Column::Account,
    Column::LineItemType,
    Column::UsageStart,
    Column::UsageEnd,
    Column::ProductCode,
    Column::LineUsageType,
    Column::Operation,
    Column::Zone,
    Column::Resource,
    Column::Currency,
    Column::Description,
    Column::TaxType,
    Column::RateId,
    Column::ReservationArn,
    Column::PlanArn,
];

/// Columns of which a row of a report has at least one.
const MARKS: [Column; 4] = [
    Column::LineItemType,
    Column::Unblended,
    Column::UsageStart,
    Column::ProductCode,
];

/// Whether the row is of such a report.
pub(super) fn is(row: &Row<'_>) -> bool {
    MARKS.iter().any(|column| row.has(*column))
}

pub(super) fn line(row: &Row<'_>) -> Result<CostLine, Undecodable> {
    let account = account(row, Column::Account, Column::Payer)?;
    let (region, name) = product(row);
    let zone = row.text(Column::Zone);
    let region = region
        .or_else(|| zone.as_deref().map(|zone| region_of(zone).into()))
        .unwrap_or(SmolStr::new_static("global"));
    check_name(Column::ProductRegion.name(), &region)?;
    let usage_type = row
        .first(&[
            Column::LineUsageType,
            Column::Description,
            Column::LineItemType,
        ])
        .ok_or_else(|| missing(Column::LineUsageType.name()))?;
    let billed = row
        .amount(Column::Unblended)?
        .ok_or_else(|| missing(Column::Unblended.name()))?;
    let kind = row.text(Column::LineItemType);
    let kind = kind.as_deref().unwrap_or("Usage");
    let (start, end) = charged(row)?;
    let tags = row.tags(Column::ResourceTags);
    let period = row.period((Column::BillPeriodStart, Column::BillPeriodEnd), start)?;
    Ok(CostLine {
        row: identity(row, IDENTITY, &tags),
        account,
        region,
        service: match name {
            Some(name) => name,
            None => row.required(Column::ProductCode)?,
        },
        usage_type: SmolStr::new(usage_type),
        resource: row.text(Column::Resource).map(SmolStr::new),
        tags,
        start,
        end,
        billed,
        effective: effective(row, kind, billed)?,
        currency: row
            .text(Column::Currency)
            .map_or(SmolStr::new_static("USD"), SmolStr::new),
        kind: charge(kind),
        commitment: commitment(row, kind),
        place: place(row, period)?,
    })
}

/// What the product's own columns or its map say of it.
fn product(row: &Row<'_>) -> (Option<SmolStr>, Option<SmolStr>) {
    let mut region = row.text(Column::ProductRegion).map(SmolStr::new);
    let mut name = row.text(Column::ProductName).map(SmolStr::new);
    if region.is_none() || name.is_none() {
        for (key, value) in row.entries(Column::Product) {
            match key.as_str() {
                "region" | "region_code" if region.is_none() => region = Some(value.into()),
                "product_name" if name.is_none() => name = Some(value.into()),
                _ => {}
            }
        }
    }
    (region, name)
}

/// The region of a zone: `eu-west-1a` is in `eu-west-1`.
fn region_of(zone: &str) -> &str {
    let region = zone.strip_suffix(|letter: char| letter.is_ascii_lowercase());
    region
        .filter(|region| region.ends_with(|last: char| last.is_ascii_digit()))
        .unwrap_or(zone)
}

fn charged(row: &Row<'_>) -> Result<(Timestamp, Timestamp), Undecodable> {
    if row.text(Column::UsageStart).is_some() {
        return Ok((row.time(Column::UsageStart)?, row.time(Column::UsageEnd)?));
    }
    let interval = row
        .text(Column::TimeInterval)
        .ok_or_else(|| missing(Column::UsageStart.name()))?;
    let ends = interval.split_once('/').and_then(|(start, end)| {
        Some((Timestamp::parse(start).ok()?, Timestamp::parse(end).ok()?))
    });
    ends.ok_or_else(|| {
        undecodable(format!(
            "aws.billing: {} is {interval:?}; expected two times such as \
             2026-11-01T00:00:00Z/2026-11-02T00:00:00Z",
            Column::TimeInterval.name()
        ))
    })
}

fn charge(kind: &str) -> ChargeKind {
    match kind {
        "Usage" | "DiscountedUsage" | "SavingsPlanCoveredUsage" | "SavingsPlanNegation" => {
            ChargeKind::Usage
        }
        "Fee" | "RIFee" | "SavingsPlanUpfrontFee" | "SavingsPlanRecurringFee" => {
            ChargeKind::Purchase
        }
        "Tax" => ChargeKind::Tax,
        "Credit" => ChargeKind::Credit,
        "Refund" => ChargeKind::Refund,
        other if other.contains("Discount") => ChargeKind::Discount,
        _ => ChargeKind::Adjustment,
    }
}

/// The amortised cost, as AWS's own guide to the report adds it up: what a commitment covers costs
/// its share, the fees cost what was not used of them, and what was taken off again costs nothing.
fn effective(row: &Row<'_>, kind: &str, billed: Usd) -> Result<Usd, Undecodable> {
    let amount = |column| Ok(row.amount(column)?.unwrap_or_default());
    Ok(match kind {
        "DiscountedUsage" => row.amount(Column::ReservationCost)?.unwrap_or(billed),
        "SavingsPlanCoveredUsage" => row.amount(Column::PlanCost)?.unwrap_or(billed),
        "SavingsPlanNegation" | "SavingsPlanUpfrontFee" => Usd::ZERO,
        "SavingsPlanRecurringFee" => amount(Column::PlanCommitted)? - amount(Column::PlanUsed)?,
        "RIFee" => {
            amount(Column::ReservationUnusedUpfront)? + amount(Column::ReservationUnusedFee)?
        }
        // The upfront fee of a reservation; other fees are costs.
        "Fee" if row.text(Column::ReservationArn).is_some() => Usd::ZERO,
        _ => billed,
    })
}

fn commitment(row: &Row<'_>, kind: &str) -> Option<Commitment> {
    let (what, arn) = match row.text(Column::PlanArn) {
        Some(arn) => (CommitmentKind::SavingsPlan, arn),
        None => (
            CommitmentKind::Reservation,
            row.text(Column::ReservationArn)?,
        ),
    };
    let part = match kind {
        "DiscountedUsage" | "SavingsPlanCoveredUsage" => CommitmentPart::Covered,
        _ => CommitmentPart::Fee,
    };
    Some(Commitment {
        kind: what,
        id: SmolStr::new(arn),
        part,
    })
}
