//! A bucket's files once, for `skyherd replay`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Trouble;
use super::place::Place;
use super::plan::{self, Entry, Times, Work};
use super::sight::Sight;
use super::taken::Taken;
use crate::adapters::aws::{Aws, Tally};
use crate::config::Files;
use crate::sources::replay::{Options, RawRecord, Reading, ReplayError};

/// Calls `each` with every record of the files below `s3://bucket/prefix`, in order of time, and
/// returns what was not read, with the reason. Objects lie below `under` while they are read.
///
/// # Errors
/// [`ReplayError`] when the bucket or one of its files cannot be read; whatever `each` returns.
pub fn read_bucket<E: From<ReplayError>>(
    from: &str,
    under: &Path,
    options: &Options,
    mut each: impl FnMut(RawRecord) -> Result<(), E>,
) -> Result<Vec<String>, E> {
    let wrong = |name: &str, why: String| ReplayError {
        path: PathBuf::from(if name.is_empty() {
            from.to_owned()
        } else {
            format!("{from}: {name}")
        }),
        source: io::Error::other(why),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| wrong("", error.to_string()))?;
    let files = Files {
        from: from.to_owned(),
        ..Files::default()
    };
    let planned = runtime.block_on(planned(&files, under, options));
    let (place, works, notes) = planned.map_err(|trouble| wrong("", trouble.to_string()))?;
    let read = |reading: &mut Reading,
                entry: &Entry,
                each: &mut dyn FnMut(RawRecord) -> Result<(), E>|
     -> Result<(), E> {
        let fetched = runtime.block_on(place.fetch(entry, u64::MAX));
        let fetched = fetched.map_err(|trouble| wrong(&entry.name, trouble.to_string()))?;
        reading.file(&fetched.path, options, each)
    };
    for work in works {
        match work {
            Work::Single(entry) => {
                let mut reading = Reading::new("", plan::file_id(&entry));
                read(&mut reading, &entry, &mut each)?;
                reading.end(&mut each)?;
            }
            Work::Delivery(found) => {
                let mut reading = Reading::new(&found.of, found.id);
                for entry in &found.files {
                    read(&mut reading, entry, &mut each)?;
                }
                reading.end(&mut each)?;
            }
        }
    }
    Ok(notes)
}

/// A bucket, what of it is to be read, and what is not, with the reason.
async fn planned(
    files: &Files,
    under: &Path,
    options: &Options,
) -> Result<(Arc<Place>, Vec<Work>, Vec<String>), Trouble> {
    // Everything there is counts, and at once.
    let times = Times {
        now: 0,
        horizon: i64::MIN,
        rest: 0,
        settle: 0,
    };
    let aws = Aws::new(Arc::new(Tally::default()));
    let place = Arc::new(Place::open(&aws, under, files).await?);
    let listing = place.list().await?;
    let (from, taken) = ((&*place, options), Taken::default());
    let (mut sight, mut notes) = (Sight::default(), Vec::new());
    let plan = sight
        .plan(from, &listing.entries, &taken, times, &mut notes)
        .await;
    if listing.left_out > 0 {
        let left_out = listing.left_out;
        notes.push(format!("{left_out} files beyond the newest"));
    }
    notes.extend(plan.waiting);
    Ok((place, plan.works, notes))
}
