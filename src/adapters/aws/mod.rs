//! AWS's APIs, asked within bounds: one client and credential per account, service and region,
//! every call behind a token bucket of its account, region and API, errors sorted by what to do.
//!
//! Answers come page by page, so that the caller decides what to keep and when to stop. Nothing
//! here knows a topic, a schedule or what was seen before.

mod actions;
mod bucket;
mod clients;
mod costs;
mod credentials;
mod error;
mod inventory;
mod metrics;
mod objects;
mod organization;
mod pool;
mod reports;
mod tally;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;

pub use actions::{Purpose, called, operations};
use bucket::Buckets;
pub use costs::{CostRow, Grain};
use credentials::{Book, Lease};
pub use error::CallError;
pub use inventory::{Page, Wanted, action, actions, whole};
pub use metrics::{Form, Point, Points, Series};
pub use objects::{Object, Objects};
pub use organization::{Member, Organization};
use pool::Shelf;
pub use reports::{Answer, Report};
use tally::Meter;
pub use tally::{Api, Counts, Tally};

/// Region asked where neither the configuration nor the environment names one.
const HOME_REGION: &str = "us-east-1";
/// Attempts of one call; with the pauses between them about a minute.
const ATTEMPTS: u32 = 7;
/// Longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for one attempt's answer: a page of a thousand may take long.
const ATTEMPT_WAIT: Duration = Duration::from_mins(1);
/// Clients kept a service; beyond it the one asked longest ago is dropped.
const CLIENTS_MAX: usize = 512;
/// Calls a second of one account, region and API, and as many at once. AWS allows describing calls
/// at 20 a second with a reserve of 100, shared with everybody else in the account.
const CALLS_PER_SECOND: f64 = 10.0;

/// How an account is reached. Equal ones share credentials and clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Access {
    /// The profile that signs; else the usual chain of credentials.
    pub profile: Option<String>,
    /// The role taken on with it, an ARN.
    pub role: Option<String>,
    /// The external id that role asks for.
    pub external_id: Option<String>,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// With whose credentials.
    pub access: Access,
    /// Where.
    pub region: String,
}

/// Whose some credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The user, or the role and session.
    pub arn: String,
}

/// AWS, as this process sees it.
#[derive(Debug)]
pub struct Aws {
    /// Settings and chain of credentials by profile.
    bases: Mutex<BTreeMap<Option<String>, SdkConfig>>,
    http: SharedHttpClient,
    book: Arc<Book>,
    buckets: Buckets,
    ec2: Shelf<aws_sdk_ec2::Client>,
    autoscaling: Shelf<aws_sdk_autoscaling::Client>,
    balancing: Shelf<aws_sdk_elasticloadbalancingv2::Client>,
    iam: Shelf<aws_sdk_iam::Client>,
    cloudtrail: Shelf<aws_sdk_cloudtrail::Client>,
    ssm: Shelf<aws_sdk_ssm::Client>,
    quotas: Shelf<aws_sdk_servicequotas::Client>,
    backup: Shelf<aws_sdk_backup::Client>,
    cloudwatch: metrics::Clients,
    costs: costs::Clients,
    wire: Arc<aws_smithy_http_client::Connector>,
    budgets: reports::Clients,
    tally: Arc<Tally>,
}

impl Aws {
    /// Nothing is asked yet. `tally` counts what will be.
    pub fn new(tally: Arc<Tally>) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        Self {
            bases: Mutex::default(),
            http,
            book: Arc::new(Book::new(Arc::clone(&tally))),
            buckets: Buckets::new(CALLS_PER_SECOND),
            ec2: Shelf::new(CLIENTS_MAX),
            autoscaling: Shelf::new(CLIENTS_MAX),
            balancing: Shelf::new(CLIENTS_MAX),
            iam: Shelf::new(CLIENTS_MAX),
            cloudtrail: Shelf::new(CLIENTS_MAX),
            ssm: Shelf::new(CLIENTS_MAX),
            quotas: Shelf::new(CLIENTS_MAX),
            backup: Shelf::new(CLIENTS_MAX),
            cloudwatch: metrics::clients(),
            costs: costs::clients(),
            wire: objects::connector(),
            budgets: reports::clients(),
            tally,
        }
    }

    /// Whose the credentials are.
    ///
    /// # Errors
    /// [`CallError`] when there are none, or the role refuses.
    pub async fn caller(&self, access: &Access) -> Result<Caller, CallError> {
        let settings = self.settings(access, None).await?;
        let sts = credentials::sts(&settings, &self.meter(Api::Sts));
        let answer = sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| CallError::of("sts:GetCallerIdentity", &error))?;
        let account = answer
            .account()
            .ok_or_else(|| CallError::Failed("sts:GetCallerIdentity names no account".into()))?;
        Ok(Caller {
            account: account.to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }

    /// Whether the account's credentials can be had at all.
    ///
    /// # Errors
    /// [`CallError`] when its role refuses.
    pub async fn reaches(&self, access: &Access) -> Result<(), CallError> {
        self.settings(access, None).await.map(|_| ())
    }

    /// The regions that are enabled in the account.
    ///
    /// # Errors
    /// [`CallError`] when they cannot be asked for.
    pub async fn regions(&self, access: &Access) -> Result<Vec<String>, CallError> {
        let settings = self.settings(access, None).await?;
        let region = settings.region().map_or(HOME_REGION, Region::as_ref);
        let place = Place {
            access: access.clone(),
            region: region.to_owned(),
        };
        let client = self.ec2(&place).await?;
        let answer = client.describe_regions().send().await;
        let answer = answer.map_err(|error| CallError::of("ec2:DescribeRegions", &error))?;
        let mut regions: Vec<String> = answer
            .regions()
            .iter()
            .filter_map(|region| region.region_name().map(str::to_owned))
            .collect();
        regions.sort();
        Ok(regions)
    }

    fn meter(&self, api: Api) -> Meter {
        Meter::new(api, Arc::clone(&self.tally))
    }

    /// Settings of the profile, before any role.
    async fn base(&self, profile: Option<&String>) -> SdkConfig {
        let mut bases = self.bases.lock().await;
        if let Some(base) = bases.get(&profile.cloned()) {
            return base.clone();
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_WAIT)
            .operation_attempt_timeout(ATTEMPT_WAIT)
            .build();
        let retries = RetryConfig::adaptive()
            .with_max_attempts(ATTEMPTS)
            .with_max_backoff(BACKOFF_MAX);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        let mut base = loader.load().await;
        if base.region().is_none() {
            base = base.into_builder().region(Region::new(HOME_REGION)).build();
        }
        bases.insert(profile.cloned(), base.clone());
        base
    }

    /// Settings with the account's credentials, which are known to be there, for `region` or for
    /// the one at home.
    async fn settings(
        &self,
        access: &Access,
        region: Option<&str>,
    ) -> Result<SdkConfig, CallError> {
        let base = self.base(access.profile.as_ref()).await;
        let mut builder = base.clone().into_builder();
        if let Some(region) = region {
            builder = builder.region(Region::new(region.to_owned()));
        }
        if access.role.is_some() {
            let lease = Lease::new(Arc::clone(&self.book), base, access.clone());
            // Asked here, so that a refusal is told as one and not as a failed call.
            lease.credentials().await?;
            builder = builder.credentials_provider(SharedCredentialsProvider::new(lease));
        }
        Ok(builder.build())
    }

    /// Whether the account's credentials are there, asked before each call: a client that is kept
    /// outlives them.
    async fn ready(&self, place: &Place) -> Result<(), CallError> {
        if place.access.role.is_none() {
            return Ok(());
        }
        let base = self.base(place.access.profile.as_ref()).await;
        Lease::new(Arc::clone(&self.book), base, place.access.clone())
            .credentials()
            .await
            .map(|_| ())
    }
}
