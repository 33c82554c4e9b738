//! What each kind of record says: subject, owner, key of the fact.

use serde_json::{Value, json};
use skyherd::model::{EventKind, FactBody, ItemKind, Topic};
use skyherd::sources::{Decoded, FACTS_MAX, PAYLOAD_BYTES_MAX, RawInventory, decode};

use super::{event, facts, refused};

fn envelope(source: &str, detail_type: &str, resources: &[&str], detail: &Value) -> String {
    json!({
        "version": "0", "id": "e-1", "detail-type": detail_type, "source": source,
        "account": "111122223333", "time": "2026-01-31T12:00:00Z", "region": "eu-west-1",
        "resources": resources, "detail": detail
    })
    .to_string()
}

fn point(account: &str, namespace: &str, name: &str, dimensions: &Value) -> String {
    json!({
        "account_id": account, "region": "eu-west-1", "namespace": namespace,
        "metric_name": name, "dimensions": dimensions, "timestamp": 1_700_000_000_000_i64,
        "value": {"count": 1.0, "sum": 1.0, "min": 1.0, "max": 1.0}
    })
    .to_string()
}

fn subject(topic: Topic, payload: &str) -> String {
    let facts = facts(topic, payload);
    assert_eq!(facts.len(), 1, "{payload}");
    facts[0].subject.to_string()
}

#[test]
fn a_metric_belongs_to_the_resource_its_dimensions_name() {
    for (namespace, dimensions, expected) in [
        ("AWS/EC2", json!({"InstanceId": "i-1"}), "instance/i-1"),
        (
            "CWAgent",
            json!({"path": "/", "ImageId": "ami-1", "InstanceId": "i-1"}),
            "instance/i-1",
        ),
        ("AWS/EBS", json!({"VolumeId": "vol-1"}), "volume/vol-1"),
        (
            "AWS/NATGateway",
            json!({"NatGatewayId": "nat-1"}),
            "natgateway/nat-1",
        ),
        (
            "AWS/AutoScaling",
            json!({"AutoScalingGroupName": "web"}),
            "auto-scaling-group/web",
        ),
        (
            "AWS/ApplicationELB",
            json!({"TargetGroup": "targetgroup/t/1", "LoadBalancer": "app/web/0123"}),
            "load-balancer/web",
        ),
        (
            "AWS/ELB",
            json!({"LoadBalancerName": "old"}),
            "load-balancer/old",
        ),
        // Other services name other things by the same words.
        (
            "AWS/Connect",
            json!({"InstanceId": "b1c2"}),
            "metric/AWS:Connect/M/InstanceId=b1c2",
        ),
        (
            "App",
            json!({"b": "2/3", "a": "1"}),
            "metric/App/M/a=1/b=2:3",
        ),
        ("App", json!({}), "metric/App/M"),
    ] {
        let payload = point("111122223333", namespace, "M", &dimensions);
        assert_eq!(
            subject(Topic::AwsMetrics, &payload),
            format!("111122223333/eu-west-1/{expected}")
        );
    }
}

#[test]
fn points_of_one_record_come_in_order_however_they_are_separated() {
    let one = |name: &str| point("1", "App", name, &json!({}));
    for separator in ["\n", " ", ""] {
        let payload = [one("a"), one("b"), one("c")].join(separator);
        let names: Vec<_> = facts(Topic::AwsMetrics, &payload)
            .into_iter()
            .map(|fact| match fact.body {
                FactBody::Metric(point) => point.name.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}

#[test]
fn a_record_of_two_accounts_or_too_many_points_is_refused_and_says_to_split() {
    let payload = point("1", "App", "M", &json!({})) + &point("2", "App", "M", &json!({}));
    assert!(refused(Topic::AwsMetrics, &payload).contains("split it by account_id"));
    let full = point("1", "App", "M", &json!({})).repeat(FACTS_MAX);
    assert_eq!(facts(Topic::AwsMetrics, &full).len(), FACTS_MAX);
    let payload = full + &point("1", "App", "M", &json!({}));
    assert!(refused(Topic::AwsMetrics, &payload).contains("split the record"));
    let long = " ".repeat(PAYLOAD_BYTES_MAX + 1);
    for topic in Topic::ALL {
        assert!(refused(topic, &long).contains("split it"), "{topic}");
    }
}

#[test]
fn a_call_acts_on_the_resource_it_names_else_it_belongs_to_its_caller() {
    let root = json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"});
    let user = json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann"});
    for (name, identity, request, response, expected) in [
        (
            "AuthorizeSecurityGroupIngress",
            &user,
            json!({"groupId": "sg-1"}),
            Value::Null,
            "eu-west-1/security-group/sg-1",
        ),
        (
            "ModifySecurityGroupRules",
            &user,
            json!({"ModifySecurityGroupRulesRequest": {"GroupId": "sg-1"}}),
            Value::Null,
            "eu-west-1/security-group/sg-1",
        ),
        (
            "CreateSecurityGroup",
            &root,
            json!({"groupName": "web"}),
            json!({"groupId": "sg-2"}),
            "eu-west-1/security-group/sg-2",
        ),
        (
            "RunInstances",
            &user,
            json!({"instancesSet": {"items": [{"imageId": "ami-1"}]}}),
            json!({"instancesSet": {"items": [{"instanceId": "i-7"}]}}),
            "eu-west-1/instance/i-7",
        ),
        (
            "DeleteVolume",
            &user,
            json!({"volumeId": "vol-1"}),
            Value::Null,
            "eu-west-1/volume/vol-1",
        ),
        (
            "CreateTags",
            &user,
            json!({"resourcesSet": {"items": [{"resourceId": "vol-3"}]}}),
            Value::Null,
            "eu-west-1/volume/vol-3",
        ),
        // A group named by name alone leaves only the caller.
        (
            "AuthorizeSecurityGroupIngress",
            &user,
            json!({"groupName": "web"}),
            Value::Null,
            "global/principal/user/ann",
        ),
        (
            "CreateAccessKey",
            &user,
            Value::Null,
            Value::Null,
            "global/principal/user/ann",
        ),
        (
            "CreateAccessKey",
            &root,
            Value::Null,
            Value::Null,
            "global/principal/root",
        ),
    ] {
        let detail = json!({
            "eventID": "c-1", "eventName": name, "eventSource": "ec2.amazonaws.com",
            "awsRegion": "eu-west-1", "userIdentity": identity, "requestParameters": request,
            "responseElements": response, "recipientAccountId": "444455556666"
        });
        let payload = envelope("aws.ec2", "AWS API Call via CloudTrail", &[], &detail);
        assert_eq!(
            subject(Topic::AwsEvents, &payload),
            format!("444455556666/{expected}"),
            "{name}"
        );
    }
}

#[test]
fn security_hub_gives_one_fact_a_finding_owned_by_the_findings_account() {
    let finding = |id: &str, account: &str| {
        json!({
            "Id": id, "AwsAccountId": account, "UpdatedAt": "2026-01-01T00:00:00Z",
            "Resources": [{"Id": "arn:aws:ec2:eu-west-1:444455556666:security-group/sg-1"}]
        })
    };
    let payload = |findings: Value| {
        let detail = json!({"findings": findings});
        envelope(
            "aws.securityhub",
            "Security Hub Findings - Imported",
            &["arn"],
            &detail,
        )
    };
    let told = facts(
        Topic::AwsEvents,
        &payload(json!([
            finding("f1", "444455556666"),
            finding("f2", "444455556666")
        ])),
    );
    assert_eq!(told.len(), 2);
    assert_ne!(told[0].dedupe, told[1].dedupe);
    for (fact, id) in told.iter().zip(["f1", "f2"]) {
        assert_eq!(
            fact.subject.as_str(),
            "444455556666/eu-west-1/security-group/sg-1"
        );
        let event = event(fact);
        assert_eq!(event.kind, EventKind::SecurityHub);
        assert_eq!(event.detail["findings"].as_array().unwrap().len(), 1);
        assert_eq!(event.detail["findings"][0]["Id"], id);
    }
    let mixed = json!([finding("f1", "1"), finding("f2", "2")]);
    assert!(refused(Topic::AwsEvents, &payload(mixed)).contains("AwsAccountId"));
    let mut unowned = finding("f1", "1");
    unowned.as_object_mut().unwrap().remove("AwsAccountId");
    assert!(refused(Topic::AwsEvents, &payload(json!([unowned]))).contains("AwsAccountId"));
}

#[test]
fn one_fact_in_two_envelopes_has_one_key_and_another_fact_has_another() {
    let detail = json!({
        "eventID": "c-1", "eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com",
        "userIdentity": {"type": "Root"}
    });
    let once = envelope(
        "aws.signin",
        "AWS Console Sign In via CloudTrail",
        &[],
        &detail,
    );
    let again = once.replace("\"e-1\"", "\"e-2\"");
    let other = once.replace("\"c-1\"", "\"c-2\"");
    let key = |payload: &str| facts(Topic::AwsEvents, payload)[0].dedupe.unwrap();
    assert_eq!(key(&once), key(&again));
    assert_ne!(key(&once), key(&other));
}

#[test]
fn what_the_product_does_not_read_is_ignored_by_name() {
    for (source, detail_type) in [
        ("aws.ecs", "ECS Task State Change"),
        ("aws.partner/example.com/a", "AWS API Call via CloudTrail"),
        ("my.application", "EC2 Instance State-change Notification"),
    ] {
        let payload = envelope(source, detail_type, &[], &json!({}));
        match decode(Topic::AwsEvents, None, Some(payload.as_bytes())) {
            Ok(Decoded::Ignored(reason)) => {
                assert!(reason.0.contains(source) && reason.0.contains(detail_type));
            }
            other => panic!("{source}: {other:?}"),
        }
    }
    let row = json!({"ProviderName": "Microsoft", "BilledCost": 1});
    match decode(Topic::AwsBilling, None, Some(row.to_string().as_bytes())) {
        Ok(Decoded::Ignored(reason)) => assert!(reason.0.contains("Microsoft")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tombstone_is_passed_over_where_rows_are_compacted_and_refused_elsewhere() {
    for topic in Topic::ALL {
        for payload in [None, Some(&b""[..])] {
            let decoded = decode(topic, Some(b"key"), payload);
            let rows = topic.compacted() && topic != Topic::Memory;
            assert_eq!(decoded.is_ok(), rows, "{topic}: {decoded:?}");
        }
    }
}

#[test]
fn an_inventory_item_is_named_by_its_own_id_field() {
    for kind in ItemKind::ALL {
        let raw = RawInventory {
            account: "1".into(),
            region: "eu-west-1".into(),
            kind,
            observed_at: skyherd::model::Timestamp::from_ms(0),
            presence: skyherd::model::Presence::Gone,
            item: json!({kind.id_field(): "x-1"}),
        };
        let payload = serde_json::to_string(&raw).unwrap();
        assert_eq!(
            subject(Topic::AwsInventory, &payload),
            format!("1/eu-west-1/{}/x-1", kind.resource_type())
        );
        let unnamed = payload.replace("x-1", "");
        assert!(refused(Topic::AwsInventory, &unnamed).contains(kind.id_field()));
    }
}

#[test]
fn a_cost_row_keeps_every_digit_and_a_restated_amount_finds_its_row() {
    let row = |billed: Value, account: Value| {
        json!({
            "PublisherName": "Amazon Web Services, Inc.", "SubAccountId": account,
            "BillingAccountId": "999900001111", "ServiceName": "S3/Glacier", "SkuId": "SKU1",
            "x_UsageType": "EU-Requests/Tier1", "BilledCost": billed,
            "ChargePeriodStart": "2026-01-31 00:00:00", "ChargePeriodEnd": "2026-02-01T00:00:00Z"
        })
        .to_string()
    };
    let cost = |payload: &str| {
        let fact = facts(Topic::AwsBilling, payload).remove(0);
        match fact.body {
            FactBody::Cost(line) => (fact.subject, fact.dedupe, *line),
            other => panic!("{other:?}"),
        }
    };
    let (subject, first, line) = cost(&row(json!("0.00000080001"), json!("1")));
    assert_eq!(
        subject.as_str(),
        "1/global/cost/S3:Glacier/EU-Requests:Tier1"
    );
    assert_eq!(line.billed.amount().to_string(), "0.00000080001");
    assert_eq!(line.billed, line.effective);
    let (_, second, restated) = cost(&row(json!("0.5"), json!("1")));
    assert_eq!(line.row, restated.row);
    assert_ne!(first, second);
    // A number is read from its digits, not through a float.
    let digits = row(json!("D"), json!("1")).replace("\"D\"", "12345678901234567.123456789");
    let (_, _, exact) = cost(&digits);
    assert_eq!(
        exact.billed.amount().to_string(),
        "12345678901234567.123456789"
    );
    for missing in [Value::Null, json!(""), json!("NULL")] {
        let (subject, ..) = cost(&row(json!(1), missing));
        assert_eq!(subject.account(), "org:999900001111");
    }
}
