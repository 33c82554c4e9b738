//! The inventory: complete, in the API's own fields, and gone only when it is gone.

use std::time::Duration;

use serde_json::{Value, json};
use skyherd::model::ItemKind;

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
instances = [i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=other)
table = ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
acl = ec2.create_network_acl(VpcId=other)["NetworkAcl"]["NetworkAclId"]
ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Protocol="6", RuleAction="allow", Egress=False,
    CidrBlock="0.0.0.0/0", PortRange={"From": 22, "To": 22})
ec2.create_vpc_endpoint(VpcId=other, ServiceName="com.amazonaws.eu-west-1.s3", RouteTableIds=[table])
ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)
ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=ec2.create_customer_gateway(Type="ipsec.1", PublicIp="203.0.113.7",
    BgpAsn=65000)["CustomerGateway"]["CustomerGatewayId"], VpnGatewayId=ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"])
ec2.create_transit_gateway(Description="hub")
ec2.create_key_pair(KeyName="ops")
client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
ec2.create_flow_logs(ResourceIds=[other], ResourceType="VPC", TrafficType="ALL", LogDestinationType="s3", LogDestination="arn:aws:s3:::logs")
ec2.create_tags(Resources=[instances[0]], Tags=[{"Key": "Planned", "Value": "1"}, {"Key": "Managed", "Value": "1"}])
volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=20, VolumeType="gp2")["VolumeId"]
shared = ec2.create_snapshot(VolumeId=volume, Description="shared")["SnapshotId"]
ec2.modify_snapshot_attribute(SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"])
ec2.create_tags(Resources=[volume], Tags=[{"Key": "Backed", "Value": "1"}])
import base64
started = base64.b64encode(b"set -e\nexport DB_PASSWORD=hunter22\naws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE\n").decode()
template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"})
ec2.create_launch_template_version(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small",
    "MetadataOptions": {"HttpTokens": "required"}, "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeSize": 9}}],
    "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}], "UserData": started})
ec2.modify_instance_attribute(InstanceId=instances[1], DisableApiTermination={"Value": True})
ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=base64.b64decode(started).decode())
balancing = client("elbv2")
shop = balancing.create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
balancing.register_targets(TargetGroupArn=shop, Targets=[{"Id": instances[0], "Port": 80}])
scaling.put_scaling_policy(AutoScalingGroupName="web", PolicyName="up", PolicyType="TargetTrackingScaling",
    TargetTrackingConfiguration={"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}})
iam = client("iam")
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
anything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
admin = iam.create_policy(PolicyName="admin", PolicyDocument=anything)["Policy"]["Arn"]
iam.create_user(UserName="ann", Path="/staff/", Tags=[{"Key": "Team", "Value": "ops"}])
iam.create_access_key(UserName="ann")
iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=anything)
iam.create_group(GroupName="ops")
iam.put_group_policy(GroupName="ops", PolicyName="own", PolicyDocument=anything)
iam.add_user_to_group(GroupName="ops", UserName="ann")
iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust)
iam.attach_role_policy(RoleName="web", PolicyArn=admin)
iam.put_role_policy(RoleName="web", PolicyName="own", PolicyDocument=anything)
iam.create_instance_profile(InstanceProfileName="web")
iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
iam.update_account_password_policy(MinimumPasswordLength=14, RequireSymbols=True)
trails = client("cloudtrail")
trails.create_trail(Name="all", S3BucketName="logs", IsMultiRegionTrail=True)
trails.start_logging(Name="all")
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
import base64, csv, io, time
ec2, balancing, scaling, iam, trails, ssm = (client(name) for name in ("ec2", "elbv2", "autoscaling", "iam", "cloudtrail", "ssm"))
limits = client("service-quotas")
def versions(template):
    found = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Default", "$Latest"])
    own = {v["VersionNumber"]: v for v in found["LaunchTemplateVersions"]}
    for version in own.values():
        if "UserData" in version["LaunchTemplateData"]:
            version["LaunchTemplateData"]["UserData"] = marks(version["LaunchTemplateData"]["UserData"])
    return dict(template, LaunchTemplateVersions=[own[number] for number in sorted(own)])
def marks(data):
    # What it says is told of, not told.
    return {"Bytes": len(base64.b64decode(data)), "SecretKinds": ["access-key", "password"], "AccessKeyIds": ["AKIAIOSFODNN7EXAMPLE"]}
def attributes(instance):
    of = {"InstanceId": instance["InstanceId"]}
    asked = lambda name: ec2.describe_instance_attribute(Attribute=name, **of)
    data = asked("userData")["UserData"].get("Value")
    told = {"UserData": marks(data)} if data else {}
    return {**of, **told, "DisableApiTermination": asked("disableApiTermination")["DisableApiTermination"]["Value"]}
def quotas(service):
    return [q for page in limits.get_paginator("list_service_quotas").paginate(ServiceCode=service) for q in page["Quotas"]]
def public(snapshot):
    return ec2.describe_snapshot_attribute(SnapshotId=snapshot["SnapshotId"], Attribute="createVolumePermission")
def health(group):
    return dict(group, TargetHealthDescriptions=balancing.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"])
def patched(instance):
    return dict(instance, InstancePatchState=ssm.describe_instance_patch_states(InstanceIds=[instance["InstanceId"]])["InstancePatchStates"][0])
while iam.generate_credential_report()["State"] != "COMPLETE":
    time.sleep(0.1)
report = list(csv.DictReader(io.StringIO(iam.get_credential_report()["Content"].decode())))
details = iam.get_account_authorization_details()
def user(row):
    found = [u for u in details["UserDetailList"] if u["Arn"] == row["arn"]] or [{"Arn": row["arn"], "UserName": "<root_account>"}]
    return dict(found[0], CredentialReport=row)
me = client("sts").get_caller_identity()["Account"]
own = ec2.describe_snapshots(Filters=[{"Name": "owner-id", "Values": [me]}])["Snapshots"]
settings = {"Region": "eu-west-1", "InstanceMetadataDefaults": ec2.get_instance_metadata_defaults()["AccountLevel"],
    "SnapshotBlockPublicAccessState": ec2.get_snapshot_block_public_access_state()["State"]}
for answered in (ec2.get_ebs_encryption_by_default(), ec2.get_image_block_public_access_state(), ec2.get_serial_console_access_status()):
    settings.update(answered)
answer.update({
  "network-acl": ec2.describe_network_acls()["NetworkAcls"],
  "route-table": ec2.describe_route_tables()["RouteTables"],
  "internet-gateway": ec2.describe_internet_gateways()["InternetGateways"],
  "vpc-endpoint": ec2.describe_vpc_endpoints()["VpcEndpoints"],
  "vpc-peering-connection": ec2.describe_vpc_peering_connections()["VpcPeeringConnections"],
  "vpn-connection": ec2.describe_vpn_connections()["VpnConnections"],
  "transit-gateway": ec2.describe_transit_gateways()["TransitGateways"],
  "key-pair": ec2.describe_key_pairs()["KeyPairs"],
  "vpc-flow-log": ec2.describe_flow_logs()["FlowLogs"],
  "launch-template": [versions(t) for t in ec2.describe_launch_templates()["LaunchTemplates"]],
  "instance-status": ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"],
  "public-snapshot": [p for p in map(public, own) if p["CreateVolumePermissions"]],
  "target-group": [health(g) for g in balancing.describe_target_groups()["TargetGroups"]],
  "launch-configuration": scaling.describe_launch_configurations()["LaunchConfigurations"],
  "scaling-policy": scaling.describe_policies()["ScalingPolicies"],
  "region-settings": [settings],
  "managed-instance": [patched(i) for i in ssm.describe_instance_information()["InstanceInformationList"]],
  "service-quota": quotas("ec2") + quotas("vpc"),
  "protected-resource": client("backup").list_protected_resources()["Results"],
  "instance-attributes": [attributes(i) for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]],
  "account-summary": [{"AccountId": me, "SummaryMap": iam.get_account_summary()["SummaryMap"],
    "PasswordPolicy": iam.get_account_password_policy()["PasswordPolicy"]}],
  "iam-user": [user(row) for row in report],
  "iam-role": details["RoleDetailList"],
  "iam-group": details["GroupDetailList"],
  "iam-policy": [dict(p, PolicyVersionList=[v for v in p["PolicyVersionList"] if v["IsDefaultVersion"]]) for p in details["Policies"]
    if p["Arn"].startswith(f"arn:aws:iam::{me}:")],
  "instance-profile": iam.list_instance_profiles()["InstanceProfiles"],
  "trail": [dict(t, TrailStatus=trails.get_trail_status(Name=t["TrailARN"])) for t in trails.describe_trails()["trailList"]],
})
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
    let told = world
        .records("aws.inventory")
        .iter()
        .any(|record| record.to_string().contains("hunter22"));
    assert!(!told, "a secret was published");
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
    world.await_whole(3);
    compare(&world, &moto);
    let before = world.present();
    for kind in ItemKind::ALL {
        let kind = kind.as_str();
        assert!(!ids(&before, kind).is_empty(), "nothing of {kind}");
    }
    let text = json!(before.values().collect::<Vec<_>>()).to_string();
    assert!(!text.contains("c2VjcmV0"), "user data is nobody's business");
    moto.python(
        r#"
ec2 = client("ec2")
ec2.delete_volume(VolumeId=[v["VolumeId"] for v in ec2.describe_volumes()["Volumes"] if v["State"] == "available"][0])
ec2.create_volume(AvailabilityZone="eu-west-1a", Size=7, VolumeType="gp3")
client("elbv2").delete_load_balancer(LoadBalancerArn=client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"])
ec2.modify_snapshot_attribute(SnapshotId=[s["SnapshotId"] for s in ec2.describe_snapshots(Filters=[{"Name": "owner-id",
    "Values": ["123456789012"]}])["Snapshots"] if s["Description"] == "shared"][0],
    Attribute="createVolumePermission", OperationType="remove", GroupNames=["all"])
client("iam").delete_group_policy(GroupName="ops", PolicyName="own")
client("iam").remove_user_from_group(GroupName="ops", UserName="ann")
client("iam").delete_group(GroupName="ops")
client("cloudtrail").stop_logging(Name="all")
"#,
    );
    await_until("the change arrives", DEADLINE, || {
        let present = world.present();
        let only = |kind: &str| {
            let mut of_kind = present.iter().filter(|((_, of, _), _)| of == kind);
            of_kind.next().map_or(&Value::Null, |(_, item)| item)
        };
        let gone = ["load-balancer", "public-snapshot", "iam-group"];
        // Kinds are swept in turn: each may show the change a sweep later than the next.
        (gone.iter().all(|kind| ids(&present, kind).is_empty())
            && only("trail")["TrailStatus"]["IsLogging"] == false
            && only("iam-user")["GroupList"].is_null()
            && only("account-summary")["SummaryMap"]["Groups"] == 0
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
    world.await_whole(3);
    assert_eq!(&world.records("aws.inventory")[told..], [Value::Null; 0]);
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
    let rows = world.await_whole(3 * 49);
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
    world.await_whole(3);
    compare(&world, &moto);
    let before = world.present();
    proxy.set(|asked| match asked.action.as_str() {
        "DescribeVolumes" => Act::Refuse(403, "UnauthorizedOperation"),
        // Asked a target group each, after the list of them.
        "DescribeTargetHealth" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let errors = await_until("the refusals are told", DEADLINE, || {
        let rows = world.sources();
        let mut inventory = rows.iter().filter(|row| row["source"] == "inventory");
        let errors = inventory.next()?["errors"].as_array().unwrap().clone();
        (errors.len() == 2).then_some(errors)
    });
    for (error, action) in errors.iter().zip([
        "ec2:DescribeVolumes",
        "elasticloadbalancing:DescribeTargetHealth",
    ]) {
        assert!(error.as_str().unwrap().contains(action), "{errors:?}");
    }
    for kind in ["volume", "target-group"] {
        assert_eq!(ids(&world.present(), kind), ids(&before, kind), "{kind}");
    }
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
    world.await_whole(3);
    compare(&world, &moto);
    again.stop();
}

#[test]
fn what_an_event_names_is_asked_for_at_once() {
    let Some(moto) = Moto::start() else { return };
    let world = World::new(&moto.url(), ONCE);
    let mut skyherd = world.run();
    world.await_whole(3);
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
    let id = id.as_str().unwrap();
    moto.python(&format!(
        "client('ec2').modify_instance_attribute(InstanceId='{id}', DisableApiTermination={{'Value': True}})"
    ));
    world.publish(&json!({
        "version": "0", "id": "2", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2",
        "account": HOME, "time": "2026-11-01T00:00:01Z", "region": REGION, "resources": [],
        "detail": { "eventID": "e-2", "eventName": "ModifyInstanceAttribute", "eventSource": "ec2.amazonaws.com",
            "awsRegion": REGION, "recipientAccountId": HOME,
            "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ann" },
            "requestParameters": { "instanceId": id, "disableApiTermination": { "value": true } } },
    }));
    await_until("its protection is published", DEADLINE, || {
        let present = world.present();
        let mut found = present
            .iter()
            .filter(|((_, kind, of), _)| kind == "instance-attributes" && of == id);
        found
            .any(|(_, item)| item["DisableApiTermination"] == true)
            .then_some(())
    });
    skyherd.stop();
}

#[test]
fn what_belongs_to_no_region_is_asked_for_once_an_account_and_at_once_when_an_event_says_so() {
    let Some(moto) = Moto::start() else { return };
    moto.python(SEED);
    let proxy = Proxy::start(&moto, |_| Act::Pass);
    let settings = ONCE.replace("['eu-west-1']", "['eu-west-1', 'eu-west-2', 'us-east-1']");
    let world = World::new(&proxy.url(), &settings);
    let mut skyherd = world.run();
    let rows = world.await_whole(7);
    let inventory = rows.iter().filter(|row| row["source"] == "inventory");
    let regions: Vec<&Value> = inventory.map(|row| &row["region"]).collect();
    assert_eq!(regions, ["eu-west-1", "eu-west-2", "global", "us-east-1"]);
    // Users, roles, groups, policies: a page each.
    assert_eq!(proxy.count("GetAccountAuthorizationDetails"), 4);
    for once in [
        "GetCredentialReport",
        "GetAccountSummary",
        "ListInstanceProfiles",
        "ListTrails",
        "GetTrailStatus",
    ] {
        assert_eq!(proxy.count(once), 1, "{once}");
    }
    assert_eq!(proxy.count("DescribeVpnConnections"), 3, "a region each");
    let placed = |kind: &str| -> Vec<Value> {
        let of_kind = |record: &Value| record["kind"] == kind;
        let records = world.records("aws.inventory").into_iter();
        records
            .filter(of_kind)
            .map(|r| r["region"].clone())
            .collect()
    };
    assert_eq!(placed("trail"), ["global"], "over all regions, and one");
    assert_eq!(placed("iam-role"), ["global"]);
    assert_eq!(placed("region-settings").len(), 3);
    moto.python(
        r#"client("iam").detach_role_policy(RoleName="web", PolicyArn="arn:aws:iam::123456789012:policy/admin")"#,
    );
    world.publish(&json!({
        "version": "0", "id": "2", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
        "account": HOME, "time": "2026-11-01T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": { "eventID": "e-2", "eventName": "DetachRolePolicy", "eventSource": "iam.amazonaws.com",
            "awsRegion": "us-east-1", "recipientAccountId": HOME,
            "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/staff/ann" },
            "requestParameters": { "roleName": "web" } },
    }));
    await_until("the role is told again", DEADLINE, || {
        let present = world.present();
        let role = present.iter().find(|((_, kind, _), _)| kind == "iam-role");
        role.unwrap().1["AttachedManagedPolicies"]
            .is_null()
            .then_some(())
    });
    assert_eq!(
        proxy.count("GetAccountAuthorizationDetails"),
        5,
        "roles alone"
    );
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
    let rows = world.await_whole(3);
    let accounts: Vec<&Value> = rows.iter().map(|row| &row["account"]).collect();
    // Its region twice, attributes being asked for apart, and what it has outside regions.
    assert_eq!(accounts, [&made["ids"][0]; 3]);
    skyherd.stop();
}
