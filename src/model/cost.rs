//! What is billed, in one form whatever export it came in.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Account, Region, Timestamp, Usd};

/// One cost line item.
#[derive(Clone, Debug, PartialEq)]
pub struct CostLine {
    /// The usage account.
    pub account: Account,
    /// Where it was used; `global` when the line names no region.
    pub region: Region,
    /// The service's name.
    pub service: SmolStr,
    /// What was used: usage type, else SKU, else the charge's description.
    pub usage_type: SmolStr,
    /// What used it, when the line says.
    pub resource: Option<SmolStr>,
    /// The resource's tags as the bill has them, by name; cost allocation's `user:` is left out.
    pub tags: Vec<(SmolStr, SmolStr)>,
    /// Begin of the charge period.
    pub start: Timestamp,
    /// Its end, exclusive.
    pub end: Timestamp,
    /// Unblended: what the invoice says.
    pub billed: Usd,
    /// Amortised: commitments spread over what they cover; the cost trends use.
    pub effective: Usd,
    /// ISO 4217; amounts are in it, whatever their type's name.
    pub currency: SmolStr,
    /// What kind of charge it is.
    pub kind: ChargeKind,
    /// The reservation or savings plan that covers it, or that it pays for.
    pub commitment: Option<Commitment>,
    /// Hash of the columns that tell this row from others of the same period.
    pub row: u64,
    /// Its place in a delivery; `None` when it was told by itself.
    pub place: Option<Place>,
}

/// What a charge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    /// Something used, covered by a commitment or not.
    Usage,
    /// Something bought: a commitment's fees, a subscription, support.
    Purchase,
    /// Tax.
    Tax,
    /// A credit.
    Credit,
    /// Money given back.
    Refund,
    /// A discount that is a line of its own.
    Discount,
    /// A correction, or a kind that is not known.
    Adjustment,
}

/// What a commitment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitmentKind {
    /// Reserved instances, nodes or capacity.
    Reservation,
    /// A savings plan.
    SavingsPlan,
    /// Another agreement.
    Other,
}

/// The commitment of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// What it is.
    pub kind: CommitmentKind,
    /// Its ARN or id.
    pub id: SmolStr,
    /// What the line is to it.
    pub part: CommitmentPart,
}

/// What a line is to its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitmentPart {
    /// Use that it covers.
    Covered,
    /// What of it nobody used.
    Unused,
    /// A fee, or the line that takes covered use off again.
    Fee,
}

/// A billing period, a calendar month as a rule: from, and until before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BillingPeriod {
    /// Its begin.
    pub start: Timestamp,
    /// Its end, exclusive.
    pub end: Timestamp,
}

/// Where a row stands in a delivery. Each delivery is a period's whole bill so far, and replaces the
/// one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The billing period.
    pub period: BillingPeriod,
    /// Names the delivery.
    pub delivery: u64,
    /// The row's number in it; a later row has a greater one.
    pub number: u64,
}

/// All rows that a delivery has of an account were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The billing period.
    pub period: BillingPeriod,
    /// Names the delivery.
    pub delivery: u64,
}
