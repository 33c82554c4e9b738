//! What an instance is started with → what of it is secret, by kind. The data itself goes nowhere.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;

use super::fields::Fields;

/// Bytes looked at, unpacked; AWS takes 16 KiB packed.
const BYTES_MAX: u64 = 1 << 20;
/// Most access keys named.
const KEYS_MAX: usize = 20;
/// What gzip begins with; cloud-init unpacks it.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Ids of access keys, long-lived and temporary.
static ACCESS_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b").ok());
/// What else is secret: what it is called, and how it looks. A value that names where the secret
/// lies is none: `$SECRET`, `{{resolve:...}}`, `<password>`, `arn:...`.
static SECRETS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    [
        (
            "password",
            r#"(?i)(?:password|passwd|pwd|secret(?:_?access)?(?:_?key)?|token|api_?key)["']?[ \t]*[=:][ \t]*["']?(?:[^\s"'$\{<a][^\s"']{3,}|a[^\s"'r][^\s"']{2,})"#,
        ),
        ("private-key", "-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    ]
    .into_iter()
    .filter_map(|(kind, pattern)| Some((kind, Regex::new(pattern).ok()?)))
    .collect()
});

/// How long the data is and which kinds of secrets it holds (`access-key`, `password`,
/// `private-key`). Ids of access keys are named: they are no secrets, and tell which key to revoke.
///
/// Kinds: Prowler's ec2_launch_template_no_secrets and ec2_instance_secrets_user_data.
pub(super) fn marks(encoded: &str) -> Fields {
    let text = unpacked(encoded);
    let text = String::from_utf8_lossy(&text);
    let keys = ACCESS_KEY.iter().flat_map(|key| key.find_iter(&text));
    let keys: BTreeSet<&str> = keys.map(|found| found.as_str()).collect();
    let mut kinds: Vec<String> = SECRETS
        .iter()
        .filter(|(_, secret)| secret.is_match(&text))
        .map(|(kind, _)| (*kind).to_owned())
        .collect();
    if !keys.is_empty() {
        kinds.insert(0, "access-key".to_owned());
    }
    let keys = keys.into_iter().take(KEYS_MAX).map(str::to_owned);
    Fields::default()
        .set("Bytes", Some(text.len()))
        .texts("SecretKinds", &kinds)
        .texts("AccessKeyIds", &keys.collect::<Vec<_>>())
}

fn unpacked(encoded: &str) -> Vec<u8> {
    // What is not encoded is looked at as it stands.
    let plain = STANDARD.decode(encoded.trim());
    let plain = plain.unwrap_or_else(|_| encoded.as_bytes().to_vec());
    if !plain.starts_with(&GZIP) {
        return plain;
    }
    let mut text = Vec::new();
    let unpacking = flate2::read::MultiGzDecoder::new(plain.as_slice());
    // As far as it can be unpacked.
    let _ = unpacking.take(BYTES_MAX).read_to_end(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::{Value, json};

    use super::*;

    fn found(text: &str) -> Value {
        marks(&STANDARD.encode(text)).value()
    }

    #[test]
    fn secrets_are_told_by_kind_and_never_by_value() {
        let text = "#!/bin/sh\nexport DB_PASSWORD='hunter22!'\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
                    cat <<E\n-----BEGIN RSA PRIVATE KEY-----\nE\n";
        let marks = found(text);
        assert_eq!(
            marks,
            json!({
                "Bytes": text.len(),
                "SecretKinds": ["access-key", "password", "private-key"],
                "AccessKeyIds": ["AKIAIOSFODNN7EXAMPLE"],
            })
        );
        assert!(!marks.to_string().contains("hunter22"));
    }

    #[test]
    fn packed_data_is_unpacked_first() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"api_key: 0123456789").unwrap();
        let packed = STANDARD.encode(packer.finish().unwrap());
        assert_eq!(
            marks(&packed).value(),
            json!({ "Bytes": 19, "SecretKinds": ["password"] })
        );
    }

    #[test]
    fn what_names_where_a_secret_lies_is_none() {
        for text in [
            "yum -y install nginx",
            "PASSWORD=$(aws ssm get-parameter --name db)",
            "password=\"${DB_PASSWORD}\"",
            "password: {{resolve:secretsmanager:db}}",
            "SECRET=arn:aws:secretsmanager:eu-west-1:111122223333:secret:db",
            "token=<token>",
            "passwd -l root",
        ] {
            assert_eq!(found(text), json!({ "Bytes": text.len() }), "{text}");
        }
    }
}
