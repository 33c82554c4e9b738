//! `skyherd check`: everything that can be found wrong without starting anything.

use super::Ended;
use super::output::Output;
use crate::config::{Config, Loaded, Problem};
use crate::ports::Clock as _;
use crate::runtime::SystemClock;

pub(super) fn check(loaded: &Loaded, output: &mut Output) -> anyhow::Result<Ended> {
    let mut problems = loaded.problems.clone();
    problems.extend(machine(&loaded.config));
    let file = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "no file, defaults and environment".to_owned(),
    };
    for problem in &problems {
        output.line(&format!("{problem}\n  hint: {}", problem.hint))?;
    }
    for notice in loaded.config.outdated(SystemClock::default().now()) {
        output.line(&format!("warning: {notice}\n  hint: {}", notice.hint))?;
    }
    if problems.is_empty() {
        let mode = if loaded.config.cluster() {
            "cluster: Kafka and Redis".to_owned()
        } else {
            format!("embedded in {}", loaded.config.data_dir.display())
        };
        output.line(&format!("ok: configuration ({file}); {mode}"))?;
        Ok(Ended::Well)
    } else {
        output.line(&format!("{} problems ({file})", problems.len()))?;
        Ok(Ended::Wanting)
    }
}

/// What only this machine can tell.
fn machine(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    // The nearest ancestor that exists decides whether the directory can be made.
    let existing = config
        .data_dir
        .ancestors()
        .find_map(|path| std::fs::metadata(path).ok());
    if existing.is_some_and(|metadata| !metadata.is_dir()) {
        problems.push(Problem::new(
            "data_dir",
            format!("{} is, or lies below, a file", config.data_dir.display()),
            "name a directory",
        ));
    }
    #[cfg(feature = "kafka")]
    if let Some(kafka) = &config.kafka {
        problems.extend(properties(kafka));
    }
    problems
}

/// Asks librdkafka itself about each property.
#[cfg(feature = "kafka")]
fn properties(kafka: &crate::config::Kafka) -> Vec<Problem> {
    kafka
        .properties
        .iter()
        .filter_map(|(name, value)| {
            let mut alone = rdkafka::ClientConfig::new();
            alone.set(name, value);
            let error = alone.create_native_config().err()?;
            // librdkafka quotes the value, which may be secret.
            let what = if crate::config::Properties::secret(name) {
                "librdkafka refuses it".to_owned()
            } else {
                error.to_string()
            };
            Some(Problem::new(
                &format!("kafka.properties.{name}"),
                what,
                "see librdkafka's CONFIGURATION.md for names and values",
            ))
        })
        .collect()
}
