//! What is broken, forgotten or unlabelled.

use serde_json::json;

use super::{DATA, FRANKFURT, INSIDE, IRELAND, LAB, Planner, SHOP, office, site};
use crate::estate::load::{DAY, HOUR, Load, SHOP as SHOPPING, at};
use crate::estate::world::{By, Hours, NEVER, Thing, What};
use crate::model::{ActionKind, AgentName};

const RESOURCE: &[AgentName] = &[AgentName::Resource];

/// Plants the situations of the resource agent and their look-alikes.
pub(super) fn plant(planner: &mut Planner) {
    host(planner);
    untagged(planner);
    stopped(planner);
    retired(planner);
}

fn host(planner: &mut Planner) {
    let place = site(SHOP, FRANKFURT);
    let group = planner.group(place, "payments", &[("tcp", 8443, 8443, INSIDE)]);
    let load = Load::new(&SHOPPING, (16.0, 48.0), 9.0);
    let machine = planner.machine(place, "payments-0", "m6i.large", load.clone(), group);
    let cause = at(5, 3, 20);
    planner.world.machines[machine].failing = vec![(cause, at(5, 4, 10))];
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on("the host under a payment server fails", RESOURCE, cause, 20)
        .shows("RES-STATE-2", [owner.clone()])
        .calls_for(ActionKind::Recover, owner);

    let machine = planner.machine(place, "payments-1", "m6i.large", load, group);
    planner.world.machines[machine].failing = vec![(at(10, 2, 0), at(10, 2, 5))];
    let subject = planner.world.machine_subject(machine);
    planner.look_alike("a single failed status check", vec![subject]);
}

fn untagged(planner: &mut Planner) {
    let place = site(LAB, IRELAND);
    let group = planner.group(place, "sandbox", &[("tcp", 22, 22, INSIDE)]);
    let cause = at(2, 15, 10);
    let machine = planner.machine(place, "try-out", "m5.large", office(), group);
    planner.world.machines[machine].tagged = NEVER;
    planner.live(machine, cause, NEVER);
    let root = planner.world.volumes.len() - 1;
    planner.world.volumes[root].tagged = NEVER;
    planner.call(
        cause,
        place,
        ("ec2", "RunInstances"),
        By::User("bob"),
        json!({"instanceType": "m5.large"}),
    );
    let (owner, volume) = (
        planner.world.machine_subject(machine),
        planner.world.volume_subject(root),
    );
    planner
        .plant_on(
            "an instance started by hand, without tags",
            RESOURCE,
            cause,
            20,
        )
        .shows("RES-TAG-1", [owner.clone(), volume])
        .calls_for(ActionKind::Tag, owner);

    let launched = at(4, 10, 0);
    let machine = planner.machine(place, "labelled-late", "m5.large", office(), group);
    planner.live(machine, launched, NEVER);
    let root = planner.world.volumes.len() - 1;
    let tagged = launched + 9;
    planner.world.machines[machine].tagged = tagged;
    planner.world.volumes[root].tagged = tagged;
    for thing in [Thing::Machine(machine), Thing::Volume(root)] {
        planner.world.tell(tagged, 60, What::Look(thing));
    }
    let subjects = vec![
        planner.world.machine_subject(machine),
        planner.world.volume_subject(root),
    ];
    planner.look_alike("an instance that gets its tags nine minutes late", subjects);
}

fn stopped(planner: &mut Planner) {
    let place = site(DATA, FRANKFURT);
    let group = planner.group(place, "archive", &[("tcp", 443, 443, INSIDE)]);
    let since = at(-20, 9, 12);
    let machine = planner.machine(place, "migration", "m5.xlarge", office(), group);
    planner.world.machines[machine].hours = Hours::StoppedSince(since);
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on(
            "an instance stopped after a migration and forgotten",
            RESOURCE,
            since,
            30 * DAY + HOUR,
        )
        .shows("RES-LIFE-2", [owner.clone()])
        .calls_for(ActionKind::Terminate, owner);

    let machine = planner.machine(place, "month-end", "m5.xlarge", office(), group);
    planner.world.machines[machine].hours = Hours::StoppedSince(at(-6, 18, 0));
    let subject = planner.world.machine_subject(machine);
    planner.look_alike("an instance stopped until the month's end", vec![subject]);
}

fn retired(planner: &mut Planner) {
    let place = site(DATA, FRANKFURT);
    let group = planner.group(place, "billing", &[("tcp", 8443, 8443, INSIDE)]);
    let machine = planner.machine(place, "billing", "m5.large", office(), group);
    let cause = at(11, 8, 40);
    planner.world.tell(
        cause,
        60,
        What::Health {
            site: place,
            machine: Some(machine),
            kind: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
            starts: at(17, 8, 0),
        },
    );
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on(
            "AWS announces the retirement of a host",
            RESOURCE,
            cause,
            10,
        )
        .shows("RES-LIFE-3", [owner.clone()])
        .calls_for(ActionKind::Recover, owner);

    let notice = What::Health {
        site: place,
        machine: None,
        kind: "AWS_EC2_OPERATIONAL_ISSUE",
        starts: at(6, 12, 0),
    };
    planner.world.tell(at(6, 12, 0), 120, notice);
    let machine = planner.machine(place, "exports", "m5.large", office(), group);
    let subject = planner.world.machine_subject(machine);
    planner.look_alike("a region in which AWS reports an issue", vec![subject]);
}
