//! Describe calls, a page at a time, each item as JSON in the API's own field names.

mod access;
mod alarms;
mod attributes;
mod backups;
mod ec2;
mod fields;
mod fleet;
mod managed;
mod network;
mod quotas;
mod standing;
mod targets;
mod templates;
mod trails;
mod user_data;

use aws_sdk_ec2::types::{Filter, Instance};
use serde_json::Value;

use super::{Aws, CallError, Place};
use crate::model::ItemKind;
use fields::Fields;

/// Items asked for at once, where an API lets one say so.
const PAGE_ITEMS: i32 = 1_000;
/// The most that Auto Scaling gives at once, and EC2 of route tables.
const SMALL_PAGE: i32 = 100;

/// Part of an answer.
#[derive(Debug, Default)]
pub struct Page {
    /// Each resource's id and the resource as the API shows it.
    pub items: Vec<(String, Value)>,
    /// What to ask for next; `None` after the last page.
    pub next: Option<String>,
    /// The calls it took, by their actions: one, and one a resource where an API tells no more at
    /// once.
    pub calls: Vec<&'static str>,
}

impl Page {
    /// Waits until a call may be made, and takes note that it is.
    async fn turn(&mut self, aws: &Aws, place: &Place, action: &'static str) {
        aws.buckets.take(place, action).await;
        self.calls.push(action);
    }

    /// Adds resources; what has no id is no resource.
    fn add<T>(&mut self, kind: ItemKind, items: &[T], each: impl Fn(&T) -> Fields) {
        self.items.extend(items.iter().filter_map(|item| {
            let value = each(item).value();
            let id = value.get(kind.id_field())?.as_str()?.to_owned();
            Some((id, value))
        }));
    }

    /// Where the next page begins.
    fn then(&mut self, next: Option<&str>) {
        self.next = next.filter(|next| !next.is_empty()).map(str::to_owned);
    }
}

/// Which resources of a kind are asked for, and from where on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// These alone; ids that are not there are simply missing in the answer. All when `None`. Kinds
    /// that are [`whole`] are always asked for all.
    pub ids: Option<&'a [String]>,
    /// Where the last page ended.
    pub next: Option<&'a str>,
}

impl Wanted<'_> {
    /// EC2's filter for the ids.
    fn filters(&self, name: &str) -> Option<Vec<Filter>> {
        let ids = self.ids?.to_vec();
        Some(vec![
            Filter::builder().name(name).set_values(Some(ids)).build(),
        ])
    }
}

/// Asks one of EC2's Describe calls, which differ in their names only.
macro_rules! describe {
    ($aws:ident, $place:ident, $kind:ident, $wanted:ident, $filter:literal,
     $call:ident, $set_filter:ident, $items:ident, $each:path $(, $also:ident ( $($value:expr),* ))*) => {{
        let mut page = Page::default();
        page.turn($aws, $place, action($kind)).await;
        let answer = $aws
            .ec2($place)
            .await?
            .$call()
            .$set_filter($wanted.filters($filter))
            .max_results(PAGE_ITEMS)
            .set_next_token($wanted.next.map(str::to_owned))
            $(.$also($($value),*))*
            .send()
            .await
            .map_err(|error| CallError::of(action($kind), &error))?;
        page.add($kind, answer.$items(), $each);
        page.then(answer.next_token());
        page
    }};
}

/// The same of a call that gives everything at once.
macro_rules! describe_all {
    ($aws:ident, $place:ident, $kind:ident, $wanted:ident, $filter:literal,
     $call:ident, $items:ident, $each:path) => {{
        let mut page = Page::default();
        page.turn($aws, $place, action($kind)).await;
        let answer = $aws
            .ec2($place)
            .await?
            .$call()
            .set_filters($wanted.filters($filter))
            .send()
            .await
            .map_err(|error| CallError::of(action($kind), &error))?;
        page.add($kind, answer.$items(), $each);
        page
    }};
}

/// The IAM actions that describing a kind takes, in the order they are called.
pub fn actions(kind: ItemKind) -> &'static [&'static str] {
    match kind {
        ItemKind::Instance => &["ec2:DescribeInstances"],
        ItemKind::Volume => &["ec2:DescribeVolumes"],
        ItemKind::SecurityGroup => &["ec2:DescribeSecurityGroups"],
        ItemKind::Snapshot => &["ec2:DescribeSnapshots"],
        ItemKind::ElasticIp => &["ec2:DescribeAddresses"],
        ItemKind::NetworkInterface => &["ec2:DescribeNetworkInterfaces"],
        ItemKind::AutoScalingGroup => &["autoscaling:DescribeAutoScalingGroups"],
        ItemKind::LoadBalancer => &["elasticloadbalancing:DescribeLoadBalancers"],
        ItemKind::Natgateway => &["ec2:DescribeNatGateways"],
        ItemKind::Image => &["ec2:DescribeImages"],
        ItemKind::Subnet => &["ec2:DescribeSubnets"],
        ItemKind::Vpc => &["ec2:DescribeVpcs"],
        ItemKind::NetworkAcl => &["ec2:DescribeNetworkAcls"],
        ItemKind::RouteTable => &["ec2:DescribeRouteTables"],
        ItemKind::InternetGateway => &["ec2:DescribeInternetGateways"],
        ItemKind::VpcEndpoint => &["ec2:DescribeVpcEndpoints"],
        ItemKind::VpcPeeringConnection => &["ec2:DescribeVpcPeeringConnections"],
        ItemKind::VpnConnection => &["ec2:DescribeVpnConnections"],
        ItemKind::TransitGateway => &["ec2:DescribeTransitGateways"],
        ItemKind::KeyPair => &["ec2:DescribeKeyPairs"],
        ItemKind::VpcFlowLog => &["ec2:DescribeFlowLogs"],
        ItemKind::LaunchTemplate => &[
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeLaunchTemplateVersions",
        ],
        ItemKind::InstanceStatus => &["ec2:DescribeInstanceStatus"],
        ItemKind::PublicSnapshot => &[
            "sts:GetCallerIdentity",
            "ec2:DescribeSnapshots",
            "ec2:DescribeSnapshotAttribute",
        ],
        ItemKind::TargetGroup => &[
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        ItemKind::LaunchConfiguration => &["autoscaling:DescribeLaunchConfigurations"],
        ItemKind::ScalingPolicy => &["autoscaling:DescribePolicies"],
        ItemKind::RegionSettings => &standing::SETTINGS,
        ItemKind::ManagedInstance => &[
            "ssm:DescribeInstanceInformation",
            "ssm:DescribeInstancePatchStates",
        ],
        ItemKind::ServiceQuota => &["servicequotas:ListServiceQuotas"],
        ItemKind::ProtectedResource => &["backup:ListProtectedResources"],
        ItemKind::InstanceAttributes => &["ec2:DescribeInstances", "ec2:DescribeInstanceAttribute"],
        ItemKind::AccountSummary => &[
            "sts:GetCallerIdentity",
            "iam:GetAccountSummary",
            "iam:GetAccountPasswordPolicy",
        ],
        ItemKind::IamUser => &[
            "iam:GenerateCredentialReport",
            "iam:GetCredentialReport",
            "iam:GetAccountAuthorizationDetails",
        ],
        ItemKind::IamRole | ItemKind::IamGroup | ItemKind::IamPolicy => {
            &["iam:GetAccountAuthorizationDetails"]
        }
        ItemKind::InstanceProfile => &["iam:ListInstanceProfiles"],
        ItemKind::Trail => &[
            "cloudtrail:ListTrails",
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetTrailStatus",
        ],
    }
}

/// The first of [`actions`], which lists the kind.
pub fn action(kind: ItemKind) -> &'static str {
    actions(kind).first().copied().unwrap_or_default()
}

/// Whether a kind can be asked for only as a whole.
pub fn whole(kind: ItemKind) -> bool {
    kind.global()
        || matches!(
            kind,
            ItemKind::ScalingPolicy
                | ItemKind::RegionSettings
                | ItemKind::ManagedInstance
                | ItemKind::ServiceQuota
                | ItemKind::ProtectedResource
        )
}

/// Whether asking a kind for several ids fails as soon as one of them is not there.
fn one_by_one(kind: ItemKind) -> bool {
    matches!(
        kind,
        ItemKind::LoadBalancer
            | ItemKind::TargetGroup
            | ItemKind::LaunchTemplate
            | ItemKind::InstanceStatus
    )
}

impl Aws {
    /// One page of the resources of a kind.
    ///
    /// # Errors
    /// [`CallError`], naming the call.
    pub async fn page(
        &self,
        place: &Place,
        kind: ItemKind,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let Some(ids) = wanted.ids.filter(|_| one_by_one(kind)) else {
            return self.described(place, kind, wanted).await;
        };
        let mut page = Page::default();
        for id in ids {
            let wanted = Wanted {
                ids: Some(std::slice::from_ref(id)),
                next: None,
            };
            match self.described(place, kind, wanted).await {
                Ok(one) => {
                    page.items.extend(one.items);
                    page.calls.extend(one.calls);
                }
                Err(CallError::Missing(_)) => page.calls.push(action(kind)),
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    async fn described(
        &self,
        place: &Place,
        kind: ItemKind,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        match kind {
            ItemKind::Instance => self.instances(place, wanted).await,
            ItemKind::LoadBalancer => self.balancers(place, wanted).await,
            ItemKind::TargetGroup => self.target_groups(place, wanted).await,
            ItemKind::LaunchTemplate => self.templates(place, wanted).await,
            ItemKind::InstanceStatus => self.statuses(place, wanted).await,
            ItemKind::PublicSnapshot => self.public_snapshots(place, wanted).await,
            ItemKind::RegionSettings => self.region_settings(place).await,
            ItemKind::ManagedInstance => self.managed_instances(place, wanted).await,
            ItemKind::InstanceAttributes => self.attributes(place, wanted).await,
            ItemKind::ServiceQuota => self.service_quotas(place, wanted).await,
            ItemKind::ProtectedResource => self.protected(place, wanted).await,
            ItemKind::AutoScalingGroup
            | ItemKind::LaunchConfiguration
            | ItemKind::ScalingPolicy => self.scaling(place, kind, wanted).await,
            ItemKind::AccountSummary => self.account_summary(place).await,
            ItemKind::IamUser | ItemKind::IamRole | ItemKind::IamGroup | ItemKind::IamPolicy => {
                self.principals(place, kind, wanted).await
            }
            ItemKind::InstanceProfile => self.profiles(place, wanted).await,
            ItemKind::Trail => self.trails(place, wanted).await,
            _ => self.plain(place, kind, wanted).await,
        }
    }

    /// The kinds that EC2 lists plainly.
    #[rustfmt::skip] // One call a line reads as the table it is.
    async fn plain(&self, place: &Place, kind: ItemKind, wanted: Wanted<'_>) -> Result<Page, CallError> {
        Ok(match kind {
            ItemKind::Volume => describe!(self, place, kind, wanted, "volume-id", describe_volumes, set_filters, volumes, ec2::volume),
            ItemKind::Snapshot => describe!(self, place, kind, wanted, "snapshot-id", describe_snapshots, set_filters, snapshots, ec2::snapshot, owner_ids("self")),
            ItemKind::SecurityGroup => describe!(self, place, kind, wanted, "group-id", describe_security_groups, set_filters, security_groups, ec2::security_group),
            ItemKind::NetworkInterface => describe!(self, place, kind, wanted, "network-interface-id", describe_network_interfaces, set_filters, network_interfaces, ec2::network_interface),
            ItemKind::Natgateway => describe!(self, place, kind, wanted, "nat-gateway-id", describe_nat_gateways, set_filter, nat_gateways, ec2::nat_gateway),
            ItemKind::Image => describe!(self, place, kind, wanted, "image-id", describe_images, set_filters, images, ec2::image, owners("self")),
            ItemKind::Subnet => describe!(self, place, kind, wanted, "subnet-id", describe_subnets, set_filters, subnets, ec2::subnet),
            ItemKind::Vpc => describe!(self, place, kind, wanted, "vpc-id", describe_vpcs, set_filters, vpcs, ec2::vpc),
            ItemKind::NetworkAcl => describe!(self, place, kind, wanted, "network-acl-id", describe_network_acls, set_filters, network_acls, network::network_acl),
            ItemKind::RouteTable => describe!(self, place, kind, wanted, "route-table-id", describe_route_tables, set_filters, route_tables, network::route_table, max_results(SMALL_PAGE)),
            ItemKind::InternetGateway => describe!(self, place, kind, wanted, "internet-gateway-id", describe_internet_gateways, set_filters, internet_gateways, network::internet_gateway),
            ItemKind::VpcEndpoint => describe!(self, place, kind, wanted, "vpc-endpoint-id", describe_vpc_endpoints, set_filters, vpc_endpoints, network::vpc_endpoint),
            ItemKind::VpcPeeringConnection => describe!(self, place, kind, wanted, "vpc-peering-connection-id", describe_vpc_peering_connections, set_filters, vpc_peering_connections, network::peering),
            ItemKind::TransitGateway => describe!(self, place, kind, wanted, "transit-gateway-id", describe_transit_gateways, set_filters, transit_gateways, network::transit_gateway),
            ItemKind::VpcFlowLog => describe!(self, place, kind, wanted, "flow-log-id", describe_flow_logs, set_filter, flow_logs, network::flow_log),
            ItemKind::ElasticIp => describe_all!(self, place, kind, wanted, "allocation-id", describe_addresses, addresses, ec2::address),
            ItemKind::VpnConnection => describe_all!(self, place, kind, wanted, "vpn-connection-id", describe_vpn_connections, vpn_connections, network::vpn),
            ItemKind::KeyPair => describe_all!(self, place, kind, wanted, "key-pair-id", describe_key_pairs, key_pairs, network::key_pair),
            _ => return Err(CallError::Failed(format!("{} is not listed plainly", kind.as_str()))),
        })
    }

    async fn instances(&self, place: &Place, wanted: Wanted<'_>) -> Result<Page, CallError> {
        let (mut page, found) = self.reserved(place, wanted, PAGE_ITEMS).await?;
        page.add(ItemKind::Instance, &found, ec2::instance);
        Ok(page)
    }

    /// A page without its items, at most so many, and the instances that are on it.
    async fn reserved(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
        most: i32,
    ) -> Result<(Page, Vec<Instance>), CallError> {
        let (mut page, action) = (Page::default(), action(ItemKind::Instance));
        page.turn(self, place, action).await;
        let answer = self
            .ec2(place)
            .await?
            .describe_instances()
            .set_filters(wanted.filters("instance-id"))
            .max_results(most)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(action, &error))?;
        page.then(answer.next_token());
        let reservations = answer.reservations.unwrap_or_default().into_iter();
        let found = reservations.flat_map(|reservation| reservation.instances.unwrap_or_default());
        Ok((page, found.collect()))
    }

    /// Groups of Auto Scaling, what they launch from and what they scale by.
    async fn scaling(
        &self,
        place: &Place,
        kind: ItemKind,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.autoscaling(place).await?;
        let (mut page, action) = (Page::default(), action(kind));
        page.turn(self, place, action).await;
        let (names, next) = (
            wanted.ids.map(<[String]>::to_vec),
            wanted.next.map(str::to_owned),
        );
        match kind {
            ItemKind::LaunchConfiguration => {
                let call = client.describe_launch_configurations();
                let call = call.set_launch_configuration_names(names);
                let answer = call.max_records(SMALL_PAGE).set_next_token(next).send();
                let answer = answer.await;
                let answer = answer.map_err(|error| CallError::of(action, &error))?;
                page.add(
                    kind,
                    answer.launch_configurations(),
                    templates::configuration,
                );
                page.then(answer.next_token());
            }
            ItemKind::ScalingPolicy => {
                let call = client.describe_policies();
                let answer = call.max_records(SMALL_PAGE).set_next_token(next).send();
                let answer = answer.await;
                let answer = answer.map_err(|error| CallError::of(action, &error))?;
                page.add(kind, answer.scaling_policies(), fleet::policy);
                page.then(answer.next_token());
            }
            _ => {
                let call = client.describe_auto_scaling_groups();
                let call = call.set_auto_scaling_group_names(names);
                let answer = call.max_records(SMALL_PAGE).set_next_token(next).send();
                let answer = answer.await;
                let answer = answer.map_err(|error| CallError::of(action, &error))?;
                page.add(kind, answer.auto_scaling_groups(), fleet::group);
                page.then(answer.next_token());
            }
        }
        Ok(page)
    }
}
