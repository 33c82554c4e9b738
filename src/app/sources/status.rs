//! How each source does, place by place, for `skyherd sources` and the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::adapters::aws::{Api, Tally};
use crate::http::{ApiRow, SourceRow, Sources};
use crate::model::Timestamp;

/// One source in one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// When everything was last taken, without a gap.
    pub(crate) success: Option<Timestamp>,
    /// When it was last tried.
    pub(crate) tried: Option<Timestamp>,
    /// Resources, series or rows known.
    pub(crate) known: u64,
    /// Records published since the process began.
    pub(crate) published: u64,
    /// What asking cost since the process began, in millionths of a US dollar.
    pub(crate) micro_usd: u64,
    /// What went wrong the last time, each once.
    pub(crate) errors: Vec<String>,
    /// What AWS had nothing of, in its words.
    pub(crate) nothing: Vec<String>,
}

/// Account (or how it is reached, while its id is not known), region, source.
pub(crate) type Place = (String, String, &'static str);

/// Most errors kept of one place: one a kind of resource.
const ERRORS_MAX: usize = 16;

/// Every source of this process.
#[derive(Debug, Default)]
pub(crate) struct Board {
    places: Mutex<BTreeMap<Place, Standing>>,
    /// What was asked of AWS.
    pub(super) tally: Arc<Tally>,
}

impl Board {
    /// Takes note of one round. `known` is the whole, `published` what this round sent.
    pub(super) fn note(
        &self,
        place: Place,
        at: Timestamp,
        (known, published): (u64, u64),
        mut errors: Vec<String>,
    ) {
        errors.sort();
        errors.dedup();
        errors.truncate(ERRORS_MAX);
        let mut board = self.places.lock();
        let standing = board.entry(place).or_default();
        standing.tried = Some(at);
        standing.known = known;
        standing.published += published;
        if errors.is_empty() {
            standing.success = Some(at);
        }
        standing.errors = errors;
    }

    /// Takes note of records published while a round goes on.
    pub(super) fn more(&self, place: &Place, published: u64) {
        self.places
            .lock()
            .entry(place.clone())
            .or_default()
            .published += published;
    }

    /// Takes note of what was asked for money.
    pub(super) fn paid(&self, place: &Place, micro_usd: u64) {
        let mut board = self.places.lock();
        board.entry(place.clone()).or_default().micro_usd += micro_usd;
    }

    /// Takes note of what AWS had nothing of in a place, since that is no error.
    pub(super) fn nothing(&self, place: &Place, mut told: Vec<String>) {
        told.truncate(ERRORS_MAX);
        if let Some(standing) = self.places.lock().get_mut(place) {
            standing.nothing = told;
        }
    }

    /// Keeps the places for which `keep` says so.
    pub(super) fn retain(&self, keep: impl Fn(&Place) -> bool) {
        self.places.lock().retain(|place, _| keep(place));
    }

    /// By source, when the place that waits longest was last taken whole.
    pub(super) fn oldest(&self) -> BTreeMap<&'static str, Timestamp> {
        let mut oldest = BTreeMap::new();
        for ((_, _, source), row) in self.places.lock().iter() {
            if let Some(success) = row.success {
                let known = oldest.entry(*source).or_insert(success);
                *known = success.min(*known);
            }
        }
        oldest
    }

    /// Everything, for the API.
    pub(crate) fn shown(&self) -> Sources {
        let places = self.places.lock();
        let sources = places
            .iter()
            .map(|((account, region, source), row)| SourceRow {
                account: account.clone(),
                region: region.clone(),
                source: (*source).to_owned(),
                last_success: row.success,
                last_tried: row.tried,
                known: row.known,
                published: row.published,
                usd: row.micro_usd as f64 / 1e6,
                errors: row.errors.clone(),
                nothing: row.nothing.clone(),
            });
        let apis = Api::ALL.into_iter().map(|api| {
            let counts = self.tally.of(api);
            ApiRow {
                api: api.as_str().to_owned(),
                calls: counts.calls,
                throttles: counts.throttles,
                errors: counts.errors,
            }
        });
        Sources {
            sources: sources.collect(),
            apis: apis.collect(),
        }
    }
}
