//! House rules as tests: who may import whom, purity, lengths, no loose ends. Each rule is a
//! function of text, and is itself tested on sentences that must fail.

use std::path::{Path, PathBuf};

/// Longest file, without its tests, in lines.
const FILE_LINES_MAX: usize = 400;
/// Longest function in lines.
const FUNCTION_LINES_MAX: usize = 70;

/// What each module may import of this crate. A module that is not named may import everything.
const IMPORTS: [(&str, &[&str]); 13] = [
    ("model", &["model"]),
    ("rules", &["model", "rules"]),
    ("agents", &["agents", "model", "rules"]),
    ("estate", &["estate", "model"]),
    ("ports", &["model", "ports"]),
    ("topology", &["agents", "model", "rules", "topology"]),
    ("telemetry", &["model", "ports", "telemetry"]),
    ("sources", &["model", "ports", "sources"]),
    (
        "runtime",
        &[
            "agents",
            "model",
            "ports",
            "runtime",
            "sources",
            "telemetry",
        ],
    ),
    ("adapters/embedded", ADAPTER),
    ("adapters/kafka", ADAPTER),
    ("adapters/redis", ADAPTER),
    (
        "http",
        &["http", "model", "ports", "rules", "telemetry", "topology"],
    ),
];
/// Adapters see the ports; of the adapters only themselves, which `super` and `self` say too.
const ADAPTER: &[&str] = &["adapters", "model", "ports", "telemetry", "topology"];

/// Modules that decide: no clock, chance, waiting or talk.
const PURE: [&str; 6] = ["model", "rules", "agents", "sources", "topology", "estate"];
/// Modules that may know the simulated estate and the plan hidden in it: the command that plays it. Whatever decides
/// sees only records.
const PLAYERS: [&str; 4] = ["estate", "cli/demo", "cli/dump", "cli/closing"];
/// Test code that watches other processes, which tell nobody when they change.
const WATCHERS: [&str; 2] = ["suite/harness", "suite/faults"];
/// Files of pure modules that read files, or unpack what is in memory by the same trait, and do
/// nothing else impure.
const READERS: [&str; 2] = ["sources/replay", "sources/open/packing"];
/// What pure code does not say.
const FORBIDDEN: [&str; 14] = [
    "async ",
    ".await",
    "std::time",
    "SystemTime",
    "Instant",
    "rand::",
    "tokio",
    "rdkafka",
    "redis::",
    "println!",
    "tracing::",
    "std::env",
    "TcpStream",
    "HashMap",
];
/// Pure code reads no files, but for [`READERS`].
const FILES: [&str; 2] = ["std::fs", "std::io"];

struct Source {
    /// Below `src/`, without `.rs`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, base: &Path, into: &mut Vec<Source>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, base, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(base).unwrap().with_extension("");
            into.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut found = Vec::new();
    collect(&base, &base, &mut found);
    assert!(!found.is_empty(), "no source in {folder}");
    found
}

/// Whether `path` is the module `name` or lies in it.
fn lies_in(path: &str, name: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The text without its unit tests, which are the last thing in a file.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {")
        .map_or(text, |at| &text[..at])
}

/// The text without comments and the contents of string literals, line by line as before.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut letters = text.chars().peekable();
    let mut raw_hashes = None;
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => {
                while letters.peek().is_some_and(|next| *next != '\n') {
                    letters.next();
                }
            }
            'r' if matches!(letters.peek(), Some('"' | '#'))
                && !kept.ends_with(|before: char| before.is_alphanumeric() || before == '_') =>
            {
                let mut hashes = 0;
                while letters.peek() == Some(&'#') {
                    letters.next();
                    hashes += 1;
                }
                raw_hashes = (letters.peek() == Some(&'"')).then_some(hashes);
            }
            '"' => skip_literal(&mut letters, raw_hashes.take(), &mut kept),
            '\'' => {
                // A character literal, not a lifetime: 'x' or '\n'.
                let mut ahead = letters.clone();
                let first = ahead.next();
                if first == Some('\\') {
                    letters.next();
                    letters.next();
                    while letters.next().is_some_and(|next| next != '\'') {}
                } else if ahead.next() == Some('\'') {
                    letters.next();
                    letters.next();
                }
            }
            other => kept.push(other),
        }
    }
    kept
}

/// Passes over a string literal, keeping its line ends.
fn skip_literal(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    raw_hashes: Option<usize>,
    kept: &mut String,
) {
    while let Some(letter) = letters.next() {
        match (letter, raw_hashes) {
            ('\n', _) => kept.push('\n'),
            ('\\', None) => {
                kept.extend(letters.next().filter(|escaped| *escaped == '\n'));
            }
            ('"', None) => return,
            ('"', Some(hashes)) => {
                let mut ahead = letters.clone();
                if (0..hashes).all(|_| ahead.next() == Some('#')) {
                    *letters = ahead;
                    return;
                }
            }
            _ => {}
        }
    }
}

/// First parts of the crate's paths that are used.
fn crate_imports(text: &str) -> Vec<String> {
    let code = code(text);
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with('$'))
        .flat_map(|(at, found)| {
            let rest = &code[at + found.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = &group[..group.find(['}', ';']).unwrap_or(group.len())];
                group.split(',').map(first_word).collect::<Vec<_>>()
            } else {
                vec![first_word(rest)]
            }
        })
        .filter(|word| !word.is_empty())
        .collect()
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

fn import_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = plan_faults(path, text);
    let Some((_, allowed)) = IMPORTS.iter().find(|(module, _)| lies_in(path, module)) else {
        return faults;
    };
    faults.extend(
        crate_imports(without_tests(text))
            .into_iter()
            .filter(|import| import != "estate" && !allowed.contains(&import.as_str()))
            .map(|import| format!("{path} imports crate::{import}")),
    );
    let own = path.split('/').take(2).collect::<Vec<_>>();
    if own.first() == Some(&"adapters") && own.len() == 2 {
        for other in ["embedded", "kafka", "redis", "sim"] {
            if other != own[1] && text.contains(&format!("adapters::{other}")) {
                faults.push(format!("{path} imports the adapter {other}"));
            }
        }
    }
    faults
}

/// The pipeline cannot know what is planted in the estate: nobody but the players may name it.
fn plan_faults(path: &str, text: &str) -> Vec<String> {
    if PLAYERS.iter().any(|module| lies_in(path, module)) {
        return Vec::new();
    }
    let code = code(text);
    let named = crate_imports(text).iter().any(|import| import == "estate")
        || code.contains("super::estate")
        || code
            .match_indices("estate::")
            // `typestate::` is another word.
            .any(|(at, _)| !code[..at].ends_with(char::is_alphanumeric));
    named
        .then(|| format!("{path} names the estate, whose plan it must not know"))
        .into_iter()
        .collect()
}

fn purity_faults(path: &str, text: &str) -> Vec<String> {
    if !PURE.iter().any(|module| lies_in(path, module)) {
        return Vec::new();
    }
    let code = code(without_tests(text));
    let reads = READERS.iter().any(|module| lies_in(path, module));
    let files = FILES.iter().filter(|_| !reads);
    FORBIDDEN
        .iter()
        .chain(files)
        .filter(|word| mentions(&code, word))
        .map(|word| format!("{path} says {word:?}"))
        .collect()
}

/// Whether the code has the word, not as the end or beginning of a longer one.
fn mentions(code: &str, word: &str) -> bool {
    let part_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let begins = !word.starts_with(part_of_name) || !before.is_some_and(part_of_name);
        let ends = !word.ends_with(part_of_name) || !after.is_some_and(part_of_name);
        begins && ends
    })
}

fn length_faults(path: &str, text: &str) -> Vec<String> {
    let text = without_tests(text);
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{path} has {lines} lines"));
    }
    let code = code(text);
    let mut open: Option<(String, usize, usize)> = None;
    for (number, line) in code.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match &open {
            None => {
                if let Some(name) = function_name(line) {
                    open = Some((name, number, indent));
                }
            }
            Some((name, began, depth)) => {
                // rustfmt closes a function at the indent it began at.
                let ends = indent == *depth && (line.trim() == "}" || line.trim_end() == ";");
                if ends
                    || (number == *began + 1 && indent <= *depth && function_name(line).is_some())
                {
                    let length = number - began + 1;
                    if length > FUNCTION_LINES_MAX {
                        faults.push(format!("{path}: fn {name} has {length} lines"));
                    }
                    open = None;
                }
            }
        }
    }
    faults
}

/// The name of the function whose body begins on or after this line.
fn function_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    let at = line.find("fn ")?;
    let before = &line[..at];
    let plain = before.split_whitespace().all(|word| {
        word.starts_with("pub") || ["const", "async", "super)", "crate)"].contains(&word)
    });
    let one_line = line.ends_with('}') || line.ends_with(';');
    (plain && !one_line).then(|| first_word(&line[at + 3..]))
}

fn loose_ends(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("X", "XX"),
        ] {
            if mentions(line, word) && !line.contains(&format!("{word}(#")) {
                faults.push(format!(
                    "{path}:{} {word} without an issue's number",
                    number + 1
                ));
            }
        }
        if line.trim_start().starts_with(concat!("#[ign", "ore")) {
            faults.push(format!("{path}:{} a test that never runs", number + 1));
        }
    }
    faults
}

fn sleep_faults(path: &str, text: &str) -> Vec<String> {
    let watches = WATCHERS.iter().any(|module| lies_in(path, module));
    let found = code(text).contains(concat!("thread::", "sleep"));
    (found && !watches)
        .then(|| format!("{path} sleeps; wait for the event"))
        .into_iter()
        .collect()
}

/// Dependencies whose line does not say why they are there.
fn unexplained(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut faults = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim();
        } else if ["[dependencies]", "[dev-dependencies]"].contains(&section)
            && let Some((name, rest)) = line.split_once('=')
        {
            let why = rest.rsplit_once('#').map_or("", |(_, why)| why.trim());
            if why.len() < 4 {
                faults.push(format!("{} does not say why", name.trim()));
            }
        }
    }
    faults
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn faults_of(folder: &str, rule: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    sources(folder)
        .iter()
        .flat_map(|source| rule(&source.path, &source.text))
        .collect()
}

#[test]
fn modules_import_only_what_they_may() {
    assert_none(&faults_of("src", import_faults));
}

#[test]
fn what_decides_is_pure() {
    assert_none(&faults_of("src", purity_faults));
}

#[test]
fn files_and_functions_fit_the_eye() {
    assert_none(&faults_of("src", length_faults));
}

#[test]
fn no_loose_ends_are_left() {
    assert_none(&faults_of("src", loose_ends));
    assert_none(&faults_of("tests", loose_ends));
}

#[test]
fn tests_wait_for_events_not_for_time() {
    assert_none(&faults_of("tests", sleep_faults));
}

#[test]
fn every_dependency_says_why() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_none(&unexplained(&manifest));
}

#[test]
fn every_module_of_the_table_exists() {
    let sources = sources("src");
    let names = IMPORTS
        .iter()
        .map(|(name, _)| *name)
        .chain(PURE)
        .chain(PLAYERS)
        .chain(READERS);
    for name in names {
        assert!(
            sources.iter().any(|source| lies_in(&source.path, name)),
            "src/{name} is in a table of this test and is gone"
        );
    }
}

#[test]
fn the_rules_themselves_catch_what_they_are_for() {
    for (path, text) in [
        ("model/time", "use crate::ports::Clock;"),
        ("rules/cost/idle", "use crate::{model::Usd, agents::Agent};"),
        ("http/api", "let x = crate::adapters::embedded::Embedded;"),
        ("adapters/kafka/log", "use crate::adapters::redis::Store;"),
        ("agents/mod", "use crate::estate::Planted;"),
        ("app/replay", "use crate::{config::Config, estate::Estate};"),
        ("cli/replay", "use crate::estate as somewhere;"),
    ] {
        assert_eq!(import_faults(path, text).len(), 1, "{path}: {text}");
    }
    assert_none(&import_faults(
        "model/time",
        "// crate::ports is not known here",
    ));
    assert_none(&import_faults(
        "app/mod",
        "use crate::adapters::kafka::Log;",
    ));
    for text in [
        "async fn decide() {}",
        "let now = std::time::Instant::now();",
        "answer.await",
        "let x: HashMap<u8, u8>;",
        "println!();",
        "let f = std::fs::read(p);",
    ] {
        assert!(!purity_faults("agents/mod", text).is_empty(), "{text}");
    }
    assert_none(&purity_faults(
        "model/x",
        "//! No Instant, no tokio.\nlet a = \"println!\";",
    ));
    assert_none(&purity_faults(
        "model/x",
        "let redistribution = strand::of(Instants);",
    ));
    assert_none(&purity_faults("sources/replay/mod", "use std::fs::File;"));
    let long = format!(
        "fn long() {{\n{}}}\n",
        "    step();\n".repeat(FUNCTION_LINES_MAX)
    );
    assert_eq!(length_faults("x", &long).len(), 1);
    let fits = format!(
        "fn fits() {{\n{}}}\n",
        "    step();\n".repeat(FUNCTION_LINES_MAX - 2)
    );
    assert_none(&length_faults("x", &fits));
    assert_eq!(
        length_faults("x", &"a\n".repeat(FILE_LINES_MAX + 1)).len(),
        1
    );
    let tested = format!(
        "a\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "a\n".repeat(FILE_LINES_MAX)
    );
    assert_none(&length_faults("x", &tested));
    assert_eq!(loose_ends("x", concat!("// TO", "DO mend this")).len(), 1);
    assert_none(&loose_ends("x", concat!("// TO", "DO(#12) mend this")));
    assert_eq!(loose_ends("x", concat!("#[ign", "ore]")).len(), 1);
    assert_eq!(
        sleep_faults("x", concat!("std::thread::", "sleep(d);")).len(),
        1
    );
    assert_eq!(
        unexplained("[dependencies]\nserde = \"1\"\nx = \"1\" # needed for y").len(),
        1
    );
}

#[test]
fn literals_and_comments_are_no_code() {
    let text = "let a = \"x // y\"; // tokio\nlet b = r#\"a \"b\" tokio\"#; let c = '\"'; d()";
    assert_eq!(code(text), "let a = ; \nlet b = ; let c = ; d()");
}
