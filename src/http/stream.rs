//! The live stream: Server-Sent Events that go on where a reader left off.
//!
//! `id:` is a position in the process's feed. A browser sends the last one it heard as
//! `Last-Event-ID`; others may put it into `?after=`. A position the feed does not reach back to,
//! or of another process, is answered with `event: reset`: read the lists again and go on.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::endpoint::Endpoint;
use super::extract::{Asked, blocking, query};
use super::feed::{End, Position, Since};
use super::{Credential, Problem, Shared, agents};

/// Between two events `agents`, which also keep the connection alive.
const AGENTS_EVERY: Duration = Duration::from_secs(2);
/// Events of one chunk: at most so many wait for a slow reader.
const CHUNK_EVENTS: usize = 200;
/// Streams served at once.
pub const STREAMS_MAX: usize = 256;
/// What a browser waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    /// The last id heard; the header `Last-Event-ID` wins.
    after: Option<String>,
}

/// Chunks as the body of an answer.
struct Chunks(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, std::convert::Infallible>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(Ok))
    }
}

fn event(text: &mut String, kind: &str, id: Position, data: &str) {
    let _ = write!(text, "event: {kind}\nid: {id}\ndata: {data}\n\n");
}

pub(super) async fn stream(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
    asked: Asked<From>,
) -> Result<Response, Problem> {
    let asked = query(asked)?.after;
    let permit = shared.streaming.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::BUSY.detail("too many streams are open"))?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .or(asked);
    let (chunks, body) = mpsc::channel(1);
    tokio::spawn(async move {
        let _permit = permit;
        let reader = Reader {
            shared,
            credential,
            chunks,
        };
        // Ends when the reader goes away or the process stops.
        let _ended = reader.run(last).await;
    });
    let form = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((form, Body::from_stream(Chunks(body))).into_response())
}

/// One connection.
struct Reader {
    shared: Shared,
    credential: Credential,
    chunks: mpsc::Sender<Bytes>,
}

impl Reader {
    /// Writes until nobody listens any more.
    async fn run(self, last: Option<String>) -> Option<()> {
        let feed = self.shared.service.feed();
        let mut moved = feed.watch();
        // A reader that is greeted hears of everything from then on.
        tokio::select! {
            begun = moved.wait_for(|end| *end != End::Waiting) => {
                begun.ok()?;
            }
            () = self.chunks.closed() => return None,
        }
        let end = feed.position();
        let mut position = match last.as_deref().map(Position::parse) {
            None => end,
            Some(Some(position)) => position,
            // No position of ours: answered as one that is too old.
            Some(None) => Position { epoch: 0, seq: 0 },
        };
        let hello = serde_json::json!({ "version": env!("CARGO_PKG_VERSION") });
        let mut text = format!("retry: {RETRY_MS}\n");
        // The id stays what the reader had, so that a break here loses nothing.
        event(&mut text, "hello", position, &hello.to_string());
        self.send(text).await?;
        let mut ticks = tokio::time::interval(AGENTS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            position = self.write_changes(position).await?;
            tokio::select! {
                _ = ticks.tick() => self.write_agents(position).await?,
                changed = moved.changed() => {
                    changed.ok()?;
                    if *moved.borrow_and_update() == End::Over {
                        return None;
                    }
                }
                () = self.chunks.closed() => return None,
            }
        }
    }

    /// Writes what follows `position` and returns where that ends.
    async fn write_changes(&self, mut position: Position) -> Option<Position> {
        let feed = self.shared.service.feed();
        loop {
            let mut text = String::new();
            match feed.since(position, CHUNK_EVENTS) {
                Since::TooOld => {
                    position = feed.position();
                    event(&mut text, "reset", position, "{}");
                }
                Since::Changes(changes) => {
                    let Some((last, _)) = changes.last() else {
                        return Some(position);
                    };
                    position = *last;
                    for (at, change) in &changes {
                        let mut accounts = change.accounts.iter();
                        if accounts.all(|account| self.credential.reaches(account)) {
                            event(&mut text, change.kind, *at, &change.data);
                        }
                    }
                }
            }
            if !text.is_empty() {
                self.send(text).await?;
            }
        }
    }

    async fn write_agents(&self, position: Position) -> Option<()> {
        let (shared, credential) = (self.shared.clone(), self.credential.clone());
        let rows = blocking(move || agents::rows(&shared, &credential)).await;
        let Ok(Ok(rows)) = rows else {
            // Told by the other routes; the stream goes on.
            return self
                .send(": the agents could not be asked\n\n".to_owned())
                .await;
        };
        let data = serde_json::to_string(&serde_json::json!({ "agents": rows })).ok()?;
        let mut text = String::new();
        event(&mut text, "agents", position, &data);
        self.send(text).await
    }

    async fn send(&self, text: String) -> Option<()> {
        self.chunks.send(Bytes::from(text)).await.ok()
    }
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/stream", stream)
            .says(
                "Stream",
                "Server-Sent Events: `hello` first, then `recommendation`, `finding` and `request` \
                 rows as they change and `agents` every two seconds. `id` resumes; `reset` says \
                 that it could not: read the lists again.",
            )
            .query::<From>()
            .sends("text/event-stream", "Events without end."),
    ]
}
