//! What operators and programs without a Kafka client see: metrics, health, a small JSON API.
//!
//! Knows nothing of agents, adapters or the runtime: they stand behind [`Service`].

mod access;
mod api;
mod console;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub use access::{Access, Credential};
pub use api::open_to_all;
pub use console::FILES as CONSOLE_FILES;
pub use problem::Problem;

use crate::model::{Recommendation, Topic, Undecodable};
use crate::ports::{PortResult, TaskId};
use crate::telemetry::{Metrics, Signal};

/// Longest body taken, in bytes: what an AWS event may have.
pub const BODY_BYTES_MAX: usize = 1_024 * 1_024;
/// Longest time a request may take, its body included.
const REQUEST_SECONDS_MAX: u64 = 30;
/// Publications under way at once; more are told to come again.
const PUBLISHING_MAX: usize = 256;
/// How long a stop waits for requests under way.
const STOP_SECONDS_MAX: u64 = 5;

/// One task, as readiness sees it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is asked about by itself"
)]
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Which.
    pub task: TaskId,
    /// Whether it has taken everything that was there when it was acquired.
    pub live: bool,
    /// Whether its intake stopped on a fault.
    pub parked: bool,
    /// Records between its positions and the ends of its topics.
    pub lag: u64,
    /// Whether states wait for a checkpoint.
    pub dirty: bool,
    /// Whether a wake is due and not fired.
    pub wake_due: bool,
}

/// What a record turned out to be, before it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// Something to decide about, owned by this account.
    Owned(String),
    /// Well-formed, not of our kinds; the reason names its kind.
    Ignored(String),
}

/// A record as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its offset.
    pub offset: u64,
    /// The record key.
    pub key: Option<Vec<u8>>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The record's own time in milliseconds.
    pub timestamp_ms: Option<i64>,
}

/// A stretch of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stretch {
    /// In order.
    pub records: Vec<Stored>,
    /// Where to go on.
    pub next: u64,
    /// Where the log ends.
    pub end: u64,
}

/// The running process, as this module sees it. Methods may block; none is called on the
/// asynchronous threads.
pub trait Service: Send + Sync + 'static {
    /// The registry.
    fn metrics(&self) -> &Metrics;
    /// Every owned task. With `refresh` the log is asked for its true ends first.
    fn status(&self, refresh: bool) -> PortResult<Vec<TaskStatus>>;
    /// Decodes without publishing.
    fn inspect(&self, topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable>;
    /// Appends a record keyed by its account to that account's partition, whose number is
    /// returned once the record is durable.
    fn publish(&self, topic: Topic, account: &str, payload: &[u8]) -> PortResult<u32>;
    /// Every recommendation row, in any order.
    fn recommendations(&self) -> PortResult<Vec<Recommendation>>;
    /// Partitions of every topic.
    fn partitions(&self) -> u32;
    /// At most `limit` records of a partition from `from` on.
    fn records(&self, topic: Topic, partition: u32, from: u64, limit: usize)
    -> PortResult<Stretch>;
}

/// What handlers share.
#[derive(Clone)]
struct Shared {
    service: Arc<dyn Service>,
    access: Arc<Access>,
    publishing: Arc<tokio::sync::Semaphore>,
}

/// The API as a router, for [`serve`] and for tests in process.
pub fn router(service: Arc<dyn Service>, access: Access) -> Router {
    let shared = Shared {
        service,
        access: Arc::new(access),
        publishing: Arc::new(tokio::sync::Semaphore::new(PUBLISHING_MAX)),
    };
    Router::new()
        .route("/metrics", get(api::metrics))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/v1/events", post(api::publish))
        .route("/api/v1/recommendations", get(api::recommendations))
        .route("/api/v1/topics/{topic}/records", get(api::records))
        .fallback(|| async { Problem::NOT_FOUND.into_response() })
        .method_not_allowed_fallback(|| async { Problem::METHOD.into_response() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), admit))
        .merge(console::routes())
        .layer(from_fn_with_state(shared.clone(), observe))
        .with_state(shared)
}

/// Refuses who may not, and what takes too long.
async fn admit(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let credential = match shared.access.admit(&request) {
        Ok(credential) => credential,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(credential);
    let within = Duration::from_secs(REQUEST_SECONDS_MAX);
    match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::SLOW.into_response(),
    }
}

async fn observe(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    const ROUTES: [&str; 8] = [
        console::ROUTES[0],
        console::ROUTES[1],
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/v1/events",
        "/api/v1/recommendations",
        "/api/v1/topics/{topic}/records",
    ];
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = ROUTES
        .into_iter()
        .find(|route| matched.as_ref().is_some_and(|path| path.as_str() == *route))
        .unwrap_or("other");
    let response = next.run(request).await;
    let status = response.status().as_u16();
    shared
        .service
        .metrics()
        .emit(&Signal::HttpRequest { route, status });
    response
}

/// Serves on `listener` until `stop` resolves; then requests under way have a bounded time to
/// end, since an idle keep-alive connection would hold a graceful stop for ever.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (begun, begins) = tokio::sync::oneshot::channel::<()>();
    let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        drop(begun);
    });
    let deadline = async {
        // The sender is dropped when the stop begins, never used to send.
        let _ = begins.await;
        tokio::time::sleep(Duration::from_secs(STOP_SECONDS_MAX)).await;
    };
    tokio::select! {
        served = std::future::IntoFuture::into_future(graceful) => served,
        () = deadline => Ok(()),
    }
}
