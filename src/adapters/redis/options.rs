//! Where Redis is and how to speak to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the servers are arranged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RedisMode {
    /// One server; of several addresses the first that answers.
    #[default]
    Standalone,
    /// The addresses are Sentinels, which name the master of this service.
    Sentinel {
        /// The monitored service.
        service: String,
    },
    /// Redis Cluster; the addresses are seeds.
    Cluster,
}

/// TLS towards Redis.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RedisTls {
    /// PEM file of the authority that signed the server; the machine's own roots when absent.
    pub ca_file: Option<PathBuf>,
    /// PEM files of our certificate and its key, for servers that ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
}
impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("ca_file", &self.ca_file)
            .field(
                "client",
                &self.client.as_ref().map(|(certificate, _)| certificate),
            )
            .finish()
    }
}

/// Everything the Redis store is told. Secrets do not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// How the servers are arranged.
    pub mode: RedisMode,
    /// `host:port` of servers, seeds or Sentinels; the port defaults to 6379 (Sentinel 26379).
    pub addresses: Vec<String>,
    /// ACL user; Redis' `default` when absent.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// User at the Sentinels, where they ask for one.
    pub sentinel_username: Option<String>,
    /// Its password.
    pub sentinel_password: Option<String>,
    /// Database number; 0 in a cluster.
    pub db: i64,
    /// TLS; plain TCP when absent.
    pub tls: Option<RedisTls>,
    /// First part of every key.
    pub prefix: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer.
    pub response_timeout: Duration,
    /// Observations kept a subject.
    pub recent_capacity: usize,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            mode: RedisMode::Standalone,
            addresses: vec!["127.0.0.1:6379".into()],
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            db: 0,
            tls: None,
            prefix: "skyherd".into(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            recent_capacity: super::CAPACITY_DEFAULT,
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("mode", &self.mode)
            .field("addresses", &self.addresses)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("sentinel_username", &self.sentinel_username)
            .field(
                "sentinel_password",
                &self.sentinel_password.as_ref().map(|_| "***"),
            )
            .field("db", &self.db)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("recent_capacity", &self.recent_capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let options = RedisOptions {
            password: Some("hunter2".into()),
            sentinel_password: Some("hunter2".into()),
            ..RedisOptions::default()
        };
        let text = format!("{options:?}");
        assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
    }
}
