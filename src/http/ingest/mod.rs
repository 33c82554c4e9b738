//! What AWS and other producers push: events and any other JSON of AWS's kinds, `CloudEvents`,
//! Firehose, SNS. Whatever comes is opened, split by account and published; nothing is
//! acknowledged before it is durable.

mod batch;
mod firehose;
mod remembered;
mod signature;
mod sns;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use firehose::DECOMPRESSED_BYTES_MAX;
pub(super) use remembered::Remembered;
pub use signature::{CERTIFICATE_BYTES_MAX, Certificates, Fetch};

use super::endpoint::Endpoint;
use super::extract::blocking;
use super::{BODY_BYTES_MAX, Credential, Inspected, Problem, Shared};
use crate::model::{Timestamp, Topic};
use crate::telemetry::Signal;

/// Where API destinations of `EventBridge` post.
const EVENTBRIDGE: &str = "/ingest/eventbridge";
/// Where `CloudEvents` are posted.
const CLOUDEVENTS: &str = "/ingest/cloudevents";
/// Where Firehose posts.
pub(super) const FIREHOSE: &str = "/ingest/firehose";
/// Where SNS posts.
pub(super) const SNS: &str = "/ingest/sns";

/// One part of what was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A record that decodes.
    Record(Pushed),
    /// Well-formed, not of our kinds; the reason names its kind.
    Ignored(String),
    /// None of our kinds: why, and the bytes as they stood with the topic they would be put aside
    /// from.
    Refused(String, Pushed),
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Where to.
    pub topic: Topic,
    /// Whose; empty when nobody's.
    pub account: String,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// What is known of what was pushed from how it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The account of the carrier.
    pub account: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// When it came.
    pub at: Option<Timestamp>,
}

impl Known {
    /// What an ARN of the carrier tells.
    fn from_arn(arn: &str) -> Self {
        let part = |at: usize| arn.split(':').nth(at).filter(|part| !part.is_empty());
        Self {
            region: part(3).map(str::to_owned),
            account: part(4).map(str::to_owned),
            at: None,
        }
    }
}

/// What became of a push.
#[derive(Serialize, JsonSchema)]
pub(super) struct Taken {
    /// Records that are durable now.
    stored: usize,
    /// Why parts of it were passed over: they are of no kind we know.
    ignored: Vec<String>,
}

/// Reasons named in an answer.
const REASONS_MAX: usize = 20;

/// What became of the records of a push; goes with the answer, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    stored: u64,
    ignored: u64,
    /// Put onto their topics as they stood, to be found among the dead letters.
    quarantined: u64,
    /// Whether it had been stored by an earlier attempt.
    repeated: bool,
}

/// The road a route belongs to, as metrics name it.
fn road(route: &str) -> Option<&'static str> {
    Some(match route {
        EVENTBRIDGE => "eventbridge",
        CLOUDEVENTS => "cloudevents",
        FIREHOSE => "firehose",
        SNS => "sns",
        _ => return None,
    })
}

/// Tells the metrics what became of a request, if `route` is a road.
pub(super) fn counted(shared: &Shared, route: &str, answer: &Response) {
    let Some(road) = road(route) else { return };
    let count = answer.extensions().get::<Count>().copied();
    let result = match count {
        Some(Count { repeated: true, .. }) => "repeated",
        _ if answer.status().is_success() => "taken",
        _ => "refused",
    };
    let count = count.unwrap_or_default();
    shared.service.metrics().emit(&Signal::Pushed {
        road,
        result,
        stored: count.stored,
        ignored: count.ignored,
        quarantined: count.quarantined,
    });
}

/// A record that cannot be read, or not all of it, to be published as it stood: the home agent of
/// its topic puts it aside byte for byte. Bytes that can be read as they stand, though not in the
/// way they came, belong to an account like any other record; `None` when they are of no kind of
/// ours.
fn as_it_stood(
    shared: &Shared,
    credential: &Credential,
    topic: Topic,
    account: &str,
    payload: Vec<u8>,
) -> Result<Option<Pushed>, Problem> {
    let account = match shared.service.inspect(topic, &payload) {
        Err(_) => account.to_owned(),
        Ok(Inspected::Owned(owner)) => {
            reaches(credential, &owner)?;
            owner
        }
        Ok(Inspected::Ignored(_)) => return Ok(None),
    };
    Ok(Some(Pushed {
        topic,
        account,
        payload,
    }))
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::TOO_LARGE
        }
        other => Problem::UNREADABLE.detail(other.body_text()),
    })
}

/// Publishes everything or nothing.
async fn take(
    shared: Shared,
    credential: Credential,
    bytes: Vec<u8>,
    known: Known,
) -> Result<Response, Problem> {
    let permit = shared
        .publishing
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::BUSY)?;
    blocking(move || {
        let _permit = permit;
        let known = Known {
            at: known.at.or_else(|| Some(shared.service.now())),
            ..known
        };
        let (mut records, mut ignored) = (Vec::new(), Vec::new());
        let mut count = Count::default();
        for part in shared.service.open(&bytes, &known) {
            match part {
                Opened::Record(record) => {
                    reaches(&credential, &record.account)?;
                    records.push(record);
                }
                Opened::Ignored(reason) => {
                    count.ignored += 1;
                    if ignored.len() < REASONS_MAX {
                        ignored.push(reason);
                    }
                }
                Opened::Refused(reason, _) => return Err(Problem::UNDECODABLE.detail(reason)),
            }
        }
        shared.service.publish_all(&records)?;
        let status = if records.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        };
        let stored = records.len();
        count.stored = stored as u64;
        let mut answer = (status, axum::Json(Taken { stored, ignored })).into_response();
        answer.extensions_mut().insert(count);
        Ok(answer)
    })
    .await?
}

fn reaches(credential: &Credential, account: &str) -> Result<(), Problem> {
    if credential.reaches(account) {
        Ok(())
    } else {
        Err(Problem::FORBIDDEN.detail(format!("account {account}")))
    }
}

fn media(headers: &HeaderMap) -> String {
    let sent = headers.get(header::CONTENT_TYPE);
    let sent = sent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default();
    sent.trim().to_ascii_lowercase()
}

pub(super) async fn eventbridge(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = read(body)?;
    if !media(&headers).ends_with("json") {
        return Err(Problem::MEDIA);
    }
    take(shared, credential, body.to_vec(), Known::default()).await
}

pub(super) async fn cloud_events(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = read(body)?;
    let bytes = match media(&headers).as_str() {
        // One event, or an array of them.
        "application/cloudevents+json" | "application/cloudevents-batch+json" => body.to_vec(),
        media => {
            let event = binary_event(&headers, media, &body)?;
            event.to_string().into_bytes()
        }
    };
    take(shared, credential, bytes, Known::default()).await
}

/// An event in binary mode, its attributes in headers `ce-…`, put into the structured form.
fn binary_event(headers: &HeaderMap, media: &str, body: &[u8]) -> Result<Value, Problem> {
    let mut event = Map::new();
    for (name, value) in headers {
        let attribute = name.as_str().strip_prefix("ce-");
        if let (Some(attribute), Ok(value)) = (attribute, value.to_str()) {
            event.insert(attribute.to_owned(), value.into());
        }
    }
    if !event.contains_key("specversion") {
        return Err(Problem::MEDIA.detail(
            "neither `Content-Type: application/cloudevents+json` nor headers `ce-specversion`, …",
        ));
    }
    if !media.ends_with("json") {
        return Err(Problem::MEDIA.detail("the event's data is not declared as JSON"));
    }
    let data: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::BODY.detail(format!("the event's data: {error}")))?;
    event.insert("data".into(), data);
    Ok(json!(event))
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let tag = "Ingest";
    vec![
        Endpoint::post(EVENTBRIDGE, eventbridge)
            .says(
                tag,
                "Takes what an EventBridge API destination posts, and any other JSON of AWS's kinds.",
            )
            .body::<Map<String, Value>>()
            .answers::<Taken>(202, "Every record of it is durable.")
            .answers::<Taken>(200, "It holds nothing of a kind we know; nothing was stored.")
            .refuses(&[400, 403, 413, 415, 422]),
        Endpoint::post(CLOUDEVENTS, cloud_events)
            .says(
                tag,
                "Takes CloudEvents over HTTP, structured, batched or binary, that carry JSON of AWS's kinds.",
            )
            .body::<Map<String, Value>>()
            .answers::<Taken>(202, "Every record of it is durable.")
            .answers::<Taken>(200, "It holds nothing of a kind we know; nothing was stored.")
            .refuses(&[400, 403, 413, 415, 422]),
        Endpoint::post(FIREHOSE, firehose::take)
            .says(
                tag,
                "Takes what Amazon Data Firehose delivers to an HTTP endpoint: metric streams in JSON and OpenTelemetry, log subscriptions, events. The access key is a token with role write.",
            )
            .body::<firehose::Delivery>()
            .answers::<firehose::Answer>(200, "Every record is durable, or was by an earlier attempt.")
            .answers::<firehose::Answer>(400, "The request is none of Firehose's.")
            .answers::<firehose::Answer>(401, "The access key does not count.")
            .answers::<firehose::Answer>(403, "The access key does not reach an account in it.")
            .answers::<firehose::Answer>(408, "The batch took too long.")
            .answers::<firehose::Answer>(413, "The batch is too large.")
            .answers::<firehose::Answer>(415, "The body is packed by something else than gzip.")
            .answers::<firehose::Answer>(500, "The log failed.")
            .answers::<firehose::Answer>(503, "The log cannot take records now; deliver again.")
            .body_bytes(firehose::BODY_MAX),
        Endpoint::post(SNS, sns::take)
            .says(
                tag,
                "Takes what SNS posts to a subscribed endpoint; the signature says that AWS sent it.",
            )
            .body::<Map<String, Value>>()
            .answers::<sns::Heard>(200, "It is durable, confirmed, or of no kind we know.")
            .refuses(&[400, 403, 413, 422])
            .body_bytes(BODY_BYTES_MAX),
    ]
}
