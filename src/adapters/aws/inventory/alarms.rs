//! CloudWatch's alarms with their states, as JSON.

use aws_sdk_cloudwatch::types::{
    AlarmType, CompositeAlarm, Dimension, MetricAlarm, MetricDataQuery, MetricStat,
};
use serde_json::Value;

use super::fields::Fields;
use crate::adapters::aws::{Aws, CallError, Place};

/// What allows them to be read.
const ACTION: &str = "cloudwatch:DescribeAlarms";
/// Alarms of one page; CloudWatch's own limit.
const ALARMS_A_PAGE: i32 = 100;

fn dimension(item: &Dimension) -> Fields {
    Fields::default()
        .text("Name", item.name())
        .text("Value", item.value())
}

fn statistic(item: &MetricStat) -> Fields {
    Fields::default()
        .part("Metric", item.metric(), |metric| {
            Fields::default()
                .text("Namespace", metric.namespace())
                .text("MetricName", metric.metric_name())
                .list("Dimensions", metric.dimensions(), dimension)
        })
        .set("Period", item.period())
        .text("Stat", item.stat())
        .text("Unit", item.unit())
}

fn query(item: &MetricDataQuery) -> Fields {
    Fields::default()
        .text("Id", item.id())
        .part("MetricStat", item.metric_stat(), statistic)
        .text("Expression", item.expression())
        .text("Label", item.label())
        .set("ReturnData", item.return_data())
        .set("Period", item.period())
        .text("AccountId", item.account_id())
}

fn metric_alarm(item: &MetricAlarm) -> Fields {
    Fields::default()
        .text("AlarmName", item.alarm_name())
        .text("AlarmArn", item.alarm_arn())
        .text("AlarmDescription", item.alarm_description())
        .time(
            "AlarmConfigurationUpdatedTimestamp",
            item.alarm_configuration_updated_timestamp(),
        )
        .set("ActionsEnabled", item.actions_enabled())
        .texts("OKActions", item.ok_actions())
        .texts("AlarmActions", item.alarm_actions())
        .texts("InsufficientDataActions", item.insufficient_data_actions())
        .text("StateValue", item.state_value())
        .text("StateReason", item.state_reason())
        .text("StateReasonData", item.state_reason_data())
        .time("StateUpdatedTimestamp", item.state_updated_timestamp())
        .time(
            "StateTransitionedTimestamp",
            item.state_transitioned_timestamp(),
        )
        .text("MetricName", item.metric_name())
        .text("Namespace", item.namespace())
        .text("Statistic", item.statistic())
        .text("ExtendedStatistic", item.extended_statistic())
        .list("Dimensions", item.dimensions(), dimension)
        .set("Period", item.period())
        .text("Unit", item.unit())
        .set("EvaluationPeriods", item.evaluation_periods())
        .set("DatapointsToAlarm", item.datapoints_to_alarm())
        .set("Threshold", item.threshold())
        .text("ComparisonOperator", item.comparison_operator())
        .text("TreatMissingData", item.treat_missing_data())
        .list("Metrics", item.metrics(), query)
        .text("ThresholdMetricId", item.threshold_metric_id())
        .text("EvaluationState", item.evaluation_state())
}

fn composite_alarm(item: &CompositeAlarm) -> Fields {
    Fields::default()
        .text("AlarmName", item.alarm_name())
        .text("AlarmArn", item.alarm_arn())
        .text("AlarmDescription", item.alarm_description())
        .text("AlarmRule", item.alarm_rule())
        .time(
            "AlarmConfigurationUpdatedTimestamp",
            item.alarm_configuration_updated_timestamp(),
        )
        .set("ActionsEnabled", item.actions_enabled())
        .texts("OKActions", item.ok_actions())
        .texts("AlarmActions", item.alarm_actions())
        .texts("InsufficientDataActions", item.insufficient_data_actions())
        .text("StateValue", item.state_value())
        .text("StateReason", item.state_reason())
        .text("StateReasonData", item.state_reason_data())
        .time("StateUpdatedTimestamp", item.state_updated_timestamp())
        .time(
            "StateTransitionedTimestamp",
            item.state_transitioned_timestamp(),
        )
        .text("ActionsSuppressor", item.actions_suppressor())
        .text("ActionsSuppressedBy", item.actions_suppressed_by())
        .text("ActionsSuppressedReason", item.actions_suppressed_reason())
}

impl Aws {
    /// One page of a place's alarms, metric alarms and composite ones alike, each as the API shows
    /// it, and where the next begins.
    ///
    /// # Errors
    /// [`CallError`], naming the call.
    pub async fn alarms(
        &self,
        place: &Place,
        next: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), CallError> {
        self.buckets.take(place, ACTION).await;
        let answer = self
            .cloudwatch(place)
            .await?
            .describe_alarms()
            // Composite ones are left out unless they are named.
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .max_records(ALARMS_A_PAGE)
            .set_next_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(ACTION, &error))?;
        let metric = answer.metric_alarms().iter().map(metric_alarm);
        let composite = answer.composite_alarms().iter().map(composite_alarm);
        let alarms = metric.chain(composite).map(Fields::value).collect();
        let next = answer.next_token().filter(|next| !next.is_empty());
        Ok((alarms, next.map(str::to_owned)))
    }
}
