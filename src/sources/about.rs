//! Which resource an event is about, and the key of its fact, kind by kind.

use serde_json::Value;

use super::events::{About, Envelope, text};
use super::subject::{Named, Path, load_balancer_name, named, resource, subject};
use crate::model::{EventKind, Subject, Undecodable};

/// The subject and fact key of every kind but `CloudTrail`'s and Security Hub's.
pub(super) fn about(event: &Envelope<'_>) -> Result<About, Undecodable> {
    match event.kind {
        EventKind::InstanceState | EventKind::Spot => instance(event),
        EventKind::Volume => volume(event),
        EventKind::Snapshot => snapshot(event),
        EventKind::AutoScaling => auto_scaling(event),
        EventKind::Health => health(event),
        EventKind::GuardDuty => guard_duty(event),
        EventKind::Inspector => inspector(event),
        EventKind::Config => config(event),
        EventKind::TrustedAdvisor => trusted_advisor(event),
        EventKind::Alarm => alarm(event),
        EventKind::CostAnomaly => cost_anomaly(event),
        EventKind::MalwareScan => malware_scan(event),
        EventKind::Budget => budget(event),
        EventKind::CostForecast => forecast(event),
        EventKind::Advice => Ok(advice(event)),
        EventKind::Commitment => commitment(event),
        EventKind::LogLines => log_lines(event),
        EventKind::OtherEc2
        | EventKind::SecurityHub
        | EventKind::ApiCall
        | EventKind::SignIn
        | EventKind::ServiceEvent
        | EventKind::AgentReport
        | EventKind::ProcessReport => Ok(other(event)),
    }
}

fn instance(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let id = event.required("/instance-id")?;
    let state = match event.kind {
        EventKind::InstanceState => event.required("/state")?.to_owned(),
        _ => event.scalar("/instance-action"),
    };
    Ok(About {
        subject: resource(&event.account, &event.region, "instance", id),
        dedupe: event.key(&[id, &state, &event.at.to_string()]),
    })
}

fn volume(event: &Envelope<'_>) -> Result<About, Undecodable> {
    event.required("/event")?;
    let arn = first_resource(event)?;
    Ok(About {
        subject: in_envelope(event, arn, "volume"),
        dedupe: ebs_key(event, arn),
    })
}

fn snapshot(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let id = ["/snapshot_id", "/snapshot-id"]
        .into_iter()
        .find_map(|pointer| event.text(pointer));
    let id = match id {
        Some(id) => id,
        None => first_resource(event)?,
    };
    Ok(About {
        subject: in_envelope(event, id, "snapshot"),
        dedupe: ebs_key(event, id),
    })
}

/// (ARN, event, request id); notices without a request id fall back on their time.
fn ebs_key(event: &Envelope<'_>, arn: &str) -> u64 {
    let request = event.scalar("/request-id");
    let told_by = if request.is_empty() {
        event.at.to_string()
    } else {
        request
    };
    let what = event.scalar("/event") + &event.scalar("/state");
    event.key(&[arn, &what, &event.scalar("/result"), &told_by])
}

fn auto_scaling(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let group = event.required("/AutoScalingGroupName")?;
    let token = ["/ActivityId", "/LifecycleActionToken", "/InstanceRefreshId"]
        .into_iter()
        .find_map(|pointer| event.text(pointer))
        .unwrap_or(&event.id);
    let transition = event.scalar("/Destination") + &event.scalar("/StatusCode");
    Ok(About {
        subject: resource(&event.account, &event.region, "auto-scaling-group", group),
        dedupe: event.key(&[token, &transition, &event.scalar("/EC2InstanceId")]),
    })
}

fn health(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let arn = event.required("/eventArn")?;
    let account = event.account_at("/affectedAccount")?;
    let region = event.region_at("/eventRegion")?;
    // Several entities share one incident: then the incident is the subject.
    let entities = event
        .detail
        .get("affectedEntities")
        .and_then(Value::as_array);
    let only = match entities.map(Vec::as_slice) {
        Some([entity]) => text(entity, "/entityValue").and_then(named),
        _ => None,
    };
    let incident = || {
        let tail = arn.rsplit_once("event/").map_or(arn, |(_, tail)| tail);
        resource(account, region, "health", tail)
    };
    let updated = event.scalar("/lastUpdatedTime");
    let told_at = if updated.is_empty() {
        event.at.to_string()
    } else {
        updated
    };
    let (status, page) = (event.scalar("/statusCode"), event.scalar("/page"));
    Ok(About {
        subject: only.map_or_else(incident, |entity| entity.subject(account, region)),
        dedupe: event.key(&[arn, &status, &told_at, &page]),
    })
}

fn guard_duty(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let id = event.required("/id")?;
    let account = event.account_at("/accountId")?;
    let region = event.region_at("/region")?;
    let subject = if let Some(instance) = event.text("/resource/instanceDetails/instanceId") {
        resource(account, region, "instance", instance)
    } else if let Some(bucket) = event.text("/resource/s3BucketDetails/0/name") {
        resource(account, region, "bucket", bucket)
    } else if let Some(user) = event.text("/resource/accessKeyDetails/userName") {
        principal(
            account,
            event.text("/resource/accessKeyDetails/userType"),
            user,
        )
    } else {
        resource(account, region, "guardduty", id)
    };
    let (count, updated) = (event.scalar("/service/count"), event.scalar("/updatedAt"));
    Ok(About {
        subject,
        dedupe: event.key(&[id, &count, &updated]),
    })
}

/// The principal `GuardDuty` names, in the words `CloudTrail`'s ARNs use.
fn principal(account: &str, kind: Option<&str>, name: &str) -> Subject {
    let path = match kind {
        Some("Root") => "principal/root".to_owned(),
        Some("AssumedRole" | "Role") => format!("principal/role/{name}"),
        _ => format!("principal/user/{name}"),
    };
    subject(account, "global", &path)
}

fn malware_scan(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let bucket = event.required("/s3ObjectDetails/bucketName")?;
    let object = event.scalar("/s3ObjectDetails/objectKey");
    let version = event.scalar("/s3ObjectDetails/versionId");
    Ok(About {
        subject: resource(&event.account, &event.region, "bucket", bucket),
        dedupe: event.key(&[bucket, &object, &version, &event.at.to_string()]),
    })
}

fn inspector(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let account = event.account_at("/awsAccountId")?;
    let key = event.text("/findingArn").unwrap_or(&event.id);
    let found = text(&event.detail, "/resources/0/id").or_else(|| first_text(event));
    let Some(found) = found else {
        return Err(event.missing("detail.resources[0].id"));
    };
    let subject = named(found).map_or_else(
        || resource(account, &event.region, "inspector", found),
        |found| found.subject(account, &event.region),
    );
    let (status, seen) = (event.scalar("/status"), event.scalar("/lastObservedAt"));
    Ok(About {
        subject,
        dedupe: event.key(&[key, &status, &seen]),
    })
}

fn config(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let item = if event.detail.get("configurationItem").is_some() {
        "/configurationItem"
    } else {
        ""
    };
    let field = |name: &str| format!("{item}/{name}");
    let kind = event.required(&field("resourceType"))?;
    let id = event.required(&field("resourceId"))?;
    let account = event.account_at(&field("awsAccountId"))?;
    let region = event.region_at(&field("awsRegion"))?;
    let told_at = event.scalar("/newEvaluationResult/resultRecordedTime")
        + &event.scalar("/configurationItem/configurationItemCaptureTime");
    let rule = event.scalar("/configRuleARN");
    Ok(About {
        subject: config_subject(account, region, kind, id),
        dedupe: event.key(&[&rule, kind, id, &told_at]),
    })
}

/// AWS Config's type names → our kinds; others stay under `config/`.
fn config_subject(account: &str, region: &str, kind: &str, id: &str) -> Subject {
    let known = match kind {
        "AWS::EC2::Instance" => "instance",
        "AWS::EC2::Volume" => "volume",
        "AWS::EC2::SecurityGroup" => "security-group",
        "AWS::EC2::NetworkInterface" => "network-interface",
        "AWS::EC2::NatGateway" => "natgateway",
        "AWS::EC2::Subnet" => "subnet",
        "AWS::EC2::VPC" => "vpc",
        "AWS::S3::Bucket" => "bucket",
        "AWS::AutoScaling::AutoScalingGroup" | "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
            return named(id).map_or_else(
                || config_other(account, region, kind, id),
                |found| found.subject(account, region),
            );
        }
        "AWS::ElasticLoadBalancing::LoadBalancer" => {
            return resource(account, region, "load-balancer", load_balancer_name(id));
        }
        _ => return config_other(account, region, kind, id),
    };
    resource(account, region, known, id)
}

fn config_other(account: &str, region: &str, kind: &str, id: &str) -> Subject {
    let mut path = Path::new("config");
    path.part(kind);
    path.raw(id);
    path.subject(account, region)
}

fn trusted_advisor(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let check = event.required("/check-name")?;
    let id = event.scalar("/resource_id");
    let subject = named(&id).map_or_else(
        || {
            let mut path = Path::new("trusted-advisor");
            path.part(check);
            path.part(&id);
            path.subject(&event.account, &event.region)
        },
        |found| found.subject(&event.account, &event.region),
    );
    let (uuid, status) = (event.scalar("/uuid"), event.scalar("/status"));
    Ok(About {
        subject,
        dedupe: event.key(&[check, &uuid, &status, &event.at.to_string()]),
    })
}

fn alarm(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let name = event.required("/alarmName")?;
    let state = event.required("/state/value")?;
    let told_at = event.scalar("/state/timestamp");
    // A change of configuration keeps the state's time, so it counts by its own.
    let changed_at = event.scalar("/configuration/timestamp");
    let operation = event.scalar("/operation");
    let arn = first_text(event).unwrap_or(name);
    Ok(About {
        subject: resource(&event.account, &event.region, "alarm", name),
        dedupe: event.key(&[arn, &told_at, state, &operation, &changed_at]),
    })
}

fn cost_anomaly(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let id = event.required("/anomalyId")?;
    // One linked account owns the cost; a cost of several stays with the monitor's account.
    let causes = event.detail.get("rootCauses").and_then(Value::as_array);
    let mut linked: Vec<&str> = causes
        .into_iter()
        .flatten()
        .filter_map(|cause| text(cause, "/linkedAccount"))
        .collect();
    linked.sort_unstable();
    linked.dedup();
    let account = match linked.as_slice() {
        [_] => event.account_at("/rootCauses/0/linkedAccount")?,
        _ => event.account_at("/accountId")?,
    };
    let impact = event.scalar("/impact/totalImpact");
    Ok(About {
        subject: resource(account, "global", "anomaly", id),
        dedupe: event.key(&[id, &impact]),
    })
}

fn budget(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let name = event.required("/budgetName")?;
    let kind = event.scalar("/budgetType");
    if event.text("/alertType").is_none() {
        let limit = event.required("/budgetedAmount/value")?;
        let actual = event.scalar("/actualAmount/value");
        let forecast = event.scalar("/forecastedAmount/value");
        let day = event.at.day().to_string();
        return Ok(About {
            subject: resource(&event.account, "global", "budget", name),
            dedupe: event.key(&[name, &kind, limit, &actual, &forecast, &day]),
        });
    }
    let alert = event.required("/alertType")?;
    let threshold = event.scalar("/threshold/value") + &event.scalar("/threshold/unit");
    Ok(About {
        subject: resource(&event.account, "global", "budget", name),
        // A threshold is told once a day at most.
        dedupe: event.key(&[name, &kind, alert, &threshold, &event.at.day().to_string()]),
    })
}

fn forecast(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let total = event.required("/Total/Amount")?;
    Ok(About {
        subject: subject(&event.account, "global", "forecast"),
        dedupe: event.key(&[total, &event.at.day().to_string(), &event.id]),
    })
}

fn advice(event: &Envelope<'_>) -> About {
    let named = first_text(event).and_then(named);
    let subject = named.map_or_else(
        || resource(&event.account, &event.region, "advice", &event.id),
        |found| found.subject(&event.account, &event.region),
    );
    About {
        subject,
        dedupe: event.key(&[&event.id]),
    }
}

fn commitment(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let start = event.required("/TimePeriod/Start")?;
    let end = event.required("/TimePeriod/End")?;
    Ok(About {
        subject: subject(&event.account, "global", "commitment"),
        dedupe: event.key(&[start, end, &event.id]),
    })
}

fn log_lines(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let group = event.required("/logGroup")?;
    let stream = event.scalar("/logStream");
    let first = event.scalar("/logEvents/0/id");
    Ok(About {
        subject: resource(&event.account, &event.region, "log-group", group),
        dedupe: event.key(&[group, &stream, &first, &event.id]),
    })
}

fn other(event: &Envelope<'_>) -> About {
    let found = ["/instance-id", "/ImageId", "/imageId"]
        .into_iter()
        .find_map(|pointer| event.text(pointer).and_then(named))
        .or_else(|| first_text(event).and_then(named));
    let found = found.unwrap_or_else(|| Named {
        region: None,
        resource: format!("ec2/{}", event.detail_type.replace('/', ":")),
    });
    About {
        subject: found.subject(&event.account, &event.region),
        dedupe: event.key(&[&event.id]),
    }
}

/// The ARN's or id's resource, always in the envelope's account and region: EBS notices swap
/// account and region inside their ARNs.
fn in_envelope(event: &Envelope<'_>, arn: &str, kind: &str) -> Subject {
    let (account, region) = (&event.account, &event.region);
    match named(arn) {
        Some(found) => subject(account, region, &found.resource),
        None => resource(account, region, kind, arn),
    }
}

fn first_text<'e>(event: &'e Envelope<'_>) -> Option<&'e str> {
    let first = event.resources.first()?.trim();
    (!first.is_empty()).then_some(first)
}

fn first_resource<'e>(event: &'e Envelope<'_>) -> Result<&'e str, Undecodable> {
    first_text(event).ok_or_else(|| event.missing("resources[0]"))
}
