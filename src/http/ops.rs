//! What operators and producers use: metrics, health, publishing, topics as they stand in the log.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::dead_letters::OFFSET_MAX;
use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, blocking, path, query};
use super::page::limit;
use super::{Credential, Inspected, Problem, Shared, Status, Stored, TaskStatus};
use crate::model::Topic;

/// Tasks named in a not-ready answer; the rest is counted.
const NAMED_MAX: usize = 20;

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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    /// Also demand no lag, nothing unsaved, no wake due; anything but `false` asks for it.
    quiesced: Option<String>,
}

/// Whether the process is ready, and what keeps it from being so.
#[derive(Serialize, JsonSchema)]
pub(super) struct Readiness {
    ready: bool,
    /// Tasks this process owns.
    tasks: usize,
    /// Of them, those that have caught up.
    live: usize,
    /// Of them, those whose intake stopped on a fault.
    parked: usize,
    /// Records they are behind, together.
    lag: u64,
    /// What is missing; at most 20 tasks are named.
    missing: Vec<String>,
}

pub(super) async fn readyz(
    State(shared): State<Shared>,
    asked: Asked<Ready>,
) -> Result<Response, Problem> {
    let quiesced = query(asked)?.quiesced.is_some_and(|value| value != "false");
    let status = match blocking(move || shared.service.status(quiesced)).await? {
        Ok(status) => status,
        // A worker too busy to answer is not ready; that is no failure of the request.
        Err(error) => return Ok(readiness(&[], &[error.to_string()])),
    };
    let missing = missing(&status, quiesced);
    Ok(readiness(&status.tasks, &missing))
}

fn readiness(tasks: &[TaskStatus], missing: &[String]) -> Response {
    let status = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Readiness {
        ready: missing.is_empty(),
        tasks: tasks.len(),
        live: tasks.iter().filter(|task| task.live).count(),
        parked: tasks.iter().filter(|task| task.parked).count(),
        lag: tasks.iter().map(|task| task.lag).sum(),
        missing: missing.to_vec(),
    };
    (status, axum::Json(body)).into_response()
}

/// What keeps the process from being ready, or quiesced.
fn missing(status: &Status, quiesced: bool) -> Vec<String> {
    let mut missing: Vec<String> = status
        .joining
        .iter()
        .map(|agent| format!("{agent}: has not been told yet which tasks are its own"))
        .collect();
    for status in &status.tasks {
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    /// A raw topic, requests or approvals; aws.events unless given.
    #[schemars(schema_with = "open_topics")]
    topic: Option<String>,
}

fn open_topics(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = Topic::ALL
        .into_iter()
        .filter(|topic| open_to_all(*topic))
        .map(Topic::as_str)
        .collect();
    json_schema!({ "type": "string", "enum": names })
}

/// Where a record went.
#[derive(Serialize, JsonSchema)]
pub(super) struct PublishedTo {
    /// True: it is durable.
    stored: bool,
    topic: String,
    partition: u32,
}

/// A record that is well-formed and of none of our kinds; nothing was stored.
#[derive(Serialize, JsonSchema)]
pub(super) struct NotOurs {
    /// False.
    stored: bool,
    /// What it is.
    ignored: String,
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
    asked: Asked<Publish>,
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
            let answer = NotOurs {
                stored: false,
                ignored: reason,
            };
            Ok((StatusCode::OK, axum::Json(answer)).into_response())
        }
        Inspected::Owned(account) => {
            if !credential.reaches(&account) {
                return Err(Problem::FORBIDDEN.detail(format!("account {account}")));
            }
            let partition = shared.service.publish(topic, &account, body)?;
            let answer = PublishedTo {
                stored: true,
                topic: topic.to_string(),
                partition,
            };
            Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Slice {
    /// Which partition.
    #[schemars(range(max = 4_294_967_295_u64))]
    partition: u32,
    /// The first offset wanted; the first there is unless given.
    #[schemars(range(max = 9_223_372_036_854_775_807_u64))]
    from: Option<u64>,
    /// Records wanted.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// A record as it stands in the log.
#[derive(Serialize, JsonSchema)]
pub(super) struct RecordRow {
    offset: u64,
    /// The record key, as text.
    key: Option<String>,
    /// The record's own time, in milliseconds since the epoch.
    timestamp_ms: Option<i64>,
    /// JSON as such, other bytes as text, null for a tombstone.
    payload: Option<Value>,
}

/// A stretch of one partition.
#[derive(Serialize, JsonSchema)]
pub(super) struct RecordPage {
    /// Partitions of every topic.
    partitions: u32,
    records: Vec<RecordRow>,
    /// Where to go on.
    next: u64,
    /// Where the log ends.
    end: u64,
}

pub(super) async fn records(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    topic: Parts<String>,
    asked: Asked<Slice>,
) -> Result<Response, Problem> {
    let topic = topic_named(&path(topic)?)?;
    let slice = query(asked)?;
    // A partition holds many accounts' records.
    if !credential.accounts.is_empty() {
        return Err(Problem::FORBIDDEN.detail("a token limited to accounts reads no topics"));
    }
    let partitions = shared.service.partitions();
    if slice.partition >= partitions {
        return Err(Problem::NO_SUCH.detail(format!(
            "partition {} is not below {partitions}",
            slice.partition
        )));
    }
    let limit = limit(slice.limit)?;
    let from = slice.from.unwrap_or(0).min(OFFSET_MAX);
    answer(move || {
        let stretch = shared
            .service
            .records(topic, slice.partition, from, limit)?;
        Ok(RecordPage {
            partitions,
            records: stretch.records.iter().map(shown).collect(),
            next: stretch.next,
            end: stretch.end,
        })
    })
    .await
}

fn shown(record: &Stored) -> RecordRow {
    let payload = record.payload.as_deref().map(|bytes| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
    });
    RecordRow {
        offset: record.offset,
        key: record
            .key
            .as_deref()
            .map(|key| String::from_utf8_lossy(key).into_owned()),
        timestamp_ms: record.timestamp_ms,
        payload,
    }
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/metrics", metrics)
            .says("Operations", "Metrics in Prometheus' text format.")
            .sends("text/plain", "The metrics."),
        Endpoint::get("/healthz", healthz)
            .says("Operations", "Whether the process lives.")
            .sends("text/plain", "It does."),
        Endpoint::get("/readyz", readyz)
            .says(
                "Operations",
                "Whether every agent here knows which tasks are its own and each of them is live.",
            )
            .query::<Ready>()
            .answers::<Readiness>(200, "It is so.")
            .answers::<Readiness>(503, "Not yet; `missing` says why."),
        Endpoint::post("/api/v1/events", publish)
            .says(
                "Operations",
                "Publishes one JSON record of at most 1 MiB, decoded first.",
            )
            .query::<Publish>()
            .body::<Map<String, Value>>()
            .answers::<PublishedTo>(202, "It is durable.")
            .answers::<NotOurs>(200, "It is of no kind we know; nothing was stored.")
            .refuses(&[400, 403, 404, 413, 415, 422]),
        Endpoint::get("/api/v1/topics/{topic}/records", records)
            .says(
                "Operations",
                "Records of one partition as they stand in the log.",
            )
            .choice(
                "topic",
                "The topic, such as findings.cost.",
                &Topic::ALL.map(Topic::as_str),
            )
            .query::<Slice>()
            .answers::<RecordPage>(200, "A stretch of it.")
            .refuses(&[404]),
    ]
}
