//! Amazon Data Firehose's HTTP endpoint delivery, protocol version 1.0.
//!
//! Exactly 200 means that every record is durable; anything else makes Firehose deliver the whole
//! batch again, with the same request id. So a batch is published whole or not at all, and one
//! record that cannot be read is not a reason to refuse it: it is put onto its topic like any
//! other, whose home agent puts it aside byte for byte.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batch::{self, Beside, Failed};
use super::remembered::Seen;
use super::{Count, Known, Opened, Pushed, as_it_stood, reaches};
use crate::http::extract::blocking;
use crate::http::{Credential, Problem, Shared};
use crate::model::{Timestamp, Topic};

/// Pairs that are set on the stream and come with each of its requests.
const COMMON_ATTRIBUTES: &str = "X-Amz-Firehose-Common-Attributes";
/// Most bytes of a body as it comes. Firehose buffers 64 MiB at most, before base64 and gzip.
pub(super) const BODY_MAX: usize = 96 * 1_024 * 1_024;
/// Most bytes a body may unpack to: Firehose's largest batch in base64, and what is around it.
pub const DECOMPRESSED_BYTES_MAX: u64 = 96 * 1_024 * 1_024;
/// Most bytes of records made of one batch: OpenTelemetry grows fivefold in JSON.
const GATHERED_BYTES_MAX: usize = 384 * 1_024 * 1_024;
/// Longest a delivery may take, its body included. Firehose waits three minutes for the answer.
const DELIVERY_SECONDS_MAX: u64 = 160;
/// Longest the records of a batch may take to be read; compressed records unpack to far more than
/// the body shows.
const READING_MS_MAX: i64 = 120_000;
/// Longest record that is put aside as it stood: a topic takes 2 MiB, headers included. Firehose's
/// own have 1,000 KiB at most.
const ASIDE_BYTES_MAX: usize = 2 * 1_024 * 1_024 - 64 * 1_024;
/// Longest request id taken.
const ID_BYTES_MAX: usize = 256;
/// Longest message of a failure, as the protocol has it.
const MESSAGE_CHARS_MAX: usize = 8_192;

/// A batch as Firehose sends it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "stands for a schema; the body is read as a stream"
)]
pub(super) struct Delivery {
    /// The same over all attempts; equal to the header `X-Amz-Firehose-Request-Id`.
    request_id: Option<String>,
    /// When Firehose made the request, in milliseconds since the epoch.
    timestamp: Option<i64>,
    /// What is delivered.
    records: Vec<Delivered>,
}

/// One record of a batch.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "as above")]
pub(super) struct Delivered {
    /// Its bytes in base64.
    data: String,
}

/// What Firehose is told.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// The request's.
    request_id: String,
    /// When it was answered, in milliseconds since the epoch.
    timestamp: i64,
    /// What went wrong; absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

/// Why a delivery is not taken.
struct Refusal {
    status: u16,
    message: String,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let message = if problem.detail.is_empty() {
            format!("{}; {}", problem.title, problem.hint)
        } else {
            format!("{}: {}; {}", problem.title, problem.detail, problem.hint)
        };
        Self {
            status: problem.status,
            message,
        }
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::TooLarge(message) => Self {
                status: 413,
                message,
            },
            Failed::Malformed(message) => Self {
                status: 400,
                message: format!("the body is no delivery of Firehose's: {message}"),
            },
        }
    }
}

fn refused(status: u16, message: impl Into<String>) -> Refusal {
    Refusal {
        status,
        message: message.into(),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then_some(value)
}

pub(super) async fn take(State(shared): State<Shared>, request: Request) -> Response {
    let service = shared.service.clone();
    let mut id = text(request.headers(), "x-amz-firehose-request-id")
        .unwrap_or_default()
        .to_owned();
    let within = Duration::from_secs(DELIVERY_SECONDS_MAX);
    let delivered = tokio::time::timeout(within, deliver(shared, request, &mut id)).await;
    let fate = delivered.unwrap_or_else(|_| Err(Problem::SLOW.into()));
    let (status, error_message, count) = match fate {
        Ok(count) => (200, None, Some(count)),
        Err(Refusal { status, message }) => {
            let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
            (status, Some(message), None)
        }
    };
    let answer = Answer {
        request_id: id,
        timestamp: service.now().ms(),
        error_message,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, axum::Json(answer)).into_response();
    if let Some(count) = count {
        answer.extensions_mut().insert(count);
    }
    answer
}

async fn deliver(shared: Shared, request: Request, id: &mut String) -> Result<Count, Refusal> {
    // The body is not read for who may not send one, nor before there is room for it.
    let headers = request.headers();
    let key = text(headers, "x-amz-firehose-access-key");
    let credential = shared.access.pushing(headers, key)?;
    let packed = packed(headers)?;
    let known = whose(headers)?;
    let room = shared.delivering.clone().acquire_owned().await;
    let room = room.map_err(|_| Problem::BUSY)?;
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            refused(413, format!("the body is over {BODY_MAX} bytes"))
        }
        other => refused(400, other.body_text()),
    })?;
    let named = id.clone();
    let (named, fate) = blocking(move || {
        let _room = room;
        let mut id = named;
        let fate = store(&shared, &credential, known, &body, packed, &mut id);
        (id, fate)
    })
    .await?;
    *id = named;
    fate
}

/// What the header of common attributes holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    common_attributes: BTreeMap<String, String>,
}

/// Whose the records are that do not say so themselves: the stream's, unless its common attributes
/// `account` and `region` say otherwise.
fn whose(headers: &HeaderMap) -> Result<Known, Refusal> {
    let arn = text(headers, "x-amz-firehose-source-arn").unwrap_or_default();
    let known = Known::from_arn(arn);
    let Some(common) = text(headers, COMMON_ATTRIBUTES) else {
        return Ok(known);
    };
    let common: Common = serde_json::from_str(common).map_err(|error| {
        let message = format!("header `{COMMON_ATTRIBUTES}`: {error}");
        refused(400, message)
    })?;
    let said = |name: &str| {
        let value = common.common_attributes.get(name).cloned();
        value.filter(|value| !value.is_empty())
    };
    Ok(Known {
        account: said("account").or(known.account),
        region: said("region").or(known.region),
        at: None,
    })
}

/// Whether the body is compressed. Refuses what the protocol does not have.
fn packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    if let Some(version) = text(headers, "x-amz-firehose-protocol-version")
        && version != "1.0"
    {
        let message = format!("protocol version {version:?} is not known; 1.0 is");
        return Err(refused(400, message));
    }
    let encoding = text(headers, header::CONTENT_ENCODING.as_str()).unwrap_or("identity");
    if encoding.eq_ignore_ascii_case("gzip") {
        Ok(true)
    } else if encoding.eq_ignore_ascii_case("identity") {
        Ok(false)
    } else {
        let message = format!("content encoding {encoding:?} is not known; gzip is");
        Err(refused(415, message))
    }
}

/// Reads the batch, publishes it, remembers it.
fn store(
    shared: &Shared,
    credential: &Credential,
    known: Known,
    body: &[u8],
    packed: bool,
    id: &mut String,
) -> Result<Count, Refusal> {
    let repeated = Count {
        repeated: true,
        ..Count::default()
    };
    if shared.remembered.knows(id) {
        return Ok(repeated);
    }
    let known = Known {
        at: Some(shared.service.now()),
        ..known
    };
    let mut beside = Beside::default();
    let read = gather(shared, credential, &known, body, packed, &mut beside);
    // The header is the protocol's; recorders and proxies drop it.
    if id.is_empty() {
        *id = beside.id.unwrap_or_default();
    }
    let gathered = read?;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        let message = "there is no request id, in header `X-Amz-Firehose-Request-Id` or body";
        return Err(refused(400, message));
    }
    match shared.remembered.begin(id) {
        Seen::Done => return Ok(repeated),
        Seen::UnderWay => return Err(Problem::BUSY.into()),
        Seen::New => {}
    }
    let fate = shared.service.publish_all(&gathered.records);
    shared.remembered.end(id, fate.is_ok());
    fate.map_err(Problem::from)?;
    Ok(gathered.count)
}

/// Every record of the batch.
fn gather<'a>(
    shared: &'a Shared,
    credential: &'a Credential,
    known: &'a Known,
    body: &[u8],
    packed: bool,
    beside: &mut Beside,
) -> Result<Gathered<'a>, Refusal> {
    let mut gathered = Gathered {
        shared,
        credential,
        known,
        began: shared.service.now(),
        records: Vec::new(),
        bytes: 0,
        count: Count::default(),
    };
    let mut fault = None;
    let mut take = |data: Result<Vec<u8>, Vec<u8>>| {
        fault = gathered.take(data).err();
        fault.is_none()
    };
    let read = if packed {
        let plain = flate2::bufread::MultiGzDecoder::new(body);
        batch::read(plain, DECOMPRESSED_BYTES_MAX, beside, &mut take)
    } else {
        batch::read(body, DECOMPRESSED_BYTES_MAX, beside, &mut take)
    };
    if let Some(fault) = fault {
        return Err(fault);
    }
    read?;
    Ok(gathered)
}

/// Records of a batch on their way into the log.
struct Gathered<'a> {
    shared: &'a Shared,
    credential: &'a Credential,
    known: &'a Known,
    began: Timestamp,
    records: Vec<Pushed>,
    bytes: usize,
    count: Count,
}

impl Gathered<'_> {
    /// Takes one record of the batch: its bytes, or its data where that is no base64.
    fn take(&mut self, data: Result<Vec<u8>, Vec<u8>>) -> Result<(), Refusal> {
        let bytes = match data {
            Ok(bytes) => bytes,
            Err(data) => return self.aside(Topic::AwsEvents, data),
        };
        let mut bad = None;
        for part in self.shared.service.open(&bytes, self.known) {
            match part {
                Opened::Record(record) => {
                    reaches(self.credential, &record.account)?;
                    self.count.stored += 1;
                    self.add(record)?;
                }
                Opened::Ignored(_) => self.count.ignored += 1,
                Opened::Refused(_, part) => bad = bad.or(Some(part.topic)),
            }
        }
        if let Some(topic) = bad {
            self.aside(topic, bytes)?;
        }
        let spent = self.shared.service.now().ms() - self.began.ms();
        if spent > READING_MS_MAX {
            let message = "the batch takes too long to read; lower the stream's buffer size";
            return Err(refused(413, message));
        }
        Ok(())
    }

    /// Puts a record that cannot be read, or not all of it, into the partition of the stream's
    /// account as it stood.
    fn aside(&mut self, topic: Topic, bytes: Vec<u8>) -> Result<(), Refusal> {
        if bytes.len() > ASIDE_BYTES_MAX {
            let message = format!(
                "a record of {} bytes cannot be read, and {ASIDE_BYTES_MAX} can be put aside",
                bytes.len()
            );
            return Err(refused(413, message));
        }
        let account = self.known.account.as_deref().unwrap_or_default();
        if let Some(record) = as_it_stood(self.shared, self.credential, topic, account, bytes)? {
            self.count.quarantined += 1;
            self.add(record)?;
        }
        Ok(())
    }

    fn add(&mut self, record: Pushed) -> Result<(), Refusal> {
        self.bytes += record.payload.len();
        if self.bytes > GATHERED_BYTES_MAX {
            let message = "the batch holds too much; lower the stream's buffer size";
            return Err(refused(413, message));
        }
        self.records.push(record);
        Ok(())
    }
}
