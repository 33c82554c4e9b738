//! FOCUS rows: what each day cost, delivered the next morning and once more, final, the morning after.

use std::collections::BTreeMap;

use serde_json::json;

use super::load::{DAY, at};
use super::world::{Site, World};
use super::{Record, moment, seconds};
use crate::model::Topic;

/// When a day's rows are delivered, in minutes of the next day.
const DELIVERED: i64 = at(0, 6, 0);
/// Days before the beginning that the first delivery holds.
const HISTORY_DAYS: i64 = 28;
/// What the first delivery of a day holds of its cost: usage is still coming in.
const ESTIMATE: f64 = 0.97;
const PAYER: &str = "999988887777";
const EC2: &str = "Amazon Elastic Compute Cloud";

/// USD an hour of what runs here; a class that is not listed costs [`HOUR_OTHER`].
const HOURS: [(&str, f64); 16] = [
    ("t2.small", 0.023),
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.large", 0.0832),
    ("m4.xlarge", 0.2),
    ("m5.large", 0.096),
    ("m5.xlarge", 0.192),
    ("m5.2xlarge", 0.384),
    ("c5.large", 0.085),
    ("c5.xlarge", 0.17),
    ("c5.2xlarge", 0.34),
    ("r5.large", 0.126),
    ("r5.xlarge", 0.252),
    ("r5.2xlarge", 0.504),
    ("m6i.large", 0.096),
    ("i3.xlarge", 0.312),
];
const HOUR_OTHER: f64 = 0.1;
/// USD a GiB-month by volume type, and days in a month of it.
const GIB_GP2: f64 = 0.10;
const GIB_OTHER: f64 = 0.08;
const MONTH_DAYS: f64 = 30.4;
/// USD an hour of a NAT gateway and of a load balancer.
const GATEWAY_HOUR: f64 = 0.045;
const BALANCER_HOUR: f64 = 0.0225;

/// Whether a delivery falls into this minute.
pub(super) fn delivers(minute: i64) -> bool {
    minute == 0 || minute.rem_euclid(DAY) == DELIVERED && minute > DAY
}

/// The rows delivered at `minute`.
pub(super) fn deliver(world: &World, minute: i64, into: &mut Vec<Record>) {
    let told = seconds(minute);
    if minute == 0 {
        for day in -HISTORY_DAYS..0 {
            rows(world, day, 1.0, told, into);
        }
        return;
    }
    let today = minute.div_euclid(DAY);
    if today >= 2 {
        rows(world, today - 2, 1.0, told, into);
    }
    rows(world, today - 1, ESTIMATE, told, into);
}

fn rows(world: &World, day: i64, part: f64, told: i64, into: &mut Vec<Record>) {
    for ((account, region, service, usage), amount) in amounts(world, day) {
        let account = &world.accounts[account].id;
        let amount = format!("{:.4}", amount * part);
        let row = json!({
            "ProviderName": "AWS",
            "BillingAccountId": PAYER,
            "SubAccountId": account,
            "RegionId": region,
            "ServiceName": service,
            "SkuId": usage,
            "x_UsageType": usage,
            "ChargeCategory": "Usage",
            "ChargeDescription": usage,
            "ChargePeriodStart": moment(day * DAY).to_string(),
            "ChargePeriodEnd": moment((day + 1) * DAY).to_string(),
            "BilledCost": amount,
            "EffectiveCost": amount,
            "BillingCurrency": "USD",
        });
        into.push(Record::json(Topic::AwsBilling, account, told, &row));
    }
}

type Line = (usize, &'static str, &'static str, String);

/// USD of the day by account, region, service and usage.
fn amounts(world: &World, day: i64) -> BTreeMap<Line, f64> {
    let mut amounts: BTreeMap<Line, f64> = BTreeMap::new();
    let mut add = |site: Site, service, usage: String, amount: f64| {
        let line = (site.account, site.region, service, usage);
        *amounts.entry(line).or_default() += amount;
    };
    for machine in &world.machines {
        let hours = (0..24)
            .filter(|hour| machine.runs(at(day, *hour, 30)))
            .count();
        if hours > 0 {
            let usage = format!("BoxUsage:{}", machine.class);
            add(machine.site, EC2, usage, hour(machine.class) * hours as f64);
        }
    }
    for volume in world
        .volumes
        .iter()
        .filter(|volume| volume.exists(at(day, 12, 0)))
    {
        let gib = if volume.class == "gp2" {
            GIB_GP2
        } else {
            GIB_OTHER
        };
        let usage = format!("EBS:VolumeUsage.{}", volume.class);
        add(
            volume.site,
            EC2,
            usage,
            gib * volume.gib as f64 / MONTH_DAYS,
        );
    }
    for gateway in &world.gateways {
        add(
            gateway.site,
            EC2,
            "NatGateway-Hours".into(),
            GATEWAY_HOUR * 24.0,
        );
    }
    for balancer in &world.balancers {
        let service = "Elastic Load Balancing";
        add(
            balancer.site,
            service,
            "LoadBalancerUsage".into(),
            BALANCER_HOUR * 24.0,
        );
    }
    for (index, usage) in world.usages.iter().enumerate() {
        let factor = usage
            .changes
            .iter()
            .filter(|(from, _)| *from <= day)
            .map(|(_, factor)| *factor)
            .next_back()
            .unwrap_or(1.0);
        let noise = 1.0 + 0.03 * world.chance.noise(index as u64 + 99, day);
        let amount = usage.week[day.rem_euclid(7) as usize] * factor * noise;
        add(usage.site, usage.service, usage.kind.into(), amount);
    }
    amounts
}

fn hour(class: &str) -> f64 {
    let known = HOURS.iter().find(|(name, _)| *name == class);
    known.map_or(HOUR_OTHER, |(_, usd)| *usd)
}
