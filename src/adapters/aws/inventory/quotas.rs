//! How much of a service an account may have in a region. What it has of that, CloudWatch's
//! `AWS/Usage` tells, by the metric that a quota names.

use std::collections::BTreeMap;

use aws_sdk_servicequotas::operation::list_service_quotas::ListServiceQuotasOutput;
use aws_sdk_servicequotas::types::{MetricInfo, ServiceQuota};

use super::fields::Fields;
use super::{Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const QUOTAS: &str = "servicequotas:ListServiceQuotas";
/// The most that the call gives at once.
const PAGE: i32 = 100;
/// Services that the inventory has resources of, by their codes in Service Quotas.
const SERVICES: [&str; 5] = ["ec2", "ebs", "vpc", "elasticloadbalancing", "autoscaling"];

impl Aws {
    /// A page of one service; the first page of the next service follows its last.
    pub(super) async fn service_quotas(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.quotas(place).await?;
        let (service, next) = begun(wanted.next.unwrap_or_default());
        let mut page = Page::default();
        page.turn(self, place, QUOTAS).await;
        let answer = client
            .list_service_quotas()
            .set_service_code(SERVICES.get(service).map(|code| (*code).to_owned()))
            .max_results(PAGE)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| CallError::of(QUOTAS, &error));
        let answer = match answer {
            // A service that the region does not have.
            Err(CallError::Missing(_)) => ListServiceQuotasOutput::builder().build(),
            answer => answer?,
        };
        page.add(ItemKind::ServiceQuota, answer.quotas(), quota);
        page.then(then(service, answer.next_token()).as_deref());
        Ok(page)
    }
}

/// Where a page begins: which service, and after what of it.
fn begun(next: &str) -> (usize, Option<String>) {
    let (service, after) = next.split_once(' ').unwrap_or((next, ""));
    let after = Some(after.to_owned()).filter(|after| !after.is_empty());
    (service.parse().unwrap_or_default(), after)
}

/// Where the page after one begins; `None` after the last service's last.
fn then(service: usize, token: Option<&str>) -> Option<String> {
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Some(format!("{service} {token}")),
        None => (service + 1 < SERVICES.len()).then(|| format!("{} ", service + 1)),
    }
}

fn quota(item: &ServiceQuota) -> Fields {
    Fields::default()
        .text("QuotaCode", item.quota_code())
        .text("QuotaName", item.quota_name())
        .text("QuotaArn", item.quota_arn())
        .text("ServiceCode", item.service_code())
        .set("Value", item.value())
        .text("Unit", item.unit())
        .set("Adjustable", Some(item.adjustable()))
        .set("GlobalQuota", Some(item.global_quota()))
        .part("UsageMetric", item.usage_metric(), usage)
}

fn usage(item: &MetricInfo) -> Fields {
    Fields::default()
        .text("MetricNamespace", item.metric_namespace())
        .text("MetricName", item.metric_name())
        .part("MetricDimensions", item.metric_dimensions(), |all| {
            // In an order: what comes in another one than before would be told again.
            let sorted: BTreeMap<&String, &String> = all.iter().collect();
            let each = |fields: Fields, (name, value): (&String, _)| fields.text(name, Some(value));
            sorted.into_iter().fold(Fields::default(), each)
        })
        .text(
            "MetricStatisticRecommendation",
            item.metric_statistic_recommendation(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_through_every_service_and_end() {
        let mut at = String::new();
        let mut seen = Vec::new();
        // The first service has two pages.
        while let (service, after) = begun(&at)
            && seen.len() < 20
        {
            seen.push((SERVICES[service], after.clone()));
            let token = (service == 0 && after.is_none()).then_some("a b");
            let Some(next) = then(service, token) else {
                break;
            };
            at = next;
        }
        let once = |code| (code, None);
        assert_eq!(
            seen,
            [
                once("ec2"),
                ("ec2", Some("a b".to_owned())),
                once("ebs"),
                once("vpc"),
                once("elasticloadbalancing"),
                once("autoscaling"),
            ]
        );
    }
}
