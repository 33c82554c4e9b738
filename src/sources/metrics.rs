//! `aws.metrics`: `CloudWatch` metric streams, in JSON (one or several objects a record) or
//! `OpenTelemetry`.
//!
//! The hot path: names go straight from the payload into inline strings, no tree is built.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::subject::{Path, check_name, kind_of_id, load_balancer_name, resource};
use super::{Decoded, FACTS_MAX, facts, otlp, undecodable};
use crate::model::{
    Dimensions, Fact, FactBody, MetricPoint, Statistics, Subject, Timestamp, Undecodable,
};

/// One object of a metric stream. Statistics beyond the four (`p99`, `TM(…)`) are passed over.
#[derive(Deserialize)]
struct RawPoint<'a> {
    #[serde(borrow)]
    account_id: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    namespace: SmolStr,
    metric_name: SmolStr,
    dimensions: RawDimensions,
    timestamp: i64,
    value: Statistics,
    unit: Option<SmolStr>,
}

/// The dimensions object, in the order sent.
struct RawDimensions(Dimensions);

impl<'de> Deserialize<'de> for RawDimensions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = RawDimensions;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of dimension names and values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawDimensions, A::Error> {
                let mut pairs = Dimensions::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(RawDimensions(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Decodes the points of one record, all of one account.
pub(super) fn decode(payload: &[u8]) -> Result<Decoded, Undecodable> {
    // `{` may also be the length of an OpenTelemetry request, which is no text.
    if payload.first() != Some(&b'{') && otlp::is_binary(payload) {
        return decode_otlp(payload);
    }
    let mut points = SmallVec::<[Fact; 1]>::new();
    let mut owner: Option<Cow<'_, str>> = None;
    for raw in serde_json::Deserializer::from_slice(payload).into_iter::<RawPoint<'_>>() {
        let raw = raw.map_err(|error| {
            undecodable(format!(
                "aws.metrics: point {}: {error}; expected metric-stream JSON",
                points.len() + 1
            ))
        })?;
        if points.len() == FACTS_MAX {
            return Err(undecodable(format!(
                "aws.metrics: more than {FACTS_MAX} points; split the record"
            )));
        }
        match &owner {
            Some(account) if *account == raw.account_id => {}
            Some(account) => {
                return Err(undecodable(format!(
                    "aws.metrics: points of accounts {account} and {} in one record; split it by account_id",
                    raw.account_id
                )));
            }
            None => {
                check_name("account_id", &raw.account_id)?;
                owner = Some(raw.account_id.clone());
            }
        }
        points.push(fact(raw)?);
    }
    if points.is_empty() {
        return Err(undecodable(
            "aws.metrics: the record holds no point; send metric-stream JSON".into(),
        ));
    }
    Ok(facts(points))
}

/// The same of `OpenTelemetry`'s format.
fn decode_otlp(payload: &[u8]) -> Result<Decoded, Undecodable> {
    let mut points = SmallVec::<[Fact; 1]>::new();
    let mut owner: Option<SmolStr> = None;
    otlp::points(payload, &mut |point| {
        if points.len() == FACTS_MAX {
            return Err(undecodable(format!(
                "aws.metrics: more than {FACTS_MAX} points; split the record"
            )));
        }
        match &owner {
            Some(account) if *account == point.account => {}
            Some(account) => {
                return Err(undecodable(format!(
                    "aws.metrics: points of accounts {account} and {} in one record; split it by account",
                    point.account
                )));
            }
            None => {
                check_name("cloud.account.id", &point.account)?;
                owner = Some(point.account.clone());
            }
        }
        points.push(fact(RawPoint {
            account_id: Cow::Borrowed(&point.account),
            region: Cow::Borrowed(&point.region),
            namespace: point.namespace,
            metric_name: point.name,
            dimensions: RawDimensions(point.dimensions.into_iter().collect()),
            timestamp: point.at_ms,
            value: Statistics {
                count: point.count,
                sum: point.sum,
                min: point.min,
                max: point.max,
            },
            unit: Some(point.unit),
        })?);
        Ok(())
    })?;
    if points.is_empty() {
        return Err(undecodable(
            "aws.metrics: the record holds no point; send metric-stream OpenTelemetry".into(),
        ));
    }
    Ok(facts(points))
}

fn fact(raw: RawPoint<'_>) -> Result<Fact, Undecodable> {
    check_name("region", &raw.region)?;
    for (field, text) in [
        ("namespace", &raw.namespace),
        ("metric_name", &raw.metric_name),
    ] {
        if text.is_empty() {
            return Err(undecodable(format!("aws.metrics: {field} is empty")));
        }
    }
    let RawDimensions(mut dimensions) = raw.dimensions;
    dimensions.sort_unstable();
    let point = MetricPoint {
        namespace: raw.namespace,
        name: raw.metric_name,
        dimensions,
        statistics: raw.value,
        unit: raw.unit.unwrap_or_default(),
    };
    Ok(Fact {
        subject: subject_of(&raw.account_id, &raw.region, &point),
        at: Timestamp::from_ms(raw.timestamp),
        // (subject, series, time) tells a point from any other.
        dedupe: None,
        body: FactBody::Metric(point),
    })
}

/// The resource a point measures, by its dimensions; else the series itself.
fn subject_of(account: &str, region: &str, point: &MetricPoint) -> Subject {
    let value = |name: &str| {
        let found = point.dimensions.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    // Other services name other things InstanceId and VolumeId: the id's prefix decides.
    for name in ["InstanceId", "VolumeId", "NatGatewayId"] {
        if let Some(id) = value(name)
            && let Some(kind @ ("instance" | "volume" | "natgateway")) = kind_of_id(id)
        {
            return resource(account, region, kind, id);
        }
    }
    if let Some(name) = value("AutoScalingGroupName") {
        return resource(account, region, "auto-scaling-group", name);
    }
    if let Some(id) = value("LoadBalancer").or_else(|| value("LoadBalancerName")) {
        return resource(account, region, "load-balancer", load_balancer_name(id));
    }
    let mut path = Path::new("metric");
    path.part(&point.namespace);
    path.part(&point.name);
    for (name, value) in &point.dimensions {
        path.pair(name, value);
    }
    path.subject(account, region)
}
