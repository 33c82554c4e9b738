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
use super::{Count, Known, Opened, as_it_stood, reaches, read};
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
    let (heard, count) = blocking(move || {
        let _permit = permit;
        hear(&shared, &headers, &message, &body)
    })
    .await??;
    let mut answer = axum::Json(heard).into_response();
    answer.extensions_mut().insert(count);
    Ok(answer)
}

fn hear(
    shared: &Shared,
    headers: &HeaderMap,
    message: &Map<String, Value>,
    body: &[u8],
) -> Result<(Heard, Count), Problem> {
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
        return Ok((heard, Count::default()));
    }
    let known = Known {
        at: Some(shared.service.now()),
        ..Known::from_arn(topic)
    };
    let account = known.account.clone().unwrap_or_default();
    let (mut records, mut bad) = (Vec::new(), None);
    let mut count = Count::default();
    for part in shared.service.open(body, &known) {
        match part {
            Opened::Record(record) => {
                reaches(&credential, &record.account)?;
                records.push(record);
            }
            Opened::Ignored(reason) => {
                count.ignored += 1;
                heard.ignored = Some(reason);
            }
            Opened::Refused(_, part) => bad = bad.or(Some(part.topic)),
        }
    }
    count.stored = records.len() as u64;
    heard.stored = records.len();
    if let Some(topic) = bad {
        // Sent again it would be no better: the message is put aside as it came.
        let aside = as_it_stood(shared, &credential, topic, &account, body.to_vec())?;
        count.quarantined = u64::from(aside.is_some());
        records.extend(aside);
    }
    shared.service.publish_all(&records)?;
    Ok((heard, count))
}
