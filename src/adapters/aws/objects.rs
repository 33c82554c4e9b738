//! Buckets of S3: what lies in one, and pieces of it.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::path::Path;
use object_store::{CredentialProvider, GetOptions, GetRange, ObjectStore as _, RetryConfig};

use tokio::sync::Mutex;

use super::credentials::lasts;
use super::error::causes;
use super::wire::Wire;
use super::{ATTEMPT_WAIT, ATTEMPTS, Access, Api, Aws, CONNECT_WAIT, CallError, HOME_REGION};

/// Longest that one request is tried again and again for; a signature lasts five minutes.
const RETRIES_WAIT: Duration = Duration::from_mins(3);
/// Pause before a piece that broke off is asked for again, times the tries so far.
const PIECE_REST: Duration = Duration::from_millis(500);

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size, in bytes.
    pub size: u64,
    /// The content's ETag, where S3 tells one.
    pub tag: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<AmazonS3>,
    bucket: String,
}

/// The chain's credentials as object_store asks for them: before every request, so they are kept.
#[derive(Debug)]
struct Chain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Credentials>>,
}

impl Chain {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut kept = self.kept.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| lasts(known)) {
            return Ok(known.clone());
        }
        let fresh = self.provider.provide_credentials().await?;
        Ok(kept.insert(fresh).clone())
    }
}

/// What the trait's attribute makes of an async function.
type Given<'a> =
    std::pin::Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'a>>;

impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    fn get_credential<'s, 'a>(&'s self) -> Given<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(async {
            let given = self.credentials().await;
            let given = given.map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: causes(&error).into(),
            })?;
            Ok(Arc::new(AwsCredential {
                key_id: given.access_key_id().to_owned(),
                secret_key: given.secret_access_key().to_owned(),
                token: given.session_token().map(str::to_owned),
            }))
        })
    }
}

/// The client for objects: pieces may take as long as the SDK's pages.
pub(super) fn connector() -> Arc<Connector> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_WAIT)
        .read_timeout(ATTEMPT_WAIT)
        .build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build();
    Arc::new(connector)
}

impl Aws {
    /// A bucket, with credentials that are known to be there.
    ///
    /// # Errors
    /// [`CallError`] when there are none, or the role refuses.
    pub async fn objects(&self, access: &Access, bucket: &str) -> Result<Objects, CallError> {
        let settings = self.settings(access, None).await?;
        let provider = settings
            .credentials_provider()
            .ok_or_else(|| CallError::Refused("there are no credentials for S3".into()))?;
        let wire = Wire::new(Arc::clone(&self.wire), self.meter(Api::S3));
        let retry = RetryConfig {
            max_retries: ATTEMPTS as usize,
            retry_timeout: RETRIES_WAIT,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_credentials(Arc::new(Chain {
                provider,
                kept: Mutex::default(),
            }))
            .with_retry(retry)
            .with_http_connector(wire.clone());
        let home = settings
            .region()
            .map_or(HOME_REGION, |region| region.as_ref());
        builder = match settings.endpoint_url() {
            // Another service than S3 has no name for each bucket.
            Some(url) => builder
                .with_endpoint(url)
                .with_allow_http(url.starts_with("http:"))
                .with_virtual_hosted_style_request(false)
                .with_region(home),
            None => builder
                // A certificate does not cover names with dots.
                .with_virtual_hosted_style_request(!bucket.contains('.'))
                .with_region(
                    region(&wire, bucket)
                        .await
                        .unwrap_or_else(|| home.to_owned()),
                ),
        };
        let store = builder.build();
        Ok(Objects {
            store: Arc::new(store.map_err(|error| failure("s3", &error))?),
            bucket: bucket.to_owned(),
        })
    }
}

/// Where a bucket is; S3 tells anybody.
async fn region(wire: &Wire, bucket: &str) -> Option<String> {
    let uri = format!("https://s3.amazonaws.com/{bucket}");
    let request = http::Request::head(uri).body(SdkBody::empty()).ok()?;
    let answer = wire.send(request).await.ok()?;
    let region = answer.headers().get("x-amz-bucket-region")?;
    region.to_str().ok().map(str::to_owned)
}

/// Sorts what went wrong with an action.
fn failure(action: &str, error: &object_store::Error) -> CallError {
    let told = super::error::clip(format!("{action}: {}", causes(error)));
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => CallError::Refused(told),
        _ if told.contains("SlowDown") => CallError::Throttled(told),
        _ => CallError::Failed(told),
    }
}

impl Objects {
    /// Calls `each` with every object below a prefix, a folder's name, until it says that it is
    /// enough.
    ///
    /// # Errors
    /// [`CallError`] when a page cannot be had.
    pub async fn list(
        &self,
        prefix: &str,
        mut each: impl FnMut(Object) -> bool,
    ) -> Result<(), CallError> {
        let action = format!("s3:ListBucket of {}", self.bucket);
        let wrong = |error: &object_store::Error| failure(&action, error);
        let prefix = Path::parse(prefix).map_err(|error| wrong(&error.into()))?;
        let below = Some(&prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let mut pages = self.store.list(below);
        while let Some(found) = poll_fn(|context| pages.as_mut().poll_next(context)).await {
            let found = found.map_err(|error| wrong(&error))?;
            let object = Object {
                key: found.location.as_ref().to_owned(),
                size: found.size,
                tag: found.e_tag,
                at_ms: found.last_modified.timestamp_millis(),
            };
            if !each(object) {
                break;
            }
        }
        Ok(())
    }

    /// A piece of an object as it was listed.
    ///
    /// # Errors
    /// [`CallError`] when it cannot be had, or is another one by now.
    pub async fn piece(&self, object: &Object, range: Range<u64>) -> Result<Bytes, CallError> {
        let action = format!("s3:GetObject of {}/{}", self.bucket, object.key);
        let wrong = |error: &object_store::Error| failure(&action, error);
        let path = Path::parse(&object.key).map_err(|error| wrong(&error.into()))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let options = GetOptions {
                if_match: object.tag.clone(),
                range: Some(GetRange::Bounded(range.clone())),
                ..GetOptions::default()
            };
            let answer = match self.store.get_opts(&path, options).await {
                Ok(answer) => answer.bytes().await,
                // Tried again already, where that could help.
                Err(error) => return Err(wrong(&error)),
            };
            match answer {
                Ok(bytes) => return Ok(bytes),
                Err(error) if tries >= ATTEMPTS => return Err(wrong(&error)),
                // The answer broke off.
                Err(_) => tokio::time::sleep(PIECE_REST * tries).await,
            }
        }
    }
}
