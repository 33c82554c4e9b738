//! Credentials of roles: each taken on once an hour, whoever asks and however often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::tally::{Api, Meter};
use super::{Access, CallError, Tally};

/// How long a role is taken on for: the longest that a chained role may last.
const SESSION_SECONDS: i32 = 3_600;
/// How long before their end credentials are replaced; a page under way must still finish.
const REPLACE_BEFORE: Duration = Duration::from_mins(5);
/// How long a refusal stands before the role is asked again.
const REFUSAL_STANDS: Duration = Duration::from_mins(5);
/// What CloudTrail shows as the session's name.
const SESSION_NAME: &str = "skyherd";

/// An STS client of these settings.
pub(super) fn sts(settings: &SdkConfig, meter: &Meter) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::config::Builder::from(settings)
        .interceptor(meter.clone())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

/// What is known of one role.
#[derive(Debug, Default)]
enum Kept {
    #[default]
    Nothing,
    Credentials(Credentials),
    Refused(CallError, Instant),
}

/// The roles taken on by this process.
#[derive(Debug)]
pub(super) struct Book {
    roles: parking_lot::Mutex<BTreeMap<Access, Arc<Mutex<Kept>>>>,
    meter: Meter,
}

impl Book {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self {
            roles: parking_lot::Mutex::default(),
            meter: Meter::new(Api::Sts, tally),
        }
    }

    /// Credentials that last a while; whoever asks meanwhile waits for the same call.
    async fn credentials(
        &self,
        base: &SdkConfig,
        access: &Access,
    ) -> Result<Credentials, CallError> {
        let role = Arc::clone(self.roles.lock().entry(access.clone()).or_default());
        let mut kept = role.lock().await;
        match &*kept {
            Kept::Credentials(credentials) if lasts(credentials) => return Ok(credentials.clone()),
            Kept::Refused(error, at) if at.elapsed() < REFUSAL_STANDS => return Err(error.clone()),
            _ => {}
        }
        let taken = self.assume(base, access).await;
        *kept = match &taken {
            Ok(credentials) => Kept::Credentials(credentials.clone()),
            Err(error @ CallError::Refused(_)) => Kept::Refused(error.clone(), Instant::now()),
            Err(_) => Kept::Nothing,
        };
        taken
    }

    async fn assume(&self, base: &SdkConfig, access: &Access) -> Result<Credentials, CallError> {
        let answer = sts(base, &self.meter)
            .assume_role()
            .set_role_arn(access.role.clone())
            .set_external_id(access.external_id.clone())
            .role_session_name(SESSION_NAME)
            .duration_seconds(SESSION_SECONDS)
            .send()
            .await
            .map_err(|error| {
                let role = access.role.as_deref().unwrap_or_default();
                match CallError::of("sts:AssumeRole", &error) {
                    CallError::Refused(told) => CallError::Refused(format!("role {role}: {told}")),
                    CallError::Throttled(told) => {
                        CallError::Throttled(format!("role {role}: {told}"))
                    }
                    CallError::Failed(told)
                    | CallError::Missing(told)
                    | CallError::Nothing(told) => CallError::Failed(format!("role {role}: {told}")),
                }
            })?;
        let given = answer
            .credentials()
            .ok_or_else(|| CallError::Failed("sts:AssumeRole gives no credentials".into()))?;
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            SystemTime::try_from(*given.expiration()).ok(),
            SESSION_NAME,
        ))
    }
}

/// Whether they are good for a while yet.
pub(super) fn lasts(credentials: &Credentials) -> bool {
    credentials
        .expiry()
        .is_none_or(|end| end > SystemTime::now() + REPLACE_BEFORE)
}

/// The credentials of one role, as the SDK asks for them.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    book: Arc<Book>,
    base: SdkConfig,
    access: Access,
}

impl Lease {
    pub(super) fn new(book: Arc<Book>, base: SdkConfig, access: Access) -> Self {
        Self { book, base, access }
    }

    pub(super) async fn credentials(&self) -> Result<Credentials, CallError> {
        self.book.credentials(&self.base, &self.access).await
    }
}

impl ProvideCredentials for Lease {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.credentials()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}
