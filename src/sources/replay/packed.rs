//! What a file is packed in: gzip by its name, archives and Parquet by how they begin.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use super::{Options, Sink, Stop, columnar, read_any};

/// Bytes read at once.
const FILE_BYTES: usize = 64 * 1_024;
/// What an archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";
/// Most files read of one archive.
const ENTRIES_MAX: usize = 10_000;

/// Reads what is in a file, packed or not.
pub(super) fn read_packed<E>(
    path: &Path,
    options: &Options,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let mut file = BufReader::with_capacity(FILE_BYTES, File::open(path)?);
    if path.extension().is_some_and(|end| end == "gz") {
        let unpacked = flate2::bufread::MultiGzDecoder::new(file);
        let unpacked = BufReader::with_capacity(FILE_BYTES, unpacked);
        return read_any(unpacked, path, options, sink);
    }
    if file.fill_buf()?.starts_with(columnar::MAGIC) {
        return columnar::read(File::open(path)?, &options.account, sink);
    }
    if file.fill_buf()?.starts_with(ZIP) {
        return read_archive(file, path, options, sink);
    }
    read_any(file, path, options, sink)
}

/// Reads every file of an archive as if it lay there unpacked.
fn read_archive<E>(
    file: impl Read + Seek,
    path: &Path,
    options: &Options,
    sink: &mut Sink<'_, E>,
) -> Result<(), Stop<E>> {
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    if archive.len() > ENTRIES_MAX {
        let why = format!("an archive of more than {ENTRIES_MAX} files");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why).into());
    }
    for place in 0..archive.len() {
        let entry = archive.by_index(place).map_err(broken)?;
        if entry.is_file() {
            let entry = BufReader::with_capacity(FILE_BYTES, entry);
            read_any(entry, path, options, sink)?;
        }
    }
    Ok(())
}

/// Whether what was read is not what its packing says.
pub(super) fn is_corrupt(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}
