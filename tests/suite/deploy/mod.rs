//! What is shipped beside the program: boards, rules, image, chart and unit, each held to the
//! program and judged by a tool of its own kind.

mod boards;
mod cloud;
mod live;
mod packages;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a tool in the repository; panics with what it said unless it ends with 0.
fn run(tool: &Path, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", tool.display()));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{} {args:?}: {}\n{}{}",
        tool.display(),
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    said(&output.stdout)
}

/// One board of Grafana.
struct Board {
    file: String,
    json: Value,
}

impl Board {
    fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = self.json["panels"].as_array().expect("a board has panels");
        panels.iter().filter(|panel| panel["type"] != "row")
    }

    /// Title of the panel and expression of each of its queries.
    fn queries(&self) -> Vec<(String, String)> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            let title = format!("{}: {}", self.file, panel["title"].as_str().unwrap());
            for target in panel["targets"].as_array().unwrap() {
                queries.push((title.clone(), target["expr"].as_str().unwrap().to_owned()));
            }
        }
        queries
    }
}

/// Every board, by file name.
fn boards() -> Vec<Board> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("deploy/grafana/dashboards"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let boards: Vec<Board> = files
        .into_iter()
        .map(|path| Board {
            file: path.file_name().unwrap().to_string_lossy().into_owned(),
            json: serde_json::from_str(&std::fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        })
        .collect();
    assert_eq!(boards.len(), 5);
    boards
}

/// One recording or alert rule.
struct PromRule {
    /// What is recorded; `None` for an alert.
    record: Option<String>,
    name: String,
    expr: String,
}

fn prometheus_rules() -> Vec<PromRule> {
    let text = read("deploy/prometheus/rules.yml");
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| {
            let text = |key: &str| rule.get(key).and_then(Value::as_str).map(str::to_owned);
            PromRule {
                record: text("record"),
                name: text("record").or_else(|| text("alert")).unwrap(),
                expr: text("expr").unwrap(),
            }
        })
        .collect()
}

/// Names beginning with `skyherd_` in an expression, without what a histogram's series add.
fn metric_names(expr: &str) -> Vec<String> {
    let part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut names = Vec::new();
    for word in expr.split(|letter| !part(letter)) {
        // A recorded series is named level:metric:how.
        let Some(name) = word.split(':').find(|name| name.starts_with("skyherd_")) else {
            continue;
        };
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        names.push(name.to_owned());
    }
    names
}
