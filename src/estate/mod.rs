//! A simulated AWS estate: what `skyherd demo` plays, the load of the benchmarks, an input of the simulator.
//!
//! Three accounts live through [`HOURS`] hours, in AWS's own shapes. A seed decides ids and noise; a plan hides situations
//! among them that an operator would want to know of, and look-alikes that are fine. The pipeline does not know this module:
//! it sees records in topics like anyone's. Pure: the same options give the same bytes.

mod billing;
mod chance;
mod events;
mod items;
mod load;
mod plan;
mod stream;
mod verdict;
mod world;

use std::borrow::Borrow;

use serde_json::Value;

use crate::model::{Timestamp, Topic};
use load::at;
use world::{Notice, World};

pub use plan::{LookAlike, Planted};
pub use verdict::{Found, Missed, Published, Verdict};

/// Hours that are played: fifteen days, the time CloudWatch keeps one-minute points for.
pub const HOURS: i64 = 360;
/// Most hours that can be played.
pub const HOURS_MAX: i64 = 30 * 24;
/// The first instant, a Monday: 2026-09-07T00:00:00Z.
const BEGIN_MS: i64 = 1_788_739_200_000;
/// The past enters as what weekly sweeps saw, the oldest so many days before the beginning.
const PAST_DAYS: [i64; 6] = [-40, -33, -26, -19, -12, -5];
/// A sweep of the past is made at this minute of its day, at which those who work by day do.
const PAST_MINUTE: i64 = at(0, 12, 0);

/// How large and how dense the estate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstateOptions {
    /// Decides every id and the noise.
    pub seed: u64,
    /// Hours played, at most [`HOURS_MAX`].
    pub hours: i64,
    /// Minutes between points of a metric; divides an hour or is a number of hours.
    pub period_minutes: i64,
    /// Hours between sweeps of the inventory.
    pub sweep_hours: i64,
    /// Accounts beyond those of the plan, in which nothing is wrong: load.
    pub more_accounts: u32,
    /// Instances in each of them.
    pub machines: u32,
}

impl Default for EstateOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            hours: HOURS,
            period_minutes: 5,
            sweep_hours: 6,
            more_accounts: 0,
            machines: 0,
        }
    }
}

/// One raw record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it is told: after what it tells of, as in AWS. Seconds since the beginning.
    pub told: i64,
    /// Where it is published.
    pub topic: Topic,
    /// Its account: the record key.
    pub account: String,
    /// The record.
    pub payload: Vec<u8>,
}

impl Record {
    fn json(topic: Topic, account: &str, told: i64, value: &Value) -> Self {
        Self {
            told,
            topic,
            account: account.to_owned(),
            payload: value.to_string().into_bytes(),
        }
    }
}

/// The first instant.
pub fn begin() -> Timestamp {
    Timestamp::from_ms(BEGIN_MS)
}

/// The instant `minute` minutes after the beginning.
fn moment(minute: i64) -> Timestamp {
    begin().plus(minute.saturating_mul(Timestamp::MINUTE))
}

fn seconds(minute: i64) -> i64 {
    minute * 60
}

/// The estate and what is hidden in it.
#[derive(Debug)]
pub struct Estate {
    options: EstateOptions,
    world: World,
    planted: Vec<Planted>,
    look_alikes: Vec<LookAlike>,
}

impl Estate {
    /// The estate of these options.
    pub fn new(options: EstateOptions) -> Self {
        let options = EstateOptions {
            hours: options.hours.clamp(1, HOURS_MAX),
            period_minutes: options.period_minutes.max(1),
            sweep_hours: options.sweep_hours.max(1),
            ..options
        };
        let (mut world, planted, look_alikes) = plan::make(&options).into_parts();
        world
            .notices
            .sort_by_key(|notice| seconds(notice.minute) + notice.after_seconds);
        Self {
            options,
            world,
            planted,
            look_alikes,
        }
    }

    /// Situations that an operator would want to know of.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// What looks like a situation and is none.
    pub fn look_alikes(&self) -> &[LookAlike] {
        &self.look_alikes
    }

    /// The last instant that is told of.
    pub fn end(&self) -> Timestamp {
        moment(at(0, self.options.hours, 0))
    }

    /// Instances that are there at the beginning.
    pub fn instances(&self) -> usize {
        self.world
            .machines
            .iter()
            .filter(|machine| machine.exists(0))
            .count()
    }

    /// Accounts and regions in use.
    pub fn extent(&self) -> (usize, usize) {
        let mut regions: Vec<&str> = self
            .world
            .machines
            .iter()
            .map(|machine| machine.site.region)
            .collect();
        regions.sort_unstable();
        regions.dedup();
        (self.world.accounts.len(), regions.len())
    }

    /// Every record in the order in which they are told.
    pub fn records(&self) -> Records<&Self> {
        Records::of(self)
    }

    /// The same, keeping the estate.
    pub fn into_records(self) -> Records<Self> {
        Records::of(self)
    }

    /// Minutes told of at once: the clock of [`Records`].
    fn step(&self) -> i64 {
        self.options.period_minutes.min(at(0, 1, 0))
    }

    /// What is told on the clock, from `minute` on for `step` minutes.
    fn slot(&self, minute: i64, step: i64, into: &mut Vec<Record>) {
        if minute == 0 {
            for day in PAST_DAYS {
                self.sweep(at(day, 0, PAST_MINUTE), 0, into);
            }
        }
        let period = self.options.period_minutes;
        // Points are told when their period is over, which no later slot may precede.
        if minute >= period && minute % period == 0 {
            stream::points(&self.world, &self.options, minute - period, into);
        }
        if minute % at(0, self.options.sweep_hours, 0) == 0 {
            self.sweep(minute, seconds(minute), into);
        }
        let within = minute..minute + step;
        for minute in within.filter(|minute| billing::delivers(*minute)) {
            billing::deliver(&self.world, minute, into);
        }
    }

    fn sweep(&self, minute: i64, told: i64, into: &mut Vec<Record>) {
        let looks = self.world.things(minute);
        into.extend(looks.map(|thing| items::look(&self.world, thing, minute, told)));
    }

    /// What of the plan the published rows show.
    pub fn verdict(&self, published: &Published) -> Verdict {
        verdict::judge(self, published)
    }
}

/// The records of an estate, made as they are asked for.
#[derive(Debug)]
pub struct Records<E> {
    estate: E,
    minute: i64,
    /// Notices told so far.
    noticed: usize,
    ready: std::vec::IntoIter<Record>,
}

impl<E: Borrow<Estate>> Records<E> {
    fn of(estate: E) -> Self {
        Self {
            estate,
            minute: 0,
            noticed: 0,
            ready: Vec::new().into_iter(),
        }
    }

    fn next_slot(&mut self) -> Option<Vec<Record>> {
        let estate = self.estate.borrow();
        let (minute, step) = (self.minute, estate.step());
        if minute >= at(0, estate.options.hours, 0) {
            return None;
        }
        let mut records = Vec::new();
        estate.slot(minute, step, &mut records);
        let until = seconds(minute + step);
        while let Some(notice) = estate.world.notices.get(self.noticed)
            && told(notice) < until
        {
            records.push(events::tell(&estate.world, self.noticed, notice));
            self.noticed += 1;
        }
        records.sort_by_key(|record| record.told);
        self.minute += step;
        Some(records)
    }
}

impl<E: Borrow<Estate>> Iterator for Records<E> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.ready.next() {
                return Some(record);
            }
            self.ready = self.next_slot()?.into_iter();
        }
    }
}

fn told(notice: &Notice) -> i64 {
    seconds(notice.minute) + notice.after_seconds
}
