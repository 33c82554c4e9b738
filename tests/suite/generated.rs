//! Schemas are what the types say, examples are what the schemas say, and messages of the past
//! decode for ever. `UPDATE=1` rewrites the schemas and takes up new corpus files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skyherd::config::Config;
use skyherd::model::{
    Action, Approval, AuditRecord, DeadLetter, Finding, Outcome, Recommendation, Request, Task,
    TaskResult, Topic, WorkflowStep,
};
use skyherd::sources::{Decoded, RawInventory, decode};

/// One kind of document.
struct Kind {
    name: &'static str,
    schema: Value,
    /// Reads a document and writes it again.
    reread: fn(&Value) -> Result<Option<Value>, String>,
}

fn kind<T: JsonSchema + Serialize + DeserializeOwned>(name: &'static str) -> Kind {
    Kind {
        name,
        schema: schemars::schema_for!(T).to_value(),
        reread: |document| {
            // Through text, as records come.
            let text = document.to_string();
            let value: T = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            Ok(Some(serde_json::to_value(value).expect("types serialise")))
        },
    }
}

fn kinds() -> Vec<Kind> {
    vec![
        kind::<Finding>("finding"),
        kind::<Recommendation>("recommendation"),
        kind::<Request>("request"),
        kind::<Task>("task"),
        kind::<TaskResult>("result"),
        kind::<Approval>("approval"),
        kind::<Action>("action"),
        kind::<Outcome>("outcome"),
        kind::<WorkflowStep>("workflow-step"),
        kind::<AuditRecord>("audit"),
        kind::<DeadLetter>("dead-letter"),
        kind::<RawInventory>("inventory"),
        Kind {
            name: "config",
            schema: Config::schema(),
            reread: |document| {
                serde_json::from_value::<Config>(document.clone())
                    .map(|_| None)
                    .map_err(|error| error.to_string())
            },
        },
    ]
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

fn json_names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect()
}

fn example(name: &str) -> Value {
    let path = root().join(format!("schemas/examples/{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("the schema is a schema")
}

/// Documents made of the program, without examples of their own.
fn documents() -> Vec<(&'static str, Value)> {
    vec![
        ("openapi", skyherd::http::openapi()),
        ("asyncapi", skyherd::http::asyncapi()),
    ]
}

#[test]
fn the_schemas_are_what_the_types_say() {
    let folder = root().join("schemas");
    let mut stale = Vec::new();
    let schemas = kinds().into_iter().map(|kind| (kind.name, kind.schema));
    for (name, schema) in schemas.chain(documents()) {
        let fresh = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = folder.join(format!("{name}.json"));
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&fresh) {
            if updating() {
                std::fs::write(&path, fresh).unwrap();
            } else {
                stale.push(name);
            }
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; run UPDATE=1 cargo test --test suite generated"
    );
    let known: BTreeSet<String> = kinds().iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(json_names(&folder.join("examples")), known);
    let documents = documents().into_iter().map(|(name, _)| name.to_owned());
    let known: BTreeSet<String> = known.into_iter().chain(documents).collect();
    assert_eq!(json_names(&folder), known, "a schema without a type");
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" => found.push(to.clone()),
                    other => references(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_of_a_document_leads_somewhere_in_it() {
    for (name, document) in documents() {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{name} has {} references", found.len());
        for reference in found {
            let place = reference.strip_prefix('#').unwrap_or_default();
            assert!(document.pointer(place).is_some(), "{name}: {reference}");
        }
    }
}

#[test]
fn every_route_and_topic_stands_in_its_document() {
    let documents: BTreeMap<&str, Value> = documents().into_iter().collect();
    for (method, path, _) in skyherd::http::routes() {
        let path = path.replace("{*", "{");
        let operation = &documents["openapi"]["paths"][&path][method.to_lowercase()];
        assert!(operation["responses"].is_object(), "{method} {path}");
    }
    let channels = documents["asyncapi"]["channels"].as_object().unwrap();
    let addresses: BTreeSet<&str> = channels
        .values()
        .map(|channel| channel["address"].as_str().unwrap())
        .collect();
    assert_eq!(
        addresses,
        Topic::ALL.map(Topic::as_str).into_iter().collect()
    );
}

#[test]
fn every_example_is_valid_and_survives_being_read() {
    for kind in kinds() {
        let example = example(kind.name);
        let errors: Vec<String> = validator(&kind.schema)
            .iter_errors(&example)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", kind.name);
        let reread = (kind.reread)(&example).unwrap_or_else(|why| panic!("{}: {why}", kind.name));
        if let Some(reread) = reread {
            assert_eq!(reread, example, "{} changes when it is read", kind.name);
        }
    }
}

#[test]
fn schema_and_type_agree_on_what_must_be_there() {
    for kind in kinds() {
        let example = example(kind.name);
        let validator = validator(&kind.schema);
        let fields: Vec<String> = example.as_object().unwrap().keys().cloned().collect();
        for field in fields {
            let mut lacking = example.clone();
            lacking.as_object_mut().unwrap().remove(&field);
            assert_eq!(
                validator.is_valid(&lacking),
                (kind.reread)(&lacking).is_ok(),
                "{} without {field}",
                kind.name
            );
            let mut wrong = example.clone();
            wrong[&field] = serde_json::json!([[{"no": "such"}]]);
            assert_eq!(
                validator.is_valid(&wrong),
                (kind.reread)(&wrong).is_ok(),
                "{} with a wrong {field}",
                kind.name
            );
        }
    }
}

#[test]
fn an_audit_examples_chain_holds() {
    let record: AuditRecord = serde_json::from_value(example("audit")).unwrap();
    assert_eq!(record.hash, record.expected_hash());
}

/// `findings.cost.json` and `findings.cost.2.json` are of `findings.cost`.
fn topic_of(file: &str) -> Option<Topic> {
    let name = file.strip_suffix(".json")?;
    Topic::parse(name).or_else(|| {
        let (name, number) = name.rsplit_once('.')?;
        number.parse::<u32>().ok()?;
        Topic::parse(name)
    })
}

/// Hash and name of each corpus file, as taken up.
fn taken_up(folder: &Path) -> BTreeMap<String, String> {
    let list = std::fs::read_to_string(folder.join("HASHES")).unwrap_or_default();
    list.lines()
        .map(|line| {
            let (hash, name) = line.split_once("  ").expect("hash, two spaces, name");
            (name.to_owned(), hash.to_owned())
        })
        .collect()
}

#[test]
fn messages_of_the_past_decode_for_ever_and_are_never_edited() {
    let folder = root().join("tests/corpus/v1");
    let mut known = taken_up(&folder);
    let mut topics = BTreeSet::new();
    let mut fresh = Vec::new();
    for name in json_names(&folder) {
        let name = format!("{name}.json");
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let topic = topic_of(&name).unwrap_or_else(|| panic!("{name} is named for no topic"));
        let decoded = decode(topic, None, Some(&bytes));
        assert!(
            matches!(decoded, Ok(Decoded::Message(_))),
            "{name}: {decoded:?}"
        );
        topics.insert(topic);
        let hash = blake3::hash(&bytes).to_hex().to_string();
        match known.remove(&name) {
            Some(old) => assert_eq!(old, hash, "{name} was edited; add another file instead"),
            None => fresh.push(format!("{hash}  {name}\n")),
        }
    }
    assert!(known.is_empty(), "taken away: {known:?}");
    if updating() && !fresh.is_empty() {
        let path = folder.join("HASHES");
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, old + &fresh.concat()).unwrap();
        fresh.clear();
    }
    assert!(fresh.is_empty(), "run UPDATE=1 to take up {fresh:?}");
    for topic in Topic::ALL {
        // Backups and dead letters are bytes, not messages; the finding topics share a schema.
        let covered = topics.contains(&topic)
            || matches!(
                topic,
                Topic::Memory
                    | Topic::DeadLetters
                    | Topic::FindingsResource
                    | Topic::FindingsPerformance
            );
        assert!(covered, "no message of {topic}");
    }
}

/// The policies of `deploy/iam`, by the name of their file.
#[cfg(feature = "aws")]
#[test]
fn the_policies_allow_what_is_called_and_no_more() {
    use skyherd::adapters::aws::Purpose;
    let folder = root().join("deploy/iam");
    let mut stale = Vec::new();
    for purpose in Purpose::ALL {
        let fresh = serde_json::to_string_pretty(&purpose.policy()).unwrap() + "\n";
        let path = folder.join(format!("{}.json", purpose.as_str()));
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&fresh) {
            if updating() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, fresh).unwrap();
            } else {
                stale.push(purpose.as_str());
            }
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; run UPDATE=1 cargo test --test suite generated"
    );
    let known = Purpose::ALL.map(|purpose| purpose.as_str().to_owned());
    assert_eq!(
        json_names(&folder),
        BTreeSet::from(known),
        "a policy without a purpose"
    );
}
