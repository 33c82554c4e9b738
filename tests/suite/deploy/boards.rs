//! Boards and rules as they lie there: complete, consistent, and what their script writes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skyherd::telemetry::SPECS;

use super::{boards, metric_names, prometheus_rules, root, run};
use crate::harness::{require_prometheus, require_tools};

#[test]
fn boards_are_what_their_script_writes() {
    if let Some(tools) = require_tools() {
        run(
            &tools.join("python3"),
            &["deploy/grafana/boards.py", "--check"],
        );
    }
}

#[test]
fn every_metric_of_the_list_is_on_a_board_and_no_other() {
    let listed: BTreeSet<String> = SPECS.iter().map(|spec| spec.name.to_owned()).collect();
    let shown: BTreeSet<String> = boards()
        .iter()
        .flat_map(super::Board::queries)
        .flat_map(|(_, expr)| metric_names(&expr))
        .collect();
    let missing: Vec<_> = listed.difference(&shown).collect();
    assert!(missing.is_empty(), "on no board: {missing:?}");
    let unknown: Vec<_> = shown.difference(&listed).collect();
    assert!(unknown.is_empty(), "nobody writes: {unknown:?}");
    let recorded: BTreeSet<String> = prometheus_rules()
        .iter()
        .filter_map(|rule| rule.record.clone())
        .collect();
    for rule in prometheus_rules() {
        for word in rule
            .expr
            .split(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter)))
        {
            if word.contains(":skyherd_") {
                assert!(
                    recorded.contains(word),
                    "{}: nobody records {word}",
                    rule.name
                );
            }
        }
        for name in metric_names(&rule.expr) {
            assert!(
                listed
                    .iter()
                    .any(|listed| name == *listed || format!("{name}_total") == *listed)
                    || name == "skyherd_dead_letters",
                "{}: nobody writes {name}",
                rule.name
            );
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let boards = boards();
    let uids: BTreeMap<&str, &str> = boards
        .iter()
        .map(|board| (board.json["uid"].as_str().unwrap(), board.file.as_str()))
        .collect();
    assert_eq!(uids.len(), boards.len(), "two boards share a uid");
    for board in &boards {
        let mut taken: BTreeSet<(i64, i64)> = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in board.json["panels"].as_array().unwrap() {
            let what = format!("{}: {}", board.file, panel["title"]);
            assert!(
                ids.insert(panel["id"].as_i64()),
                "{what}: its id stands twice"
            );
            let place = |key: &str| panel["gridPos"][key].as_i64().unwrap();
            assert!(
                place("x") + place("w") <= 24,
                "{what} is wider than the board"
            );
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{what} lies on another panel");
                }
            }
        }
        for panel in board.panels() {
            let what = format!("{}: {}", board.file, panel["title"]);
            assert!(
                panel["description"].as_str().unwrap().ends_with('.'),
                "{what} is not described"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].is_string(), "{what} has no unit");
            assert!(
                !panel["targets"].as_array().unwrap().is_empty(),
                "{what} asks nothing"
            );
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{what}");
            }
            for link in panel["links"].as_array().into_iter().flatten() {
                let url = link["url"].as_str().unwrap();
                let uid = url.trim_start_matches("/d/").split('?').next().unwrap();
                assert!(uids.contains_key(uid), "{what} leads nowhere: {url}");
            }
        }
        assert_eq!(
            board.json["links"][0]["tags"][0], "skyherd",
            "{} leads to no other",
            board.file
        );
        assert!(
            board.json["tags"]
                .as_array()
                .unwrap()
                .contains(&Value::from("skyherd"))
        );
    }
}

#[test]
fn rules_and_alerts_pass_their_own_tests() {
    let Some(prometheus) = require_prometheus() else {
        return;
    };
    let promtool = prometheus.with_file_name("promtool");
    run(
        &promtool,
        &["check", "config", "deploy/prometheus/prometheus.yml"],
    );
    run(
        &promtool,
        &["check", "rules", "deploy/prometheus/rules.yml"],
    );
    run(
        &promtool,
        &["test", "rules", "deploy/prometheus/rules.test.yml"],
    );
    let tests = std::fs::read_to_string(root().join("deploy/prometheus/rules.test.yml")).unwrap();
    for rule in prometheus_rules() {
        let tested = tests.contains(&format!("alertname: {}", rule.name))
            || metric_names(&rule.expr)
                .iter()
                .any(|_| tests.contains(&rule.name));
        assert!(tested, "{} has no test", rule.name);
    }
}
