//! What is promised about faults, on real Kafka and Redis: however a run is disturbed, it ends as an undisturbed one.

mod ending;
mod loader;
mod scenarios;
mod world;

pub(crate) use ending::Ending;
pub(crate) use loader::{Partitioner, Raw, load, story};
pub(crate) use world::{World, WorldOptions, inputs};
