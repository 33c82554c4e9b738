//! Record headers after the `CloudEvents` Kafka binding, binary mode.
//!
//! Ids are derived: a replay that publishes a row again publishes it under the same id unless
//! its version differs, so consumers may drop repeats by `(ce_source, ce_id)`.

use super::{AgentName, Message, derive_hex};

/// What our events' types begin with.
const TYPE_PREFIX: &str = "skyherd.";

/// The headers of a message published by `agent`: `ce_specversion`, `ce_type`, `ce_source`,
/// `ce_id`, `ce_subject`, and with a time `ce_time`, with a payload `content-type`.
pub fn cloud_event_headers(message: &Message, agent: AgentName) -> Vec<(String, Vec<u8>)> {
    let (kind, subject, id) = identity(message);
    let mut headers = Vec::with_capacity(7);
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    add("ce_specversion", "1.0".to_owned());
    add("ce_type", format!("{TYPE_PREFIX}{kind}"));
    add("ce_source", format!("/skyherd/{agent}"));
    add("ce_id", id);
    if !subject.is_empty() {
        add("ce_subject", subject.to_owned());
    }
    if let Some(at) = message.at() {
        add("ce_time", at.to_string());
    }
    if !matches!(message, Message::Tombstone(..)) {
        add("content-type", "application/json".to_owned());
    }
    headers
}

/// Type, subject and id of this very message: two versions of a row have two ids.
fn identity(message: &Message) -> (&'static str, &str, String) {
    match message {
        Message::Facts(facts) => {
            let subject = facts.first().map_or("", |fact| fact.subject.as_str());
            let at = message.at().map_or(0, super::Timestamp::ms).to_string();
            ("facts", subject, derive_hex(&["facts", subject, &at]))
        }
        Message::Finding(row) => (
            "finding",
            row.subject.as_str(),
            version("finding", row.id.as_str(), row.epoch, row.seq),
        ),
        Message::Recommendation(row) => (
            "recommendation",
            row.owner.as_str(),
            version("recommendation", row.id.as_str(), row.epoch, row.seq),
        ),
        Message::Request(request) => (
            "request",
            request
                .subject
                .as_ref()
                .map_or(request.account.as_str(), super::Subject::as_str),
            derive_hex(&["request", &request.id]),
        ),
        Message::Approval(approval) => (
            "approval",
            approval.owner.as_str(),
            derive_hex(&[
                "approval",
                approval.recommendation.as_str(),
                &approval.digest,
                &approval.person,
                &approval.at.ms().to_string(),
            ]),
        ),
        Message::Task(task) => (
            "task",
            task.subject
                .as_ref()
                .map_or(task.account.as_str(), super::Subject::as_str),
            derive_hex(&["task", &task.id]),
        ),
        Message::Result(result) => (
            "result",
            result.account.as_str(),
            derive_hex(&[
                "result",
                &result.task,
                result.agent.as_str(),
                &result.at.ms().to_string(),
            ]),
        ),
        _ => change(message),
    }
}

/// As [`identity`], for what follows an approval.
fn change(message: &Message) -> (&'static str, &str, String) {
    match message {
        Message::Action(action) => (
            "action",
            action.target.as_str(),
            derive_hex(&["action", &action.id]),
        ),
        Message::Outcome(outcome) => (
            "outcome",
            outcome.target.as_str(),
            derive_hex(&["outcome", &outcome.action, &outcome.at.ms().to_string()]),
        ),
        Message::Workflow(step) => (
            "workflow-step",
            step.subject.as_str(),
            version("workflow-step", &step.workflow, 0, step.seq),
        ),
        Message::Audit(record) => (
            "audit",
            record.account.as_str(),
            derive_hex(&["audit", &record.hash]),
        ),
        Message::Tombstone(topic, subject, key) => (
            "tombstone",
            subject.as_str(),
            derive_hex(&["tombstone", topic.as_str(), key]),
        ),
        _ => ("message", "", derive_hex(&["message", message.key()])),
    }
}

fn version(kind: &str, id: &str, epoch: u64, seq: u64) -> String {
    derive_hex(&[kind, id, &epoch.to_string(), &seq.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Request, TaskKind, Timestamp};

    fn request(id: &str) -> Message {
        Message::Request(Box::new(Request {
            id: id.to_owned(),
            kind: TaskKind::Assess,
            account: "111122223333".into(),
            subject: None,
            at: Timestamp::from_ms(0),
            deadline: Timestamp::from_ms(1),
        }))
    }

    fn header(message: &Message, name: &str) -> String {
        let headers = cloud_event_headers(message, AgentName::Coordinator);
        let found = headers.into_iter().find(|(key, _)| key == name);
        String::from_utf8(found.expect("the header is there").1).expect("text")
    }

    #[test]
    fn headers_name_type_source_and_time() {
        let message = request("r-1");
        assert_eq!(header(&message, "ce_specversion"), "1.0");
        assert_eq!(header(&message, "ce_type"), "skyherd.request");
        assert_eq!(header(&message, "ce_source"), "/skyherd/coordinator");
        assert_eq!(header(&message, "ce_time"), "1970-01-01T00:00:00Z");
        assert_eq!(header(&message, "content-type"), "application/json");
    }

    #[test]
    fn equal_messages_have_equal_ids_and_others_do_not() {
        let id = |message: &Message| header(message, "ce_id");
        assert_eq!(id(&request("r-1")), id(&request("r-1")));
        assert_ne!(id(&request("r-1")), id(&request("r-2")));
    }
}
