#![doc = include_str!("exposed_instance.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Proposal, Severity};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

static META: Meta = Meta {
    id: "SEC-EXP-1",
    title: "Instance is reachable on a sensitive port",
    agent: AgentName::Security,
    severity: Severity::High,
    needs: Needs {
        subjects: &["instance"],
        items: &[ItemKind::Instance],
        relations: true,
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeInstances", "ec2:DescribeSecurityGroups"],
    controls: &["CIS 3.0 5.2", "CIS 3.0 5.3"],
    remediation: "Revoke the permission of the group, or move the instance behind a load balancer.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("exposed_instance.md"),
};

/// SEC-EXP-1.
pub struct ExposedInstance;

impl Rule for ExposedInstance {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(instance) = case.thing() else {
            return Verdict::Silent;
        };
        let (severity, reach) = if instance.public {
            (Severity::High, "it has a public address")
        } else {
            (Severity::Medium, "it has no public address")
        };
        let exposures = case
            .memory
            .exposures
            .iter()
            .filter(|(group, _)| instance.groups.contains(group));
        Verdict::found_or_clear(exposures.map(|(group, exposure)| {
            let services = exposure.services.join(", ");
            let mut found = Found::new(
                severity,
                format!("{group} opens {services} to anywhere; {reach}"),
                vec![evidence(
                    group,
                    exposure.permissions.clone(),
                    "no sensitive port from 0.0.0.0/0 or ::/0",
                    instance.at,
                )],
            )
            .discriminator(group.clone())
            // Network ACLs and routes are not looked at.
            .confidence(0.8)
            .propose(Proposal {
                target: Some(case.subject.sibling(&format!("security-group/{group}"))),
                ..proposal(
                    ActionKind::RevokeIngress,
                    [("permissions", exposure.permissions.clone())],
                )
            });
            found.exposed = instance.public;
            found.facts = services.into();
            found
        }))
    }
}
