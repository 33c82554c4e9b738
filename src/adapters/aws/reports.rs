//! What Cost Explorer says besides costs, and AWS Budgets. Both speak JSON on the wire in the words of
//! their documentation, so an answer is kept as it came and nobody has to write it out again.
//!
//! A page of Cost Explorer costs a cent, Budgets nothing.

use std::sync::Arc;

use aws_sdk_costexplorer::types::{
    AnomalyDateInterval, Granularity, Metric, RecommendationTarget,
    RightsizingRecommendationConfiguration,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;
use serde_json::Value;

use super::costs::{ENDPOINT_REGION, days, of};
use super::pool::Shelf;
use super::{Access, Aws, CLIENTS_MAX, CallError, Place};

/// Budgets of one page.
const BUDGETS_A_PAGE: i32 = 100;

pub(super) type Clients = Shelf<aws_sdk_budgets::Client>;

pub(super) fn clients() -> Clients {
    Shelf::new(CLIENTS_MAX)
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    /// What will be spent by a day to come.
    Forecast,
    /// What Cost Anomaly Detection found.
    Anomalies,
    /// How much of reservations is used, by day.
    ReservationUtilization,
    /// How much use reservations cover, by day.
    ReservationCoverage,
    /// How much of savings plans is used, by day.
    PlanUtilization,
    /// How much use savings plans cover, by day.
    PlanCoverage,
    /// Instances that AWS would make smaller or end.
    Rightsizing,
    /// Budgets, with what is spent of them.
    Budgets,
}

impl Report {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Forecast,
        Self::Anomalies,
        Self::ReservationUtilization,
        Self::ReservationCoverage,
        Self::PlanUtilization,
        Self::PlanCoverage,
        Self::Rightsizing,
        Self::Budgets,
    ];

    /// The IAM action that allows it.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Forecast => "ce:GetCostForecast",
            Self::Anomalies => "ce:GetAnomalies",
            Self::ReservationUtilization => "ce:GetReservationUtilization",
            Self::ReservationCoverage => "ce:GetReservationCoverage",
            Self::PlanUtilization => "ce:GetSavingsPlansUtilization",
            Self::PlanCoverage => "ce:GetSavingsPlansCoverage",
            Self::Rightsizing => "ce:GetRightsizingRecommendation",
            Self::Budgets => "budgets:ViewBudget",
        }
    }

    /// Whether a page of it costs a cent.
    pub const fn paid(self) -> bool {
        !matches!(self, Self::Budgets)
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// JSON, as AWS sent it.
    pub body: Vec<u8>,
    /// Where the next begins.
    pub next: Option<String>,
}

/// Keeps the body of the answer that succeeds.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "Kept"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response().map(Response::body);
        if let Some(body) = answer.and_then(|body| body.bytes()) {
            *self.0.lock() = body.to_vec();
        }
        Ok(())
    }
}

/// Sends a call of any service; its answer as it came.
macro_rules! asked {
    ($call:expr, $report:expr) => {{
        let kept = Kept::default();
        let sent = $call.customize().interceptor(kept.clone()).send().await;
        match sent {
            Ok(_) => Ok(std::mem::take(&mut *kept.0.lock())),
            Err(error) => Err(CallError::of($report.action(), &error)),
        }
    }};
}

impl Aws {
    /// One page of what is asked for of an account. Days are from the first up to but not at the
    /// second; of budgets and rightsizing there is only today.
    ///
    /// # Errors
    /// [`CallError`], naming the action; [`CallError::Nothing`] where there is nothing of it.
    pub async fn report(
        &self,
        access: &Access,
        account: &str,
        report: Report,
        span: (&str, &str),
        next: Option<&str>,
    ) -> Result<Answer, CallError> {
        let place = Place {
            access: access.clone(),
            region: ENDPOINT_REGION.to_owned(),
        };
        self.buckets.take(&place, report.action()).await;
        let next = next.map(str::to_owned);
        let body = if report == Report::Budgets {
            let client = self.budgets(&place).await?;
            let call = client.describe_budgets().account_id(account);
            let call = call.max_results(BUDGETS_A_PAGE).set_next_token(next);
            asked!(call, report)?
        } else {
            let client = self.cost_explorer(&place).await?;
            explored(&client, account, report, span, next).await?
        };
        answer(report, body)
    }
}

async fn explored(
    client: &aws_sdk_costexplorer::Client,
    account: &str,
    report: Report,
    (from, to): (&str, &str),
    next: Option<String>,
) -> Result<Vec<u8>, CallError> {
    let wrong = |error: aws_smithy_types::error::operation::BuildError| {
        CallError::Failed(format!("{}: {error}", report.action()))
    };
    match report {
        Report::Forecast => {
            let call = client.get_cost_forecast().time_period(days(from, to)?);
            // By day: a month's would begin with what is spent of it already.
            let call = call.granularity(Granularity::Daily);
            asked!(
                call.metric(Metric::UnblendedCost).filter(of(account)),
                report
            )
        }
        Report::Anomalies => {
            let span = AnomalyDateInterval::builder().start_date(from).end_date(to);
            let call = client.get_anomalies();
            let call = call.date_interval(span.build().map_err(wrong)?);
            asked!(call.set_next_page_token(next), report)
        }
        Report::ReservationUtilization => {
            let call = client.get_reservation_utilization();
            let call = call.time_period(days(from, to)?).filter(of(account));
            let call = call.granularity(Granularity::Daily);
            asked!(call.set_next_page_token(next), report)
        }
        Report::ReservationCoverage => {
            let call = client.get_reservation_coverage();
            let call = call.time_period(days(from, to)?).filter(of(account));
            let call = call.granularity(Granularity::Daily);
            asked!(call.set_next_page_token(next), report)
        }
        Report::PlanUtilization => {
            let call = client.get_savings_plans_utilization();
            let call = call.time_period(days(from, to)?).filter(of(account));
            asked!(call.granularity(Granularity::Daily), report)
        }
        Report::PlanCoverage => {
            let call = client.get_savings_plans_coverage();
            let call = call.time_period(days(from, to)?).filter(of(account));
            let call = call.granularity(Granularity::Daily);
            asked!(call.set_next_token(next), report)
        }
        Report::Rightsizing | Report::Budgets => {
            let wanted = RightsizingRecommendationConfiguration::builder()
                .recommendation_target(RecommendationTarget::SameInstanceFamily)
                .benefits_considered(true)
                .build()
                .map_err(wrong)?;
            let call = client.get_rightsizing_recommendation();
            let call = call.service("AmazonEC2").configuration(wanted);
            asked!(call.filter(of(account)).set_next_page_token(next), report)
        }
    }
}

fn answer(report: Report, body: Vec<u8>) -> Result<Answer, CallError> {
    let read: Value = serde_json::from_slice(&body).map_err(|error| {
        CallError::Failed(format!(
            "{}: an answer without JSON: {error}",
            report.action()
        ))
    })?;
    // Where there is none, Budgets leaves the list out.
    if report == Report::Budgets && !read["Budgets"].is_array() {
        let told = format!("{}: no budgets", report.action());
        return Err(CallError::Nothing(told));
    }
    let next = ["NextPageToken", "NextToken"]
        .into_iter()
        .find_map(|name| read[name].as_str())
        .filter(|next| !next.is_empty())
        .map(str::to_owned);
    Ok(Answer { body, next })
}
