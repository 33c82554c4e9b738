#![doc = include_str!("remote_access_open.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity};
use crate::rules::network::{describe, open_to_anywhere};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Ports of remote administration (CIS 5.2).
const PORTS: [(i64, &str); 2] = [(22, "SSH"), (3389, "RDP")];

static META: Meta = Meta {
    id: "SEC-SG-2",
    title: "Security group opens remote administration to the internet",
    agent: AgentName::Security,
    severity: Severity::High,
    needs: Needs {
        subjects: &["security-group"],
        items: &[ItemKind::SecurityGroup],
        relations: true,
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeSecurityGroups"],
    controls: &["CIS 3.0 5.2", "CIS 3.0 5.3"],
    remediation: "Revoke exactly this permission; use Session Manager instead.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("remote_access_open.md"),
};

/// SEC-SG-2.
pub struct RemoteAccessOpen;

impl Rule for RemoteAccessOpen {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(group) = case.thing() else {
            return Verdict::Silent;
        };
        let exposed = case.memory.users.values().any(|public| *public);
        let severity = if exposed {
            Severity::Critical
        } else {
            META.severity
        };
        Verdict::found_or_clear(PORTS.into_iter().filter_map(|(port, name)| {
            let open = open_to_anywhere(&group.ingress, |permission| permission.opens_tcp(port));
            if open.is_empty() {
                return None;
            }
            let permissions = describe(&open);
            let reach = if exposed {
                "; a resource with a public address uses it"
            } else {
                ""
            };
            let mut found = Found::new(
                severity,
                format!("{name} (tcp/{port}) is open to anywhere{reach}"),
                vec![evidence(
                    "IpPermissions",
                    permissions.clone(),
                    format!("tcp/{port} not from 0.0.0.0/0 or ::/0"),
                    group.at,
                )],
            )
            .discriminator(format!("tcp/{port}"))
            .since(group.at)
            .propose(proposal(
                ActionKind::RevokeIngress,
                [("permissions", permissions)],
            ));
            found.exposed = exposed;
            Some(found)
        }))
    }
}
