//! An HTTPS subscription of an SNS topic.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::signature::Doubt;
use super::{Known, Opened, Pushed, reaches, read};
use crate::http::extract::blocking;
use crate::http::{Problem, Shared};

/// What became of a message.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Heard {
    /// Records that are durable now.
    stored: usize,
    /// What it was that nothing was stored of, such as `sns: a text of no AWS kind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
    /// Whether a subscription was confirmed.
    confirmed: bool,
}

impl From<Doubt> for Problem {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::Forged(why) => Self::FORGED.detail(why),
            Doubt::Unavailable(why) => Self::UNVERIFIED.detail(why),
        }
    }
}

/// SNS sends no token: the signature says that AWS sent it, the list of topics that it is ours.
pub(in crate::http) async fn take(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = read(body)?;
    // SNS declares its JSON as text, so the declaration says nothing.
    let message: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|error| Problem::BODY.detail(error.to_string()))?;
    let permit = shared
        .publishing
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::BUSY)?;
    let heard = blocking(move || {
        let _permit = permit;
        hear(&shared, &headers, &message, &body)
    })
    .await??;
    Ok(axum::Json(heard).into_response())
}

fn hear(
    shared: &Shared,
    headers: &HeaderMap,
    message: &Map<String, Value>,
    body: &[u8],
) -> Result<Heard, Problem> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let topic = text("TopicArn").ok_or_else(|| Problem::BODY.detail("missing field `TopicArn`"))?;
    let credential = shared.access.topic(headers, topic)?;
    let certificates = shared.access.certificates()?;
    certificates.check(message)?;
    let mut heard = Heard {
        stored: 0,
        ignored: None,
        confirmed: false,
    };
    if text("Type") == Some("SubscriptionConfirmation") {
        let url = text("SubscribeURL").unwrap_or_default();
        certificates.confirm(url)?;
        heard.confirmed = true;
        return Ok(heard);
    }
    let known = Known {
        at: Some(shared.service.now()),
        ..Known::from_arn(topic)
    };
    let account = known.account.clone().unwrap_or_default();
    let mut records = Vec::new();
    for part in shared.service.open(body, &known) {
        match part {
            Opened::Record(record) => {
                reaches(&credential, &record.account)?;
                records.push(record);
            }
            Opened::Ignored(reason) => heard.ignored = Some(reason),
            // Sent again it would be no better: it is put aside.
            Opened::Refused(_, record) => records.push(Pushed {
                account: account.clone(),
                ..record
            }),
        }
    }
    shared.service.publish_all(&records)?;
    heard.stored = records.len();
    Ok(heard)
}
