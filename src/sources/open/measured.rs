//! GetMetricData and GetMetricStatistics → points, as a metric stream would send them.

use serde_json::{Value, json};

use super::answers::list;
use super::{Object, Opener, Within, text, time};
use crate::model::Topic;
use crate::sources::{Shape, undecodable};

impl Opener {
    pub(super) fn metric_data(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        for result in list(answer, "MetricDataResults").filter_map(Value::as_object) {
            let label = text(result, "Label").or_else(|| text(result, "Id"));
            let times: Vec<&Value> = list(result, "Timestamps").collect();
            let values: Vec<&Value> = list(result, "Values").collect();
            if times.len() != values.len() {
                let reason = format!(
                    "GetMetricData: {} timestamps and {} values of {label:?}",
                    times.len(),
                    values.len()
                );
                self.refuse(Shape::ApiAnswer, raw, undecodable(reason));
                continue;
            }
            for (at, value) in times.into_iter().zip(values) {
                let value = value.as_f64();
                let statistics = value
                    .map(|value| json!({ "count": 1.0, "sum": value, "min": value, "max": value }));
                self.point(label, at, statistics.as_ref(), "None", raw, within);
            }
        }
        if self.parts.len() == before {
            self.ignore(Shape::ApiAnswer, raw, "GetMetricData without points");
        }
    }

    pub(super) fn metric_statistics(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        let label = text(answer, "Label");
        for point in list(answer, "Datapoints") {
            let number = |name: &str| point.get(name).and_then(Value::as_f64);
            let at = point.get("Timestamp").cloned().unwrap_or_default();
            let unit = point.get("Unit").and_then(Value::as_str).unwrap_or("None");
            let percentiles = point.get("ExtendedStatistics").and_then(Value::as_object);
            let count = number("SampleCount").unwrap_or(1.0);
            let average = number("Average").or_else(|| number("Sum").map(|sum| sum / count));
            let any = average
                .or_else(|| number("Maximum"))
                .or_else(|| number("Minimum"));
            if let Some(any) = any {
                let statistics = json!({
                    "count": count,
                    "sum": number("Sum").unwrap_or(any * count),
                    "min": number("Minimum").unwrap_or(any),
                    "max": number("Maximum").unwrap_or(any),
                });
                self.point(label, &at, Some(&statistics), unit, raw, within);
            }
            // A percentile is no average of its metric: it goes by a name of its own.
            for (name, value) in percentiles.into_iter().flatten() {
                let value = value.as_f64();
                let statistics = value
                    .map(|value| json!({ "count": 1.0, "sum": value, "min": value, "max": value }));
                let own = format!("{}.{name}", label.unwrap_or("metric"));
                self.point(Some(&own), &at, statistics.as_ref(), unit, raw, within);
            }
        }
        if self.parts.len() == before {
            self.ignore(Shape::ApiAnswer, raw, "GetMetricStatistics without points");
        }
    }

    pub(super) fn point(
        &mut self,
        label: Option<&str>,
        at: &Value,
        statistics: Option<&Value>,
        unit: &str,
        raw: &[u8],
        within: &Within,
    ) {
        let hints = &within.hints;
        let missing = if hints.account.is_none() {
            Some("no account; send it with one")
        } else if statistics.is_none() {
            Some("a value that is no number")
        } else {
            None
        };
        let (Some(at), None) = (time(at), missing) else {
            let reason = format!("metric answer: it has {}", missing.unwrap_or("no time"));
            return self.refuse(Shape::ApiAnswer, raw, undecodable(reason));
        };
        let dimensions: Object = hints
            .dimensions
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let point = json!({
            "account_id": hints.account,
            "region": hints.region.as_deref().unwrap_or("global"),
            "namespace": hints.namespace.as_deref().unwrap_or("Answer"),
            "metric_name": hints.name.as_deref().or(label).unwrap_or("metric"),
            "dimensions": dimensions,
            "timestamp": at.ms(),
            "value": statistics,
            "unit": unit,
        });
        let payload = point.to_string().into_bytes();
        self.record(Shape::ApiAnswer, Topic::AwsMetrics, payload, raw);
    }
}
