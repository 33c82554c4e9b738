//! Skyherd: specialised agents watch AWS accounts; a coordinator joins what they find.

pub mod adapters;
pub mod agents;
pub mod app;
pub mod cli;
pub mod config;
pub mod estate;
pub mod http;
pub mod model;
pub mod ports;
pub mod rules;
pub mod runtime;
pub mod sources;
pub mod telemetry;
pub mod topology;
