//! Whether places can be read, asked once and for real.

use std::collections::BTreeMap;

use super::place::access;
use crate::adapters::aws::{Aws, CallError, Object, Purpose};
use crate::app::sources::{LiveAccount, LivePermission};
use crate::config::Files;

/// Objects that S3 lists in a call.
const LISTED: u64 = 1_000;
/// Where no region is meant.
const ANYWHERE: &str = "-";

/// Lists a place and reads a byte of what lies there.
pub(in crate::app::sources) async fn live(aws: &Aws, files: &Files) -> LiveAccount {
    let mut account = LiveAccount {
        account: files.from.clone(),
        ..LiveAccount::default()
    };
    let Some((bucket, prefix)) = files.bucket() else {
        let read = std::fs::read_dir(&files.from);
        account.error = read.err().map(|error| error.to_string());
        return account;
    };
    let access = access(files);
    let objects = match aws.objects(&access, bucket).await {
        Ok(objects) => objects,
        Err(error) => {
            account.error = Some(error.to_string());
            return account;
        }
    };
    if let Ok(caller) = aws.caller(&access).await {
        account.caller = Some(caller.arn);
    }
    let mut first: Option<Object> = None;
    let each = |object: Object| {
        if object.size > 0 {
            first = Some(object);
        }
        first.is_none()
    };
    let listed = objects.list(prefix, each).await;
    account
        .permissions
        .push(permission("s3:ListBucket", listed));
    if let Some(object) = first {
        let read = objects.piece(&object, 0..1).await.map(|_| ());
        account.permissions.push(permission("s3:GetObject", read));
    }
    account
}

/// How many objects a bucket's place has, and the calls it takes to list them; `None` for a folder.
pub(in crate::app::sources) async fn listing(
    aws: &Aws,
    files: &Files,
) -> Option<Result<(u64, u64), CallError>> {
    let (bucket, prefix) = files.bucket()?;
    let objects = match aws.objects(&access(files), bucket).await {
        Ok(objects) => objects,
        Err(error) => return Some(Err(error)),
    };
    let mut found = 0_u64;
    let each = |_| {
        found += 1;
        true
    };
    let listed = objects.list(prefix, each).await;
    Some(listed.map(|()| (found, found.div_ceil(LISTED).max(1))))
}

fn permission(action: &'static str, answer: Result<(), CallError>) -> LivePermission {
    let (mut refused, mut unclear) = (BTreeMap::new(), BTreeMap::new());
    match answer {
        Ok(()) => {}
        Err(CallError::Refused(why)) => {
            refused.insert(ANYWHERE.to_owned(), why);
        }
        Err(
            CallError::Throttled(why)
            | CallError::Failed(why)
            | CallError::Missing(why)
            | CallError::Nothing(why),
        ) => {
            unclear.insert(ANYWHERE.to_owned(), why);
        }
    }
    LivePermission {
        action,
        policy: Purpose::Files.as_str(),
        refused,
        unclear,
        rules: Vec::new(),
        ability: "what lies there is not read",
    }
}
