//! `skyherd check`: everything that can be found wrong without starting anything, and with `--live`
//! what only AWS can tell.

use clap::Args;

use super::Ended;
use super::output::Output;
use crate::config::{Config, Loaded, Problem};
use crate::ports::Clock as _;
use crate::runtime::SystemClock;

#[cfg(feature = "aws")]
const EXAMPLES: &str = "Examples:
  skyherd check -c skyherd.toml
  skyherd check -c skyherd.toml --live   ask AWS too: who we are, what is allowed, which rules go blind

Exit code 1 when anything is wrong.";
#[cfg(not(feature = "aws"))]
const EXAMPLES: &str = "Examples:
  skyherd check -c skyherd.toml

Exit code 1 when anything is wrong.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Ask every configured account for everything that is pulled from it, once; a page of Cost
    /// Explorer costs a cent an account where `sources.costs` is set.
    #[cfg(feature = "aws")]
    #[arg(long)]
    live: bool,
}

#[cfg_attr(
    not(feature = "aws"),
    expect(unused_variables, reason = "without AWS there is nothing to choose")
)]
pub(super) fn check(
    args: &CheckArgs,
    loaded: &Loaded,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let ended = configuration(loaded, output)?;
    #[cfg(feature = "aws")]
    if args.live && ended == Ended::Well {
        return super::live::live(&loaded.config, output);
    }
    Ok(ended)
}

fn configuration(loaded: &Loaded, output: &mut Output) -> anyhow::Result<Ended> {
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
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.http.tls
        && let Err(error) = crate::http::Certificate::read(&tls.certificate, &tls.key)
    {
        problems.push(Problem::new(
            "http.tls",
            error.to_string(),
            "name PEM files that this user may read: the certificate with its chain, and its key",
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
