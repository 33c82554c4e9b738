//! The routes.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Credential, Inspected, Problem, Shared, Stored, TaskStatus};
use crate::model::{Recommendation, RecommendationState, Topic};
use crate::ports::PortError;

/// Recommendations answered unless asked otherwise.
const LIMIT: usize = 100;
/// Most recommendations or records of one answer.
const LIMIT_MAX: usize = 1_000;
/// Tasks named in a not-ready answer; the rest is counted.
const NAMED_MAX: usize = 20;

/// Runs what may block off the asynchronous threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::BROKEN)
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Transient(text) => Self::UNAVAILABLE.detail(text),
            PortError::Lost(text) | PortError::Fatal(text) => Self::BROKEN.detail(text),
        }
    }
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(value)| value)
        .map_err(|error| Problem::QUERY.detail(error.body_text()))
}

fn limit(asked: Option<usize>, default: usize) -> Result<usize, Problem> {
    match asked.unwrap_or(default) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => Err(Problem::QUERY.detail(format!("limit {limit} is not 1 to {LIMIT_MAX}"))),
    }
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let text = blocking(move || shared.service.metrics().render()).await?;
    let form = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((form, text).into_response())
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    quiesced: Option<String>,
}

pub(super) async fn readyz(
    State(shared): State<Shared>,
    asked: Result<Query<Ready>, QueryRejection>,
) -> Result<Response, Problem> {
    let quiesced = query(asked)?.quiesced.is_some_and(|value| value != "false");
    let tasks = match blocking(move || shared.service.status(quiesced)).await? {
        Ok(tasks) => tasks,
        // A worker too busy to answer is not ready; that is no failure of the request.
        Err(error) => return Ok(readiness(&[], &[error.to_string()])),
    };
    let missing = missing(&tasks, quiesced);
    Ok(readiness(&tasks, &missing))
}

fn readiness(tasks: &[TaskStatus], missing: &[String]) -> Response {
    let status = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": missing.is_empty(),
        "tasks": tasks.len(),
        "live": tasks.iter().filter(|task| task.live).count(),
        "parked": tasks.iter().filter(|task| task.parked).count(),
        "lag": tasks.iter().map(|task| task.lag).sum::<u64>(),
        "missing": missing,
    });
    (status, axum::Json(body)).into_response()
}

/// What keeps the process from being ready, or quiesced.
fn missing(tasks: &[TaskStatus], quiesced: bool) -> Vec<String> {
    let mut missing = Vec::new();
    if tasks.is_empty() {
        missing.push("no task is assigned to this process yet".to_owned());
    }
    for status in tasks {
        let mut lacks = Vec::new();
        if status.parked {
            lacks.push("parked".to_owned());
        }
        if !status.live {
            lacks.push("not live".to_owned());
        }
        if quiesced && status.lag > 0 {
            lacks.push(format!("{} records behind", status.lag));
        }
        if quiesced && status.dirty {
            lacks.push("not saved".to_owned());
        }
        if quiesced && status.wake_due {
            lacks.push("a wake is due".to_owned());
        }
        if !lacks.is_empty() {
            missing.push(format!("{}: {}", status.task, lacks.join(", ")));
        }
    }
    if missing.len() > NAMED_MAX {
        let more = missing.len() - NAMED_MAX;
        missing.truncate(NAMED_MAX);
        missing.push(format!("and {more} more"));
    }
    missing
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    topic: Option<String>,
}

fn topic_named(name: &str) -> Result<Topic, Problem> {
    Topic::parse(name).ok_or_else(|| Problem::TOPIC.detail(format!("{name:?}")))
}

/// Whether the outside may publish to the topic; agents' own topics are theirs.
pub fn open_to_all(topic: Topic) -> bool {
    Topic::RAW.contains(&topic) || matches!(topic, Topic::Requests | Topic::Approvals)
}

pub(super) async fn publish(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Result<Query<Publish>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let name = query(asked)?.topic;
    let topic = name.map_or(Ok(Topic::AwsEvents), |name| topic_named(&name))?;
    if !open_to_all(topic) {
        return Err(Problem::TOPIC_CLOSED.detail(topic.as_str()));
    }
    // Also what keeps other sites' forms out: a browser cannot send this type unasked.
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        return Err(Problem::MEDIA);
    }
    let body = body.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::TOO_LARGE
        }
        other => Problem::UNREADABLE.detail(other.body_text()),
    })?;
    // Whole seconds may pass until a record is durable; the bound keeps waiting threads few.
    let permit = shared
        .publishing
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::BUSY)?;
    blocking(move || {
        let _permit = permit;
        store(&shared, &credential, topic, &body)
    })
    .await?
}

/// Decodes first, so that what is answered 202 is a record the agents can read.
fn store(
    shared: &Shared,
    credential: &Credential,
    topic: Topic,
    body: &[u8],
) -> Result<Response, Problem> {
    let inspected = shared.service.inspect(topic, body);
    match inspected.map_err(|error| Problem::UNDECODABLE.detail(error.to_string()))? {
        Inspected::Ignored(reason) => {
            let answer = json!({ "stored": false, "ignored": reason });
            Ok((StatusCode::OK, axum::Json(answer)).into_response())
        }
        Inspected::Owned(account) => {
            if !credential.reaches(&account) {
                return Err(Problem::FORBIDDEN.detail(format!("account {account}")));
            }
            let partition = shared.service.publish(topic, &account, body)?;
            let answer = json!({
                "stored": true,
                "topic": topic.as_str(),
                "partition": partition,
            });
            Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: Option<String>,
    owner: Option<String>,
    limit: Option<usize>,
}

/// The name of a state as messages spell it.
fn state_named(name: &str) -> Result<Option<RecommendationState>, Problem> {
    if name == "all" {
        return Ok(None);
    }
    serde_json::from_value(Value::from(name))
        .map(Some)
        .map_err(|_| {
            Problem::QUERY.detail(format!(
                "state {name:?} is none of open, superseded, vetoed, resolved, all"
            ))
        })
}

/// Whether `owner` is the wanted resource or lies in the wanted account or region.
fn within(owner: &str, wanted: &str) -> bool {
    owner
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Most urgent first; ids break ties, so that pages do not move.
fn rank(rows: &mut [Recommendation]) {
    rows.sort_by(Recommendation::rank);
}

pub(super) async fn recommendations(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(asked)?;
    let state = state_named(wanted.state.as_deref().unwrap_or("open"))?;
    let limit = limit(wanted.limit, LIMIT)?;
    let owner = wanted.owner.unwrap_or_default();
    blocking(move || {
        let mut rows = shared.service.recommendations()?;
        rows.retain(|row| {
            state.is_none_or(|state| row.state == state)
                && (owner.is_empty() || within(row.owner.as_str(), owner.trim_end_matches('/')))
                && credential.reaches(row.owner.account())
        });
        rank(&mut rows);
        let total = rows.len();
        rows.truncate(limit);
        Ok(axum::Json(json!({ "total": total, "recommendations": rows })).into_response())
    })
    .await?
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slice {
    partition: u32,
    from: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn records(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    Path(topic): Path<String>,
    asked: Result<Query<Slice>, QueryRejection>,
) -> Result<Response, Problem> {
    let topic = topic_named(&topic)?;
    let slice = query(asked)?;
    // A partition holds many accounts' records.
    if !credential.accounts.is_empty() {
        return Err(Problem::FORBIDDEN.detail("a token limited to accounts reads no topics"));
    }
    let partitions = shared.service.partitions();
    if slice.partition >= partitions {
        return Err(Problem::QUERY.detail(format!(
            "partition {} is not below {partitions}",
            slice.partition
        )));
    }
    let limit = limit(slice.limit, LIMIT)?;
    let from = slice.from.unwrap_or(0);
    let stretch =
        blocking(move || shared.service.records(topic, slice.partition, from, limit)).await??;
    let body = json!({
        "partitions": partitions,
        "records": stretch.records.iter().map(shown).collect::<Vec<_>>(),
        "next": stretch.next,
        "end": stretch.end,
    });
    Ok(axum::Json(body).into_response())
}

/// A payload that is JSON is shown as such, other bytes as text.
fn shown(record: &Stored) -> Value {
    let payload = record.payload.as_deref().map(|bytes| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
    });
    json!({
        "offset": record.offset,
        "key": record.key.as_deref().map(String::from_utf8_lossy),
        "timestamp_ms": record.timestamp_ms,
        "payload": payload,
    })
}
