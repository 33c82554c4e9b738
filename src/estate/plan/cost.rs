//! What is paid for and not needed.

use super::{DATA, INSIDE, IRELAND, LAB, Planner, SHOP, VIRGINIA, office, site};
use crate::estate::load::{DAY, FLAT, Load, SHOP as SHOPPING, at};
use crate::estate::world::{EVER, Site, Thing, Usage, What};
use crate::model::{ActionKind, AgentName, Subject};

const COST: &[AgentName] = &[AgentName::Cost];
const EC2: &str = "Amazon Elastic Compute Cloud";

/// Plants the situations of the cost agent and their look-alikes.
pub(super) fn plant(planner: &mut Planner) {
    idle(planner);
    hardly_used(planner);
    volumes(planner);
    address(planner);
    spend(planner);
    quiet_but_needed(planner);
}

/// The agents' words for it: both rules see it, stopping wins over a smaller size.
fn idle(planner: &mut Planner) {
    let place = site(LAB, IRELAND);
    let group = planner.group(place, "demo", &[("tcp", 443, 443, INSIDE)]);
    let mut load = Load::new(&FLAT, (1.4, 1.4), 0.001);
    load.stray = 0.8;
    let machine = planner.machine(place, "demo-2024", "m5.2xlarge", load, group);
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on("a demo machine that nobody uses any more", COST, 0, 31 * 60)
        .shows("COST-EC2-1", [owner.clone()])
        .shows("COST-EC2-2", [owner.clone()])
        .beats(&[ActionKind::Rightsize])
        .calls_for(ActionKind::Stop, owner);
}

fn hardly_used(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let group = planner.group(place, "notebooks", &[("tcp", 8888, 8888, INSIDE)]);
    let mut load = Load::new(&FLAT, (4.0, 4.0), 0.002);
    load.daily = Some((at(0, 13, 0), 60, 30.0));
    let machine = planner.machine(place, "notebook", "r5.xlarge", load, group);
    let owner = planner.world.machine_subject(machine);
    planner
        .plant_on(
            "a notebook server that is hardly used",
            COST,
            0,
            4 * DAY + 30,
        )
        .shows("COST-EC2-2", [owner.clone()])
        .calls_for(ActionKind::Rightsize, owner);
}

fn volumes(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "files", &[("tcp", 2049, 2049, INSIDE)]);
    let machine = planner.machine(
        place,
        "files",
        "m5.large",
        Load::new(&SHOPPING, (15.0, 40.0), 10.0),
        group,
    );
    let (left, detached) = (planner.volume(machine, "gp3", 600), at(-26, 0, 0));
    planner.world.volumes[left].hangs_on = vec![(EVER, Some(machine)), (detached, None)];
    let owner = planner.world.volume_subject(left);
    planner
        .plant_on(
            "a volume left behind, attached to nothing",
            COST,
            detached,
            33 * DAY,
        )
        .shows("COST-EBS-1", [owner.clone()])
        .calls_for(ActionKind::Delete, owner);

    let old = planner.volume(machine, "gp2", 800);
    planner.world.volumes[old].balance = vec![(0, 100.0)];
    let owner = planner.world.machine_subject(machine);
    let sign = planner.world.volume_subject(old);
    planner
        .plant_on("a large volume of the old type gp2", COST, 0, 5)
        .shows("COST-EBS-3", [sign])
        .calls_for(ActionKind::Upgrade, owner);

    let lent = planner.volume(machine, "gp3", 200);
    planner.world.volumes[lent].hangs_on = vec![
        (EVER, Some(machine)),
        (at(3, 9, 0), None),
        (at(12, 9, 0), Some(machine)),
    ];
    for day in [3, 12] {
        planner
            .world
            .tell(at(day, 9, 0), 90, What::Look(Thing::Volume(lent)));
    }
    let lent = planner.world.volume_subject(lent);
    planner.look_alike("a volume detached for nine days", vec![lent]);

    let small = planner.volume(machine, "gp2", 5);
    planner.world.volumes[small].balance = vec![(0, 100.0)];
    let small = planner.world.volume_subject(small);
    planner.look_alike(
        "a gp2 volume so small that gp3 would cost more",
        vec![small],
    );
}

fn address(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let machine = planner.world.machines.len() - 1;
    let freed = at(3, 11, 0);
    let address = planner.address(place, "old-api", vec![(EVER, Some(machine)), (freed, None)]);
    planner
        .world
        .tell(freed, 60, What::Look(Thing::Address(address)));
    let owner = planner.world.address_subject(address);
    planner
        .plant_on(
            "an address that nothing is associated with",
            COST,
            freed,
            7 * DAY + 10,
        )
        .shows("COST-IP-1", [owner.clone()])
        .calls_for(ActionKind::Delete, owner);

    let moved = vec![
        (EVER, Some(machine)),
        (at(5, 9, 0), None),
        (at(8, 9, 0), Some(machine)),
    ];
    let address = planner.address(place, "moved", moved);
    let moved = planner.world.address_subject(address);
    planner.look_alike(
        "an address between two machines for three days",
        vec![moved],
    );
}

fn usage(
    planner: &mut Planner,
    place: Site,
    name: &'static str,
    week: [f64; 7],
    changes: Vec<(i64, f64)>,
) -> Subject {
    planner.world.usages.push(Usage {
        site: place,
        service: EC2,
        kind: name,
        week,
        changes,
    });
    planner.world.subject(place, &format!("usage/{EC2}/{name}"))
}

fn spend(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let week = [58.0, 58.0, 58.0, 58.0, 58.0, 44.0, 44.0];
    let owner = usage(
        planner,
        place,
        "DataTransfer-Out-Bytes",
        week,
        vec![(11, 6.5)],
    );
    planner
        .plant_on(
            "data transfer costs six times as much overnight",
            COST,
            at(11, 0, 0),
            31 * 60,
        )
        .shows("COST-ANOM-1", [owner.clone()])
        .calls_for(ActionKind::Investigate, owner);

    let mondays = [220.0, 80.0, 80.0, 80.0, 80.0, 30.0, 30.0];
    let dear = usage(
        planner,
        site(DATA, VIRGINIA),
        "DataProcessing-Bytes",
        mondays,
        Vec::new(),
    );
    planner.look_alike("a bill that is dear every Monday", vec![dear]);
    let growing = vec![(6, 1.08), (9, 1.16), (12, 1.22)];
    let growing = usage(
        planner,
        place,
        "DataTransfer-Regional-Bytes",
        [310.0; 7],
        growing,
    );
    planner.look_alike("a bill that grows with the business", vec![growing]);
}

fn quiet_but_needed(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "edge", &[("tcp", 3128, 3128, INSIDE)]);
    let mut load = Load::new(&SHOPPING, (1.0, 3.0), 45.0);
    load.stray = 0.5;
    let proxy = planner.machine(place, "proxy", "c5.large", load, group);
    let subject = planner.world.machine_subject(proxy);
    planner.look_alike("a proxy with little CPU and much traffic", vec![subject]);

    let mut load = Load::new(&FLAT, (2.0, 2.0), 0.05);
    load.stray = 0.5;
    load.daily = Some((at(0, 4, 0), 30, 22.0));
    let standby = planner.machine(place, "standby", "m5.large", load, group);
    let subject = planner.world.machine_subject(standby);
    planner.look_alike("a standby that is exercised every night", vec![subject]);

    let mut load = office();
    load.cpu = (14.0, 30.0);
    let old = planner.machine(place, "mail", "t2.small", load, group);
    planner.world.machines[old].credits = vec![(0, 270.0)];
    let subject = planner.world.machine_subject(old);
    planner.look_alike(
        "a t2: old, and still of the current generation",
        vec![subject],
    );
}
