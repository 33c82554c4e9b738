//! What runs short.

use super::{DATA, INSIDE, IRELAND, LAB, Planner, SHOP, VIRGINIA, site};
use crate::estate::load::{DAY, FLAT, Load, OFFICE, SHOP as SHOPPING, at};
use crate::estate::world::{Balancer, By, Fleet, Gateway, NEVER};
use crate::model::{ActionKind, AgentName, Subject};

const PERFORMANCE: &[AgentName] = &[AgentName::Performance];

/// Plants the situations of the performance agent and their look-alikes.
pub(super) fn plant(planner: &mut Planner) {
    api(planner);
    importer(planner);
    old_database(planner);
    failing(planner);
    ports(planner);
    look_alikes(planner);
}

fn api(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "api", &[("tcp", 8080, 8080, INSIDE)]);
    planner.world.fleets.push(Fleet {
        name: "api",
        site: place,
        size: (5, 5),
    });
    let cause = at(8, 10, 15);
    let machines: Vec<Subject> = (0..5)
        .map(|number| {
            let mut load = Load::new(&SHOPPING, (20.0, 64.0), 18.0);
            load.levels = vec![(cause, NEVER, 96.0)];
            load.stray = 2.0;
            let machine = planner.machine(place, &format!("api-{number}"), "m5.large", load, group);
            planner.world.machines[machine].fleet = Some("api");
            planner.world.machine_subject(machine)
        })
        .collect();
    let request = serde_json::json!({"autoScalingGroupName": "api"});
    planner.call(
        cause,
        place,
        ("autoscaling", "StartInstanceRefresh"),
        By::Role("deploy"),
        request,
    );
    let owner = planner.world.subject(place, "auto-scaling-group/api");
    planner
        .plant_on(
            "a deployment makes the API need all of its CPU",
            PERFORMANCE,
            cause,
            30,
        )
        .shows("PERF-EC2-2", machines)
        .calls_for(ActionKind::Scale, owner);
}

/// Little used on most days, so a smaller size is proposed; out of credits in its bursts, so it must not be.
fn importer(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let group = planner.group(place, "imports", &[("tcp", 443, 443, INSIDE)]);
    let mut load = Load::new(&FLAT, (2.0, 2.0), 0.002);
    load.stray = 0.5;
    // A daily sign of life, so that it does not count as idle.
    load.daily = Some((at(0, 6, 0), 20, 15.0));
    let cause = at(13, 18, 0);
    load.levels = vec![(cause, at(13, 21, 10), 86.0), (at(13, 21, 10), NEVER, 9.5)];
    let machine = planner.machine(place, "importer", "t3.micro", load, group);
    planner.world.machines[machine].credits = vec![
        (0, 288.0),
        (cause, 288.0),
        (at(13, 21, 5), 0.5),
        (at(15, 0, 0), 2.0),
    ];
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on(
            "an import uses up its CPU credits",
            PERFORMANCE,
            cause,
            4 * 60,
        )
        .shows("PERF-EC2-3", [owner.clone()])
        .shows("COST-EC2-2", [owner.clone()])
        .beats(&[ActionKind::Rightsize])
        .calls_for(ActionKind::ChangeCredits, owner);
}

/// Three agents have a reason for the same restart.
fn old_database(planner: &mut Planner) {
    let place = site(SHOP, VIRGINIA);
    let group = planner.group(place, "ledger", &[("tcp", 5432, 5432, INSIDE)]);
    let load = Load::new(&SHOPPING, (20.0, 60.0), 12.0);
    let machine = planner.machine(place, "ledger", "m4.xlarge", load, group);
    let volume = planner.volume(machine, "gp2", 300);
    let cause = at(10, 9, 0);
    planner.world.volumes[volume].balance =
        vec![(cause, 100.0), (at(10, 13, 0), 9.0), (NEVER, 9.0)];
    let owner = planner.world.machine_subject(machine);
    let sign = planner.world.volume_subject(volume);
    planner
        .plant_on(
            "an old database server whose disk runs out of burst credits",
            &[AgentName::Resource, AgentName::Cost, AgentName::Performance],
            cause,
            5 * 60,
        )
        .shows("RES-CFG-2", [owner.clone()])
        .shows("COST-EBS-3", [sign.clone()])
        .shows("PERF-EBS-2", [sign])
        .calls_for(ActionKind::Upgrade, owner);
}

fn failing(planner: &mut Planner) {
    let place = site(SHOP, VIRGINIA);
    let cause = at(13, 15, 0);
    let mut balancer = Balancer {
        name: "checkout",
        site: place,
        load: Load::new(&SHOPPING, (0.0, 0.0), 0.0),
        requests: 2_400.0,
        failing: 0.001,
        failures: vec![(cause, NEVER, 0.043)],
    };
    planner.world.balancers.push(balancer);
    let owner = planner.world.subject(place, "load-balancer/checkout");
    planner
        .plant_on(
            "checkout answers with errors after a deployment",
            PERFORMANCE,
            cause,
            30,
        )
        .shows("PERF-ELB-1", [owner.clone()])
        .calls_for(ActionKind::Investigate, owner);

    balancer = Balancer {
        name: "partners",
        site: place,
        load: Load::new(&OFFICE, (0.0, 0.0), 0.0),
        requests: 90.0,
        failing: 0.006,
        failures: vec![(at(6, 3, 0), at(6, 5, 0), 0.2)],
    };
    planner.world.balancers.push(balancer);
    let few = planner.world.subject(place, "load-balancer/partners");
    planner.look_alike("a few failed requests of few, at night", vec![few]);
}

fn ports(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let cause = at(12, 22, 0);
    let gateway = Gateway {
        id: planner.world.chance.id("nat", "data"),
        site: place,
        refused: vec![(cause, NEVER, 240.0)],
    };
    let owner = planner
        .world
        .subject(place, &format!("natgateway/{}", gateway.id));
    planner.world.gateways.push(gateway);
    planner
        .plant_on(
            "the NAT gateway of the jobs has no ports left",
            PERFORMANCE,
            cause,
            20,
        )
        .shows("PERF-NAT-1", [owner.clone()])
        .calls_for(ActionKind::Scale, owner);
}

fn look_alikes(planner: &mut Planner) {
    let place = site(LAB, IRELAND);
    let group = planner.group(place, "queue", &[("tcp", 5672, 5672, INSIDE)]);
    let machine = planner.machine(
        place,
        "queue",
        "t3.small",
        Load::new(&OFFICE, (12.0, 30.0), 3.0),
        group,
    );
    // Below a tenth for twenty minutes.
    planner.world.machines[machine].credits = vec![
        (at(7, 14, 0), 560.0),
        (at(7, 15, 0), 60.0),
        (at(7, 15, 5), 50.0),
        (at(7, 15, 20), 50.0),
        (at(7, 15, 25), 70.0),
        (at(7, 20, 0), 560.0),
    ];
    let subject = planner.world.machine_subject(machine);
    planner.look_alike("CPU credits low for a quarter of an hour", vec![subject]);

    let volume = planner.volume(machine, "st1", 500);
    planner.world.volumes[volume].balance = (0..30)
        .flat_map(|day| {
            let night = day * DAY;
            [
                (night + 60, 100.0),
                (night + 180, 24.0),
                (night + 360, 100.0),
            ]
        })
        .collect();
    let subject = planner.world.volume_subject(volume);
    planner.look_alike(
        "a burst balance that dips in every night's backup",
        vec![subject],
    );
}
