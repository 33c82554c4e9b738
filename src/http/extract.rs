//! What handlers have in common: queries and paths read, what may block kept off the
//! asynchronous threads.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Problem;
use crate::model::Subject;
use crate::ports::{PortError, PortResult};

/// A query as it was sent, or why it could not be read.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;
/// Parts of a path.
pub(super) type Parts<T> = Result<Path<T>, PathRejection>;
/// A JSON body.
pub(super) type Sent<T> = Result<axum::Json<T>, JsonRejection>;

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Transient(text) => Self::UNAVAILABLE.detail(text),
            PortError::Lost(text) | PortError::Fatal(text) => Self::BROKEN.detail(text),
        }
    }
}

/// Runs what may block off the asynchronous threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::BROKEN)
}

/// Runs what may block and answers its value as JSON.
pub(super) async fn answer<T: Serialize + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    // Written on the blocking thread too: a page of a thousand rows is milliseconds of work.
    let bytes = blocking(move || {
        serde_json::to_vec(&work()?).map_err(|error| Problem::BROKEN.detail(error.to_string()))
    })
    .await??;
    let form = [(axum::http::header::CONTENT_TYPE, "application/json")];
    Ok((form, bytes).into_response())
}

/// Answers the one thing of an id; `read` finds it, unless it is hidden from who asks. `what` names
/// the kind.
pub(super) async fn found<T: Serialize + 'static>(
    what: &'static str,
    id: Parts<String>,
    read: impl FnOnce(&str) -> PortResult<Option<T>> + Send + 'static,
) -> Result<Response, Problem> {
    let id = path(id)?;
    answer(move || read(&id)?.ok_or_else(|| Problem::NO_SUCH.detail(format!("{what} {id:?}"))))
        .await
}

pub(super) fn query<T>(query: Asked<T>) -> Result<T, Problem> {
    query
        .map(|Query(value)| value)
        .map_err(|error| Problem::QUERY.detail(error.body_text()))
}

pub(super) fn path<T>(path: Parts<T>) -> Result<T, Problem> {
    path.map(|Path(value)| value)
        .map_err(|error| Problem::NO_SUCH.detail(error.body_text()))
}

pub(super) fn body<T>(body: Sent<T>) -> Result<T, Problem> {
    body.map(|axum::Json(value)| value)
        .map_err(|error| match error {
            JsonRejection::MissingJsonContentType(_) => Problem::MEDIA,
            JsonRejection::BytesRejection(_) => Problem::TOO_LARGE,
            other => Problem::BODY.detail(other.body_text()),
        })
}

/// The subject of `account/region/resource…`.
pub(super) fn subject(
    (account, region, resource): (String, String, String),
) -> Result<Subject, Problem> {
    Subject::parse(&format!("{account}/{region}/{resource}"))
        .map_err(|error| Problem::NO_SUCH.detail(error.to_string()))
}

/// Whether `text` is the wanted resource or lies in the wanted account or region.
pub(super) fn within(text: &str, wanted: &str) -> bool {
    text.strip_prefix(wanted.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
