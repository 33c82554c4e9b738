//! Files of folders and buckets that are watched: what is new or changed is read and published as
//! its producers would have published it.
//!
//! A place is watched by the process that owns the partition of its name. What was taken is kept
//! in rows of the `memory` topic; a row is written once what it speaks of is durable, so that a
//! file may be read twice and none is missed. A fact told twice is one, and rows of a delivery are
//! numbered.

mod desk;
mod live;
mod place;
mod plan;
mod replayed;
mod round;
mod sight;
mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::Shared;
use super::status;
use super::turn::Turn;
use crate::adapters::aws::CallError;
use crate::config::Files;
use crate::ports::PortError;
pub(super) use live::{listing, live};
pub use replayed::read_bucket;
use sight::Sight;
use taken::Taken;

/// What such places are called beside the other sources.
pub(super) const SOURCE: &str = "files";

/// Why something was not read.
#[derive(Debug)]
enum Trouble {
    /// The file or the place; nothing else.
    File(String),
    /// AWS.
    Call(CallError),
    /// The log: nothing more can be published.
    Log(PortError),
    /// The process is to stop.
    Stopped,
}

impl Trouble {
    fn of(name: &str, error: &std::io::Error) -> Self {
        Self::File(format!("{name}: {error}"))
    }

    /// In words that name the file.
    fn about(&self, name: &str) -> String {
        match self.to_string() {
            why if why.contains(name) => why,
            why => format!("{name}: {why}"),
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(why) => f.write_str(why),
            Self::Call(error) => error.fmt(f),
            Self::Log(error) => write!(f, "the log does not take records: {error}"),
            Self::Stopped => f.write_str("the process is told to stop"),
        }
    }
}

/// What is known of a place.
#[derive(Default)]
struct Kept {
    taken: Taken,
    sight: Sight,
    /// Deliveries that were not whole, by what they are of.
    broken: BTreeMap<String, String>,
}

/// One place that is watched.
pub(super) struct Watch {
    files: Arc<Files>,
    turn: Turn,
    /// While this process watches it; once its rows were read.
    kept: Option<Arc<Mutex<Option<Kept>>>>,
}

/// Where a place stands among the sources.
fn row(place: &str) -> status::Place {
    (place.to_owned(), "-".to_owned(), SOURCE)
}

/// Every place of the configuration.
pub(super) fn watches(shared: &Shared) -> Vec<Watch> {
    let places = shared.config.files.iter();
    places
        .map(|files| Watch {
            files: Arc::new(files.clone()),
            turn: Turn::default(),
            kept: None,
        })
        .collect()
}

impl Watch {
    /// Begins a round when it is time, in the process that owns the place.
    pub(super) fn step(&mut self, shared: &Arc<Shared>, now: u64, owned: Option<&BTreeSet<u32>>) {
        let partition = shared.partition(&self.files.from);
        if owned.is_some_and(|owned| !owned.contains(&partition)) {
            if self.kept.take().is_some() {
                shared
                    .handle
                    .board
                    .retain(|place| *place != row(&self.files.from));
                self.turn = Turn::default();
            }
            return;
        }
        let kept = Arc::clone(self.kept.get_or_insert_default());
        if self.turn.begin(now, self.files.interval_ms) {
            let (shared, files) = (Arc::clone(shared), Arc::clone(&self.files));
            let end = self.turn.ending();
            tokio::spawn(async move {
                let mut kept = kept.lock().await;
                end(round::round(&shared, &files, &mut kept).await);
            });
        }
    }
}

/// What the log remembers of a place.
fn restored(shared: &Shared, place: &str) -> Result<Kept, Trouble> {
    let mut rows = BTreeMap::new();
    super::units::scan(shared, shared.partition(place), &mut rows).map_err(Trouble::Log)?;
    Ok(Kept {
        taken: Taken::from_rows(&rows, place),
        ..Kept::default()
    })
}
