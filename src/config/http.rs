//! Where the HTTP API listens, and what is pushed to it.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, Problem, list, socket_address};

/// The HTTP API.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "socket_address")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// States that a proxy in front ends TLS. Needed for `listen` anywhere but on loopback, since
    /// plain HTTP is spoken there.
    pub behind_tls_proxy: bool,
    /// A second address, where the same is served over TLS to who has a token.
    pub tls: Option<Tls>,
}

/// The HTTP API over TLS.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Address and port to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "socket_address", default = "tls_address")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// PEM file with the certificate and those between it and its authority; read again when it
    /// changes.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

fn tls_address() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8_443))
}

/// What is pushed over HTTP.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// ARNs of the SNS topics whose signed messages are taken without a token; a trailing `*`
    /// stands for any rest. Anyone can have AWS sign messages of a topic of their own.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub sns_topics: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8_080)),
            behind_tls_proxy: false,
            tls: None,
        }
    }
}

impl Config {
    /// What is wrong with the second address.
    pub(super) fn tls_problems(&self, tls: &Tls, problems: &mut Vec<Problem>) {
        if !cfg!(feature = "tls") {
            problems.push(Problem::new(
                "http.tls",
                "this program was built without TLS for its own address",
                "build it with the default features, or put a TLS proxy in front",
            ));
        }
        if tls.listen == self.http.listen && tls.listen.port() != 0 {
            problems.push(Problem::new(
                "http.tls.listen",
                format!("{} is http.listen, where plain HTTP is spoken", tls.listen),
                "give each an address of its own",
            ));
        }
        if self.auth.tokens.is_empty() {
            problems.push(Problem::new(
                "auth.tokens",
                format!("nobody gets in at {} without a token", tls.listen),
                "make one with `skyherd token NAME`",
            ));
        }
    }
}
