//! The topics Skyherd needs, as Strimzi `KafkaTopic` manifests, and what a cluster has of them.
//!
//! The same files serve `kubectl apply` and `skyherd topics`; they are built into the program.

mod admin;
mod difference;
mod manifest;

pub use admin::TopicAdmin;
pub use difference::{Applied, Difference, Found, Settings};
pub use manifest::{TopicSpec, built_in, from_folder, parse};
