//! What runs and is well: the shop, the lab, the data platform.

use serde_json::json;

use super::{DATA, FRANKFURT, INSIDE, IRELAND, LAB, Planner, SHOP, VIRGINIA, office, site};
use crate::estate::EstateOptions;
use crate::estate::load::{DAY, FLAT, Load, NIGHT, OFFICE, SHOP as SHOPPING, at, weekend};
use crate::estate::world::{Account, Balancer, By, Fleet, Gateway, Hours, Thing, Usage, What};

/// Days on which something is deployed to the shop, and the hour.
const DEPLOYMENTS: [(i64, i64); 4] = [(2, 10), (7, 11), (9, 15), (11, 10)];
/// Instances that join the web fleet on weekdays from 7 to 21.
const BY_DAY: i64 = 2;
/// Days told of at most.
const DAYS: i64 = 30;

/// The ordinary inhabitants.
pub(super) fn people(planner: &mut Planner) {
    web(planner);
    shop(planner);
    lab(planner);
    data(planner);
    bills(planner);
}

fn web(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "web", &[("tcp", 443, 443, &["0.0.0.0/0"])]);
    let load = Load::new(&SHOPPING, (14.0, 62.0), 40.0);
    planner.world.fleets.push(Fleet {
        name: "web",
        site: place,
        size: (6, 12),
    });
    for number in 0..6 {
        let machine = planner.machine(
            place,
            &format!("web-{number}"),
            "c5.large",
            load.clone(),
            group,
        );
        planner.world.machines[machine].fleet = Some("web");
    }
    let mut coming_and_going = Vec::new();
    for day in (0..DAYS).filter(|day| !weekend(day * DAY)) {
        for number in 0..BY_DAY {
            let name = format!("web-{day}-{number}");
            let machine = planner.machine(place, &name, "c5.large", load.clone(), group);
            planner.world.machines[machine].fleet = Some("web");
            planner.live(machine, at(day, 7, 0), at(day, 21, 0));
            coming_and_going.push(planner.world.machine_subject(machine));
        }
        for hour in [7, 21] {
            let fleet = planner.world.fleets.len() - 1;
            planner
                .world
                .tell(at(day, hour, 2), 0, What::Look(Thing::Fleet(fleet)));
        }
    }
    planner.look_alike(
        "instances that a fleet launches by day and ends by night",
        coming_and_going,
    );
    let open = planner.world.group_subject(group);
    planner.look_alike("HTTPS open to the world on web servers", vec![open]);
    planner.world.balancers.push(Balancer {
        name: "shop",
        site: place,
        load: Load::new(&SHOPPING, (0.0, 0.0), 0.0),
        requests: 9_000.0,
        failing: 0.0,
        failures: Vec::new(),
    });
    for (day, hour) in DEPLOYMENTS {
        let request = json!({"autoScalingGroupName": "web"});
        planner.call(
            at(day, hour, 0),
            place,
            ("autoscaling", "StartInstanceRefresh"),
            By::Role("deploy"),
            request,
        );
    }
}

fn shop(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "internal", &[("tcp", 8080, 8080, INSIDE)]);
    for (name, class, count, load) in [
        (
            "cart",
            "m5.large",
            4,
            Load::new(&SHOPPING, (18.0, 58.0), 12.0),
        ),
        (
            "search",
            "r5.xlarge",
            3,
            Load::new(&SHOPPING, (20.0, 66.0), 15.0),
        ),
        (
            "cache",
            "r5.large",
            2,
            Load::new(&SHOPPING, (11.0, 34.0), 30.0),
        ),
        (
            "orders-db",
            "r5.2xlarge",
            2,
            Load::new(&SHOPPING, (15.0, 55.0), 20.0),
        ),
    ] {
        for number in 0..count {
            let machine = planner.machine(
                place,
                &format!("{name}-{number}"),
                class,
                load.clone(),
                group,
            );
            if name == "orders-db" {
                planner.volume(machine, "gp3", 500);
            }
        }
    }
    let gateway = Gateway {
        id: planner.world.chance.id("nat", "shop"),
        site: place,
        refused: Vec::new(),
    };
    let busy = planner
        .world
        .subject(place, &format!("natgateway/{}", gateway.id));
    planner.world.gateways.push(gateway);
    planner.look_alike(
        "a NAT gateway that carries much and refuses nothing",
        vec![busy],
    );
    let frankfurt = site(SHOP, FRANKFURT);
    let group = planner.group(frankfurt, "internal", &[("tcp", 8080, 8080, INSIDE)]);
    for number in 0..4 {
        let load = Load::new(&SHOPPING, (16.0, 50.0), 10.0);
        planner.machine(
            frankfurt,
            &format!("mirror-{number}"),
            "m6i.large",
            load,
            group,
        );
    }
}

fn lab(planner: &mut Planner) {
    let place = site(LAB, IRELAND);
    let group = planner.group(place, "desks", &[("tcp", 22, 22, INSIDE)]);
    let mut by_day = Vec::new();
    for number in 0..6 {
        let load = Load::new(&OFFICE, (12.0, 60.0), 3.0);
        let machine = planner.machine(place, &format!("desk-{number}"), "m5.xlarge", load, group);
        planner.world.machines[machine].hours = Hours::Office;
        for day in (0..DAYS).filter(|day| !weekend(day * DAY)) {
            for (hour, states) in [(7, ["pending", "running"]), (19, ["stopping", "stopped"])] {
                for (order, state) in (0..).zip(states) {
                    planner.world.tell(
                        at(day, hour, 0),
                        3 + 25 * order,
                        What::State(machine, state),
                    );
                }
            }
        }
        by_day.push(planner.world.machine_subject(machine));
    }
    planner.look_alike("desks switched off at night and at weekends", by_day);
    let mut spiking = Vec::new();
    for number in 0..4 {
        let mut load = Load::new(&OFFICE, (11.0, 60.0), 25.0);
        // Two periods of full load: a build.
        load.daily = Some((at(0, 9, 10 * number), 10, 97.0));
        let machine = planner.machine(place, &format!("build-{number}"), "c5.xlarge", load, group);
        spiking.push(planner.world.machine_subject(machine));
    }
    planner.look_alike("builds that use all of the CPU for ten minutes", spiking);
}

fn data(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let group = planner.group(place, "jobs", &[("tcp", 7077, 7077, INSIDE)]);
    let mut nightly = Vec::new();
    for number in 0..8 {
        let load = Load::new(&NIGHT, (8.0, 84.0), 60.0);
        let machine = planner.machine(place, &format!("job-{number}"), "r5.2xlarge", load, group);
        nightly.push(planner.world.machine_subject(machine));
    }
    planner.look_alike("jobs that work hard all night", nightly);
    for number in 0..4 {
        let load = Load::new(&FLAT, (35.0, 35.0), 20.0);
        planner.machine(place, &format!("ingest-{number}"), "m5.large", load, group);
    }
    let frankfurt = site(DATA, FRANKFURT);
    let group = planner.group(frankfurt, "reports", &[("tcp", 443, 443, INSIDE)]);
    for number in 0..3 {
        planner.machine(
            frankfurt,
            &format!("report-{number}"),
            "m5.large",
            office(),
            group,
        );
    }
}

/// Usages whose cost is steady.
fn bills(planner: &mut Planner) {
    for (account, region, service, usage, dollars) in [
        (
            SHOP,
            IRELAND,
            "Amazon Simple Storage Service",
            "TimedStorage-ByteHrs",
            41.0,
        ),
        (
            SHOP,
            IRELAND,
            "Amazon CloudFront",
            "EU-Requests-Tier2-HTTPS",
            63.0,
        ),
        (
            LAB,
            IRELAND,
            "Amazon Simple Storage Service",
            "TimedStorage-ByteHrs",
            7.0,
        ),
        (
            DATA,
            VIRGINIA,
            "Amazon Simple Storage Service",
            "TimedStorage-ByteHrs",
            118.0,
        ),
    ] {
        planner.world.usages.push(Usage {
            site: site(account, region),
            service,
            kind: usage,
            week: [dollars; 7],
            changes: Vec::new(),
        });
    }
}

/// Accounts in which nothing is wrong, for load.
pub(super) fn crowd(planner: &mut Planner, options: &EstateOptions) {
    for number in 0..options.more_accounts {
        let name = format!("crowd-{number}");
        let account = planner.world.accounts.len();
        planner.world.accounts.push(Account {
            id: planner.world.chance.account(&name),
            team: "crowd",
            environment: "production",
        });
        let place = site(account, IRELAND);
        let group = planner.group(place, "crowd", &[("tcp", 443, 443, INSIDE)]);
        for machine in 0..options.machines {
            let load = Load::new(&SHOPPING, (15.0, 60.0), 10.0);
            planner.machine(place, &format!("{name}/{machine}"), "m5.large", load, group);
        }
    }
}
