//! The simulated cluster: the common laws, and what a simulation alone promises.

use skyherd::adapters::sim::{SimOptions, SimWorld};

use super::*;

struct Simulated(SimWorld);

impl World for Simulated {
    fn fresh() -> Self {
        Self(SimWorld::new(
            7,
            SimOptions {
                partitions: PARTITIONS,
                ..SimOptions::default()
            },
        ))
    }
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log> {
        Box::new(self.0.log(AGENT, 0, reads))
    }
    fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.store())
    }
    fn reopen(&mut self) {}
    fn trim(&mut self, topic: Topic, partition: u32, before: u64) {
        self.0.trim(topic, partition, before);
    }
}

conforms!(simulation_conforms, super::Simulated);
