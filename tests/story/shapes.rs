//! AWS's own shapes, written out.

use serde_json::{Value, json};

use skyherd::model::Timestamp;

/// A metric stream record of one sample.
#[expect(
    clippy::too_many_arguments,
    reason = "one argument a field of the record"
)]
pub(super) fn metric(
    account: &str,
    region: &str,
    namespace: &str,
    name: &str,
    dimension: (&str, &str),
    at: Timestamp,
    value: f64,
    unit: &str,
) -> Value {
    let value = (value * 1_000.0).round() / 1_000.0;
    json!({
        "metric_stream_name": "story",
        "account_id": account,
        "region": region,
        "namespace": namespace,
        "metric_name": name,
        "dimensions": {dimension.0: dimension.1},
        "timestamp": at.ms(),
        "value": {"count": 1.0, "sum": value, "max": value, "min": value},
        "unit": unit,
    })
}

/// Our envelope around a Describe item.
pub(super) fn inventory(
    account: &str,
    region: &str,
    kind: &str,
    at: Timestamp,
    item: &Value,
) -> Value {
    json!({
        "account": account,
        "region": region,
        "kind": kind,
        "observed_at": at.to_string(),
        "item": item,
    })
}

fn tags(tags: &[(&str, &str)]) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// An item of DescribeInstances.
pub(super) fn instance(
    id: &str,
    kind: &str,
    state: &str,
    tagged: &[(&str, &str)],
    groups: &[&str],
    public: Option<&str>,
    volumes: &[&str],
) -> Value {
    let mut item = json!({
        "InstanceId": id,
        "InstanceType": kind,
        "ImageId": "ami-0123456789abcdef0",
        "LaunchTime": "2026-08-01T08:00:00Z",
        "State": {"Code": if state == "running" { 16 } else { 80 }, "Name": state},
        "SecurityGroups": groups.iter().map(|group| json!({"GroupId": group, "GroupName": "g"})).collect::<Vec<_>>(),
        "BlockDeviceMappings": volumes.iter().map(|volume| json!({"DeviceName": "/dev/xvdb", "Ebs": {"VolumeId": volume, "Status": "attached", "AttachTime": "2026-08-01T08:00:05Z", "DeleteOnTermination": false}})).collect::<Vec<_>>(),
        "Tags": tags(tagged),
        "PrivateIpAddress": "10.0.0.10",
        "SubnetId": "subnet-0123456789abcdef0",
        "VpcId": "vpc-0123456789abcdef0",
        "StateTransitionReason": "",
    });
    if let Some(public) = public {
        item["PublicIpAddress"] = json!(public);
    }
    item
}

/// An item of DescribeVolumes.
pub(super) fn volume(
    id: &str,
    kind: &str,
    gib: i64,
    instance: Option<&str>,
    tagged: &[(&str, &str)],
) -> Value {
    let attachments: Vec<Value> = instance
        .map(|instance| json!({"InstanceId": instance, "VolumeId": id, "Device": "/dev/xvdb", "State": "attached", "AttachTime": "2026-08-01T08:00:05Z", "DeleteOnTermination": false}))
        .into_iter()
        .collect();
    json!({
        "VolumeId": id,
        "VolumeType": kind,
        "Size": gib,
        "Iops": if kind == "gp2" { (3 * gib).max(100) } else { 3_000 },
        "State": if instance.is_some() { "in-use" } else { "available" },
        "CreateTime": "2026-08-01T08:00:00Z",
        "Encrypted": true,
        "Attachments": attachments,
        "Tags": tags(tagged),
    })
}

/// An item of DescribeSecurityGroups: (protocol, from, to, range) a permission.
pub(super) fn security_group(
    id: &str,
    name: &str,
    permissions: &[(&str, i64, i64, &str)],
) -> Value {
    let permissions: Vec<Value> = permissions
        .iter()
        .map(|(protocol, from, to, range)| {
            let mut permission = json!({
                "IpProtocol": protocol,
                "IpRanges": [{"CidrIp": range}],
                "Ipv6Ranges": [],
                "UserIdGroupPairs": [],
            });
            if *protocol != "-1" {
                permission["FromPort"] = json!(from);
                permission["ToPort"] = json!(to);
            }
            permission
        })
        .collect();
    json!({
        "GroupId": id,
        "GroupName": name,
        "Description": name,
        "VpcId": "vpc-0123456789abcdef0",
        "IpPermissions": permissions,
        "IpPermissionsEgress": [],
    })
}

/// An EC2 Instance State-change Notification.
pub(super) fn state_change(
    account: &str,
    region: &str,
    id: &str,
    state: &str,
    at: Timestamp,
) -> Value {
    json!({
        "version": "0",
        "id": format!("story-{account}-{id}-{}", at.ms()),
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": account,
        "time": at.to_string(),
        "region": region,
        "resources": [format!("arn:aws:ec2:{region}:{account}:instance/{id}")],
        "detail": {"instance-id": id, "state": state},
    })
}

/// An AWS API Call via CloudTrail.
pub(super) fn api_call(
    account: &str,
    region: &str,
    name: &str,
    identity: &Value,
    request: &Value,
    at: Timestamp,
    number: i64,
) -> Value {
    let service = if name == "CreateAccessKey" {
        "iam"
    } else {
        "ec2"
    };
    json!({
        "version": "0",
        "id": format!("story-{account}-{name}-{number}"),
        "detail-type": "AWS API Call via CloudTrail",
        "source": format!("aws.{service}"),
        "account": account,
        "time": at.to_string(),
        "region": region,
        "resources": [],
        "detail": {
            "eventVersion": "1.10",
            "eventID": format!("story-{account}-{name}-{number}"),
            "eventName": name,
            "eventSource": format!("{service}.amazonaws.com"),
            "eventTime": at.to_string(),
            "eventType": "AwsApiCall",
            "awsRegion": region,
            "recipientAccountId": account,
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "console.amazonaws.com",
            "userIdentity": identity,
            "requestParameters": request,
            "responseElements": null,
        },
    })
}

/// A FOCUS 1.0 row.
pub(super) fn cost(
    account: &str,
    region: &str,
    service: &str,
    usage: &str,
    start: Timestamp,
    end: Timestamp,
    amount: f64,
) -> Value {
    json!({
        "ProviderName": "AWS",
        "BillingAccountId": "999988887777",
        "SubAccountId": account,
        "RegionId": region,
        "ServiceName": service,
        "SkuId": usage,
        "x_UsageType": usage,
        "ChargeCategory": "Usage",
        "ChargeDescription": usage,
        "ChargePeriodStart": start.to_string(),
        "ChargePeriodEnd": end.to_string(),
        "BilledCost": format!("{amount:.2}"),
        "EffectiveCost": format!("{amount:.2}"),
        "BillingCurrency": "USD",
    })
}
