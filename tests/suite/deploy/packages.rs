//! Image, compose file, chart and unit, each judged by a tool of its own kind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use skyherd::config::{Config, load};
use skyherd::model::AgentName;

use super::{read, root, run};
use crate::harness::{require_helm, require_systemd, require_tools};

/// The Kubernetes whose schemas the chart is held to.
const KUBERNETES: &str = "1.31";
/// Worst exposure `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: &str = "20";

#[test]
fn the_image_follows_the_rules_of_its_linter() {
    let Some(tools) = require_tools() else {
        return;
    };
    run(
        &tools.join("hadolint"),
        &["--failure-threshold", "info", "deploy/Dockerfile"],
    );
    let recipe = read("deploy/Dockerfile");
    let user = recipe
        .lines()
        .rfind(|line| line.starts_with("USER "))
        .unwrap();
    assert!(!user.contains("root") && !user.contains(" 0"), "{user}");
    let kept = read(".dockerignore");
    for line in recipe.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        if line.starts_with("--") {
            continue;
        }
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        for word in words {
            let path = word.trim_start_matches("./");
            assert!(root().join(path).exists(), "{path} is copied and not there");
            assert!(
                kept.contains(&format!("!{path}\n")),
                ".dockerignore keeps {path} out"
            );
        }
    }
}

#[test]
fn the_compose_file_is_one_and_its_programs_are_held_small() {
    let Some(tools) = require_tools() else {
        return;
    };
    let said = run(
        &tools.join("docker-compose"),
        &["-f", "deploy/compose.yaml", "config", "--format", "json"],
    );
    let compose: Value = serde_json::from_str(&said).unwrap();
    let services = compose["services"].as_object().unwrap();
    for name in ["kafka", "redis", "prometheus", "grafana", "skyherd"] {
        assert!(services.contains_key(name), "{name}");
    }
    for (name, service) in services {
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(
                port["host_ip"], "127.0.0.1",
                "{name} listens beyond loopback"
            );
        }
        for mount in service["volumes"].as_array().into_iter().flatten() {
            if mount["type"] == "bind" {
                let source = PathBuf::from(mount["source"].as_str().unwrap());
                assert!(source.exists(), "{name}: {} is not there", source.display());
            }
        }
    }
    let environment: Vec<(String, String)> = services["skyherd"]["environment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let loaded = load("", &environment, Config::default());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
}

/// One rendered manifest.
#[derive(Deserialize)]
struct Manifest {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    spec: Value,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

fn rendered() -> Option<(Vec<Manifest>, String)> {
    let libs = require_helm()?;
    let java = std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.exists())
        .unwrap_or_else(|| "java".into());
    let classes = format!("{}/*", libs.display());
    let text = run(
        &java,
        &[
            "-cp",
            &classes,
            "deploy/helm/Render.java",
            "deploy/helm/skyherd",
            "deploy/helm/test-values.yaml",
            "--lint",
        ],
    );
    let manifests = documents(&text)
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"))
        })
        .collect();
    Some((manifests, text))
}

fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n---\n")
        .filter(|document| document.contains("kind:"))
}

#[test]
fn the_chart_renders_to_manifests_kubernetes_takes() {
    let (Some(tools), Some((manifests, text))) = (require_tools(), rendered()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    // The Prometheus operator's own kind is in nobody's schema but its own.
    let known: Vec<&str> = documents(&text)
        .filter(|document| !document.contains("kind: ServiceMonitor"))
        .collect();
    std::fs::write(&file, known.join("\n---\n")).unwrap();
    run(
        &tools.join("kubernetes-validate"),
        &["--strict", "-k", KUBERNETES, &file.to_string_lossy()],
    );
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for manifest in &manifests {
        *kinds.entry(manifest.kind.as_str()).or_default() += 1;
    }
    let agents = AgentName::ALL.len();
    for (kind, count) in [
        ("StatefulSet", agents),
        ("PodDisruptionBudget", agents),
        ("HorizontalPodAutoscaler", 1),
        ("NetworkPolicy", 1),
        ("ServiceMonitor", 1),
        ("Job", 1),
    ] {
        assert_eq!(kinds.get(kind), Some(&count), "{kind} in {kinds:?}");
    }
}

#[test]
fn the_charts_pods_are_nobodys_and_keep_their_names() {
    let Some((manifests, _)) = rendered() else {
        return;
    };
    for manifest in &manifests {
        let pod = &manifest.spec["template"]["spec"];
        if pod.is_null() {
            continue;
        }
        let name = &manifest.metadata.name;
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        // Kubernetes' own variables begin with the service's name, and so do our settings.
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{name}");
            let environment = container["env"].as_array().unwrap();
            for variable in environment {
                let secret = variable["name"].as_str().unwrap().ends_with("PASSWORD");
                assert_eq!(
                    secret,
                    variable["valueFrom"]["secretKeyRef"].is_object(),
                    "{name}: {variable}"
                );
            }
            if manifest.kind == "StatefulSet" {
                assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
                assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
                let node = environment
                    .iter()
                    .find(|variable| variable["name"] == "SKYHERD_NODE");
                let from = &node.unwrap()["valueFrom"]["fieldRef"]["fieldPath"];
                assert_eq!(from, "metadata.name", "the pod's name is the node's");
            }
        }
    }
}

#[test]
fn the_charts_configuration_loads_without_a_problem() {
    let Some((manifests, _)) = rendered() else {
        return;
    };
    let text = manifests
        .iter()
        .find_map(|manifest| manifest.data.get("skyherd.toml"))
        .expect("the chart has a configuration");
    let environment = [
        ("SKYHERD_NODE".to_owned(), "skyherd-cost-0".to_owned()),
        ("SKYHERD_REDIS__PASSWORD".to_owned(), "secret".to_owned()),
        (
            "SKYHERD_KAFKA__PROPERTIES__SASL_PASSWORD".to_owned(),
            "secret".to_owned(),
        ),
    ];
    let loaded = load(text, &environment, Config::default());
    assert!(loaded.problems.is_empty(), "{:?}\n{text}", loaded.problems);
    assert_eq!(loaded.config.auth.tokens.len(), 2);
    assert_eq!(loaded.config.node, "skyherd-cost-0");
    assert!(!loaded.config.http.listen.ip().is_loopback());
}

#[test]
fn the_unit_is_well_formed_and_shut_in() {
    let Some(analyze) = require_systemd() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("skyherd.service");
    let text = read("deploy/systemd/skyherd.service");
    // It must find the program, which is installed elsewhere here.
    let here = text.replace("/usr/local/bin/skyherd", env!("CARGO_BIN_EXE_skyherd"));
    assert_ne!(here, text);
    std::fs::write(&unit, here).unwrap();
    let unit = unit.to_string_lossy().into_owned();
    let output = Command::new(&analyze)
        .args(["verify", "--man=no", "--recursive-errors=no", &unit])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("skyherd.service"),
        "{said}"
    );
    run(
        &analyze,
        &[
            "security",
            "--offline=true",
            &format!("--threshold={EXPOSURE_MAX}"),
            &unit,
        ],
    );
}
