//! Describe calls, a page at a time, each item as JSON in the API's own field names.

mod alarms;
mod ec2;
mod fields;
mod fleet;

use aws_sdk_ec2::types::{Filter, Reservation};
use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::DescribeLoadBalancersError;
use serde_json::Value;

use super::{Aws, CallError, Place};
use crate::model::ItemKind;
use fields::Fields;

/// Items asked for at once, where an API lets one say so.
const PAGE_ITEMS: i32 = 1_000;
/// The most that Auto Scaling gives at once.
const GROUPS_PAGE: i32 = 100;
/// The most that Elastic Load Balancing gives at once.
const BALANCERS_PAGE: i32 = 400;

/// Part of an answer.
#[derive(Debug, Default)]
pub struct Page {
    /// Each resource's id and the resource as the API shows it.
    pub items: Vec<(String, Value)>,
    /// What to ask for next; `None` after the last page.
    pub next: Option<String>,
}

impl Page {
    fn of<T>(
        kind: ItemKind,
        items: impl IntoIterator<Item = T>,
        next: Option<&str>,
        each: impl Fn(&T) -> Fields,
    ) -> Self {
        let items = items.into_iter().filter_map(|item| {
            let value = each(&item).value();
            let id = value.get(kind.id_field())?.as_str()?.to_owned();
            Some((id, value))
        });
        Self {
            items: items.collect(),
            next: next.filter(|next| !next.is_empty()).map(str::to_owned),
        }
    }
}

/// Which resources of a kind are asked for, and from where on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// These alone; ids that are not there are simply missing in the answer. All when `None`.
    pub ids: Option<&'a [String]>,
    /// Where the last page ended.
    pub next: Option<&'a str>,
}

/// Asks one of EC2's Describe calls, which differ in their names only.
macro_rules! describe {
    ($aws:ident, $place:ident, $kind:ident, $wanted:ident, $action:literal, $filter:literal,
     $call:ident, $set_filter:ident, $items:ident, $each:path $(, $also:ident ( $($value:expr),* ))*) => {{
        let client = $aws.ec2($place).await?;
        let filter = $wanted.ids.map(|ids| {
            let filter = Filter::builder().name($filter);
            vec![filter.set_values(Some(ids.to_vec())).build()]
        });
        let answer = client
            .$call()
            .$set_filter(filter)
            .max_results(PAGE_ITEMS)
            .set_next_token($wanted.next.map(str::to_owned))
            $(.$also($($value),*))*
            .send()
            .await
            .map_err(|error| CallError::of($action, &error))?;
        Page::of($kind, answer.$items(), answer.next_token(), |item| $each(item))
    }};
}

/// The IAM action that describing a kind takes.
pub fn action(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Instance => "ec2:DescribeInstances",
        ItemKind::Volume => "ec2:DescribeVolumes",
        ItemKind::SecurityGroup => "ec2:DescribeSecurityGroups",
        ItemKind::Snapshot => "ec2:DescribeSnapshots",
        ItemKind::ElasticIp => "ec2:DescribeAddresses",
        ItemKind::NetworkInterface => "ec2:DescribeNetworkInterfaces",
        ItemKind::AutoScalingGroup => "autoscaling:DescribeAutoScalingGroups",
        ItemKind::LoadBalancer => "elasticloadbalancing:DescribeLoadBalancers",
        ItemKind::Natgateway => "ec2:DescribeNatGateways",
        ItemKind::Image => "ec2:DescribeImages",
        ItemKind::Subnet => "ec2:DescribeSubnets",
        ItemKind::Vpc => "ec2:DescribeVpcs",
    }
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
        self.buckets.take(place, action(kind)).await;
        match kind {
            ItemKind::AutoScalingGroup => self.groups(place, wanted).await,
            ItemKind::LoadBalancer => self.balancers(place, wanted).await,
            ItemKind::Instance => self.instances(place, wanted).await,
            ItemKind::ElasticIp => self.addresses(place, wanted).await,
            _ => self.described(place, kind, wanted).await,
        }
    }

    /// The kinds that EC2 lists plainly.
    #[rustfmt::skip] // One call a line reads as the table it is.
    async fn described(&self, place: &Place, kind: ItemKind, wanted: Wanted<'_>) -> Result<Page, CallError> {
        Ok(match kind {
            ItemKind::Volume => describe!(self, place, kind, wanted, "ec2:DescribeVolumes", "volume-id", describe_volumes, set_filters, volumes, ec2::volume),
            ItemKind::Snapshot => describe!(self, place, kind, wanted, "ec2:DescribeSnapshots", "snapshot-id", describe_snapshots, set_filters, snapshots, ec2::snapshot, owner_ids("self")),
            ItemKind::SecurityGroup => describe!(self, place, kind, wanted, "ec2:DescribeSecurityGroups", "group-id", describe_security_groups, set_filters, security_groups, ec2::security_group),
            ItemKind::NetworkInterface => describe!(self, place, kind, wanted, "ec2:DescribeNetworkInterfaces", "network-interface-id", describe_network_interfaces, set_filters, network_interfaces, ec2::network_interface),
            ItemKind::Natgateway => describe!(self, place, kind, wanted, "ec2:DescribeNatGateways", "nat-gateway-id", describe_nat_gateways, set_filter, nat_gateways, ec2::nat_gateway),
            ItemKind::Image => describe!(self, place, kind, wanted, "ec2:DescribeImages", "image-id", describe_images, set_filters, images, ec2::image, owners("self")),
            ItemKind::Subnet => describe!(self, place, kind, wanted, "ec2:DescribeSubnets", "subnet-id", describe_subnets, set_filters, subnets, ec2::subnet),
            ItemKind::Vpc => describe!(self, place, kind, wanted, "ec2:DescribeVpcs", "vpc-id", describe_vpcs, set_filters, vpcs, ec2::vpc),
            ItemKind::Instance | ItemKind::ElasticIp | ItemKind::AutoScalingGroup | ItemKind::LoadBalancer => Page::default(),
        })
    }

    async fn instances(&self, place: &Place, wanted: Wanted<'_>) -> Result<Page, CallError> {
        let client = self.ec2(place).await?;
        let filter = wanted.ids.map(|ids| {
            let filter = Filter::builder().name("instance-id");
            vec![filter.set_values(Some(ids.to_vec())).build()]
        });
        let answer = client
            .describe_instances()
            .set_filters(filter)
            .max_results(PAGE_ITEMS)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of("ec2:DescribeInstances", &error))?;
        let instances = answer
            .reservations()
            .iter()
            .flat_map(Reservation::instances);
        let each = |item: &&aws_sdk_ec2::types::Instance| ec2::instance(item);
        Ok(Page::of(
            ItemKind::Instance,
            instances,
            answer.next_token(),
            each,
        ))
    }

    /// Addresses come all at once.
    async fn addresses(&self, place: &Place, wanted: Wanted<'_>) -> Result<Page, CallError> {
        let client = self.ec2(place).await?;
        let filter = wanted.ids.map(|ids| {
            let filter = Filter::builder().name("allocation-id");
            vec![filter.set_values(Some(ids.to_vec())).build()]
        });
        let answer = client
            .describe_addresses()
            .set_filters(filter)
            .send()
            .await
            .map_err(|error| CallError::of("ec2:DescribeAddresses", &error))?;
        let each = |item: &&aws_sdk_ec2::types::Address| ec2::address(item);
        Ok(Page::of(
            ItemKind::ElasticIp,
            answer.addresses(),
            None,
            each,
        ))
    }

    async fn groups(&self, place: &Place, wanted: Wanted<'_>) -> Result<Page, CallError> {
        let answer = self
            .autoscaling(place)
            .await?
            .describe_auto_scaling_groups()
            .set_auto_scaling_group_names(wanted.ids.map(<[String]>::to_vec))
            .max_records(GROUPS_PAGE)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of("autoscaling:DescribeAutoScalingGroups", &error))?;
        let each = |item: &&aws_sdk_autoscaling::types::AutoScalingGroup| fleet::group(item);
        Ok(Page::of(
            ItemKind::AutoScalingGroup,
            answer.auto_scaling_groups(),
            answer.next_token(),
            each,
        ))
    }

    async fn balancers(&self, place: &Place, wanted: Wanted<'_>) -> Result<Page, CallError> {
        let call = self.balancing(place).await?.describe_load_balancers();
        let call = match wanted.ids {
            // Names and a page's size exclude each other.
            Some(names) => call.set_names(Some(names.to_vec())),
            None => call
                .page_size(BALANCERS_PAGE)
                .set_marker(wanted.next.map(str::to_owned)),
        };
        let answer = match call.send().await {
            Ok(answer) => answer,
            // The only call here that fails for a name that is gone.
            Err(error)
                if error.as_service_error().is_some_and(
                    DescribeLoadBalancersError::is_load_balancer_not_found_exception,
                ) =>
            {
                return Ok(Page::default());
            }
            Err(error) => {
                return Err(CallError::of(
                    "elasticloadbalancing:DescribeLoadBalancers",
                    &error,
                ));
            }
        };
        let each = |item: &&aws_sdk_elasticloadbalancingv2::types::LoadBalancer| {
            fleet::load_balancer(item)
        };
        Ok(Page::of(
            ItemKind::LoadBalancer,
            answer.load_balancers(),
            answer.next_marker(),
            each,
        ))
    }
}
