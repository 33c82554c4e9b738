//! One client an account, service and region, kept while it is asked for.

use super::tally::Api;
use super::{Access, Aws, CallError, Place};

/// Methods of the SDKs' clients: what each is called, its crate, where its like are kept, whose
/// calls it counts as, and what AWS calls the API whose rate it shares.
macro_rules! clients {
    ($($name:ident: $sdk:ident in $shelf:ident, $api:ident, $limit:literal;)*) => {
        impl Aws {
            $(
                pub(super) async fn $name(&self, place: &Place) -> Result<$sdk::Client, CallError> {
                    self.ready(place).await?;
                    if let Some(client) = self.$shelf.get(place, &self.tally) {
                        return Ok(client);
                    }
                    let settings = self.settings(&place.access, Some(&place.region)).await?;
                    let shared = $sdk::config::retry::RetryPartition::new(partition(place, $limit));
                    let config = $sdk::config::Builder::from(&settings)
                        .retry_partition(shared)
                        .interceptor(self.meter(Api::$api))
                        .build();
                    Ok(self.$shelf.put(place, $sdk::Client::from_conf(config)))
                }
            )*
        }
    };
}

clients! {
    ec2: aws_sdk_ec2 in ec2, Ec2, "ec2";
    autoscaling: aws_sdk_autoscaling in autoscaling, AutoScaling, "autoscaling";
    balancing: aws_sdk_elasticloadbalancingv2 in balancing, LoadBalancing, "elasticloadbalancing";
    iam: aws_sdk_iam in iam, Iam, "iam";
    cloudtrail: aws_sdk_cloudtrail in cloudtrail, CloudTrail, "cloudtrail";
    ssm: aws_sdk_ssm in ssm, Ssm, "ssm";
    cloudwatch: aws_sdk_cloudwatch in cloudwatch, CloudWatch, "cloudwatch";
    cost_explorer: aws_sdk_costexplorer in costs, CostExplorer, "ce";
    quotas: aws_sdk_servicequotas in quotas, ServiceQuotas, "servicequotas";
    backup: aws_sdk_backup in backup, Backup, "backup";
    budgets: aws_sdk_budgets in budgets, Budgets, "budgets";
}

/// What shares retries and their rate: AWS limits calls by account, region and API.
fn partition(place: &Place, api: &str) -> String {
    let Access { profile, role, .. } = &place.access;
    let profile = profile.as_deref().unwrap_or_default();
    let role = role.as_deref().unwrap_or_default();
    format!("{profile}/{role}/{}/{api}", place.region)
}
