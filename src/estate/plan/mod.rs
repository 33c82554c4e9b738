//! Who is in the estate, what goes wrong in it and what only looks so.

mod cost;
mod fleets;
mod performance;
mod resource;
mod security;

use serde_json::Value;

use super::chance::Chance;
use super::load::{Load, OFFICE, at};
use super::world::{
    Account, Address, By, Call, EVER, Group, Hours, Machine, NEVER, Permission, Site, Thing,
    Volume, What, World,
};
use super::{EstateOptions, moment};
use crate::model::{ActionKind, AgentName, Subject, Timestamp};

/// The three accounts of the plan.
const SHOP: usize = 0;
const LAB: usize = 1;
const DATA: usize = 2;
const IRELAND: &str = "eu-west-1";
const FRANKFURT: &str = "eu-central-1";
const VIRGINIA: &str = "us-east-1";

const fn site(account: usize, region: &'static str) -> Site {
    Site { account, region }
}

/// Everybody, for permissions.
const ANYWHERE: &[&str] = &["0.0.0.0/0"];
const INSIDE: &[&str] = &["10.0.0.0/8"];

/// A situation that an operator would want to know of.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// What happened, in a few words.
    pub name: &'static str,
    /// Agents that should speak in the recommendation.
    pub agents: &'static [AgentName],
    /// When it happened.
    pub cause: Timestamp,
    /// How long after it the rules can know, at most, in milliseconds.
    pub within_ms: i64,
    /// Who has to act, and how.
    pub owner: Subject,
    /// What should be recommended.
    pub action: ActionKind,
    /// Findings it explains: (rule, subject).
    pub signs: Vec<(&'static str, Subject)>,
    /// Further actions on the owner that it explains: the losers of a conflict.
    pub also: &'static [ActionKind],
}

/// What looks like a situation and is fine.
#[derive(Clone, Debug, PartialEq)]
pub struct LookAlike {
    /// Why one could be taken in.
    pub name: &'static str,
    /// Nothing should be said about these.
    pub subjects: Vec<Subject>,
}

/// The world and the plan while they are made.
pub(super) struct Planner {
    world: World,
    planted: Vec<Planted>,
    look_alikes: Vec<LookAlike>,
}

/// Everything of these options.
pub(super) fn make(options: &EstateOptions) -> Planner {
    let chance = Chance::new(options.seed);
    let account = |name, team, environment| Account {
        id: chance.account(name),
        team,
        environment,
    };
    let mut planner = Planner {
        world: World {
            chance,
            accounts: vec![
                account("shop", "shop", "production"),
                account("lab", "lab", "development"),
                account("data", "data", "production"),
            ],
            machines: Vec::new(),
            volumes: Vec::new(),
            groups: Vec::new(),
            addresses: Vec::new(),
            balancers: Vec::new(),
            gateways: Vec::new(),
            fleets: Vec::new(),
            usages: Vec::new(),
            notices: Vec::new(),
        },
        planted: Vec::new(),
        look_alikes: Vec::new(),
    };
    fleets::people(&mut planner);
    security::plant(&mut planner);
    cost::plant(&mut planner);
    resource::plant(&mut planner);
    performance::plant(&mut planner);
    fleets::crowd(&mut planner, options);
    planner
}

impl Planner {
    pub(super) fn into_parts(self) -> (World, Vec<Planted>, Vec<LookAlike>) {
        (self.world, self.planted, self.look_alikes)
    }

    fn group(&mut self, site: Site, name: &'static str, permissions: &[Permission]) -> usize {
        self.world.groups.push(Group {
            id: self
                .world
                .chance
                .id("sg", &format!("{name}/{}", site.region)),
            name,
            site,
            permissions: permissions.iter().map(|one| (EVER, *one)).collect(),
        });
        self.world.groups.len() - 1
    }

    /// A machine that has always been there, with its root volume.
    fn machine(
        &mut self,
        site: Site,
        name: &str,
        class: &'static str,
        load: Load,
        group: usize,
    ) -> usize {
        let index = self.world.machines.len();
        self.world.machines.push(Machine {
            id: self.world.chance.id("i", name),
            name: name.to_owned(),
            site,
            class,
            groups: vec![group],
            public: None,
            fleet: None,
            launched: at(-60, 8, 0),
            hours: Hours::Always,
            tagged: EVER,
            load,
            credits: Vec::new(),
            failing: Vec::new(),
        });
        self.volume(index, "gp3", 30);
        index
    }

    /// A volume that has always hung on a machine.
    fn volume(&mut self, machine: usize, class: &'static str, gib: i64) -> usize {
        let index = self.world.volumes.len();
        let Machine {
            name,
            site,
            launched,
            ..
        } = &self.world.machines[machine];
        self.world.volumes.push(Volume {
            id: self.world.chance.id("vol", &format!("{name}/{index}")),
            site: *site,
            class,
            gib,
            hangs_on: vec![(EVER, Some(machine))],
            created: *launched,
            deleted: NEVER,
            tagged: EVER,
            balance: Vec::new(),
        });
        index
    }

    fn address(&mut self, site: Site, name: &str, used_by: Vec<(i64, Option<usize>)>) -> usize {
        self.world.addresses.push(Address {
            id: self.world.chance.id("eipalloc", name),
            ip: self.world.chance.address(name),
            site,
            used_by,
        });
        self.world.addresses.len() - 1
    }

    /// A machine that is launched and ended, with the events of both.
    fn live(&mut self, machine: usize, from: i64, to: i64) {
        self.world.machines[machine].launched = from;
        self.world.machines[machine].hours = Hours::Between(from, to);
        let mut things = vec![Thing::Machine(machine)];
        for (index, volume) in self.world.volumes.iter_mut().enumerate() {
            if volume.hangs_on == [(EVER, Some(machine))] {
                (volume.created, volume.deleted) = (from, to);
                things.push(Thing::Volume(index));
            }
        }
        let fleet = self.world.machines[machine].fleet.is_some();
        let world = &mut self.world;
        for (minute, states, scaled) in [
            (
                from,
                ["pending", "running"],
                "EC2 Instance Launch Successful",
            ),
            (
                to,
                ["shutting-down", "terminated"],
                "EC2 Instance Terminate Successful",
            ),
        ] {
            if minute == NEVER {
                continue;
            }
            for (order, state) in (0..).zip(states) {
                world.tell(minute, 2 + 20 * order, What::State(machine, state));
            }
            if fleet {
                world.tell(minute, 30, What::Scaled(machine, scaled));
            }
            for thing in &things {
                world.tell(minute, 60, What::Look(*thing));
            }
        }
    }

    fn call(
        &mut self,
        minute: i64,
        site: Site,
        call: (&'static str, &'static str),
        by: By,
        request: Value,
    ) {
        let (service, name) = call;
        let call = Call {
            site,
            service,
            name,
            by,
            request,
        };
        // CloudTrail takes minutes.
        self.world.tell(minute, 150, What::Call(call));
    }

    fn plant_on(
        &mut self,
        name: &'static str,
        agents: &'static [AgentName],
        cause: i64,
        within_minutes: i64,
    ) -> Sketch<'_> {
        Sketch {
            planner: self,
            planted: Planted {
                name,
                agents,
                cause: moment(cause),
                within_ms: within_minutes * Timestamp::MINUTE,
                owner: Subject::new("-", "-", "-"),
                action: ActionKind::Investigate,
                signs: Vec::new(),
                also: &[],
            },
        }
    }

    fn look_alike(&mut self, name: &'static str, subjects: Vec<Subject>) {
        self.look_alikes.push(LookAlike { name, subjects });
    }
}

/// A planted situation being written.
struct Sketch<'a> {
    planner: &'a mut Planner,
    planted: Planted,
}

impl Sketch<'_> {
    /// What should be recommended; ends the sketch.
    fn calls_for(mut self, action: ActionKind, owner: Subject) {
        (self.planted.action, self.planted.owner) = (action, owner);
        self.planner.planted.push(self.planted);
    }
    /// With findings it explains.
    fn shows(mut self, rule: &'static str, subjects: impl IntoIterator<Item = Subject>) -> Self {
        let signs = subjects.into_iter().map(|subject| (rule, subject));
        self.planted.signs.extend(signs);
        self
    }
    /// With actions that lose a conflict.
    fn beats(mut self, actions: &'static [ActionKind]) -> Self {
        self.planted.also = actions;
        self
    }
}

/// An ordinary office load.
fn office() -> Load {
    Load::new(&OFFICE, (12.0, 45.0), 4.0)
}
