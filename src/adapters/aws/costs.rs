//! Cost Explorer: what was spent a day or an hour, by service and usage type. Every page costs a
//! cent.

use std::collections::HashMap;

use aws_sdk_costexplorer::types::{
    DateInterval, Dimension, DimensionValues, Expression, Granularity, GroupDefinition,
    GroupDefinitionType, MetricValue, ResultByTime,
};

use super::pool::Shelf;
use super::{Access, Aws, CLIENTS_MAX, CallError, Place};

/// Cost Explorer's endpoint, whatever region is asked about.
pub(super) const ENDPOINT_REGION: &str = "us-east-1";
/// What the invoice says, and what trends use.
const METRICS: [&str; 2] = ["UnblendedCost", "AmortizedCost"];

/// How long a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// A UTC day.
    Day,
    /// An hour of the last two weeks, where the payer has switched hours on and pays for them.
    Hour,
}

/// What one usage type of one service cost in one day or hour. Amounts are decimal text, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostRow {
    /// The day, `2026-11-01`, or the hour, `2026-11-01T05:00:00Z`.
    pub start: String,
    /// The one after it.
    pub end: String,
    /// The service's name.
    pub service: String,
    /// What was used.
    pub usage_type: String,
    /// Unblended cost.
    pub unblended: String,
    /// Amortised cost.
    pub amortized: String,
    /// The currency.
    pub currency: String,
}

pub(super) type Clients = Shelf<aws_sdk_costexplorer::Client>;

pub(super) fn clients() -> Clients {
    Shelf::new(CLIENTS_MAX)
}

impl Aws {
    /// One page of an account's costs from the first day up to but not at the second, and where the
    /// next begins.
    ///
    /// # Errors
    /// [`CallError`], naming the call.
    pub async fn costs(
        &self,
        access: &Access,
        account: &str,
        (from, to): (&str, &str),
        grain: Grain,
        next: Option<&str>,
    ) -> Result<(Vec<CostRow>, Option<String>), CallError> {
        let place = Place {
            access: access.clone(),
            region: ENDPOINT_REGION.to_owned(),
        };
        self.buckets.take(&place, "ce:GetCostAndUsage").await;
        let granularity = match grain {
            Grain::Day => Granularity::Daily,
            Grain::Hour => Granularity::Hourly,
        };
        // Hours are asked for with the hour in both ends.
        let hour = match grain {
            Grain::Day => "",
            Grain::Hour => "T00:00:00Z",
        };
        let days = days(&format!("{from}{hour}"), &format!("{to}{hour}"))?;
        let group = |key: &str| {
            let group = GroupDefinition::builder();
            group
                .r#type(GroupDefinitionType::Dimension)
                .key(key)
                .build()
        };
        let answer = self
            .cost_explorer(&place)
            .await?
            .get_cost_and_usage()
            .time_period(days)
            .granularity(granularity)
            .filter(of(account))
            .group_by(group("SERVICE"))
            .group_by(group("USAGE_TYPE"))
            .set_metrics(Some(METRICS.map(str::to_owned).to_vec()))
            .set_next_page_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of("ce:GetCostAndUsage", &error))?;
        let rows = answer.results_by_time().iter().flat_map(rows).collect();
        let next = answer.next_page_token().filter(|next| !next.is_empty());
        Ok((rows, next.map(str::to_owned)))
    }
}

/// From the first day up to but not at the second.
pub(super) fn days(from: &str, to: &str) -> Result<DateInterval, CallError> {
    let days = DateInterval::builder().start(from).end(to).build();
    days.map_err(|error| CallError::Failed(error.to_string()))
}

/// What is the account's: a payer sees every account's costs, its own are asked for like anybody's.
pub(super) fn of(account: &str) -> Expression {
    let own = DimensionValues::builder()
        .key(Dimension::LinkedAccount)
        .values(account)
        .build();
    Expression::builder().dimensions(own).build()
}

/// What one period says.
fn rows(period: &ResultByTime) -> Vec<CostRow> {
    let Some(span) = period.time_period() else {
        return Vec::new();
    };
    let groups = period.groups().iter().filter_map(|group| {
        let [service, usage_type] = group.keys() else {
            return None;
        };
        let (unblended, currency) = amount(group.metrics(), METRICS[0])?;
        let amortized = amount(group.metrics(), METRICS[1]);
        Some(CostRow {
            start: span.start().to_owned(),
            end: span.end().to_owned(),
            service: service.clone(),
            usage_type: usage_type.clone(),
            amortized: amortized.map_or_else(|| unblended.clone(), |(amount, _)| amount),
            unblended,
            currency,
        })
    });
    groups.collect()
}

fn amount(metrics: Option<&HashMap<String, MetricValue>>, name: &str) -> Option<(String, String)> {
    let value = metrics?.get(name)?;
    let amount = value.amount().filter(|amount| !amount.is_empty())?;
    let unit = value.unit().filter(|unit| !unit.is_empty());
    Some((amount.to_owned(), unit.unwrap_or("USD").to_owned()))
}
