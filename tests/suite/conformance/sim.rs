//! The simulated cluster: the common laws, and what a simulation alone promises.

use skyherd::adapters::sim::{Fault, Fuse, Rates, SimLog, SimOptions, SimWorld, TaskMemory};
use skyherd::ports::{Clock as _, Committed, PortError};

use super::*;

struct Simulated(SimWorld);

impl World for Simulated {
    fn fresh() -> Self {
        Self(SimWorld::new(
            7,
            SimOptions {
                partitions: PARTITIONS,
                ..SimOptions::default()
            },
        ))
    }
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log> {
        Box::new(self.0.log(AGENT, 0, reads))
    }
    fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.store())
    }
    fn reopen(&mut self) {}
    fn trim(&mut self, topic: Topic, partition: u32, before: u64) {
        self.0.trim(topic, partition, before);
    }
}

conforms!(simulation_conforms, super::Simulated);

const READS: [Topic; 1] = [Topic::AwsEvents];

fn world_of(seed: u64, rates: Rates) -> SimWorld {
    let options = SimOptions {
        partitions: PARTITIONS,
        rates,
        snapshot_every: 10,
        ..SimOptions::default()
    };
    SimWorld::new(seed, options)
}

/// What became of a poll, in words, with everything it handed over.
fn poll_once(log: &mut SimLog, into: &mut Vec<Taken>) -> Result<Option<Ownership>, PortError> {
    log.poll(8, WAIT, &mut |view| into.push(copy(view)))
}

/// Answers changes of ownership as a worker does; returns the last one.
fn settle_ownership(logs: &mut [&mut SimLog]) -> Vec<Vec<u32>> {
    let mut owned = vec![Vec::new(); logs.len()];
    let mut quiet_rounds = 0;
    for _ in 0..POLLS_MAX {
        quiet_rounds += 1;
        for (index, log) in logs.iter_mut().enumerate() {
            match poll_once(log, &mut Vec::new()).unwrap() {
                None => continue,
                Some(Ownership::Assigned(partitions)) => {
                    let tasks: Vec<_> = partitions.iter().map(|p| (*p, Positions::new())).collect();
                    log.start(&tasks).unwrap();
                    owned[index] = partitions;
                }
                Some(Ownership::Revoked(partitions) | Ownership::Lost(partitions)) => {
                    log.stop(&partitions).unwrap();
                    owned[index].clear();
                }
            }
            quiet_rounds = 0;
        }
        // One quiet round is not enough: a join in it is heard by the others in the next.
        if quiet_rounds > 1 {
            return owned;
        }
    }
    panic!("the group never settles");
}

/// A short life with faults, as text.
fn history(seed: u64) -> String {
    use std::fmt::Write as _;
    let rates = Rates {
        before: 1_000,
        after: 1_000,
        lost: 500,
    };
    let world = world_of(seed, rates);
    world.schedule(60, Fault::Rebalance(AGENT));
    world.schedule(90, Fault::RestoreStore);
    let mut told = String::new();
    let (mut log, store) = (world.log(AGENT, 0, &READS), world.store());
    for n in 0..80 {
        let mut taken = Vec::new();
        let sent = log.appender().append(
            n,
            &record(Topic::AwsEvents, n as u32 % PARTITIONS, &n.to_string()),
        );
        let change = poll_once(&mut log, &mut taken);
        if let Ok(Some(Ownership::Assigned(partitions))) = &change {
            let tasks: Vec<_> = partitions.iter().map(|p| (*p, Positions::new())).collect();
            writeln!(told, "{:?}", log.start(&tasks)).unwrap();
        }
        if let Ok(Some(Ownership::Revoked(partitions))) = &change {
            writeln!(told, "{:?}", log.stop(partitions)).unwrap();
        }
        let acquired = store.acquire(task(0), 0);
        writeln!(told, "{sent:?} {change:?} {taken:?} {acquired:?}").unwrap();
    }
    told + &format!("{} {}", world.failures(), world.clock().now())
}

#[test]
fn a_seed_determines_everything() {
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

#[test]
fn two_members_share_the_partitions_and_one_takes_over() {
    let world = world_of(3, Rates::default());
    let mut first = world.log(AGENT, 0, &READS);
    assert_eq!(settle_ownership(&mut [&mut first]), [[0, 1, 2, 3]]);
    let mut second = world.log(AGENT, 1, &READS);
    let shares = settle_ownership(&mut [&mut first, &mut second]);
    assert_eq!(shares[1], [2, 3]);
    second.close().unwrap();
    assert_eq!(settle_ownership(&mut [&mut first]), [[0, 1, 2, 3]]);
}

#[test]
fn a_killed_member_is_replaced_after_the_session_timeout() {
    let world = world_of(3, Rates::default());
    let (mut first, mut second) = (world.log(AGENT, 0, &READS), world.log(AGENT, 1, &READS));
    settle_ownership(&mut [&mut first, &mut second]);
    world.inject(Fault::Kill(1));
    let dead = poll_once(&mut second, &mut Vec::new());
    assert!(matches!(dead, Err(PortError::Fatal(_))), "{dead:?}");
    let before = world.clock().monotonic_ms();
    let mut polls = 0;
    while poll_once(&mut first, &mut Vec::new()).unwrap().is_none() {
        polls += 1;
        assert!(polls < POLLS_MAX, "nobody noticed");
    }
    let passed = world.clock().monotonic_ms() - before;
    assert!((6_000..6_200).contains(&passed), "{passed}");
}

#[test]
fn a_member_that_restarts_in_time_gets_its_range_back_undisturbed() {
    let world = world_of(3, Rates::default());
    let (mut first, mut second) = (world.log(AGENT, 0, &READS), world.log(AGENT, 1, &READS));
    settle_ownership(&mut [&mut first, &mut second]);
    world.inject(Fault::Kill(1));
    let mut again = world.log(AGENT, 1, &READS);
    let change = poll_once(&mut again, &mut Vec::new()).unwrap();
    assert_eq!(change, Some(Ownership::Assigned(vec![2, 3])));
    world.advance(60_000);
    assert_eq!(poll_once(&mut first, &mut Vec::new()).unwrap(), None);
}

#[test]
fn a_zombie_goes_on_beside_the_new_owner_until_it_is_healed_and_the_store_fences_it() {
    let world = world_of(3, Rates::default());
    let (store, mut zombie) = (world.store(), world.log(AGENT, 0, &READS));
    let mut other = world.log(AGENT, 1, &READS);
    settle_ownership(&mut [&mut zombie, &mut other]);
    let old = store.acquire(task(0), 0).unwrap();
    world.inject(Fault::CutOff(AGENT, 0));
    assert_eq!(settle_ownership(&mut [&mut other]), [[0, 1, 2, 3]]);
    store.acquire(task(0), 0).unwrap();
    world.publish(&[record(Topic::AwsEvents, 0, "both see it")]);
    assert_eq!(take(&mut zombie, 1), take(&mut other, 1));
    let late = checkpoint(task(0), &old, "late");
    assert_eq!(store.commit(&late).unwrap(), Committed::Fenced);
    world.inject(Fault::Heal(AGENT, 0));
    let change = poll_once(&mut zombie, &mut Vec::new()).unwrap();
    assert_eq!(change, Some(Ownership::Lost(vec![0, 1])));
}

#[test]
fn a_store_put_back_to_an_older_snapshot_is_noticed_by_the_owner() {
    let world = world_of(3, Rates::default());
    let store = world.store();
    let mut owner = store.acquire(task(0), 0).unwrap();
    for n in 0..100 {
        let next = checkpoint(task(0), &owner, &n.to_string());
        assert_eq!(store.commit(&next).unwrap(), Committed::Committed);
        owner.meta = Some(next.meta);
    }
    let ahead = world.memory(task(0));
    world.inject(Fault::RestoreStore);
    let behind = world.memory(task(0));
    assert_ne!(behind, ahead);
    assert_ne!(behind, TaskMemory::default());
    let next = checkpoint(task(0), &owner, "next");
    assert_eq!(store.commit(&next).unwrap(), Committed::WentBack);
    world.inject(Fault::FlushStore);
    assert_eq!(store.commit(&next).unwrap(), Committed::WentBack);
}

#[test]
fn a_fuse_fails_exactly_one_call_before_or_after_its_effect() {
    for (fuse, epoch_after) in [(Fuse::Before, 0), (Fuse::After, 1)] {
        let world = world_of(3, Rates::default());
        let store = world.store();
        world.fuse(1, fuse);
        let failed = store.acquire(task(0), 0);
        assert!(matches!(failed, Err(PortError::Transient(_))), "{failed:?}");
        assert_eq!(world.memory(task(0)).epoch, epoch_after);
        assert_eq!(store.acquire(task(0), 0).unwrap().epoch, epoch_after + 1);
        assert_eq!((world.failures(), world.calls()), (1, 2));
    }
}

#[test]
fn a_process_can_die_in_any_call_and_its_handles_die_with_it() {
    for (fuse, epoch_after) in [(Fuse::KillBefore, 0), (Fuse::KillAfter, 1)] {
        let world = world_of(3, Rates::default());
        let (store, mut log) = (world.store_of(0), world.log(AGENT, 0, &READS));
        world.fuse(1, fuse);
        assert!(matches!(
            store.acquire(task(0), 0),
            Err(PortError::Fatal(_))
        ));
        assert_eq!(world.memory(task(0)).epoch, epoch_after);
        assert!(poll_once(&mut log, &mut Vec::new()).is_err());
        let again = world.store_of(0).acquire(task(0), 0).unwrap();
        assert_eq!(again.epoch, epoch_after + 1);
    }
}

#[test]
fn what_was_settled_is_there_and_what_was_not_may_be_in_part() {
    let mut partly = 0;
    for seed in 0..50 {
        let world = world_of(seed, Rates::default());
        let log = world.log(AGENT, 0, &READS);
        let appender = log.appender();
        for n in 0..10 {
            let record = record(Topic::FindingsResource, 0, &n.to_string());
            appender.append(1, &record).unwrap();
        }
        appender.settle(1, SETTLE).unwrap();
        assert_eq!(world.records(Topic::FindingsResource, 0).len(), 10);
        for n in 10..20 {
            let record = record(Topic::FindingsResource, 0, &n.to_string());
            appender.append(2, &record).unwrap();
        }
        world.inject(Fault::Kill(0));
        drop((log, appender));
        let there = world.records(Topic::FindingsResource, 0);
        for (offset, record) in &there {
            assert_eq!(record.payload, Some(offset.to_string().into_bytes()));
        }
        partly += usize::from((11..20).contains(&there.len()));
    }
    assert!(partly > 10, "only {partly} of 50 crashes left a part");
}

#[test]
fn compaction_leaves_the_last_record_of_each_key_at_its_offset() {
    let world = world_of(3, Rates::default());
    for (key, payload) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let keyed = Outgoing {
            key: Some(key.into()),
            ..record(Topic::FindingsResource, 0, payload)
        };
        world.publish(&[keyed]);
    }
    world.inject(Fault::Compact {
        topic: Topic::FindingsResource,
        partition: 0,
    });
    let offsets: Vec<u64> = world
        .records(Topic::FindingsResource, 0)
        .iter()
        .map(|(offset, _)| *offset)
        .collect();
    assert_eq!(offsets, [1, 2]);
    let mut log = world.log(AGENT, 0, &READS);
    let next = log.read(Topic::FindingsResource, 0, 0, &mut |_| {});
    assert_eq!(next.unwrap(), 3);
}

#[test]
fn a_process_that_dies_after_a_settle_has_settled() {
    for (fuse, least) in [(Fuse::KillBefore, 0), (Fuse::KillAfter, 10)] {
        let world = world_of(3, Rates::default());
        let log = world.log(AGENT, 0, &READS);
        let appender = log.appender();
        for n in 0..10 {
            let record = record(Topic::FindingsResource, 0, &n.to_string());
            appender.append(1, &record).unwrap();
        }
        world.fuse(world.calls() + 1, fuse);
        assert!(appender.settle(1, SETTLE).is_err());
        drop((log, appender));
        let there = world.records(Topic::FindingsResource, 0).len();
        assert!((least..=10).contains(&there), "{there} after {fuse:?}");
    }
}

#[test]
fn a_loss_at_settle_is_reported_once_and_leaves_a_part() {
    let mut losses = 0;
    for seed in 0..20 {
        let world = world_of(seed, Rates::default());
        let log = world.log(AGENT, 0, &READS);
        let appender = log.appender();
        for n in 0..10 {
            let record = record(Topic::FindingsResource, 0, &n.to_string());
            appender.append(1, &record).unwrap();
        }
        world.fuse(world.calls() + 1, Fuse::Lost);
        let lost = appender.settle(1, SETTLE);
        assert!(matches!(lost, Err(PortError::Lost(_))), "{lost:?}");
        appender.settle(1, SETTLE).unwrap();
        losses += usize::from(world.records(Topic::FindingsResource, 0).len() < 10);
    }
    assert!(losses > 0, "no loss lost anything");
}
