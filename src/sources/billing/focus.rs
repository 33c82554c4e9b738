//! Rows of a FOCUS export, from 1.0 on.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::row::{Column, Row, missing};
use super::{CostLine, PERIOD, account, check_name, identity, place};
use crate::model::{ChargeKind, Commitment, CommitmentKind, CommitmentPart, Undecodable};

/// The columns that say what a row is.
const IDENTITY: &[Column] = &[
    Column::AvailabilityZone,
    Column::BillingAccountId,
    Column::BillingCurrency,
    Column::ChargeCategory,
    Column::ChargeClass,
    Column::ChargeDescription,
    Column::ChargeFrequency,
    Column::ChargePeriodEnd,
    Column::ChargePeriodStart,
    Column::CommitmentDiscountId,
    Column::CommitmentDiscountStatus,
    Column::InvoiceIssuerName,
    Column::PricingCategory,
    Column::ProviderName,
    Column::PublisherName,
    Column::Region,
    Column::RegionId,
    Column::ResourceId,
    Column::ServiceName,
    Column::SkuId,
    Column::SkuPriceId,
    Column::SubAccountId,
    Column::Tags,
    Column::UsageType,
];

/// Whose row it is, when not AWS's.
pub(super) fn other_provider<'a>(row: &Row<'a>) -> Result<Option<Cow<'a, str>>, Undecodable> {
    let provider = row
        .first(&[Column::ProviderName, Column::PublisherName])
        .ok_or_else(|| missing(Column::ProviderName.name()))?;
    Ok((!is_aws(&provider)).then_some(provider))
}

/// Whether the provider, or what AWS calls its companies, is AWS.
pub(in crate::sources) fn is_aws(provider: &str) -> bool {
    let whole = "Amazon Web Services";
    provider.eq_ignore_ascii_case("AWS")
        || provider
            .get(..whole.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(whole))
}

pub(super) fn line(row: &Row<'_>) -> Result<CostLine, Undecodable> {
    let account = account(row, Column::SubAccountId, Column::BillingAccountId)?;
    let region = row
        .first(&[Column::RegionId, Column::Region])
        .unwrap_or(Cow::Borrowed("global"));
    check_name(Column::RegionId.name(), &region)?;
    let usage_type = row
        .first(&[Column::UsageType, Column::SkuId, Column::ChargeDescription])
        .ok_or_else(|| missing("x_UsageType, SkuId or ChargeDescription"))?;
    let billed = row
        .amount(Column::BilledCost)?
        .ok_or_else(|| missing(Column::BilledCost.name()))?;
    let effective = row.amount(Column::EffectiveCost)?.unwrap_or(billed);
    let start = row.time(Column::ChargePeriodStart)?;
    let kind = kind(row);
    let period = row.period(PERIOD, start)?;
    let end = match row.text(Column::ChargePeriodEnd) {
        Some(_) => row.time(Column::ChargePeriodEnd).unwrap_or(period.end),
        None => return Err(missing(Column::ChargePeriodEnd.name())),
    };
    Ok(CostLine {
        row: identity(row, IDENTITY, &[]),
        account,
        region: SmolStr::new(region),
        service: row.required(Column::ServiceName)?,
        usage_type: SmolStr::new(usage_type),
        resource: row.text(Column::ResourceId).map(SmolStr::new),
        tags: row.tags(Column::Tags),
        start,
        // Nothing is decided by it: a row is not given up for an hour 30.
        end,
        billed,
        effective,
        currency: row
            .text(Column::BillingCurrency)
            .map_or(SmolStr::new_static("USD"), SmolStr::new),
        kind,
        commitment: commitment(row, kind),
        place: place(row, period)?,
    })
}

fn kind(row: &Row<'_>) -> ChargeKind {
    let category = row.text(Column::ChargeCategory);
    match category.as_deref().unwrap_or("Usage") {
        "Usage" => ChargeKind::Usage,
        "Purchase" => ChargeKind::Purchase,
        "Tax" => ChargeKind::Tax,
        "Credit" => ChargeKind::Credit,
        "Refund" => ChargeKind::Refund,
        _ => ChargeKind::Adjustment,
    }
}

fn commitment(row: &Row<'_>, kind: ChargeKind) -> Option<Commitment> {
    let id = row.text(Column::CommitmentDiscountId)?;
    let named = row.text(Column::CommitmentDiscountType).unwrap_or_default();
    let says = |word: &str| {
        named.to_ascii_lowercase().contains(word) || id.to_ascii_lowercase().contains(word)
    };
    let what = if says("saving") {
        CommitmentKind::SavingsPlan
    } else if says("reserv") {
        CommitmentKind::Reservation
    } else {
        CommitmentKind::Other
    };
    let status = row.text(Column::CommitmentDiscountStatus);
    let part = match (kind, status.as_deref()) {
        (_, Some("Unused")) => CommitmentPart::Unused,
        (ChargeKind::Usage, _) => CommitmentPart::Covered,
        _ => CommitmentPart::Fee,
    };
    Some(Commitment {
        kind: what,
        id: SmolStr::new(id),
        part,
    })
}
