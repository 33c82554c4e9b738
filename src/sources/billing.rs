//! `aws.billing`: one row of a FOCUS export as a JSON object with FOCUS's column names.
//!
//! Amounts may be strings or numbers, read digit by digit either way; `""`, `"NULL"` and `null`
//! all mean missing.

use std::borrow::Cow;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::subject::{Path, check_name, fact_key};
use super::{Decoded, facts, ignored, undecodable};
use crate::model::{CostLine, Fact, FactBody, Timestamp, Undecodable, Usd};

/// A cell as it was written.
type Cell<'a> = Option<&'a RawValue>;

/// The columns read; others are welcome.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct RawRow<'a> {
    #[serde(borrow)]
    availability_zone: Cell<'a>,
    #[serde(borrow)]
    billed_cost: Cell<'a>,
    #[serde(borrow)]
    billing_account_id: Cell<'a>,
    #[serde(borrow)]
    billing_currency: Cell<'a>,
    #[serde(borrow)]
    charge_category: Cell<'a>,
    #[serde(borrow)]
    charge_class: Cell<'a>,
    #[serde(borrow)]
    charge_description: Cell<'a>,
    #[serde(borrow)]
    charge_frequency: Cell<'a>,
    #[serde(borrow)]
    charge_period_end: Cell<'a>,
    #[serde(borrow)]
    charge_period_start: Cell<'a>,
    #[serde(borrow)]
    commitment_discount_id: Cell<'a>,
    #[serde(borrow)]
    commitment_discount_status: Cell<'a>,
    #[serde(borrow)]
    effective_cost: Cell<'a>,
    #[serde(borrow)]
    invoice_issuer_name: Cell<'a>,
    #[serde(borrow)]
    pricing_category: Cell<'a>,
    #[serde(borrow)]
    provider_name: Cell<'a>,
    #[serde(borrow)]
    publisher_name: Cell<'a>,
    #[serde(borrow)]
    region: Cell<'a>,
    #[serde(borrow)]
    region_id: Cell<'a>,
    #[serde(borrow)]
    resource_id: Cell<'a>,
    #[serde(borrow)]
    service_name: Cell<'a>,
    #[serde(borrow)]
    sku_id: Cell<'a>,
    #[serde(borrow)]
    sku_price_id: Cell<'a>,
    #[serde(borrow)]
    sub_account_id: Cell<'a>,
    #[serde(borrow)]
    tags: Cell<'a>,
    #[serde(borrow, rename = "x_UsageType")]
    usage_type: Cell<'a>,
}

/// Decodes one row.
pub(super) fn decode(payload: &[u8]) -> Result<Decoded, Undecodable> {
    let row: RawRow<'_> = serde_json::from_slice(payload).map_err(|error| {
        undecodable(format!(
            "aws.billing: {error}; expected one FOCUS row as a JSON object"
        ))
    })?;
    let provider = text(row.provider_name).or_else(|| text(row.publisher_name));
    match provider.as_deref() {
        None => return Err(missing("ProviderName")),
        Some(name) if !is_aws(name) => return Ok(ignored(format!("provider {name}"))),
        Some(_) => {}
    }
    let line = line(&row)?;
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

fn is_aws(provider: &str) -> bool {
    provider.eq_ignore_ascii_case("AWS")
        || provider
            .get(.."Amazon Web Services".len())
            .is_some_and(|start| start.eq_ignore_ascii_case("Amazon Web Services"))
}

fn line(row: &RawRow<'_>) -> Result<CostLine, Undecodable> {
    let account = match (text(row.sub_account_id), text(row.billing_account_id)) {
        (Some(account), _) => {
            check_name("SubAccountId", &account)?;
            SmolStr::new(account)
        }
        (None, Some(payer)) => {
            check_name("BillingAccountId", &payer)?;
            SmolStr::new(format!("org:{payer}"))
        }
        (None, None) => return Err(missing("SubAccountId")),
    };
    let region = text(row.region_id)
        .or_else(|| text(row.region))
        .unwrap_or(Cow::Borrowed("global"));
    check_name("RegionId", &region)?;
    let usage_type = [row.usage_type, row.sku_id, row.charge_description]
        .into_iter()
        .find_map(text)
        .ok_or_else(|| missing("x_UsageType, SkuId or ChargeDescription"))?;
    let billed = amount("BilledCost", row.billed_cost)?.ok_or_else(|| missing("BilledCost"))?;
    let effective = amount("EffectiveCost", row.effective_cost)?.unwrap_or(billed);
    Ok(CostLine {
        row: identity(row),
        account,
        region: SmolStr::new(region),
        service: required("ServiceName", row.service_name)?,
        usage_type: SmolStr::new(usage_type),
        resource: text(row.resource_id).map(SmolStr::new),
        start: time("ChargePeriodStart", row.charge_period_start)?,
        end: time("ChargePeriodEnd", row.charge_period_end)?,
        billed,
        effective,
        currency: text(row.billing_currency).map_or(SmolStr::new_static("USD"), SmolStr::new),
        category: text(row.charge_category).map_or(SmolStr::new_static("Usage"), SmolStr::new),
    })
}

/// The hash of every column that says what a row is, none that says how much: FOCUS gives rows
/// no key, and a restated amount must find the row it replaces.
fn identity(row: &RawRow<'_>) -> u64 {
    let cells = [
        row.availability_zone,
        row.billing_account_id,
        row.billing_currency,
        row.charge_category,
        row.charge_class,
        row.charge_description,
        row.charge_frequency,
        row.charge_period_end,
        row.charge_period_start,
        row.commitment_discount_id,
        row.commitment_discount_status,
        row.invoice_issuer_name,
        row.pricing_category,
        row.provider_name,
        row.publisher_name,
        row.region,
        row.region_id,
        row.resource_id,
        row.service_name,
        row.sku_id,
        row.sku_price_id,
        row.sub_account_id,
        row.tags,
        row.usage_type,
    ]
    .map(|cell| text(cell).unwrap_or_default());
    fact_key(&cells.each_ref().map(AsRef::as_ref))
}

/// A cell's text: strings unescaped, numbers and objects as written; `None` when missing.
fn text(cell: Cell<'_>) -> Option<Cow<'_, str>> {
    let raw = cell?.get();
    let text = if raw.starts_with('"') {
        // RawValue holds valid JSON, but a lone surrogate is no text.
        serde_json::from_str::<Text<'_>>(raw).ok()?.0
    } else {
        Cow::Borrowed(raw)
    };
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.eq_ignore_ascii_case("null") {
        return None;
    }
    Some(if trimmed.len() == text.len() {
        text
    } else {
        Cow::Owned(trimmed.to_owned())
    })
}

/// Borrows where the text holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn required(column: &str, cell: Cell<'_>) -> Result<SmolStr, Undecodable> {
    text(cell).map(SmolStr::new).ok_or_else(|| missing(column))
}

fn time(column: &str, cell: Cell<'_>) -> Result<Timestamp, Undecodable> {
    let text = text(cell).ok_or_else(|| missing(column))?;
    Timestamp::parse(&text).map_err(|error| undecodable(format!("aws.billing: {column}: {error}")))
}

fn amount(column: &str, cell: Cell<'_>) -> Result<Option<Usd>, Undecodable> {
    let Some(text) = text(cell) else {
        return Ok(None);
    };
    Decimal::from_str(&text)
        .or_else(|_| Decimal::from_scientific(&text))
        .map(|amount| Some(Usd::new(amount)))
        .map_err(|_| {
            undecodable(format!(
                "aws.billing: {column} is {text:?}; expected a decimal amount such as 0.0000008"
            ))
        })
}

fn missing(column: &str) -> Undecodable {
    undecodable(format!("aws.billing: missing field `{column}`"))
}
