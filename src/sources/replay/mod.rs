//! Recorded files → raw records, as their producers would have published them.
//!
//! Reads only, one file at a time, with memory bounded by the longest record. Nothing is dropped:
//! what cannot be read as a record becomes one record of the original bytes, which decoding then
//! refuses, so that read = decoded + ignored + dead-lettered holds for every file.

mod bills;
mod columnar;
mod csv;
mod delivery;
mod json;
mod packed;
mod reading;
mod sink;
mod stem;
mod summary;
mod whole;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Cursor, Read};
use std::path::{Path, PathBuf};

pub use delivery::{Ends, bill_of};
pub use reading::{Probed, Reading, probe};
pub use summary::{Counts, Summary};

use delivery::Bills;
use packed::{is_corrupt, read_packed};
use sink::{Sink, Stop};

use super::PAYLOAD_BYTES_MAX;
pub use super::Shape;
use crate::model::{Ignored, Topic, Undecodable};
use crate::sources::Hints;
use whole::{hints, is_detection, read_whole};

/// Bytes of a file looked at to recognise its kind.
const HEAD_BYTES: u64 = 64 * 1_024;
/// Deepest folder entered below a path given.
const DEPTH_MAX: usize = 32;

/// What a `timestamp,value` file does not say about itself. What is `None` is inferred from the
/// file's name where that follows a known pattern, else takes the default named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The account of metric files.
    pub account: String,
    /// The region; by default `us-east-1`.
    pub region: Option<String>,
    /// The namespace; by default `Replay`.
    pub namespace: Option<String>,
    /// The metric's name; by default the file's stem.
    pub name: Option<String>,
    /// Dimensions; when empty, `Series=<file stem>`.
    pub dimensions: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            account: "000000000000".into(),
            region: None,
            namespace: None,
            name: None,
            dimensions: Vec::new(),
        }
    }
}

/// One record of a file, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// The file's folder, from the path given on: `eventbridge/ebs`.
    pub folder: String,
    /// The file.
    pub file: PathBuf,
    /// Where it is published.
    pub topic: Topic,
    /// The account that owns the fact: the record's key; `None` when it names none.
    pub account: Option<String>,
    /// The bytes, at most [`PAYLOAD_BYTES_MAX`]; longer records are cut there and will be refused.
    pub payload: Vec<u8>,
    /// What it was recognised as.
    pub what: Shape,
    /// What is known of it beyond its bytes, when it was taken out of something else.
    pub settled: Option<Settled>,
}

/// A part of a file that is no record by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Of no kind of ours: nothing is to be published.
    Ignored(Ignored),
    /// Refused where it stood.
    Refused(Undecodable),
}

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}; give files or folders that exist and are readable")]
pub struct ReplayError {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Calls `each` with every record of the files and folders given, files in the order of their
/// paths. Hidden files are passed over, and links to folders below the paths given.
///
/// # Errors
/// [`ReplayError`] when a path cannot be read; whatever `each` returns, at once.
pub fn read<E: From<ReplayError>>(
    paths: &[PathBuf],
    options: &Options,
    mut each: impl FnMut(RawRecord) -> Result<(), E>,
) -> Result<(), E> {
    // Bills given one by one that lie in one folder are one delivery, as the folder would be.
    let mut given: Option<(&Path, PathBuf, Bills)> = None;
    let mut ended = Ended::default();
    for (number, path) in paths.iter().enumerate() {
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        let beside = |(other, ..): &mut (&Path, PathBuf, Bills)| other.parent() == path.parent();
        if let Some((other, folder, mut bills)) =
            given.take_if(|given| path.is_dir() || !beside(given))
        {
            ended.end(other, &folder, &mut bills, &mut each)?;
        }
        if path.is_dir() {
            walk(path, &name, options, DEPTH_MAX, (&mut ended, &mut each))?;
        } else {
            let parent = path.parent().and_then(Path::file_name);
            let folder = parent.map(PathBuf::from).unwrap_or_default();
            let beside = |other: &&PathBuf| !other.is_dir() && other.parent() == path.parent();
            let files = paths[number..].iter().take_while(beside);
            let fresh = || (path.as_path(), folder.clone(), Bills::of_files(files));
            let (_, _, bills) = given.get_or_insert_with(fresh);
            read_file(path, &folder, options, bills, &mut each)?;
        }
    }
    match given {
        Some((path, folder, mut bills)) => ended.end(path, &folder, &mut bills, &mut each),
        None => Ok(()),
    }
}

/// What the deliveries read so far had rows of, by the bill.
#[derive(Default)]
struct Ended(BTreeMap<String, Ends>);

impl Ended {
    /// Ends the delivery whose files were read; it replaces what was read of the same bill.
    fn end<E: From<ReplayError>>(
        &mut self,
        path: &Path,
        folder: &Path,
        bills: &mut Bills,
        each: &mut dyn FnMut(RawRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = named(folder);
        let bill = bill_of(&name);
        let before = self.0.get(bill).cloned().unwrap_or_default();
        *bills = std::mem::take(bills).after(before);
        if let Some(told) = end_delivery(path, folder, bills, each)? {
            self.0.insert(bill.to_owned(), told);
        }
        Ok(())
    }
}

/// Ends the delivery whose files were read; gives what it had rows of, if it was whole.
fn end_delivery<E: From<ReplayError>>(
    path: &Path,
    folder: &Path,
    bills: &mut Bills,
    each: &mut dyn FnMut(RawRecord) -> Result<(), E>,
) -> Result<Option<Ends>, E> {
    let mut sink = Sink {
        folder: &named(folder),
        file: path,
        each,
        given: 0,
        bills,
        hints: Hints::default(),
    };
    delivery::finish(&mut sink).map_err(|stop| stop.at(path))
}

fn walk<E: From<ReplayError>>(
    path: &Path,
    folder: &Path,
    options: &Options,
    depth: usize,
    (ended, each): (&mut Ended, &mut dyn FnMut(RawRecord) -> Result<(), E>),
) -> Result<(), E> {
    let failed = |source| ReplayError {
        path: path.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(path).map_err(failed)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut bills = Bills::of(path, &entries);
    for entry in entries {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let below = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            if depth > 0 {
                let folder = folder.join(&name);
                walk(&below, &folder, options, depth - 1, (ended, each))?;
            }
        } else if below.is_file() {
            read_file(&below, folder, options, &mut bills, each)?;
        }
    }
    ended.end(path, folder, &mut bills, each)
}

fn named(folder: &Path) -> String {
    match folder.to_string_lossy() {
        name if name.is_empty() => ".".to_owned(),
        name => name.replace('\\', "/"),
    }
}

fn read_file<E: From<ReplayError>>(
    path: &Path,
    folder: &Path,
    options: &Options,
    bills: &mut Bills,
    each: &mut dyn FnMut(RawRecord) -> Result<(), E>,
) -> Result<(), E> {
    let mut sink = Sink {
        folder: &named(folder),
        file: path,
        each,
        given: 0,
        bills,
        hints: hints(path, options),
    };
    let read = match read_packed(path, options, &mut sink) {
        Ok(()) if sink.given == 0 => give_whole(path, &mut sink),
        // Broken packing: the file as it lies is what cannot be parsed.
        Err(Stop::Io(error)) if is_corrupt(&error) => {
            sink.bills.broke(path);
            give_whole(path, &mut sink)
        }
        other => other,
    };
    read.map_err(|stop| stop.at(path))
}

/// One record of the file as it lies.
fn give_whole<E>(path: &Path, sink: &mut Sink<'_, E>) -> Result<(), Stop<E>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(PAYLOAD_BYTES_MAX as u64)
        .read_to_end(&mut bytes)?;
    sink.give(Shape::Unrecognised, None, bytes)
}

fn read_any<E>(
    mut reader: impl BufRead,
    path: &Path,
    options: &Options,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let marked = head.starts_with(&BYTE_ORDER_MARK);
    let text = if marked {
        &head[BYTE_ORDER_MARK.len()..]
    } else {
        &head
    };
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let form = match first {
        Some(b'{' | b'[') if json::is_lines(text) => Form::JsonLines,
        // Longer than what is looked at: perhaps longer than a record may be.
        Some(b'{') if head.len() as u64 == HEAD_BYTES => {
            json::records_at(text).map_or(Form::Json, Form::Records)
        }
        Some(b'{' | b'[') => Form::Json,
        Some(_) if text.starts_with(columnar::MAGIC) => Form::None,
        Some(_) => match csv::form_of(text) {
            Form::None if is_detection(text) => Form::Detection,
            Form::None => Form::Whole,
            form => form,
        },
        None => Form::None,
    };
    let text = text.to_vec();
    let whole = Cursor::new(text).chain(reader);
    match form {
        Form::Json => json::read_document(whole, sink),
        Form::JsonLines => json::read_lines(whole, sink),
        Form::Records(list) => json::read_records(whole, list, sink),
        Form::Bill => bills::read_csv(whole, &options.account, sink),
        Form::Metric => csv::read_metric(whole, &stem::series(path, options), sink),
        Form::VmTrace => csv::read_trace(whole, &stem::series(path, options), sink),
        Form::Detection => {
            let why = Ignored("detection: a rule of another program".into());
            let what = (Shape::Detection, Shape::Detection.topic());
            sink.pass(what, None, head, Some(Settled::Ignored(why)))
        }
        Form::Whole => read_whole(whole, sink),
        // Nothing given: the caller gives the file whole.
        Form::None => Ok(()),
    }
}

/// How a file is cut into records.
enum Form {
    Json,
    JsonLines,
    /// One object with a long list, and where that begins.
    Records(usize),
    Bill,
    Metric,
    VmTrace,
    Detection,
    Whole,
    None,
}

/// UTF-8's byte order mark, which spreadsheet programs write.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Reads one line with its end into `line`, keeping at most `PAYLOAD_BYTES_MAX` of its bytes.
/// `false` at the end of the input.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut any = false;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        keep(line, &bytes[..taken]);
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Appends as much of `bytes` as a payload may have.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = PAYLOAD_BYTES_MAX.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
