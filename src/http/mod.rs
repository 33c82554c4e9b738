//! What operators and programs without a Kafka client see: metrics, health, a small JSON API.
//!
//! Knows nothing of agents, adapters or the runtime: they stand behind [`Service`].

mod access;
mod api;
mod problem;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub use access::{Access, Credential};
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
    /// Wakes that are due and not fired.
    pub wakes_due: u64,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition of its account.
    pub partition: u32,
    /// Its offset, when the log tells.
    pub offset: Option<u64>,
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

/// The running process, as this module sees it. Methods may block; none is called on the
/// asynchronous threads.
pub trait Service: Send + Sync + 'static {
    /// The registry.
    fn metrics(&self) -> &Metrics;
    /// Whether every agent of this process has heard its first assignment.
    fn started(&self) -> bool;
    /// Every owned task.
    fn status(&self) -> Vec<TaskStatus>;
    /// Decodes without publishing.
    fn inspect(&self, topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable>;
    /// Appends a record keyed by `key` to the partition of `account`; returns once it is durable.
    fn publish(
        &self,
        topic: Topic,
        account: &str,
        key: &[u8],
        payload: &[u8],
    ) -> PortResult<Position>;
    /// Every recommendation row, in any order.
    fn recommendations(&self) -> Vec<Recommendation>;
    /// Partitions of every topic.
    fn partitions(&self) -> u32;
    /// At most `limit` records from `from` on, and the end of the log.
    fn records(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> PortResult<(Vec<Stored>, u64)>;
}

/// What handlers share.
#[derive(Clone)]
struct Shared {
    service: Arc<dyn Service>,
    access: Arc<Access>,
    publishing: Arc<tokio::sync::Semaphore>,
}

/// The API as a router, for [`Server`] and for tests in process.
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
    const ROUTES: [&str; 6] = [
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

/// The API on a socket, on threads of its own.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Listens and serves until [`Server::stop`].
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        listen: SocketAddr,
        service: Arc<dyn Service>,
        access: Access,
    ) -> std::io::Result<Self> {
        let socket = std::net::TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("http")
            .enable_all()
            .build()?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let router = router(service, access);
        let thread = std::thread::Builder::new()
            .name("http-main".to_owned())
            .spawn(move || {
                let served = runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(socket)?;
                    serve(listener, router, stopped).await
                });
                if let Err(error) = served {
                    tracing::error!(%error, "the HTTP server ended");
                }
                runtime.shutdown_timeout(Duration::from_secs(STOP_SECONDS_MAX));
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it listens on; names the port that was taken for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits, bounded, for those under way.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves until told to stop; then requests under way have a bounded time to end, since an idle
/// keep-alive connection would hold a graceful stop for ever.
async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let (begun, begins) = tokio::sync::oneshot::channel::<()>();
    let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
        // The sender is dropped to stop, never used to send.
        let _ = stopped.await;
        drop(begun);
    });
    let deadline = async {
        let _ = begins.await;
        tokio::time::sleep(Duration::from_secs(STOP_SECONDS_MAX)).await;
    };
    tokio::select! {
        served = std::future::IntoFuture::into_future(graceful) => served,
        () = deadline => Ok(()),
    }
}
