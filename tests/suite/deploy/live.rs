//! Debian's Prometheus on a running service: every query and every rule over real series.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use skyherd::app;
use skyherd::config::Config;
use skyherd::model::{Timestamp, Topic, partition_of};
use skyherd::ports::{Clock as _, Outgoing};
use skyherd::runtime::{HEADER_ORIGIN, SystemClock};

use super::{boards, metric_names, prometheus_rules, read};
use crate::harness::{DEADLINE, Proc, Service, await_until, free_port, require_prometheus};

const PARTITIONS: u32 = 4;
const ACCOUNT: &str = "111122223333";

/// Metrics that one embedded process cannot bring about in a short run, and why.
const NOT_HERE: [(&str, &str); 18] = [
    (
        "skyherd_backups_total",
        "log and memory are one directory: nothing is backed up",
    ),
    ("skyherd_backup_subjects_total", "as above"),
    ("skyherd_subjects_restored_total", "as above"),
    (
        "skyherd_rows_repaired_total",
        "outputs and states are one batch: no row is ever in doubt",
    ),
    (
        "skyherd_checkpoint_retries_total",
        "the store is in the process and does not fail for a moment",
    ),
    ("skyherd_tasks_fenced_total", "the directory has one owner"),
    (
        "skyherd_memory_went_back_total",
        "the directory is not put back under a running process",
    ),
    ("skyherd_tasks_parked_total", "nothing fails"),
    ("skyherd_tasks_resumed_total", "nothing fails"),
    (
        "skyherd_position_gaps_total",
        "nothing is removed before it is read",
    ),
    ("skyherd_position_gap_records_total", "as above"),
    (
        "skyherd_source_calls_total",
        "no account is configured to be asked",
    ),
    ("skyherd_source_clients_total", "as above"),
    ("skyherd_source_rounds_total", "as above"),
    ("skyherd_source_records_total", "as above"),
    ("skyherd_source_bytes_total", "as above"),
    ("skyherd_source_micro_usd_total", "as above"),
    ("skyherd_source_age_seconds", "as above"),
];

/// Records that bring about what a well-behaved source does not: written before the service
/// starts, since nothing of the kind is let in over HTTP.
fn trouble(now: Timestamp) -> Vec<Outgoing> {
    let partition = partition_of(ACCOUNT, PARTITIONS);
    let place = |topic, partition, payload: String| Outgoing {
        topic,
        partition,
        key: None,
        payload: Some(payload.into_bytes()),
        headers: Vec::new(),
        timestamp_ms: Some(now.ms()),
    };
    let event = |source: &str, kind: &str, time: &str| {
        json!({"version": "0", "id": "e-1", "detail-type": kind, "source": source, "account": ACCOUNT,
            "time": time, "region": "eu-west-1", "resources": [],
            "detail": {"instance-id": "i-0abc", "state": "stopped"}})
        .to_string()
    };
    let state = "EC2 Instance State-change Notification";
    let mut repeated = place(Topic::AwsMetrics, partition, point(now.plus(1)));
    let origin = format!("{}/{}/7", Topic::AwsMetrics, (partition + 1) % PARTITIONS);
    repeated
        .headers
        .push((HEADER_ORIGIN.into(), origin.into_bytes()));
    let mut records = vec![
        place(Topic::AwsMetrics, partition, "{".into()),
        place(Topic::AwsBilling, partition, "{}".into()),
        place(
            Topic::AwsEvents,
            partition,
            event("aws.unheard-of", "Nothing", &now.to_string()),
        ),
        place(
            Topic::AwsEvents,
            partition,
            event("aws.ec2", state, "2099-01-01T00:00:00Z"),
        ),
        place(Topic::AwsMetrics, (partition + 1) % PARTITIONS, point(now)),
        repeated.clone(),
        repeated,
    ];
    // More than a series keeps with their times: what is older than these comes too late.
    records.extend((0..40).map(|second| {
        let at = now.plus(-Timestamp::HOUR + second * Timestamp::SECOND);
        place(Topic::AwsMetrics, partition, point(at))
    }));
    records
}

fn point(at: Timestamp) -> String {
    json!({"metric_stream_name": "all", "account_id": ACCOUNT, "region": "eu-west-1",
        "namespace": "AWS/EC2", "metric_name": "CPUUtilization",
        "dimensions": {"InstanceId": "i-0abc"}, "timestamp": at.ms(),
        "value": {"max": 97.0, "min": 91.0, "sum": 470.0, "count": 5.0}, "unit": "Percent"})
    .to_string()
}

/// A volume of the old type, then of the new one, then of the old: findings that come and go.
fn volume(number: u64, class: &str, at: Timestamp) -> String {
    json!({"account": ACCOUNT, "region": "eu-west-1", "kind": "volume", "observed_at": at.to_string(),
        "item": {"VolumeId": format!("vol-{number}"), "VolumeType": class, "Size": 2000, "State": "in-use"}})
    .to_string()
}

fn post(base: &str, topic: Topic, body: &str) {
    post_to(base, &format!("/api/v1/events?topic={topic}"), body);
}

fn post_to(base: &str, path: &str, body: &str) {
    let answer = ureq::post(format!("{base}{path}"))
        .content_type("application/json")
        .send(body.as_bytes());
    assert!(answer.is_ok(), "{path}: {answer:?}");
}

/// What a query answers: its series, or why it does not.
fn query(base: &str, expr: &str) -> Result<Vec<Value>, String> {
    let text: String = expr
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent
        .get(format!("{base}/api/v1/query?query={text}"))
        .call()
        .map_err(|error| error.to_string())?;
    let text = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    if answer["status"] != "success" {
        return Err(text);
    }
    Ok(answer["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

/// The query as Grafana would send it for a board that looks at everything.
fn filled(expr: &str) -> String {
    expr.replace("$__rate_interval", "1m")
        .replace("$agent", ".*")
}

/// A Prometheus that scrapes `listen` every second by the configuration we ship.
fn prometheus(program: &Path, folder: &Path, listen: &str) -> (Service, String) {
    let shipped = read("deploy/prometheus/prometheus.yml");
    let config = shipped
        .replace("127.0.0.1:8080", listen)
        .replace("scrape_interval: 5s", "scrape_interval: 1s")
        .replace("evaluation_interval: 15s", "evaluation_interval: 1s");
    assert_ne!(config, shipped);
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    std::fs::write(
        folder.join("rules.yml"),
        read("deploy/prometheus/rules.yml"),
    )
    .unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(program);
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let mut service = Service::spawn("prometheus", command, &folder.join("prometheus.log"));
    service.await_line("ready to receive web requests");
    (service, format!("http://{address}"))
}

/// A service with trouble behind it and ordinary facts coming in.
fn service(folder: &Path) -> (Proc, String) {
    let data = folder.join("skyherd");
    let config = Config {
        data_dir: data.clone(),
        partitions: PARTITIONS,
        ..Config::default()
    };
    let backend = app::open(&config).unwrap();
    backend
        .publish(&trouble(SystemClock::default().now()))
        .unwrap();
    drop(backend);
    let listen = format!("127.0.0.1:{}", free_port());
    let mut process = Proc::spawn(
        ["run"],
        &[
            ("SKYHERD_DATA_DIR", &data.to_string_lossy()),
            ("SKYHERD_HTTP__LISTEN", &listen),
            ("SKYHERD_PARTITIONS", &PARTITIONS.to_string()),
            ("SKYHERD_WATCH__INTERVAL_MS", "1000"),
        ],
    );
    process.await_ready(&listen);
    (process, listen)
}

#[test]
fn every_query_of_boards_and_rules_answers_over_real_series() {
    let Some(program) = require_prometheus() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut process, listen) = service(folder.path());
    let (mut server, base) = prometheus(&program, folder.path(), &listen);
    let api = format!("http://{listen}");
    let mut waiting: BTreeMap<String, String> = boards()
        .iter()
        .flat_map(super::Board::queries)
        .map(|(title, expr)| (filled(&expr), title))
        .collect();
    for rule in prometheus_rules() {
        if let Some(record) = rule.record {
            waiting.insert(record.clone(), format!("recorded: {record}"));
        }
    }
    waiting.retain(|expr, _| {
        let names = metric_names(expr);
        !names
            .iter()
            .any(|name| NOT_HERE.iter().any(|(not, _)| name == not))
    });
    let asked = waiting.len();
    let mut number = 0;
    let mut last = String::new();
    let deadline = std::time::Instant::now() + DEADLINE;
    while !waiting.is_empty() {
        number += 1;
        let now = SystemClock::default().now();
        post(&api, Topic::AwsMetrics, &point(now));
        post(
            &api,
            Topic::AwsMetrics,
            &point(now.plus(-2 * Timestamp::HOUR)),
        );
        let class = if number % 2 == 1 { "gp2" } else { "gp3" };
        post(&api, Topic::AwsInventory, &volume(0, "gp2", now));
        post(&api, Topic::AwsInventory, &volume(1, class, now));
        post_to(&api, "/ingest/eventbridge", &point(now));
        waiting.retain(|expr, _| match query(&base, expr) {
            Ok(series) => series.is_empty(),
            Err(error) => {
                last = format!("{expr}: {error}");
                true
            }
        });
        assert!(
            std::time::Instant::now() < deadline,
            "without series: {waiting:#?}\n{last}"
        );
    }
    assert!(asked > 60, "only {asked} queries");
    rules_are_well(&base);
    for (name, why) in NOT_HERE {
        let series = query(&base, name).unwrap();
        assert!(
            series.is_empty(),
            "{name} is here after all: it was said that {why}"
        );
    }
    server.stop();
    assert!(process.stop().success(), "{}", process.log());
}

/// Every rule was evaluated, and none in vain.
fn rules_are_well(base: &str) {
    let expected = prometheus_rules().len();
    await_until("every rule is evaluated", DEADLINE, || {
        let (_, text) = crate::harness::proc::get(&format!("{base}/api/v1/rules")).ok()?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        let rules: Vec<&Value> = answer["data"]["groups"]
            .as_array()?
            .iter()
            .flat_map(|group| group["rules"].as_array().into_iter().flatten())
            .collect();
        for rule in &rules {
            assert_ne!(
                rule["health"], "err",
                "{}: {}",
                rule["name"], rule["lastError"]
            );
        }
        let well = rules.iter().filter(|rule| rule["health"] == "ok").count();
        (well == expected).then_some(())
    });
}
