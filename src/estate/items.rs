//! Inventory: items as the Describe calls show them, in our envelope.

use serde_json::{Value, json};

use super::world::{Hours, Machine, Permission, Thing, World};
use super::{Record, moment};
use crate::model::{ItemKind, Topic};

/// The record of one look at a resource.
pub(super) fn look(world: &World, thing: Thing, minute: i64, told: i64) -> Record {
    let (site, kind, item) = match thing {
        Thing::Machine(index) => (
            world.machines[index].site,
            ItemKind::Instance,
            instance(world, index, minute),
        ),
        Thing::Volume(index) => (
            world.volumes[index].site,
            ItemKind::Volume,
            volume(world, index, minute),
        ),
        Thing::Group(index) => (
            world.groups[index].site,
            ItemKind::SecurityGroup,
            group(world, index, minute),
        ),
        Thing::Address(index) => (
            world.addresses[index].site,
            ItemKind::ElasticIp,
            address(world, index, minute),
        ),
        Thing::Fleet(index) => (
            world.fleets[index].site,
            ItemKind::AutoScalingGroup,
            fleet(world, index, minute),
        ),
        Thing::Balancer(index) => (
            world.balancers[index].site,
            ItemKind::LoadBalancer,
            balancer(world, index),
        ),
        Thing::Gateway(index) => (
            world.gateways[index].site,
            ItemKind::Natgateway,
            gateway(world, index),
        ),
    };
    let present = match thing {
        Thing::Machine(index) => world.machines[index].exists(minute),
        Thing::Volume(index) => world.volumes[index].exists(minute),
        _ => true,
    };
    let account = &world.accounts[site.account].id;
    let mut value = json!({
        "account": account,
        "region": site.region,
        "kind": kind.as_str(),
        "observed_at": moment(minute).to_string(),
        "item": item,
    });
    if !present {
        value["presence"] = json!("gone");
    }
    Record::json(Topic::AwsInventory, account, told, &value)
}

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// The tags of what belongs to an account's team; only a name before it is tagged.
fn team_tags<'a>(
    world: &'a World,
    account: usize,
    name: &'a str,
    tagged: bool,
) -> Vec<(&'a str, &'a str)> {
    let account = &world.accounts[account];
    let mut pairs = vec![("Name", name)];
    if tagged {
        pairs.extend([
            ("Owner", account.team),
            ("Environment", account.environment),
            ("CostCenter", "4711"),
        ]);
    }
    pairs
}

fn instance(world: &World, index: usize, minute: i64) -> Value {
    let machine = &world.machines[index];
    let tagged = machine.tagged <= minute;
    let mut pairs = team_tags(world, machine.site.account, &machine.name, tagged);
    if let Some(fleet) = machine.fleet {
        pairs.push(("aws:autoscaling:groupName", fleet));
    }
    let (code, state, reason) = state_of(machine, minute);
    let groups: Vec<Value> = machine
        .groups
        .iter()
        .map(|group| &world.groups[*group])
        .map(|group| json!({"GroupId": group.id, "GroupName": group.name}))
        .collect();
    let volumes: Vec<Value> = world
        .volumes
        .iter()
        .filter(|volume| volume.exists(minute) && volume.machine(minute) == Some(index))
        .map(|volume| json!({"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": volume.id, "Status": "attached"}}))
        .collect();
    let mut item = json!({
        "InstanceId": machine.id,
        "InstanceType": machine.class,
        "ImageId": world.chance.id("ami", machine.fleet.unwrap_or(&machine.name)),
        "LaunchTime": moment(machine.launched).to_string(),
        "State": {"Code": code, "Name": state},
        "PlatformDetails": "Linux/UNIX",
        "SecurityGroups": groups,
        "BlockDeviceMappings": volumes,
        "Tags": tags(&pairs),
        "StateTransitionReason": reason,
    });
    if let Some(public) = &machine.public {
        item["PublicIpAddress"] = json!(public);
    }
    item
}

fn state_of(machine: &Machine, minute: i64) -> (i64, &'static str, String) {
    if machine.runs(minute) {
        return (16, "running", String::new());
    }
    match machine.hours {
        Hours::StoppedSince(since) => {
            let at = moment(since)
                .to_string()
                .replace('T', " ")
                .replace('Z', " GMT");
            (80, "stopped", format!("User initiated ({at})"))
        }
        Hours::Between(..) => (48, "terminated", String::new()),
        _ => (80, "stopped", String::new()),
    }
}

fn volume(world: &World, index: usize, minute: i64) -> Value {
    let volume = &world.volumes[index];
    let machine = volume.machine(minute).map(|index| &world.machines[index]);
    let attachments: Vec<Value> = machine
        .map(|machine| json!({"InstanceId": machine.id, "VolumeId": volume.id, "Device": "/dev/xvda", "State": "attached", "DeleteOnTermination": true}))
        .into_iter()
        .collect();
    let name = machine.map_or("data", |machine| machine.name.as_str());
    let pairs = team_tags(world, volume.site.account, name, volume.tagged <= minute);
    json!({
        "VolumeId": volume.id,
        "VolumeType": volume.class,
        "Size": volume.gib,
        "State": if machine.is_some() { "in-use" } else { "available" },
        "CreateTime": moment(volume.created).to_string(),
        "Encrypted": true,
        "Attachments": attachments,
        "Tags": tags(&pairs),
    })
}

fn group(world: &World, index: usize, minute: i64) -> Value {
    let group = &world.groups[index];
    let permissions: Vec<Value> = group
        .permissions
        .iter()
        .filter(|(from, _)| *from <= minute)
        .map(|(_, permission)| self::permission(permission))
        .collect();
    json!({
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.name,
        "VpcId": world.chance.id("vpc", group.site.region),
        "IpPermissions": permissions,
        "IpPermissionsEgress": [],
    })
}

fn permission((protocol, from, to, ranges): &Permission) -> Value {
    let ranges: Vec<Value> = ranges
        .iter()
        .map(|range| json!({"CidrIp": range}))
        .collect();
    let mut value = json!({"IpProtocol": protocol, "IpRanges": ranges, "Ipv6Ranges": [], "UserIdGroupPairs": []});
    if *protocol != "-1" {
        value["FromPort"] = json!(from);
        value["ToPort"] = json!(to);
    }
    value
}

fn address(world: &World, index: usize, minute: i64) -> Value {
    let address = &world.addresses[index];
    let mut item = json!({
        "AllocationId": address.id,
        "PublicIp": address.ip,
        "Domain": "vpc",
        "Tags": tags(&[("Name", "address")]),
    });
    if let Some(machine) = address.machine(minute) {
        item["InstanceId"] = json!(world.machines[machine].id);
        item["AssociationId"] = json!(address.id.replace("eipalloc", "eipassoc"));
    }
    item
}

fn fleet(world: &World, index: usize, minute: i64) -> Value {
    let fleet = &world.fleets[index];
    let members: Vec<Value> = world
        .machines
        .iter()
        .filter(|machine| machine.fleet == Some(fleet.name) && machine.site == fleet.site)
        .filter(|machine| machine.runs(minute))
        .map(|machine| json!({"InstanceId": machine.id, "LifecycleState": "InService", "HealthStatus": "Healthy"}))
        .collect();
    json!({
        "AutoScalingGroupName": fleet.name,
        "MinSize": fleet.size.0,
        "MaxSize": fleet.size.1,
        "DesiredCapacity": members.len(),
        "HealthCheckType": "ELB",
        "Instances": members,
    })
}

fn balancer(world: &World, index: usize) -> Value {
    let balancer = &world.balancers[index];
    let account = &world.accounts[balancer.site.account].id;
    json!({
        "LoadBalancerName": balancer.name,
        "LoadBalancerArn": format!(
            "arn:aws:elasticloadbalancing:{}:{account}:loadbalancer/{}",
            balancer.site.region,
            super::stream::balancer_id(world, index)
        ),
        "Type": "application",
        "Scheme": "internet-facing",
        "State": {"Code": "active"},
    })
}

fn gateway(world: &World, index: usize) -> Value {
    let gateway = &world.gateways[index];
    json!({
        "NatGatewayId": gateway.id,
        "State": "available",
        "ConnectivityType": "public",
        "VpcId": world.chance.id("vpc", gateway.site.region),
    })
}
