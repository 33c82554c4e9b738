//! Metric streams in `OpenTelemetry`'s format, written from points in JSON, and parsed by prost
//! alone.

use prost::Message as _;
use serde_json::Value;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resources>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Resources {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Pair>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
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
    points: Vec<Point>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Point {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(fixed64, tag = "2")]
    begun: u64,
    #[prost(fixed64, tag = "3")]
    ended: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, tag = "5")]
    sum: f64,
    #[prost(message, repeated, tag = "6")]
    quantiles: Vec<Quantile>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<Pair>,
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
struct Pair {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(message, optional, tag = "6")]
    pairs: Option<Pairs>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Pairs {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Pair>,
}

fn pair(key: &str, text: &str) -> Pair {
    Pair {
        key: key.to_owned(),
        value: Some(Any {
            text: Some(text.to_owned()),
            pairs: None,
        }),
    }
}

/// A metric-stream record in JSON as one request: its dimensions as labels, as 0.7 has them, or
/// as attributes.
pub(crate) fn record(json: &[u8], labels: bool) -> Vec<u8> {
    let points: Vec<Value> = serde_json::Deserializer::from_slice(json)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("the estate's points are JSON");
    let first = &points[0];
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let resource = Resource {
        attributes: vec![
            pair("cloud.provider", "aws"),
            pair("cloud.account.id", &text(first, "account_id")),
            pair("cloud.region", &text(first, "region")),
            pair(
                "aws.exporter.arn",
                "arn:aws:cloudwatch:eu-west-1:111122223333:metric-stream/s",
            ),
        ],
    };
    let metrics = points.iter().map(|point| metric(point, labels)).collect();
    let request = Request {
        resources: vec![Resources {
            resource: Some(resource),
            scopes: vec![Scope { metrics }],
        }],
    };
    request.encode_length_delimited_to_vec()
}

fn metric(point: &Value, labels: bool) -> Metric {
    let text = |name: &str| point[name].as_str().unwrap_or_default();
    let dimensions: Vec<(&str, &str)> = point["dimensions"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    let own = [
        ("Namespace", text("namespace")),
        ("MetricName", text("metric_name")),
    ];
    let number = |name: &str| point["value"][name].as_f64().unwrap_or_default();
    let begun = point["timestamp"].as_u64().unwrap_or_default() * 1_000_000;
    let mut made = Point {
        begun,
        ended: begun + 60_000_000_000,
        count: number("count") as u64,
        sum: number("sum"),
        quantiles: [(0.0, "min"), (1.0, "max")]
            .map(|(quantile, name)| Quantile {
                quantile,
                value: number(name),
            })
            .to_vec(),
        ..Point::default()
    };
    if labels {
        let all = own.iter().chain(&dimensions);
        made.labels = all
            .map(|(key, value)| Label {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
    } else {
        made.attributes = own.iter().map(|(key, value)| pair(key, value)).collect();
        let values = dimensions.iter().map(|(key, value)| pair(key, value));
        made.attributes.push(Pair {
            key: "Dimensions".to_owned(),
            value: Some(Any {
                text: None,
                pairs: Some(Pairs {
                    values: values.collect(),
                }),
            }),
        });
    }
    Metric {
        name: format!("amazonaws.com/{}/{}", own[0].1, own[1].1),
        unit: "{Count}".to_owned(),
        summary: Some(Summary { points: vec![made] }),
    }
}

/// Every request of the bytes, parsed.
pub(crate) fn parse(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let request = Request::decode_length_delimited(&mut bytes);
        assert!(std::hint::black_box(request).is_ok());
    }
}
