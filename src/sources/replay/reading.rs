//! Files of a place that is watched, read one by one: whoever watches says which belong together.

use std::path::{Path, PathBuf};

use super::delivery::{Bills, Ends};
use super::{Options, RawRecord, ReplayError, end_delivery, named, read_file};
use crate::sources::Shape;

/// Files that belong together: those of a bill's delivery, or a single one of any kind.
pub struct Reading {
    folder: PathBuf,
    bills: Bills,
}

/// What a file turned out to be, from its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// Rows of a bill, which are of a delivery.
    Bill,
    /// Anything else.
    Other,
}

/// Ends a probe.
enum Found {
    What(Probed),
    Failed(ReplayError),
}

impl From<ReplayError> for Found {
    fn from(error: ReplayError) -> Self {
        Self::Failed(error)
    }
}

impl Reading {
    /// `delivery` names the delivery: the same files again have the same number, others another.
    pub fn new(folder: &str, delivery: u64) -> Self {
        Self {
            folder: PathBuf::from(folder),
            bills: Bills::named(delivery),
        }
    }

    /// The delivery replaces one that had rows of `before`.
    #[must_use]
    pub fn after(mut self, before: Ends) -> Self {
        self.bills = self.bills.after(before);
        self
    }

    /// Calls `each` with every record of a file. Files of a delivery are given in the same order
    /// each time, since its rows are numbered.
    ///
    /// # Errors
    /// [`ReplayError`] when the file cannot be read; whatever `each` returns, at once.
    pub fn file<E: From<ReplayError>>(
        &mut self,
        path: &Path,
        options: &Options,
        mut each: impl FnMut(RawRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        read_file(path, &self.folder, options, &mut self.bills, &mut each)
    }

    /// Why the delivery is not whole, if it is not: a file that was broken, and the like.
    pub fn broken(&self) -> Option<String> {
        self.bills.missing()
    }

    /// Whether rows of a bill were among what was read, so that it has to be ended.
    pub fn billed(&self) -> bool {
        self.bills.any()
    }

    /// Calls `each` with what ends the delivery for everyone who has rows of it, or had in the one
    /// before: to be published once the rows are durable. Gives what it has rows of, when it is
    /// whole and has any.
    ///
    /// # Errors
    /// Whatever `each` returns, at once.
    pub fn end<E: From<ReplayError>>(
        mut self,
        mut each: impl FnMut(RawRecord) -> Result<(), E>,
    ) -> Result<Option<Ends>, E> {
        let folder = self.folder;
        end_delivery(&folder, &folder, &mut self.bills, &mut each)
    }
}

/// What a file is, by its first record; its beginning is enough.
///
/// # Errors
/// [`ReplayError`] when it cannot be read.
pub fn probe(path: &Path, options: &Options) -> Result<Probed, ReplayError> {
    let mut bills = Bills::named(0);
    let mut each = |record: RawRecord| {
        Err(Found::What(match record.what {
            Shape::Focus | Shape::Cur | Shape::Cur2 => Probed::Bill,
            _ => Probed::Other,
        }))
    };
    match read_file(
        path,
        Path::new(&named(Path::new(""))),
        options,
        &mut bills,
        &mut each,
    ) {
        Ok(()) => Ok(Probed::Other),
        Err(Found::What(what)) => Ok(what),
        Err(Found::Failed(error)) => Err(error),
    }
}
