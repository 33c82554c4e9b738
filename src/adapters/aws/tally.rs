//! What is asked of AWS, counted attempt by attempt: retries are calls too, and some cost money.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::actions::operations;
use super::error::throttled;

/// The APIs asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Api {
    /// Security Token Service.
    Sts,
    /// EC2.
    Ec2,
    /// Auto Scaling.
    AutoScaling,
    /// Elastic Load Balancing, second form.
    LoadBalancing,
    /// Identity and Access Management.
    Iam,
    /// CloudTrail.
    CloudTrail,
    /// Systems Manager.
    Ssm,
    /// Service Quotas.
    ServiceQuotas,
    /// AWS Backup.
    Backup,
    /// Organizations.
    Organizations,
    /// CloudWatch.
    CloudWatch,
    /// Cost Explorer.
    CostExplorer,
    /// S3.
    S3,
    /// Budgets.
    Budgets,
}

impl Api {
    /// Every API.
    pub const ALL: [Self; 14] = [
        Self::Sts,
        Self::Ec2,
        Self::AutoScaling,
        Self::LoadBalancing,
        Self::Iam,
        Self::CloudTrail,
        Self::Ssm,
        Self::ServiceQuotas,
        Self::Backup,
        Self::Organizations,
        Self::CloudWatch,
        Self::CostExplorer,
        Self::S3,
        Self::Budgets,
    ];
    /// Its name in IAM actions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Ec2 => "ec2",
            Self::AutoScaling => "autoscaling",
            Self::LoadBalancing => "elasticloadbalancing",
            Self::Iam => "iam",
            Self::CloudTrail => "cloudtrail",
            Self::Ssm => "ssm",
            Self::ServiceQuotas => "servicequotas",
            Self::Backup => "backup",
            Self::Organizations => "organizations",
            Self::CloudWatch => "cloudwatch",
            Self::CostExplorer => "ce",
            Self::S3 => "s3",
            Self::Budgets => "budgets",
        }
    }
}

/// Counts of one API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests sent, retries too.
    pub calls: u64,
    /// Of them, those AWS put off.
    pub throttles: u64,
    /// Of them, those that failed otherwise.
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Cell {
    calls: AtomicU64,
    throttles: AtomicU64,
    errors: AtomicU64,
}

/// What was asked so far.
#[derive(Debug, Default)]
pub struct Tally {
    apis: [Cell; Api::ALL.len()],
    kept: AtomicU64,
    made: AtomicU64,
}

impl Tally {
    /// Counts of an API since the process began.
    pub fn of(&self, api: Api) -> Counts {
        let cell = &self.apis[api as usize];
        Counts {
            calls: cell.calls.load(Ordering::Relaxed),
            throttles: cell.throttles.load(Ordering::Relaxed),
            errors: cell.errors.load(Ordering::Relaxed),
        }
    }
    /// How often a client was at hand, and how often one had to be made.
    pub fn clients(&self) -> (u64, u64) {
        (
            self.kept.load(Ordering::Relaxed),
            self.made.load(Ordering::Relaxed),
        )
    }
    pub(super) fn client(&self, at_hand: bool) {
        let cell = if at_hand { &self.kept } else { &self.made };
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an operation of an API is among the actions that policies allow.
fn listed(api: Api, operation: &str) -> bool {
    operations().any(|named| named.split_once(':') == Some((api.as_str(), operation)))
}

/// Counts the attempts of one client, and lets only those through that policies allow.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    api: Api,
    tally: Arc<Tally>,
}

impl Meter {
    pub(super) fn new(api: Api, tally: Arc<Tally>) -> Self {
        Self { api, tally }
    }

    fn cell(&self) -> &Cell {
        &self.tally.apis[self.api as usize]
    }

    /// Counts a request if policies allow it; else it must not be sent.
    pub(super) fn sent(&self, operation: &str) -> bool {
        let allowed = listed(self.api, operation);
        if allowed {
            self.cell().calls.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// The request was put off.
    pub(super) fn put_off(&self) {
        self.cell().throttles.fetch_add(1, Ordering::Relaxed);
    }

    /// The request failed otherwise.
    pub(super) fn failed(&self) {
        self.cell().errors.fetch_add(1, Ordering::Relaxed);
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = settings.load::<Metadata>().map_or("", Metadata::name);
        if !self.sent(operation) {
            let api = self.api.as_str();
            return Err(format!("{api}:{operation} is in no policy, so it is not sent").into());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.response() {
            Some(answer) if answer.status().is_success() => {}
            Some(answer) if throttled(answer.body().bytes().unwrap_or_default()) => self.put_off(),
            _ => self.failed(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_that_policies_allow_are_let_through() {
        assert!(listed(Api::Ec2, "DescribeVolumes"));
        assert!(listed(Api::Sts, "GetCallerIdentity"));
        assert!(!listed(Api::Ec2, "DeleteVolume"));
        assert!(!listed(Api::Ec2, "DescribeLoadBalancers"), "another API's");
        assert!(listed(Api::Budgets, "DescribeBudgets"), "by its operation");
        assert!(!listed(Api::Ec2, ""));
    }
}
