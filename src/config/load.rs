//! Merging file and environment, and finding every key and value that cannot be.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Config, Problem};

/// What was read, with everything wrong about it. With problems, `config` holds the good parts.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Everything wrong, in order of path.
    pub problems: Vec<Problem>,
}

/// Where a setting came from, for messages.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    File,
    Environment,
}

/// Variables with our prefix that are not settings: the file's name, a client's token, those of
/// the `dev` script and of our own tests, and what Kubernetes puts into every container when a Service is called `skyherd`.
fn foreign(variable: &str) -> bool {
    const OWN: [&str; 8] = [
        "CONFIG",
        "TOKEN",
        "CACHE",
        "CI_TARGET",
        "KAFKA_LIBS",
        "REDIS_SERVER",
        "FUZZ_SECONDS",
        "PORT",
    ];
    OWN.contains(&variable)
        || ["TEST_", "PLAY_", "SERVICE_", "PORT_"]
            .iter()
            .any(|prefix| variable.starts_with(prefix))
}

/// Loads for this process: real environment, home directory and host name.
///
/// The file is `file`, else `SKYHERD_CONFIG`, else `skyherd.toml` in the working directory when
/// there is one.
pub fn load_here(file: Option<&Path>) -> Loaded {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let get = |name: &str| {
        environment
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.clone())
    };
    let state = get("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| get("HOME").map(|home| Path::new(&home).join(".local/state")));
    let mut defaults = Config::default();
    if let Some(state) = state {
        defaults.data_dir = state.join("skyherd");
    }
    if let Some(host) = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| get("HOSTNAME"))
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
    {
        defaults.node = host;
    }
    defaults.failpoint = get("SKYHERD_TEST_FAILPOINT");
    let found = file
        .map(Path::to_owned)
        .or_else(|| get("SKYHERD_CONFIG").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from("skyherd.toml")).filter(|path| path.is_file()));
    let text = match &found {
        None => Ok(String::new()),
        Some(path) => std::fs::read_to_string(path),
    };
    match text {
        Ok(text) => Loaded {
            file: found,
            ..load(&text, &environment, defaults)
        },
        Err(error) => {
            let mut loaded = load("", &environment, defaults);
            let path = found.unwrap_or_default();
            loaded.problems.insert(
                0,
                Problem::new(
                    "",
                    format!(
                        "the configuration file {} could not be read: {error}",
                        path.display()
                    ),
                    "name an existing file with --config or SKYHERD_CONFIG",
                ),
            );
            loaded
        }
    }
}

/// Merges TOML text and variables over `defaults` and checks the outcome. Reads nothing else.
pub fn load(text: &str, environment: &[(String, String)], defaults: Config) -> Loaded {
    let mut problems = Vec::new();
    let schema = schema();
    let mut leaves: Vec<(Vec<String>, Value, Origin)> = Vec::new();
    match text.parse::<Table>() {
        Ok(table) => walk(&table, &schema, &mut Vec::new(), &mut leaves, &mut problems),
        Err(error) => problems.push(Problem::new(
            "",
            // Not the line itself: it may hold a password.
            format!(
                "line {} of the configuration file is not TOML: {}",
                line_of(text, error.span()),
                error.message()
            ),
            "quote text, and write tables as [section]",
        )),
    }
    let mut variables: Vec<_> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("SKYHERD_")?, value)))
        .filter(|(name, _)| !foreign(name))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let path = variable_path(name);
        match known(&schema, &path) {
            Ok(()) => {
                leaves.retain(|(other, ..)| *other != path);
                leaves.push((path, Value::String(value.clone()), Origin::Environment));
            }
            Err(hint) => problems.push(Problem::new(
                &format!("SKYHERD_{name}"),
                "no such setting",
                &hint,
            )),
        }
    }
    let mut merged = Table::new();
    for (path, value, origin) in leaves {
        match accept(&path, &value, origin) {
            Ok(value) => put(&mut merged, &path, value),
            Err(problem) => problems.push(problem),
        }
    }
    let config = apply(merged, defaults);
    problems.extend(config.problems());
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Loaded {
        config,
        file: None,
        problems,
    }
}

fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let before = span.map_or(0, |span| span.start.min(text.len()));
    1 + text
        .char_indices()
        .filter(|(at, letter)| *at < before && *letter == '\n')
        .count()
}

/// Every leaf was accepted alone, so together they decode; absent ones keep their defaults.
fn apply(merged: Table, defaults: Config) -> Config {
    let given = |key: &str| merged.contains_key(key);
    let (data_dir, node) = (given("data_dir"), given("node"));
    let mut config: Config = Value::Table(merged).try_into().unwrap_or_default();
    config.failpoint = defaults.failpoint;
    if !data_dir {
        config.data_dir = defaults.data_dir;
    }
    if !node {
        config.node = defaults.node;
    }
    config
}

/// The schema of the configuration with every reference written out.
fn schema() -> Json {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// The object a schema describes, through `anyOf [object, null]`.
fn object(schema: &Json) -> Option<&Json> {
    if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() {
        return Some(schema);
    }
    schema
        .get("anyOf")?
        .as_array()?
        .iter()
        .find_map(|choice| object(choice))
}

fn keys(schema: &Json) -> Vec<&str> {
    schema
        .get("properties")
        .and_then(Json::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn walk(
    table: &Table,
    schema: &Json,
    path: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Value, Origin)>,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        path.push(key.clone());
        let inner = schema.get("properties").and_then(|all| all.get(key));
        match (inner, value) {
            (None, _) => problems.push(Problem::new(
                &path.join("."),
                "no such setting",
                &nearest(key, &keys(schema)),
            )),
            (Some(inner), Value::Table(table)) if !table.is_empty() => match object(inner) {
                Some(inner) if inner.get("properties").is_some() => {
                    walk(table, inner, path, leaves, problems);
                }
                _ => leaves.push((path.clone(), value.clone(), Origin::File)),
            },
            (Some(_), _) => leaves.push((path.clone(), value.clone(), Origin::File)),
        }
        path.pop();
    }
}

/// `KAFKA__PROPERTIES__SASL_USERNAME` → `kafka`, `properties`, `sasl.username`.
fn variable_path(name: &str) -> Vec<String> {
    let mut path: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
    if path.len() == 3 && path[1] == "properties" {
        path[2] = path[2].replace('_', ".");
    }
    path
}

/// Whether the schema has a setting at `path`; else a hint.
fn known(schema: &Json, path: &[String]) -> Result<(), String> {
    let mut at = schema;
    for (depth, key) in path.iter().enumerate() {
        let here = object(at).ok_or_else(|| format!("{} has no parts", path[..depth].join(".")))?;
        match here.get("properties").and_then(|all| all.get(key)) {
            Some(inner) => at = inner,
            None if here.get("properties").is_none() => return Ok(()),
            None => return Err(nearest(key, &keys(here))),
        }
    }
    Ok(())
}

/// Decodes one leaf alone, so that one bad value does not hide the next. A variable is text; when
/// text does not fit, what it says in TOML, then its parts between commas, are tried.
fn accept(path: &[String], value: &Value, origin: Origin) -> Result<Value, Problem> {
    let mut candidates = vec![value.clone()];
    if let (Origin::Environment, Value::String(text)) = (origin, value) {
        if let Ok(mut table) = format!("value = {text}").parse::<Table>() {
            candidates.extend(table.remove("value"));
        }
        let parts = text
            .split(',')
            .map(|part| Value::String(part.trim().into()));
        candidates.push(Value::Array(parts.collect()));
    }
    let mut first = None;
    for candidate in candidates {
        let mut alone = Table::new();
        put(&mut alone, path, candidate.clone());
        match Value::Table(alone).try_into::<Config>() {
            Ok(_) => return Ok(candidate),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let secret = path
        .iter()
        .any(|key| super::Properties::secret(key) || key == "urls" || key == "tokens");
    let what = match first {
        Some(error) if !secret => error.message().trim().to_owned(),
        _ => "the value does not fit (not shown, since it may be secret)".to_owned(),
    };
    let shown = match origin {
        Origin::File => path.join("."),
        Origin::Environment => {
            format!(
                "SKYHERD_{}",
                path.join("__").to_uppercase().replace('.', "_")
            )
        }
    };
    Err(Problem::new(&shown, what, &expectation(path)))
}

/// What the schema says about a setting.
fn expectation(path: &[String]) -> String {
    let schema = schema();
    let mut at = &schema;
    for key in path {
        match object(at).and_then(|here| here.get("properties")?.get(key)) {
            Some(inner) => at = inner,
            None => break,
        }
    }
    let text = at.get("description").and_then(Json::as_str);
    text.unwrap_or("see the configuration table in the README")
        .replace('\n', " ")
}

fn put(table: &mut Table, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = table;
    for key in parents {
        let next = at
            .entry(key.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = next else { return };
        at = inner;
    }
    match (at.get_mut(last), value) {
        // A variable below a table the file gave (`kafka.properties`) adds to it.
        (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
        (_, value) => {
            at.insert(last.clone(), value);
        }
    }
}

/// A hint naming the closest of `known`.
pub(crate) fn nearest(given: &str, known: &[&str]) -> String {
    let best = known
        .iter()
        .map(|name| (distance(given, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    match best {
        Some((_, name)) => format!("did you mean {name}?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// Edit distance: insertions, deletions, replacements, and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AgentName;

    fn loaded(text: &str, environment: &[(&str, &str)]) -> Loaded {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        load(text, &environment, Config::default())
    }

    fn paths(loaded: &Loaded) -> Vec<&str> {
        loaded.problems.iter().map(|p| p.path.as_str()).collect()
    }

    #[test]
    fn nothing_given_is_the_default_without_a_problem() {
        let loaded = loaded("", &[]);
        assert_eq!(
            (loaded.config, loaded.problems),
            (Config::default(), vec![])
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let text = "partitons = 8\nagents = ['cost', 'wizard']\npartitions = 12\n\
                    [http]\nlisten = 'nowhere'\n[kafka]\nbrokers = 'a:9092'\n\
                    properties = { 'group.id' = 'x' }\n[checkpoint]\ninterval_ms = 'soon'\n";
        let loaded = loaded(text, &[("SKYHERD_REDDIS__URLS", "redis://r")]);
        assert_eq!(
            paths(&loaded),
            [
                "SKYHERD_REDDIS__URLS",
                "agents",
                "checkpoint.interval_ms",
                "http.listen",
                "kafka.properties.group.id",
                "partitions",
                "partitons",
                "redis"
            ]
        );
        assert!(
            loaded
                .problems
                .iter()
                .all(|problem| !problem.hint.is_empty())
        );
        let hint = |path: &str| {
            let found = loaded.problems.iter().find(|problem| problem.path == path);
            found.map(|problem| problem.hint.clone())
        };
        assert_eq!(
            hint("partitons").as_deref(),
            Some("did you mean partitions?")
        );
        assert_eq!(
            hint("SKYHERD_REDDIS__URLS").as_deref(),
            Some("did you mean redis?")
        );
        // The good parts are kept.
        assert_eq!(loaded.config.kafka.unwrap().brokers, ["a:9092"]);
    }

    #[test]
    fn a_variable_wins_over_the_file_and_takes_each_type() {
        let loaded = loaded(
            "partitions = 4\n[kafka]\nbrokers = ['file:1']\nproperties.sasl.username = 'file'\n\
             [redis]\nurls = 'redis://r:6379'",
            &[
                ("SKYHERD_PARTITIONS", "8"),
                ("SKYHERD_AGENTS", "cost, security"),
                ("SKYHERD_KAFKA__BROKERS", "a:1,b:2"),
                ("SKYHERD_KAFKA__PROPERTIES__SASL_USERNAME", "ada"),
                ("SKYHERD_HTTP__LISTEN", "localhost:0"),
                ("SKYHERD_HTTP__BEHIND_TLS_PROXY", "true"),
                ("SKYHERD_NODE", "7"),
            ],
        );
        assert_eq!(loaded.problems, []);
        let config = loaded.config;
        assert_eq!((config.partitions, config.node.as_str()), (8, "7"));
        assert_eq!(config.agents, [AgentName::Cost, AgentName::Security]);
        let kafka = config.kafka.unwrap();
        assert_eq!(kafka.brokers, ["a:1", "b:2"]);
        assert_eq!(kafka.properties.get("sasl.username"), Some("ada"));
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:0");
        assert!(config.http.behind_tls_proxy);
    }

    #[test]
    fn off_loopback_needs_tokens_and_tls() {
        let text = "[http]\nlisten = '*:8080'";
        assert_eq!(
            paths(&loaded(text, &[])),
            ["auth.tokens", "http.behind_tls_proxy"]
        );
        let hash = "0".repeat(64);
        let text = format!(
            "{text}\nbehind_tls_proxy = true\n[[auth.tokens]]\nname = 'ci'\nblake3 = '{hash}'\nrole = 'write'"
        );
        assert_eq!(paths(&loaded(&text, &[])), [""; 0]);
    }

    #[test]
    fn topics_are_named_down_to_their_account() {
        let of = |arn: &str| loaded(&format!("[ingest]\nsns_topics = '{arn}'"), &[]);
        for good in ["alarms", "alarms.fifo", "*", "ops-*"] {
            let arn = format!("arn:aws:sns:eu-west-1:111122223333:{good}");
            assert_eq!(paths(&of(&arn)), [""; 0], "{arn}");
        }
        for wide in [
            "*",
            "alarms",
            "arn:aws:sns:*:111122223333:alarms",
            "arn:aws:sns:eu-west-1:*:alarms",
            "arn:aws:sns:eu-west-1:*",
            "arn:aws:sqs:eu-west-1:111122223333:alarms",
        ] {
            assert_eq!(paths(&of(wide)), ["ingest.sns_topics"], "{wide}");
        }
    }

    #[test]
    fn no_problem_shows_a_secret() {
        let texts = [
            "[redis]\npassword = ['hunter2']\nurls = 'hunter2'\n[kafka]\nbrokers='a:1'",
            "[redis]\npassword = hunter2",
            "[[auth.tokens]]\nname = 'x'\nblake3 = 'hunter2'",
        ];
        for text in texts {
            let loaded = loaded(text, &[("SKYHERD_AUTH__TOKENS", "[hunter2]")]);
            assert!(!loaded.problems.is_empty(), "{text}");
            let shown = format!("{:?} {:?}", loaded.problems, loaded.config);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_kubernetes_service_called_skyherd_is_no_setting() {
        let environment = [
            ("SKYHERD_PORT", "tcp://10.0.0.1:8080"),
            ("SKYHERD_SERVICE_HOST", "10.0.0.1"),
        ];
        assert_eq!(loaded("", &environment).problems, []);
    }
}
