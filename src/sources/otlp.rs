//! Metric streams in `OpenTelemetry` 0.7 and 1.0: length-delimited `ExportMetricsServiceRequest`s.
//!
//! The two write dimensions into different fields of a data point: 0.7 as flat labels in field 1,
//! 1.0 as attributes in field 7. A reader that knows one of them loses the other's dimensions
//! without an error, so both are declared here, and a point that has neither is refused.

use prost::Message as _;
use serde_json::{Map, Number, Value};
use smol_str::SmolStr;

use super::undecodable;
use crate::model::Undecodable;

/// What metric names begin with.
const NAME_PREFIX: &str = "amazonaws.com/";
/// Nanoseconds in a millisecond.
const MS_NANOS: u64 = 1_000_000;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    /// 0.7 calls them instrumentation libraries, 1.0 scopes; number and shape are the same.
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(message, optional, tag = "11")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    points: Vec<DataPoint>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DataPoint {
    /// Of 0.7 alone.
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(fixed64, tag = "2")]
    start_time: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, tag = "5")]
    sum: f64,
    #[prost(message, repeated, tag = "6")]
    quantiles: Vec<Quantile>,
    /// Of 1.0 alone.
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(message, optional, tag = "6")]
    pairs: Option<KeyValues>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValues {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

/// One data point, in the words of the JSON format.
pub(super) struct Point {
    pub(super) account: SmolStr,
    pub(super) region: SmolStr,
    pub(super) namespace: SmolStr,
    pub(super) name: SmolStr,
    /// In the order sent.
    pub(super) dimensions: Vec<(SmolStr, SmolStr)>,
    /// Start of the period in milliseconds, which is what the JSON format calls its timestamp.
    pub(super) at_ms: i64,
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Percentiles by name, such as `p99.9`.
    pub(super) percentiles: Vec<(String, f64)>,
    pub(super) unit: SmolStr,
}

/// Whether the bytes are no text: JSON holds no control characters but blanks, protobuf does.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let blank = |byte: u8| matches!(byte, b'\n' | b'\r' | b'\t');
    bytes.iter().any(|byte| *byte < b' ' && !blank(*byte))
}

/// Gives every point of the record to `each`.
///
/// # Errors
/// [`Undecodable`] when the bytes are not length-delimited requests, or a point would lose its
/// dimensions; then points before it may have been given.
pub(super) fn points(
    mut bytes: &[u8],
    each: &mut dyn FnMut(Point) -> Result<(), Undecodable>,
) -> Result<(), Undecodable> {
    let mut number = 0_usize;
    while !bytes.is_empty() {
        number += 1;
        let failed = |error: &dyn std::fmt::Display| {
            undecodable(format!(
                "aws.metrics: request {number}: {error}; expected OpenTelemetry metrics, each \
                 request preceded by its length as a varint"
            ))
        };
        let length = prost::decode_length_delimiter(&mut bytes).map_err(|error| failed(&error))?;
        let Some((message, rest)) = bytes.split_at_checked(length) else {
            return Err(failed(&format!(
                "{length} bytes announced, {} there",
                bytes.len()
            )));
        };
        bytes = rest;
        let request = Request::decode(message).map_err(|error| failed(&error))?;
        for resource in &request.resources {
            of_resource(resource, each)?;
        }
    }
    Ok(())
}

fn of_resource(
    metrics: &ResourceMetrics,
    each: &mut dyn FnMut(Point) -> Result<(), Undecodable>,
) -> Result<(), Undecodable> {
    let attribute = |name: &str| {
        let attributes = metrics
            .resource
            .iter()
            .flat_map(|resource| &resource.attributes);
        attributes
            .filter(|pair| pair.key == name)
            .find_map(|pair| pair.value.as_ref())
            .map(AnyValue::text)
            .filter(|text| !text.is_empty())
            .map(SmolStr::new)
            .ok_or_else(|| {
                undecodable(format!("aws.metrics: a resource has no attribute `{name}`"))
            })
    };
    let account = attribute("cloud.account.id")?;
    let region = attribute("cloud.region")?;
    for metric in metrics.scopes.iter().flat_map(|scope| &scope.metrics) {
        let Some(summary) = &metric.summary else {
            return Err(undecodable(format!(
                "aws.metrics: metric {:?} is no summary; metric streams send nothing else",
                metric.name
            )));
        };
        for point in &summary.points {
            each(of_point(metric, point, &account, &region)?)?;
        }
    }
    Ok(())
}

fn of_point(
    metric: &Metric,
    point: &DataPoint,
    account: &SmolStr,
    region: &SmolStr,
) -> Result<Point, Undecodable> {
    let (namespace, name, dimensions) = series_of(metric, point)?;
    if !point.sum.is_finite() || point.quantiles.iter().any(|pair| !pair.value.is_finite()) {
        return Err(undecodable(format!(
            "aws.metrics: a point of {:?} holds a value that is no number",
            metric.name
        )));
    }
    let at = |quantile: f64| {
        let found = point
            .quantiles
            .iter()
            .find(|pair| (pair.quantile - quantile).abs() < f64::EPSILON);
        found.map(|pair| pair.value)
    };
    let average = if point.count > 0 {
        point.sum / point.count as f64
    } else {
        0.0
    };
    let begun = if point.start_time > 0 {
        point.start_time
    } else {
        point.time
    };
    Ok(Point {
        account: account.clone(),
        region: region.clone(),
        namespace,
        name,
        dimensions,
        at_ms: i64::try_from(begun / MS_NANOS).unwrap_or(i64::MAX),
        count: point.count as f64,
        sum: point.sum,
        min: at(0.0).unwrap_or(average),
        max: at(1.0).unwrap_or(average),
        percentiles: point
            .quantiles
            .iter()
            .filter(|pair| pair.quantile > 0.0 && pair.quantile < 1.0)
            .map(|pair| (percentile(pair.quantile), pair.value))
            .collect(),
        unit: unit(&metric.unit),
    })
}

/// Namespace, name and dimensions of a point, from its labels or attributes.
fn series_of(metric: &Metric, point: &DataPoint) -> Result<Series, Undecodable> {
    let own = metric
        .name
        .strip_prefix(NAME_PREFIX)
        .unwrap_or(&metric.name);
    let (mut namespace, mut name) = own.rsplit_once('/').unwrap_or(("", own));
    let mut dimensions = Vec::new();
    if !point.attributes.is_empty() {
        for pair in &point.attributes {
            let value = pair.value.as_ref();
            match pair.key.as_str() {
                "Namespace" => namespace = value.map_or(namespace, AnyValue::text),
                "MetricName" => name = value.map_or(name, AnyValue::text),
                _ => pairs_into(&pair.key, value, &mut dimensions),
            }
        }
    } else if !point.labels.is_empty() {
        // A dimension may be called Namespace too: the metric's own label comes first.
        let (mut had_namespace, mut had_name) = (false, false);
        for label in &point.labels {
            match label.key.as_str() {
                "Namespace" if !had_namespace => {
                    (namespace, had_namespace) = (label.value.as_str(), true);
                }
                "MetricName" if !had_name => (name, had_name) = (label.value.as_str(), true),
                _ => dimensions.push((SmolStr::new(&label.key), SmolStr::new(&label.value))),
            }
        }
    } else {
        return Err(undecodable(format!(
            "aws.metrics: a point of {:?} has neither labels nor attributes, so its dimensions \
             would be lost; send OpenTelemetry 0.7 or 1.0",
            metric.name
        )));
    }
    Ok((SmolStr::new(namespace), SmolStr::new(name), dimensions))
}

/// Namespace, name, dimensions in the order sent.
type Series = (SmolStr, SmolStr, Vec<(SmolStr, SmolStr)>);

/// The `Dimensions` list's entries; any other attribute is a dimension itself.
fn pairs_into(key: &str, value: Option<&AnyValue>, dimensions: &mut Vec<(SmolStr, SmolStr)>) {
    let Some(value) = value else { return };
    match &value.pairs {
        Some(pairs) => {
            for pair in &pairs.values {
                let text = pair.value.as_ref().map_or("", AnyValue::text);
                dimensions.push((SmolStr::new(&pair.key), SmolStr::new(text)));
            }
        }
        None if key == "Dimensions" && value.text.is_none() => {}
        None => dimensions.push((SmolStr::new(key), SmolStr::new(value.text()))),
    }
}

/// `0.999` → `p99.9`, without the digits that a double adds.
fn percentile(quantile: f64) -> String {
    let rounded = (quantile * 1e8).round() / 1e6;
    format!("p{rounded}")
}

/// CloudWatch's name of a UCUM unit; a unit that is not in AWS's table stays as it is.
fn unit(ucum: &str) -> SmolStr {
    let (base, per) = match ucum.split_once('/') {
        Some((base, "s")) => (base, "/Second"),
        _ => (ucum, ""),
    };
    let name = match base {
        "s" => "Seconds",
        "us" => "Microseconds",
        "ms" => "Milliseconds",
        "By" => "Bytes",
        "kBy" => "Kilobytes",
        "MBy" => "Megabytes",
        "GBy" => "Gigabytes",
        "TBy" => "Terabytes",
        "bit" => "Bits",
        "kbit" => "Kilobits",
        "Mbit" => "Megabits",
        "Gbit" => "Gigabits",
        "Tbit" => "Terabits",
        "%" => "Percent",
        "{Count}" => "Count",
        "" | "1" | "{None}" => "None",
        _ => return SmolStr::new(ucum),
    };
    SmolStr::new(format!("{name}{per}"))
}

impl Point {
    /// The point as the JSON format writes it, one line.
    pub(super) fn json(&self) -> Vec<u8> {
        let mut dimensions = Map::new();
        for (name, value) in &self.dimensions {
            dimensions.insert(name.to_string(), Value::from(value.as_str()));
        }
        let number = |value: f64| Number::from_f64(value).map_or(Value::from(0), Value::Number);
        let mut value = Map::new();
        for (name, each) in [
            ("max", self.max),
            ("min", self.min),
            ("sum", self.sum),
            ("count", self.count),
        ] {
            value.insert(name.to_owned(), number(each));
        }
        for (name, each) in &self.percentiles {
            value.insert(name.clone(), number(*each));
        }
        serde_json::json!({
            "account_id": self.account.as_str(),
            "region": self.region.as_str(),
            "namespace": self.namespace.as_str(),
            "metric_name": self.name.as_str(),
            "dimensions": dimensions,
            "timestamp": self.at_ms,
            "value": value,
            "unit": self.unit.as_str(),
        })
        .to_string()
        .into_bytes()
    }
}
