//! The simulated estate: what the plan hides is found, what only looks so is left alone, and the same seed tells the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use skyherd::estate::{Estate, EstateOptions, Record};
use skyherd::model::{AgentName, Recommendation, RecommendationState, Topic};
use skyherd::sources::{Decoded, decode};

use crate::harness::{DEADLINE, await_until, free_port};

/// A short and sparse estate: the same plan, fewer records.
const SPARSE: EstateOptions = EstateOptions {
    seed: 1,
    hours: 72,
    period_minutes: 60,
    sweep_hours: 24,
    more_accounts: 0,
    machines: 0,
};

fn skyherd(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skyherd"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .env("SKYHERD_PARTITIONS", "4")
        .stdin(Stdio::null());
    command
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What the rows of a run say, by id, without what depends on the order messages came in.
fn recommendations(lines: &[Value]) -> BTreeMap<String, Recommendation> {
    lines
        .iter()
        .filter(|line| line["kind"] == "recommendation")
        .map(|line| serde_json::from_value::<Recommendation>(line.clone()).unwrap())
        .filter(|row| row.state == RecommendationState::Open)
        .filter_map(|row| Some((row.id.to_string(), row.content()?)))
        .collect()
}

#[test]
fn the_default_seed_shows_all_that_is_planted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let told = lines(
        &skyherd(dir.path(), &["demo", "--headless", "--json"])
            .output()
            .unwrap(),
    );
    let verdict = told.last().unwrap();
    assert_eq!(verdict["kind"], "verdict");
    let none = Value::Array(Vec::new());
    assert_eq!(verdict["missed"], none, "{verdict:#}");
    assert_eq!(verdict["look_alikes_taken_in"], none, "{verdict:#}");
    assert_eq!(verdict["beyond"], none, "{verdict:#}");
    assert_eq!(verdict["too_early"], 0);
    let estate = Estate::new(EstateOptions::default());
    let found = verdict["found"].as_array().unwrap();
    assert_eq!(found.len(), estate.planted().len());
    assert_eq!(
        verdict["look_alikes_left_alone"],
        estate.look_alikes().len() as u64
    );
    for row in found {
        let name = row["situation"].as_str().unwrap();
        let planted = estate
            .planted()
            .iter()
            .find(|planted| planted.name == name)
            .unwrap();
        let after = row["after_seconds"].as_i64().unwrap();
        // Published rows are noted every half hour, in the first half hour every minute.
        assert!(
            after * 1_000 <= planted.within_ms + 30 * 60_000,
            "{name}: {after} s"
        );
    }
    let joined = recommendations(&told)
        .into_values()
        .filter(|row| row.why.len() >= 3)
        .count();
    assert!(joined >= 1, "no recommendation joins three agents");
}

#[test]
fn the_plan_is_rich_and_the_estate_is_large() {
    let estate = Estate::new(EstateOptions::default());
    assert!(estate.planted().len() >= 16);
    assert!(estate.look_alikes().len() >= estate.planted().len());
    assert!(estate.instances() >= 60, "{}", estate.instances());
    let (accounts, regions) = estate.extent();
    assert!(accounts >= 3 && regions >= 3);
    let agents: BTreeSet<AgentName> = estate
        .planted()
        .iter()
        .flat_map(|planted| planted.agents.iter().copied())
        .collect();
    assert_eq!(agents.len(), 4);
}

#[test]
fn every_record_decodes_and_they_come_in_the_order_they_are_told() {
    let estate = Estate::new(SPARSE);
    let (mut last, mut counts) = (0, BTreeMap::<Topic, usize>::new());
    for record in estate.records() {
        assert!(record.told >= last);
        last = record.told;
        let decoded = decode(record.topic, None, Some(&record.payload));
        let Ok(Decoded::Message(message)) = decoded else {
            panic!("{decoded:?}: {}", String::from_utf8_lossy(&record.payload));
        };
        assert_eq!(message.account(), record.account);
        *counts.entry(record.topic).or_default() += 1;
    }
    assert_eq!(counts.len(), Topic::RAW.len(), "{counts:?}");
}

#[test]
fn the_same_seed_tells_the_same_bytes_and_another_one_other_ids() {
    let told = |seed| -> Vec<Record> {
        Estate::new(EstateOptions { seed, ..SPARSE })
            .records()
            .collect()
    };
    let first = told(1);
    assert_eq!(first, told(1));
    let owners = |seed| -> BTreeSet<String> {
        Estate::new(EstateOptions { seed, ..SPARSE })
            .planted()
            .iter()
            .map(|planted| planted.owner.to_string())
            .collect()
    };
    assert!(owners(1).is_disjoint(&owners(2)));
    let accounts = |records: &[Record]| -> BTreeSet<String> {
        records
            .iter()
            .map(|record| record.account.clone())
            .collect()
    };
    assert!(accounts(&first).is_disjoint(&accounts(&told(2))));
}

#[test]
fn more_accounts_and_machines_are_load_in_which_nothing_is_wrong() {
    let points = |options: EstateOptions| -> usize {
        Estate::new(options)
            .records()
            .filter(|record| record.topic == Topic::AwsMetrics)
            .map(|record| record.payload.split(|byte| *byte == b'\n').count())
            .sum()
    };
    let larger = EstateOptions {
        more_accounts: 5,
        machines: 20,
        ..SPARSE
    };
    assert_eq!(Estate::new(larger).extent().0, 8);
    // Four points a machine and hour, but for the last hours, whose period is not over.
    assert!(points(larger) >= points(SPARSE) + 5 * 20 * 4 * 70);
    assert_eq!(
        Estate::new(larger).planted().len(),
        Estate::new(SPARSE).planted().len()
    );
}

#[test]
fn a_replay_of_the_dump_gives_the_same_ids_and_a_resource_left_out_takes_only_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump");
    let (path, hours) = (dump.to_str().unwrap(), "48");
    let played = recommendations(&lines(
        &skyherd(
            dir.path(),
            &[
                "demo",
                "--headless",
                "--json",
                "--hours",
                hours,
                "--dump",
                path,
            ],
        )
        .output()
        .unwrap(),
    ));
    let replay = || {
        recommendations(&lines(
            &skyherd(dir.path(), &["replay", "--json", path])
                .output()
                .unwrap(),
        ))
    };
    assert!(played.len() >= 3, "{played:#?}");
    assert_eq!(played, replay());

    // The machine that nobody uses: the only one whose stop is proposed.
    let idle = played
        .values()
        .find(|row| row.action.as_str() == "stop")
        .unwrap()
        .owner
        .clone();
    for entry in std::fs::read_dir(&dump).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(idle.id()))
            .collect();
        std::fs::write(&file, kept.join("\n") + "\n").unwrap();
    }
    let mut expected = played;
    expected.retain(|_, row| row.owner != idle);
    assert_eq!(expected, replay());
}

#[test]
fn a_folder_that_holds_anything_is_not_dumped_into() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.txt"), "x").unwrap();
    let output = skyherd(dir.path(), &["demo", "--headless", "--dump", "."])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
}

#[test]
fn an_interrupted_demo_exits_with_130_and_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump");
    // A quarter of an hour takes a quarter of an hour: it is interrupted, whatever the machine does.
    let mut child = skyherd(
        dir.path(),
        &["demo", "--speed", "1", "--dump", dump.to_str().unwrap()],
    )
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .env("SKYHERD_LOG__LEVEL", "info")
    .spawn()
    .unwrap();
    let scratch = || {
        std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("skyherd-"))
            .count()
    };
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let waiting = stderr
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("ctrl-c"));
    assert!(waiting.is_some(), "the demo says how it is ended");
    assert_eq!(scratch(), 1);
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(scratch(), 0);
}

/// A child that does not outlive its test.
struct Leashed(Option<Child>);

impl Drop for Leashed {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_demo_with_the_console_serves_its_rows_takes_events_and_ends_at_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["demo", "--headless", "--json", "--hours", "30", "--console"];
    let mut child = skyherd(dir.path(), &arguments)
        .env("SKYHERD_HTTP__LISTEN", &listen)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let stdout = child.stdout.take().unwrap();
    let mut child = Leashed(Some(child));
    let told = stderr
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("http://"));
    let base = format!("http://{listen}");
    let told = told.unwrap_or_default();
    assert!(
        told.contains(&format!("{base}/")) && told.contains("ctrl-c"),
        "{told:?}"
    );
    let page = ureq::get(format!("{base}/")).call().unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");

    let rows = |path: &str| -> BTreeSet<String> {
        let url = format!("{base}/api/v1/{path}");
        let page: Value = ureq::get(url)
            .call()
            .unwrap()
            .body_mut()
            .read_json()
            .unwrap();
        let rows = page["recommendations"].as_array().unwrap();
        let ids = rows
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let shown = rows("recommendations?limit=1000");
    assert!(shown.len() > 1, "{shown:?}");

    // The agents are there too.
    let group = r#"{"account":"111122223333","region":"eu-west-1","kind":"security-group","observed_at":"2026-11-20T00:00:00Z",
        "item":{"GroupId":"sg-0mine","IpPermissions":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}}"#;
    let answer = ureq::post(format!("{base}/api/v1/events?topic=aws.inventory"))
        .content_type("application/json")
        .send(group)
        .unwrap();
    assert_eq!(answer.status(), 202);
    await_until("the row of the published record", DEADLINE, || {
        (rows("recommendations?account=111122223333").len() == 1).then_some(())
    });
    assert!(rows("recommendations?limit=1000").is_superset(&shown));

    let killed = Command::new("kill")
        .args(["-INT", &child.0.as_ref().unwrap().id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let ended = child.0.as_mut().unwrap().wait().unwrap();
    assert_eq!(ended.code(), Some(130));
    let printed = std::io::read_to_string(stdout).unwrap();
    let printed: BTreeSet<String> = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "recommendation")
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(shown, printed);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 0);
}
