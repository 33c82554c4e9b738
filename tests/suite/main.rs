//! The one integration-test binary: a module a concern.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic rather than return errors"
)]

mod api;
mod cli;
#[cfg(feature = "kafka")]
mod cluster;
mod conformance;
mod console;
mod coordinator;
mod decode;
mod deploy;
mod docs;
mod estate;
#[cfg(feature = "kafka")]
#[allow(
    dead_code,
    unused_imports,
    reason = "a kit: not every scenario needs all of it"
)]
mod faults;
mod generated;
#[allow(
    dead_code,
    unused_imports,
    reason = "a kit: each build uses the part its features need"
)]
mod harness;
mod http;
mod pages;
#[cfg(feature = "aws")]
mod pulled;
mod replay;
#[cfg(all(feature = "tls", feature = "aws"))]
mod secured;
mod simulation;
#[path = "../story/mod.rs"]
mod story;
mod tidy;
#[cfg(feature = "kafka")]
mod topics;
mod watch;
