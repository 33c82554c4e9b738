//! What README, ARCHITECTURE and CONTRIBUTING say is what the program has.
//!
//! A block between `<!-- generated: NAME -->` and `<!-- end -->` is written by the program:
//! `UPDATE=1` rewrites it. A block after `<!-- lines of: FILE -->` must stand in that file, a
//! `json` block after `<!-- record of: TOPIC -->` must decode, and every `toml` block must load.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use skyherd::config::{Config, load};
#[cfg(feature = "aws")]
use skyherd::model::ItemKind;
use skyherd::model::Topic;
use skyherd::sources::{Decoded, decode};
use skyherd::telemetry::SPECS;
use skyherd::topology;

const DOCUMENTS: [&str; 4] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the program says a generated block holds.
fn generated(name: &str) -> String {
    if let Some(path) = name.strip_prefix("file ") {
        let (fence, language) = match Path::new(path).extension().and_then(|end| end.to_str()) {
            Some("md") => ("````", "markdown"),
            Some("rs") => ("```", "rust"),
            other => panic!("{path}: no language for {other:?}"),
        };
        return format!("{fence}{language}\n{}\n{fence}", read(path).trim_end());
    }
    match name {
        "flow" => format!("```mermaid\n{}\n```", topology::mermaid().trim_end()),
        "topics" => topics(),
        "metrics" => metrics(),
        "routes" => routes(),
        #[cfg(feature = "aws")]
        "kinds" => kinds(),
        "invariants" => invariants(),
        "demo" => demo(),
        other => panic!("nobody writes a block called {other:?}"),
    }
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!(
        "| {} |\n|{}",
        header.join(" | "),
        "---|".repeat(header.len())
    );
    for row in rows {
        let _ = write!(text, "\n| {} |", row.join(" | "));
    }
    text
}

fn carries(topic: Topic) -> &'static str {
    match topic {
        Topic::AwsMetrics => "CloudWatch metric-stream records",
        Topic::AwsEvents => "EventBridge envelopes",
        Topic::AwsInventory => "items of Describe calls",
        Topic::AwsBilling => "rows of bills: FOCUS, CUR",
        Topic::FindingsResource
        | Topic::FindingsCost
        | Topic::FindingsSecurity
        | Topic::FindingsPerformance => "one row a finding",
        Topic::Requests => "questions to the coordinator",
        Topic::Approvals => "a person's consent or refusal",
        Topic::Recommendations => "one row a recommendation",
        Topic::Tasks => "what the coordinator asks of agents",
        Topic::Results => "what agents answer",
        Topic::Actions => "approved changes",
        Topic::Outcomes => "what became of them",
        Topic::Workflows => "steps of workflows",
        Topic::Memory => "backups of agents' states",
        Topic::Audit => "hash-chained record of decisions",
        Topic::DeadLetters => "undecodable records, byte for byte",
    }
}

fn topics() -> String {
    let names = |list: Vec<&str>| {
        if list.is_empty() {
            "nobody yet".to_owned()
        } else {
            list.join(", ")
        }
    };
    table(
        &["topic", "carries", "kept", "written by", "read by"],
        Topic::ALL.into_iter().map(|topic| {
            let kept = if topic.compacted() {
                "newest of each key"
            } else {
                "by time"
            };
            vec![
                format!("`{topic}`"),
                carries(topic).to_owned(),
                kept.to_owned(),
                names(topology::writers(topic)),
                names(topology::readers(topic)),
            ]
        }),
    )
}

fn metrics() -> String {
    table(
        &["metric", "kind", "labels", "says"],
        SPECS.iter().map(|spec| {
            vec![
                format!("`{}`", spec.name),
                spec.kind.as_str().to_owned(),
                spec.labels.join(", "),
                spec.help.to_owned(),
            ]
        }),
    )
}

fn routes() -> String {
    table(
        &["route", "for"],
        skyherd::http::routes()
            .into_iter()
            .map(|(method, path, says)| {
                let path = path.replace("{*resource}", "{resource}");
                vec![format!("`{method} {path}`"), says.to_owned()]
            }),
    )
}

/// What is pulled of inventory, and with which calls.
#[cfg(feature = "aws")]
fn kinds() -> String {
    let schema = schemars::schema_for!(ItemKind);
    let schema = serde_json::to_value(schema).unwrap();
    let says = |kind: ItemKind| {
        let all = schema["oneOf"].as_array().unwrap().iter();
        let mut own = all.filter(|one| one["const"] == kind.as_str());
        let says = own.next().unwrap()["description"].as_str().unwrap();
        says.replace('\n', " ")
    };
    table(
        &["kind", "is", "asked with"],
        ItemKind::ALL.into_iter().map(|kind| {
            let calls = skyherd::adapters::aws::actions(kind).iter();
            let calls: Vec<String> = calls.map(|call| format!("`{call}`")).collect();
            let place = if kind.global() {
                ", once an account"
            } else {
                ""
            };
            vec![
                format!("`{}`", kind.as_str()),
                says(kind),
                format!("{}{place}", calls.join(", ")),
            ]
        }),
    )
}

/// The named invariants as the runtime's documentation has them.
fn invariants() -> String {
    let source = read("src/runtime/mod.rs");
    let lines: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.starts_with("* **I"))
        .collect();
    assert!(lines.len() >= 6, "src/runtime/mod.rs names no invariants");
    lines.join("\n")
}

/// Recommendations of the demo that the README shows.
const SHOWN: usize = 3;

/// What `skyherd demo` prints where there is no terminal, shortened.
fn demo() -> String {
    let text = skyherd(&["demo", "--headless"]);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let number = format!("{}", SHOWN + 1);
    let next = lines
        .iter()
        .position(|line| line.split_whitespace().next() == Some(number.as_str()))
        .expect("the demo recommends more than is shown");
    let rest = lines
        .iter()
        .position(|line| line.contains("open recommendations from"))
        .expect("the demo adds up what it recommends");
    format!(
        "```text\n{}\n …\n{}\n```",
        lines[..next].join("\n"),
        lines[rest..].join("\n")
    )
}

/// The text with every generated block as it should be.
fn refreshed(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let after = &rest[at + BEGIN.len()..];
        let name = after
            .split(" -->")
            .next()
            .expect("split gives a first part");
        let end = after
            .find(END)
            .unwrap_or_else(|| panic!("the block {name:?} has no {END}"));
        out.push_str(&rest[..at]);
        let _ = write!(out, "{BEGIN}{name} -->\n{}\n{END}", generated(name));
        rest = &after[end + END.len()..];
    }
    out + rest
}

#[test]
fn generated_blocks_are_what_the_program_writes() {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    for document in DOCUMENTS {
        let text = read(document);
        let wanted = refreshed(&text);
        if update {
            std::fs::write(root().join(document), &wanted).unwrap();
        } else if text != wanted {
            let line = text.lines().zip(wanted.lines()).position(|(a, b)| a != b);
            panic!(
                "{document} differs from the program near line {}; UPDATE=1 cargo test --test suite docs:: rewrites it",
                line.map_or_else(|| text.lines().count(), |line| line + 1)
            );
        }
    }
}

#[test]
fn readme_and_architecture_carry_the_flow() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let block = format!("{BEGIN}flow -->");
        assert!(read(document).contains(&block), "{document} lacks {block}");
    }
}

/// The rows of the table between `<!-- table: NAME -->` and `<!-- end -->`, cell by cell.
fn rows(document: &str, name: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let begin = format!("<!-- table: {name} -->");
    let after = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{document} has no {begin}"))
        .1;
    let body = after.split(END).next().expect("split gives a first part");
    let rows: Vec<Vec<String>> = body
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim().trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{document}: the table {name} is empty");
    rows
}

fn unquoted(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// Leaves of the configuration's schema, such as `kafka.brokers`; a list of tables is `a[].b`.
fn leaves(schema: &Value, root: &Value, path: &str, found: &mut BTreeSet<String>) {
    let resolve = |schema: &Value| -> Value {
        match schema["$ref"].as_str() {
            Some(reference) => root
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("{reference} leads nowhere"))
                .clone(),
            None => schema.clone(),
        }
    };
    let schema = resolve(schema);
    if let Some(choices) = schema["anyOf"].as_array() {
        let table = choices
            .iter()
            .map(&resolve)
            .find(|choice| choice["type"] == "object");
        if let Some(table) = table {
            return leaves(&table, root, path, found);
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (key, inner) in properties {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            leaves(inner, root, &path, found);
        }
        return;
    }
    let items = resolve(&schema["items"]);
    if items["properties"].is_object() {
        return leaves(&items, root, &format!("{path}[]"), found);
    }
    found.insert(path.to_owned());
}

#[test]
fn every_setting_is_described_and_no_other() {
    let schema = Config::schema();
    let mut known = BTreeSet::new();
    leaves(&schema, &schema, "", &mut known);
    assert!(known.contains("kafka.brokers") && known.contains("auth.tokens[].blake3"));
    let described: BTreeSet<String> = rows("README.md", "configuration")
        .iter()
        .map(|row| unquoted(&row[0]))
        .collect();
    assert_eq!(described, known);
}

#[test]
fn the_defaults_told_are_those_in_force() {
    let config = Config::default();
    let redis = skyherd::config::Redis::default();
    let agents: Vec<String> = config
        .agents
        .iter()
        .map(|agent| format!("{:?}", agent.as_str()))
        .collect();
    let truth = BTreeMap::from([
        ("partitions", config.partitions.to_string()),
        ("agents", format!("[{}]", agents.join(", "))),
        (
            "http.listen",
            format!("{:?}", config.http.listen.to_string()),
        ),
        (
            "http.behind_tls_proxy",
            config.http.behind_tls_proxy.to_string(),
        ),
        ("redis.prefix", format!("{:?}", redis.prefix)),
        (
            "redis.mode",
            format!("{:?}", format!("{:?}", redis.mode).to_lowercase()),
        ),
        (
            "checkpoint.interval_ms",
            config.checkpoint.interval_ms.to_string(),
        ),
        (
            "checkpoint.dirty_bytes_max",
            config.checkpoint.dirty_bytes_max.to_string(),
        ),
        (
            "memory.recent_capacity",
            config.memory.recent_capacity.to_string(),
        ),
        (
            "memory.backup_interval_ms",
            config.memory.backup_interval_ms.to_string(),
        ),
        ("watch.interval_ms", config.watch.interval_ms.to_string()),
        (
            "log.format",
            format!("{:?}", format!("{:?}", config.log.format).to_lowercase()),
        ),
        ("log.level", format!("{:?}", config.log.level)),
    ]);
    let told: BTreeMap<String, String> = rows("README.md", "configuration")
        .iter()
        .map(|row| (unquoted(&row[0]), unquoted(&row[1])))
        .collect();
    for (key, value) in truth {
        assert_eq!(told.get(key), Some(&value), "{key}");
    }
}

/// Fenced blocks of a language with the line before their fence.
fn fenced(text: &str, language: &str) -> Vec<(String, String)> {
    let open = format!("```{language}");
    let mut blocks = Vec::new();
    let mut before = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == open {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((before.clone(), body.join("\n")));
        }
        line.clone_into(&mut before);
    }
    blocks
}

#[test]
fn every_configuration_shown_is_accepted() {
    let blocks = fenced(&read("README.md"), "toml");
    assert!(
        blocks.len() >= 2,
        "README.md shows {} TOML blocks",
        blocks.len()
    );
    for (_, text) in blocks {
        let problems = load(&text, &[], Config::default()).problems;
        // A file named in an example need not be on this machine.
        let real: Vec<_> = problems
            .iter()
            .filter(|problem| problem.path != "redis.ca_file")
            .filter(|problem| cfg!(feature = "kafka") || problem.path != "kafka")
            .collect();
        assert!(real.is_empty(), "{real:?}\n{text}");
    }
}

#[test]
fn every_record_shown_decodes() {
    let mut seen = 0;
    for (before, text) in fenced(&read("README.md"), "json") {
        let Some(name) = before.strip_prefix("<!-- record of: ") else {
            continue;
        };
        let name = name.trim_end_matches(" -->");
        let topic = Topic::parse(name).unwrap_or_else(|| panic!("there is no topic {name:?}"));
        match decode(topic, None, Some(text.as_bytes())) {
            Ok(Decoded::Message(message)) => assert!(!message.account().is_empty()),
            other => panic!("{topic}: {other:?}\n{text}"),
        }
        seen += 1;
    }
    assert!(seen >= 5, "README.md shows {seen} records");
}

/// A document without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands in backticks in running text.
fn spans(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Words of a document that begin with `prefix` and go on with `more`.
fn words(text: &str, prefix: &str, more: fn(char) -> bool) -> BTreeSet<String> {
    text.match_indices(prefix)
        .filter(|(at, _)| {
            !text[..*at].ends_with(|c: char| c.is_alphanumeric() || "_.-".contains(c))
        })
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = prefix.len()
                + rest[prefix.len()..]
                    .find(|c: char| !more(c))
                    .unwrap_or(rest.len() - prefix.len());
            rest[..end].trim_end_matches(['.', '_', '-']).to_owned()
        })
        .collect()
}

#[test]
fn metrics_topics_and_variables_named_exist() {
    let headers = [
        skyherd::app::HEADER_MARK,
        skyherd::app::HEADER_REPLAYED,
        skyherd::runtime::HEADER_CAUSE,
        skyherd::runtime::HEADER_ORIGIN,
        skyherd::runtime::HEADER_REASON,
        skyherd::runtime::HEADER_SOURCE_TOPIC,
        skyherd::runtime::HEADER_SOURCE_PARTITION,
        skyherd::runtime::HEADER_SOURCE_OFFSET,
    ];
    for document in DOCUMENTS {
        let text = read(document);
        for name in words(&text, "skyherd_", |c| c.is_ascii_lowercase() || c == '_') {
            assert!(
                name == "skyherd"
                    || headers.contains(&name.as_str())
                    || SPECS.iter().any(|spec| spec.name == name),
                "{document}: there is no metric {name}"
            );
        }
        for span in spans(&text) {
            if ["aws.", "findings."]
                .iter()
                .any(|prefix| span.starts_with(prefix))
            {
                assert!(
                    Topic::parse(&span).is_some(),
                    "{document}: there is no topic {span}"
                );
            }
        }
        for name in words(&text, "SKYHERD_", |c| c.is_ascii_uppercase() || c == '_') {
            assert!(variable(&name), "{document}: nothing reads {name}");
        }
    }
}

/// Whether the program, its tests or the task runner read a variable.
fn variable(name: &str) -> bool {
    if name == "SKYHERD" {
        return true;
    }
    let loaded = load("", &[(name.to_owned(), "1".to_owned())], Config::default());
    let setting = !loaded
        .problems
        .iter()
        .any(|problem| problem.what == "no such setting");
    let test = name.starts_with("SKYHERD_TEST_");
    let sources = [
        "dev",
        "tests/suite/simulation.rs",
        "tests/browser/kit.mjs",
        "src/config/load.rs",
    ];
    (setting && !test) || sources.iter().any(|path| read(path).contains(name))
}

/// What a command prints, configured by nothing.
fn skyherd(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skyherd"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKYHERD_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(root().join("tests"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "skyherd {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn help(arguments: &[&str]) -> String {
    skyherd(&[arguments, &["--help"]].concat())
}

/// Names of the commands a help text lists.
fn commands(help: &str) -> BTreeSet<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_commands_told_are_those_there_are() {
    let known = commands(&help(&[]));
    assert!(known.contains("run"), "{known:?}");
    let told: BTreeSet<String> = rows("README.md", "commands")
        .iter()
        .map(|row| {
            let command = unquoted(&row[0]);
            let mut words = command.split(' ').skip(1);
            words.next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(told, known);
}

/// Command lines in code: those of `sh` blocks, and spans in backticks.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (_, block) in fenced(text, "sh") {
        lines.extend(block.replace("\\\n", " ").lines().map(str::to_owned));
    }
    lines.extend(spans(text));
    lines
}

#[test]
fn every_command_line_shown_has_its_command_and_flags() {
    let known = commands(&help(&[]));
    let mut seen = 0;
    for document in DOCUMENTS {
        for line in command_lines(&read(document)) {
            let line = line
                .split('#')
                .next()
                .expect("split gives a first part")
                .to_owned();
            let arguments = line
                .split_once("cargo run --release -- ")
                .or_else(|| line.split_once("skyherd "))
                .map(|(before, rest)| (before.to_owned(), rest.to_owned()));
            let Some((before, arguments)) = arguments else {
                continue;
            };
            if before.ends_with(['/', '.', '-', '"']) {
                continue;
            }
            let words: Vec<&str> = arguments
                .split(['|', ';', '>'])
                .next()
                .expect("split gives a first part")
                .split_whitespace()
                .collect();
            let Some(command) = words
                .first()
                .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            else {
                continue;
            };
            assert!(
                known.contains(*command),
                "{document}: `{line}`: there is no command {command}"
            );
            let text = help(&[command]);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().expect("split gives a first part");
                assert!(
                    text.contains(flag),
                    "{document}: `{line}`: {command} has no {flag}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} command lines were found");
}

#[test]
fn every_exit_code_is_told() {
    let help = help(&[]);
    let line = help
        .split_once("Exit codes: ")
        .expect("the help tells exit codes")
        .1;
    let known: BTreeSet<String> = line
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(str::to_owned)
        .collect();
    let told: BTreeSet<String> = rows("README.md", "exit codes")
        .iter()
        .map(|row| unquoted(&row[0]))
        .collect();
    assert_eq!(told, known);
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_and_paths_lead_somewhere() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let prose = prose(&text);
        for rest in prose.split("](").skip(1) {
            let target = rest.split(')').next().expect("split gives a first part");
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { document } else { path };
            assert!(
                root().join(path).exists(),
                "{document}: {target} leads nowhere"
            );
            let headings: BTreeSet<String> = if heading.is_empty() {
                BTreeSet::new()
            } else {
                let lines = read(path);
                lines
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches('#').trim()))
                    .collect()
            };
            assert!(
                heading.is_empty() || headings.contains(heading),
                "{document}: no heading for {target}"
            );
            seen += 1;
        }
        for span in spans(&text) {
            let folder = ["src/", "tests/", "topics/", "deploy/"];
            let pattern = span.contains(['*', '<', ' ', '{']);
            if folder.iter().any(|prefix| span.starts_with(prefix)) && !pattern {
                assert!(
                    root().join(&span).exists(),
                    "{document}: {span} does not exist"
                );
            }
        }
    }
    assert!(seen >= 5, "only {seen} links were found");
}

#[test]
fn the_code_map_names_every_module() {
    let map = read("ARCHITECTURE.md");
    for line in read("src/lib.rs").lines() {
        let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        let placed = [format!("| `src/{name}` |"), format!("| `src/{name}.rs` |")]
            .iter()
            .any(|row| map.contains(row));
        assert!(placed, "ARCHITECTURE.md does not place {name}");
    }
}

#[test]
fn lines_quoted_from_a_file_stand_in_it() {
    let mut seen = 0;
    for document in DOCUMENTS {
        for (before, text) in fenced(&read(document), "rust") {
            let Some(path) = before.strip_prefix("<!-- lines of: ") else {
                continue;
            };
            let path = path.trim_end_matches(" -->");
            let source = read(path);
            for line in text.lines() {
                assert!(
                    source.lines().any(|own| own == line),
                    "{document}: {path} has no line {line:?}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "only {seen} lines were found");
}

#[test]
fn every_dev_command_told_exists() {
    let dev = read("dev");
    for document in DOCUMENTS {
        for name in words(&read(document), "./dev ", |c| c.is_ascii_lowercase()) {
            assert!(
                dev.lines()
                    .any(|line| line.starts_with(&format!("{name} "))),
                "{document}: there is no {name}"
            );
        }
    }
}
