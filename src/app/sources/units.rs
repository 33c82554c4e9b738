//! One account in one region: what is known of it and when it is swept next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::again::Again;
use super::alarms::Alarms;
use super::attributes::Looked;
use super::costs::Costs;
use super::events::Asked;
use super::known::{Known, PREFIX};
use super::metrics::Metrics;
use super::money::Purse;
use super::reports::Reports;
use super::sweep::Sweep;
use super::turn::{AGAIN_MS, Turn};
use super::{Fault, Shared, Target};
use crate::adapters::aws::CallError;
use crate::model::{ItemKind, Topic};
use crate::ports::{Clock as _, PortResult, RecordView};
use crate::telemetry::Signal;
use parking_lot::Mutex as Lock;

/// Records read at once from the log.
const SCAN: usize = 1_000;
/// Resources asked for by name in one call: the fewest that any of the APIs allows.
pub(super) const NAMED_MAX: usize = 20;

/// What is known of each kind. A sweep and what events ask for take turns kind by kind.
pub(super) type Kinds = BTreeMap<ItemKind, Mutex<Known>>;

pub(super) struct Unit {
    target: Target,
    kinds: Arc<Kinds>,
    /// Kinds that are swept before their time.
    again: Arc<Lock<Again>>,
    /// What went wrong with a kind the last time.
    faults: Arc<Lock<BTreeMap<ItemKind, String>>>,
    metrics: Arc<Mutex<Metrics>>,
    costs: Arc<Mutex<Costs>>,
    reports: Arc<Mutex<Reports>>,
    alarms: Arc<Mutex<Alarms>>,
    attributes: Arc<Mutex<Looked>>,
    /// The account's, whatever the region.
    purse: Arc<Mutex<Purse>>,
    inventory_turn: Turn,
    metrics_turn: Turn,
    costs_turn: Turn,
    reports_turn: Turn,
    alarms_turn: Turn,
    /// Due after each sweep.
    attributes_turn: Turn,
    /// Whether a sweep has ended that was not followed up yet.
    swept: Arc<AtomicBool>,
}

/// Each account's money.
pub(super) type Purses = BTreeMap<String, Arc<Mutex<Purse>>>;

/// The rows of sources that a partition of the log remembers, by key.
pub(super) fn scan(
    shared: &Shared,
    partition: u32,
    rows: &mut BTreeMap<String, Vec<u8>>,
) -> PortResult<()> {
    let backend = shared.backend();
    let (mut from, end) = backend.bounds(Topic::Memory, partition)?;
    while from < end {
        let mut each = |record: RecordView<'_>| {
            let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
            let Some(key) = key.filter(|key| key.starts_with(PREFIX)) else {
                return;
            };
            match record.payload {
                Some(payload) => rows.insert(key.to_owned(), payload.to_vec()),
                None => rows.remove(key),
            };
        };
        let next = backend.scan(Topic::Memory, partition, from, SCAN, &mut each)?;
        if next <= from {
            break;
        }
        from = next;
    }
    Ok(())
}

/// Units for targets that are new to this process, with what the log remembers of them.
pub(super) fn restored(
    shared: &Shared,
    targets: Vec<Target>,
    mut purses: Purses,
    share: u64,
) -> PortResult<Vec<((String, String), Unit)>> {
    let mut rows: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let partitions: BTreeSet<u32> = targets
        .iter()
        .map(|target| shared.partition(&target.account))
        .collect();
    for partition in partitions {
        scan(shared, partition, &mut rows)?;
    }
    for target in &targets {
        let mut purse = Purse::from_rows(&rows, &target.account);
        purse.share(share);
        let account = target.account.clone();
        purses
            .entry(account)
            .or_insert_with(|| Arc::new(Mutex::new(purse)));
    }
    let unit = |target: Target| {
        let place = format!("{}/{}", target.account, target.region);
        let known = |kind| (kind, Mutex::new(Known::from_rows(&rows, &place, kind)));
        let key = (target.account.clone(), target.region.clone());
        let unit = Unit {
            kinds: Arc::new(target.kinds().map(known).collect()),
            again: Arc::default(),
            faults: Arc::default(),
            metrics: Arc::new(Mutex::new(Metrics::from_rows(&rows, &target))),
            purse: purses.get(&target.account).cloned().unwrap_or_default(),
            inventory_turn: Turn::default(),
            costs: Arc::new(Mutex::new(Costs::from_rows(&rows, &target.account))),
            metrics_turn: Turn::default(),
            costs_turn: Turn::default(),
            reports: Arc::new(Mutex::new(Reports::from_rows(&rows, &target.account))),
            reports_turn: Turn::default(),
            alarms: Arc::new(Mutex::new(Alarms::from_rows(&rows, &target))),
            alarms_turn: Turn::default(),
            attributes: Arc::default(),
            attributes_turn: Turn::idle(),
            swept: Arc::default(),
            target,
        };
        (key, unit)
    };
    Ok(targets.into_iter().map(unit).collect())
}

impl Unit {
    /// Its account's money.
    pub(super) fn purse(&self) -> Arc<Mutex<Purse>> {
        Arc::clone(&self.purse)
    }

    /// Begins what is due and not under way; `first` of the account's regions asks for its money.
    pub(super) fn start_due(&mut self, shared: &Arc<Shared>, now: u64, first: bool) {
        let sources = &shared.config.sources;
        if let Some(kinds) = self.kinds_due(now, sources.inventory_interval_ms) {
            let round = Round {
                shared: Arc::clone(shared),
                target: self.target.clone(),
                known: Arc::clone(&self.kinds),
                again: Arc::clone(&self.again),
                faults: Arc::clone(&self.faults),
            };
            let (end, swept) = (self.inventory_turn.ending(), Arc::clone(&self.swept));
            tokio::spawn(async move {
                round.sweep(&kinds).await;
                swept.store(true, Ordering::Release);
                // What failed is tried again by kind.
                end(true);
            });
        }
        if self.swept.swap(false, Ordering::AcqRel) {
            self.attributes_turn.call_up(now);
        }
        let wanted = sources.attributes_interval_ms > 0 && !self.target.global();
        if wanted && self.attributes_turn.begin_called(now) {
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            let (kinds, looked) = (Arc::clone(&self.kinds), Arc::clone(&self.attributes));
            let end = self.attributes_turn.ending();
            tokio::spawn(async move {
                let mut looked = looked.lock().await;
                end(super::attributes::round(&shared, &target, &kinds, &mut looked).await);
            });
        }
        let interval = sources
            .metrics
            .as_ref()
            .map_or(0, |metrics| metrics.interval_ms);
        if !self.target.global() && self.metrics_turn.begin(now, interval) {
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            let (metrics, purse) = (Arc::clone(&self.metrics), Arc::clone(&self.purse));
            let end = self.metrics_turn.ending();
            tokio::spawn(async move {
                let mut metrics = metrics.lock().await;
                end(super::metrics::round(&shared, &target, &mut metrics, &purse).await);
            });
        }
        let interval = sources
            .alarms
            .as_ref()
            .map_or(0, |alarms| alarms.interval_ms);
        if !self.target.global() && self.alarms_turn.begin(now, interval) {
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            let (alarms, end) = (Arc::clone(&self.alarms), self.alarms_turn.ending());
            tokio::spawn(async move {
                super::alarms::round(&shared, &target, &mut *alarms.lock().await).await;
                end(true);
            });
        }
        if first {
            self.start_bills(shared, now);
        }
    }

    /// Begins what is asked of an account once, whatever its regions.
    fn start_bills(&mut self, shared: &Arc<Shared>, now: u64) {
        let config = &shared.config;
        if self
            .reports_turn
            .begin(now, super::reports::interval_ms(config))
        {
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            let (reports, purse) = (Arc::clone(&self.reports), Arc::clone(&self.purse));
            let end = self.reports_turn.ending();
            tokio::spawn(async move {
                let mut reports = reports.lock().await;
                super::reports::round(&shared, &target, &mut reports, &purse).await;
                end(true);
            });
        }
        let costs = config.sources.costs.as_ref();
        let interval = costs.map_or(0, |costs| costs.interval_ms);
        if self.costs_turn.begin(now, interval) {
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            let (costs, purse) = (Arc::clone(&self.costs), Arc::clone(&self.purse));
            let end = self.costs_turn.ending();
            tokio::spawn(async move {
                let mut costs = costs.lock().await;
                end(super::costs::round(&shared, &target, &mut costs, &purse).await);
            });
        }
    }

    /// The kinds to sweep now, if none are being swept: all when it is time for all.
    fn kinds_due(&mut self, now: u64, interval: u64) -> Option<Vec<ItemKind>> {
        if self.inventory_turn.begin(now, interval) {
            self.again.lock().clear();
            return Some(self.target.swept().collect());
        }
        if interval == 0 {
            return None;
        }
        let mut again = self.again.lock();
        if !again.due(now) || !self.inventory_turn.seize() {
            return None;
        }
        Some(again.take(now))
    }

    /// Asks for single resources now, and for the whole of kinds as soon as it is their turn.
    pub(super) fn ask(&self, shared: &Arc<Shared>, asked: &BTreeSet<Asked>) {
        let now = shared.clock.monotonic_ms();
        let mut kinds: BTreeMap<ItemKind, Vec<String>> = BTreeMap::new();
        let attributes = shared.config.sources.attributes_interval_ms > 0;
        for asked in asked {
            match asked {
                Asked::One(kind, _) if kind.apart() && !attributes => {}
                Asked::One(kind, id) => kinds.entry(*kind).or_default().push(id.clone()),
                Asked::All(kind) => self.again.lock().ask(*kind, now, AGAIN_MS),
            }
        }
        let (shared, target, known) = (
            Arc::clone(shared),
            self.target.clone(),
            Arc::clone(&self.kinds),
        );
        tokio::spawn(async move {
            for (kind, ids) in kinds {
                let Some(known) = known.get(&kind) else {
                    continue;
                };
                let sweep = Sweep {
                    shared: &shared,
                    target: &target,
                    kind,
                };
                for ids in ids.chunks(NAMED_MAX) {
                    let mut known = known.lock().await;
                    // What is missed here the next whole sweep finds.
                    if let Err(fault) = sweep.named(&mut known, ids).await {
                        tell(&shared, &target, &fault);
                    }
                }
            }
        });
    }
}

pub(super) fn tell(shared: &Shared, target: &Target, fault: &Fault) {
    shared.handle.metrics.emit(&Signal::SourceFailed {
        account: &target.account,
        region: &target.region,
        error: &fault.to_string(),
    });
}

/// A round of sweeps.
struct Round {
    shared: Arc<Shared>,
    target: Target,
    known: Arc<Kinds>,
    again: Arc<Lock<Again>>,
    faults: Arc<Lock<BTreeMap<ItemKind, String>>>,
}

impl Round {
    /// Sweeps these kinds; what fails and may go better soon comes up again.
    async fn sweep(&self, kinds: &[ItemKind]) {
        let shared = &self.shared;
        let Ok(_permit) = shared.sweeps.acquire().await else {
            return;
        };
        let began = shared.clock.monotonic_ms();
        let mut published = 0;
        let faulty = !self.faults.lock().is_empty();
        for kind in kinds {
            let Some(known) = self.known.get(kind) else {
                continue;
            };
            let mut known = known.lock().await;
            let sweep = Sweep {
                shared,
                target: &self.target,
                kind: *kind,
            };
            match sweep.whole(&mut known).await {
                Ok(count) => {
                    published += count;
                    self.faults.lock().remove(kind);
                }
                Err(fault) => {
                    tell(shared, &self.target, &fault);
                    self.faults.lock().insert(*kind, fault.to_string());
                    if !matches!(fault, Fault::Call(CallError::Refused(_))) {
                        let now = shared.clock.monotonic_ms();
                        self.again.lock().failed(*kind, now, AGAIN_MS);
                    }
                }
            }
        }
        let errors: Vec<String> = self.faults.lock().values().cloned().collect();
        // A kind that is asked for out of turn says nothing of the others.
        if kinds.len() == self.target.swept().count() || faulty || !errors.is_empty() {
            self.note(began, published, errors).await;
        }
    }

    async fn note(&self, began: u64, published: u64, errors: Vec<String>) {
        let (shared, target) = (&self.shared, &self.target);
        let mut resources = 0;
        for kind in self.target.swept() {
            if let Some(known) = self.known.get(&kind) {
                resources += known.lock().await.len() as u64;
            }
        }
        shared.handle.metrics.emit(&Signal::SourceSwept {
            source: "inventory",
            account: &target.account,
            region: &target.region,
            records: published,
            known: resources,
            seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
            whole: errors.is_empty(),
        });
        let place = (target.account.clone(), target.region.clone(), "inventory");
        let at = shared.now();
        let board = &shared.handle.board;
        board.note(place, at, (resources, published), errors);
    }
}
