//! Tasks: taken once, tried a bounded number of times, or handed on.

use serde::{Deserialize, Serialize};

use super::edges::Turn;
use super::state::DomainState;
use super::{DomainAgent, account_subject, capabilities};
use crate::model::{
    AgentName, Answer, Attempt, Message, Subject, Task, TaskKind, TaskResult, TaskStatus,
    Timestamp, Topic,
};

/// Tries before a task is given up.
pub const ATTEMPTS_MAX: usize = 3;
/// Wait after the first failed try, doubled after each further one, in milliseconds.
pub const BACKOFF_BASE_MS: i64 = Timestamp::SECOND;
/// Longest wait between tries.
const BACKOFF_LIMIT_MS: i64 = Timestamp::MINUTE;
/// Tasks remembered under one key; the oldest finished one makes room.
const TASKS_MAX: usize = 32;

/// Why a try failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TaskError {
    /// Whether another try may succeed.
    pub retryable: bool,
    /// For a person.
    pub reason: String,
}

/// How an agent carries out tasks. Pure, as everything an agent does.
pub trait TaskHandler: Send + Sync {
    /// Whether the agent can answer this kind.
    fn can_handle(&self, kind: TaskKind) -> bool;
    /// Who can instead.
    fn delegate(&self, kind: TaskKind) -> Option<AgentName>;
    /// Answers from what is remembered.
    fn execute(
        &self,
        task: &Task,
        state: &DomainState,
        now: Timestamp,
    ) -> Result<Answer, TaskError>;
}

/// Answers with open findings, by the agent's capabilities.
pub(super) struct Standard {
    name: AgentName,
}

impl Standard {
    pub(super) fn new(name: AgentName) -> Self {
        Self { name }
    }
}

impl TaskHandler for Standard {
    fn can_handle(&self, kind: TaskKind) -> bool {
        capabilities(self.name).tasks.contains(&kind)
    }

    fn delegate(&self, kind: TaskKind) -> Option<AgentName> {
        AgentName::ALL
            .into_iter()
            .find(|name| *name != self.name && capabilities(*name).tasks.contains(&kind))
    }

    fn execute(
        &self,
        task: &Task,
        state: &DomainState,
        _now: Timestamp,
    ) -> Result<Answer, TaskError> {
        let rows: Vec<_> = state.open_rows().filter(|row| row.counts()).collect();
        let (findings, about): (Vec<_>, _) = match &task.subject {
            Some(subject) => (
                rows.iter()
                    .map(|row| (row.id.clone(), format!("{}: {}", row.rule, row.why)))
                    .collect(),
                subject.as_str(),
            ),
            None => (state.index_findings(), task.account.as_str()),
        };
        let summary = match findings.len() {
            // Whoever joins answers names the agent.
            0 => format!("nothing open on {about}"),
            1 => format!("one finding open on {about}"),
            count => format!("{count} findings open on {about}"),
        };
        Ok(Answer { summary, findings })
    }
}

/// A task taken, with its result when it has one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct TaskMemory {
    /// The task.
    pub task: Task,
    /// Every try.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// When to try again.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub result: Option<TaskResult>,
}

/// The subject whose memory a task concerns.
pub(super) fn key(task: &Task) -> Subject {
    match &task.subject {
        Some(subject) if subject.account() == task.account.as_str() => subject.clone(),
        _ => account_subject(&task.account),
    }
}

fn backoff_ms(failures: usize) -> i64 {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(30);
    (BACKOFF_BASE_MS << doublings).min(BACKOFF_LIMIT_MS)
}

impl DomainAgent {
    pub(super) fn topic(&self) -> Topic {
        Topic::written_by(self.name)
    }
}

impl Turn<'_> {
    /// Takes a task, or tells the result of one taken before.
    pub(super) fn take_task(&mut self, task: &Task) {
        if task.agent != self.agent.name {
            return;
        }
        if let Some(known) = self
            .state
            .tasks
            .iter()
            .find(|known| known.task.id == task.id)
        {
            if let Some(result) = &known.result {
                self.effects
                    .publish
                    .push(Message::Result(Box::new(result.clone())));
            }
            return;
        }
        if self.state.tasks.len() >= TASKS_MAX {
            let oldest = self
                .state
                .tasks
                .iter()
                .position(|known| known.result.is_some());
            self.state.tasks.remove(oldest.unwrap_or(0));
        }
        self.effects.dirty = true;
        self.state.tasks.push(TaskMemory {
            task: task.clone(),
            attempts: Vec::new(),
            next: None,
            result: None,
        });
        let index = self.state.tasks.len() - 1;
        if self.agent.handler.can_handle(task.kind) {
            self.attempt(index, self.now);
        } else {
            self.hand_on(index);
        }
    }

    fn hand_on(&mut self, index: usize) {
        let mut task = self.state.tasks[index].task.clone();
        task.route.push(self.agent.name);
        let next = self
            .agent
            .handler
            .delegate(task.kind)
            .filter(|next| !task.route.contains(next) && task.route.len() < Task::HOPS_MAX);
        let status = match next {
            Some(next) => {
                task.agent = next;
                task.at = self.now;
                self.effects.publish.push(Message::Task(Box::new(task)));
                TaskStatus::Delegated
            }
            None => TaskStatus::Refused,
        };
        self.conclude(index, status, None, self.now);
    }

    /// Tries every task whose time has come, as often as its waits have passed.
    pub(super) fn retry_tasks(&mut self) {
        for index in 0..self.state.tasks.len() {
            while let Some(at) = self.state.tasks[index].next.filter(|at| *at <= self.now) {
                self.attempt(index, at);
            }
        }
    }

    fn attempt(&mut self, index: usize, at: Timestamp) {
        self.effects.dirty = true;
        let outcome = {
            let known = &self.state.tasks[index];
            self.agent.handler.execute(&known.task, self.state, at)
        };
        let known = &mut self.state.tasks[index];
        known.next = None;
        let error = outcome
            .as_ref()
            .err()
            .map(|error| error.reason.clone())
            .unwrap_or_default();
        known.attempts.push(Attempt { at, error });
        let tries = known.attempts.len();
        match outcome {
            Ok(answer) => self.conclude(index, TaskStatus::Done, Some(answer), at),
            Err(error) => {
                let next = at.plus(backoff_ms(tries));
                let again = error.retryable && tries < ATTEMPTS_MAX && next <= known.task.deadline;
                if again {
                    known.next = Some(next);
                } else {
                    self.conclude(index, TaskStatus::Failed, None, at);
                }
            }
        }
    }

    fn conclude(
        &mut self,
        index: usize,
        status: TaskStatus,
        answer: Option<Answer>,
        at: Timestamp,
    ) {
        let known = &mut self.state.tasks[index];
        let mut route = known.task.route.clone();
        route.push(self.agent.name);
        let result = TaskResult {
            task: known.task.id.clone(),
            request: known.task.request.clone(),
            agent: self.agent.name,
            account: known.task.account.clone(),
            status,
            answer,
            attempts: known.attempts.clone(),
            route,
            at,
            epoch: 0,
        };
        known.result = Some(result.clone());
        self.effects.publish.push(Message::Result(Box::new(result)));
    }
}
