//! Target groups of load balancers, each with the health of its targets.

use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription};

use super::fields::Fields;
use super::{Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
/// Groups of a page, each of which takes a call: few, so that a sweep tells as it goes.
const PAGE: i32 = 50;

impl Aws {
    pub(super) async fn target_groups(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.balancing(place).await?;
        let mut page = Page::default();
        page.turn(self, place, GROUPS).await;
        let call = client.describe_target_groups();
        let call = match wanted.ids {
            // Names and a page's size exclude each other.
            Some(names) => call.set_names(Some(names.to_vec())),
            None => call
                .page_size(PAGE)
                .set_marker(wanted.next.map(str::to_owned)),
        };
        let answer = call.send().await;
        let answer = answer.map_err(|error| CallError::of(GROUPS, &error))?;
        for group in answer.target_groups() {
            page.turn(self, place, HEALTH).await;
            let looked = client
                .describe_target_health()
                .set_target_group_arn(group.target_group_arn().map(str::to_owned))
                .send()
                .await
                .map_err(|error| CallError::of(HEALTH, &error));
            let looked = match looked {
                // Deleted in between.
                Err(CallError::Missing(_)) => continue,
                looked => looked?,
            };
            let targets = looked.target_health_descriptions();
            page.add(ItemKind::TargetGroup, &[group], |group| {
                target_group(group, targets)
            });
        }
        page.then(answer.next_marker());
        Ok(page)
    }
}

fn target_group(item: &TargetGroup, targets: &[TargetHealthDescription]) -> Fields {
    Fields::default()
        .text("TargetGroupName", item.target_group_name())
        .text("TargetGroupArn", item.target_group_arn())
        .text("Protocol", item.protocol())
        .set("Port", item.port())
        .text("VpcId", item.vpc_id())
        .text("TargetType", item.target_type())
        .text("HealthCheckProtocol", item.health_check_protocol())
        .text("HealthCheckPort", item.health_check_port())
        .set("HealthCheckEnabled", item.health_check_enabled())
        .set(
            "HealthCheckIntervalSeconds",
            item.health_check_interval_seconds(),
        )
        .set(
            "HealthCheckTimeoutSeconds",
            item.health_check_timeout_seconds(),
        )
        .set("HealthyThresholdCount", item.healthy_threshold_count())
        .set("UnhealthyThresholdCount", item.unhealthy_threshold_count())
        .text("HealthCheckPath", item.health_check_path())
        .texts("LoadBalancerArns", item.load_balancer_arns())
        .list("TargetHealthDescriptions", targets, |described| {
            Fields::default()
                .part("Target", described.target(), |target| {
                    Fields::default()
                        .text("Id", target.id())
                        .set("Port", target.port())
                        .text("AvailabilityZone", target.availability_zone())
                })
                .text("HealthCheckPort", described.health_check_port())
                .part("TargetHealth", described.target_health(), |health| {
                    Fields::default()
                        .text("State", health.state())
                        .text("Reason", health.reason())
                        .text("Description", health.description())
                })
        })
}
