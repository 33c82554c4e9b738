//! What takes calls for every single resource: asked after sweeps, of those that are new or were not
//! asked for long. A sweep that waited for it would take hours in a large account.

use std::collections::{BTreeMap, BTreeSet};

use super::sweep::Sweep;
use super::units::{Kinds, NAMED_MAX, tell};
use super::{Fault, Shared, Target};
use crate::adapters::aws::CallError;
use crate::model::ItemKind;
use crate::ports::Clock as _;
use crate::telemetry::Signal;

/// Whose attributes these are, and what they are.
const OF: ItemKind = ItemKind::Instance;
const KIND: ItemKind = ItemKind::InstanceAttributes;
const SOURCE: &str = "attributes";

/// When each resource was last asked for, by this process's clock. As many as there are resources.
pub(super) type Looked = BTreeMap<String, u64>;

/// Which resources to ask for: those that are there and were not asked for within `interval`, and
/// those that are known here alone, since they may have gone.
fn due(
    there: &BTreeSet<String>,
    known: &BTreeSet<String>,
    looked: &mut Looked,
    (now, interval): (u64, u64),
) -> Vec<String> {
    looked.retain(|id, _| there.contains(id));
    let old = |id: &&String| {
        let at = looked.get(*id);
        at.is_none_or(|at| now.saturating_sub(*at) >= interval)
    };
    let ask = there.iter().filter(old);
    ask.chain(known.difference(there)).cloned().collect()
}

/// Calls that it takes to ask for this many.
pub(super) fn calls(resources: u64) -> u64 {
    resources.div_ceil(NAMED_MAX as u64) + 2 * resources
}

/// One round; whether it went well, or will not go better soon.
pub(super) async fn round(
    shared: &Shared,
    target: &Target,
    kinds: &Kinds,
    looked: &mut Looked,
) -> bool {
    let (Some(of), Some(known)) = (kinds.get(&OF), kinds.get(&KIND)) else {
        return true;
    };
    let began = shared.clock.monotonic_ms();
    let there = of.lock().await.ids().cloned().collect();
    let before = known.lock().await.ids().cloned().collect();
    let interval = shared.config.sources.attributes_interval_ms;
    let due = due(&there, &before, looked, (began, interval));
    let place = (target.account.clone(), target.region.clone(), SOURCE);
    let sweep = Sweep {
        shared,
        target,
        kind: KIND,
    };
    let (mut published, mut error, mut well) = (0, None, true);
    for ids in due.chunks(NAMED_MAX) {
        // Held for as long as these take, so that what an event names need not wait for the round.
        match sweep.named(&mut *known.lock().await, ids).await {
            Ok(count) => {
                published += count;
                shared.handle.board.more(&place, count);
                let now = shared.clock.monotonic_ms();
                looked.extend(ids.iter().map(|id| (id.clone(), now)));
            }
            Err(fault) => {
                tell(shared, target, &fault);
                well = matches!(fault, Fault::Call(CallError::Refused(_)));
                error = Some(fault.to_string());
                break;
            }
        }
    }
    let resources = known.lock().await.len() as u64;
    shared.handle.metrics.emit(&Signal::SourceSwept {
        source: SOURCE,
        account: &target.account,
        region: &target.region,
        records: published,
        known: resources,
        seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
        whole: error.is_none(),
    });
    let errors = error.into_iter().collect();
    let board = &shared.handle.board;
    board.note(place, shared.now(), (resources, 0), errors);
    well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_new_or_was_not_asked_for_long_or_may_have_gone_is_asked_for() {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let mut looked = Looked::from([
            ("i-fresh".to_owned(), 90),
            ("i-old".to_owned(), 10),
            ("i-gone".to_owned(), 90),
        ]);
        let there = set(&["i-fresh", "i-new", "i-old"]);
        let known = set(&["i-fresh", "i-gone", "i-old"]);
        let asked = due(&there, &known, &mut looked, (100, 50));
        assert_eq!(asked, ["i-new", "i-old", "i-gone"]);
        assert!(!looked.contains_key("i-gone"), "it is kept no longer");
    }
}
