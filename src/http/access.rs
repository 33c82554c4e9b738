//! Who may do what: bearer tokens, known by their hash alone.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use super::{Certificates, Problem, ingest};
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
    /// SNS topics taken without a token; a trailing `*` stands for any rest.
    topics: Vec<String>,
    certificates: Option<Arc<Certificates>>,
    loopback: bool,
    now: fn() -> Timestamp,
}

impl Access {
    /// Rules for an address that is reached from this machine only (`loopback`) or from others.
    pub fn new(loopback: bool) -> Self {
        Self {
            tokens: Vec::new(),
            topics: Vec::new(),
            certificates: None,
            loopback,
            now: wall_clock,
        }
    }

    /// The same for an address that others reach: without a token nobody reads or writes.
    #[must_use]
    pub fn from_outside(&self) -> Self {
        Self {
            loopback: false,
            ..self.clone()
        }
    }

    /// Adds a token by the BLAKE3 of its text, 64 hex digits. Returns whether the hash was one.
    pub fn add(&mut self, blake3: &str, credential: Credential) -> bool {
        let hash = blake3::Hash::from_hex(blake3.to_ascii_lowercase());
        hash.map(|hash| self.tokens.push((hash, credential)))
            .is_ok()
    }

    /// Adds an SNS topic, by its ARN, whose messages are taken; a trailing `*` stands for any rest.
    pub fn add_topic(&mut self, arn: &str) {
        self.topics.push(arn.to_owned());
    }

    /// Has messages of SNS judged by these certificates; without any, none is believed.
    pub fn judge_by(&mut self, certificates: Certificates) {
        self.certificates = Some(Arc::new(certificates));
    }

    pub(super) fn certificates(&self) -> Result<&Certificates, Problem> {
        self.certificates.as_deref().ok_or(Problem::UNVERIFIED)
    }

    /// Lets a producer in that carries its token in a header of its own.
    pub(super) fn pushing(
        &self,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<Credential, Problem> {
        let open = self.tokens.is_empty() && self.loopback;
        let credential = match token {
            Some(token) if !open => self.find(token).ok_or(Problem::TOKEN_UNKNOWN)?,
            _ if open => {
                same_machine(headers)?;
                anonymous(true)
            }
            _ => return Err(Problem::TOKEN_MISSING),
        };
        if credential.write {
            Ok(credential)
        } else {
            Err(Problem::FORBIDDEN)
        }
    }

    /// Lets a topic of SNS in: one of the list, or one whose message comes with a token.
    pub(super) fn topic(&self, headers: &HeaderMap, arn: &str) -> Result<Credential, Problem> {
        let listed = |own: &String| match own.strip_suffix('*') {
            Some(start) => arn.starts_with(start),
            None => arn == own,
        };
        if self.topics.iter().any(listed) {
            return Ok(anonymous(true));
        }
        self.pushing(headers, bearer(headers))
            .map_err(|_| Problem::TOPIC_FOREIGN.detail(arn))
    }

    /// Lets `request` in, as whom.
    pub(super) fn admit(&self, request: &Request) -> Result<Credential, Problem> {
        let anonymous = anonymous(self.tokens.is_empty() && self.loopback);
        // What Firehose and SNS push is admitted where it is taken, by other means than a bearer
        // token, and in the words of their protocols.
        let open = ["/healthz", "/readyz", ingest::FIREHOSE, ingest::SNS];
        if open.contains(&request.uri().path()) {
            return Ok(anonymous);
        }
        let write = request.method() != Method::GET && request.method() != Method::HEAD;
        let credential = match bearer(request.headers()) {
            Some(token) if !self.tokens.is_empty() => {
                self.find(token).ok_or(Problem::TOKEN_UNKNOWN)?
            }
            _ if self.loopback && (anonymous.write || !write) => {
                same_machine(request.headers())?;
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

fn anonymous(write: bool) -> Credential {
    Credential {
        name: "anonymous".to_owned(),
        write,
        accounts: Vec::new(),
        expires_at: None,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    header_text(headers, &header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Without a token, a page of another site open in a browser on this machine is kept out: it
/// sends another Origin, or (having rebound its name to 127.0.0.1) that name as Host.
fn same_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let host = header_text(headers, &header::HOST).unwrap_or("localhost");
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
    let foreign = headers
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
