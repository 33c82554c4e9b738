//! Metric-stream records: the points of one account, region and time, many to a record, as Firehose delivers them.
//!
//! The stream is filtered to what the rules look at, as one would filter a real one for its price.

use std::fmt::Write as _;

use super::load::along;
use super::world::{Machine, Site, World};
use super::{EstateOptions, Record, moment, seconds};
use crate::model::Topic;

/// Points in one record; a record may carry 1,000.
const POINTS_MAX: usize = 400;
/// CloudWatch delivers a period's points so long after its end, in seconds.
const DELAY_SECONDS: i64 = 120;
/// Samples in a period of five minutes with detailed monitoring.
const SAMPLES: f64 = 5.0;

/// The points that begin at `minute`, told once the period is over.
pub(super) fn points(world: &World, options: &EstateOptions, minute: i64, into: &mut Vec<Record>) {
    let period = options.period_minutes;
    let told = seconds(minute + period) + DELAY_SECONDS;
    let mut batches: Vec<Batch> = Vec::new();
    for machine in world.machines.iter().filter(|machine| machine.runs(minute)) {
        of_machine(
            world,
            machine,
            minute,
            period,
            batch(&mut batches, machine.site),
        );
    }
    for volume in &world.volumes {
        if volume.balance.is_empty() || !volume.exists(minute) {
            continue;
        }
        let balance = along(&volume.balance, minute);
        let batch = batch(&mut batches, volume.site);
        batch.gauge(
            world,
            minute,
            "AWS/EBS",
            "BurstBalance",
            ("VolumeId", &volume.id),
            balance,
            "Percent",
        );
    }
    for index in 0..world.balancers.len() {
        let site = world.balancers[index].site;
        of_balancer(world, index, minute, period, batch(&mut batches, site));
    }
    for gateway in &world.gateways {
        let refused = during(&gateway.refused, minute).unwrap_or(0.0);
        let refused = (refused * (1.0 + 0.2 * world.chance.noise(1, minute))).round();
        let batch = batch(&mut batches, gateway.site);
        batch.sum(
            world,
            minute,
            "AWS/NATGateway",
            "ErrorPortAllocation",
            ("NatGatewayId", &gateway.id),
            refused,
            "Count",
        );
    }
    for batch in batches {
        into.extend(
            batch
                .done
                .into_iter()
                .chain(Some(batch.text))
                .filter(|text| !text.is_empty())
                .map(|text| Record {
                    told,
                    topic: Topic::AwsMetrics,
                    account: world.accounts[batch.site.account].id.clone(),
                    payload: text.into_bytes(),
                }),
        );
    }
}

/// The value of the span that the minute lies in.
fn during(spans: &[(i64, i64, f64)], minute: i64) -> Option<f64> {
    spans
        .iter()
        .find(|(from, to, _)| (*from..*to).contains(&minute))
        .map(|(_, _, value)| *value)
}

fn of_machine(world: &World, machine: &Machine, minute: i64, period: i64, batch: &mut Batch) {
    let series = world.chance.bits(&machine.id);
    let noise = world.chance.noise(series, minute);
    let cpu = machine.load.cpu_at(minute, noise);
    let bytes = machine.load.bytes_at(minute, period, noise);
    let id = ("InstanceId", machine.id.as_str());
    batch.gauge(
        world,
        minute,
        "AWS/EC2",
        "CPUUtilization",
        id,
        cpu,
        "Percent",
    );
    batch.sum(
        world,
        minute,
        "AWS/EC2",
        "NetworkIn",
        id,
        (bytes * 0.6).round(),
        "Bytes",
    );
    batch.sum(
        world,
        minute,
        "AWS/EC2",
        "NetworkOut",
        id,
        (bytes * 0.4).round(),
        "Bytes",
    );
    let failing = machine
        .failing
        .iter()
        .any(|(from, to)| (*from..*to).contains(&minute));
    let failed = if failing { SAMPLES } else { 0.0 };
    batch.sum(
        world,
        minute,
        "AWS/EC2",
        "StatusCheckFailed_System",
        id,
        failed,
        "Count",
    );
    if !machine.credits.is_empty() {
        let credits = along(&machine.credits, minute);
        batch.gauge(
            world,
            minute,
            "AWS/EC2",
            "CPUCreditBalance",
            id,
            credits,
            "Count",
        );
    }
}

/// `app/NAME/HASH`, as metrics and ARNs name a load balancer.
pub(super) fn balancer_id(world: &World, index: usize) -> String {
    let name = world.balancers[index].name;
    format!("app/{name}/{:016x}", world.chance.bits(name))
}

fn of_balancer(world: &World, index: usize, minute: i64, period: i64, batch: &mut Batch) {
    let balancer = &world.balancers[index];
    let noise = world.chance.noise(index as u64 + 7, minute);
    let share = balancer.load.share(minute) * (1.0 + 0.1 * noise);
    let requests = (balancer.requests * share * period as f64).round();
    let part = during(&balancer.failures, minute).unwrap_or(balancer.failing);
    let failed = (requests * part).round();
    let id = balancer_id(world, index);
    let id = ("LoadBalancer", id.as_str());
    batch.sum(
        world,
        minute,
        "AWS/ApplicationELB",
        "RequestCount",
        id,
        requests,
        "Count",
    );
    if failed > 0.0 {
        batch.sum(
            world,
            minute,
            "AWS/ApplicationELB",
            "HTTPCode_Target_5XX_Count",
            id,
            failed,
            "Count",
        );
    }
}

/// The records of one account and region.
struct Batch {
    site: Site,
    done: Vec<String>,
    text: String,
    points: usize,
}

fn batch(batches: &mut Vec<Batch>, site: Site) -> &mut Batch {
    let index = batches
        .iter()
        .position(|batch| batch.site == site)
        .unwrap_or_else(|| {
            batches.push(Batch {
                site,
                done: Vec::new(),
                text: String::new(),
                points: 0,
            });
            batches.len() - 1
        });
    &mut batches[index]
}

impl Batch {
    /// A value that is sampled: the samples lie around it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a field of the record"
    )]
    fn gauge(
        &mut self,
        world: &World,
        minute: i64,
        namespace: &str,
        name: &str,
        of: (&str, &str),
        value: f64,
        unit: &str,
    ) {
        let (least, most) = (rounded(value * 0.98), rounded(value * 1.02));
        let most = if unit == "Percent" {
            most.min(100.0)
        } else {
            most
        };
        let value = rounded(value);
        self.point(
            world,
            minute,
            namespace,
            name,
            of,
            (most, least, rounded(value * SAMPLES)),
            unit,
        );
    }

    /// A value that is counted: the samples are parts of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a field of the record"
    )]
    fn sum(
        &mut self,
        world: &World,
        minute: i64,
        namespace: &str,
        name: &str,
        of: (&str, &str),
        sum: f64,
        unit: &str,
    ) {
        let part = rounded(sum / SAMPLES);
        self.point(world, minute, namespace, name, of, (part, part, sum), unit);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a field of the record"
    )]
    fn point(
        &mut self,
        world: &World,
        minute: i64,
        namespace: &str,
        name: &str,
        (dimension, id): (&str, &str),
        (max, min, sum): (f64, f64, f64),
        unit: &str,
    ) {
        if self.points == POINTS_MAX {
            self.done.push(std::mem::take(&mut self.text));
            self.points = 0;
        }
        self.points += 1;
        let account = &world.accounts[self.site.account].id;
        let (region, at) = (self.site.region, moment(minute).ms());
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.text,
            r#"{{"metric_stream_name":"estate","account_id":"{account}","region":"{region}","namespace":"{namespace}","metric_name":"{name}","dimensions":{{"{dimension}":"{id}"}},"timestamp":{at},"value":{{"max":{max},"min":{min},"sum":{sum},"count":{SAMPLES}}},"unit":"{unit}"}}"#
        );
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
