//! What is opened or done that should not be.

use serde_json::{Value, json};

use super::{ANYWHERE, DATA, INSIDE, IRELAND, LAB, Planner, SHOP, VIRGINIA, office, site};
use crate::estate::load::{FLAT, Load, at};
use crate::estate::world::{By, Site, Thing, What};
use crate::model::{ActionKind, AgentName, Subject};

const SECURITY: &[AgentName] = &[AgentName::Security];

/// Plants the situations of the security agent and their look-alikes.
pub(super) fn plant(planner: &mut Planner) {
    bastion(planner);
    workbench(planner);
    warehouse(planner);
    root(planner);
    look_alikes(planner);
}

fn opening(group: &str, permission: &Value) -> Value {
    json!({"groupId": group, "ipPermissions": {"items": [permission]}})
}

/// Opens a group, with the call that did it and the look that follows.
fn open(
    planner: &mut Planner,
    minute: i64,
    place: Site,
    group: usize,
    ranges: &'static [&'static str],
    ports: Option<i64>,
) {
    let (protocol, from, to) = ports.map_or(("-1", 0, 0), |port| ("tcp", port, port));
    let cidrs: Vec<Value> = ranges
        .iter()
        .map(|range| json!({"cidrIp": range}))
        .collect();
    let mut permission = json!({"ipProtocol": protocol, "ipRanges": {"items": cidrs}});
    if let Some(port) = ports {
        permission["fromPort"] = json!(port);
        permission["toPort"] = json!(port);
    }
    let request = opening(&planner.world.groups[group].id, &permission);
    planner.world.groups[group]
        .permissions
        .push((minute, (protocol, from, to, ranges)));
    planner.call(
        minute,
        place,
        ("ec2", "AuthorizeSecurityGroupIngress"),
        By::User("alice"),
        request,
    );
    planner
        .world
        .tell(minute, 240, What::Look(Thing::Group(group)));
}

fn bastion(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(place, "bastion", &[("tcp", 22, 22, INSIDE)]);
    let machine = planner.machine(place, "bastion", "t3.small", office(), group);
    planner.world.machines[machine].public = Some(planner.world.chance.address("bastion"));
    planner.world.machines[machine].credits = vec![(0, 540.0)];
    let cause = at(6, 14, 5);
    open(planner, cause, place, group, ANYWHERE, Some(22));
    let (owner, reached) = (
        planner.world.group_subject(group),
        planner.world.machine_subject(machine),
    );
    planner
        .plant_on(
            "SSH of the bastion is opened to the world",
            SECURITY,
            cause,
            10,
        )
        .shows("SEV-10", [owner.clone()])
        .shows("SEC-SG-2", [owner.clone()])
        .shows("SEC-EXP-1", [reached])
        .calls_for(ActionKind::RevokeIngress, owner);
}

fn workbench(planner: &mut Planner) {
    let place = site(LAB, IRELAND);
    let group = planner.group(place, "workbench", &[("tcp", 22, 22, INSIDE)]);
    let machines: Vec<Subject> = (0..4)
        .map(|number| {
            let machine = planner.machine(
                place,
                &format!("bench-{number}"),
                "m5.large",
                office(),
                group,
            );
            planner.world.machine_subject(machine)
        })
        .collect();
    let cause = at(9, 10, 30);
    open(
        planner,
        cause,
        place,
        group,
        &["0.0.0.0/1", "128.0.0.0/1"],
        None,
    );
    let owner = planner.world.group_subject(group);
    planner
        .plant_on(
            "every port is opened to both halves of the internet",
            SECURITY,
            cause,
            10,
        )
        .shows("SEV-10", [owner.clone()])
        .shows("SEC-SG-1", [owner.clone()])
        .shows("SEC-SG-2", [owner.clone()])
        .shows("SEC-EXP-1", machines)
        .calls_for(ActionKind::RevokeIngress, owner);
}

fn warehouse(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let group = planner.group(place, "warehouse", &[("tcp", 5432, 5432, INSIDE)]);
    let machines: Vec<Subject> = (0..3)
        .map(|number| {
            let load = Load::new(&FLAT, (30.0, 30.0), 25.0);
            let machine = planner.machine(
                place,
                &format!("warehouse-{number}"),
                "i3.xlarge",
                load,
                group,
            );
            planner.world.machine_subject(machine)
        })
        .collect();
    // No trail tells of it: the next sweep does.
    let cause = at(4, 16, 20);
    planner.world.groups[group]
        .permissions
        .push((cause, ("tcp", 5432, 5432, ANYWHERE)));
    let owner = planner.world.group_subject(group);
    planner
        .plant_on(
            "the warehouse's database port is opened, and no trail tells",
            SECURITY,
            cause,
            6 * 60,
        )
        .shows("SEC-EXP-1", machines)
        .calls_for(ActionKind::RevokeIngress, owner);
}

fn root(planner: &mut Planner) {
    let place = site(DATA, VIRGINIA);
    let cause = at(14, 11, 0);
    planner.call(
        cause,
        place,
        ("iam", "CreateAccessKey"),
        By::Root,
        json!({}),
    );
    let account = &planner.world.accounts[DATA].id;
    let owner = Subject::new(account, "global", "principal/root");
    planner
        .plant_on(
            "the root user makes itself an access key",
            SECURITY,
            cause,
            10,
        )
        .shows("SEV-3", [owner.clone()])
        .calls_for(ActionKind::Investigate, owner);
}

fn look_alikes(planner: &mut Planner) {
    let place = site(SHOP, IRELAND);
    let group = planner.group(
        place,
        "admin",
        &[("tcp", 22, 22, &["10.0.0.0/8", "192.0.2.0/24"])],
    );
    let machine = planner.machine(place, "admin", "t3.large", office(), group);
    planner.world.machines[machine].credits = vec![(0, 800.0)];
    let subjects = vec![
        planner.world.group_subject(group),
        planner.world.machine_subject(machine),
    ];
    planner.look_alike("SSH open to the office and the inside only", subjects);

    let group = planner.group(
        place,
        "database",
        &[("tcp", 5432, 5432, INSIDE), ("tcp", 3306, 3306, INSIDE)],
    );
    let machine = planner.machine(
        place,
        "ledger-db",
        "r5.large",
        Load::new(&FLAT, (40.0, 40.0), 8.0),
        group,
    );
    let subjects = vec![
        planner.world.group_subject(group),
        planner.world.machine_subject(machine),
    ];
    planner.look_alike("database ports open to the inside", subjects);

    // AWS itself acts for root when an account is closed or a support plan renewed.
    let by = By::RootThroughService("support.amazonaws.com");
    planner.call(
        at(8, 3, 0),
        place,
        ("iam", "CreateServiceLinkedRole"),
        by,
        json!({}),
    );
    let root = Subject::new(&planner.world.accounts[SHOP].id, "global", "principal/root");
    planner.look_alike("a call that AWS makes on behalf of root", vec![root]);

    planner.call(
        at(5, 9, 30),
        site(LAB, IRELAND),
        ("iam", "CreateAccessKey"),
        By::User("bob"),
        json!({"userName": "bob"}),
    );
    let bob = Subject::new(
        &planner.world.accounts[LAB].id,
        "global",
        "principal/user/bob",
    );
    planner.look_alike("a person who makes an access key of their own", vec![bob]);
}
