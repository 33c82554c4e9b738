//! What there is: accounts with their machines, volumes, groups, addresses, gateways, balancers, and what each day costs.
//!
//! Everything is a function of the minute, counted from the beginning; what is older has negative minutes.

use super::chance::Chance;
use super::load::{DAY, HOUR, Load, weekend};
use crate::model::Subject;

/// Older than anything that is told.
pub(super) const EVER: i64 = i64::MIN / 2;
/// Later than anything that is told.
pub(super) const NEVER: i64 = i64::MAX / 2;

/// An account and a region of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) account: usize,
    pub(super) region: &'static str,
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    /// Who owns what is in it, and the environment, as the tags say.
    pub(super) team: &'static str,
    pub(super) environment: &'static str,
}

/// When a machine runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hours {
    Always,
    /// 7 to 19 UTC on weekdays.
    Office,
    /// From launch to termination.
    Between(i64, i64),
    /// No more since then.
    StoppedSince(i64),
}

/// An EC2 instance.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) site: Site,
    pub(super) class: &'static str,
    pub(super) groups: Vec<usize>,
    pub(super) public: Option<String>,
    pub(super) fleet: Option<&'static str>,
    pub(super) launched: i64,
    pub(super) hours: Hours,
    /// From when on it carries its tags.
    pub(super) tagged: i64,
    pub(super) load: Load,
    /// CPU credits over time; empty for types without.
    pub(super) credits: Vec<(i64, f64)>,
    /// Minutes in which the system status check fails.
    pub(super) failing: Vec<(i64, i64)>,
}

impl Machine {
    pub(super) fn exists(&self, minute: i64) -> bool {
        match self.hours {
            Hours::Between(from, to) => (from..to).contains(&minute),
            _ => self.launched <= minute,
        }
    }

    pub(super) fn runs(&self, minute: i64) -> bool {
        self.exists(minute)
            && match self.hours {
                Hours::Always | Hours::Between(..) => true,
                Hours::Office => {
                    let hour = minute.rem_euclid(DAY) / HOUR;
                    !weekend(minute) && (7..19).contains(&hour)
                }
                Hours::StoppedSince(since) => minute < since,
            }
    }
}

/// An EBS volume.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) site: Site,
    pub(super) class: &'static str,
    pub(super) gib: i64,
    /// What it hangs on, from which minute on, oldest first.
    pub(super) hangs_on: Vec<(i64, Option<usize>)>,
    pub(super) created: i64,
    pub(super) deleted: i64,
    pub(super) tagged: i64,
    /// Burst balance over time in percent; empty for types without.
    pub(super) balance: Vec<(i64, f64)>,
}

impl Volume {
    pub(super) fn exists(&self, minute: i64) -> bool {
        (self.created..self.deleted).contains(&minute)
    }
    pub(super) fn machine(&self, minute: i64) -> Option<usize> {
        newest(&self.hangs_on, minute)
    }
}

/// One ingress permission: protocol, ports, ranges.
pub(super) type Permission = (&'static str, i64, i64, &'static [&'static str]);

/// A security group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) site: Site,
    /// From when on which permission is there.
    pub(super) permissions: Vec<(i64, Permission)>,
}

/// An Elastic IP address.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) id: String,
    pub(super) ip: String,
    pub(super) site: Site,
    pub(super) used_by: Vec<(i64, Option<usize>)>,
}

impl Address {
    pub(super) fn machine(&self, minute: i64) -> Option<usize> {
        newest(&self.used_by, minute)
    }
}

fn newest(history: &[(i64, Option<usize>)], minute: i64) -> Option<usize> {
    let known = history.partition_point(|(from, _)| *from <= minute);
    known.checked_sub(1).and_then(|index| history[index].1)
}

/// An Application Load Balancer.
#[derive(Debug)]
pub(super) struct Balancer {
    pub(super) name: &'static str,
    pub(super) site: Site,
    pub(super) load: Load,
    /// Requests a minute at the peak.
    pub(super) requests: f64,
    /// Part of them that fails, always and from when to when.
    pub(super) failing: f64,
    pub(super) failures: Vec<(i64, i64, f64)>,
}

/// A NAT gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) id: String,
    pub(super) site: Site,
    /// Connections refused in a period, from when to when.
    pub(super) refused: Vec<(i64, i64, f64)>,
}

/// An Auto Scaling group.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) name: &'static str,
    pub(super) site: Site,
    pub(super) size: (i64, i64),
}

/// A usage whose cost is not that of a machine, volume, gateway or balancer.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) site: Site,
    pub(super) service: &'static str,
    pub(super) kind: &'static str,
    /// USD a day, Monday first.
    pub(super) week: [f64; 7],
    /// From day: times.
    pub(super) changes: Vec<(i64, f64)>,
}

/// A resource that is looked at out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Machine(usize),
    Volume(usize),
    Group(usize),
    Address(usize),
    Fleet(usize),
    Balancer(usize),
    Gateway(usize),
}

/// An event, told so many seconds after it happened.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) minute: i64,
    pub(super) after_seconds: i64,
    pub(super) what: What,
}

/// What an event says.
#[derive(Debug)]
pub(super) enum What {
    /// The resource is described.
    Look(Thing),
    /// An instance changed its state.
    State(usize, &'static str),
    /// An Auto Scaling group launched or ended an instance.
    Scaled(usize, &'static str),
    /// Somebody called an API.
    Call(Call),
    /// AWS announces something about an instance, or about a region.
    Health {
        site: Site,
        machine: Option<usize>,
        kind: &'static str,
        starts: i64,
    },
}

/// An API call as CloudTrail records it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) site: Site,
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) by: By,
    pub(super) request: serde_json::Value,
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    User(&'static str),
    Role(&'static str),
    Root,
    /// AWS on behalf of root.
    RootThroughService(&'static str),
}

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) accounts: Vec<Account>,
    pub(super) machines: Vec<Machine>,
    pub(super) volumes: Vec<Volume>,
    pub(super) groups: Vec<Group>,
    pub(super) addresses: Vec<Address>,
    pub(super) balancers: Vec<Balancer>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) fleets: Vec<Fleet>,
    pub(super) usages: Vec<Usage>,
    pub(super) notices: Vec<Notice>,
}

impl World {
    pub(super) fn subject(&self, site: Site, resource: &str) -> Subject {
        Subject::new(&self.accounts[site.account].id, site.region, resource)
    }
    pub(super) fn machine_subject(&self, index: usize) -> Subject {
        let machine = &self.machines[index];
        self.subject(machine.site, &format!("instance/{}", machine.id))
    }
    pub(super) fn volume_subject(&self, index: usize) -> Subject {
        let volume = &self.volumes[index];
        self.subject(volume.site, &format!("volume/{}", volume.id))
    }
    pub(super) fn group_subject(&self, index: usize) -> Subject {
        let group = &self.groups[index];
        self.subject(group.site, &format!("security-group/{}", group.id))
    }
    pub(super) fn address_subject(&self, index: usize) -> Subject {
        let address = &self.addresses[index];
        self.subject(address.site, &format!("elastic-ip/{}", address.id))
    }

    /// Every resource that exists, in a fixed order.
    pub(super) fn things(&self, minute: i64) -> impl Iterator<Item = Thing> + '_ {
        let machines = (0..self.machines.len())
            .filter(move |index| self.machines[*index].exists(minute))
            .map(Thing::Machine);
        let volumes = (0..self.volumes.len())
            .filter(move |index| self.volumes[*index].exists(minute))
            .map(Thing::Volume);
        machines
            .chain(volumes)
            .chain((0..self.groups.len()).map(Thing::Group))
            .chain((0..self.addresses.len()).map(Thing::Address))
            .chain((0..self.fleets.len()).map(Thing::Fleet))
            .chain((0..self.balancers.len()).map(Thing::Balancer))
            .chain((0..self.gateways.len()).map(Thing::Gateway))
    }

    pub(super) fn tell(&mut self, minute: i64, after_seconds: i64, what: What) {
        self.notices.push(Notice {
            minute,
            after_seconds,
            what,
        });
    }
}
