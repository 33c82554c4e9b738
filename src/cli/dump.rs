//! Raw records as files that `skyherd replay` reads: one a topic and day, a line a record.
//!
//! A metric-stream record is written a point a line, as Firehose's own files are, so that a person can leave a resource out
//! with `grep -v`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::estate::{Record, begin};
use crate::model::{Timestamp, Topic};

pub(super) struct Dump {
    dir: PathBuf,
    /// The file of each topic that is being written, with its day.
    open: BTreeMap<Topic, (i64, BufWriter<File>)>,
}

impl Dump {
    /// Makes the folder; refuses one that holds anything.
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let mut entries = std::fs::read_dir(dir)
            .with_context(|| format!("cannot read the folder {}", dir.display()))?;
        anyhow::ensure!(
            entries.next().is_none(),
            "the folder {} is not empty; give a new one",
            dir.display()
        );
        Ok(Self {
            dir: dir.to_owned(),
            open: BTreeMap::new(),
        })
    }

    /// Writes a record to the file of its topic and day.
    pub(super) fn take(&mut self, record: &Record) -> anyhow::Result<()> {
        let at = begin().plus(record.told * Timestamp::SECOND);
        let day = at.day();
        let failed = || format!("cannot write to the folder {}", self.dir.display());
        let file = match self.open.get_mut(&record.topic) {
            Some((open, file)) if *open == day => file,
            _ => {
                let date = at.to_string();
                let date = date.split('T').next().unwrap_or_default().to_owned();
                // The day first, so that files in the order of their names are in the order of time.
                let path = self.dir.join(format!("{date}.{}.ndjson", record.topic));
                let file = File::create(path).with_context(failed)?;
                if let Some((_, mut before)) =
                    self.open.insert(record.topic, (day, BufWriter::new(file)))
                {
                    before.flush().with_context(failed)?;
                }
                match self.open.get_mut(&record.topic) {
                    Some((_, file)) => file,
                    None => return Ok(()),
                }
            }
        };
        let line = record.payload.trim_ascii_end();
        file.write_all(line)
            .and_then(|()| file.write_all(b"\n"))
            .with_context(failed)
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        for (_, file) in self.open.values_mut() {
            file.flush()
                .with_context(|| format!("cannot write to the folder {}", self.dir.display()))?;
        }
        Ok(())
    }
}
