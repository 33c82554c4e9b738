//! Decoders against the program's real input, and against anything at all.
#![allow(clippy::print_stdout, reason = "a test that could not run says so")]

use std::path::{Path, PathBuf};

use skyherd::model::{Event, Fact, FactBody, Message, Topic, Undecodable};
use skyherd::sources::{Decoded, decode};

pub(crate) mod bills;
mod corpus;
mod kinds;
mod manifest;
mod opened;
mod properties;
mod replay;

/// The public samples; `None`, said clearly, where the machine has none.
fn samples(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("NOT RUN: the samples {} are absent", path.display());
    None
}

/// The facts of a record that must decode.
fn facts(topic: Topic, payload: &str) -> Vec<Fact> {
    match decode(topic, None, Some(payload.as_bytes())) {
        Ok(Decoded::Message(Message::Facts(facts))) => facts.into_vec(),
        other => panic!("{topic}: expected facts, got {other:?} from {payload}"),
    }
}

/// Why a record that must not decode does not.
fn refused(topic: Topic, payload: &str) -> String {
    match decode(topic, None, Some(payload.as_bytes())) {
        Err(Undecodable(reason)) => reason,
        other => panic!("{topic}: expected a refusal, got {other:?} from {payload}"),
    }
}

/// The event of a fact.
fn event(fact: &Fact) -> &Event {
    match &fact.body {
        FactBody::Event(event) => event,
        other => panic!("expected an event, got {other:?}"),
    }
}

/// A valid record of every raw topic, with the fields it cannot do without.
fn valid_records() -> Vec<(Topic, serde_json::Value, Vec<&'static str>)> {
    use serde_json::json;
    vec![
        (
            Topic::AwsMetrics,
            json!({
                "metric_stream_name": "s", "account_id": "111122223333", "region": "eu-west-1",
                "namespace": "AWS/EC2", "metric_name": "CPUUtilization",
                "dimensions": {"InstanceId": "i-0abc"}, "timestamp": 1_700_000_000_000_i64,
                "value": {"count": 2.0, "sum": 8.0, "min": 3.0, "max": 5.0, "p99": 5.0},
                "unit": "Percent"
            }),
            vec![
                "account_id",
                "region",
                "namespace",
                "metric_name",
                "dimensions",
                "timestamp",
                "value",
            ],
        ),
        (
            Topic::AwsEvents,
            json!({
                "version": "0", "id": "e-1", "detail-type": "EC2 Instance State-change Notification",
                "source": "aws.ec2", "account": "111122223333", "time": "2026-01-31T12:00:00Z",
                "region": "eu-west-1", "resources": [],
                "detail": {"instance-id": "i-0abc", "state": "stopped"}
            }),
            vec![
                "id",
                "detail-type",
                "source",
                "account",
                "time",
                "region",
                "detail",
            ],
        ),
        (
            Topic::AwsInventory,
            json!({
                "account": "111122223333", "region": "eu-west-1", "kind": "volume",
                "observed_at": "2026-01-31T12:00:00Z",
                "item": {"VolumeId": "vol-0abc", "Size": 8}
            }),
            vec!["account", "region", "kind", "observed_at", "item"],
        ),
        (
            Topic::AwsBilling,
            json!({
                "ProviderName": "AWS", "SubAccountId": "111122223333", "RegionId": "eu-west-1",
                "ServiceName": "Amazon Elastic Compute Cloud", "SkuId": "SKU1",
                "ChargePeriodStart": "2026-01-31 00:00:00", "ChargePeriodEnd": "2026-02-01 00:00:00",
                "BilledCost": "1.5", "EffectiveCost": 0.000_000_8, "BillingCurrency": "USD",
                "ChargeCategory": "Usage", "ResourceId": "NULL", "AvailabilityZone": ""
            }),
            vec![
                "ProviderName",
                "SubAccountId",
                "ServiceName",
                "SkuId",
                "ChargePeriodStart",
                "ChargePeriodEnd",
                "BilledCost",
            ],
        ),
    ]
}
