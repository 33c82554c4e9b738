//! Errors as `application/problem+json` (RFC 9457), each with a stable code.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One kind of error. `code` is stable; programs match on it, never on the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: &'static str,
    /// What went wrong, the same for every occurrence.
    pub title: &'static str,
    /// What went wrong this time.
    pub detail: String,
    /// How to mend it.
    pub hint: &'static str,
}

const fn kind(status: u16, code: &'static str, title: &'static str, hint: &'static str) -> Problem {
    Problem {
        status,
        code,
        title,
        detail: String::new(),
        hint,
    }
}

#[rustfmt::skip]
impl Problem {
    pub(super) const NOT_FOUND: Self = kind(404, "not_found", "there is no such route", "GET /api/v1/openapi.json lists every route");
    pub(super) const METHOD: Self = kind(405, "method_not_allowed", "the route takes another method", "the header Allow names the methods it takes");
    pub(super) const NO_SUCH: Self = kind(404, "no_such_thing", "there is no such thing", "the lists under /api/v1 name what there is");
    pub(super) const BODY: Self = kind(422, "bad_body", "the body is not what is taken here", "GET /api/v1/openapi.json says what is");
    pub(super) const SLOW: Self = kind(408, "too_slow", "the request took too long", "send the body at once, or try again");
    pub(super) const TOKEN_MISSING: Self = kind(401, "token_missing", "a bearer token is needed", "send `Authorization: Bearer TOKEN`");
    pub(super) const TOKEN_UNKNOWN: Self = kind(401, "token_unknown", "the bearer token does not count", "it is unknown or expired; `skyherd token NAME` makes one");
    pub(super) const FORBIDDEN: Self = kind(403, "forbidden", "the token does not allow this", "use a token with role write and this account");
    pub(super) const FOREIGN: Self = kind(403, "foreign_origin", "browsers of other sites may not use the open API", "configure a token, or call by the address 127.0.0.1 without an Origin header");
    pub(super) const QUERY: Self = kind(400, "bad_query", "the query cannot be read", "GET /api/v1/openapi.json lists every parameter");
    pub(super) const TOPIC: Self = kind(404, "unknown_topic", "there is no such topic", "`skyherd topics list` names them");
    pub(super) const TOPIC_CLOSED: Self = kind(403, "topic_closed", "only agents write this topic", "publish to aws.metrics, aws.events, aws.inventory, aws.billing, requests or approvals");
    pub(super) const MEDIA: Self = kind(415, "not_json", "the body is not declared as JSON", "send `Content-Type: application/json`");
    pub(super) const TOO_LARGE: Self = kind(413, "too_large", "the body is over 1 MiB", "split it: one record a request");
    pub(super) const UNREADABLE: Self = kind(400, "unreadable_body", "the body could not be read", "send it again");
    pub(super) const UNDECODABLE: Self = kind(422, "undecodable", "the record is none of the topic's kinds", "mend the field named in detail; nothing was published");
    pub(super) const FORGED: Self = kind(403, "not_signed", "the message is not signed by SNS", "only SNS itself may post here; other producers post to /ingest/eventbridge");
    pub(super) const UNVERIFIED: Self = kind(503, "not_verified", "SNS' certificate or address cannot be reached", "let this process reach https://sns.<region>.amazonaws.com");
    pub(super) const TOPIC_FOREIGN: Self = kind(403, "topic_foreign", "messages of this SNS topic are not taken", "name the topic in ingest.sns_topics");
    pub(super) const BUSY: Self = kind(503, "busy", "too many publications are under way", "try again in a second");
    pub(super) const UNAVAILABLE: Self = kind(503, "log_unavailable", "the log cannot take or give records", "try again; repeats change nothing");
    pub(super) const BROKEN: Self = kind(500, "log_failed", "the log failed", "see the service's log");
}

impl Problem {
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = serde_json::json!({
            "type": format!("urn:skyherd:problem:{}", self.code),
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "hint": self.hint,
        });
        if !self.detail.is_empty() {
            body["detail"] = self.detail.into();
        }
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );
        if self.status == 503 {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        if self.status == 401 {
            headers.insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer"),
            );
        }
        response
    }
}
