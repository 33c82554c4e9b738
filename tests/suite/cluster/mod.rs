//! The cluster adapters against real servers.
//!
//! Each test starts the servers it needs on free loopback ports and stops them. Where
//! `SKYHERD_REDIS_SERVER` or `SKYHERD_KAFKA_CLASSPATH` is unset the tests that need them print
//! that they were not run.

mod conformance;
mod kafka;
mod redis;
