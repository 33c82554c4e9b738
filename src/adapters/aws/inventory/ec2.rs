//! Kinds of the EC2 API, as JSON.

use aws_sdk_ec2::types::{
    Address, BlockDeviceMapping, GroupIdentifier, Image, Instance, InstanceNetworkInterface,
    IpPermission, NatGateway, NetworkInterface, SecurityGroup, Snapshot, Subnet, Tag, Volume, Vpc,
};

use super::fields::Fields;

pub(super) fn tag(tag: &Tag) -> Fields {
    Fields::default()
        .text("Key", tag.key())
        .text("Value", tag.value())
}

fn group(group: &GroupIdentifier) -> Fields {
    Fields::default()
        .text("GroupId", group.group_id())
        .text("GroupName", group.group_name())
}

pub(super) fn instance(item: &Instance) -> Fields {
    let fields = Fields::default()
        .text("InstanceId", item.instance_id())
        .text("InstanceType", item.instance_type())
        .text("ImageId", item.image_id())
        .part("State", item.state(), |state| {
            Fields::default()
                .set("Code", state.code())
                .text("Name", state.name())
        })
        .text("StateTransitionReason", item.state_transition_reason())
        .part("StateReason", item.state_reason(), |reason| {
            Fields::default()
                .text("Code", reason.code())
                .text("Message", reason.message())
        })
        .time("LaunchTime", item.launch_time())
        .text("Architecture", item.architecture())
        .text("Platform", item.platform())
        .text("PlatformDetails", item.platform_details())
        .text("UsageOperation", item.usage_operation())
        .text("VirtualizationType", item.virtualization_type())
        .text("InstanceLifecycle", item.instance_lifecycle())
        .text("SpotInstanceRequestId", item.spot_instance_request_id())
        .text("KeyName", item.key_name())
        .set("EbsOptimized", item.ebs_optimized())
        .set("EnaSupport", item.ena_support())
        .set("SourceDestCheck", item.source_dest_check())
        .text("VpcId", item.vpc_id())
        .text("SubnetId", item.subnet_id())
        .text("PrivateIpAddress", item.private_ip_address())
        .text("PublicIpAddress", item.public_ip_address())
        .text("PublicDnsName", item.public_dns_name())
        .text("Ipv6Address", item.ipv6_address())
        .text("RootDeviceName", item.root_device_name())
        .text("RootDeviceType", item.root_device_type());
    instance_parts(fields, item)
}

fn instance_parts(fields: Fields, item: &Instance) -> Fields {
    fields
        .part("Placement", item.placement(), |place| {
            Fields::default()
                .text("AvailabilityZone", place.availability_zone())
                .text("Tenancy", place.tenancy())
                .text("GroupName", place.group_name())
                .text("HostId", place.host_id())
        })
        .part("Monitoring", item.monitoring(), |monitoring| {
            Fields::default().text("State", monitoring.state())
        })
        .part(
            "IamInstanceProfile",
            item.iam_instance_profile(),
            |profile| {
                Fields::default()
                    .text("Arn", profile.arn())
                    .text("Id", profile.id())
            },
        )
        .part("MetadataOptions", item.metadata_options(), |options| {
            Fields::default()
                .text("State", options.state())
                .text("HttpTokens", options.http_tokens())
                .set(
                    "HttpPutResponseHopLimit",
                    options.http_put_response_hop_limit(),
                )
                .text("HttpEndpoint", options.http_endpoint())
                .text("InstanceMetadataTags", options.instance_metadata_tags())
        })
        .part("EnclaveOptions", item.enclave_options(), |options| {
            Fields::default().set("Enabled", options.enabled())
        })
        .part("CpuOptions", item.cpu_options(), |options| {
            Fields::default()
                .set("CoreCount", options.core_count())
                .set("ThreadsPerCore", options.threads_per_core())
        })
        .list(
            "BlockDeviceMappings",
            item.block_device_mappings(),
            |mapping| {
                Fields::default()
                    .text("DeviceName", mapping.device_name())
                    .part("Ebs", mapping.ebs(), |ebs| {
                        Fields::default()
                            .text("VolumeId", ebs.volume_id())
                            .text("Status", ebs.status())
                            .time("AttachTime", ebs.attach_time())
                            .set("DeleteOnTermination", ebs.delete_on_termination())
                    })
            },
        )
        .list("SecurityGroups", item.security_groups(), group)
        .list("NetworkInterfaces", item.network_interfaces(), interface)
        .list("Tags", item.tags(), tag)
}

fn interface(item: &InstanceNetworkInterface) -> Fields {
    Fields::default()
        .text("NetworkInterfaceId", item.network_interface_id())
        .text("InterfaceType", item.interface_type())
        .text("Status", item.status())
        .text("SubnetId", item.subnet_id())
        .text("VpcId", item.vpc_id())
        .text("PrivateIpAddress", item.private_ip_address())
        .part("Association", item.association(), |association| {
            Fields::default()
                .text("PublicIp", association.public_ip())
                .text("IpOwnerId", association.ip_owner_id())
        })
        .part("Attachment", item.attachment(), |attachment| {
            Fields::default()
                .text("AttachmentId", attachment.attachment_id())
                .set("DeviceIndex", attachment.device_index())
                .text("Status", attachment.status())
                .time("AttachTime", attachment.attach_time())
        })
        .list("Groups", item.groups(), group)
}

pub(super) fn volume(item: &Volume) -> Fields {
    Fields::default()
        .text("VolumeId", item.volume_id())
        .text("VolumeType", item.volume_type())
        .set("Size", item.size())
        .set("Iops", item.iops())
        .set("Throughput", item.throughput())
        .text("State", item.state())
        .time("CreateTime", item.create_time())
        .text("AvailabilityZone", item.availability_zone())
        .text("SnapshotId", item.snapshot_id())
        .set("Encrypted", item.encrypted())
        .text("KmsKeyId", item.kms_key_id())
        .set("MultiAttachEnabled", item.multi_attach_enabled())
        .list("Attachments", item.attachments(), |attachment| {
            Fields::default()
                .text("VolumeId", attachment.volume_id())
                .text("InstanceId", attachment.instance_id())
                .text("Device", attachment.device())
                .text("State", attachment.state())
                .time("AttachTime", attachment.attach_time())
                .set("DeleteOnTermination", attachment.delete_on_termination())
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn snapshot(item: &Snapshot) -> Fields {
    Fields::default()
        .text("SnapshotId", item.snapshot_id())
        .text("VolumeId", item.volume_id())
        .set("VolumeSize", item.volume_size())
        .text("State", item.state())
        .text("StateMessage", item.state_message())
        .text("Progress", item.progress())
        .time("StartTime", item.start_time())
        .time("CompletionTime", item.completion_time())
        .text("OwnerId", item.owner_id())
        .text("Description", item.description())
        .text("StorageTier", item.storage_tier())
        .set(
            "FullSnapshotSizeInBytes",
            item.full_snapshot_size_in_bytes(),
        )
        .set("Encrypted", item.encrypted())
        .text("KmsKeyId", item.kms_key_id())
        .list("Tags", item.tags(), tag)
}

fn permission(item: &IpPermission) -> Fields {
    Fields::default()
        .text("IpProtocol", item.ip_protocol())
        .set("FromPort", item.from_port())
        .set("ToPort", item.to_port())
        .list("IpRanges", item.ip_ranges(), |range| {
            Fields::default()
                .text("CidrIp", range.cidr_ip())
                .text("Description", range.description())
        })
        .list("Ipv6Ranges", item.ipv6_ranges(), |range| {
            Fields::default()
                .text("CidrIpv6", range.cidr_ipv6())
                .text("Description", range.description())
        })
        .list("UserIdGroupPairs", item.user_id_group_pairs(), |pair| {
            Fields::default()
                .text("GroupId", pair.group_id())
                .text("UserId", pair.user_id())
                .text("VpcId", pair.vpc_id())
                .text("VpcPeeringConnectionId", pair.vpc_peering_connection_id())
                .text("Description", pair.description())
        })
        .list("PrefixListIds", item.prefix_list_ids(), |list| {
            Fields::default()
                .text("PrefixListId", list.prefix_list_id())
                .text("Description", list.description())
        })
}

pub(super) fn security_group(item: &SecurityGroup) -> Fields {
    Fields::default()
        .text("GroupId", item.group_id())
        .text("GroupName", item.group_name())
        .text("Description", item.description())
        .text("VpcId", item.vpc_id())
        .text("OwnerId", item.owner_id())
        .list("IpPermissions", item.ip_permissions(), permission)
        .list(
            "IpPermissionsEgress",
            item.ip_permissions_egress(),
            permission,
        )
        .list("Tags", item.tags(), tag)
}

pub(super) fn address(item: &Address) -> Fields {
    Fields::default()
        .text("AllocationId", item.allocation_id())
        .text("PublicIp", item.public_ip())
        .text("Domain", item.domain())
        .text("AssociationId", item.association_id())
        .text("InstanceId", item.instance_id())
        .text("NetworkInterfaceId", item.network_interface_id())
        .text("NetworkInterfaceOwnerId", item.network_interface_owner_id())
        .text("PrivateIpAddress", item.private_ip_address())
        .list("Tags", item.tags(), tag)
}

pub(super) fn network_interface(item: &NetworkInterface) -> Fields {
    Fields::default()
        .text("NetworkInterfaceId", item.network_interface_id())
        .text("InterfaceType", item.interface_type())
        .text("Status", item.status())
        .text("Description", item.description())
        .text("OwnerId", item.owner_id())
        .text("RequesterId", item.requester_id())
        .set("RequesterManaged", item.requester_managed())
        .text("SubnetId", item.subnet_id())
        .text("VpcId", item.vpc_id())
        .text("AvailabilityZone", item.availability_zone())
        .text("PrivateIpAddress", item.private_ip_address())
        .part("Association", item.association(), |association| {
            Fields::default()
                .text("AllocationId", association.allocation_id())
                .text("AssociationId", association.association_id())
                .text("IpOwnerId", association.ip_owner_id())
                .text("PublicIp", association.public_ip())
        })
        .part("Attachment", item.attachment(), |attachment| {
            Fields::default()
                .text("AttachmentId", attachment.attachment_id())
                .text("InstanceId", attachment.instance_id())
                .text("InstanceOwnerId", attachment.instance_owner_id())
                .set("DeviceIndex", attachment.device_index())
                .text("Status", attachment.status())
                .time("AttachTime", attachment.attach_time())
        })
        .list("Groups", item.groups(), group)
        .list("TagSet", item.tag_set(), tag)
}

pub(super) fn nat_gateway(item: &NatGateway) -> Fields {
    Fields::default()
        .text("NatGatewayId", item.nat_gateway_id())
        .text("State", item.state())
        .text("ConnectivityType", item.connectivity_type())
        .time("CreateTime", item.create_time())
        .time("DeleteTime", item.delete_time())
        .text("FailureCode", item.failure_code())
        .text("FailureMessage", item.failure_message())
        .text("VpcId", item.vpc_id())
        .text("SubnetId", item.subnet_id())
        .list(
            "NatGatewayAddresses",
            item.nat_gateway_addresses(),
            |address| {
                Fields::default()
                    .text("AllocationId", address.allocation_id())
                    .text("NetworkInterfaceId", address.network_interface_id())
                    .text("PrivateIp", address.private_ip())
                    .text("PublicIp", address.public_ip())
            },
        )
        .list("Tags", item.tags(), tag)
}

pub(super) fn image(item: &Image) -> Fields {
    Fields::default()
        .text("ImageId", item.image_id())
        .text("Name", item.name())
        .text("Description", item.description())
        .text("State", item.state())
        .text("OwnerId", item.owner_id())
        .text("ImageOwnerAlias", item.image_owner_alias())
        .text("ImageType", item.image_type())
        .set("Public", item.public())
        .text("CreationDate", item.creation_date())
        .text("DeprecationTime", item.deprecation_time())
        .text("LastLaunchedTime", item.last_launched_time())
        .text("Architecture", item.architecture())
        .text("Platform", item.platform())
        .text("PlatformDetails", item.platform_details())
        .text("ImdsSupport", item.imds_support())
        .text("RootDeviceName", item.root_device_name())
        .text("RootDeviceType", item.root_device_type())
        .text("VirtualizationType", item.virtualization_type())
        .list("BlockDeviceMappings", item.block_device_mappings(), mapping)
        .list("Tags", item.tags(), tag)
}

fn mapping(item: &BlockDeviceMapping) -> Fields {
    Fields::default()
        .text("DeviceName", item.device_name())
        .text("VirtualName", item.virtual_name())
        .part("Ebs", item.ebs(), |ebs| {
            Fields::default()
                .text("SnapshotId", ebs.snapshot_id())
                .text("VolumeType", ebs.volume_type())
                .set("VolumeSize", ebs.volume_size())
                .set("Encrypted", ebs.encrypted())
                .set("DeleteOnTermination", ebs.delete_on_termination())
        })
}

pub(super) fn subnet(item: &Subnet) -> Fields {
    Fields::default()
        .text("SubnetId", item.subnet_id())
        .text("VpcId", item.vpc_id())
        .text("State", item.state())
        .text("CidrBlock", item.cidr_block())
        .text("AvailabilityZone", item.availability_zone())
        .set("AvailableIpAddressCount", item.available_ip_address_count())
        .set("DefaultForAz", item.default_for_az())
        .set("MapPublicIpOnLaunch", item.map_public_ip_on_launch())
        .text("OwnerId", item.owner_id())
        .list("Tags", item.tags(), tag)
}

pub(super) fn vpc(item: &Vpc) -> Fields {
    Fields::default()
        .text("VpcId", item.vpc_id())
        .text("State", item.state())
        .text("CidrBlock", item.cidr_block())
        .set("IsDefault", item.is_default())
        .text("InstanceTenancy", item.instance_tenancy())
        .text("DhcpOptionsId", item.dhcp_options_id())
        .text("OwnerId", item.owner_id())
        .list("Tags", item.tags(), tag)
}
