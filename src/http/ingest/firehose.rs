//! Amazon Data Firehose's HTTP endpoint delivery, protocol version 1.0.
//!
//! Exactly 200 means that every record is durable; anything else makes Firehose deliver the whole
//! batch again, with the same request id. So a batch is published whole or not at all, and one
//! record that cannot be read is not a reason to refuse it: it is put onto its topic like any
//! other, whose home agent puts it aside byte for byte.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batch::{self, Failed};
use super::remembered::Seen;
use super::{Known, Opened, Pushed};
use crate::http::extract::blocking;
use crate::http::{Credential, Problem, Shared};
use crate::model::Topic;

/// Most bytes of a body as it comes. Firehose buffers 64 MiB at most, before base64 and gzip.
pub(super) const BODY_MAX: usize = 96 * 1_024 * 1_024;
/// Most bytes a body may unpack to: Firehose's largest batch in base64, and what is around it.
pub const DECOMPRESSED_BYTES_MAX: u64 = 96 * 1_024 * 1_024;
/// Most bytes of records made of one batch: OpenTelemetry grows fivefold in JSON.
const GATHERED_BYTES_MAX: usize = 384 * 1_024 * 1_024;
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

pub(super) async fn take(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let service = shared.service.clone();
    let mut id = text(&headers, "x-amz-firehose-request-id")
        .unwrap_or_default()
        .to_owned();
    let fate = match deliver(shared, &headers, body, &mut id).await {
        Ok(()) => (200, None),
        Err(Refusal { status, message }) => (
            status,
            Some(message.chars().take(MESSAGE_CHARS_MAX).collect::<String>()),
        ),
    };
    let (status, error_message) = fate;
    let answer = Answer {
        request_id: id,
        timestamp: service.now().ms(),
        error_message,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(answer)).into_response()
}

async fn deliver(
    shared: Shared,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    id: &mut String,
) -> Result<(), Refusal> {
    let key = text(headers, "x-amz-firehose-access-key");
    let credential = shared.access.pushing(headers, key)?;
    if let Some(version) = text(headers, "x-amz-firehose-protocol-version")
        && version != "1.0"
    {
        let message = format!("protocol version {version:?} is not known; 1.0 is");
        return Err(refused(400, message));
    }
    let packed = match text(headers, header::CONTENT_ENCODING.as_str()) {
        None | Some("identity") => false,
        Some("gzip") => true,
        Some(other) => {
            let message = format!("content encoding {other:?} is not known; gzip is");
            return Err(refused(415, message));
        }
    };
    let body = body.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            refused(413, format!("the body is over {BODY_MAX} bytes"))
        }
        other => refused(400, other.body_text()),
    })?;
    let arn = text(headers, "x-amz-firehose-source-arn").unwrap_or_default();
    let known = Known::from_arn(arn);
    // A batch may hold a hundred mebibytes: few at a time bound the memory.
    let permit = shared
        .delivering
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::BUSY)?;
    let named = std::mem::take(id);
    let (named, fate) = blocking(move || {
        let _permit = permit;
        let mut id = named;
        let fate = store(&shared, &credential, known, &body, packed, &mut id);
        (id, fate)
    })
    .await?;
    *id = named;
    fate
}

/// Reads the batch, publishes it, remembers it.
fn store(
    shared: &Shared,
    credential: &Credential,
    known: Known,
    body: &[u8],
    packed: bool,
    id: &mut String,
) -> Result<(), Refusal> {
    if shared.remembered.knows(id) {
        return Ok(());
    }
    let known = Known {
        at: Some(shared.service.now()),
        ..known
    };
    let (records, own) = gather(shared, credential, &known, body, packed)?;
    // The header is the protocol's; recorders and proxies drop it.
    if id.is_empty() {
        *id = own.unwrap_or_default();
    }
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        let message = "there is no request id, in header `X-Amz-Firehose-Request-Id` or body";
        return Err(refused(400, message));
    }
    match shared.remembered.begin(id) {
        Seen::Done => return Ok(()),
        Seen::UnderWay => return Err(Problem::BUSY.into()),
        Seen::New => {}
    }
    let fate = shared.service.publish_all(&records);
    shared.remembered.end(id, fate.is_ok());
    Ok(fate.map_err(Problem::from)?)
}

/// Every record of the batch, and the id in its body.
fn gather(
    shared: &Shared,
    credential: &Credential,
    known: &Known,
    body: &[u8],
    packed: bool,
) -> Result<(Vec<Pushed>, Option<String>), Refusal> {
    let account = known.account.clone().unwrap_or_default();
    let mut gathered = Gathered::default();
    let mut take = |data: Result<Vec<u8>, Vec<u8>>| match data {
        Ok(bytes) => {
            for part in shared.service.open(&bytes, known) {
                match part {
                    Opened::Record(record) => gathered.add(record, Some(credential)),
                    Opened::Refused(_, record) => gathered.put_aside(record, &account),
                    Opened::Ignored(_) => {}
                }
            }
        }
        Err(payload) => {
            let topic = Topic::AwsEvents;
            let account = account.clone();
            let record = Pushed {
                topic,
                account,
                payload,
            };
            gathered.add(record, None);
        }
    };
    let beside = if packed {
        let plain = flate2::bufread::MultiGzDecoder::new(body);
        batch::read(plain, DECOMPRESSED_BYTES_MAX, &mut take)?
    } else {
        batch::read(body, DECOMPRESSED_BYTES_MAX, &mut take)?
    };
    if let Some(account) = gathered.outside {
        return Err(Problem::FORBIDDEN
            .detail(format!("account {account}"))
            .into());
    }
    if gathered.bytes > GATHERED_BYTES_MAX {
        let message = "the batch holds too much; lower the stream's buffer size";
        return Err(refused(413, message));
    }
    Ok((gathered.records, beside.id))
}

/// Records of a batch on their way into the log.
#[derive(Default)]
struct Gathered {
    records: Vec<Pushed>,
    bytes: usize,
    /// An account that the access key does not reach.
    outside: Option<String>,
}

impl Gathered {
    fn add(&mut self, record: Pushed, credential: Option<&Credential>) {
        if credential.is_some_and(|credential| !credential.reaches(&record.account)) {
            self.outside = Some(record.account);
            return;
        }
        self.bytes += record.payload.len();
        // What is over the bound is refused whole in the end.
        if self.bytes <= GATHERED_BYTES_MAX {
            self.records.push(record);
        }
    }
    /// Puts what cannot be read into the partition of the stream's account.
    fn put_aside(&mut self, mut record: Pushed, account: &str) {
        account.clone_into(&mut record.account);
        self.add(record, None);
    }
}
