//! The service watches itself: its own reports become findings and recommendations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use skyherd::app::{self, Backend, Service, Watch};
use skyherd::config::Config;
use skyherd::model::{
    AgentName, Edge, Finding, Message, Recommendation, RecommendationState, Timestamp, Topic,
};
use skyherd::ports::Clock as _;
use skyherd::runtime::SystemClock;
use skyherd::sources::{Decoded, decode};
use skyherd::telemetry::Metrics;

use super::harness::{DEADLINE, Proc, await_until, free_port};

const SOURCE: Topic = Topic::AwsMetrics;
const ROUND_MS: i64 = Timestamp::MINUTE;

/// An embedded service whose rounds the test makes, at times of its own.
struct World {
    dir: tempfile::TempDir,
    backend: Arc<dyn Backend>,
    service: Option<Service>,
    watch: Watch,
    metrics: Arc<Metrics>,
    now: Timestamp,
    points: i64,
}

fn config(dir: &std::path::Path, interval_ms: u64) -> Config {
    let mut config = Config {
        data_dir: dir.to_owned(),
        partitions: 4,
        node: "node-a".into(),
        ..Config::default()
    };
    config.watch.interval_ms = interval_ms;
    config
}

impl World {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let off = config(dir.path(), 0);
        let backend = app::open(&off).unwrap();
        let metrics = Arc::new(Metrics::default());
        let agents = AgentName::ALL;
        let service =
            Service::start(&off, &agents, Arc::clone(&backend), Arc::clone(&metrics)).unwrap();
        let on = config(dir.path(), ROUND_MS as u64);
        let watch = Watch::new(service.handle(), &on, &agents);
        Self {
            dir,
            backend,
            service: Some(service),
            watch,
            metrics,
            // Rounds of two hours lie in the past: nothing in the future is believed.
            now: SystemClock::default().now().plus(-2 * Timestamp::HOUR),
            points: 0,
        }
    }

    fn handle(&self) -> Arc<app::Handle> {
        self.service.as_ref().expect("it runs").handle()
    }

    /// One metric point, as the source would publish it.
    fn point(&mut self) {
        self.points += 1;
        let record = json!({
            "metric_stream_name": "all", "account_id": "111122223333", "region": "eu-west-1",
            "namespace": "AWS/EC2", "metric_name": "CPUUtilization",
            "dimensions": {"InstanceId": "i-0abc"}, "timestamp": self.now.ms() + self.points,
            "value": {"max": 3.0, "min": 1.0, "sum": 10.0, "count": 5.0}, "unit": "Percent",
        });
        let payload = record.to_string();
        self.handle()
            .publish(SOURCE, None, payload.as_bytes())
            .unwrap();
    }

    /// Waits until everything published is decided, and the gauges say so.
    fn settle(&self) {
        let handle = self.handle();
        await_until("a quiet service", DEADLINE, || {
            let standings = handle.standing(true).ok()?;
            let quiet = standings.tasks.iter().all(|task| task.standing.quiet());
            let sample = self.metrics.sample_all();
            let told = AgentName::ALL.iter().all(|agent| {
                sample.get(agent).is_some_and(|agent| {
                    agent.owned == 4 && agent.live == 4 && agent.lag.values().sum::<u64>() == 0
                })
            });
            (quiet && told).then_some(())
        });
    }

    /// One round a minute after the last, and all that comes of it.
    fn round(&mut self) {
        self.settle();
        self.now = self.now.plus(ROUND_MS);
        self.watch.round(self.now, false).unwrap();
        self.settle();
    }

    fn rows<T>(&self, topic: Topic, read: impl Fn(Message) -> Option<T>) -> Vec<T> {
        let mut rows = Vec::new();
        for partition in 0..self.backend.partitions() {
            self.backend
                .scan(topic, partition, 0, usize::MAX, &mut |record| {
                    let decoded = decode(record.topic, record.key, record.payload);
                    if let Ok(Decoded::Message(message)) = decoded {
                        rows.extend(read(message));
                    }
                })
                .unwrap();
        }
        rows
    }

    /// Edges of one rule, in order.
    fn edges(&self, rule: &str) -> Vec<Finding> {
        self.rows(Topic::FindingsResource, |message| match message {
            Message::Finding(row) if row.rule == rule => Some(*row),
            _ => None,
        })
    }

    /// The newest row of each recommendation about ourselves.
    fn recommendations(&self) -> Vec<Recommendation> {
        let rows = self.rows(Topic::Recommendations, |message| match message {
            Message::Recommendation(row) if row.owner.account() == "skyherd" => Some(*row),
            _ => None,
        });
        let newest: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        newest.into_values().collect()
    }
}

#[test]
fn a_source_that_stops_is_found_within_two_rounds_and_cleared_when_it_resumes() {
    let mut world = World::start();
    for _ in 0..6 {
        world.point();
        world.round();
    }
    assert!(world.edges("SELF-SRC-1").is_empty(), "the source is steady");

    world.round();
    world.round();
    let edges = world.edges("SELF-SRC-1");
    let [opened] = edges.as_slice() else {
        panic!("not one edge after two silent rounds: {edges:?}");
    };
    assert_eq!(opened.edge, Edge::Opened);
    assert_eq!(opened.subject.as_str(), "skyherd/global/agent/performance");
    assert!(
        opened
            .why
            .starts_with("aws.metrics has brought nothing for")
    );
    let rows = world.recommendations();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].state, RecommendationState::Open);
    assert_eq!(rows[0].owner, opened.subject);
    assert_eq!(rows[0].findings, [(opened.id.clone(), 1)]);

    // Edges and not levels: as long as nothing changes, nothing is said.
    for _ in 0..3 {
        world.round();
    }
    assert_eq!(world.edges("SELF-SRC-1").len(), 1);

    world.point();
    world.round();
    let edges = world.edges("SELF-SRC-1");
    assert_eq!(edges.len(), 2);
    assert_eq!((edges[1].edge, &edges[1].id), (Edge::Cleared, &opened.id));
    assert_eq!(
        world.recommendations()[0].state,
        RecommendationState::Resolved
    );
}

#[test]
fn a_process_that_stops_in_good_order_says_so() {
    let mut world = World::start();
    world.round();
    world.service.take().unwrap().stop().unwrap();
    let backend = Arc::clone(&world.backend);
    // Far apart: only the farewell is said.
    let config = config(world.dir.path(), 3_600_000);
    let metrics = Arc::new(Metrics::default());
    let service = Service::start(&config, &AgentName::ALL, backend, metrics).unwrap();
    service.stop().unwrap();
    let reports = world.rows(Topic::AwsEvents, |message| match message {
        Message::Facts(facts) => match &facts.first()?.body {
            skyherd::model::FactBody::Event(event) => Some(event.detail.clone()),
            _ => None,
        },
        _ => None,
    });
    let leaving = |report: &&Value| report["leaving"] == true;
    assert_eq!(reports.len(), 12, "two rounds of five agents and a process");
    assert_eq!(reports.iter().filter(leaving).count(), AgentName::ALL.len());
    assert!(reports.iter().all(|report| report["node"] == "node-a"));
}

/// The whole program with rounds of a third of a second: how long each step takes is the
/// machine's affair, that it comes is ours.
#[test]
fn the_running_program_finds_a_silent_source_and_sees_it_resume() {
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let data = dir.path().join("data").to_string_lossy().into_owned();
    let mut program = Proc::spawn(
        ["run"],
        &[
            ("SKYHERD_DATA_DIR", &data),
            ("SKYHERD_HTTP__LISTEN", &listen),
            ("SKYHERD_PARTITIONS", "2"),
            ("SKYHERD_WATCH__INTERVAL_MS", "300"),
            ("SKYHERD_NODE", "node-a"),
        ],
    );
    program.await_ready(&listen);
    let base = format!("http://{listen}");
    let flowing = Arc::new(AtomicBool::new(true));
    let ended = Arc::new(AtomicBool::new(false));
    let source = {
        let (flowing, ended, base) = (Arc::clone(&flowing), Arc::clone(&ended), base.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                if flowing.load(Ordering::Acquire) {
                    publish_point(&base);
                }
                std::thread::park_timeout(std::time::Duration::from_millis(30));
            }
        })
    };
    let metric = |name: &str| -> Option<f64> {
        let text = super::harness::proc::get(&format!("{base}/metrics"))
            .ok()?
            .1;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    await_until("ten rounds", DEADLINE, || {
        metric(r#"skyherd_watch_rounds_total{result="published"}"#).filter(|rounds| *rounds >= 10.0)
    });
    let open = r#"skyherd_open_findings{agent="resource",severity="high"}"#;
    flowing.store(false, Ordering::Release);
    await_until("the silence is found", DEADLINE, || {
        metric(open).filter(|count| *count >= 1.0)
    });
    let recommended = r#"skyherd_open_recommendations{action="investigate",severity="high"}"#;
    await_until("it is recommended to look", DEADLINE, || {
        metric(recommended).filter(|count| *count >= 1.0)
    });
    flowing.store(true, Ordering::Release);
    await_until("it is over", DEADLINE, || {
        metric(open).filter(|count| *count == 0.0)
    });
    ended.store(true, Ordering::Release);
    source.thread().unpark();
    source.join().unwrap();
    assert!(program.stop().success(), "{}", program.log());
}

fn publish_point(base: &str) {
    let now = SystemClock::default().now();
    let record = json!({
        "metric_stream_name": "all", "account_id": "111122223333", "region": "eu-west-1",
        "namespace": "AWS/EC2", "metric_name": "CPUUtilization",
        "dimensions": {"InstanceId": "i-0abc"}, "timestamp": now.ms(),
        "value": {"max": 3.0, "min": 1.0, "sum": 10.0, "count": 5.0}, "unit": "Percent",
    });
    let url = format!("{base}/api/v1/events?topic={SOURCE}");
    // A refusal is seen by what does not come of it.
    let _answer = ureq::post(&url)
        .content_type("application/json")
        .send(record.to_string().as_bytes());
}
