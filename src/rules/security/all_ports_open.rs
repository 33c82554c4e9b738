#![doc = include_str!("all_ports_open.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity};
use crate::rules::network::{Permission, describe, open_to_anywhere};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

static META: Meta = Meta {
    id: "SEC-SG-1",
    title: "Security group opens every port to the internet",
    agent: AgentName::Security,
    severity: Severity::Critical,
    needs: Needs {
        subjects: &["security-group"],
        items: &[ItemKind::SecurityGroup],
        relations: true,
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeSecurityGroups", "ec2:DescribeInstances"],
    controls: &["CIS 3.0 5.2", "CIS 3.0 5.3"],
    remediation: "Revoke exactly this permission; open single ports to known addresses instead.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("all_ports_open.md"),
};

/// SEC-SG-1.
pub struct AllPortsOpen;

impl Rule for AllPortsOpen {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(group) = case.thing() else {
            return Verdict::Silent;
        };
        let open = open_to_anywhere(&group.ingress, Permission::opens_all);
        if open.is_empty() {
            return Verdict::Clear;
        }
        let users = &case.memory.users;
        let (severity, used) = if users.is_empty() {
            (Severity::High, "nothing is known to use it".to_owned())
        } else {
            (META.severity, format!("used by {}", users.len()))
        };
        let permissions = describe(&open);
        let mut found = Found::new(
            severity,
            format!("every port is open to anywhere; {used}"),
            vec![evidence(
                "IpPermissions",
                permissions.clone(),
                "no 0.0.0.0/0 or ::/0",
                group.at,
            )],
        )
        .since(group.at)
        .propose(proposal(
            ActionKind::RevokeIngress,
            [("permissions", permissions)],
        ));
        found.exposed = users.values().any(|public| *public);
        Verdict::found(found)
    }
}
