//! Requests and what came of them, from `requests`, `tasks` and `results`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::http::{AccountAnswer, AskedAgent, Change, RequestRow, RequestState};
use crate::model::{AgentName, Request, Task, TaskResult, TaskStatus, Timestamp};

/// Requests kept; the oldest heard of goes first.
const REQUESTS_MAX: usize = 1_000;
/// Accounts kept of one request.
const ACCOUNTS_MAX: usize = crate::http::ACCOUNTS_MAX;

/// One request, asked of one or several accounts under one id.
#[derive(Default)]
struct Ask {
    requests: BTreeMap<String, Request>,
    asked: BTreeSet<AskedAgent>,
    results: BTreeMap<AskedAgent, TaskResult>,
}

/// Requests by id.
#[derive(Default)]
pub(super) struct Asks {
    known: BTreeMap<String, Ask>,
    order: VecDeque<String>,
}

impl Asks {
    fn entry(&mut self, id: &str) -> &mut Ask {
        if !self.known.contains_key(id) {
            self.order.push_back(id.to_owned());
            if self.order.len() > REQUESTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(id.to_owned()).or_default()
    }

    pub(super) fn take_request(&mut self, request: Request, now: Timestamp) -> Option<Change> {
        let id = request.id.clone();
        let ask = self.entry(&id);
        if ask.requests.len() < ACCOUNTS_MAX {
            ask.requests
                .entry(request.account.to_string())
                .or_insert(request);
        }
        self.change(&id, now)
    }

    pub(super) fn take_task(&mut self, task: &Task, now: Timestamp) -> Option<Change> {
        let ask = self.known.get_mut(&task.request)?;
        let part = AskedAgent {
            account: task.account.to_string(),
            agent: task.agent,
        };
        // A task handed on is the former agent's no more.
        if let Some(before) = task.route.last() {
            ask.asked.remove(&AskedAgent {
                agent: *before,
                ..part.clone()
            });
        }
        if ask.requests.contains_key(&part.account) && ask.asked.insert(part) {
            return self.change(&task.request, now);
        }
        None
    }

    pub(super) fn take_result(&mut self, result: TaskResult, now: Timestamp) -> Option<Change> {
        let ask = self.known.get_mut(&result.request)?;
        if result.status == TaskStatus::Delegated {
            return None;
        }
        let part = AskedAgent {
            account: result.account.to_string(),
            agent: result.agent,
        };
        if !ask.requests.contains_key(&part.account) {
            return None;
        }
        let id = result.request.clone();
        let newer = ask
            .results
            .get(&part)
            .is_none_or(|known| known.epoch <= result.epoch);
        if newer {
            ask.results.insert(part, result);
            return self.change(&id, now);
        }
        None
    }

    fn change(&self, id: &str, now: Timestamp) -> Option<Change> {
        let row = self.row(id, now)?;
        Some(Change {
            kind: "request",
            accounts: row.accounts.clone(),
            data: serde_json::to_string(&*row).ok()?.into(),
        })
    }

    pub(super) fn rows(&self, now: Timestamp) -> Vec<Arc<RequestRow>> {
        let ids = self.known.keys();
        ids.filter_map(|id| self.row(id, now)).collect()
    }

    pub(super) fn row(&self, id: &str, now: Timestamp) -> Option<Arc<RequestRow>> {
        self.known.get(id)?.row(now).map(Arc::new)
    }
}

impl Ask {
    fn row(&self, now: Timestamp) -> Option<RequestRow> {
        let first = self.requests.values().next()?;
        let deadline = self
            .requests
            .values()
            .map(|request| request.deadline)
            .max()?;
        let answers: Vec<AccountAnswer> = self
            .results
            .iter()
            .filter(|(part, _)| part.agent == AgentName::Coordinator)
            .map(|(part, result)| AccountAnswer {
                account: part.account.clone(),
                status: result.status,
                answer: result.answer.clone(),
                error: result
                    .attempts
                    .last()
                    .map(|attempt| attempt.error.clone())
                    .unwrap_or_default(),
                at: result.at,
            })
            .collect();
        let answered: BTreeSet<AskedAgent> = self
            .results
            .keys()
            .filter(|part| part.agent != AgentName::Coordinator)
            .cloned()
            .collect();
        let mut missing: Vec<AskedAgent> = self.asked.difference(&answered).cloned().collect();
        let over = now >= deadline;
        let silent = self
            .requests
            .keys()
            .filter(|account| answers.iter().all(|answer| answer.account != **account));
        let coordinator: Vec<AskedAgent> = silent
            .map(|account| AskedAgent {
                account: account.clone(),
                agent: AgentName::Coordinator,
            })
            .collect();
        let done = coordinator.is_empty();
        if over {
            missing.extend(coordinator);
        }
        let state = match (done, missing.is_empty()) {
            (true, true) => RequestState::Complete,
            (true, false) => RequestState::Partial,
            (false, _) if over => RequestState::Partial,
            (false, _) => RequestState::Waiting,
        };
        Some(RequestRow {
            id: first.id.clone(),
            kind: first.kind,
            accounts: self.requests.keys().cloned().collect(),
            subject: first.subject.clone(),
            at: first.at,
            deadline,
            state,
            asked: self.asked.iter().cloned().collect(),
            answered: answered.into_iter().collect(),
            missing,
            answer: answers,
        })
    }
}
