//! `CloudTrail` inside `EventBridge`: whose call it was, and the resource it acted on.

use super::events::{About, Envelope, text};
use super::subject::{kind_of_id, load_balancer_name, named, resource, subject};
use crate::model::{Subject, Undecodable};

/// Where calls name the resource they act on: event names, the kind, and pointers into the
/// record, the first that holds text counts. The table is read from the top.
///
/// Newer EC2 calls wrap their parameters in `<Call>Request` and `<Call>Response`; `*` stands for
/// the call's name.
const ACTED_ON: &[(&[&str], &str, &[&str])] = &[
    (
        &[
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
            "UpdateSecurityGroupRuleDescriptionsIngress",
            "UpdateSecurityGroupRuleDescriptionsEgress",
            "ModifySecurityGroupRules",
            "CreateSecurityGroup",
            "DeleteSecurityGroup",
        ],
        "security-group",
        &[
            "/requestParameters/groupId",
            "/requestParameters/*Request/GroupId",
            "/responseElements/groupId",
            "/responseElements/securityGroupRuleSet/items/0/groupId",
        ],
    ),
    (
        &[
            "RunInstances",
            "StartInstances",
            "StopInstances",
            "RebootInstances",
            "TerminateInstances",
            "MonitorInstances",
            "UnmonitorInstances",
            "ModifyInstanceAttribute",
            "ModifyInstanceMetadataOptions",
            "ModifyInstancePlacement",
            "AssociateIamInstanceProfile",
            "GetPasswordData",
            "GetConsoleOutput",
            "SendSSHPublicKey",
            "SendSerialConsoleSSHPublicKey",
        ],
        "instance",
        &[
            "/requestParameters/instanceId",
            "/requestParameters/instancesSet/items/0/instanceId",
            "/requestParameters/*Request/InstanceId",
            "/responseElements/instancesSet/items/0/instanceId",
        ],
    ),
    (
        &[
            "CreateVolume",
            "DeleteVolume",
            "AttachVolume",
            "DetachVolume",
            "ModifyVolume",
            "ModifyVolumeAttribute",
        ],
        "volume",
        &[
            "/requestParameters/volumeId",
            "/requestParameters/*Request/VolumeId",
            "/responseElements/volumeId",
        ],
    ),
    (
        &[
            "CreateSnapshot",
            "CopySnapshot",
            "DeleteSnapshot",
            "ModifySnapshotAttribute",
            "ResetSnapshotAttribute",
            "ModifySnapshotTier",
        ],
        "snapshot",
        &[
            "/responseElements/snapshotId",
            "/requestParameters/snapshotId",
        ],
    ),
    (
        &[
            "CreateImage",
            "CopyImage",
            "RegisterImage",
            "DeregisterImage",
            "ModifyImageAttribute",
            "ResetImageAttribute",
        ],
        "image",
        &["/responseElements/imageId", "/requestParameters/imageId"],
    ),
    (
        &["AllocateAddress", "ReleaseAddress", "AssociateAddress"],
        "elastic-ip",
        &[
            "/requestParameters/allocationId",
            "/responseElements/allocationId",
        ],
    ),
    (
        &["CreateNatGateway", "DeleteNatGateway"],
        "natgateway",
        &[
            "/responseElements/*Response/natGateway/natGatewayId",
            "/requestParameters/*Request/NatGatewayId",
        ],
    ),
    (
        &[
            "CreateNetworkInterface",
            "DeleteNetworkInterface",
            "AttachNetworkInterface",
            "ModifyNetworkInterfaceAttribute",
        ],
        "network-interface",
        &[
            "/requestParameters/networkInterfaceId",
            "/responseElements/networkInterface/networkInterfaceId",
        ],
    ),
    (
        &["CreateSubnet", "DeleteSubnet", "ModifySubnetAttribute"],
        "subnet",
        &[
            "/requestParameters/subnetId",
            "/responseElements/subnet/subnetId",
        ],
    ),
    (
        &["CreateVpc", "DeleteVpc", "ModifyVpcAttribute"],
        "vpc",
        &["/requestParameters/vpcId", "/responseElements/vpc/vpcId"],
    ),
    (
        &[
            "CreateRoute",
            "ReplaceRoute",
            "DeleteRoute",
            "CreateRouteTable",
            "DeleteRouteTable",
            "AssociateRouteTable",
            "ReplaceRouteTableAssociation",
        ],
        "route-table",
        &[
            "/requestParameters/routeTableId",
            "/responseElements/routeTable/routeTableId",
        ],
    ),
    (
        &[
            "CreateNetworkAcl",
            "DeleteNetworkAcl",
            "CreateNetworkAclEntry",
            "DeleteNetworkAclEntry",
            "ReplaceNetworkAclEntry",
            "ReplaceNetworkAclAssociation",
        ],
        "network-acl",
        &[
            "/requestParameters/networkAclId",
            "/responseElements/networkAcl/networkAclId",
        ],
    ),
    (
        &[
            "CreateInternetGateway",
            "DeleteInternetGateway",
            "AttachInternetGateway",
            "DetachInternetGateway",
        ],
        "internet-gateway",
        &[
            "/requestParameters/internetGatewayId",
            "/responseElements/internetGateway/internetGatewayId",
        ],
    ),
    (
        &[
            "CreateVpcPeeringConnection",
            "AcceptVpcPeeringConnection",
            "RejectVpcPeeringConnection",
            "DeleteVpcPeeringConnection",
        ],
        "vpc-peering-connection",
        &[
            "/requestParameters/vpcPeeringConnectionId",
            "/responseElements/vpcPeeringConnection/vpcPeeringConnectionId",
        ],
    ),
    (
        &[
            "CreateTargetGroup",
            "DeleteTargetGroup",
            "ModifyTargetGroup",
            "RegisterTargets",
            "DeregisterTargets",
        ],
        "target-group",
        &[
            "/requestParameters/targetGroupArn",
            "/requestParameters/name",
        ],
    ),
    (
        &["CreateLaunchConfiguration", "DeleteLaunchConfiguration"],
        "launch-configuration",
        &["/requestParameters/launchConfigurationName"],
    ),
    (
        &[
            "CreateAutoScalingGroup",
            "UpdateAutoScalingGroup",
            "DeleteAutoScalingGroup",
            "SetDesiredCapacity",
            "PutScalingPolicy",
            "SuspendProcesses",
            "ResumeProcesses",
            "AttachInstances",
            "DetachInstances",
        ],
        "auto-scaling-group",
        &["/requestParameters/autoScalingGroupName"],
    ),
    (
        &[
            "CreateLoadBalancer",
            "DeleteLoadBalancer",
            "ModifyLoadBalancerAttributes",
            "SetSecurityGroups",
        ],
        "load-balancer",
        &[
            "/requestParameters/loadBalancerArn",
            "/requestParameters/loadBalancerName",
            "/requestParameters/name",
        ],
    ),
    (
        &[
            "CreateBucket",
            "DeleteBucket",
            "PutBucketAcl",
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketCors",
            "DeleteBucketCors",
            "PutBucketLifecycle",
            "DeleteBucketLifecycle",
            "PutBucketReplication",
            "DeleteBucketReplication",
            "PutBucketPublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
            "PutBucketEncryption",
            "DeleteBucketEncryption",
        ],
        "bucket",
        &["/requestParameters/bucketName"],
    ),
    (
        &["CreateTags", "DeleteTags", "AddTags", "RemoveTags"],
        // The id itself tells its kind.
        "",
        &[
            "/requestParameters/resourcesSet/items/0/resourceId",
            "/requestParameters/resourceArns/0",
        ],
    ),
];

/// The resource acted on, else the caller; the fact's key is `eventID`.
pub(super) fn about(event: &Envelope<'_>) -> Result<About, Undecodable> {
    let id = event.required("/eventID")?;
    let name = event.required("/eventName")?;
    event.required("/eventSource")?;
    let account = event.account_at("/recipientAccountId")?;
    let region = event.region_at("/awsRegion")?;
    let subject =
        acted_on(event, name, account, region).unwrap_or_else(|| caller(event, account, region));
    Ok(About {
        subject,
        dedupe: event.key(&[id]),
    })
}

fn acted_on(event: &Envelope<'_>, name: &str, account: &str, region: &str) -> Option<Subject> {
    let (_, kind, pointers) = ACTED_ON.iter().find(|(names, ..)| names.contains(&name))?;
    let id = pointers
        .iter()
        .find_map(|pointer| text(&event.detail, &pointer.replace('*', name)))?;
    if let Some(found) = id.starts_with("arn:").then(|| named(id)).flatten() {
        return Some(found.subject(account, region));
    }
    let kind = if kind.is_empty() {
        kind_of_id(id)?
    } else {
        kind
    };
    let id = if kind == "load-balancer" {
        load_balancer_name(id)
    } else {
        id
    };
    Some(resource(account, region, kind, id))
}

/// The caller. Principals belong to no region, so that sign-ins through any endpoint meet.
fn caller(event: &Envelope<'_>, account: &str, region: &str) -> Subject {
    let identity = |field: &str| event.text(&format!("/userIdentity/{field}"));
    if identity("type") == Some("Root") {
        return subject(account, "global", "principal/root");
    }
    let arn = identity("arn").and_then(|arn| named(arn).map(|found| found.resource));
    if let Some(principal) = arn.filter(|resource| resource.starts_with("principal/")) {
        return subject(account, "global", &principal);
    }
    if let Some(user) = identity("userName") {
        return resource(account, "global", "principal/user", user);
    }
    match identity("principalId").or_else(|| identity("invokedBy")) {
        Some(id) => resource(account, "global", "principal", id),
        // AWS's own service events name no caller.
        None => resource(account, region, "service", &event.source),
    }
}
