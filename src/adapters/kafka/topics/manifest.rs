//! `topics/*.yaml` as values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::ports::{PortError, PortResult};

/// The manifests, by file name.
const BUILT_IN: [(&str, &str); 19] = [
    (
        "actions.yaml",
        include_str!("../../../../topics/actions.yaml"),
    ),
    (
        "approvals.yaml",
        include_str!("../../../../topics/approvals.yaml"),
    ),
    ("audit.yaml", include_str!("../../../../topics/audit.yaml")),
    (
        "aws.billing.yaml",
        include_str!("../../../../topics/aws.billing.yaml"),
    ),
    (
        "aws.events.yaml",
        include_str!("../../../../topics/aws.events.yaml"),
    ),
    (
        "aws.inventory.yaml",
        include_str!("../../../../topics/aws.inventory.yaml"),
    ),
    (
        "aws.metrics.yaml",
        include_str!("../../../../topics/aws.metrics.yaml"),
    ),
    (
        "dead-letters.yaml",
        include_str!("../../../../topics/dead-letters.yaml"),
    ),
    (
        "findings.cost.yaml",
        include_str!("../../../../topics/findings.cost.yaml"),
    ),
    (
        "findings.performance.yaml",
        include_str!("../../../../topics/findings.performance.yaml"),
    ),
    (
        "findings.resource.yaml",
        include_str!("../../../../topics/findings.resource.yaml"),
    ),
    (
        "findings.security.yaml",
        include_str!("../../../../topics/findings.security.yaml"),
    ),
    (
        "memory.yaml",
        include_str!("../../../../topics/memory.yaml"),
    ),
    (
        "outcomes.yaml",
        include_str!("../../../../topics/outcomes.yaml"),
    ),
    (
        "recommendations.yaml",
        include_str!("../../../../topics/recommendations.yaml"),
    ),
    (
        "requests.yaml",
        include_str!("../../../../topics/requests.yaml"),
    ),
    (
        "results.yaml",
        include_str!("../../../../topics/results.yaml"),
    ),
    ("tasks.yaml", include_str!("../../../../topics/tasks.yaml")),
    (
        "workflows.yaml",
        include_str!("../../../../topics/workflows.yaml"),
    ),
];

/// One topic as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSpec {
    /// Its name, without the deployment's prefix.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many copies of each.
    pub replicas: u32,
    /// Kafka's topic settings.
    pub config: BTreeMap<String, String>,
    /// Who writes it.
    pub writers: String,
    /// Who reads it.
    pub readers: String,
}

impl TopicSpec {
    /// Whether Kafka keeps one record a key.
    pub fn compacted(&self) -> bool {
        let policy = self.config.get("cleanup.policy");
        policy.is_some_and(|policy| policy.split(',').any(|part| part.trim() == "compact"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    kind: String,
    metadata: Metadata,
    spec: Spec,
}
#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    /// Strimzi's way to name a topic whose name Kubernetes does not take.
    topic_name: Option<String>,
    partitions: u32,
    replicas: u32,
    #[serde(default)]
    config: BTreeMap<String, Scalar>,
}
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

/// Reads one manifest; `file` is named in the error.
pub fn parse(file: &str, text: &str) -> PortResult<TopicSpec> {
    let refuse =
        |why: String| PortError::Fatal(format!("cannot read the topic manifest {file}: {why}"));
    let manifest: Manifest =
        serde_saphyr::from_str(text).map_err(|error| refuse(error.to_string()))?;
    if manifest.kind != "KafkaTopic" {
        return Err(refuse(format!(
            "it is a {}, not a KafkaTopic",
            manifest.kind
        )));
    }
    let Manifest { metadata, spec, .. } = manifest;
    if spec.partitions == 0 || spec.replicas == 0 {
        return Err(refuse("partitions and replicas must be at least 1".into()));
    }
    let note = |name: &str| metadata.annotations.get(name).cloned().unwrap_or_default();
    Ok(TopicSpec {
        writers: note("skyherd.io/writers"),
        readers: note("skyherd.io/readers"),
        name: spec.topic_name.unwrap_or(metadata.name),
        partitions: spec.partitions,
        replicas: spec.replicas,
        config: spec
            .config
            .into_iter()
            .map(|(name, value)| {
                let value = match value {
                    Scalar::Flag(value) => value.to_string(),
                    Scalar::Whole(value) => value.to_string(),
                    Scalar::Number(value) => value.to_string(),
                    Scalar::Text(value) => value,
                };
                (name, value)
            })
            .collect(),
    })
}

/// The manifests built into the program, by topic name.
pub fn built_in() -> PortResult<Vec<TopicSpec>> {
    BUILT_IN
        .iter()
        .map(|(file, text)| parse(file, text))
        .collect()
}

/// The manifests of a folder (`*.yaml`), by file name.
pub fn from_folder(folder: &Path) -> PortResult<Vec<TopicSpec>> {
    let refuse = |path: &Path, error: std::io::Error| {
        PortError::Fatal(format!("cannot read {}: {error}", path.display()))
    };
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| refuse(folder, error))?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).map_err(|error| refuse(path, error))?;
            parse(&path.display().to_string(), &text)
        })
        .collect()
}
