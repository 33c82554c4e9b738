//! Who may do what: bearer tokens, known by their hash alone.

use axum::extract::Request;
use axum::http::{Method, header};

use super::Problem;
use crate::model::Timestamp;

/// A token's owner and reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose.
    pub name: String,
    /// Whether it may publish.
    pub write: bool,
    /// Accounts it is limited to; all when empty.
    pub accounts: Vec<String>,
    /// When it stops counting.
    pub expires_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it reaches this account.
    pub fn reaches(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|own| own == account)
    }
}

/// The rules of one listening address.
#[derive(Clone, Debug)]
pub struct Access {
    tokens: Vec<(blake3::Hash, Credential)>,
    loopback: bool,
    now: fn() -> Timestamp,
}

impl Access {
    /// Rules for an address that is reached from this machine only (`loopback`) or from others.
    pub fn new(loopback: bool) -> Self {
        Self {
            tokens: Vec::new(),
            loopback,
            now: wall_clock,
        }
    }

    /// Adds a token by the BLAKE3 of its text, 64 hex digits. Returns whether the hash was one.
    pub fn add(&mut self, blake3: &str, credential: Credential) -> bool {
        let hash = blake3::Hash::from_hex(blake3.to_ascii_lowercase());
        hash.map(|hash| self.tokens.push((hash, credential)))
            .is_ok()
    }

    /// Lets `request` in, as whom.
    pub(super) fn admit(&self, request: &Request) -> Result<Credential, Problem> {
        let anonymous = Credential {
            name: "anonymous".to_owned(),
            write: self.tokens.is_empty() && self.loopback,
            accounts: Vec::new(),
            expires_at: None,
        };
        if ["/healthz", "/readyz"].contains(&request.uri().path()) {
            return Ok(anonymous);
        }
        let write = request.method() != Method::GET && request.method() != Method::HEAD;
        let bearer = header_text(request, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let credential = match bearer {
            Some(token) if !self.tokens.is_empty() => {
                self.find(token).ok_or(Problem::TOKEN_UNKNOWN)?
            }
            _ if self.loopback && (anonymous.write || !write) => {
                same_machine(request)?;
                anonymous
            }
            _ => return Err(Problem::TOKEN_MISSING),
        };
        if write && !credential.write {
            return Err(Problem::FORBIDDEN);
        }
        Ok(credential)
    }

    /// Every hash is compared, in constant time each, so that time tells nothing.
    fn find(&self, token: &str) -> Option<Credential> {
        let given = blake3::hash(token.as_bytes());
        let mut found = None;
        for (hash, credential) in &self.tokens {
            if *hash == given {
                found = Some(credential.clone());
            }
        }
        let now = (self.now)();
        found.filter(|credential| credential.expires_at.is_none_or(|end| now < end))
    }
}

fn header_text<'a>(request: &'a Request, name: &header::HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Without a token, a page of another site open in a browser on this machine is kept out: it
/// sends another Origin, or (having rebound its name to 127.0.0.1) that name as Host.
fn same_machine(request: &Request) -> Result<(), Problem> {
    let host = header_text(request, &header::HOST).unwrap_or("localhost");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let local = name.eq_ignore_ascii_case("localhost")
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    // The console's own writes carry the address it was loaded from.
    let foreign = request
        .headers()
        .get(header::ORIGIN)
        .is_some_and(|origin| origin.as_bytes() != format!("http://{host}").as_bytes());
    if local && !foreign {
        Ok(())
    } else {
        Err(Problem::FOREIGN)
    }
}

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_ms(since.map_or(0, |since| since.as_millis() as i64))
}
