//! EventBridge events in AWS's own shapes.

use serde_json::{Value, json};

use super::items::look;
use super::world::{By, Call, Notice, Site, What, World};
use super::{Record, moment, seconds};
use crate::model::Topic;

/// What the envelope of an event says.
struct Said {
    site: Site,
    source: &'static str,
    kind: &'static str,
    resources: Vec<String>,
    detail: Value,
}

/// The record of a notice. `number` tells it from others.
pub(super) fn tell(world: &World, number: usize, notice: &Notice) -> Record {
    let told = seconds(notice.minute) + notice.after_seconds;
    let minute = notice.minute;
    let said = match &notice.what {
        What::Look(thing) => {
            // Described once the event is heard.
            let seen = minute + notice.after_seconds.div_euclid(60);
            return look(world, *thing, seen, told);
        }
        What::State(index, state) => Said {
            site: world.machines[*index].site,
            source: "aws.ec2",
            kind: "EC2 Instance State-change Notification",
            resources: vec![arn(world, *index)],
            detail: json!({"instance-id": world.machines[*index].id, "state": state}),
        },
        What::Scaled(index, kind) => Said {
            site: world.machines[*index].site,
            source: "aws.autoscaling",
            kind,
            resources: vec![arn(world, *index)],
            detail: activity(world, number, minute, *index),
        },
        What::Call(call) => Said {
            site: call.site,
            source: source_of(call.service),
            kind: "AWS API Call via CloudTrail",
            resources: Vec::new(),
            detail: recorded(world, number, minute, call),
        },
        What::Health {
            site,
            machine,
            kind,
            starts,
        } => Said {
            site: *site,
            source: "aws.health",
            kind: "AWS Health Event",
            resources: Vec::new(),
            detail: health(world, number, *site, *machine, (*kind, minute, *starts)),
        },
    };
    let account = &world.accounts[said.site.account].id;
    let value = json!({
        "version": "0",
        "id": unique(world, number),
        "detail-type": said.kind,
        "source": said.source,
        "account": account,
        "time": moment(minute).to_string(),
        "region": said.site.region,
        "resources": said.resources,
        "detail": said.detail,
    });
    Record::json(Topic::AwsEvents, account, told, &value)
}

fn activity(world: &World, number: usize, minute: i64, machine: usize) -> Value {
    let machine = &world.machines[machine];
    json!({
        "AutoScalingGroupName": machine.fleet.unwrap_or_default(),
        "EC2InstanceId": machine.id,
        "ActivityId": unique(world, number),
        "StatusCode": "InProgress",
        "Cause": "A scheduled action changed the desired capacity.",
        "StartTime": moment(minute).to_string(),
        "EndTime": moment(minute).to_string(),
    })
}

/// The shape of a UUID.
fn unique(world: &World, number: usize) -> String {
    let (high, low) = (
        world.chance.bits(&format!("event/{number}")),
        world.chance.bits(&format!("event/{number}/low")),
    );
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

fn arn(world: &World, machine: usize) -> String {
    let machine = &world.machines[machine];
    let account = &world.accounts[machine.site.account].id;
    format!(
        "arn:aws:ec2:{}:{account}:instance/{}",
        machine.site.region, machine.id
    )
}

fn source_of(service: &str) -> &'static str {
    match service {
        "iam" => "aws.iam",
        "autoscaling" => "aws.autoscaling",
        _ => "aws.ec2",
    }
}

fn recorded(world: &World, number: usize, minute: i64, call: &Call) -> Value {
    let account = &world.accounts[call.site.account].id;
    json!({
        "eventVersion": "1.10",
        "eventID": unique(world, number),
        "eventName": call.name,
        "eventSource": format!("{}.amazonaws.com", call.service),
        "eventTime": moment(minute).to_string(),
        "eventType": "AwsApiCall",
        "awsRegion": call.site.region,
        "recipientAccountId": account,
        "sourceIPAddress": match call.by {
            By::RootThroughService(service) => service.to_owned(),
            _ => world.chance.address("office"),
        },
        "userAgent": "console.amazonaws.com",
        "userIdentity": identity(account, call.by),
        "requestParameters": call.request,
        "responseElements": null,
    })
}

fn identity(account: &str, by: By) -> Value {
    match by {
        By::User(name) => {
            json!({"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/{name}"), "accountId": account, "userName": name})
        }
        By::Role(name) => {
            json!({"type": "AssumedRole", "arn": format!("arn:aws:sts::{account}:assumed-role/{name}/session"), "accountId": account})
        }
        By::Root => {
            json!({"type": "Root", "arn": format!("arn:aws:iam::{account}:root"), "accountId": account})
        }
        By::RootThroughService(service) => {
            json!({"type": "Root", "arn": format!("arn:aws:iam::{account}:root"), "accountId": account, "invokedBy": service})
        }
    }
}

fn health(
    world: &World,
    number: usize,
    site: Site,
    machine: Option<usize>,
    (kind, minute, starts): (&str, i64, i64),
) -> Value {
    let entities: Vec<Value> = machine
        .map(|index| json!({"entityValue": world.machines[index].id}))
        .into_iter()
        .collect();
    json!({
        "eventArn": format!("arn:aws:health:{}::event/EC2/{kind}/{}", site.region, unique(world, number)),
        "service": "EC2",
        "eventTypeCode": kind,
        "eventTypeCategory": if machine.is_some() { "scheduledChange" } else { "issue" },
        "statusCode": if machine.is_some() { "upcoming" } else { "open" },
        "eventRegion": site.region,
        "startTime": moment(starts).to_string(),
        "lastUpdatedTime": moment(minute).to_string(),
        "affectedEntities": entities,
        "eventDescription": [{"language": "en_US", "latestDescription": kind}],
    })
}
