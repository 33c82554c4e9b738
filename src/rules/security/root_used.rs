#![doc = include_str!("root_used.md")]

use crate::model::{ActionKind, AgentName, ApiCall, Event, EventKind, Severity, Timestamp};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

/// How long the finding stays. OURS: a working day for somebody to look.
const STAYS_MS: i64 = Timestamp::DAY;

static META: Meta = Meta {
    id: "SEV-3",
    title: "Root user was used",
    agent: AgentName::Security,
    severity: Severity::Critical,
    needs: Needs {
        events: &[EventKind::ApiCall, EventKind::SignIn],
        ..Needs::NONE
    },
    permissions: &["events:PutRule", "cloudtrail:LookupEvents"],
    controls: &["CIS 3.0 4.3"],
    remediation: "Confirm that it was you; else rotate the root password and MFA.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: true,
    page: include_str!("root_used.md"),
};

/// SEV-3.
pub struct RootUsed;

impl Rule for RootUsed {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn wants(&self, event: &Event) -> bool {
        let call = ApiCall::of(&event.detail);
        call.identity().kind() == "Root"
            && call.identity().invoked_by().is_none()
            && call.event_type() != "AwsServiceEvent"
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some((event, at)) = case.event.filter(|(event, _)| self.wants(event)) else {
            return Verdict::Silent;
        };
        let call = ApiCall::of(&event.detail);
        let refused = call.error_code().is_some()
            || call
                .response()
                .get("ConsoleLogin")
                .and_then(|said| said.as_str())
                == Some("Failure");
        let (severity, said) = if refused {
            (META.severity.milder(), "tried to call")
        } else {
            (META.severity, "called")
        };
        let (name, from) = (call.name(), call.source_address());
        let mut found = Found::new(
            severity,
            format!("the root user {said} {name} from {from}"),
            vec![evidence(name, call.event_id(), "no use of root", at)],
        )
        .discriminator(if refused { "refused" } else { "" })
        .since(at)
        .propose(proposal(ActionKind::Investigate, []));
        found.expires = Some(STAYS_MS);
        Verdict::found(found)
    }
}
