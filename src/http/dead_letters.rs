//! Dead letters: what could not be decoded, why, and the way back to its topic.
//!
//! The topic is append-only: a letter that is dropped or replayed gets a mark beside it and stays
//! where it is until its retention is over.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, blocking, path, query};
use super::page::{Key, contains, page};
use super::{Credential, Problem, Shared};
use crate::model::{Timestamp, Topic, partition_of};

/// Offsets fit into a signed 64-bit number, as on Kafka.
pub(super) const OFFSET_MAX: u64 = i64::MAX as u64;

/// A dead letter, without its payload.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DeadLetterRow {
    /// Where it stands in `dead-letters`.
    pub partition: u32,
    /// Where it stands in `dead-letters`.
    pub offset: u64,
    /// The topic it came from.
    pub topic: String,
    /// Where it stood there.
    pub origin_partition: u32,
    /// Where it stood there.
    pub origin_offset: u64,
    /// Why it could not be decoded.
    pub reason: String,
    /// The record's own time.
    pub at: Option<Timestamp>,
    /// The record key, as text.
    pub key: Option<String>,
    /// The beginning of the payload, as text.
    pub payload_preview: String,
    /// Bytes of the payload.
    pub bytes: usize,
    /// How often it was sent back.
    pub replays: u32,
}

/// One page of dead letters.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeadLetterPage {
    /// Rows that match, on all pages.
    total: usize,
    /// Where the next page begins; null on the last.
    next: Option<String>,
    dead_letters: Vec<Arc<DeadLetterRow>>,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is: UTF-8.
    Text,
    /// In base64, since it is no UTF-8.
    Base64,
}

/// A dead letter with its payload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeadLetterStory {
    /// The row.
    #[serde(flatten)]
    pub row: Arc<DeadLetterRow>,
    /// Headers, as text, in order.
    pub headers: Vec<(String, String)>,
    /// How the payload is written.
    pub encoding: Encoding,
    /// The payload, byte for byte; null when there was none.
    pub payload: Option<String>,
    /// What was done with it: `replayed` or `dropped`, by whom, when.
    pub marks: Vec<Mark>,
}

/// What somebody did with a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// What.
    pub what: MarkKind,
    /// Whose token, or `anonymous`.
    pub by: String,
    /// When, by the wall clock.
    pub at: Timestamp,
}

/// Kinds of [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Sent back to its topic.
    Replayed,
    /// Not listed any more.
    Dropped,
}

/// Where a replayed dead letter went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replayed {
    /// Its topic.
    pub topic: String,
    /// The partition it was appended to.
    pub partition: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Letters from this topic.
    topic: Option<String>,
    /// Words in the reason.
    reason: Option<String>,
    /// Words in reason, key and the beginning of the payload.
    q: Option<String>,
    /// Rows a page.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

/// A payload that cannot be decoded names no account for sure: its key does, or nobody's is it.
fn reaches(credential: &Credential, row: &DeadLetterRow) -> bool {
    credential.accounts.is_empty()
        || row
            .key
            .as_deref()
            .is_some_and(|account| credential.reaches(account))
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Asked<Filter>,
) -> Result<Response, Problem> {
    let filter = query(asked)?;
    answer(move || {
        let lower = |words: &Option<String>| words.as_deref().map(str::to_lowercase);
        let (reason, words) = (lower(&filter.reason), lower(&filter.q));
        let mut rows = shared.service.dead_letters()?;
        rows.retain(|row| {
            reaches(&credential, row)
                && filter
                    .topic
                    .as_deref()
                    .is_none_or(|topic| topic == row.topic)
                && reason
                    .as_deref()
                    .is_none_or(|reason| contains(&row.reason, reason))
                && words.as_deref().is_none_or(|words| {
                    contains(&row.reason, words)
                        || contains(&row.payload_preview, words)
                        || row.key.as_deref().is_some_and(|key| contains(key, words))
                })
        });
        let key = |row: &Arc<DeadLetterRow>| {
            // Newest first.
            let at = row.at.map_or(i64::MIN, Timestamp::ms);
            let place = Key::default().int(at.saturating_neg());
            place
                .int(i64::from(row.partition))
                .int(-(row.offset as i64))
        };
        let page = page(rows, key, (filter.limit, filter.cursor.as_deref()))?;
        Ok(DeadLetterPage {
            total: page.total,
            next: page.next,
            dead_letters: page.rows,
        })
    })
    .await
}

/// The letter, when there is one that the credential reaches.
fn found(
    shared: &Shared,
    credential: &Credential,
    (partition, offset): (u32, u64),
) -> Result<DeadLetterStory, Problem> {
    shared
        .service
        .dead_letter(partition, offset)?
        .filter(|story| reaches(credential, &story.row))
        .ok_or_else(|| {
            Problem::NO_SUCH.detail(format!("no dead letter stands at {partition}/{offset}"))
        })
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    place: Parts<(u32, u64)>,
) -> Result<Response, Problem> {
    let place = path(place)?;
    answer(move || found(&shared, &credential, place)).await
}

pub(super) async fn replay(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    place: Parts<(u32, u64)>,
) -> Result<Response, Problem> {
    let place = path(place)?;
    let answer = blocking(move || {
        let story = found(&shared, &credential, place)?;
        if Topic::parse(&story.row.topic).is_none() {
            return Err(Problem::TOPIC.detail(format!(
                "the letter names no topic to go back to: {:?}",
                story.row.topic
            )));
        }
        Ok(shared.service.replay(place.0, place.1, &credential.name)?)
    })
    .await??;
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

pub(super) async fn drop_one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    place: Parts<(u32, u64)>,
) -> Result<Response, Problem> {
    let place = path(place)?;
    answer(move || {
        found(&shared, &credential, place)?;
        Ok(shared.service.forget(place.0, place.1, &credential.name)?)
    })
    .await
}

/// The partition a replayed letter belongs to: its account's, or the one it stood in.
pub fn home_of(account: Option<&str>, stood: u32, partitions: u32) -> u32 {
    account.map_or_else(
        || stood.min(partitions.saturating_sub(1)),
        |account| partition_of(account, partitions),
    )
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    const PLACE: &str = "/api/v1/dead-letters/{partition}/{offset}";
    let placed = |endpoint: Endpoint| {
        endpoint
            .number(
                "partition",
                "Its partition in dead-letters.",
                u64::from(u32::MAX),
            )
            .number("offset", "Its offset in dead-letters.", OFFSET_MAX)
            .refuses(&[404])
    };
    vec![
        Endpoint::get("/api/v1/dead-letters", list)
            .says("Dead letters", "Records nobody could decode, newest first.")
            .query::<Filter>()
            .answers::<DeadLetterPage>(200, "One page of them."),
        placed(Endpoint::get(PLACE, one))
            .says("Dead letters", "One dead letter with its payload.")
            .answers::<DeadLetterStory>(200, "It."),
        placed(Endpoint::post(
            "/api/v1/dead-letters/{partition}/{offset}/replay",
            replay,
        ))
        .says(
            "Dead letters",
            "Appends it to the topic it came from, byte for byte, and marks it replayed.",
        )
        .answers::<Replayed>(202, "It is durable there."),
        placed(Endpoint::delete(PLACE, drop_one))
            .says(
                "Dead letters",
                "Marks it dropped: it is not listed any more, and stays in the topic until its \
                 retention is over.",
            )
            .answers::<Mark>(200, "The mark."),
    ]
}
