//! One row of a bill: a JSON object with the export's own column names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::model::{BillingPeriod, Timestamp, Undecodable, Usd};
use crate::sources::undecodable;

/// A cell as it was written.
type Cell<'a> = Option<&'a RawValue>;

/// What the columns of tags begin with in a legacy report.
const TAG_COLUMNS: &str = "resourceTags/";
/// Most tags kept of a row: fifty may be activated for a resource, and AWS adds its own.
const TAGS_MAX: usize = 64;

/// Names columns: of a legacy report, then of CUR 2.0 and Athena, or of FOCUS.
macro_rules! columns {
    ($($column:ident: $first:literal $(| $other:literal)*,)*) => {
        /// The columns read; others are welcome.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::sources) enum Column {
            $(#[doc = $first] $column,)*
        }
        impl Column {
            /// Every column.
            pub(in crate::sources) const ALL: &[Self] = &[$(Self::$column),*];

            pub(in crate::sources) fn of(name: &str) -> Option<Self> {
                match name {
                    $($first $(| $other)* => Some(Self::$column),)*
                    _ => None,
                }
            }
            pub(in crate::sources) fn name(self) -> &'static str {
                match self {
                    $(Self::$column => $first,)*
                }
            }
        }
    };
}

columns! {
    // FOCUS
    AvailabilityZone: "AvailabilityZone",
    BilledCost: "BilledCost",
    BillingAccountId: "BillingAccountId",
    BillingCurrency: "BillingCurrency",
    BillingPeriodEnd: "BillingPeriodEnd",
    BillingPeriodStart: "BillingPeriodStart",
    ChargeCategory: "ChargeCategory",
    ChargeClass: "ChargeClass",
    ChargeDescription: "ChargeDescription",
    ChargeFrequency: "ChargeFrequency",
    ChargePeriodEnd: "ChargePeriodEnd",
    ChargePeriodStart: "ChargePeriodStart",
    CommitmentDiscountId: "CommitmentDiscountId",
    CommitmentDiscountStatus: "CommitmentDiscountStatus",
    CommitmentDiscountType: "CommitmentDiscountType",
    EffectiveCost: "EffectiveCost",
    InvoiceIssuerName: "InvoiceIssuerName",
    PricingCategory: "PricingCategory",
    ProviderName: "ProviderName",
    PublisherName: "PublisherName",
    Region: "Region",
    RegionId: "RegionId",
    ResourceId: "ResourceId",
    ServiceName: "ServiceName",
    SkuId: "SkuId",
    SkuPriceId: "SkuPriceId",
    SubAccountId: "SubAccountId",
    Tags: "Tags",
    UsageType: "x_UsageType",
    // CUR
    TimeInterval: "identity/TimeInterval" | "identity_time_interval",
    BillPeriodStart: "bill/BillingPeriodStartDate" | "bill_billing_period_start_date",
    BillPeriodEnd: "bill/BillingPeriodEndDate" | "bill_billing_period_end_date",
    Payer: "bill/PayerAccountId" | "bill_payer_account_id",
    Account: "lineItem/UsageAccountId" | "line_item_usage_account_id",
    LineItemType: "lineItem/LineItemType" | "line_item_line_item_type",
    UsageStart: "lineItem/UsageStartDate" | "line_item_usage_start_date",
    UsageEnd: "lineItem/UsageEndDate" | "line_item_usage_end_date",
    ProductCode: "lineItem/ProductCode" | "line_item_product_code",
    LineUsageType: "lineItem/UsageType" | "line_item_usage_type",
    Operation: "lineItem/Operation" | "line_item_operation",
    Zone: "lineItem/AvailabilityZone" | "line_item_availability_zone",
    Resource: "lineItem/ResourceId" | "line_item_resource_id",
    Currency: "lineItem/CurrencyCode" | "line_item_currency_code",
    Unblended: "lineItem/UnblendedCost" | "line_item_unblended_cost",
    Description: "lineItem/LineItemDescription" | "line_item_line_item_description",
    TaxType: "lineItem/TaxType" | "line_item_tax_type",
    ProductName: "product/ProductName" | "product_product_name",
    Product: "product",
    ProductRegion: "product/regionCode" | "product/region" | "product_region_code" | "product_region",
    RateId: "pricing/RateId" | "pricing_rate_id",
    ReservationArn: "reservation/ReservationARN" | "reservation_reservation_a_r_n"
        | "reservation_reservation_arn",
    ReservationCost: "reservation/EffectiveCost" | "reservation_effective_cost",
    ReservationUnusedUpfront: "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod"
        | "reservation_unused_amortized_upfront_fee_for_billing_period",
    ReservationUnusedFee: "reservation/UnusedRecurringFee" | "reservation_unused_recurring_fee",
    PlanArn: "savingsPlan/SavingsPlanARN" | "savings_plan_savings_plan_a_r_n"
        | "savings_plan_savings_plan_arn",
    PlanCost: "savingsPlan/SavingsPlanEffectiveCost" | "savings_plan_savings_plan_effective_cost",
    PlanCommitted: "savingsPlan/TotalCommitmentToDate" | "savings_plan_total_commitment_to_date",
    PlanUsed: "savingsPlan/UsedCommitment" | "savings_plan_used_commitment",
    ResourceTags: "resource_tags",
    // Ours
    DeliveryRow: "x_skyherd_row",
    Delivered: "x_skyherd_delivered",
    Missing: "x_skyherd_missing",
    // A manifest's
    ReportKeys: "reportKeys" | "dataFiles",
}

/// A row's cells.
pub(super) struct Row<'a> {
    cells: [Cell<'a>; Column::ALL.len()],
    /// Cells of tags that have a column each, by tag.
    tags: Vec<(Cow<'a, str>, Cell<'a>)>,
}

impl<'a> Row<'a> {
    /// Reads a row.
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Undecodable> {
        serde_json::from_slice(payload).map_err(|error| {
            undecodable(format!(
                "aws.billing: {error}; expected one row of a bill as a JSON object"
            ))
        })
    }

    /// Whether the row has the column, filled or not.
    pub(super) fn has(&self, column: Column) -> bool {
        self.cells[column as usize].is_some()
    }

    /// A cell's text: strings unescaped, numbers and objects as written; `None` when missing.
    pub(super) fn text(&self, column: Column) -> Option<Cow<'a, str>> {
        text(self.cells[column as usize])
    }

    /// The first of the columns that is filled.
    pub(super) fn first(&self, columns: &[Column]) -> Option<Cow<'a, str>> {
        columns.iter().find_map(|column| self.text(*column))
    }

    pub(super) fn required(&self, column: Column) -> Result<SmolStr, Undecodable> {
        self.text(column)
            .map(SmolStr::new)
            .ok_or_else(|| missing(column.name()))
    }

    pub(super) fn time(&self, column: Column) -> Result<Timestamp, Undecodable> {
        let text = self.text(column).ok_or_else(|| missing(column.name()))?;
        Timestamp::parse(&text)
            .map_err(|error| undecodable(format!("aws.billing: {}: {error}", column.name())))
    }

    /// An amount, digit by digit; `None` when missing.
    pub(super) fn amount(&self, column: Column) -> Result<Option<Usd>, Undecodable> {
        let Some(text) = self.text(column) else {
            return Ok(None);
        };
        Decimal::from_str(&text)
            .or_else(|_| Decimal::from_scientific(&text))
            .map(|amount| Some(Usd::new(amount)))
            .map_err(|_| {
                undecodable(format!(
                    "aws.billing: {} is {text:?}; expected a decimal amount such as 0.0000008",
                    column.name()
                ))
            })
    }

    /// The billing period of the columns; by default the month of `at`.
    pub(super) fn period(
        &self,
        (start, end): (Column, Column),
        at: Timestamp,
    ) -> Result<BillingPeriod, Undecodable> {
        let month = month_of(at);
        let start = match self.text(start) {
            Some(_) => self.time(start)?,
            None => month.start,
        };
        let end = match self.text(end) {
            Some(_) => self.time(end)?,
            None => month_of(start).end,
        };
        if end <= start {
            return Err(undecodable(format!(
                "aws.billing: the billing period ends at {end}, not after its begin {start}"
            )));
        }
        Ok(BillingPeriod { start, end })
    }

    /// The tags of a resource: those with a column each, else those of the column given, sorted.
    pub(super) fn tags(&self, column: Column) -> Vec<(SmolStr, SmolStr)> {
        let mut tags: Vec<(SmolStr, SmolStr)> = self
            .tags
            .iter()
            .filter_map(|(name, cell)| Some((tag_name(name), SmolStr::new(text(*cell)?))))
            .collect();
        if tags.is_empty() {
            tags = self
                .entries(column)
                .into_iter()
                .map(|(name, value)| (tag_name(&name), SmolStr::new(value)))
                .collect();
        }
        tags.sort_unstable();
        tags.truncate(TAGS_MAX);
        tags
    }

    /// The entries of a map that are text. A map may be written as the text of a JSON object.
    pub(super) fn entries(&self, column: Column) -> Vec<(String, String)> {
        let Some(text) = self.text(column).filter(|text| text.starts_with('{')) else {
            return Vec::new();
        };
        let map: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).unwrap_or_default();
        map.into_iter()
            .filter_map(|(name, value)| match value {
                serde_json::Value::String(value) if !value.is_empty() => Some((name, value)),
                _ => None,
            })
            .collect()
    }
}

/// A tag as its resource has it: cost allocation writes `user:team`, CUR 2.0 `user_team`. What AWS
/// gives, `aws:…`, keeps its name.
fn tag_name(name: &str) -> SmolStr {
    let own = name.strip_prefix("user:");
    SmolStr::new(own.or_else(|| name.strip_prefix("user_")).unwrap_or(name))
}

fn month_of(at: Timestamp) -> BillingPeriod {
    let whole = || {
        let day = jiff::Timestamp::from_millisecond(at.ms()).ok()?;
        let first = day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .first_of_month();
        let next = first.last_of_month().tomorrow().ok()?;
        let midnight = |date: jiff::civil::Date| {
            let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(Timestamp::from_ms(at.timestamp().as_millisecond()))
        };
        Some(BillingPeriod {
            start: midnight(first)?,
            end: midnight(next)?,
        })
    };
    // Beyond the calendar there are no months.
    whole().unwrap_or(BillingPeriod {
        start: at,
        end: at.plus(Timestamp::DAY),
    })
}

/// `""`, `"NULL"` and `null` all mean missing.
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

pub(super) fn missing(column: &str) -> Undecodable {
    undecodable(format!("aws.billing: missing field `{column}`"))
}

/// Borrows where the text holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Cells)
    }
}

struct Cells;

impl<'de> Visitor<'de> for Cells {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let mut row = Row {
            cells: [None; Column::ALL.len()],
            tags: Vec::new(),
        };
        while let Some(Text(name)) = map.next_key()? {
            if let Some(column) = Column::of(&name) {
                let cell: Cell<'de> = map.next_value()?;
                let known = &mut row.cells[column as usize];
                // Of several names for a column the one that is filled counts.
                if known.is_none_or(|known| known.get() == "\"\"") {
                    *known = cell;
                }
            } else if let Some(tag) = name.strip_prefix(TAG_COLUMNS) {
                let cell = map.next_value()?;
                if row.tags.len() < TAGS_MAX {
                    row.tags.push((Cow::Owned(tag.to_owned()), cell));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(row)
    }
}
