//! One look at a place: list, find out what belongs together, read what is new.

use std::sync::Arc;

use super::desk::{Desk, publish};
use super::place::{FILES_MAX, Place, blocking};
use super::plan::{self, Delivery, Entry, Times, Work};
use super::{Kept, SOURCE, Trouble, restored, row};
use crate::adapters::aws::CallError;
use crate::app::sources::Shared;
use crate::config::Files;
use crate::model::Topic;
use crate::ports::{Clock as _, Outgoing};
use crate::sources::replay::{Options, Reading};
use crate::telemetry::Signal;

/// How long a bill without a manifest must have rested, at most, in milliseconds.
const REST_MS_MAX: i64 = 10 * 60_000;
/// How long a file of a folder must have rested, in milliseconds.
const SETTLE_MS: i64 = 2_000;
/// Single files between two rows about what was taken.
const SAVE_EVERY: usize = 200;
/// Files that may fail before a round is given up.
const FAILURES_MAX: usize = 50;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// One look under way.
struct Round<'a> {
    shared: &'a Arc<Shared>,
    files: &'a Files,
    place: Arc<Place>,
    options: Options,
    kept: &'a mut Kept,
    desk: Option<Desk>,
    /// Single files that were given to the desk and are not known to be durable.
    pending: Vec<(u64, u64)>,
    /// What may go better soon.
    errors: Vec<String>,
    /// What will not until somebody does something.
    notes: Vec<String>,
    bytes: u64,
}

/// What one look brought.
#[derive(Default)]
struct Looked {
    errors: Vec<String>,
    notes: Vec<String>,
    records: u64,
    bytes: u64,
}

/// One look; whether nothing failed that may go better soon.
pub(super) async fn round(shared: &Arc<Shared>, files: &Files, kept: &mut Option<Kept>) -> bool {
    let began = shared.clock.monotonic_ms();
    let (looked, well) = match look(shared, files, kept).await {
        Ok(looked) => {
            let well = looked.errors.is_empty();
            (looked, well)
        }
        Err(Trouble::Stopped) => return true,
        Err(trouble) => {
            let well = matches!(trouble, Trouble::Call(CallError::Refused(_)));
            let errors = vec![trouble.to_string()];
            (
                Looked {
                    errors,
                    ..Looked::default()
                },
                well,
            )
        }
    };
    let Looked {
        mut errors,
        notes,
        records,
        bytes,
    } = looked;
    errors.extend(notes);
    let place = files.from.as_str();
    let metrics = &shared.handle.metrics;
    for error in &errors {
        metrics.emit(&Signal::SourceFailed {
            account: place,
            region: "-",
            error,
        });
    }
    let known = kept.as_ref().map_or(0, |kept| kept.taken.len() as u64);
    metrics.emit(&Signal::SourceSwept {
        source: SOURCE,
        account: place,
        region: "-",
        records,
        known,
        seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
        whole: errors.is_empty(),
    });
    metrics.emit(&Signal::SourceRead {
        source: SOURCE,
        bytes,
    });
    // Its records were told of batch by batch.
    shared
        .handle
        .board
        .note(row(place), shared.now(), (known, 0), errors);
    well
}

async fn look(
    shared: &Arc<Shared>,
    files: &Files,
    kept: &mut Option<Kept>,
) -> Result<Looked, Trouble> {
    if kept.is_none() {
        let (reads, place) = (Arc::clone(shared), files.from.clone());
        *kept = Some(blocking(move || restored(&reads, &place)).await?);
    }
    let mut round = Round {
        place: Arc::new(Place::open(&shared.aws, &shared.config.data_dir, files).await?),
        options: Options {
            region: files.region.clone(),
            account: files
                .account
                .clone()
                .unwrap_or_else(|| Options::default().account),
            ..Options::default()
        },
        desk: Some(Desk::new(shared, &files.from)),
        kept: kept.get_or_insert_default(),
        pending: Vec::new(),
        errors: Vec::new(),
        notes: Vec::new(),
        bytes: 0,
        shared,
        files,
    };
    let outcome = round.go().await;
    let records = round.desk.as_ref().map_or(0, |desk| desk.published);
    let Round {
        mut errors,
        notes,
        bytes,
        ..
    } = round;
    match outcome {
        Ok(()) => {}
        Err(Trouble::Stopped) => return Err(Trouble::Stopped),
        Err(trouble) => {
            if matches!(trouble, Trouble::Log(_)) {
                // What the log says was taken is what counts.
                *kept = None;
            }
            errors.push(trouble.to_string());
        }
    }
    Ok(Looked {
        errors,
        notes,
        records,
        bytes,
    })
}

impl Round<'_> {
    async fn go(&mut self) -> Result<(), Trouble> {
        let listing = self.place.list().await?;
        if listing.left_out > 0 {
            self.notes.push(format!(
                "{} files beyond the newest {FILES_MAX} are passed over; name a longer prefix, or fewer back_fill_days",
                listing.left_out
            ));
        }
        let times = self.times();
        let (from, taken) = ((&*self.place, &self.options), &self.kept.taken);
        let entries = &listing.entries;
        let sight = &mut self.kept.sight;
        let plan = sight
            .plan(from, entries, taken, times, &mut self.errors)
            .await;
        self.notes.extend(plan.waiting);
        for work in plan.works {
            match work {
                Work::Single(entry) => self.single(&entry).await?,
                Work::Delivery(found) => self.delivery(&found).await?,
            }
        }
        self.save().await?;
        self.errors.extend(listing.errors);
        if listing.left_out == 0 && self.errors.is_empty() {
            self.kept.taken.keep(&plan.live);
            self.kept
                .broken
                .retain(|of, _| plan.live.contains(&plan::delivery_key(of)));
        }
        let broken = self.kept.broken.iter();
        self.notes
            .extend(broken.map(|(of, why)| format!("the delivery in {of} changes nothing: {why}")));
        self.save().await
    }

    fn times(&self) -> Times {
        let now = self.shared.now().ms();
        let interval = self.files.interval_ms as i64;
        Times {
            now,
            horizon: now - i64::from(self.files.back_fill_days) * DAY_MS,
            rest: interval.min(REST_MS_MAX),
            // An object is there whole or not at all.
            settle: match *self.place {
                Place::Folder(_) => interval.min(SETTLE_MS),
                Place::Bucket { .. } => 0,
            },
        }
    }

    /// Names what is wrong with a file and goes on, unless nothing more can be done.
    fn failed(&mut self, name: &str, trouble: Trouble) -> Result<(), Trouble> {
        match trouble {
            Trouble::Log(_) | Trouble::Stopped => Err(trouble),
            trouble if self.errors.len() >= FAILURES_MAX => Err(Trouble::File(format!(
                "{}; so many files could not be read that the rest waits for the next round",
                trouble.about(name)
            ))),
            trouble => {
                self.errors.push(trouble.about(name));
                Ok(())
            }
        }
    }

    /// Gives every record of a file to the desk.
    async fn read(
        &mut self,
        mut reading: Reading,
        entry: &Entry,
    ) -> (Option<Reading>, Result<(), Trouble>) {
        let fetched = match self.place.fetch(entry, u64::MAX).await {
            Ok(fetched) => fetched,
            Err(trouble) => return (None, Err(trouble)),
        };
        let Some(mut desk) = self.desk.take() else {
            return (None, Err(Trouble::Stopped));
        };
        let options = self.options.clone();
        let read = blocking(move || {
            let outcome = reading.file(&fetched.path, &options, |record| desk.take(&record));
            Ok((reading, desk, outcome))
        });
        match read.await {
            Ok((reading, desk, outcome)) => {
                self.desk = Some(desk);
                self.bytes += entry.size;
                let changed = || Trouble::File("it changed while it was read".to_owned());
                let outcome = outcome.and_then(|()| {
                    if self.place.unchanged(entry) {
                        Ok(())
                    } else {
                        Err(changed())
                    }
                });
                (Some(reading), outcome)
            }
            Err(trouble) => {
                // Whoever fell over took the desk along, and with it what was not published.
                self.pending.clear();
                self.desk = Some(Desk::new(self.shared, &self.files.from));
                (None, Err(trouble))
            }
        }
    }

    async fn single(&mut self, entry: &Entry) -> Result<(), Trouble> {
        let key = plan::file_key(&entry.name);
        let reading = Reading::new("", plan::file_id(entry)).after(self.kept.taken.ends(key));
        match self.read(reading, entry).await {
            // A bill by another name than bills have is a delivery of its own.
            (Some(reading), Ok(())) if reading.billed() => self.end(key, reading).await?,
            (_, Ok(())) => {}
            (_, Err(trouble)) => return self.failed(&entry.name, trouble),
        }
        self.pending.push((key, entry.version));
        if self.pending.len() >= SAVE_EVERY {
            self.save().await?;
        }
        Ok(())
    }

    /// Reads every file of a delivery, then ends it.
    async fn delivery(&mut self, found: &Delivery) -> Result<(), Trouble> {
        let key = plan::delivery_key(&found.of);
        let before = self.kept.taken.ends(key);
        let mut reading = Reading::new(&found.of, found.id).after(before);
        for entry in &found.files {
            reading = match self.read(reading, entry).await {
                (Some(reading), Ok(())) => reading,
                (_, Err(trouble)) => return self.failed(&entry.name, trouble),
                (None, Ok(())) => return Ok(()),
            };
        }
        match reading.broken() {
            Some(why) => self.kept.broken.insert(found.of.clone(), why),
            None => self.kept.broken.remove(&found.of),
        };
        self.end(key, reading).await?;
        self.pending.push((key, found.id));
        self.save().await
    }

    /// Tells everyone with rows in it, or in the one before, that a delivery is whole.
    async fn end(&mut self, bill: u64, reading: Reading) -> Result<(), Trouble> {
        // The rows are durable before the end is told, and the end before it is known to be.
        self.with_desk(Desk::flush).await?;
        let told = self.with_desk(move |desk| {
            let told = reading.end(|record| desk.take(&record))?;
            desk.flush()?;
            Ok(told)
        });
        if let Some(ends) = told.await? {
            self.kept.taken.ended(bill, ends);
        }
        Ok(())
    }

    async fn with_desk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Desk) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let mut desk = self.desk.take().ok_or(Trouble::Stopped)?;
        let (desk, outcome) = blocking(move || {
            let outcome = work(&mut desk);
            Ok((desk, outcome))
        })
        .await?;
        self.desk = Some(desk);
        outcome
    }

    /// Takes note of what is durable by now.
    async fn save(&mut self) -> Result<(), Trouble> {
        self.with_desk(Desk::flush).await?;
        for (key, content) in self.pending.drain(..) {
            self.kept.taken.set(key, content);
        }
        let place = &self.files.from;
        let rows = self.kept.taken.changes(place).into_iter();
        let rows: Vec<_> = rows
            .map(|(key, payload)| Outgoing {
                payload,
                ..self.shared.outgoing(Topic::Memory, place, &key, Vec::new())
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(self.shared);
        blocking(move || publish(&shared, &rows)).await
    }
}
