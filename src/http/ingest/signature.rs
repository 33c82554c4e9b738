//! Whether AWS signed an SNS message.
//!
//! The message names the certificate it was signed with. Who may name any certificate may sign
//! anything, so its address has to be SNS' own, over HTTPS.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// Certificates kept; AWS has one a region and renews it within years.
const CERTIFICATES_MAX: usize = 64;
/// Longest certificate worth fetching, in bytes.
pub const CERTIFICATE_BYTES_MAX: u64 = 64 * 1_024;

/// Gets what is at an address. Its own trust in the host (TLS) is what makes the certificate AWS'.
pub trait Fetch: Send + Sync {
    /// The bytes at `url`, at most [`CERTIFICATE_BYTES_MAX`]; else why not.
    fn get(&self, url: &str) -> Result<Vec<u8>, String>;
}

/// The certificates SNS signs with, fetched once each.
pub struct Certificates {
    fetch: Box<dyn Fetch>,
    known: Mutex<HashMap<String, Vec<u8>>>,
}

/// The fields that are signed, in their order.
const NOTIFICATION: &[&str] = &[
    "Message",
    "MessageId",
    "Subject",
    "Timestamp",
    "TopicArn",
    "Type",
];
const CONFIRMATION: &[&str] = &[
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
];

/// Why a message is not believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is not signed by SNS.
    Forged(String),
    /// The certificate cannot be had now.
    Unavailable(String),
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} certificates", self.known.lock().len())
    }
}

impl Certificates {
    /// Certificates that `fetch` gets.
    pub fn new(fetch: Box<dyn Fetch>) -> Self {
        Self {
            fetch,
            known: Mutex::default(),
        }
    }

    /// Whether SNS signed the message.
    pub(super) fn check(&self, message: &Map<String, Value>) -> Result<(), Doubt> {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let forged = |why: &str| Doubt::Forged(why.to_owned());
        let url = text("SigningCertURL").ok_or_else(|| forged("there is no SigningCertURL"))?;
        if !is_certificate(url) {
            return Err(Doubt::Forged(format!(
                "SigningCertURL {url:?} is not SNS' own"
            )));
        }
        let signature = text("Signature").ok_or_else(|| forged("there is no Signature"))?;
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| forged("the Signature is no base64"))?;
        let version = text("SignatureVersion").unwrap_or("1");
        let signed = signed_text(message).ok_or_else(|| forged("a signed field is missing"))?;
        let certificate = self.certificate(url)?;
        verify(&certificate, version, signed.as_bytes(), &signature).map_err(Doubt::Forged)
    }

    /// Follows the address in a confirmation, which confirms the subscription.
    pub(super) fn confirm(&self, url: &str) -> Result<(), Doubt> {
        if !is_sns(url) {
            return Err(Doubt::Forged(format!(
                "SubscribeURL {url:?} is not SNS' own"
            )));
        }
        self.fetch.get(url).map(|_| ()).map_err(Doubt::Unavailable)
    }

    fn certificate(&self, url: &str) -> Result<Vec<u8>, Doubt> {
        if let Some(known) = self.known.lock().get(url) {
            return Ok(known.clone());
        }
        let pem = self.fetch.get(url).map_err(Doubt::Unavailable)?;
        let der = from_pem(&pem)
            .ok_or_else(|| Doubt::Forged(format!("{url} is no certificate in PEM")))?;
        let mut known = self.known.lock();
        if known.len() >= CERTIFICATES_MAX {
            known.clear();
        }
        known.insert(url.to_owned(), der.clone());
        Ok(der)
    }
}

/// `https://sns.<region>.amazonaws.com/SimpleNotificationService-<digits>.pem`. The path matters
/// as the host does: SNS' API is at the same host, and some of its answers quote what anyone put
/// there.
fn is_certificate(url: &str) -> bool {
    let name = is_sns(url).then(|| url.splitn(4, '/').nth(3)).flatten();
    let digits = name.and_then(|name| {
        name.strip_prefix("SimpleNotificationService-")?
            .strip_suffix(".pem")
    });
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    digits.is_some_and(|digits| !digits.is_empty() && plain(digits))
}

/// `https://sns.<region>.amazonaws.com/…`, or China's.
fn is_sns(url: &str) -> bool {
    let Some((host, _)) = url
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let region = host.strip_prefix("sns.").and_then(|rest| {
        let global = rest.strip_suffix(".amazonaws.com");
        global.or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.is_some_and(|region| region.len() >= 3 && region.bytes().all(plain))
}

/// The text that is signed; `None` when a field it needs is missing.
fn signed_text(message: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let names = match text("Type")? {
        "Notification" => NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => CONFIRMATION,
        _ => return None,
    };
    let mut signed = String::new();
    for name in names {
        match text(name) {
            Some(value) => {
                for part in [name, value] {
                    signed.push_str(part);
                    signed.push('\n');
                }
            }
            // A notification may have no subject.
            None if *name == "Subject" => {}
            None => return None,
        }
    }
    Some(signed)
}

fn from_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let rest = text
        .trim_start()
        .strip_prefix("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(feature = "aws")]
fn verify(certificate: &[u8], version: &str, text: &[u8], signature: &[u8]) -> Result<(), String> {
    use ring::signature::{
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };
    let algorithm = match version {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        other => {
            return Err(format!(
                "SignatureVersion {other:?} is not known; 1 and 2 are"
            ));
        }
    };
    let certificate = certificate.into();
    let certificate = webpki::EndEntityCert::try_from(&certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let info = certificate.subject_public_key_info();
    let key = key_bits(&info).ok_or("the certificate's key cannot be read")?;
    UnparsedPublicKey::new(algorithm, key)
        .verify(text, signature)
        .map_err(|_| "the signature is not of this message".to_owned())
}

#[cfg(not(feature = "aws"))]
fn verify(_: &[u8], _: &str, _: &[u8], _: &[u8]) -> Result<(), String> {
    Err("this program was built without the feature `aws`, which checks signatures".into())
}

/// The key inside `SEQUENCE { SEQUENCE algorithm, BIT STRING key }`.
#[cfg(feature = "aws")]
fn key_bits(info: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (inside, _) = value(info, SEQUENCE)?;
    let (_, rest) = value(inside, SEQUENCE)?;
    let (bits, _) = value(rest, BIT_STRING)?;
    // The first byte counts the unused bits of the last.
    bits.strip_prefix(&[0])
}

/// A DER value of this tag, and what follows it.
#[cfg(feature = "aws")]
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        let (digits, rest) = rest
            .split_at_checked(digits)
            .filter(|(digits, _)| digits.len() <= 4)?;
        let length = digits
            .iter()
            .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        (length, rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_an_address_of_its_own_at_sns() {
        let host = "https://sns.eu-west-1.amazonaws.com";
        assert!(is_certificate(&format!(
            "{host}/SimpleNotificationService-0a1B.pem"
        )));
        for other in [
            "/?Action=GetEndpointAttributes&x=/SimpleNotificationService-0.pem",
            "/SimpleNotificationService-0.pem?x=.pem",
            "/SimpleNotificationService-0.pem#.pem",
            "/a/SimpleNotificationService-0.pem",
            "/a/../SimpleNotificationService-0.pem",
            "/SimpleNotificationService-.pem",
            "/SimpleNotificationService-0",
            "/other.pem",
        ] {
            assert!(!is_certificate(&format!("{host}{other}")), "{other}");
        }
    }

    #[test]
    fn a_certificate_inside_other_text_is_none() {
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(from_pem(pem), Some(vec![0, 0, 0]));
        assert_eq!(from_pem(&[b"<Quoted>", &pem[..]].concat()), None);
    }

    #[test]
    fn only_addresses_of_sns_itself_are_asked_for_a_certificate() {
        for own in [
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/a.pem",
        ] {
            assert!(is_sns(own), "{own}");
        }
        for foreign in [
            "http://sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
            "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
            "https://sns.evil.example#.amazonaws.com/a.pem",
            "https://bucket.s3.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com",
            "file:///etc/passwd",
        ] {
            assert!(!is_sns(foreign), "{foreign}");
        }
    }
}
