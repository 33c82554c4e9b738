//! The embedded adapter: the common laws, and what only a data directory promises.

use skyherd::adapters::embedded::{Embedded, EmbeddedOptions};
use tempfile::TempDir;

use super::*;

struct EmbeddedWorld {
    dir: TempDir,
    open: Option<Embedded>,
}

fn options(partitions: u32) -> EmbeddedOptions {
    EmbeddedOptions {
        partitions,
        ..EmbeddedOptions::default()
    }
}

impl EmbeddedWorld {
    fn db(&mut self) -> Embedded {
        let dir = self.dir.path();
        let open = || Embedded::open(dir, options(PARTITIONS)).unwrap();
        self.open.get_or_insert_with(open).clone()
    }
}

impl World for EmbeddedWorld {
    fn fresh() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            open: None,
        }
    }
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log> {
        Box::new(self.db().log(AGENT, reads))
    }
    fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.db())
    }
    fn reopen(&mut self) {
        self.open = None;
    }
    fn trim(&mut self, topic: Topic, partition: u32, before: u64) {
        self.db().trim(topic, partition, before).unwrap();
    }
}

conforms!(embedded_conforms, super::EmbeddedWorld);
