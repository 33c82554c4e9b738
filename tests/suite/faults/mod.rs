//! What is promised about faults, on real Kafka and Redis: however a run is disturbed, it ends as an undisturbed one.

mod commands;
mod ending;
mod loader;
mod log;
mod memory;
mod readme;
mod records;
mod scenarios;
mod secure;
mod upkeep;
mod watch;
mod world;

pub(crate) use ending::Ending;
pub(crate) use loader::{Partitioner, Raw, load, load_at_once, outsider, story, story_split};
pub(crate) use world::{PACE, World, WorldOptions, inputs};
