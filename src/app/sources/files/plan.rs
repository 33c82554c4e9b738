//! A place's listing → what is to be read, and in which order. Pure.
//!
//! A bill's delivery is the files that its manifest names, or without one the bill files of a
//! folder. Of the deliveries of one billing period only the newest counts. Everything else is read
//! file by file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::super::hash::hash_of;
use super::taken::Taken;
use crate::sources::replay::bill_of;

/// Most files that a manifest names.
const NAMED_MAX: usize = 100_000;
/// What a manifest's name ends with, in small letters; the one for Redshift names itself.
const MANIFEST: &str = "manifest.json";
const REDSHIFT: &str = "redshiftmanifest.json";
/// What the names of files end with that lie beside bills, or are not done yet.
const PASSED_OVER: [&str; 8] = [
    "-create-table.sql",
    "crawler-cfn.yml",
    "redshiftcommands.sql",
    REDSHIFT,
    "cost_and_usage_data_status.parquet",
    "aws-programmatic-access-test-object",
    ".tmp",
    ".part",
];
/// Folder of the hashes by which CloudTrail vouches for its log files.
const DIGESTS: &str = "CloudTrail-Digest";

/// One file of a place.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Entry {
    /// Its name below the place, with slashes.
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
    /// A hash of what tells this content from another.
    pub(super) version: u64,
    /// The ETag that a bucket tells.
    pub(super) tag: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub(super) at_ms: i64,
}

/// Something to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// One file.
    Single(Entry),
    /// A bill's files, in the order of their names.
    Delivery(Delivery),
}

/// A bill's delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// What it replaces what came before of: a billing period's folder.
    pub(super) of: String,
    /// Its number: other content, another number.
    pub(super) id: u64,
    pub(super) files: Vec<Entry>,
    at_ms: i64,
}

/// What is to be done in a place.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In order of time.
    pub(super) works: Vec<Work>,
    /// Deliveries that are not whole although they had the time, with what they wait for.
    pub(super) waiting: Vec<String>,
    /// What is still there, of all that can have been taken.
    pub(super) live: BTreeSet<u64>,
}

/// Times that count, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: i64,
    /// Older files are passed over.
    pub(super) horizon: i64,
    /// How long nothing of a bill without a manifest may have changed.
    pub(super) rest: i64,
    /// How long a file itself may not have changed: folders show files that are being written.
    pub(super) settle: i64,
}

impl Times {
    fn quiet(&self, at_ms: i64, since: i64) -> bool {
        // A time far ahead is of a clock that is wrong.
        (self.now - at_ms).abs() >= since
    }
}

/// What of a manifest says which files are a delivery's.
#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "reportKeys", alias = "dataFiles")]
    files: Vec<String>,
}

/// The keys that a manifest names; `None` when it is none.
pub(super) fn keys(manifest: &[u8]) -> Option<Vec<String>> {
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let names = manifest.files.into_iter().take(NAMED_MAX);
    Some(
        names
            .map(|name| match name.strip_prefix("s3://") {
                Some(rest) => rest.split_once('/').map_or(rest, |(_, key)| key).to_owned(),
                None => name.trim_start_matches('/').to_owned(),
            })
            .collect(),
    )
}

/// Whether a file counts at all.
pub(super) fn wanted(name: &str, size: u64) -> bool {
    let lower = name.to_ascii_lowercase();
    let hidden = |part: &str| part.starts_with('.') || part == DIGESTS;
    size > 0 && !name.split('/').any(hidden) && !PASSED_OVER.iter().any(|end| lower.ends_with(end))
}

pub(super) fn is_manifest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(MANIFEST)
}

/// What a name says of whether the file is of a bill; `None` when only its content can.
pub(super) fn billed(name: &str) -> Option<bool> {
    let lower = name.to_ascii_lowercase();
    let ends = |end: &str| lower.ends_with(end);
    if ends(".parquet") || ends(".zip") {
        Some(true)
    } else if ends(".csv") || ends(".csv.gz") {
        None
    } else {
        Some(false)
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folders above a file, its own first.
fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder(name)), |below| {
        (!below.is_empty()).then(|| folder(below))
    })
}

/// A manifest and the keys that it names.
pub(super) type Named<'a> = (&'a Entry, &'a [String]);

/// The entries of a place by name.
pub(super) struct Names<'a>(BTreeMap<&'a str, &'a Entry>);

impl<'a> Names<'a> {
    pub(super) fn of(entries: &'a [Entry]) -> Self {
        Self(
            entries
                .iter()
                .map(|entry| (entry.name.as_str(), entry))
                .collect(),
        )
    }

    /// The file that a manifest names by its key in the bucket; the place may begin above or below
    /// the bucket's root, where files were copied.
    fn find(&self, manifest: &str, key: &str) -> Option<&'a Entry> {
        let mut rest = Some(key);
        while let Some(end) = rest {
            rest = end.split_once('/').map(|(_, end)| end);
            // A bare name is found beside the manifest only.
            let folders = above(manifest).take(if rest.is_none() { 1 } else { usize::MAX });
            for folder in folders {
                let name = if folder.is_empty() {
                    end.to_owned()
                } else {
                    format!("{folder}/{end}")
                };
                if let Some(entry) = self.0.get(name.as_str()) {
                    return Some(entry);
                }
            }
        }
        None
    }

    /// The files of each manifest, and the keys that are not there.
    pub(super) fn covered(&self, manifests: &[Named<'a>]) -> Vec<Covered<'a>> {
        let mut all = Vec::new();
        for (manifest, keys) in manifests {
            let (mut files, mut missing) = (BTreeMap::new(), Vec::new());
            for key in *keys {
                match self.find(&manifest.name, key) {
                    Some(entry) => {
                        files.insert(entry.name.as_str(), entry);
                    }
                    None => missing.push(key.as_str()),
                }
            }
            // One that names nothing here is about another place.
            if !files.is_empty() {
                all.push(Covered {
                    manifest,
                    files: files.into_values().collect(),
                    missing,
                });
            }
        }
        all
    }
}

/// What a manifest names.
pub(super) struct Covered<'a> {
    manifest: &'a Entry,
    pub(super) files: Vec<&'a Entry>,
    missing: Vec<&'a str>,
}

fn delivery(files: &[&Entry]) -> Delivery {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.name.as_bytes());
        hasher.update(&file.version.to_le_bytes());
    }
    let digest = hasher.finalize();
    let head = digest.as_bytes().first_chunk().copied();
    Delivery {
        of: files
            .first()
            .map(|file| bill_of(folder(&file.name)).to_owned())
            .unwrap_or_default(),
        id: u64::from_le_bytes(head.unwrap_or_default()),
        files: files.iter().copied().cloned().collect(),
        at_ms: newest(files),
    }
}

fn newest(files: &[&Entry]) -> i64 {
    files
        .iter()
        .map(|file| file.at_ms)
        .max()
        .unwrap_or_default()
}

/// The key under which a delivery is known to be taken.
pub(super) fn delivery_key(of: &str) -> u64 {
    hash_of(&["delivery", of])
}

/// The number of a bill that is one file by itself.
pub(super) fn file_id(entry: &Entry) -> u64 {
    hash_of(&["bill", &entry.name, &entry.version.to_string()])
}

/// The key under which a file is known to be taken.
pub(super) fn file_key(name: &str) -> u64 {
    hash_of(&["file", name])
}

/// Deliveries by what they are of: the newest that is whole.
#[derive(Default)]
struct Whole(BTreeMap<String, Delivery>);

impl Whole {
    fn take(&mut self, found: Delivery) {
        let known = self.0.get(&found.of);
        if known.is_none_or(|known| known.at_ms <= found.at_ms) {
            self.0.insert(found.of.clone(), found);
        }
    }
}

/// What is to be read. `bills` are the names of files without a manifest that hold rows of bills.
pub(super) fn plan(
    entries: &[Entry],
    covered: &[Covered<'_>],
    bills: &BTreeSet<&str>,
    taken: &Taken,
    times: Times,
) -> Plan {
    let (mut plan, mut whole) = (Plan::default(), Whole::default());
    let (mut named, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for set in covered {
        named.extend(set.files.iter().map(|file| file.name.as_str()));
        folders.extend(set.files.iter().map(|file| folder(&file.name)));
        plan.cover(set, &mut whole, times);
    }
    let mut loose: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let name = entry.name.as_str();
        if is_manifest(name) || named.contains(name) {
            continue;
        }
        if bills.contains(name) {
            // Beside a delivery with a manifest lies what an earlier one left.
            if !folders.contains(folder(name)) {
                loose.entry(folder(name)).or_default().push(entry);
            }
            continue;
        }
        if entry.at_ms < times.horizon {
            continue;
        }
        let key = file_key(name);
        plan.live.insert(key);
        if times.quiet(entry.at_ms, times.settle) && !taken.has(key, entry.version) {
            plan.works.push(Work::Single(entry.clone()));
        }
    }
    for files in loose.into_values() {
        let found = delivery(&files);
        plan.live.insert(delivery_key(&found.of));
        if times.quiet(found.at_ms, times.rest) {
            whole.take(found);
        }
    }
    let fresh = whole.0.into_values().filter(|found| {
        found.at_ms >= times.horizon && !taken.has(delivery_key(&found.of), found.id)
    });
    plan.works.extend(fresh.map(Work::Delivery));
    plan.works
        .sort_by(|one, other| one.rank().cmp(&other.rank()));
    plan
}

impl Plan {
    /// Takes in what a manifest names.
    fn cover(&mut self, set: &Covered<'_>, whole: &mut Whole, times: Times) {
        let found = delivery(&set.files);
        self.live.insert(delivery_key(&found.of));
        let manifest = set.manifest;
        if let Some(missing) = set.missing.first() {
            // While it is being written nothing is wrong yet.
            if times.quiet(manifest.at_ms, times.rest) {
                let name = &manifest.name;
                self.waiting
                    .push(format!("{name} names {missing}, which is not there"));
            }
            return;
        }
        // AWS writes the manifest last: data that is newer is of a delivery still under way.
        let rest = if found.at_ms > manifest.at_ms {
            times.rest
        } else {
            times.settle
        };
        if times.quiet(found.at_ms.max(manifest.at_ms), rest) {
            whole.take(found);
        }
    }
}

impl Work {
    fn rank(&self) -> (i64, &str) {
        match self {
            Self::Single(entry) => (entry.at_ms, &entry.name),
            Self::Delivery(found) => (found.at_ms, &found.of),
        }
    }
}

#[cfg(test)]
mod tests;
