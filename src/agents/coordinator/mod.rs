//! The coordinator: joins the agents' findings into recommendations, and requests into answers.
//!
//! Keys and their roles:
//! * the **subject of a finding** lets the newest (epoch, seq) of it through (`gate`);
//! * the **owner** holds the open findings and derives the recommendations (`case`, `derive`);
//! * `audit/<account>` keeps the account's audit chain, so that it stays linear;
//! * `requests/<account>` bounds the open requests, `request/<id>` holds one (`requests`).
//!
//! What is recommended is a pure function of the findings that are open: state, findings, action,
//! severity, savings and ranking do not depend on the order messages came in. How often it changed
//! on the way (`cycle`, `revision`, `seq`) and when (`opened_at`, `at`) may:
//! [`Recommendation::content`](crate::model::Recommendation::content) leaves those out.
//!
//! Deliberately absent: waiting. A recommendation is published at once and revised later; whatever
//! acts on one waits until it is stable.

mod case;
mod conflicts;
mod derive;
mod gate;
mod priority;
mod requests;
mod state;
mod words;

pub use case::RETENTION_MS as RESOLVED_RETENTION_MS;
pub use gate::CLOSED_MAX;
pub use requests::{
    ANSWER_FINDINGS_MAX, ID_BYTES_MAX, OPEN_MAX as OPEN_REQUESTS_MAX, OPEN_MS_MAX,
    RETENTION_MS as ANSWERED_RETENTION_MS,
};
pub use state::{Note, State};

use super::{Agent, Capabilities, Input, Keys, Step, Trigger};
use crate::model::{
    AgentName, Approval, AuditRecord, Decision, Message, Subject, Timestamp, Topic,
};

type Effects = super::Effects<Note>;

/// The coordinator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coordinator;

const CAPABILITIES: Capabilities = Capabilities {
    name: AgentName::Coordinator,
    reads: &[
        Topic::FindingsResource,
        Topic::FindingsCost,
        Topic::FindingsSecurity,
        Topic::FindingsPerformance,
        Topic::Requests,
        Topic::Approvals,
        Topic::Results,
    ],
    writes: Topic::Recommendations,
    also_writes: &[Topic::Tasks, Topic::Results, Topic::Audit],
    tasks: &[],
};

impl Agent for Coordinator {
    type State = State;
    type Note = Note;

    const STATE_VERSION: u8 = 1;

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn route(&self, input: Input<'_>, keys: &mut Keys) {
        let Input::Message(message) = input else {
            return;
        };
        if !sound(message.account()) {
            return;
        }
        match message {
            Message::Finding(finding) => keys.push(finding.subject.clone()),
            Message::Tombstone(_, subject, _) => keys.push(subject.clone()),
            // Its own rows concern the owner's state, and change nothing when handled.
            Message::Recommendation(row) => keys.push(row.owner.clone()),
            Message::Request(request) => keys.push(requests::desk_key(&request.account)),
            // Its own answers come back on the topic it reads.
            Message::Result(result)
                if result.agent != AgentName::Coordinator
                    && result.request.len() <= ID_BYTES_MAX =>
            {
                keys.push(requests::request_key(&result.account, &result.request));
            }
            Message::Approval(approval) => keys.push(case::audit_key(approval.owner.account())),
            _ => {}
        }
    }

    fn handle(&self, step: Step<'_, Note>, state: &mut State, effects: &mut Effects) {
        let Step { trigger, key, now } = step;
        match trigger {
            Trigger::Input(Input::Fact(_)) => {}
            Trigger::Input(Input::Message(message)) => take(key, message, now, state, effects),
            Trigger::Note(Note::Join(finding)) => {
                case::join(key, finding, &mut state.case, effects);
            }
            Trigger::Note(Note::Leave(id, at)) => {
                case::leave(key, id, *at, &mut state.case, effects);
            }
            Trigger::Note(Note::Audit { what, about, at }) => {
                link(key.account(), (what, about), *at, state, effects);
            }
            Trigger::Note(Note::Ask(request)) => requests::ask(request, now, state, effects),
            Trigger::Note(Note::Answered(id)) => requests::close(id, state, effects),
            Trigger::Wake if state.request.is_some() => requests::wake(now, state, effects),
            Trigger::Wake => case::wake(key, now, &mut state.case, effects),
        }
    }

    fn row(&self, state: &State, key: &str) -> Option<Message> {
        let row = case::row(&state.case, key)?;
        Some(Message::Recommendation(Box::new(row.clone())))
    }

    fn adopt(&self, state: &mut State, row: &Message) -> bool {
        match row {
            Message::Recommendation(row) => case::adopt(&mut state.case, row),
            _ => false,
        }
    }

    fn withdraw(&self, row: &Message, now: Timestamp) -> Option<Message> {
        match row {
            Message::Recommendation(row) => {
                case::withdraw(row, now).map(|row| Message::Recommendation(Box::new(row)))
            }
            _ => None,
        }
    }
}

/// Whether keys can be made with this account: it neither is empty nor contains the separator.
fn sound(account: &str) -> bool {
    !account.is_empty() && !account.contains('/')
}

fn take(
    key: &Subject,
    message: &Message,
    now: Timestamp,
    state: &mut State,
    effects: &mut Effects,
) {
    match message {
        Message::Finding(finding) => gate::take(key, finding, state, effects),
        Message::Tombstone(_, _, id) => gate::forget_row(key, id, now, state, effects),
        Message::Request(request) => requests::admit(request, now, state, effects),
        Message::Result(result) => requests::reply_taken(result, now, state, effects),
        Message::Approval(approval) => {
            let what = word(approval);
            let about = approval.recommendation.as_str();
            link(key.account(), (&what, about), approval.at, state, effects);
        }
        _ => {}
    }
}

/// A person's word as the audit trail keeps it.
fn word(approval: &Approval) -> String {
    let decision = match approval.decision {
        Decision::Approve => "approve",
        Decision::Reject => "reject",
        Decision::Snooze => "snooze",
    };
    format!(
        "{decision} received from {}: cycle {}, revision {}, digest {}",
        approval.person, approval.cycle, approval.revision, approval.digest
    )
}

/// Adds a record to the account's chain.
fn link(
    account: &str,
    what: (&str, &str),
    at: Timestamp,
    state: &mut State,
    effects: &mut Effects,
) {
    let chain = &mut state.chain;
    let end = (chain.seq + 1, chain.hash.as_str());
    let record = AuditRecord::link(AgentName::Coordinator, account, end, what, at);
    chain.seq = record.seq;
    chain.hash.clone_from(&record.hash);
    effects.dirty = true;
    effects.publish.push(Message::Audit(Box::new(record)));
}
