#![doc = include_str!("retirement_scheduled.md")]

use crate::model::{ActionKind, AgentName, Event, EventKind, Severity, Timestamp};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Nearer than this the finding is high (catalogue).
const SOON_MS: i64 = 7 * Timestamp::DAY;
/// Event types that end or stop an instance (AWS Health, EC2 event types).
const TYPES: [&str; 3] = [
    "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
    "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
    "AWS_EC2_INSTANCE_STOP_SCHEDULED",
];

static META: Meta = Meta {
    id: "RES-LIFE-3",
    title: "Instance is scheduled to be retired",
    agent: AgentName::Resource,
    severity: Severity::High,
    needs: Needs {
        subjects: &["instance"],
        events: &[EventKind::Health],
        ..Needs::NONE
    },
    permissions: &["events:PutRule", "health:DescribeEvents"],
    controls: &[],
    remediation: "Stop and start the instance before the date, so that it moves to other hardware.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: true,
    page: include_str!("retirement_scheduled.md"),
};

/// RES-LIFE-3.
pub struct RetirementScheduled;

fn text<'a>(event: &'a Event, field: &str) -> &'a str {
    let field = event.detail.get(field);
    field
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

impl Rule for RetirementScheduled {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn wants(&self, event: &Event) -> bool {
        TYPES.contains(&text(event, "eventTypeCode")) && text(event, "statusCode") != "closed"
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some((event, at)) = case.event.filter(|(event, _)| self.wants(event)) else {
            return Verdict::Silent;
        };
        let Ok(due) = Timestamp::parse(text(event, "startTime")) else {
            return Verdict::Silent;
        };
        let severity = if due.since(at) < SOON_MS {
            META.severity
        } else {
            META.severity.milder()
        };
        let mut found = Found::new(
            severity,
            format!("AWS retires the hardware under it at {due}"),
            vec![evidence(
                text(event, "eventTypeCode"),
                due.to_string(),
                "no retirement",
                at,
            )],
        )
        .since(at)
        .propose(proposal(ActionKind::Recover, [("before", due.to_string())]));
        found.expires = Some(due.since(at));
        Verdict::found(found)
    }
}
