//! Kinds of the Auto Scaling and Elastic Load Balancing APIs, as JSON.

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, LaunchTemplateSpecification, ScalingPolicy, TargetTrackingConfiguration,
};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;

use super::fields::Fields;
use super::{Page, Wanted, action};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

/// The most that Elastic Load Balancing gives at once.
const BALANCERS_PAGE: i32 = 400;

impl Aws {
    pub(super) async fn balancers(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let (mut page, action) = (Page::default(), action(ItemKind::LoadBalancer));
        page.turn(self, place, action).await;
        let call = self.balancing(place).await?.describe_load_balancers();
        let call = match wanted.ids {
            // Names and a page's size exclude each other.
            Some(names) => call.set_names(Some(names.to_vec())),
            None => call
                .page_size(BALANCERS_PAGE)
                .set_marker(wanted.next.map(str::to_owned)),
        };
        let answer = call.send().await;
        let answer = answer.map_err(|error| CallError::of(action, &error))?;
        page.add(
            ItemKind::LoadBalancer,
            answer.load_balancers(),
            load_balancer,
        );
        page.then(answer.next_marker());
        Ok(page)
    }
}

fn template(item: &LaunchTemplateSpecification) -> Fields {
    Fields::default()
        .text("LaunchTemplateId", item.launch_template_id())
        .text("LaunchTemplateName", item.launch_template_name())
        .text("Version", item.version())
}

pub(super) fn group(item: &AutoScalingGroup) -> Fields {
    Fields::default()
        .text("AutoScalingGroupName", item.auto_scaling_group_name())
        .text("AutoScalingGroupARN", item.auto_scaling_group_arn())
        .text("LaunchConfigurationName", item.launch_configuration_name())
        .part("LaunchTemplate", item.launch_template(), template)
        .set("MinSize", item.min_size())
        .set("MaxSize", item.max_size())
        .set("DesiredCapacity", item.desired_capacity())
        .set("DefaultCooldown", item.default_cooldown())
        .texts("AvailabilityZones", item.availability_zones())
        .texts("LoadBalancerNames", item.load_balancer_names())
        .texts("TargetGroupARNs", item.target_group_arns())
        .text("HealthCheckType", item.health_check_type())
        .set("HealthCheckGracePeriod", item.health_check_grace_period())
        .text("VPCZoneIdentifier", item.vpc_zone_identifier())
        .text("Status", item.status())
        .time("CreatedTime", item.created_time())
        .set("CapacityRebalance", item.capacity_rebalance())
        .list("Instances", item.instances(), |instance| {
            Fields::default()
                .text("InstanceId", instance.instance_id())
                .text("InstanceType", instance.instance_type())
                .text("AvailabilityZone", instance.availability_zone())
                .text("LifecycleState", instance.lifecycle_state())
                .text("HealthStatus", instance.health_status())
                .set("ProtectedFromScaleIn", instance.protected_from_scale_in())
                .part("LaunchTemplate", instance.launch_template(), template)
        })
        .list(
            "SuspendedProcesses",
            item.suspended_processes(),
            |process| {
                Fields::default()
                    .text("ProcessName", process.process_name())
                    .text("SuspensionReason", process.suspension_reason())
            },
        )
        .list("Tags", item.tags(), |tag| {
            Fields::default()
                .text("Key", tag.key())
                .text("Value", tag.value())
                .set("PropagateAtLaunch", tag.propagate_at_launch())
        })
}

pub(super) fn policy(item: &ScalingPolicy) -> Fields {
    Fields::default()
        .text("PolicyARN", item.policy_arn())
        .text("PolicyName", item.policy_name())
        .text("AutoScalingGroupName", item.auto_scaling_group_name())
        .text("PolicyType", item.policy_type())
        .set("Enabled", item.enabled())
        .text("AdjustmentType", item.adjustment_type())
        .set("ScalingAdjustment", item.scaling_adjustment())
        .set("MinAdjustmentMagnitude", item.min_adjustment_magnitude())
        .set("Cooldown", item.cooldown())
        .set("EstimatedInstanceWarmup", item.estimated_instance_warmup())
        .text("MetricAggregationType", item.metric_aggregation_type())
        .list("StepAdjustments", item.step_adjustments(), |step| {
            Fields::default()
                .set(
                    "MetricIntervalLowerBound",
                    step.metric_interval_lower_bound(),
                )
                .set(
                    "MetricIntervalUpperBound",
                    step.metric_interval_upper_bound(),
                )
                .set("ScalingAdjustment", step.scaling_adjustment())
        })
        .part(
            "TargetTrackingConfiguration",
            item.target_tracking_configuration(),
            tracking,
        )
        .list("Alarms", item.alarms(), |alarm| {
            Fields::default()
                .text("AlarmName", alarm.alarm_name())
                .text("AlarmARN", alarm.alarm_arn())
        })
}

fn tracking(item: &TargetTrackingConfiguration) -> Fields {
    Fields::default()
        .set("TargetValue", item.target_value())
        .set("DisableScaleIn", item.disable_scale_in())
        .part(
            "PredefinedMetricSpecification",
            item.predefined_metric_specification(),
            |metric| {
                Fields::default()
                    .text("PredefinedMetricType", metric.predefined_metric_type())
                    .text("ResourceLabel", metric.resource_label())
            },
        )
        .part(
            "CustomizedMetricSpecification",
            item.customized_metric_specification(),
            |metric| {
                Fields::default()
                    .text("Namespace", metric.namespace())
                    .text("MetricName", metric.metric_name())
                    .text("Statistic", metric.statistic())
            },
        )
}

pub(super) fn load_balancer(item: &LoadBalancer) -> Fields {
    Fields::default()
        .text("LoadBalancerName", item.load_balancer_name())
        .text("LoadBalancerArn", item.load_balancer_arn())
        .text("DNSName", item.dns_name())
        .text("Type", item.r#type())
        .text("Scheme", item.scheme())
        .part("State", item.state(), |state| {
            Fields::default()
                .text("Code", state.code())
                .text("Reason", state.reason())
        })
        .time("CreatedTime", item.created_time())
        .text("VpcId", item.vpc_id())
        .text("IpAddressType", item.ip_address_type())
        .texts("SecurityGroups", item.security_groups())
        .list("AvailabilityZones", item.availability_zones(), |zone| {
            Fields::default()
                .text("ZoneName", zone.zone_name())
                .text("SubnetId", zone.subnet_id())
        })
}
