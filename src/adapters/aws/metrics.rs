//! CloudWatch: which series there are, and their points.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, StatusCode};
use aws_smithy_types::DateTime;

use serde::{Deserialize, Serialize};

use super::pool::Shelf;
use super::{Aws, CLIENTS_MAX, CallError, Place};

/// Queries of one call, at most; CloudWatch's own limit.
const QUERIES_MAX: usize = 500;
/// What is asked of each series: together they make a metric stream's record.
const STATISTICS: [&str; 4] = ["SampleCount", "Sum", "Minimum", "Maximum"];
/// Most percentiles beside them.
const PERCENTILES_MAX: usize = 100;
/// Most pages of one answer; beyond it CloudWatch is taken to repeat itself.
const PAGES_MAX: usize = 1_000;

/// One series: a metric of one combination of dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// `AWS/EC2`, …
    pub namespace: String,
    /// `CPUUtilization`, …
    pub name: String,
    /// By name.
    pub dimensions: Vec<(String, String)>,
}

/// How the points of a series are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Form {
    /// Seconds of a period.
    pub period_seconds: u32,
    /// Percentiles beside count, sum, least and most: `p95`.
    pub percentiles: Vec<String>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            period_seconds: 300,
            percentiles: Vec::new(),
        }
    }
}

impl Form {
    /// Queries that one series takes; CloudWatch counts each as a metric requested.
    pub fn queries(&self) -> usize {
        STATISTICS.len() + self.percentiles.len().min(PERCENTILES_MAX)
    }
    /// Series of one call.
    pub fn series_max(&self) -> usize {
        QUERIES_MAX / self.queries()
    }
    /// Milliseconds of a period.
    pub fn period_ms(&self) -> i64 {
        i64::from(self.period_seconds) * 1_000
    }
    fn statistics(&self) -> impl Iterator<Item = &str> {
        let percentiles = self.percentiles.iter().map(String::as_str);
        STATISTICS
            .into_iter()
            .chain(percentiles.take(PERCENTILES_MAX))
    }
}

/// One period of one series.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Point {
    /// Where the period begins, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Samples in it.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The percentiles asked for, in their order; those CloudWatch has none of are absent.
    pub percentiles: Vec<Option<f64>>,
}

/// What came of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// Every period that has data, oldest first; none is no data, not zero.
    Complete(Vec<Point>),
    /// CloudWatch does not let this one be read.
    Forbidden(String),
    /// CloudWatch could not say; to be asked again.
    Failed(String),
}

/// The clients of CloudWatch.
pub(super) type Clients = Shelf<aws_sdk_cloudwatch::Client>;

pub(super) fn clients() -> Clients {
    Shelf::new(CLIENTS_MAX)
}

/// Statistics of one series on their way in, by position in [`Form::statistics`].
struct Gathered {
    queries: usize,
    values: std::collections::BTreeMap<i64, Vec<Option<f64>>>,
    wrong: Option<Points>,
}

impl Aws {
    /// One page of the series of a namespace, and where the next begins.
    ///
    /// # Errors
    /// [`CallError`], naming the call.
    pub async fn series(
        &self,
        place: &Place,
        namespace: &str,
        next: Option<&str>,
    ) -> Result<(Vec<Series>, Option<String>), CallError> {
        self.buckets.take(place, "cloudwatch:ListMetrics").await;
        let answer = self
            .cloudwatch(place)
            .await?
            .list_metrics()
            .namespace(namespace)
            .set_next_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of("cloudwatch:ListMetrics", &error))?;
        let series = answer.metrics().iter().filter_map(|metric| {
            let mut dimensions: Vec<(String, String)> = metric
                .dimensions()
                .iter()
                .filter_map(|pair| Some((pair.name()?.to_owned(), pair.value()?.to_owned())))
                .collect();
            dimensions.sort();
            Some(Series {
                namespace: metric.namespace()?.to_owned(),
                name: metric.metric_name()?.to_owned(),
                dimensions,
            })
        });
        let next = answer.next_token().filter(|next| !next.is_empty());
        Ok((series.collect(), next.map(str::to_owned)))
    }

    /// The points of at most [`Form::series_max`] series from `from_ms` up to but not at `to_ms`, one
    /// answer a series in the same order.
    ///
    /// # Errors
    /// [`CallError`] when a page is missing: half an answer would pass for no data.
    pub async fn points(
        &self,
        place: &Place,
        series: &[Series],
        form: &Form,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<Points>, CallError> {
        let queries = queries(&series[..series.len().min(form.series_max())], form);
        let mut gathered: Vec<Gathered> = series.iter().map(|_| Gathered::of(form)).collect();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            self.buckets.take(place, "cloudwatch:GetMetricData").await;
            let answer = self
                .cloudwatch(place)
                .await?
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_millis(from_ms))
                .end_time(DateTime::from_millis(to_ms))
                .set_next_token(next.take())
                .send()
                .await
                .map_err(|error| CallError::of("cloudwatch:GetMetricData", &error))?;
            for result in answer.metric_data_results() {
                take(result, &mut gathered);
            }
            next = answer
                .next_token()
                .filter(|next| !next.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(gathered.into_iter().map(Gathered::points).collect());
            }
        }
        Err(CallError::Failed(format!(
            "cloudwatch:GetMetricData: more than {PAGES_MAX} pages"
        )))
    }
}

/// `s<series>x<statistic>`: ids begin with a lower-case letter.
fn queries(series: &[Series], form: &Form) -> Vec<MetricDataQuery> {
    let mut queries = Vec::with_capacity(series.len() * form.queries());
    for (at, one) in series.iter().enumerate() {
        let dimensions = one.dimensions.iter();
        let dimensions = dimensions
            .map(|(name, value)| Dimension::builder().name(name).value(value).build())
            .collect();
        let metric = Metric::builder()
            .namespace(&one.namespace)
            .metric_name(&one.name)
            .set_dimensions(Some(dimensions))
            .build();
        for (which, statistic) in form.statistics().enumerate() {
            let asked = MetricStat::builder()
                .metric(metric.clone())
                .period(form.period_seconds as i32)
                .stat(statistic)
                .build();
            let query = MetricDataQuery::builder().id(format!("s{at}x{which}"));
            queries.push(query.metric_stat(asked).build());
        }
    }
    queries
}

fn take(result: &aws_sdk_cloudwatch::types::MetricDataResult, gathered: &mut [Gathered]) {
    let position = result.id().and_then(|id| {
        let (at, which) = id.strip_prefix('s')?.split_once('x')?;
        Some((at.parse::<usize>().ok()?, which.parse::<usize>().ok()?))
    });
    let Some((at, which)) = position else {
        return;
    };
    let Some(gathered) = gathered.get_mut(at).filter(|one| which < one.queries) else {
        return;
    };
    let said = || {
        let messages = result
            .messages()
            .iter()
            .filter_map(|message| message.value());
        messages.collect::<Vec<_>>().join("; ")
    };
    match result.status_code() {
        Some(StatusCode::Forbidden) => gathered.wrong = Some(Points::Forbidden(said())),
        Some(StatusCode::InternalError) => gathered.wrong = Some(Points::Failed(said())),
        // Partial data goes on with the next page.
        _ => {}
    }
    for (time, value) in result.timestamps().iter().zip(result.values()) {
        let Ok(at_ms) = time.to_millis() else {
            continue;
        };
        let values = gathered.values.entry(at_ms);
        values.or_insert_with(|| vec![None; gathered.queries])[which] = Some(*value);
    }
}

impl Gathered {
    fn of(form: &Form) -> Self {
        Self {
            queries: form.queries(),
            values: std::collections::BTreeMap::new(),
            wrong: None,
        }
    }

    fn points(self) -> Points {
        if let Some(wrong) = self.wrong {
            return wrong;
        }
        let points = self.values.into_iter().filter_map(|(at_ms, values)| {
            // A period without all four is still being written.
            let [
                Some(count),
                Some(sum),
                Some(min),
                Some(max),
                percentiles @ ..,
            ] = values.as_slice()
            else {
                return None;
            };
            Some(Point {
                at_ms,
                count: *count,
                sum: *sum,
                min: *min,
                max: *max,
                percentiles: percentiles.to_vec(),
            })
        });
        Points::Complete(points.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudwatch::types::{MessageData, MetricDataResult};

    fn series(count: usize) -> Vec<Series> {
        let one = |number: usize| Series {
            namespace: "AWS/EC2".to_owned(),
            name: "CPUUtilization".to_owned(),
            dimensions: vec![("InstanceId".to_owned(), format!("i-{number}"))],
        };
        (0..count).map(one).collect()
    }

    fn result(id: &str, status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
        let times = points.iter().map(|(at, _)| DateTime::from_millis(*at));
        MetricDataResult::builder()
            .id(id)
            .status_code(status)
            .set_timestamps(Some(times.collect()))
            .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
            .build()
    }

    #[test]
    fn a_call_asks_for_as_many_series_as_its_queries_hold_each_with_its_own_id() {
        let form = Form::default();
        let queries = queries(&series(form.series_max()), &form);
        assert_eq!(queries.len(), QUERIES_MAX);
        let ids: std::collections::BTreeSet<_> =
            queries.iter().filter_map(MetricDataQuery::id).collect();
        assert_eq!(ids.len(), QUERIES_MAX);
        assert!(ids.iter().all(|id| id.starts_with('s')));
        let last = queries[QUERIES_MAX - 1].metric_stat().expect("a statistic");
        assert_eq!((last.stat(), last.period()), (Some("Maximum"), Some(300)));
    }

    #[test]
    fn percentiles_are_asked_beside_the_four_and_one_that_is_not_there_leaves_the_point() {
        let form = Form {
            period_seconds: 60,
            percentiles: vec!["p95".to_owned(), "p99.9".to_owned()],
        };
        assert_eq!((form.queries(), form.series_max()), (6, 83));
        let queries = queries(&series(1), &form);
        let asked: Vec<_> = queries
            .iter()
            .filter_map(|query| query.metric_stat()?.stat())
            .collect();
        assert_eq!(
            asked,
            ["SampleCount", "Sum", "Minimum", "Maximum", "p95", "p99.9"]
        );
        assert!(queries.iter().all(|query| {
            query
                .metric_stat()
                .is_some_and(|stat| stat.period() == Some(60))
        }));
        let mut gathered = [Gathered::of(&form)];
        for which in 0..5 {
            let id = format!("s0x{which}");
            take(
                &result(&id, StatusCode::Complete, &[(60_000, f64::from(which))]),
                &mut gathered,
            );
        }
        let [gathered] = gathered;
        let Points::Complete(points) = gathered.points() else {
            panic!("complete");
        };
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].percentiles, [Some(4.0), None]);
    }

    #[test]
    fn pages_of_partial_data_are_put_together_and_a_period_without_all_four_is_none_yet() {
        let form = Form::default();
        let mut gathered = [Gathered::of(&form), Gathered::of(&form)];
        for which in 0..STATISTICS.len() {
            let id = format!("s0x{which}");
            // Newest first, as CloudWatch sends them, over two pages.
            let first = result(
                &id,
                StatusCode::PartialData,
                &[(900_000, 3.0), (600_000, 2.0)],
            );
            let second = result(&id, StatusCode::Complete, &[(300_000, 1.0)]);
            for page in [first, second] {
                take(&page, &mut gathered);
            }
        }
        take(
            &result("s1x1", StatusCode::Complete, &[(300_000, 1.0)]),
            &mut gathered,
        );
        for unknown in ["s7x0", "s0x9", "x", "s0"] {
            take(
                &result(unknown, StatusCode::Complete, &[(1, 1.0)]),
                &mut gathered,
            );
        }
        let [whole, partial] = gathered.map(Gathered::points);
        let Points::Complete(points) = whole else {
            panic!("{whole:?}");
        };
        let told: Vec<(i64, f64)> = points
            .iter()
            .map(|point| (point.at_ms, point.sum))
            .collect();
        assert_eq!(told, [(300_000, 1.0), (600_000, 2.0), (900_000, 3.0)]);
        assert_eq!(partial, Points::Complete(Vec::new()));
    }

    #[test]
    fn no_data_a_refusal_and_a_fault_are_three_things() {
        let form = Form::default();
        let mut gathered: Vec<_> = (0..3).map(|_| Gathered::of(&form)).collect();
        take(&result("s0x0", StatusCode::Complete, &[]), &mut gathered);
        let told = MessageData::builder()
            .code("Denied")
            .value("not yours")
            .build();
        let mut forbidden = result("s1x0", StatusCode::Forbidden, &[]);
        forbidden.messages = Some(vec![told]);
        take(&forbidden, &mut gathered);
        take(
            &result("s2x0", StatusCode::InternalError, &[]),
            &mut gathered,
        );
        let points: Vec<_> = gathered.into_iter().map(Gathered::points).collect();
        assert_eq!(
            points,
            [
                Points::Complete(Vec::new()),
                Points::Forbidden("not yours".to_owned()),
                Points::Failed(String::new()),
            ]
        );
    }
}
