//! Requests: one task an agent that can, the results joined, an answer by the deadline.
//!
//! The desk of an account bounds how many requests are open; each request has its own key.

use std::collections::BTreeMap;

use super::Effects;
use super::state::{Asked, Note, Part, State};
use crate::model::{
    AgentName, Answer, Attempt, FindingId, Message, Request, Subject, Task, TaskKind, TaskResult,
    TaskStatus, Timestamp, derive_hex,
};

/// Requests an account may have open at once.
pub const OPEN_MAX: usize = 100;
/// Longest request id, in bytes: it becomes part of a key.
pub const ID_BYTES_MAX: usize = 256;
/// Longest time a request stays open, whatever its deadline: one day.
pub const OPEN_MS_MAX: i64 = Timestamp::DAY;
/// How long an answered request is remembered to recognise a repeat: 7 days.
pub const RETENTION_MS: i64 = 7 * Timestamp::DAY;
/// Findings one answer lists.
pub const ANSWER_FINDINGS_MAX: usize = 500;

/// Who can do what.
pub(super) fn capable(kind: TaskKind) -> &'static [AgentName] {
    use AgentName::{Cost, Performance, Resource, Security};
    match kind {
        TaskKind::Assess => &[Resource, Cost, Security, Performance],
        TaskKind::Optimize => &[Resource, Cost, Performance],
        TaskKind::Security => &[Security],
        TaskKind::Compliance => &[Resource, Security],
        TaskKind::Cost | TaskKind::Budget => &[Cost],
        TaskKind::Provision => &[Resource],
    }
}

/// The key at which an account's open requests are counted.
pub(super) fn desk_key(account: &str) -> Subject {
    Subject::new(account, "global", &format!("requests/{account}"))
}

/// The key of one request.
pub(super) fn request_key(account: &str, id: &str) -> Subject {
    Subject::new(account, "global", &format!("request/{id}"))
}

/// At the desk: lets a request in, once while it is open.
pub(super) fn admit(request: &Request, now: Timestamp, state: &mut State, effects: &mut Effects) {
    let refusal = if request.id.is_empty() || request.id.len() > ID_BYTES_MAX {
        format!("a request's id has 1 to {ID_BYTES_MAX} bytes; choose another")
    } else if let Some(subject) = request
        .subject
        .as_ref()
        .filter(|subject| subject.account() != request.account)
    {
        format!(
            "{subject} is not of account {}; ask that account",
            request.account
        )
    } else if state.desk.contains(&request.id) {
        return;
    } else if state.desk.len() >= OPEN_MAX {
        format!("{OPEN_MAX} requests are open in this account; ask again once one is answered")
    } else {
        effects.dirty = true;
        state.desk.insert(request.id.clone());
        let key = request_key(&request.account, &request.id);
        let note = Note::Ask(Box::new(request.clone()));
        effects.notes.push((key, note));
        return;
    };
    let answer = Answer {
        summary: refusal.clone(),
        findings: Vec::new(),
    };
    let reply = reply(
        request,
        TaskStatus::Refused,
        answer,
        refusal,
        Vec::new(),
        now,
    );
    effects.publish.push(reply);
}

/// At the desk: a request is answered.
pub(super) fn close(id: &str, state: &mut State, effects: &mut Effects) {
    effects.dirty |= state.desk.remove(id);
}

/// At the request: gives each capable agent its task, once in the request's life.
pub(super) fn ask(request: &Request, now: Timestamp, state: &mut State, effects: &mut Effects) {
    if let Some(asked) = &state.request {
        if asked.answered_at.is_some() {
            effects.notes.push(answered(request));
        }
        return;
    }
    effects.dirty = true;
    let latest = request.at.max(now).plus(OPEN_MS_MAX);
    let deadline = request.deadline.min(latest);
    let mut parts = BTreeMap::new();
    for agent in capable(request.kind).iter().copied() {
        let task = Task {
            id: task_id(request, agent),
            request: request.id.clone(),
            agent,
            kind: request.kind,
            account: request.account.clone(),
            subject: request.subject.clone(),
            route: Vec::new(),
            at: request.at,
            deadline,
        };
        let part = Part {
            agent,
            result: None,
        };
        parts.insert(task.id.clone(), part);
        effects.publish.push(Message::Task(Box::new(task)));
    }
    state.request = Some(Asked {
        request: request.clone(),
        parts,
        answered_at: None,
    });
    effects.wake = Some(Some(deadline));
}

/// At the request: takes an agent's reply; the last one completes the answer. Of several replies
/// to a task the one of the newest owner counts.
pub(super) fn reply_taken(
    result: &TaskResult,
    now: Timestamp,
    state: &mut State,
    effects: &mut Effects,
) {
    let Some(asked) = state.request.as_mut() else {
        return;
    };
    if asked.answered_at.is_some() || result.status == TaskStatus::Delegated {
        // A delegated task is answered by the agent it went to, under the same id.
        return;
    }
    let Some(part) = asked.parts.get_mut(&result.task) else {
        return;
    };
    if part
        .result
        .as_ref()
        .is_some_and(|held| held.epoch >= result.epoch)
    {
        return;
    }
    part.result = Some(result.clone());
    effects.dirty = true;
    if asked.parts.values().all(|part| part.result.is_some()) {
        conclude(asked, now, effects);
    }
}

/// At the request: the deadline has come, or the answer has been kept long enough.
pub(super) fn wake(now: Timestamp, state: &mut State, effects: &mut Effects) {
    let Some(asked) = state.request.as_mut() else {
        return;
    };
    effects.dirty = true;
    if asked.answered_at.is_none() {
        conclude(asked, now, effects);
    } else {
        state.request = None;
        effects.wake = Some(None);
    }
}

fn conclude(asked: &mut Asked, now: Timestamp, effects: &mut Effects) {
    let request = &asked.request;
    let mut parts: Vec<&Part> = asked.parts.values().collect();
    parts.sort_by_key(|part| part.agent);
    let missing: Vec<&str> = parts
        .iter()
        .filter(|part| part.result.is_none())
        .map(|part| part.agent.as_str())
        .collect();
    let results: Vec<&TaskResult> = parts
        .iter()
        .filter_map(|part| part.result.as_ref())
        .collect();
    let any = |status| results.iter().any(|result| result.status == status);
    let status = if any(TaskStatus::Done) {
        TaskStatus::Done
    } else if any(TaskStatus::Failed) || !missing.is_empty() {
        TaskStatus::Failed
    } else {
        TaskStatus::Refused
    };
    let error = if missing.is_empty() {
        String::new()
    } else {
        format!("no answer by the deadline from {}", missing.join(", "))
    };
    let answer = join(parts.len(), &results, &error);
    let route = results.iter().map(|result| result.agent).collect();
    effects
        .publish
        .push(reply(request, status, answer, error, route, now));
    effects.notes.push(answered(request));
    effects.wake = Some(Some(now.plus(RETENTION_MS)));
    asked.answered_at = Some(now);
}

/// What came from whom, in the order of the agents.
fn join(asked: usize, results: &[&TaskResult], missing: &str) -> Answer {
    let mut summary = format!("{} of {asked} agents answered", results.len());
    if !missing.is_empty() {
        summary.extend(["; ", missing]);
    }
    summary.push('.');
    let mut findings: BTreeMap<&FindingId, String> = BTreeMap::new();
    for result in results {
        let said = match (&result.answer, result.status) {
            (Some(answer), _) => answer.summary.as_str(),
            (None, TaskStatus::Failed) => "failed",
            (None, _) => "cannot",
        };
        let said = said.trim_end_matches('.');
        summary.extend([" ", result.agent.as_str(), ": ", said, "."]);
        for (id, why) in result.answer.iter().flat_map(|answer| &answer.findings) {
            let line = format!("{}: {why}", result.agent);
            findings.entry(id).or_insert(line);
        }
    }
    let more = findings.len().saturating_sub(ANSWER_FINDINGS_MAX);
    if more > 0 {
        summary.extend([" ", &more.to_string(), " more findings are not listed."]);
    }
    Answer {
        summary,
        findings: findings
            .into_iter()
            .take(ANSWER_FINDINGS_MAX)
            .map(|(id, why)| (id.clone(), why))
            .collect(),
    }
}

fn answered(request: &Request) -> (Subject, Note) {
    (
        desk_key(&request.account),
        Note::Answered(request.id.clone()),
    )
}

fn task_id(request: &Request, agent: AgentName) -> String {
    derive_hex(&["task", &request.account, &request.id, agent.as_str()])
}

fn reply(
    request: &Request,
    status: TaskStatus,
    answer: Answer,
    error: String,
    route: Vec<AgentName>,
    now: Timestamp,
) -> Message {
    Message::Result(Box::new(TaskResult {
        task: task_id(request, AgentName::Coordinator),
        request: request.id.clone(),
        agent: AgentName::Coordinator,
        account: request.account.clone(),
        status,
        answer: Some(answer),
        attempts: vec![Attempt { at: now, error }],
        route,
        at: now,
        epoch: 0,
    }))
}
