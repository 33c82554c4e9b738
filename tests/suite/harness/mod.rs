//! Real servers for tests: Apache Kafka, Redis and the built `skyherd` binary, each in a temporary folder on free
//! loopback ports, none left running when the test, or the test process, ends however it ends.
//!
//! `./dev test` installs what is needed and names it in the environment: `SKYHERD_KAFKA_LIBS` (a folder of jars),
//! `SKYHERD_REDIS_SERVER` (a path), `SKYHERD_TEST_KAFKA` (`host:port` of a broker shared by the whole run),
//! `SKYHERD_TEST_REDIS` (URL of a shared server) and `SKYHERD_TEST_STRICT` (an absent
//! server is a failure, unless it is `0`).

pub(crate) mod browser;
pub(crate) mod certs;
pub(crate) mod kafka;
pub(crate) mod proc;
pub(crate) mod redis;
mod selftest;
pub(crate) mod service;

pub(crate) use browser::drive;
pub(crate) use kafka::{Broker, Kafka, KafkaOptions, Record, Sasl, Starts};
pub(crate) use proc::{Finished, Proc};
pub(crate) use redis::{Dump, Redis, RedisOptions};
pub(crate) use service::{Service, await_until, free_port};

use std::io::Write as _;
use std::path::PathBuf;

/// Longest any server may take to start or stop, and any tool to answer: far above what a loaded machine needs, so
/// that only a hang meets it.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_secs(90);

/// Where Kafka's jars are, or `None` after saying which test does not run for want of them.
pub(crate) fn require_kafka() -> Option<PathBuf> {
    require("SKYHERD_KAFKA_LIBS", "Kafka jars")
}

/// Where `redis-server` is, or `None` after saying which test does not run for want of it.
pub(crate) fn require_redis() -> Option<PathBuf> {
    require("SKYHERD_REDIS_SERVER", "redis-server")
}

/// Whether there is a browser and what drives it; if not, says which test does not run for want of it.
pub(crate) fn require_browser() -> bool {
    require("SKYHERD_TEST_BROWSER", "Chromium").is_some()
        && require(
            "SKYHERD_TEST_BROWSER_MODULES",
            "node modules of tests/browser",
        )
        .is_some()
}

/// The broker that the whole test run shares, or `None` after saying so. Its topics and groups are everybody's: a test
/// names its own apart (see [`unique`]).
pub(crate) fn shared_kafka() -> Option<Broker> {
    let libs = require_kafka()?;
    let address = require("SKYHERD_TEST_KAFKA", "a shared Kafka")?;
    Some(Broker::at(&address.to_string_lossy(), libs))
}

/// URL of the Redis that the whole test run shares, or `None` after saying so.
pub(crate) fn shared_redis() -> Option<String> {
    require("SKYHERD_TEST_REDIS", "a shared Redis").map(|url| url.to_string_lossy().into_owned())
}

/// A name nobody else in this run uses, for topics, groups and key prefixes on shared servers.
pub(crate) fn unique(stem: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{number}", std::process::id())
}

/// Where Debian's `prometheus` is, with `promtool` beside it, or `None` after saying so.
pub(crate) fn require_prometheus() -> Option<PathBuf> {
    require("SKYHERD_TEST_PROMETHEUS", "prometheus")
}

/// The folder of programs from PyPI (Python with a Kafka client, hadolint, docker-compose,
/// kubernetes-validate), or `None` after saying so.
pub(crate) fn require_tools() -> Option<PathBuf> {
    require("SKYHERD_TEST_TOOLS", "tools from PyPI")
}

/// The folder of Helm's jars, or `None` after saying so.
pub(crate) fn require_helm() -> Option<PathBuf> {
    require("SKYHERD_TEST_HELM", "Helm's jars")
}

/// Where `systemd-analyze` is, or `None` after saying so.
pub(crate) fn require_systemd() -> Option<PathBuf> {
    require("SKYHERD_TEST_SYSTEMD", "systemd-analyze")
}

fn require(variable: &str, what: &str) -> Option<PathBuf> {
    if let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(value));
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let said =
        format!("not run: {test}: {what} absent ({variable} unset); ./dev test installs them");
    assert!(
        std::env::var_os("SKYHERD_TEST_STRICT").is_none_or(|strict| strict == "0"),
        "{said}"
    );
    // Not `eprintln!`, which the test runner keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "{said}");
    None
}
