//! What operators, browsers and programs without a Kafka client see: metrics, health, a JSON API
//! and a live stream.
//!
//! Knows nothing of agents, adapters or the runtime: they stand behind [`Service`]. Each resource
//! is a file: its types, its handlers, and its routes as data, of which router and `OpenAPI`
//! document are made.

mod access;
mod agents;
mod asyncapi;
mod console;
mod dead_letters;
mod endpoint;
mod extract;
mod feed;
mod findings;
mod ingest;
mod local;
mod openapi;
mod ops;
mod page;
mod problem;
mod recommendations;
mod requests;
mod rules;
mod sources;
mod stream;
mod subjects;
#[cfg(feature = "tls")]
mod tls;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

pub use access::{Access, Credential};
pub use agents::{AgentRow, Rate, SeriesMetric};
pub use asyncapi::asyncapi;
pub use console::FILES as CONSOLE_FILES;
pub use dead_letters::{
    DeadLetterRow, DeadLetterStory, Encoding, Mark, MarkKind, Replayed, home_of,
};
pub use feed::{Change, EVENTS_MAX, Feed, Position, Since};
pub use findings::FindingStory;
pub use ingest::{
    CERTIFICATE_BYTES_MAX, Certificates, DECOMPRESSED_BYTES_MAX, Fetch, Known, Opened, Pushed,
};
pub use local::Local;
pub use openapi::openapi;
pub use ops::open_to_all;
pub use page::LIMIT_MAX;
pub use problem::Problem;
pub use recommendations::{FlowStep, HistoryStep, RecommendationStory, Stage};
pub use requests::{ACCOUNTS_MAX, AccountAnswer, AskedAgent, Question, RequestRow, RequestState};
pub use sources::{ApiRow, SourceRow, Sources};
pub use stream::STREAMS_MAX;
pub use subjects::{AgentMemory, KnownSubject, Observed, RuleAnswer, RuleVerdict, Series};
#[cfg(feature = "tls")]
pub use tls::{Certificate, Secured, TlsError};

use crate::model::{AgentName, Finding, Recommendation, Subject, Timestamp, Topic, Undecodable};
use crate::ports::{PortResult, TaskId};
use crate::telemetry::{Metrics, Signal};

/// Longest body taken, in bytes: what an AWS event may have.
pub const BODY_BYTES_MAX: usize = 1_024 * 1_024;
/// Longest time a request may take, its body included.
const REQUEST_SECONDS_MAX: u64 = 30;
/// Publications under way at once; more are told to come again.
const PUBLISHING_MAX: usize = 256;
/// Firehose batches under way at once; each may hold a hundred mebibytes.
const DELIVERING_MAX: usize = 4;
/// How long a stop waits for requests under way.
const STOP_SECONDS_MAX: u64 = 5;

/// The process, as readiness sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Every task it owns.
    pub tasks: Vec<TaskStatus>,
    /// Agents of it that do not know yet what they own.
    pub joining: Vec<AgentName>,
}

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
    fn status(&self, refresh: bool) -> PortResult<Status>;
    /// Decodes without publishing.
    fn inspect(&self, topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable>;
    /// Appends a record keyed by its account to that account's partition, whose number is
    /// returned once the record is durable.
    fn publish(&self, topic: Topic, account: &str, payload: &[u8]) -> PortResult<u32>;
    /// Takes apart whatever AWS sends into records of one account each.
    fn open(&self, bytes: &[u8], known: &Known) -> Vec<Opened>;
    /// Appends records, each keyed by its account to that account's partition; returns once all
    /// of them are durable.
    fn publish_all(&self, records: &[Pushed]) -> PortResult<()>;
    /// Wall time.
    fn now(&self) -> Timestamp;
    /// Every recommendation row, in any order.
    fn recommendations(&self) -> PortResult<Vec<Arc<Recommendation>>>;
    /// One recommendation with what led to it.
    fn recommendation(&self, id: &str) -> PortResult<Option<RecommendationStory>>;
    /// Every finding row, in any order.
    fn findings(&self) -> PortResult<Vec<Arc<Finding>>>;
    /// One finding with what led to it.
    fn finding(&self, id: &str) -> PortResult<Option<FindingStory>>;
    /// Every resource some agent remembers, in order.
    fn subjects(&self) -> PortResult<Arc<Vec<KnownSubject>>>;
    /// What each agent remembers of a resource.
    fn memory(&self, subject: &Subject) -> PortResult<Vec<AgentMemory>>;
    /// What happened to a resource's findings, newest first.
    fn history(&self, subject: &Subject) -> PortResult<Vec<HistoryStep>>;
    /// What each rule, or the one of that id, says of a resource.
    fn why(&self, subject: &Subject, rule: Option<&str>) -> PortResult<Vec<RuleAnswer>>;
    /// How every agent does.
    fn agents(&self) -> PortResult<Vec<AgentRow>>;
    /// The last 24 hours of a metric, oldest first.
    fn series(&self, agent: AgentName, metric: SeriesMetric) -> Vec<(i64, f64)>;
    /// Records a second between agents and topics.
    fn rates(&self) -> Vec<Rate>;
    /// Every dead letter that was not dropped, in any order.
    fn dead_letters(&self) -> PortResult<Vec<Arc<DeadLetterRow>>>;
    /// One dead letter with its payload, dropped or not.
    fn dead_letter(&self, partition: u32, offset: u64) -> PortResult<Option<DeadLetterStory>>;
    /// Sends a dead letter back to its topic; durable when it returns.
    fn replay(&self, partition: u32, offset: u64, by: &str) -> PortResult<Replayed>;
    /// Marks a dead letter dropped; durable when it returns.
    fn forget(&self, partition: u32, offset: u64, by: &str) -> PortResult<Mark>;
    /// Publishes a request; returns its id once it is durable.
    fn ask(&self, question: &Question) -> PortResult<String>;
    /// Requests asked lately, in any order.
    fn requests(&self) -> PortResult<Vec<Arc<RequestRow>>>;
    /// One request.
    fn request(&self, id: &str) -> PortResult<Option<Arc<RequestRow>>>;
    /// What changed lately.
    fn feed(&self) -> &Feed;
    /// How the sources of this process do.
    fn sources(&self) -> Sources;
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
    streaming: Arc<tokio::sync::Semaphore>,
    delivering: Arc<tokio::sync::Semaphore>,
    remembered: Arc<ingest::Remembered>,
}

/// Every route.
fn endpoints() -> Vec<endpoint::Endpoint> {
    [
        ops::endpoints(),
        ingest::endpoints(),
        recommendations::endpoints(),
        findings::endpoints(),
        subjects::endpoints(),
        agents::endpoints(),
        rules::endpoints(),
        sources::endpoints(),
        dead_letters::endpoints(),
        requests::endpoints(),
        stream::endpoints(),
        openapi::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Method, path and purpose of every route, as documents tell them.
pub fn routes() -> Vec<(&'static str, &'static str, &'static str)> {
    endpoints()
        .iter()
        .map(|endpoint| (endpoint.method, endpoint.path, endpoint.says))
        .collect()
}

/// The API as a router, for [`serve`] and for tests in process.
pub fn router(service: Arc<dyn Service>, access: Access) -> Router {
    let [router] = routers(service, [access]);
    router
}

fn routed(shared: Shared) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        router = router.route(endpoint.path, endpoint.handler);
    }
    router
        .fallback(|| async { Problem::NOT_FOUND.into_response() })
        .method_not_allowed_fallback(|| async { Problem::METHOD.into_response() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), admit))
        .merge(console::routes())
        .layer(from_fn_with_state(shared.clone(), observe))
        .with_state(shared)
}

/// The API at several addresses, each with rules of its own; what bounds it bounds all of them
/// together.
pub fn routers<const N: usize>(service: Arc<dyn Service>, access: [Access; N]) -> [Router; N] {
    let publishing = Arc::new(tokio::sync::Semaphore::new(PUBLISHING_MAX));
    let streaming = Arc::new(tokio::sync::Semaphore::new(STREAMS_MAX));
    let delivering = Arc::new(tokio::sync::Semaphore::new(DELIVERING_MAX));
    let remembered = Arc::default();
    access.map(move |access| {
        routed(Shared {
            service: Arc::clone(&service),
            access: Arc::new(access),
            publishing: Arc::clone(&publishing),
            streaming: Arc::clone(&streaming),
            delivering: Arc::clone(&delivering),
            remembered: Arc::clone(&remembered),
        })
    })
}

/// Refuses who may not, and what takes too long.
async fn admit(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let credential = match shared.access.admit(&request) {
        Ok(credential) => credential,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(credential);
    if request.uri().path() == ingest::FIREHOSE {
        // Large, and bounded by itself, in the words of its protocol.
        return next.run(request).await;
    }
    let within = Duration::from_secs(REQUEST_SECONDS_MAX);
    match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::SLOW.into_response(),
    }
}

async fn observe(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    static PATHS: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let api = routes().into_iter().map(|(_, path, _)| path);
        api.chain(console::ROUTES).collect()
    });
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = PATHS
        .iter()
        .copied()
        .find(|route| matched.as_ref().is_some_and(|path| path.as_str() == *route))
        .unwrap_or("other");
    let carries = carries_a_body(request.headers());
    let mut response = next.run(request).await;
    if carries && response.status().is_client_error() {
        // Who is refused before the body was read would send the next request into a connection
        // that is being closed under it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    let status = response.status().as_u16();
    shared
        .service
        .metrics()
        .emit(&Signal::HttpRequest { route, status });
    ingest::counted(&shared, route, &response);
    response
}

fn carries_a_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.is_some_and(|length| length.as_bytes() != b"0");
    length || headers.contains_key(header::TRANSFER_ENCODING)
}

/// Serves on `listener` until `stop` resolves; then requests under way have a bounded time to
/// end, since an idle keep-alive connection would hold a graceful stop for ever.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve<L>(
    listener: L,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
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
