//! Kinds of the EC2 API that networks are made of, and keys, as JSON.

use aws_sdk_ec2::types::{
    FlowLog, InternetGateway, KeyPairInfo, NetworkAcl, RouteTable, TransitGateway, VpcEndpoint,
    VpcPeeringConnection, VpcPeeringConnectionVpcInfo, VpnConnection,
};

use super::ec2::tag;
use super::fields::Fields;

pub(super) fn network_acl(item: &NetworkAcl) -> Fields {
    Fields::default()
        .text("NetworkAclId", item.network_acl_id())
        .text("VpcId", item.vpc_id())
        .set("IsDefault", item.is_default())
        .text("OwnerId", item.owner_id())
        .list("Associations", item.associations(), |association| {
            Fields::default()
                .text(
                    "NetworkAclAssociationId",
                    association.network_acl_association_id(),
                )
                .text("SubnetId", association.subnet_id())
        })
        .list("Entries", item.entries(), |entry| {
            Fields::default()
                .set("RuleNumber", entry.rule_number())
                .set("Egress", entry.egress())
                .text("RuleAction", entry.rule_action())
                .text("Protocol", entry.protocol())
                .text("CidrBlock", entry.cidr_block())
                .text("Ipv6CidrBlock", entry.ipv6_cidr_block())
                .part("PortRange", entry.port_range(), |range| {
                    Fields::default()
                        .set("From", range.from())
                        .set("To", range.to())
                })
                .part("IcmpTypeCode", entry.icmp_type_code(), |icmp| {
                    Fields::default()
                        .set("Type", icmp.r#type())
                        .set("Code", icmp.code())
                })
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn route_table(item: &RouteTable) -> Fields {
    Fields::default()
        .text("RouteTableId", item.route_table_id())
        .text("VpcId", item.vpc_id())
        .text("OwnerId", item.owner_id())
        .list("Associations", item.associations(), |association| {
            Fields::default()
                .set("Main", association.main())
                .text(
                    "RouteTableAssociationId",
                    association.route_table_association_id(),
                )
                .text("SubnetId", association.subnet_id())
                .text("GatewayId", association.gateway_id())
        })
        .list("Routes", item.routes(), |route| {
            Fields::default()
                .text("DestinationCidrBlock", route.destination_cidr_block())
                .text(
                    "DestinationIpv6CidrBlock",
                    route.destination_ipv6_cidr_block(),
                )
                .text(
                    "DestinationPrefixListId",
                    route.destination_prefix_list_id(),
                )
                .text("GatewayId", route.gateway_id())
                .text(
                    "EgressOnlyInternetGatewayId",
                    route.egress_only_internet_gateway_id(),
                )
                .text("InstanceId", route.instance_id())
                .text("NatGatewayId", route.nat_gateway_id())
                .text("TransitGatewayId", route.transit_gateway_id())
                .text("NetworkInterfaceId", route.network_interface_id())
                .text("VpcPeeringConnectionId", route.vpc_peering_connection_id())
                .text("Origin", route.origin())
                .text("State", route.state())
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn internet_gateway(item: &InternetGateway) -> Fields {
    Fields::default()
        .text("InternetGatewayId", item.internet_gateway_id())
        .text("OwnerId", item.owner_id())
        .list("Attachments", item.attachments(), |attachment| {
            Fields::default()
                .text("State", attachment.state())
                .text("VpcId", attachment.vpc_id())
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn vpc_endpoint(item: &VpcEndpoint) -> Fields {
    Fields::default()
        .text("VpcEndpointId", item.vpc_endpoint_id())
        .text("VpcEndpointType", item.vpc_endpoint_type())
        .text("VpcId", item.vpc_id())
        .text("ServiceName", item.service_name())
        .text("State", item.state())
        .text("PolicyDocument", item.policy_document())
        .set("PrivateDnsEnabled", item.private_dns_enabled())
        .set("RequesterManaged", item.requester_managed())
        .time("CreationTimestamp", item.creation_timestamp())
        .text("OwnerId", item.owner_id())
        .texts("RouteTableIds", item.route_table_ids())
        .texts("SubnetIds", item.subnet_ids())
        .texts("NetworkInterfaceIds", item.network_interface_ids())
        .list("Groups", item.groups(), |group| {
            Fields::default()
                .text("GroupId", group.group_id())
                .text("GroupName", group.group_name())
        })
        .list("Tags", item.tags(), tag)
}

fn peer(item: &VpcPeeringConnectionVpcInfo) -> Fields {
    Fields::default()
        .text("OwnerId", item.owner_id())
        .text("VpcId", item.vpc_id())
        .text("Region", item.region())
        .text("CidrBlock", item.cidr_block())
        .list("CidrBlockSet", item.cidr_block_set(), |block| {
            Fields::default().text("CidrBlock", block.cidr_block())
        })
        .list("Ipv6CidrBlockSet", item.ipv6_cidr_block_set(), |block| {
            Fields::default().text("Ipv6CidrBlock", block.ipv6_cidr_block())
        })
}

pub(super) fn peering(item: &VpcPeeringConnection) -> Fields {
    Fields::default()
        .text("VpcPeeringConnectionId", item.vpc_peering_connection_id())
        .part("AccepterVpcInfo", item.accepter_vpc_info(), peer)
        .part("RequesterVpcInfo", item.requester_vpc_info(), peer)
        .part("Status", item.status(), |status| {
            Fields::default()
                .text("Code", status.code())
                .text("Message", status.message())
        })
        .time("ExpirationTime", item.expiration_time())
        .list("Tags", item.tags(), tag)
}

/// Without its configuration, which holds the tunnels' keys.
pub(super) fn vpn(item: &VpnConnection) -> Fields {
    Fields::default()
        .text("VpnConnectionId", item.vpn_connection_id())
        .text("State", item.state())
        .text("Type", item.r#type())
        .text("Category", item.category())
        .text("CustomerGatewayId", item.customer_gateway_id())
        .text("VpnGatewayId", item.vpn_gateway_id())
        .text("TransitGatewayId", item.transit_gateway_id())
        .list("VgwTelemetry", item.vgw_telemetry(), |tunnel| {
            Fields::default()
                .text("OutsideIpAddress", tunnel.outside_ip_address())
                .text("Status", tunnel.status())
                .text("StatusMessage", tunnel.status_message())
                .time("LastStatusChange", tunnel.last_status_change())
                .set("AcceptedRouteCount", tunnel.accepted_route_count())
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn transit_gateway(item: &TransitGateway) -> Fields {
    Fields::default()
        .text("TransitGatewayId", item.transit_gateway_id())
        .text("TransitGatewayArn", item.transit_gateway_arn())
        .text("State", item.state())
        .text("OwnerId", item.owner_id())
        .text("Description", item.description())
        .time("CreationTime", item.creation_time())
        .part("Options", item.options(), |options| {
            Fields::default()
                .text(
                    "AutoAcceptSharedAttachments",
                    options.auto_accept_shared_attachments(),
                )
                .text(
                    "DefaultRouteTableAssociation",
                    options.default_route_table_association(),
                )
                .text(
                    "DefaultRouteTablePropagation",
                    options.default_route_table_propagation(),
                )
        })
        .list("Tags", item.tags(), tag)
}

pub(super) fn key_pair(item: &KeyPairInfo) -> Fields {
    Fields::default()
        .text("KeyPairId", item.key_pair_id())
        .text("KeyName", item.key_name())
        .text("KeyType", item.key_type())
        .text("KeyFingerprint", item.key_fingerprint())
        .time("CreateTime", item.create_time())
        .list("Tags", item.tags(), tag)
}

pub(super) fn flow_log(item: &FlowLog) -> Fields {
    Fields::default()
        .text("FlowLogId", item.flow_log_id())
        .text("FlowLogStatus", item.flow_log_status())
        .text("ResourceId", item.resource_id())
        .text("TrafficType", item.traffic_type())
        .time("CreationTime", item.creation_time())
        .text("DeliverLogsStatus", item.deliver_logs_status())
        .text("DeliverLogsErrorMessage", item.deliver_logs_error_message())
        .text(
            "DeliverLogsPermissionArn",
            item.deliver_logs_permission_arn(),
        )
        .text("LogDestinationType", item.log_destination_type())
        .text("LogDestination", item.log_destination())
        .text("LogGroupName", item.log_group_name())
        .set("MaxAggregationInterval", item.max_aggregation_interval())
        .list("Tags", item.tags(), tag)
}
