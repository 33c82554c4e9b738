//! The inventory: complete, in the API's own fields, and gone only when it is gone.

use std::time::Duration;

use serde_json::{Value, json};

use super::moto::{Act, HOME, Moto, Proxy, REGION};
use super::world::{World, ids};
use crate::harness::{DEADLINE, await_until};

/// Sweeps as often as the configuration allows.
const BUSY: &str = "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 1000\n[[accounts]]\nid = '123456789012'";
/// One sweep, and no more while the test runs.
const ONCE: &str = "[sources]\nregions = ['eu-west-1']\n[[accounts]]\nid = '123456789012'";

/// Something of every kind; `answer` is what boto3 says of it.
const SEED: &str = r#"
ec2 = client("ec2")
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
    "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=5, MaxCount=5, SecurityGroupIds=[group], SubnetId=subnets[0],
    TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Owner", "Value": "ada"}]}])
volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=20, VolumeType="gp2")["VolumeId"]
ec2.create_snapshot(VolumeId=volume, Description="before the change")
address = ec2.allocate_address(Domain="vpc")["AllocationId"]
ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)
ec2.create_network_interface(SubnetId=subnets[0], Groups=[group])
ec2.create_image(InstanceId=ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"], Name="golden")
client("elbv2").create_load_balancer(Name="front", Subnets=subnets[:2], SecurityGroups=[group])
scaling = client("autoscaling")
scaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=image, InstanceType="t3.micro")
scaling.create_auto_scaling_group(AutoScalingGroupName="web", LaunchConfigurationName="web", MinSize=1, MaxSize=2,
    VPCZoneIdentifier=subnets[0], Tags=[{"Key": "Owner", "Value": "ada", "PropagateAtLaunch": True}])
"#;

/// What boto3 reads, by kind.
const TRUTH: &str = r#"
ec2 = client("ec2")
answer = {
  "instance": [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]],
  "volume": ec2.describe_volumes()["Volumes"],
  "snapshot": ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
  "security-group": ec2.describe_security_groups()["SecurityGroups"],
  "elastic-ip": ec2.describe_addresses()["Addresses"],
  "network-interface": ec2.describe_network_interfaces()["NetworkInterfaces"],
  "natgateway": ec2.describe_nat_gateways()["NatGateways"],
  "image": ec2.describe_images(Owners=["self"])["Images"],
  "subnet": ec2.describe_subnets()["Subnets"],
  "vpc": ec2.describe_vpcs()["Vpcs"],
  "load-balancer": client("elbv2").describe_load_balancers()["LoadBalancers"],
  "auto-scaling-group": client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
}
"#;

/// Whether everything in `ours` stands in `theirs` as it is; times to the second.
fn within(path: &str, ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                let path = format!("{path}.{name}");
                let other = theirs
                    .get(name)
                    .unwrap_or_else(|| panic!("{path}: boto3 has no such field"));
                within(&path, value, other);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{path}");
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                within(&format!("{path}[{at}]"), ours, theirs);
            }
        }
        (Value::String(ours), Value::String(theirs)) if ours.ends_with('Z') => {
            assert_eq!(ours.get(..19), theirs.get(..19), "{path}");
        }
        _ => assert_eq!(ours, theirs, "{path}"),
    }
}

/// Holds what the topic says to what boto3 reads.
fn compare(world: &World, moto: &Moto) {
    let truth = moto.python(TRUTH);
    let present = world.present();
    for (kind, items) in truth.as_object().unwrap() {
        let items = items.as_array().unwrap();
        assert_eq!(ids(&present, kind).len(), items.len(), "{kind}");
        for item in items {
            let found = present.iter().find(|((_, of, id), _)| {
                of == kind
                    && item
                        .as_object()
                        .unwrap()
                        .values()
                        .any(|value| value == id.as_str())
            });
            let (_, ours) = found.unwrap_or_else(|| panic!("{kind}: {item} was not published"));
            within(kind, ours, item);
        }
    }
}

#[test]
fn everything_there_is_is_published_as_boto3_reads_it_and_told_gone_when_it_goes() {
    let Some(moto) = Moto::start() else { return };
    moto.python(SEED);
    let world = World::new(&moto.url(), BUSY);
    let mut skyherd = world.run();
    world.await_whole(1);
    compare(&world, &moto);
    let before = world.present();
    for kind in [
        "instance",
        "natgateway",
        "load-balancer",
        "auto-scaling-group",
        "image",
    ] {
        assert!(!ids(&before, kind).is_empty(), "nothing of {kind}");
    }
    moto.python(
        r#"
ec2 = client("ec2")
ec2.delete_volume(VolumeId=[v["VolumeId"] for v in ec2.describe_volumes()["Volumes"] if v["State"] == "available"][0])
ec2.create_volume(AvailabilityZone="eu-west-1a", Size=7, VolumeType="gp3")
client("elbv2").delete_load_balancer(LoadBalancerArn=client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"])
"#,
    );
    await_until("the change arrives", DEADLINE, || {
        let present = world.present();
        (ids(&present, "load-balancer").is_empty()
            && ids(&present, "volume") != ids(&before, "volume"))
        .then_some(())
    });
    await_until("the deleted volume is gone", DEADLINE, || {
        (ids(&world.present(), "volume").len() == ids(&before, "volume").len()).then_some(())
    });
    compare(&world, &moto);
    // What did not change was told once, over many sweeps and a restart.
    let told = world.records("aws.inventory").len();
    skyherd.stop();
    let mut again = world.run();
    world.await_whole(1);
    assert_eq!(world.records("aws.inventory").len(), told);
    let shown = world.command(&["sources"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains(HOME) && shown.stdout.contains("ec2"),
        "{}",
        shown.stdout
    );
    again.stop();
}

#[test]
fn of_fifty_accounts_one_that_refuses_is_named_and_the_rest_goes_on() {
    const REFUSES: &str = "100000000025";
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(&moto, |asked| {
        if asked.action == "AssumeRole" && asked.body.contains(REFUSES) {
            Act::Refuse(403, "AccessDenied")
        } else {
            Act::Pass
        }
    });
    let accounts: Vec<String> = (0..50)
        .map(|number| format!("[[accounts]]\nid = '1000000000{number:02}'\nrole = 'skyherd-read'\nexternal_id = 'e'\n"))
        .collect();
    let accounts = accounts.concat();
    let settings = format!("[sources]\nregions = ['eu-west-1']\n{accounts}");
    let world = World::new(&proxy.url(), &settings);
    let mut skyherd = world.run();
    let rows = world.await_whole(49);
    let refused: Vec<&Value> = rows
        .iter()
        .filter(|row| row["source"] == "accounts")
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["account"], REFUSES);
    let reason = refused[0]["errors"][0].as_str().unwrap();
    assert!(
        reason.contains("sts:AssumeRole") && reason.contains("AccessDenied"),
        "{reason}"
    );
    for row in rows.iter().filter(|row| row["source"] == "inventory") {
        assert_eq!(row["errors"], json!([]), "{row}");
        assert!(row["known"].as_u64().unwrap() > 0, "{row}");
    }
    assert_eq!(proxy.count("AssumeRole"), 50, "a role is taken on once");
    assert_eq!(world.command(&["sources"]).code, Some(1));
    skyherd.stop();
}

#[test]
fn faults_are_ridden_out_and_a_kind_that_is_refused_never_looks_gone() {
    let Some(moto) = Moto::start() else { return };
    moto.python(SEED);
    let proxy = Proxy::start(&moto, |asked| match (asked.action.as_str(), asked.before) {
        ("DescribeInstances", 0) => Act::Refuse(503, "RequestLimitExceeded"),
        ("DescribeVolumes", 0) => Act::Reset,
        ("DescribeSnapshots", 0) => Act::Refuse(500, "InternalError"),
        ("DescribeSecurityGroups", 0) => Act::Slow(Duration::from_millis(500)),
        _ => Act::Pass,
    });
    let world = World::new(&proxy.url(), BUSY);
    let mut skyherd = world.run();
    world.await_whole(1);
    compare(&world, &moto);
    let before = world.present();
    proxy.set(|asked| match asked.action.as_str() {
        "DescribeVolumes" => Act::Refuse(403, "UnauthorizedOperation"),
        _ => Act::Pass,
    });
    let rows = await_until("the refusal is told", DEADLINE, || {
        let rows = world.sources();
        rows.iter()
            .any(|row| row["errors"] != json!([]))
            .then_some(rows)
    });
    let errors = rows[0]["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].as_str().unwrap().contains("ec2:DescribeVolumes"),
        "{errors:?}"
    );
    assert_eq!(ids(&world.present(), "volume"), ids(&before, "volume"));
    skyherd.stop();
}

#[test]
fn killed_within_a_sweep_it_ends_up_where_it_would_have() {
    let Some(moto) = Moto::start() else { return };
    moto.python(SEED);
    // The third kind of the sweep hangs until the process is gone.
    let proxy = Proxy::start(&moto, |asked| match asked.action.as_str() {
        "DescribeSecurityGroups" => Act::Slow(Duration::from_mins(10)),
        _ => Act::Pass,
    });
    let world = World::new(&proxy.url(), ONCE);
    let mut skyherd = world.run();
    await_until("the sweep is under way", DEADLINE, || {
        (proxy.count("DescribeSecurityGroups") > 0).then_some(())
    });
    assert!(
        !ids(&world.present(), "instance").is_empty(),
        "it tells as it goes"
    );
    skyherd.kill();
    // What was told and goes while nobody looks must still be found gone.
    moto.python(
        r#"
ec2 = client("ec2")
ec2.delete_volume(VolumeId=[v["VolumeId"] for v in ec2.describe_volumes()["Volumes"] if v["State"] == "available"][0])
"#,
    );
    proxy.set(|_| Act::Pass);
    let mut again = world.run();
    world.await_whole(1);
    compare(&world, &moto);
    again.stop();
}

#[test]
fn what_an_event_names_is_asked_for_at_once() {
    let Some(moto) = Moto::start() else { return };
    let world = World::new(&moto.url(), ONCE);
    let mut skyherd = world.run();
    world.await_whole(1);
    assert!(ids(&world.present(), "instance").is_empty());
    let id = moto.python(
        r#"
ec2 = client("ec2")
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
answer = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
"#,
    );
    world.publish(&json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": HOME, "time": "2026-11-01T00:00:00Z", "region": REGION, "resources": [],
        "detail": { "instance-id": id, "state": "running" },
    }));
    await_until("the instance is published", DEADLINE, || {
        ids(&world.present(), "instance")
            .contains(id.as_str().unwrap())
            .then_some(())
    });
    skyherd.stop();
}

#[test]
fn an_organization_s_accounts_are_found_and_left_out_by_unit() {
    let Some(moto) = Moto::start() else { return };
    let made = moto.python(
        r#"
org = client("organizations")
org.create_organization(FeatureSet="ALL")
root = org.list_roots()["Roots"][0]["Id"]
units = [org.create_organizational_unit(ParentId=root, Name=name)["OrganizationalUnit"]["Id"] for name in ("prod", "test")]
ids = []
for number, unit in enumerate(units + [units[0]]):
    account = org.create_account(AccountName=f"a{number}", Email=f"a{number}@example.com")["CreateAccountStatus"]["AccountId"]
    org.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    ids.append(account)
answer = {"units": units, "ids": ids}
"#,
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let settings = format!(
        "[sources]\nregions = ['eu-west-1']\n[sources.organization]\nrole = 'skyherd-read'\ninclude = ['{}']\nexclude = ['{}']",
        text(&made["units"][0]),
        text(&made["ids"][2])
    );
    let world = World::new(&moto.url(), &settings);
    let mut skyherd = world.run();
    let rows = world.await_whole(1);
    let accounts: Vec<&Value> = rows.iter().map(|row| &row["account"]).collect();
    assert_eq!(accounts, [&made["ids"][0]]);
    skyherd.stop();
}
