//! Nothing from outside makes a decoder panic, and what it accepts it accepts for a reason.

use proptest::prelude::*;
use serde_json::{Map, Value};
use skyherd::model::{Subject, Topic};
use skyherd::sources::{Decoded, decode};

use super::{event, facts, refused, valid_records};

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
        "(i|vol|arn:aws:ec2:a:1:x|NULL|-1e400)[-:/0-9a-z]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z_-]{0,12}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every place of a value, as JSON pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                places(below, &format!("{at}/{key}"), into);
            }
        }
        Value::Array(list) => {
            for (index, below) in list.iter().enumerate() {
                places(below, &format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
}

/// Every decoded fact is fit to be stored: a subject that reads back, and the same twice.
fn check(topic: Topic, payload: &[u8]) -> Result<(), TestCaseError> {
    let decoded = decode(topic, Some(b"key"), Some(payload));
    prop_assert_eq!(&decoded, &decode(topic, None, Some(payload)));
    if let Ok(Decoded::Message(message)) = &decoded {
        prop_assert!(!message.account().is_empty());
        if let skyherd::model::Message::Facts(facts) = message {
            for fact in facts {
                prop_assert!(
                    Subject::parse(fact.subject.as_str()).is_ok(),
                    "{}",
                    fact.subject
                );
                prop_assert_eq!(fact.subject.account(), message.account());
            }
        }
    }
    Ok(())
}

/// One detail a kind, so that mutations reach every reader of details.
fn details() -> Vec<(&'static str, &'static str, Value)> {
    use serde_json::json;
    let arn = "arn:aws:ec2:eu-west-1:1:volume/vol-1";
    vec![
        (
            "aws.ec2",
            "EBS Volume Notification",
            json!({"event": "createVolume", "result": "available"}),
        ),
        (
            "aws.ec2",
            "EBS Snapshot Notification",
            json!({"event": "createSnapshot", "snapshot_id": arn}),
        ),
        (
            "aws.ec2",
            "EC2 Spot Instance Interruption Warning",
            json!({"instance-id": "i-1", "instance-action": "stop"}),
        ),
        (
            "aws.ec2",
            "EC2 AMI State Change",
            json!({"ImageId": "ami-1"}),
        ),
        (
            "aws.autoscaling",
            "EC2 Instance Launch Successful",
            json!({"AutoScalingGroupName": "web", "ActivityId": "a"}),
        ),
        (
            "aws.health",
            "AWS Health Event",
            json!({"eventArn": "arn:aws:health:a::event/X", "affectedEntities": [{"entityValue": "i-1"}]}),
        ),
        (
            "aws.guardduty",
            "GuardDuty Finding",
            json!({"id": "g", "accountId": "1", "resource": {"instanceDetails": {"instanceId": "i-1"}}, "service": {"count": 1}}),
        ),
        (
            "aws.guardduty",
            "GuardDuty Malware Protection Object Scan Result",
            json!({"s3ObjectDetails": {"bucketName": "b"}}),
        ),
        (
            "aws.securityhub",
            "Security Hub Findings - Imported",
            json!({"findings": [{"Id": "f", "AwsAccountId": "1", "Resources": [{"Id": arn}]}]}),
        ),
        (
            "aws.inspector2",
            "Inspector2 Finding",
            json!({"awsAccountId": "1", "findingArn": "f", "resources": [{"id": "i-1"}]}),
        ),
        (
            "aws.config",
            "Config Rules Compliance Change",
            json!({"resourceType": "AWS::EC2::Volume", "resourceId": "vol-1"}),
        ),
        (
            "aws.config",
            "Config Configuration Item Change",
            json!({"configurationItem": {"resourceType": "AWS::EC2::Instance", "resourceId": "i-1"}}),
        ),
        (
            "aws.trustedadvisor",
            "Trusted Advisor Check Item Refresh Notification",
            json!({"check-name": "c", "resource_id": arn}),
        ),
        (
            "aws.cloudwatch",
            "CloudWatch Alarm State Change",
            json!({"alarmName": "a", "state": {"value": "OK"}}),
        ),
        (
            "aws.ce",
            "Anomaly Detected",
            json!({"anomalyId": "a", "rootCauses": [{"linkedAccount": "1"}]}),
        ),
        (
            "aws.ec2",
            "AWS API Call via CloudTrail",
            json!({"eventID": "e", "eventName": "StopInstances", "eventSource": "s", "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}}),
        ),
        (
            "aws.signin",
            "AWS Console Sign In via CloudTrail",
            json!({"eventID": "e", "eventName": "ConsoleLogin", "eventSource": "s", "userIdentity": {"type": "Root"}}),
        ),
        (
            "aws.kms",
            "AWS Service Event via CloudTrail",
            json!({"eventID": "e", "eventName": "RotateKey", "eventSource": "s"}),
        ),
    ]
}

fn events() -> Vec<Value> {
    let (_, plain, _) = valid_records().remove(1);
    let of = |(source, detail_type, detail): (&str, &str, Value)| {
        let mut event = plain.clone();
        event["source"] = source.into();
        event["detail-type"] = detail_type.into();
        event["detail"] = detail;
        event["resources"] = serde_json::json!(["arn:aws:ec2:eu-west-1:1:volume/vol-1"]);
        event
    };
    details().into_iter().map(of).collect()
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for topic in Topic::ALL {
            check(topic, &bytes)?;
        }
    }

    #[test]
    fn no_json_makes_a_decoder_panic(value in any_json()) {
        for topic in Topic::ALL {
            check(topic, value.to_string().as_bytes())?;
        }
    }

    #[test]
    fn no_change_of_one_place_makes_a_decoder_panic(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        instead in any_json(),
    ) {
        let mut records: Vec<(Topic, Value)> =
            valid_records().into_iter().map(|(topic, record, _)| (topic, record)).collect();
        records.extend(events().into_iter().map(|event| (Topic::AwsEvents, event)));
        let (topic, mut record) = which.get(&records).clone();
        let mut all = Vec::new();
        places(&record, "", &mut all);
        let place: &String = place.get(&all);
        *record.pointer_mut(place).unwrap() = instead;
        check(topic, record.to_string().as_bytes())?;
    }

    #[test]
    fn no_cut_or_changed_byte_makes_a_decoder_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let records = valid_records();
        let (topic, record, _) = which.get(&records);
        let mut bytes = record.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        check(*topic, &bytes)?;
    }

    #[test]
    fn unknown_fields_change_nothing(name in "x-[a-z]{1,12}", extra in any_json()) {
        for (topic, record, _) in valid_records() {
            let plain = facts(topic, &record.to_string());
            let mut more = record.clone();
            more[&name] = extra.clone();
            prop_assert_eq!(&facts(topic, &more.to_string()), &plain);
        }
    }
}

#[test]
fn a_missing_required_field_is_refused_by_name() {
    for (topic, record, required) in valid_records() {
        assert_eq!(facts(topic, &record.to_string()).len(), 1);
        for field in required {
            let mut less = record.clone();
            less.as_object_mut().unwrap().shift_remove(field);
            let reason = refused(topic, &less.to_string());
            assert!(reason.contains(field), "{topic} without {field}: {reason}");
        }
    }
}

#[test]
fn a_placeholder_where_a_value_should_be_is_refused_by_name() {
    let (topic, record, _) = valid_records().remove(1);
    for (field, value) in [
        ("time", "yyyy-mm-ddThh:mm:ssZ"),
        ("account", "{{{account_id}}}"),
        ("account", ""),
        ("region", "a/b"),
        ("id", ""),
    ] {
        let mut broken = record.clone();
        broken[field] = value.into();
        let reason = refused(topic, &broken.to_string());
        assert!(reason.contains(field), "{field} {value:?}: {reason}");
    }
}

#[test]
fn every_kind_of_event_decodes_to_one_fact_with_a_key() {
    let mut seen = std::collections::BTreeSet::new();
    for record in events() {
        let told = facts(Topic::AwsEvents, &record.to_string());
        assert_eq!(told.len(), 1);
        assert!(told[0].dedupe.is_some());
        seen.insert(event(&told[0]).kind);
    }
    // All but the plain record's own kind, instance state.
    assert_eq!(seen.len(), 17, "{seen:?}");
}

#[test]
fn a_reason_quoting_the_input_stays_short() {
    let (topic, mut record, _) = valid_records().remove(1);
    record["time"] = "é".repeat(100_000).into();
    assert!(refused(topic, &record.to_string()).len() <= 512);
    record["id"] = serde_json::json!({"long": "x".repeat(100_000)});
    assert!(refused(topic, &record.to_string()).len() <= 512);
}
