//! Every call that is made, as the IAM action that allows it, by what it is made for. Policies,
//! `check --live` and the plan are made of this list, and a call that is not in it is not sent.

use serde_json::{Value, json};

use super::inventory;
use super::reports::Report;
use crate::model::ItemKind;

/// What calls are made for; each is allowed by a policy of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// Taking on the roles of other accounts; for whoever runs Skyherd, not for the roles.
    Roles,
    /// Which accounts an organization has; for its management account or a delegated administrator.
    Organization,
    /// Which regions are enabled, where none are named.
    Regions,
    /// What there is.
    Inventory,
    /// `CloudWatch` metrics.
    Metrics,
    /// Costs, and what else Cost Explorer says of them.
    Costs,
    /// Files in buckets that are watched.
    Files,
    /// Budgets.
    Budgets,
    /// Alarms.
    Alarms,
}

/// Answers everybody; no policy can allow it or deny it.
const WHO_AM_I: &str = "sts:GetCallerIdentity";

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 9] = [
        Self::Roles,
        Self::Organization,
        Self::Regions,
        Self::Inventory,
        Self::Metrics,
        Self::Costs,
        Self::Budgets,
        Self::Alarms,
        Self::Files,
    ];

    /// Its name, and that of its policy's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Organization => "organization",
            Self::Regions => "regions",
            Self::Inventory => "inventory",
            Self::Metrics => "metrics",
            Self::Costs => "costs",
            Self::Files => "files",
            Self::Budgets => "budgets",
            Self::Alarms => "alarms",
        }
    }

    /// The actions it takes, by name.
    pub fn actions(self) -> Vec<&'static str> {
        let mut actions = match self {
            Self::Roles => vec!["sts:AssumeRole"],
            Self::Organization => vec![
                "organizations:ListRoots",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent",
            ],
            Self::Regions => vec!["ec2:DescribeRegions"],
            Self::Inventory => {
                let kinds = ItemKind::ALL.into_iter();
                let all = kinds.flat_map(inventory::actions).copied();
                all.filter(|action| *action != WHO_AM_I).collect()
            }
            Self::Metrics => vec!["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"],
            Self::Files => vec!["s3:ListBucket", "s3:GetObject"],
            Self::Costs => {
                let reports = Report::ALL.into_iter().filter(|report| report.paid());
                let mut actions = vec!["ce:GetCostAndUsage"];
                actions.extend(reports.map(Report::action));
                actions
            }
            Self::Budgets => vec![Report::Budgets.action()],
            Self::Alarms => vec!["cloudwatch:DescribeAlarms"],
        };
        actions.sort_unstable();
        actions.dedup();
        actions
    }

    /// The least IAM policy that lets it work; none of these APIs but STS and S3 knows resources.
    /// That of files has a bucket's name to be put in.
    pub fn policy(self) -> Value {
        let name = self.as_str();
        let sid = format!("Skyherd{}{}", name[..1].to_uppercase(), &name[1..]);
        let resource = match self {
            Self::Roles => json!("arn:aws:iam::*:role/skyherd-*"),
            Self::Files => json!(["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]),
            _ => json!("*"),
        };
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": sid,
                "Effect": "Allow",
                "Action": self.actions(),
                "Resource": resource,
            }],
        })
    }
}

/// Every action called.
pub fn called() -> impl Iterator<Item = &'static str> {
    let listed = Purpose::ALL.into_iter().flat_map(Purpose::actions);
    listed.chain([WHO_AM_I])
}

/// Every operation called, as `service:Operation`. Budgets alone names its action otherwise.
pub fn operations() -> impl Iterator<Item = &'static str> {
    called().map(|action| match action {
        "budgets:ViewBudget" => "budgets:DescribeBudgets",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_called_changes_anything() {
        let reads = ["Describe", "List", "Get", "View"];
        // Not by their names: the first gives credentials, the second has IAM write the report on
        // credentials that it keeps for four hours. Neither changes what the account has or allows.
        let harmless = ["sts:AssumeRole", "iam:GenerateCredentialReport"];
        for action in called().filter(|action| !harmless.contains(action)) {
            let (_, operation) = action.split_once(':').expect("service and operation");
            assert!(
                reads.iter().any(|verb| operation.starts_with(verb)),
                "{action}"
            );
        }
    }
}
