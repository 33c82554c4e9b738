//! Resources of the accounts, as AWS's own calls describe them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource as a Describe call shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The kind, of a closed list.
    pub kind: ItemKind,
    /// Present, or gone since the last sweep.
    pub presence: Presence,
    /// The Describe item, in the API's own shape.
    pub item: Value,
}

/// Whether the resource was there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Described.
    #[default]
    Present,
    /// A complete sweep no longer shows it.
    Gone,
}

/// Kinds of inventory item.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// `Instances[]` of DescribeInstances.
    Instance,
    /// `Volumes[]` of DescribeVolumes.
    Volume,
    /// `SecurityGroups[]` of DescribeSecurityGroups.
    SecurityGroup,
    /// `Snapshots[]` of DescribeSnapshots.
    Snapshot,
    /// `Addresses[]` of DescribeAddresses.
    ElasticIp,
    /// `NetworkInterfaces[]` of DescribeNetworkInterfaces.
    NetworkInterface,
    /// `AutoScalingGroups[]` of DescribeAutoScalingGroups.
    AutoScalingGroup,
    /// `LoadBalancers[]` of the ELBv2 API.
    LoadBalancer,
    /// `NatGateways[]` of DescribeNatGateways.
    Natgateway,
    /// `Images[]` of DescribeImages.
    Image,
    /// `Subnets[]` of DescribeSubnets.
    Subnet,
    /// `Vpcs[]` of DescribeVpcs.
    Vpc,
    /// `NetworkAcls[]` of DescribeNetworkAcls.
    NetworkAcl,
    /// `RouteTables[]` of DescribeRouteTables.
    RouteTable,
    /// `InternetGateways[]` of DescribeInternetGateways.
    InternetGateway,
    /// `VpcEndpoints[]` of DescribeVpcEndpoints.
    VpcEndpoint,
    /// `VpcPeeringConnections[]` of DescribeVpcPeeringConnections.
    VpcPeeringConnection,
    /// `VpnConnections[]` of DescribeVpnConnections, with the state of its tunnels.
    VpnConnection,
    /// `TransitGateways[]` of DescribeTransitGateways.
    TransitGateway,
    /// `KeyPairs[]` of DescribeKeyPairs.
    KeyPair,
    /// `FlowLogs[]` of DescribeFlowLogs.
    VpcFlowLog,
    /// `LaunchTemplates[]` of DescribeLaunchTemplates, with its default and its latest of `LaunchTemplateVersions[]`.
    LaunchTemplate,
    /// `InstanceStatuses[]` of DescribeInstanceStatus, with the events scheduled.
    InstanceStatus,
    /// A snapshot that everybody may copy: `CreateVolumePermissions[]` of DescribeSnapshotAttribute.
    PublicSnapshot,
    /// `TargetGroups[]` of the ELBv2 API, with `TargetHealthDescriptions[]`.
    TargetGroup,
    /// `LaunchConfigurations[]` of DescribeLaunchConfigurations.
    LaunchConfiguration,
    /// `ScalingPolicies[]` of the Auto Scaling API.
    ScalingPolicy,
    /// What an account has set for all of EC2 in a region.
    RegionSettings,
    /// `InstanceInformationList[]` of Systems Manager, with `InstancePatchStates[]`.
    ManagedInstance,
    /// `Quotas[]` of Service Quotas: how much of EC2, EBS, VPC and the like an account may have.
    ServiceQuota,
    /// `Results[]` of AWS Backup's ListProtectedResources: what it has copies of.
    ProtectedResource,
    /// `SummaryMap` and `PasswordPolicy` of IAM.
    AccountSummary,
    /// `UserDetailList[]` of GetAccountAuthorizationDetails, with the user's row of the credential report; the root user too.
    IamUser,
    /// `RoleDetailList[]` of GetAccountAuthorizationDetails.
    IamRole,
    /// `GroupDetailList[]` of GetAccountAuthorizationDetails.
    IamGroup,
    /// `Policies[]` of GetAccountAuthorizationDetails: the account's own.
    IamPolicy,
    /// `InstanceProfiles[]` of ListInstanceProfiles.
    InstanceProfile,
    /// `trailList[]` of DescribeTrails, with GetTrailStatus as `TrailStatus`; once, whatever the regions it covers.
    Trail,
    /// What DescribeInstanceAttribute alone tells of an instance: termination protection, and which kinds of secrets its user data holds. A call each, so asked apart from sweeps.
    InstanceAttributes,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 39] = [
        Self::Instance,
        Self::Volume,
        Self::SecurityGroup,
        Self::Snapshot,
        Self::ElasticIp,
        Self::NetworkInterface,
        Self::AutoScalingGroup,
        Self::LoadBalancer,
        Self::Natgateway,
        Self::Image,
        Self::Subnet,
        Self::Vpc,
        Self::NetworkAcl,
        Self::RouteTable,
        Self::InternetGateway,
        Self::VpcEndpoint,
        Self::VpcPeeringConnection,
        Self::VpnConnection,
        Self::TransitGateway,
        Self::KeyPair,
        Self::VpcFlowLog,
        Self::LaunchTemplate,
        Self::InstanceStatus,
        Self::PublicSnapshot,
        Self::TargetGroup,
        Self::LaunchConfiguration,
        Self::ScalingPolicy,
        Self::RegionSettings,
        Self::ManagedInstance,
        Self::ServiceQuota,
        Self::ProtectedResource,
        Self::AccountSummary,
        Self::IamUser,
        Self::IamRole,
        Self::IamGroup,
        Self::IamPolicy,
        Self::InstanceProfile,
        Self::Trail,
        Self::InstanceAttributes,
    ];
    /// The resource type of its subject (as in ARNs), unless its id is an ARN, which then names the
    /// subject itself. Several calls may tell of one resource.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::InstanceStatus | Self::ManagedInstance | Self::InstanceAttributes => {
                Self::Instance.as_str()
            }
            Self::PublicSnapshot => Self::Snapshot.as_str(),
            kind => kind.as_str(),
        }
    }
    /// The name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Volume => "volume",
            Self::SecurityGroup => "security-group",
            Self::Snapshot => "snapshot",
            Self::ElasticIp => "elastic-ip",
            Self::NetworkInterface => "network-interface",
            Self::AutoScalingGroup => "auto-scaling-group",
            Self::LoadBalancer => "load-balancer",
            Self::Natgateway => "natgateway",
            Self::Image => "image",
            Self::Subnet => "subnet",
            Self::Vpc => "vpc",
            Self::NetworkAcl => "network-acl",
            Self::RouteTable => "route-table",
            Self::InternetGateway => "internet-gateway",
            Self::VpcEndpoint => "vpc-endpoint",
            Self::VpcPeeringConnection => "vpc-peering-connection",
            Self::VpnConnection => "vpn-connection",
            Self::TransitGateway => "transit-gateway",
            Self::KeyPair => "key-pair",
            Self::VpcFlowLog => "vpc-flow-log",
            Self::LaunchTemplate => "launch-template",
            Self::InstanceStatus => "instance-status",
            Self::PublicSnapshot => "public-snapshot",
            Self::TargetGroup => "target-group",
            Self::LaunchConfiguration => "launch-configuration",
            Self::ScalingPolicy => "scaling-policy",
            Self::RegionSettings => "region-settings",
            Self::ManagedInstance => "managed-instance",
            Self::ServiceQuota => "service-quota",
            Self::ProtectedResource => "protected-resource",
            Self::AccountSummary => "account-summary",
            Self::IamUser => "iam-user",
            Self::IamRole => "iam-role",
            Self::IamGroup => "iam-group",
            Self::IamPolicy => "iam-policy",
            Self::InstanceProfile => "instance-profile",
            Self::Trail => "trail",
            Self::InstanceAttributes => "instance-attributes",
        }
    }
    /// Whether it belongs to an account as a whole, and so to no region.
    pub fn global(self) -> bool {
        matches!(
            self,
            Self::AccountSummary
                | Self::IamUser
                | Self::IamRole
                | Self::IamGroup
                | Self::IamPolicy
                | Self::InstanceProfile
                | Self::Trail
        )
    }
    /// Whether each resource takes calls of its own, so that it is asked for in its own time and not
    /// by sweeps.
    pub fn apart(self) -> bool {
        self == Self::InstanceAttributes
    }
    /// The field of the Describe item that names the resource.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::Instance
            | Self::InstanceStatus
            | Self::ManagedInstance
            | Self::InstanceAttributes => "InstanceId",
            Self::ServiceQuota => "QuotaCode",
            Self::ProtectedResource => "ResourceArn",
            Self::Volume => "VolumeId",
            Self::SecurityGroup => "GroupId",
            Self::Snapshot | Self::PublicSnapshot => "SnapshotId",
            Self::ElasticIp => "AllocationId",
            Self::NetworkInterface => "NetworkInterfaceId",
            Self::AutoScalingGroup => "AutoScalingGroupName",
            Self::LoadBalancer => "LoadBalancerName",
            Self::Natgateway => "NatGatewayId",
            Self::Image => "ImageId",
            Self::Subnet => "SubnetId",
            Self::Vpc => "VpcId",
            Self::NetworkAcl => "NetworkAclId",
            Self::RouteTable => "RouteTableId",
            Self::InternetGateway => "InternetGatewayId",
            Self::VpcEndpoint => "VpcEndpointId",
            Self::VpcPeeringConnection => "VpcPeeringConnectionId",
            Self::VpnConnection => "VpnConnectionId",
            Self::TransitGateway => "TransitGatewayId",
            Self::KeyPair => "KeyPairId",
            Self::VpcFlowLog => "FlowLogId",
            Self::LaunchTemplate => "LaunchTemplateId",
            Self::TargetGroup => "TargetGroupName",
            Self::LaunchConfiguration => "LaunchConfigurationName",
            Self::ScalingPolicy => "PolicyARN",
            Self::RegionSettings => "Region",
            Self::AccountSummary => "AccountId",
            Self::IamUser
            | Self::IamRole
            | Self::IamGroup
            | Self::IamPolicy
            | Self::InstanceProfile => "Arn",
            Self::Trail => "TrailARN",
        }
    }
}

impl Item {
    /// A text field of the item, empty when absent.
    pub fn text(&self, field: &str) -> &str {
        self.item
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
    /// A tag's value.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.item.get("Tags")?.as_array()?.iter().find_map(|tag| {
            (tag.get("Key")?.as_str()? == key).then(|| tag.get("Value")?.as_str())?
        })
    }
    /// The elements of an array field, none when absent.
    pub fn list(&self, field: &str) -> &[Value] {
        self.item
            .get(field)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}
