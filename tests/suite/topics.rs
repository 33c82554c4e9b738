//! The manifests and the program name the same topics and keep them alike.

use std::collections::BTreeSet;
use std::path::Path;

use skyherd::adapters::kafka::topics::{built_in, from_folder, parse};
use skyherd::model::Topic;

#[test]
fn manifests_and_program_agree_on_topics_and_compaction() {
    let specs = built_in().expect("the manifests are well-formed");
    let named: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let known: BTreeSet<&str> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
    assert_eq!(named, known);
    for spec in &specs {
        let topic = Topic::parse(&spec.name).expect("compared above");
        assert_eq!(spec.compacted(), topic.compacted(), "{topic}");
        assert!(
            !spec.writers.is_empty() && !spec.readers.is_empty(),
            "{topic}"
        );
        assert!(spec.partitions.is_power_of_two(), "{topic}");
        assert_eq!(
            spec.partitions, specs[0].partitions,
            "{topic} is not co-partitioned"
        );
        for setting in ["min.cleanable.dirty.ratio", "delete.retention.ms"] {
            assert_eq!(
                spec.config.contains_key(setting),
                topic.compacted(),
                "{topic}: {setting}"
            );
        }
        if Topic::RAW.contains(&topic) {
            assert_eq!(
                spec.config["max.message.bytes"],
                (2 << 20).to_string(),
                "{topic}"
            );
        }
    }
}

#[test]
fn every_manifest_of_the_repository_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topics");
    let mut files = from_folder(&folder).expect("the folder is readable");
    files.sort_by(|left, right| left.name.cmp(&right.name));
    let mut built = built_in().expect("the manifests are well-formed");
    built.sort_by(|left, right| left.name.cmp(&right.name));
    assert_eq!(files, built);
}

#[test]
fn a_backup_cut_off_leaves_the_one_before_it_readable() {
    let specs = built_in().expect("the manifests are well-formed");
    let memory = specs
        .iter()
        .find(|spec| spec.name == "memory")
        .expect("it is listed");
    assert_eq!(memory.config["min.compaction.lag.ms"], "86400000");
}

#[test]
fn a_manifest_that_is_none_is_refused_by_file_name() {
    for text in [
        "kind: Pod\nmetadata: {name: x}\nspec: {partitions: 1, replicas: 1}",
        "{",
        "",
    ] {
        let error = parse("odd.yaml", text)
            .expect_err("no manifest")
            .to_string();
        assert!(error.contains("odd.yaml"), "{error}");
    }
}
