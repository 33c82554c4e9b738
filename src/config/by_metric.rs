//! Metrics that are pulled otherwise than the rest.

use schemars::JsonSchema;
use serde::Deserialize;

use super::list;
use super::sources::retention_hours;

/// Most percentiles of one metric; each is paid for like a metric.
const PERCENTILES_MAX: usize = 10;

/// A metric, or all of a namespace, that is pulled otherwise than the rest.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByMetric {
    /// Namespace (`AWS/EC2`) or metric (`AWS/EC2:CPUUtilization`). The first that fits counts.
    pub metric: String,
    /// Seconds a point is about: 60, 300 or 3600; `sources.metrics.period_seconds` when absent.
    pub period_seconds: Option<u32>,
    /// Percentiles asked for beside count, sum, least and most: `p95`, `p99.9`.
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub percentiles: Vec<String>,
}

/// `p50`, `p99.9`: above 0, up to 100, as CloudWatch has them.
fn percentile(text: &str) -> bool {
    let number = text.strip_prefix('p').unwrap_or_default();
    let plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain
        && number
            .parse::<f64>()
            .is_ok_and(|share| share > 0.0 && share <= 100.0)
}

/// Whether a pattern, a namespace or `namespace:metric`, fits.
#[cfg(feature = "aws")]
pub(crate) fn fits(pattern: &str, namespace: &str, name: &str) -> bool {
    match pattern.split_once(':') {
        Some((space, metric)) => space == namespace && metric == name,
        None => pattern == namespace,
    }
}

/// What is wrong with the list; `back_fill_hours` are those of every metric.
pub(super) fn problems(
    list: &[ByMetric],
    back_fill_hours: u32,
    add: &mut impl FnMut(&str, String, &str),
) {
    for (index, one) in list.iter().enumerate() {
        let path = |name: &str| format!("sources.metrics.by_metric.{}.{name}", index + 1);
        if one.metric.split(':').any(str::is_empty) || one.metric.matches(':').count() > 1 {
            add(
                &path("metric"),
                format!("{:?} names neither a namespace nor a metric", one.metric),
                "write AWS/EC2 or AWS/EC2:CPUUtilization",
            );
        }
        if let Some(period) = one.period_seconds {
            match retention_hours(period) {
                None => add(
                    &path("period_seconds"),
                    format!("{period} is none of 60, 300 and 3600"),
                    "leave it out for sources.metrics.period_seconds",
                ),
                Some(kept) if back_fill_hours > kept => add(
                    &path("period_seconds"),
                    format!("CloudWatch keeps points of this period for {kept} hours only"),
                    "take fewer sources.metrics.back_fill_hours, or a longer period",
                ),
                Some(_) => {}
            }
        }
        if let Some(odd) = one.percentiles.iter().find(|text| !percentile(text)) {
            add(
                &path("percentiles"),
                format!("{odd:?} is no percentile"),
                "write p50, p95 or p99.9",
            );
        }
        if one.percentiles.len() > PERCENTILES_MAX {
            add(
                &path("percentiles"),
                format!("{} are more than {PERCENTILES_MAX}", one.percentiles.len()),
                "each is paid for like a metric: take those that somebody reads",
            );
        }
    }
}
