//! The HTTP API through a real socket on a free port, before a service of our own making.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use skyherd::app;
use skyherd::http::{
    Access, AgentMemory, AgentRow, BODY_BYTES_MAX, Credential, DeadLetterRow, DeadLetterStory,
    Feed, FindingStory, HistoryStep, Inspected, Known, KnownSubject, Mark, Opened, Pushed,
    Question, Rate, RecommendationStory, Replayed, RequestRow, RuleAnswer, SeriesMetric, Service,
    Status, Stored, Stretch, TaskStatus, router, serve,
};
use skyherd::model::{
    AgentName, Finding, Recommendation, Subject, Timestamp, Topic, Undecodable, partition_of,
};
use skyherd::ports::{PortError, PortResult, TaskId};
use skyherd::telemetry::Metrics;

const PARTITIONS: u32 = 8;
const ACCOUNT: &str = "111122223333";

/// What the API stands before: everything is set by the test.
struct World {
    metrics: Metrics,
    feed: Feed,
    tasks: Mutex<Vec<TaskStatus>>,
    published: Mutex<Vec<(Topic, String, Vec<u8>)>>,
    rows: Mutex<Vec<Recommendation>>,
    joining: Mutex<Vec<AgentName>>,
    down: Mutex<bool>,
    /// What the clock gains each time it is read.
    haste_ms: Mutex<i64>,
    now_ms: Mutex<i64>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            metrics: Metrics::default(),
            feed: Feed::new(1),
            tasks: Mutex::default(),
            published: Mutex::default(),
            rows: Mutex::default(),
            joining: Mutex::default(),
            down: Mutex::default(),
            haste_ms: Mutex::default(),
            now_ms: Mutex::new(1_767_225_600_000),
        }
    }
}

impl Service for World {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    fn status(&self, _refresh: bool) -> PortResult<Status> {
        Ok(Status {
            tasks: self.tasks.lock().clone(),
            joining: self.joining.lock().clone(),
        })
    }
    fn inspect(&self, topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable> {
        app::inspect(topic, payload)
    }
    fn publish(&self, topic: Topic, account: &str, payload: &[u8]) -> PortResult<u32> {
        if *self.down.lock() {
            return Err(PortError::Transient("the broker is away".into()));
        }
        let record = (topic, account.to_owned(), payload.to_vec());
        self.published.lock().push(record);
        Ok(partition_of(account, PARTITIONS))
    }
    fn open(&self, bytes: &[u8], known: &Known) -> Vec<Opened> {
        app::take_apart(bytes, known)
    }
    fn publish_all(&self, records: &[Pushed]) -> PortResult<()> {
        for record in records {
            self.publish(record.topic, &record.account, &record.payload)?;
        }
        Ok(())
    }
    fn now(&self) -> Timestamp {
        let mut now = self.now_ms.lock();
        *now += *self.haste_ms.lock();
        Timestamp::from_ms(*now)
    }
    fn recommendations(&self) -> PortResult<Vec<Arc<Recommendation>>> {
        Ok(self.rows.lock().iter().cloned().map(Arc::new).collect())
    }
    fn recommendation(&self, _id: &str) -> PortResult<Option<RecommendationStory>> {
        Ok(None)
    }
    fn findings(&self) -> PortResult<Vec<Arc<Finding>>> {
        Ok(Vec::new())
    }
    fn finding(&self, _id: &str) -> PortResult<Option<FindingStory>> {
        Ok(None)
    }
    fn subjects(&self) -> PortResult<Arc<Vec<KnownSubject>>> {
        Ok(Arc::default())
    }
    fn memory(&self, _subject: &Subject) -> PortResult<Vec<AgentMemory>> {
        Ok(Vec::new())
    }
    fn history(&self, _subject: &Subject) -> PortResult<Vec<HistoryStep>> {
        Ok(Vec::new())
    }
    fn why(&self, _subject: &Subject, _rule: Option<&str>) -> PortResult<Vec<RuleAnswer>> {
        Ok(Vec::new())
    }
    fn agents(&self) -> PortResult<Vec<AgentRow>> {
        Ok(Vec::new())
    }
    fn series(&self, _agent: AgentName, _metric: SeriesMetric) -> Vec<(i64, f64)> {
        Vec::new()
    }
    fn rates(&self) -> Vec<Rate> {
        Vec::new()
    }
    fn dead_letters(&self) -> PortResult<Vec<Arc<DeadLetterRow>>> {
        Ok(Vec::new())
    }
    fn dead_letter(&self, _: u32, _: u64) -> PortResult<Option<DeadLetterStory>> {
        Ok(None)
    }
    fn replay(&self, _: u32, _: u64, _: &str) -> PortResult<Replayed> {
        Err(PortError::Transient("nothing to replay".into()))
    }
    fn forget(&self, _: u32, _: u64, _: &str) -> PortResult<Mark> {
        Err(PortError::Transient("nothing to drop".into()))
    }
    fn ask(&self, _question: &Question) -> PortResult<String> {
        Err(PortError::Transient("nobody to ask".into()))
    }
    fn requests(&self) -> PortResult<Vec<Arc<RequestRow>>> {
        Ok(Vec::new())
    }
    fn request(&self, _id: &str) -> PortResult<Option<Arc<RequestRow>>> {
        Ok(None)
    }
    fn feed(&self) -> &Feed {
        &self.feed
    }
    fn partitions(&self) -> u32 {
        PARTITIONS
    }
    fn records(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> PortResult<Stretch> {
        let published = self.published.lock();
        let all: Vec<Stored> = published
            .iter()
            .filter(|(at, account, _)| {
                *at == topic && partition_of(account, PARTITIONS) == partition
            })
            .enumerate()
            .map(|(offset, (_, account, payload))| Stored {
                offset: offset as u64,
                key: Some(account.as_bytes().to_vec()),
                payload: Some(payload.clone()),
                timestamp_ms: None,
            })
            .collect();
        let end = all.len() as u64;
        let records: Vec<Stored> = all
            .into_iter()
            .skip(from.try_into().unwrap_or(usize::MAX))
            .take(limit)
            .collect();
        let next = from.min(end) + records.len() as u64;
        Ok(Stretch { records, next, end })
    }
}

/// A served API; stops when dropped.
struct Api {
    world: Arc<World>,
    base: String,
    agent: ureq::Agent,
    _stop: tokio::sync::oneshot::Sender<()>,
    _runtime: tokio::runtime::Runtime,
}

impl Api {
    fn open() -> Self {
        Self::with(Access::new(true))
    }

    fn with(access: Access) -> Self {
        let world = Arc::new(World::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served: Arc<dyn Service> = Arc::clone(&world) as Arc<dyn Service>;
        runtime.spawn(serve(listener, router(served, access), async move {
            let _ = stopped.await;
        }));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Self {
            world,
            base,
            agent,
            _stop: stop,
            _runtime: runtime,
        }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.call().unwrap())
    }

    fn post(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.content_type("application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, text) = read(request.send(body).unwrap());
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, String) {
    let status = answer.status().as_u16();
    if status >= 400 && answer.headers()["content-type"] != "application/json" {
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    (status, answer.body_mut().read_to_string().unwrap())
}

fn event(account: &str) -> Vec<u8> {
    json!({
        "version": "0",
        "id": "e-1",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": account,
        "time": "2026-10-15T00:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": { "instance-id": "i-0abc", "state": "stopped" },
    })
    .to_string()
    .into_bytes()
}

fn task(partition: u32) -> TaskStatus {
    TaskStatus {
        task: TaskId {
            agent: AgentName::Cost,
            partition,
        },
        live: true,
        parked: false,
        lag: 0,
        dirty: false,
        wake_due: false,
    }
}

fn recommendation(id: &str, score: f64, state: &str, account: &str) -> Recommendation {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/schemas/examples/recommendation.json"
    );
    let mut row: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    row["id"] = id.into();
    row["state"] = state.into();
    row["owner"] = format!("{account}/eu-west-1/instance/i-{id}").into();
    row["priority"]["score"] = score.into();
    serde_json::from_str(&row.to_string()).unwrap()
}

#[test]
fn a_published_event_is_stored_before_it_is_accepted() {
    let api = Api::open();
    let (status, answer) = api.post("/api/v1/events", &event(ACCOUNT), &[]);
    assert_eq!((status, &answer["stored"]), (202, &json!(true)));
    assert_eq!(
        answer["partition"],
        json!(partition_of(ACCOUNT, PARTITIONS))
    );
    let published = api.world.published.lock().clone();
    assert_eq!(
        published,
        [(Topic::AwsEvents, ACCOUNT.to_owned(), event(ACCOUNT))]
    );
}

#[test]
fn while_the_log_is_away_nothing_is_accepted() {
    let api = Api::open();
    *api.world.down.lock() = true;
    let (status, problem) = api.post("/api/v1/events", &event(ACCOUNT), &[]);
    assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")));
}

#[test]
fn what_cannot_be_decoded_is_refused_naming_the_field() {
    let api = Api::open();
    let mut broken: Value = serde_json::from_slice(&event(ACCOUNT)).unwrap();
    broken.as_object_mut().unwrap().remove("account");
    let (status, problem) = api.post("/api/v1/events", broken.to_string().as_bytes(), &[]);
    assert_eq!((status, &problem["code"]), (422, &json!("undecodable")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("aws.events") && detail.contains("account"),
        "{detail}"
    );
    assert!(!problem["hint"].as_str().unwrap().is_empty());
    assert_eq!(api.post("/api/v1/events", b"{", &[]).0, 422);
    assert!(api.world.published.lock().is_empty());
}

#[test]
fn an_event_of_a_foreign_kind_is_welcome_and_not_stored() {
    let api = Api::open();
    let mut foreign: Value = serde_json::from_slice(&event(ACCOUNT)).unwrap();
    foreign["source"] = "aws.polly".into();
    foreign["detail-type"] = "Polly Wants a Cracker".into();
    let (status, answer) = api.post("/api/v1/events", foreign.to_string().as_bytes(), &[]);
    assert_eq!((status, &answer["stored"]), (200, &json!(false)));
    assert!(answer["ignored"].as_str().unwrap().contains("aws.polly"));
    assert!(api.world.published.lock().is_empty());
}

#[test]
fn each_misuse_has_its_status_and_code() {
    let api = Api::open();
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    let text = [("content-type", "text/plain")];
    let origin = [("origin", "https://elsewhere.example")];
    for (path, body, headers, status, code) in [
        (
            "/api/v1/events",
            large.as_slice(),
            &[][..],
            413,
            "too_large",
        ),
        ("/api/v1/events", b"{}", &text[..], 415, "not_json"),
        ("/api/v1/events", b"{}", &origin[..], 403, "foreign_origin"),
        (
            "/api/v1/events?topic=aws.evnts",
            b"{}",
            &[],
            404,
            "unknown_topic",
        ),
        (
            "/api/v1/events?topic=findings.cost",
            b"{}",
            &[],
            403,
            "topic_closed",
        ),
        ("/api/v1/events?tpoic=x", b"{}", &[], 400, "bad_query"),
        ("/api/v1/nothing", b"{}", &[], 404, "not_found"),
        ("/healthz", b"{}", &[], 405, "method_not_allowed"),
    ] {
        let (found, problem) = api.post(path, body, headers);
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}");
        assert_eq!(problem["status"], json!(status));
    }
}

#[test]
fn a_rebound_host_name_does_not_reach_the_open_api() {
    let api = Api::open();
    let (status, _) = api.get("/api/v1/recommendations", &[("host", "evil.example:8080")]);
    assert_eq!(status, 403);
    assert_eq!(api.get("/api/v1/recommendations", &[]).0, 200);
}

fn tokens(loopback: bool) -> Access {
    let mut access = Access::new(loopback);
    for (token, write, accounts, expires_at) in [
        ("reader", false, vec![], None),
        ("writer", true, vec![], None),
        ("narrow", true, vec![ACCOUNT.to_owned()], None),
        ("stale", true, vec![], Some(Timestamp::from_ms(1))),
    ] {
        let credential = Credential {
            name: token.to_owned(),
            write,
            accounts,
            expires_at,
        };
        let hash = blake3::hash(token.as_bytes()).to_hex();
        assert!(access.add(&hash, credential));
    }
    access
}

#[test]
fn a_write_needs_a_token_that_may_write_and_reaches_the_account() {
    let api = Api::with(tokens(true));
    let post = |token: &str, account: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let headers = if token.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        api.post("/api/v1/events", &event(account), headers).0
    };
    assert_eq!(post("", ACCOUNT), 401);
    assert_eq!(post("unknown", ACCOUNT), 401);
    assert_eq!(post("stale", ACCOUNT), 401);
    assert_eq!(post("reader", ACCOUNT), 403);
    assert_eq!(post("narrow", "444455556666"), 403);
    assert!(api.world.published.lock().is_empty());
    assert_eq!(post("narrow", ACCOUNT), 202);
    assert_eq!(post("writer", "444455556666"), 202);
}

#[test]
fn off_loopback_reads_need_a_token_and_health_does_not() {
    let api = Api::with(tokens(false));
    assert_eq!(api.get("/api/v1/recommendations", &[]).0, 401);
    assert_eq!(api.get("/metrics", &[]).0, 401);
    assert_eq!(api.get("/healthz", &[]).0, 200);
    let bearer = [("authorization", "Bearer reader")];
    assert_eq!(api.get("/api/v1/recommendations", &bearer).0, 200);
    assert_eq!(api.get("/metrics", &bearer).0, 200);
}

#[test]
fn recommendations_come_ranked_filtered_and_counted() {
    let api = Api::with(tokens(true));
    *api.world.rows.lock() = vec![
        recommendation("0a", 10.0, "open", ACCOUNT),
        recommendation("0b", 90.0, "open", "444455556666"),
        recommendation("0d", 50.0, "open", ACCOUNT),
        recommendation("0c", 50.0, "open", ACCOUNT),
        recommendation("0e", 99.0, "resolved", ACCOUNT),
    ];
    let ids = |query: &str, headers: &[(&str, &str)]| {
        let (status, text) = api.get(&format!("/api/v1/recommendations{query}"), headers);
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let rows = answer["recommendations"].as_array().unwrap().clone();
        let ids: Vec<String> = rows
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(" "), answer["total"].as_u64().unwrap())
    };
    assert_eq!(ids("", &[]), ("0b 0c 0d 0a".into(), 4));
    assert_eq!(ids("?limit=2", &[]), ("0b 0c".into(), 4));
    assert_eq!(ids("?state=resolved", &[]), ("0e".into(), 1));
    assert_eq!(ids("?state=all&limit=1", &[]), ("0e".into(), 5));
    let owner = format!("?owner={ACCOUNT}/eu-west-1/instance/i-0a");
    assert_eq!(ids(&owner, &[]), ("0a".into(), 1));
    assert_eq!(
        ids(&format!("?owner={ACCOUNT}"), &[]),
        ("0c 0d 0a".into(), 3)
    );
    assert_eq!(ids("?owner=1111", &[]), (String::new(), 0));
    let narrow = [("authorization", "Bearer narrow")];
    assert_eq!(ids("", &narrow), ("0c 0d 0a".into(), 3));
    for query in ["?limit=0", "?limit=9999", "?state=opne", "?page=2"] {
        let (status, _) = api.get(&format!("/api/v1/recommendations{query}"), &[]);
        assert_eq!(status, 400, "{query}");
    }
}

#[test]
fn readiness_waits_for_every_task_and_says_what_is_missing() {
    let api = Api::open();
    let ready = |query: &str| {
        let (status, text) = api.get(&format!("/readyz{query}"), &[]);
        let answer: Value = serde_json::from_str(&text).unwrap();
        (status, answer["missing"].to_string())
    };
    *api.world.tasks.lock() = vec![task(0)];
    *api.world.joining.lock() = vec![AgentName::Security];
    let told = r#"["security: has not been told yet which tasks are its own"]"#;
    assert_eq!(ready(""), (503, told.to_owned()));
    // More processes than partitions: one has nothing to do, and is ready to.
    api.world.joining.lock().clear();
    api.world.tasks.lock().clear();
    assert_eq!(ready(""), (200, "[]".to_owned()));
    *api.world.tasks.lock() = vec![
        task(0),
        TaskStatus {
            live: false,
            ..task(3)
        },
    ];
    assert_eq!(ready(""), (503, r#"["cost:3: not live"]"#.to_owned()));
    *api.world.tasks.lock() = vec![TaskStatus {
        lag: 7,
        dirty: true,
        wake_due: true,
        ..task(3)
    }];
    assert_eq!(ready(""), (200, "[]".to_owned()));
    assert_eq!(
        ready("?quiesced"),
        (
            503,
            r#"["cost:3: 7 records behind, not saved, a wake is due"]"#.to_owned()
        )
    );
    *api.world.tasks.lock() = vec![task(3)];
    assert_eq!(ready("?quiesced"), (200, "[]".to_owned()));
}

#[test]
fn a_topic_can_be_read_on_from_where_one_was() {
    let api = Api::open();
    for _ in 0..3 {
        assert_eq!(api.post("/api/v1/events", &event(ACCOUNT), &[]).0, 202);
    }
    let partition = partition_of(ACCOUNT, PARTITIONS);
    let path = format!("/api/v1/topics/aws.events/records?partition={partition}&from=1&limit=1");
    let (status, text) = api.get(&path, &[]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["next"], &answer["end"], &answer["partitions"]),
        (&json!(2), &json!(3), &json!(PARTITIONS))
    );
    let record = &answer["records"][0];
    assert_eq!(
        (&record["offset"], &record["key"]),
        (&json!(1), &json!(ACCOUNT))
    );
    assert_eq!(record["payload"]["source"], json!("aws.ec2"));
    let beyond = "/api/v1/topics/aws.events/records?partition=8";
    assert_eq!(api.get(beyond, &[]).0, 404);
}

#[test]
fn requests_are_counted_by_route_and_class() {
    let api = Api::open();
    api.get("/healthz", &[]);
    api.get("/no/such/route", &[]);
    let (_, text) = api.get("/metrics", &[]);
    for line in [
        r#"skyherd_http_requests_total{class="2xx",route="/healthz"} 1"#,
        r#"skyherd_http_requests_total{class="4xx",route="other"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing from\n{text}");
    }
}

/// A Firehose delivery of this many records, each an event.
fn delivery(records: usize) -> Vec<u8> {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(event(ACCOUNT));
    let records = vec![json!({ "data": data }); records];
    json!({ "requestId": "r-1", "timestamp": 1, "records": records })
        .to_string()
        .into_bytes()
}

#[test]
fn a_delivery_counts_as_taken_once_it_is_durable_and_not_before() {
    let api = Api::open();
    let headers = [("x-amz-firehose-request-id", "r-1")];
    let deliver = || api.post("/ingest/firehose", &delivery(2), &headers);
    *api.world.down.lock() = true;
    for _ in 0..2 {
        let (status, answer) = deliver();
        assert_eq!(
            (status, &answer["requestId"]),
            (503, &json!("r-1")),
            "{answer}"
        );
        assert!(answer["errorMessage"].is_string(), "{answer}");
    }
    *api.world.down.lock() = false;
    for _ in 0..2 {
        assert_eq!(deliver().0, 200);
        assert_eq!(api.world.published.lock().len(), 2);
    }
}

#[test]
fn a_delivery_that_takes_too_long_to_read_is_given_up_whole() {
    let api = Api::open();
    let headers = [("x-amz-firehose-request-id", "r-1")];
    *api.world.haste_ms.lock() = 20_000;
    let (status, answer) = api.post("/ingest/firehose", &delivery(20), &headers);
    assert_eq!(
        (status, &answer["requestId"]),
        (413, &json!("r-1")),
        "{answer}"
    );
    assert!(api.world.published.lock().is_empty());
    assert_eq!(api.post("/ingest/firehose", &delivery(2), &headers).0, 200);
}
