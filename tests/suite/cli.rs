//! The program as a person runs it: what it prints and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use skyherd::model::Recommendation;

/// The program with an environment of its own, in an empty directory.
fn skyherd(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skyherd"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .env("SKYHERD_DATA_DIR", dir.join("data"))
        .env("SKYHERD_HTTP__LISTEN", "127.0.0.1:0")
        .env("SKYHERD_PARTITIONS", "4")
        .env("SKYHERD_WATCH__INTERVAL_MS", "0")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    skyherd(dir.path(), arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

const EVENT: &str = r#"{"version":"0","id":"e-1","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"111122223333","time":"2026-10-15T00:00:00Z","region":"eu-west-1","resources":[],"detail":{"instance-id":"i-0abc","state":"stopped"}}"#;

#[test]
fn help_names_every_command_and_shows_examples() {
    let output = run(&["--help"]);
    assert_eq!(code(&output), 0);
    let help = text(&output.stdout);
    for word in [
        "run",
        "check",
        "replay",
        "demo",
        "topics",
        "rules",
        "tail",
        "publish",
        "status",
        "top",
        "memory",
        "why",
        "dlq",
        "metrics",
        "token",
        "completions",
        "man",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn misuse_exits_with_2_and_suggests() {
    let output = run(&["chekc"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("'check'"));
    let output = run(&["tail", "findings.cots"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("did you mean findings.cost?"));
}

#[test]
fn check_prints_every_problem_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("skyherd.toml"),
        "nod = 'x'\npartitions = 6\n[kafka]\nbrokers = ['a:9092']\nproperties.'no.such.property' = 1\n",
    )
    .unwrap();
    let output = skyherd(dir.path(), &["check"])
        .env_remove("SKYHERD_PARTITIONS")
        .output()
        .unwrap();
    let told = text(&output.stdout);
    assert_eq!(code(&output), 1, "{told}");
    for part in ["nod: ", "did you mean node?", "partitions: ", "redis: "] {
        assert!(told.contains(part), "{part} is missing from\n{told}");
    }
    #[cfg(feature = "kafka")]
    assert!(
        told.contains("kafka.properties.no.such.property: "),
        "{told}"
    );
    assert!(told.matches("hint: ").count() >= 3, "{told}");
    let output = skyherd(dir.path(), &["run"]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("did you mean node?"));
}

#[test]
fn check_warns_of_an_exemption_that_has_ended_and_refuses_one_that_fits_no_rule() {
    let dir = tempfile::tempdir().unwrap();
    let check = |rule: &str, until: &str| {
        let file = format!(
            "[[exemptions]]\nrules = ['{rule}']\nuntil = {until}\nreason = 'so it is meant'\n"
        );
        std::fs::write(dir.path().join("skyherd.toml"), file).unwrap();
        let output = skyherd(dir.path(), &["check"]).output().unwrap();
        (code(&output), text(&output.stdout))
    };
    let (status, told) = check("COST-EBS-1", "2020-01-31");
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("warning: exemptions: entry 1 ended 2020-01-31T00:00:00Z"));
    assert!(
        told.contains("hint: remove it") && told.contains("\nok: "),
        "{told}"
    );
    let (status, told) = check("COST-EBS-1", "9000-01-31");
    assert_eq!((status, told.contains("warning")), (0, false), "{told}");
    let (status, told) = check("COST-EBS-l", "9000-01-31");
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("there is no rule \"COST-EBS-l\""), "{told}");
    assert!(told.contains("hint: did you mean COST-EBS-1?"), "{told}");
}

#[test]
fn a_good_configuration_is_told_to_be_good() {
    let output = run(&["check"]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stdout).starts_with("ok: "));
}

#[test]
fn the_metrics_table_names_every_metric_without_colours() {
    let told = text(&run(&["metrics"]).stdout);
    for spec in skyherd::telemetry::SPECS {
        assert!(told.contains(spec.name), "{}", spec.name);
    }
    assert!(!told.contains('\u{1b}'));
}

#[test]
fn every_rule_is_listed_and_explained() {
    let list = text(&run(&["rules"]).stdout);
    for rule in skyherd::rules::RULES {
        let meta = rule.meta();
        assert!(list.contains(meta.id), "{}", meta.id);
    }
    let meta = skyherd::rules::RULES[0].meta();
    let output = run(&["rules", "explain", &meta.id.to_lowercase()]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stdout).contains(meta.remediation));
    let output = run(&["rules", "explain", "NO-SUCH-1"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("there is no rule NO-SUCH-1"));
}

#[test]
fn a_token_prints_once_with_the_hash_to_configure() {
    let told = text(&run(&["token", "ci", "--write"]).stdout);
    let token = told
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next())
        .unwrap();
    let hash = blake3::hash(token.as_bytes()).to_hex().to_string();
    let config: toml::Table = told.parse().unwrap();
    let entry = &config["auth"]["tokens"][0];
    assert_eq!(entry["blake3"].as_str(), Some(hash.as_str()));
    assert_eq!(entry["role"].as_str(), Some("write"));
}

#[test]
fn a_replay_accounts_for_every_record() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("events.jsonl"), format!("{EVENT}\n{{}}\n")).unwrap();
    let output = skyherd(dir.path(), &["replay", "--summary", "events.jsonl"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!((count("read"), count("decoded")), (2, 1), "{summary}");
    assert_eq!(
        count("read"),
        count("decoded") + count("ignored") + count("dead_lettered")
    );
    let output = skyherd(dir.path(), &["replay", "no-such-file"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("no-such-file"));
}

#[test]
fn a_replay_fails_on_the_severity_asked_for_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let root = "{\"version\":\"0\",\"id\":\"s-1\",\"detail-type\":\"AWS Console Sign In via CloudTrail\",\"source\":\"aws.signin\",\"account\":\"111122223333\",\"time\":\"2026-10-15T00:00:00Z\",\"region\":\"us-east-1\",\"resources\":[],\"detail\":{\"eventVersion\":\"1.08\",\"userIdentity\":{\"type\":\"Root\",\"principalId\":\"111122223333\",\"arn\":\"arn:aws:iam::111122223333:root\",\"accountId\":\"111122223333\"},\"eventTime\":\"2026-10-15T00:00:00Z\",\"eventSource\":\"signin.amazonaws.com\",\"eventName\":\"ConsoleLogin\",\"awsRegion\":\"us-east-1\",\"sourceIPAddress\":\"198.51.100.7\",\"responseElements\":{\"ConsoleLogin\":\"Success\"},\"additionalEventData\":{\"MFAUsed\":\"No\"},\"eventID\":\"9c1f\",\"eventType\":\"AwsConsoleSignIn\",\"recipientAccountId\":\"111122223333\"}}";
    std::fs::write(dir.path().join("root.json"), root).unwrap();
    std::fs::write(dir.path().join("calm.json"), EVENT).unwrap();
    for (file, ends) in [("root.json", 3), ("calm.json", 0)] {
        let arguments = ["replay", "--json", "--fail-on", "high", file];
        let output = skyherd(dir.path(), &arguments).output().unwrap();
        assert_eq!(code(&output), ends, "{}", text(&output.stderr));
        let severe = text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .any(|row| row["kind"] == "finding" && row["severity"] == "critical");
        assert_eq!(severe, ends == 3, "{file}");
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 2, "a scratch directory was left behind");
}

/// A running service that is stopped with SIGTERM when dropped.
struct Running(Child);

impl Running {
    fn start(dir: &Path) -> Self {
        let mut child = skyherd(dir, &["run", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.lines();
        let listening = lines.by_ref().find(|line| {
            let line = line.as_ref().expect("log lines are text");
            let line: Value = serde_json::from_str(line).expect("log lines are JSON");
            line["message"] == "listening"
        });
        assert!(listening.is_some(), "the service ended before it listened");
        // Drained, so that a full pipe never stops the service.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    fn terminate(&mut self) -> i32 {
        self.end("TERM")
    }

    fn end(&mut self, signal: &str) -> i32 {
        let told = Command::new("kill")
            .args(["-s", signal])
            .arg(self.0.id().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        self.0.wait().unwrap().code().expect("not killed")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in the good case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn publish(dir: &Path, records: &str) -> Output {
    let mut child = skyherd(dir, &["publish", "aws.events"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(records.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn tail(dir: &Path, topic: &str) -> Vec<Value> {
    let output = skyherd(dir, &["tail", topic, "--json", "-n", "5"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn records_are_published_and_read_beside_a_running_service_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = publish(dir.path(), EVENT);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let mut service = Running::start(dir.path());
    let output = publish(dir.path(), &format!("[{EVENT}]"));
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("1 published"));
    assert_eq!(tail(dir.path(), "aws.events").len(), 2);
    assert_eq!(service.terminate(), 0);
    let records = tail(dir.path(), "aws.events");
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["payload"]["detail"]["instance-id"], "i-0abc");
    assert_eq!(records[1]["key"], "111122223333");
}

/// What the command printed; it must have ended well.
fn told(dir: &Path, arguments: &[&str]) -> String {
    let output = skyherd(dir, arguments).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn an_interrupted_service_saves_and_exits_with_130() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Running::start(dir.path());
    assert_eq!(service.end("INT"), 130);
}

#[test]
fn a_service_is_looked_at_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let output = skyherd(dir.path(), &["status"]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("start it with `skyherd run`"));
    let mut service = Running::start(dir.path());
    let output = publish(dir.path(), EVENT);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    // A service that has just started may not be ready yet, and says so by its exit code.
    let status = || skyherd(dir.path(), &["status", "--json"]).output().unwrap();
    let ready = crate::harness::await_until("ready", crate::harness::DEADLINE, || {
        let output = status();
        (code(&output) == 0).then(|| text(&output.stdout))
    });
    let status: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(status["readiness"]["ready"], Value::Bool(true));
    assert_eq!(status["agents"].as_array().unwrap().len(), 5);
    assert!(told(dir.path(), &["status"]).contains("open recommendations"));
    let snapshot = told(dir.path(), &["top"]);
    assert!(snapshot.contains("performance") && !snapshot.contains('\u{1b}'));
    assert_eq!(service.terminate(), 0);
}

#[test]
fn memory_and_why_are_told_beside_a_running_service_and_without_one() {
    const SUBJECT: &str = "111122223333/eu-west-1/instance/i-0abc";
    let dir = tempfile::tempdir().unwrap();
    let mut service = Running::start(dir.path());
    let output = publish(dir.path(), EVENT);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let memory = crate::harness::await_until("memory", crate::harness::DEADLINE, || {
        let output = skyherd(dir.path(), &["memory", "show", SUBJECT])
            .output()
            .unwrap();
        // Another agent may have saved what it remembers before this one.
        let told = Some(text(&output.stdout)).filter(|_| code(&output) == 0);
        told.filter(|told| told.contains("resource: "))
    });
    assert!(
        memory.contains("resource: stopped since 2026-10-15T00:00:00Z"),
        "{memory}"
    );
    let why = told(dir.path(), &["why", SUBJECT, "res-life-2", "--json"]);
    assert_eq!(service.terminate(), 0);
    let alone = told(dir.path(), &["why", SUBJECT, "RES-LIFE-2", "--json"]);
    let verdict = |text: &str| {
        let answer: Value = serde_json::from_str(text).unwrap();
        answer["rules"][0]["verdict"].clone()
    };
    assert_eq!(verdict(&why), "below_threshold", "{why}");
    assert_eq!(verdict(&alone), verdict(&why));
    assert!(told(dir.path(), &["memory", "show", SUBJECT]).contains("stopped"));
    assert!(told(dir.path(), &["why", SUBJECT]).contains("RES-LIFE-2"));
    let output = skyherd(dir.path(), &["why", SUBJECT, "RES-LIFE-22"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("RES-LIFE-2"));
    let nobody = ["memory", "show", "1/r/instance/i-0"];
    let output = skyherd(dir.path(), &nobody).output().unwrap();
    assert_eq!(code(&output), 1);
}

#[test]
fn dead_letters_are_listed_shown_sent_back_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let config = skyherd::config::Config {
        data_dir: dir.path().join("data"),
        partitions: 4,
        ..skyherd::config::Config::default()
    };
    let backend = skyherd::app::open(&config).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let account = "111122223333";
    let partition = skyherd::model::partition_of(account, 4);
    let record = skyherd::ports::Outgoing {
        topic: skyherd::model::Topic::AwsEvents,
        partition,
        key: Some(account.into()),
        payload: Some(b"{\"source\":1}".to_vec()),
        headers: Vec::new(),
        // What is older than its retention would be tidied away before it is looked at.
        timestamp_ms: Some(now.as_millis() as i64),
    };
    backend.publish(&[record]).unwrap();
    drop(backend);
    let mut service = Running::start(dir.path());
    let letter = format!("{partition}/0");
    crate::harness::await_until("a dead letter", crate::harness::DEADLINE, || {
        let list = told(dir.path(), &["dlq", "list"]);
        list.contains(&letter).then_some(())
    });
    let shown = told(dir.path(), &["dlq", "show", &letter]);
    assert!(
        shown.contains("{\"source\":1}") && shown.contains("reason"),
        "{shown}"
    );
    let sent = told(dir.path(), &["dlq", "replay", &letter]);
    assert!(
        sent.contains(&format!("{letter} sent to aws.events")),
        "{sent}"
    );
    assert_eq!(service.terminate(), 0);
    // Nobody runs now: the same on the data itself.
    let before = told(dir.path(), &["dlq", "list", "--json"]).lines().count();
    assert!(told(dir.path(), &["dlq", "drop", &letter]).contains("dropped"));
    let after = told(dir.path(), &["dlq", "list", "--json"]).lines().count();
    assert_eq!(after, before - 1);
    let output = skyherd(dir.path(), &["dlq", "show", "3-1"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 2);
}

#[test]
fn completions_and_manual_pages_are_made_of_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&run(&["completions", shell]).stdout);
        assert!(
            script.contains("dlq") && script.contains("completions"),
            "{shell}"
        );
    }
    let page = text(&run(&["man"]).stdout);
    assert!(page.contains(".TH skyherd 1") && page.contains("dlq"));
    assert!(text(&run(&["man", "why"]).stdout).contains(".TH skyherd-why 1"));
    let output = run(&["man", "wyh"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("did you mean why?"));
}

#[test]
fn a_record_that_cannot_be_decoded_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let output = publish(
        dir.path(),
        &format!("{EVENT}\n{{\"source\":\"aws.ec2\"}}\n"),
    );
    assert_eq!(code(&output), 1);
    let told = text(&output.stderr);
    assert!(
        told.contains("record 2 of stdin") && told.contains("because:"),
        "{told}"
    );
    assert_eq!(tail(dir.path(), "aws.events").len(), 1);
}

#[test]
fn an_agents_own_topic_is_not_for_publishing() {
    let output = run(&["publish", "findings.cost"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("only agents write findings.cost"));
}

#[test]
fn the_demo_ends_with_ranked_recommendations() {
    let output = run(&["demo", "--headless", "--json", "--hours", "30"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, rows) = lines.split_last().unwrap();
    assert_eq!(last["kind"], "verdict");
    let rows: Vec<Recommendation> = rows
        .iter()
        .map(|row| serde_json::from_value(row.clone()).unwrap())
        .collect();
    assert!(rows.len() > 1);
    assert!(
        rows.is_sorted_by(|a, b| a.rank(b).is_le()),
        "{:?}",
        rows.iter()
            .map(|row| row.priority.score)
            .collect::<Vec<_>>()
    );
}
