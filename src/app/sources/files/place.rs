//! A folder or a bucket: what lies in it, and its files as files of this machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::hash::hash_of;
use super::Trouble;
use super::plan::{Entry, wanted};
use crate::adapters::aws::{Access, Aws, Object, Objects};
use crate::config::Files;

/// Most files of a place that are looked at: the newest.
pub(super) const FILES_MAX: usize = 200_000;
/// Deepest folder entered below a place.
const DEPTH_MAX: usize = 32;
/// Bytes of an object that are asked for at once.
const PIECE_BYTES: u64 = 8 * 1_024 * 1_024;
/// Longest object that is taken, in bytes: it lies on this machine's disk while it is read.
const OBJECT_BYTES_MAX: u64 = 16 * 1_024 * 1_024 * 1_024;
/// Bytes of a file that tell what it is.
pub(super) const HEAD_BYTES: u64 = 64 * 1_024;
/// Longest manifest read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 32 * 1_024 * 1_024;

/// Where files are.
pub(super) enum Place {
    Folder(PathBuf),
    Bucket {
        objects: Objects,
        prefix: String,
        /// Where objects lie while they are read.
        spool: Spool,
    },
}

/// The newest files of a place.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Files that were left out because there are too many.
    pub(super) left_out: usize,
    /// Folders that could not be entered.
    pub(super) errors: Vec<String>,
}

/// A folder of the data directory for objects that are being read. Dropping it empties it.
pub(super) struct Spool {
    folder: PathBuf,
}

impl Spool {
    fn new(under: &Path, place: &str) -> Result<Self, Trouble> {
        let name = format!("{:016x}", hash_of(&[place]));
        let folder = under.join("spool").join(name);
        let spool = Self { folder };
        // What a process that was killed left.
        spool.clear();
        std::fs::create_dir_all(&spool.folder)
            .map_err(|error| Trouble::of(&spool.folder.display().to_string(), &error))?;
        Ok(spool)
    }

    fn clear(&self) {
        // What is not there need not go, and what cannot go is told when it is in the way.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A file that can be opened; a copy goes when this is dropped.
pub(super) struct Fetched {
    pub(super) path: PathBuf,
    copy: bool,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if self.copy {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Keeps the newest files.
#[derive(Default)]
struct Newest {
    heap: BinaryHeap<Reverse<(i64, String)>>,
    rest: std::collections::BTreeMap<String, Entry>,
    left_out: usize,
    errors: Vec<String>,
}

impl Newest {
    fn take(&mut self, entry: Entry) {
        if !wanted(&entry.name, entry.size) {
            return;
        }
        self.heap.push(Reverse((entry.at_ms, entry.name.clone())));
        self.rest.insert(entry.name.clone(), entry);
        if self.heap.len() > FILES_MAX
            && let Some(Reverse((_, oldest))) = self.heap.pop()
        {
            self.rest.remove(&oldest);
            self.left_out += 1;
        }
    }

    fn into_listing(self) -> Listing {
        Listing {
            entries: self.rest.into_values().collect(),
            left_out: self.left_out,
            errors: self.errors,
        }
    }
}

/// How a bucket is reached.
pub(super) fn access(files: &Files) -> Access {
    Access {
        profile: files.profile.clone(),
        role: files.role.clone(),
        external_id: files
            .external_id
            .as_ref()
            .map(|secret| secret.expose().to_owned()),
    }
}

impl Place {
    /// The place of a setting, with credentials where it needs them. Objects are read from copies
    /// below `under`.
    pub(super) async fn open(aws: &Aws, under: &Path, files: &Files) -> Result<Self, Trouble> {
        let Some((bucket, prefix)) = files.bucket() else {
            return Ok(Self::Folder(PathBuf::from(&files.from)));
        };
        Ok(Self::Bucket {
            objects: aws.objects(&access(files), bucket).await?,
            prefix: prefix.to_owned(),
            spool: Spool::new(under, &files.from)?,
        })
    }

    /// Everything that lies there, in order of name.
    pub(super) async fn list(self: &Arc<Self>) -> Result<Listing, Trouble> {
        match &**self {
            Self::Folder(root) => {
                let root = root.clone();
                blocking(move || {
                    let mut newest = Newest::default();
                    walk(&root, "", DEPTH_MAX, &mut newest)?;
                    Ok(newest.into_listing())
                })
                .await
            }
            Self::Bucket {
                objects, prefix, ..
            } => {
                let mut newest = Newest::default();
                let each = |object: Object| {
                    newest.take(entry_of(&object, prefix));
                    true
                };
                objects.list(prefix, each).await?;
                Ok(newest.into_listing())
            }
        }
    }

    /// The file, whole or as much of its beginning as `most`.
    pub(super) async fn fetch(&self, entry: &Entry, most: u64) -> Result<Fetched, Trouble> {
        match self {
            Self::Folder(root) => Ok(Fetched {
                path: root.join(&entry.name),
                copy: false,
            }),
            Self::Bucket {
                objects,
                prefix,
                spool,
            } => {
                let size = entry.size.min(most);
                if size > OBJECT_BYTES_MAX {
                    return Err(Trouble::File(format!(
                        "{}: {} bytes are more than the {OBJECT_BYTES_MAX} that are taken",
                        entry.name, entry.size
                    )));
                }
                let folder = spool
                    .folder
                    .join(format!("{:016x}", hash_of(&[&entry.name])));
                let name = entry.name.rsplit('/').next().unwrap_or_default();
                let fetched = Fetched {
                    path: folder.join(name),
                    copy: true,
                };
                let object = object_of(entry, prefix);
                download(objects, &object, size, &fetched.path).await?;
                Ok(fetched)
            }
        }
    }

    /// Whether the file is still what was listed; objects are asked for as what they were.
    pub(super) fn unchanged(&self, entry: &Entry) -> bool {
        match self {
            Self::Folder(root) => std::fs::metadata(root.join(&entry.name))
                .is_ok_and(|seen| version(&seen) == entry.version),
            Self::Bucket { .. } => true,
        }
    }

    /// All of a small file.
    pub(super) async fn text(&self, entry: &Entry) -> Result<Vec<u8>, Trouble> {
        let fetched = self.fetch(entry, MANIFEST_BYTES_MAX).await?;
        let name = entry.name.clone();
        blocking(move || {
            let mut bytes = Vec::new();
            let read = File::open(&fetched.path)
                .and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes));
            read.map(|_| bytes)
                .map_err(|error| Trouble::of(&name, &error))
        })
        .await
    }
}

/// Off the thread that others wait on.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Trouble::File(error.to_string())))
}

fn version(seen: &std::fs::Metadata) -> u64 {
    let changed = seen.modified().ok();
    let changed = changed.and_then(|at| jiff::Timestamp::try_from(at).ok());
    let changed = changed.unwrap_or_default().as_nanosecond().to_string();
    hash_of(&[&seen.len().to_string(), &changed])
}

fn walk(folder: &Path, name: &str, depth: usize, newest: &mut Newest) -> Result<(), Trouble> {
    let failed = |error: &std::io::Error| Trouble::of(&folder.display().to_string(), error);
    for entry in std::fs::read_dir(folder).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let own = entry.file_name();
        // A name that is no text has none in the rows either.
        let Some(own) = own.to_str() else { continue };
        let name = if name.is_empty() {
            own.to_owned()
        } else {
            format!("{name}/{own}")
        };
        let kind = entry.file_type().map_err(|error| failed(&error))?;
        if kind.is_dir() {
            if depth > 0 && !own.starts_with('.') {
                // One folder that is closed does not close the others.
                let below = walk(&entry.path(), &name, depth - 1, newest);
                newest
                    .errors
                    .extend(below.err().map(|trouble| trouble.to_string()));
            }
            continue;
        }
        // One that went meanwhile is not there.
        let Ok(seen) = std::fs::metadata(entry.path()) else {
            continue;
        };
        if seen.is_file() {
            let at = seen.modified().ok();
            let at = at.and_then(|at| jiff::Timestamp::try_from(at).ok());
            newest.take(Entry {
                size: seen.len(),
                version: version(&seen),
                tag: None,
                at_ms: at.unwrap_or_default().as_millisecond(),
                name,
            });
        }
    }
    Ok(())
}

fn entry_of(object: &Object, prefix: &str) -> Entry {
    let name = object.key.strip_prefix(prefix).unwrap_or(&object.key);
    let tag = object
        .tag
        .clone()
        .unwrap_or_else(|| object.at_ms.to_string());
    Entry {
        name: name.trim_start_matches('/').to_owned(),
        size: object.size,
        version: hash_of(&[&object.size.to_string(), &tag]),
        tag: object.tag.clone(),
        at_ms: object.at_ms,
    }
}

fn object_of(entry: &Entry, prefix: &str) -> Object {
    let key = match prefix {
        "" => entry.name.clone(),
        prefix => format!("{prefix}/{}", entry.name),
    };
    Object {
        key,
        size: entry.size,
        tag: entry.tag.clone(),
        at_ms: entry.at_ms,
    }
}

/// Writes the first `size` bytes of an object to a file, piece by piece.
async fn download(
    objects: &Objects,
    object: &Object,
    size: u64,
    path: &Path,
) -> Result<(), Trouble> {
    let name = object.key.clone();
    let wrong = move |error: &std::io::Error| Trouble::of(&name, error);
    let told = wrong.clone();
    let to = path.to_owned();
    let mut file = blocking(move || {
        to.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| File::create(&to))
            .map_err(|error| told(&error))
    })
    .await?;
    let mut from = 0;
    while from < size {
        let upto = (from + PIECE_BYTES).min(size);
        let bytes = objects.piece(object, from..upto).await?;
        let told = wrong.clone();
        file = blocking(move || {
            file.write_all(&bytes).map_err(|error| told(&error))?;
            Ok(file)
        })
        .await?;
        from = upto;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_s_name_below_its_prefix_leads_back_to_its_key() {
        for (prefix, key) in [("", "a/b.json"), ("a", "a/b.json"), ("a/b", "a/b/c.json")] {
            let object = Object {
                key: key.to_owned(),
                size: 3,
                tag: Some("t".to_owned()),
                at_ms: 7,
            };
            let entry = entry_of(&object, prefix);
            assert!(!entry.name.starts_with('/'));
            assert_eq!(object_of(&entry, prefix), object);
        }
    }

    #[test]
    fn of_too_many_files_the_newest_stay() {
        let mut newest = Newest::default();
        for number in 0..=FILES_MAX {
            newest.take(Entry {
                name: number.to_string(),
                size: 1,
                at_ms: -(number as i64),
                ..Entry::default()
            });
        }
        let listing = newest.into_listing();
        assert_eq!((listing.entries.len(), listing.left_out), (FILES_MAX, 1));
        assert!(
            listing
                .entries
                .iter()
                .all(|entry| entry.at_ms > -(FILES_MAX as i64))
        );
    }
}
