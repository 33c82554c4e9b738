//! RequestPage: a question to the agents, and its answer as it comes together.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, Sent, answer, blocking, body, found, query};
use super::page::{Key, page};
use super::{Credential, Problem, Shared};
use crate::model::{AgentName, Answer, Subject, TaskKind, TaskStatus, Timestamp};

/// Accounts one request may name.
pub const ACCOUNTS_MAX: usize = 100;
/// Longest account id taken, in bytes; AWS's have 12.
const ACCOUNT_BYTES_MAX: usize = 64;
/// Longest subject that can be asked about, in characters.
const SUBJECT_CHARS_MAX: usize = 256;
/// Deadline unless asked otherwise, in milliseconds.
const DEADLINE_MS: i64 = 10_000;
/// Longest deadline, in milliseconds: a day.
const DEADLINE_MS_MAX: i64 = Timestamp::DAY;

/// A question.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["accounts"], "properties": {"accounts": {"minItems": 1}, "subject": {"type": "null"}}},
    {"required": ["subject"], "properties": {"accounts": {"maxItems": 0}, "subject": {"type": "string"}}},
]))]
pub(super) struct Ask {
    /// What is asked.
    kind: TaskKind,
    /// About which accounts; not together with `subject`.
    #[serde(default)]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 64), regex(pattern = r"^[0-9A-Za-z:_-]+$"))
    )]
    accounts: Vec<String>,
    /// About which resource: account/region/resource.
    #[serde(default)]
    #[schemars(with = "Option<AskedSubject>")]
    subject: Option<Subject>,
    /// Milliseconds from now until an answer is due, partial or not; 10,000 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400_000), with = "Option<i64>")]
    deadline_ms: Option<f64>,
}

/// The subjects a question may be about, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, transparent)]
#[allow(dead_code, reason = "stands for a schema")]
struct AskedSubject(
    #[schemars(length(max = 256), regex(pattern = r"^[0-9A-Za-z:_-]{1,64}/[^/]+/.+$"))] String,
);

/// Where the answer will be.
#[derive(Serialize, JsonSchema)]
pub(super) struct Taken {
    id: String,
    href: String,
}

/// A request to publish, as the API understood it.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked.
    pub kind: TaskKind,
    /// About which accounts; one of them when there is a subject.
    pub accounts: Vec<String>,
    /// About which resource.
    pub subject: Option<Subject>,
    /// Milliseconds until an answer is due.
    pub deadline_ms: i64,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// The deadline is not over and somebody has yet to answer.
    Waiting,
    /// Everybody asked has answered.
    Complete,
    /// The deadline is over; `missing` did not answer.
    Partial,
}

/// One agent's part in one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct AskedAgent {
    /// The account.
    pub account: String,
    /// The agent.
    pub agent: AgentName,
}

/// The coordinator's answer for one account.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AccountAnswer {
    /// The account.
    pub account: String,
    /// How it ended.
    pub status: TaskStatus,
    /// What was known.
    pub answer: Option<Answer>,
    /// What went wrong, or who is missing; empty when nothing.
    pub error: String,
    /// When.
    pub at: Timestamp,
}

/// A request with what came of it so far.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RequestRow {
    /// What it is called.
    pub id: String,
    /// What was asked.
    pub kind: TaskKind,
    /// About which accounts.
    pub accounts: Vec<String>,
    /// About which resource.
    pub subject: Option<Subject>,
    /// When it was asked.
    pub at: Timestamp,
    /// When an answer is due.
    pub deadline: Timestamp,
    /// How far it is.
    pub state: RequestState,
    /// Who was asked; empty until the coordinator gave out tasks.
    pub asked: Vec<AskedAgent>,
    /// Who has answered.
    pub answered: Vec<AskedAgent>,
    /// Who has not.
    pub missing: Vec<AskedAgent>,
    /// What the coordinator made of it, an account each.
    pub answer: Vec<AccountAnswer>,
}

/// One page of requests.
#[derive(Serialize, JsonSchema)]
pub(super) struct RequestPage {
    /// Rows that match, on all pages.
    total: usize,
    /// Where the next page begins; null on the last.
    next: Option<String>,
    requests: Vec<Arc<RequestRow>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Rows a page.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

fn question(ask: Ask) -> Result<Question, Problem> {
    let wrong = |text: String| Err(Problem::BODY.detail(text));
    let mut accounts: Vec<String> = BTreeSet::from_iter(ask.accounts).into_iter().collect();
    match &ask.subject {
        Some(subject) if accounts.is_empty() => accounts.push(subject.account().to_owned()),
        Some(_) => return wrong("name accounts or a subject, not both".to_owned()),
        None if accounts.is_empty() => {
            return wrong("name the accounts or the subject it is about".to_owned());
        }
        None => {}
    }
    if accounts.len() > ACCOUNTS_MAX {
        return wrong(format!(
            "{} accounts are more than the {ACCOUNTS_MAX} one request may name",
            accounts.len()
        ));
    }
    let sound = |account: &String| {
        !account.is_empty()
            && account.len() <= ACCOUNT_BYTES_MAX
            && account
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte))
    };
    if let Some(account) = accounts.iter().find(|account| !sound(account)) {
        return wrong(format!("{account:?} is no account"));
    }
    // JSON does not tell 5000 from 5000.0.
    let deadline_ms = ask.deadline_ms.unwrap_or(DEADLINE_MS as f64);
    if deadline_ms.fract() != 0.0 || !(1.0..=DEADLINE_MS_MAX as f64).contains(&deadline_ms) {
        return wrong(format!(
            "deadline_ms {deadline_ms} is no whole number from 1 to {DEADLINE_MS_MAX}"
        ));
    }
    let long = |subject: &Subject| subject.as_str().chars().count() > SUBJECT_CHARS_MAX;
    if ask.subject.as_ref().is_some_and(long) {
        return wrong(format!(
            "a subject asked about has at most {SUBJECT_CHARS_MAX} characters"
        ));
    }
    Ok(Question {
        kind: ask.kind,
        accounts,
        subject: ask.subject,
        deadline_ms: deadline_ms as i64,
    })
}

pub(super) async fn ask(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    sent: Sent<Ask>,
) -> Result<Response, Problem> {
    let question = question(body(sent)?)?;
    if let Some(account) = question
        .accounts
        .iter()
        .find(|account| !credential.reaches(account))
    {
        return Err(Problem::FORBIDDEN.detail(format!("account {account}")));
    }
    let permit = shared.publishing.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::BUSY)?;
    let id = blocking(move || {
        let _permit = permit;
        shared.service.ask(&question)
    })
    .await??;
    let href = format!("/api/v1/requests/{id}");
    Ok((StatusCode::ACCEPTED, axum::Json(Taken { id, href })).into_response())
}

fn reaches(credential: &Credential, row: &RequestRow) -> bool {
    row.accounts
        .iter()
        .all(|account| credential.reaches(account))
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Asked<Filter>,
) -> Result<Response, Problem> {
    let filter = query(asked)?;
    answer(move || {
        let mut rows = shared.service.requests()?;
        rows.retain(|row| reaches(&credential, row));
        let key = |row: &Arc<RequestRow>| Key::default().int(-row.at.ms()).text(&row.id);
        let page = page(rows, key, (filter.limit, filter.cursor.as_deref()))?;
        Ok(RequestPage {
            total: page.total,
            next: page.next,
            requests: page.rows,
        })
    })
    .await
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    id: Parts<String>,
) -> Result<Response, Problem> {
    found("request", id, move |id| {
        let row = shared.service.request(id)?;
        Ok(row.filter(|row| reaches(&credential, row)))
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/requests", list)
            .says("Requests", "Questions asked lately, newest first.")
            .query::<Filter>()
            .answers::<RequestPage>(200, "One page of them."),
        Endpoint::post("/api/v1/requests", ask)
            .says(
                "Requests",
                "Asks the agents: about accounts or about one resource.",
            )
            .body::<Ask>()
            .answers::<Taken>(202, "It is durable; the answer comes together there.")
            .refuses(&[400, 403, 413, 415, 422]),
        Endpoint::get("/api/v1/requests/{id}", one)
            .says("Requests", "One question and what came of it so far.")
            .part("id", "The request's id.")
            .answers::<RequestRow>(200, "It.")
            .refuses(&[404]),
    ]
}
