//! The topics Skyherd needs, as Strimzi `KafkaTopic` manifests, and what a cluster has of them.
//!
//! The same files serve `kubectl apply` and `skyherd topics`; they are built into the program.

mod admin;
mod manifest;

pub use admin::{Applied, Difference, Found, TopicAdmin};
pub use manifest::{TopicSpec, built_in, from_folder, parse};
