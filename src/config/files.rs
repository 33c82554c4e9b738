//! Folders and buckets that are watched for files: bills, CloudTrail logs, what Firehose backs up.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::sources::{account_id, region, role_arn};
use super::{Config, Problem, Secret};

/// What the name of a bucket begins with.
const BUCKET: &str = "s3://";
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3_600_000;
/// Most days that files are looked back: what a raw topic can be told to keep.
const DAYS_MAX: u32 = 3_650;

/// A folder or bucket that is watched.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The folder's whole path, or `s3://bucket/prefix`.
    pub from: String,
    /// The profile of `~/.aws/config` that signs; else the usual chain of credentials.
    pub profile: Option<String>,
    /// The role to take on, an ARN.
    pub role: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<Secret>,
    /// Milliseconds between looks.
    pub interval_ms: u64,
    /// Files that changed longer ago, in days, are passed over.
    pub back_fill_days: u32,
    /// The account of files that name none.
    pub account: Option<String>,
    /// The region of files that name none.
    pub region: Option<String>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            from: String::new(),
            profile: None,
            role: None,
            external_id: None,
            interval_ms: 10 * 60_000,
            back_fill_days: 35,
            account: None,
            region: None,
        }
    }
}

impl Files {
    /// Bucket and prefix, without slashes at its ends; `None` for a folder.
    pub fn bucket(&self) -> Option<(&str, &str)> {
        bucket(&self.from)
    }
}

/// Bucket and prefix of `s3://bucket/prefix`; `None` for anything else.
pub fn bucket(from: &str) -> Option<(&str, &str)> {
    let rest = from.strip_prefix(BUCKET)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Some((bucket, prefix.trim_matches('/')))
}

/// Three to 63 small letters, digits, dots and hyphens, as S3 has it.
fn bucket_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| plain(byte) || b".-".contains(&byte))
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
}

/// Everything wrong with the places that can be seen without looking at them.
pub(super) fn problems(config: &Config, problems: &mut Vec<Problem>) {
    let mut add = |path: String, what: String, hint: &str| {
        problems.push(Problem::new(&path, what, hint));
    };
    if !config.files.is_empty() && !cfg!(feature = "aws") {
        add(
            "files".into(),
            "this program was built without the sources".into(),
            "build it with the default features, or remove files",
        );
    }
    let mut places = BTreeSet::new();
    for (index, files) in config.files.iter().enumerate() {
        let path = |name: &str| format!("files.{}.{name}", index + 1);
        from_problems(files, &path, &mut add);
        if !places.insert(files.from.trim_end_matches('/')) {
            add(
                path("from"),
                format!("{:?} is watched already", files.from),
                "keep one of them",
            );
        }
        if let Some(role) = files.role.as_ref().filter(|role| !role_arn(role)) {
            add(
                path("role"),
                format!("{role:?} is not the ARN of a role"),
                "write it as arn:aws:iam::111122223333:role/skyherd-read",
            );
        }
        if files.external_id.is_some() && files.role.is_none() {
            add(
                path("external_id"),
                "is for a role, and none is named".into(),
                "add role, or remove external_id",
            );
        }
        for (name, value, (min, max)) in [
            ("interval_ms", files.interval_ms, (1_000, DAY_MS)),
            (
                "back_fill_days",
                u64::from(files.back_fill_days),
                (1, u64::from(DAYS_MAX)),
            ),
        ] {
            if !(min..=max).contains(&value) {
                let what = format!("{value} is outside {min} to {max}");
                add(path(name), what, "leave it out for the default");
            }
        }
        if let Some(id) = files.account.as_ref().filter(|id| !account_id(id)) {
            add(
                path("account"),
                format!("{id:?} is not 12 digits"),
                "quote it, so that leading zeros stay",
            );
        }
        if let Some(name) = files.region.as_ref().filter(|name| !region(name)) {
            add(
                path("region"),
                format!("{name:?} is not a region"),
                "write it as eu-west-1, without the zone's letter",
            );
        }
    }
}

fn from_problems(
    files: &Files,
    path: &impl Fn(&str) -> String,
    add: &mut impl FnMut(String, String, &str),
) {
    match files.bucket() {
        Some((bucket, _)) if !bucket_name(bucket) => add(
            path("from"),
            format!("{bucket:?} cannot be the name of a bucket"),
            "write it as s3://bucket/prefix",
        ),
        None if !files.from.starts_with('/') => add(
            path("from"),
            format!(
                "{:?} is neither a whole path nor s3://bucket/prefix",
                files.from
            ),
            "write the path from / on: the directory a service is started in is anybody's guess",
        ),
        None if files.profile.is_some() || files.role.is_some() => add(
            path("from"),
            "is a folder, and profile and role are for buckets".into(),
            "remove them",
        ),
        _ => {}
    }
}

// Without the feature every place is a problem.
#[cfg(feature = "aws")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn paths(text: &str) -> Vec<String> {
        let loaded = load(text, &[], Config::default());
        let problems = loaded.problems.into_iter();
        problems
            .inspect(|problem| assert!(!problem.hint.is_empty()))
            .map(|problem| problem.path)
            .collect()
    }

    #[test]
    fn a_folder_and_a_bucket_are_taken_as_written() {
        let text = "[[files]]\nfrom = '/srv/bills'\naccount = '000011112222'\n\
                    [[files]]\nfrom = 's3://my.bucket/a/b/'\nrole = 'arn:aws:iam::111122223333:role/r'\nexternal_id = 'x'\ninterval_ms = 60000";
        let loaded = load(text, &[], Config::default());
        assert_eq!(loaded.problems, []);
        let files = &loaded.config.files;
        assert_eq!(files[0].bucket(), None);
        assert_eq!(files[1].bucket(), Some(("my.bucket", "a/b")));
        assert_eq!(bucket("s3://abc"), Some(("abc", "")));
        assert!(!format!("{:?}", files[1]).contains("\"x\""), "a secret");
    }

    #[test]
    fn every_wrong_place_is_told_with_a_way_out() {
        let text = "[[files]]\n[[files]]\nfrom = 'bills'\n[[files]]\nfrom = 's3://A'\n[[files]]\nfrom = '/a'\nprofile = 'p'\n\
                    [[files]]\nfrom = '/a/'\nrole = 'r'\ninterval_ms = 5\nback_fill_days = 0\naccount = '1'\nregion = 'x'\n\
                    [[files]]\nfrom = 's3://abc'\nexternal_id = 'x'";
        assert_eq!(
            paths(text),
            [
                "files.1.from",
                "files.2.from",
                "files.3.from",
                "files.4.from",
                "files.5.account",
                "files.5.back_fill_days",
                "files.5.from",
                "files.5.from",
                "files.5.interval_ms",
                "files.5.region",
                "files.5.role",
                "files.6.external_id",
            ]
        );
    }
}
