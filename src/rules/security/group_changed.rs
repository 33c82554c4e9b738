#![doc = include_str!("group_changed.md")]

use serde_json::Value;

use crate::model::{ActionKind, AgentName, ApiCall, Event, EventKind, Severity, Timestamp};
use crate::rules::network::{Permission, describe, exposure, open_to_anywhere, parse_permissions};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

/// How long the finding stays. OURS: a working day for somebody to look.
const STAYS_MS: i64 = Timestamp::DAY;

/// Calls that change a security group (CIS 4.10).
const CALLS: [&str; 7] = [
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "CreateSecurityGroup",
    "DeleteSecurityGroup",
    "ModifySecurityGroupRules",
];

static META: Meta = Meta {
    id: "SEV-10",
    title: "Security group was changed",
    agent: AgentName::Security,
    severity: Severity::Low,
    needs: Needs {
        events: &[EventKind::ApiCall],
        ..Needs::NONE
    },
    permissions: &["events:PutRule", "cloudtrail:LookupEvents"],
    controls: &["CIS 3.0 4.10"],
    remediation: "Revoke exactly what was added if it was not meant to be open.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: true,
    page: include_str!("group_changed.md"),
};

/// SEV-10.
pub struct GroupChanged;

/// What an ingress permission that was added opens, and how bad that is.
fn opened(call: ApiCall<'_>) -> Option<(Severity, String, String)> {
    if call.name() != "AuthorizeSecurityGroupIngress" {
        return None;
    }
    let items = call
        .request()
        .pointer("/ipPermissions/items")
        .and_then(Value::as_array)?;
    let added = parse_permissions(items);
    let all = open_to_anywhere(&added, Permission::opens_all);
    if !all.is_empty() {
        return Some((Severity::High, "every port".into(), describe(&all)));
    }
    let exposure = exposure(&added)?;
    Some((
        Severity::High,
        exposure.services.join(", "),
        exposure.permissions,
    ))
}

impl Rule for GroupChanged {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn wants(&self, event: &Event) -> bool {
        CALLS.contains(&ApiCall::of(&event.detail).name())
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some((event, at)) = case.event.filter(|(event, _)| self.wants(event)) else {
            return Verdict::Silent;
        };
        let call = ApiCall::of(&event.detail);
        let who = match call.identity().arn() {
            "" => call.identity().kind(),
            arn => arn,
        };
        let name = call.name();
        let opened = opened(call);
        let mut severity = opened
            .as_ref()
            .map_or(META.severity, |(severity, ..)| *severity);
        let mut said = "called";
        if call.error_code().is_some() {
            severity = severity.milder();
            said = "tried to call";
        }
        let (what, action) = match opened {
            Some((_, what, permissions)) => (
                format!(", which opens {what} to anywhere"),
                proposal(ActionKind::RevokeIngress, [("permissions", permissions)]),
            ),
            None => (String::new(), proposal(ActionKind::Investigate, [])),
        };
        let mut found = Found::new(
            severity,
            format!("{who} {said} {name}{what}"),
            vec![evidence(name, call.event_id(), "", at)],
        )
        .discriminator(name)
        .since(at)
        .propose(action);
        found.expires = Some(STAYS_MS);
        Verdict::found(found)
    }
}
