//! Deliveries of bills.
//!
//! The bill files of one folder are one delivery, as AWS lays them out; when a manifest lies with
//! them, only if all it names are there. A delivery ends with one record for each account and
//! billing period that it has rows of, so that nobody takes half a bill for a whole one, and for
//! each that the delivery before it had rows of, so that an account whose charges were taken back
//! does not keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::{Shape, Sink, Stop};
use crate::sources::billing::Column;

/// Most accounts and billing periods of one delivery.
const TOUCHED_MAX: usize = 1_000_000;
/// Most files that a manifest names.
const EXPECTED_MAX: usize = 100_000;
/// Length of the year and month a time begins with.
const MONTH_BYTES: usize = "2026-11".len();

/// Whose bill and which: account, and the billing period's ends as they are written.
type Touched = (String, String, String);

/// What a delivery had rows of, each with the newest charge.
pub type Ends = BTreeMap<Touched, String>;

/// One delivery as it is read.
#[derive(Default)]
pub(super) struct Bills {
    id: u64,
    /// Rows so far.
    number: u64,
    touched: Ends,
    /// What the delivery that this one replaces had rows of.
    before: Ends,
    last: Option<Touched>,
    files: BTreeSet<String>,
    expected: BTreeSet<String>,
    /// Why it is not whole.
    broken: Option<String>,
}

/// What of a manifest says when a delivery is whole.
#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "reportKeys", alias = "dataFiles")]
    files: Vec<String>,
}

impl Bills {
    /// A delivery of files, named by what can be seen of them from outside: other content is
    /// another delivery, the same files again are the same.
    pub(super) fn of(folder: &Path, files: &[std::fs::DirEntry]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(folder.as_os_str().as_encoded_bytes());
        for file in files {
            hasher.update(file.file_name().as_encoded_bytes());
            if let Ok(seen) = file.metadata() {
                Self::seen(&mut hasher, &seen);
            }
        }
        Self::begin(&hasher)
    }

    /// A delivery of files given one by one.
    pub(super) fn of_files<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for path in paths {
            hasher.update(path.as_os_str().as_encoded_bytes());
            if let Ok(seen) = std::fs::metadata(path) {
                Self::seen(&mut hasher, &seen);
            }
        }
        Self::begin(&hasher)
    }

    fn seen(hasher: &mut blake3::Hasher, file: &std::fs::Metadata) {
        hasher.update(&file.len().to_le_bytes());
        let changed = file.modified().ok();
        let changed = changed.and_then(|at| jiff::Timestamp::try_from(at).ok());
        hasher.update(&changed.unwrap_or_default().as_nanosecond().to_le_bytes());
    }

    fn begin(hasher: &blake3::Hasher) -> Self {
        let digest = hasher.finalize();
        let head = digest.as_bytes().first_chunk().copied();
        Self::named(u64::from_le_bytes(head.unwrap_or_default()))
    }

    /// A delivery that has its number.
    pub(super) fn named(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// It replaces a delivery that had rows of `before`.
    pub(super) fn after(mut self, before: Ends) -> Self {
        self.before = before;
        self
    }

    /// Moves what the delivery before had and this one has not over to what has to be ended. Other
    /// billing periods are no part of this delivery.
    fn take_back(&mut self) -> Ends {
        let told = self.touched.clone();
        let periods: BTreeSet<(&str, &str)> = told
            .keys()
            .map(|(_, from, to)| (from.as_str(), to.as_str()))
            .collect();
        for (touched, newest) in std::mem::take(&mut self.before) {
            if periods.contains(&(touched.1.as_str(), touched.2.as_str())) {
                self.touched.entry(touched).or_insert(newest);
            }
        }
        told
    }

    /// The file has rows of a bill.
    pub(super) fn has(&mut self, file: &Path) {
        if let Some(name) = file.file_name() {
            self.files.insert(name.to_string_lossy().into_owned());
        }
    }

    /// The file could not be read to its end.
    pub(super) fn broke(&mut self, file: &Path) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        self.broken = Some(format!("{name} is broken"));
    }

    /// A manifest names files of the delivery.
    pub(super) fn expect(&mut self, manifest: &[u8]) {
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(manifest) {
            let names = manifest
                .files
                .iter()
                .filter_map(|key| key.rsplit('/').next());
            self.expected
                .extend(names.take(EXPECTED_MAX).map(ToOwned::to_owned));
        }
    }

    /// Counts a row. Returns its place as `x_skyherd_row` has it.
    pub(super) fn row(
        &mut self,
        account: Option<&str>,
        start: &str,
        period: (Option<&str>, Option<&str>),
    ) -> String {
        self.number += 1;
        // A row without a time is refused, and is of no bill.
        if let Some(account) = account.filter(|_| !start.is_empty()) {
            self.touch(account, start, period);
        }
        format!("{:x}/{:x}", self.id, self.number)
    }

    fn touch(&mut self, account: &str, start: &str, (from, to): (Option<&str>, Option<&str>)) {
        // Without columns for the period it is the month of the charge.
        let from = from.unwrap_or_else(|| start.get(..MONTH_BYTES).unwrap_or(start));
        let to = to.unwrap_or_default();
        let same = |last: &Touched| (&*last.0, &*last.1, &*last.2) == (account, from, to);
        if !self.last.as_ref().is_some_and(same) {
            let touched = (account.to_owned(), from.to_owned(), to.to_owned());
            if self.touched.len() >= TOUCHED_MAX && !self.touched.contains_key(&touched) {
                let why = format!("it has more than {TOUCHED_MAX} accounts and billing periods");
                self.broken = Some(why);
                return;
            }
            self.last = Some(touched);
        }
        let Some(last) = &self.last else { return };
        match self.touched.get_mut(last) {
            // Times of one file are written alike.
            Some(newest) if newest.as_str() >= start => {}
            Some(newest) => start.clone_into(newest),
            None => {
                self.touched.insert(last.clone(), start.to_owned());
            }
        }
    }

    /// Whether it has rows.
    pub(super) fn any(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Why it is not whole.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = self.expected.difference(&self.files).next();
        self.broken
            .clone()
            .or_else(|| missing.map(|name| format!("{name} is missing")))
    }
}

/// The folder of a bill's period, else the folder itself: deliveries of one replace each other.
pub fn bill_of(folder: &str) -> &str {
    let mut end = 0;
    for part in folder.split('/') {
        end += part.len();
        if is_period(part) {
            return &folder[..end];
        }
        end += 1;
    }
    folder
}

/// `20261101-20261201`, `BILLING_PERIOD=2026-11`, `month=11`.
fn is_period(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let digits = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let days = part.split_once('-');
    lower.starts_with("billing_period=")
        || lower.starts_with("month=")
        || days.is_some_and(|(from, to)| digits(from) && digits(to))
}

/// Ends the delivery: one record for everyone touched, or one that says why there are none.
/// Gives what it had rows of, when it was whole and had any.
pub(super) fn finish<E>(sink: &mut Sink<'_, E>) -> Result<Option<Ends>, Stop<E>> {
    let mut bills = std::mem::take(&mut *sink.bills);
    if bills.touched.is_empty() {
        return Ok(None);
    }
    let delivered = format!("{:x}", bills.id);
    if let Some(why) = bills.missing() {
        let record = json!({
            (Column::Delivered.name()): delivered,
            (Column::Missing.name()): why,
        });
        sink.give(Shape::Delivery, None, record.to_string().into_bytes())?;
        return Ok(None);
    }
    let told = bills.take_back();
    for ((account, from, to), newest) in bills.touched {
        let filled = |text: String| Some(text).filter(|text| text.len() > MONTH_BYTES);
        let record = json!({
            (Column::Delivered.name()): delivered,
            (Column::SubAccountId.name()): account,
            (Column::BillingPeriodStart.name()): filled(from),
            (Column::BillingPeriodEnd.name()): filled(to),
            (Column::ChargePeriodStart.name()): newest,
        });
        sink.give(
            Shape::Delivery,
            Some(account),
            record.to_string().into_bytes(),
        )?;
    }
    Ok(Some(told))
}
