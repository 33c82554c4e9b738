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
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Address and port to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "socket_address")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// PEM file with the certificate and those between it and its authority; read again when it
    /// changes.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8_443)),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
        }
    }
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
        for (path, file) in [
            ("http.tls.certificate", &tls.certificate),
            ("http.tls.key", &tls.key),
        ] {
            if file.as_os_str().is_empty() {
                problems.push(Problem::new(
                    path,
                    "no file is named",
                    "name a PEM file; certificate and key may be in one",
                ));
            }
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, load};

    #[test]
    fn an_address_over_tls_needs_files_a_token_and_a_port_of_its_own() {
        let paths = |text: &str| -> Vec<String> {
            let problems = load(text, &[], Config::default()).problems.into_iter();
            problems.map(|problem| problem.path).collect()
        };
        let token = format!(
            "[[auth.tokens]]\nname = 'ci'\nblake3 = '{}'\nrole = 'write'\n",
            "0".repeat(64)
        );
        let files = "certificate = 'a.pem'\nkey = 'a.key'\n";
        assert_eq!(paths(&format!("[http.tls]\n{files}{token}")), [""; 0]);
        assert_eq!(paths(&format!("[http.tls]\n{files}")), ["auth.tokens"]);
        assert_eq!(
            paths(&format!("[http.tls]\n{token}")),
            ["http.tls.certificate", "http.tls.key"],
        );
        let same = "[http]\nlisten = '127.0.0.1:1'\n[http.tls]\nlisten = '127.0.0.1:1'\n";
        assert_eq!(paths(&format!("{same}{files}{token}")), ["http.tls.listen"]);
    }
}
