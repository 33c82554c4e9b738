//! `skyherd topics`: the topics of the flow, and those of a cluster.

use std::path::PathBuf;

use clap::Subcommand;

use super::output::Output;
use super::{Ended, table};
use crate::config::Config;
use crate::model::Topic;

#[derive(Subcommand, Debug)]
pub(super) enum TopicsCommand {
    /// List the topics of the configured cluster; without one, those of the flow.
    List,
    /// Compare the cluster's topics with the manifests; exit 1 when they differ.
    Diff(Manifests),
    /// Create missing topics and mend settings; never changes a partition count.
    Apply(Manifests),
}

#[derive(clap::Args, Debug)]
pub(super) struct Manifests {
    /// Folder of Strimzi `KafkaTopic` manifests; by default those built in (topics/*.yaml).
    #[arg(long, value_name = "FOLDER")]
    manifests: Option<PathBuf>,
}

fn flow(output: &mut Output) -> anyhow::Result<Ended> {
    let rows = Topic::ALL.iter().map(|topic| {
        let kept = if topic.compacted() {
            "compacted"
        } else {
            "by time"
        };
        let home = topic
            .home()
            .map_or_else(String::new, |agent| agent.to_string());
        vec![topic.as_str().to_owned(), kept.to_owned(), home]
    });
    let text = table::plain(output, &["topic", "kept", "home agent"], rows);
    output.line(&text)?;
    Ok(Ended::Well)
}

pub(super) fn topics(
    command: &TopicsCommand,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    match (&config.kafka, command) {
        (None, TopicsCommand::List) => flow(output),
        (None, _) => anyhow::bail!(
            "no Kafka cluster is configured; set kafka.brokers, or SKYHERD_KAFKA__BROKERS=host:port"
        ),
        (Some(kafka), _) => cluster(command, config, kafka, output),
    }
}

#[cfg(not(feature = "kafka"))]
fn cluster(
    _command: &TopicsCommand,
    _config: &Config,
    _kafka: &crate::config::Kafka,
    _output: &mut Output,
) -> anyhow::Result<Ended> {
    anyhow::bail!("this program was built without Kafka; build it with the default features")
}

#[cfg(feature = "kafka")]
fn cluster(
    command: &TopicsCommand,
    config: &Config,
    kafka: &crate::config::Kafka,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    use crate::adapters::kafka::topics::{TopicAdmin, TopicSpec, built_in, from_folder};

    let admin = TopicAdmin::open(&crate::app::kafka_options(config, kafka))?;
    let specs = |manifests: &Manifests| -> anyhow::Result<Vec<TopicSpec>> {
        Ok(match &manifests.manifests {
            Some(folder) => from_folder(folder)?,
            None => built_in()?,
        })
    };
    // Manifests in a folder say their own number; built-in ones follow the configuration.
    let partitions =
        |manifests: &Manifests| manifests.manifests.is_none().then_some(config.partitions);
    match command {
        TopicsCommand::List => {
            let found = admin.list()?;
            let rows = found.into_iter().map(|topic| {
                vec![
                    topic.name,
                    topic.partitions.to_string(),
                    topic.replicas.to_string(),
                ]
            });
            let text = table::plain(output, &["topic", "partitions", "replicas"], rows);
            output.line(&text)?;
            Ok(Ended::Well)
        }
        TopicsCommand::Diff(manifests) => {
            let differences = admin.diff(&specs(manifests)?, partitions(manifests))?;
            for difference in &differences {
                output.line(&difference.to_string())?;
            }
            if differences.is_empty() {
                output.line("no difference")?;
                return Ok(Ended::Well);
            }
            output
                .line("`skyherd topics apply` mends all but partition counts and extra topics")?;
            Ok(Ended::Wanting)
        }
        TopicsCommand::Apply(manifests) => {
            let applied = admin.apply(&specs(manifests)?, partitions(manifests))?;
            for topic in &applied.created {
                output.line(&format!("{topic} created"))?;
            }
            for topic in &applied.altered {
                output.line(&format!("{topic} altered"))?;
            }
            for refused in &applied.refused {
                output.line(&format!("refused: {refused}"))?;
            }
            if !applied.refused.is_empty() {
                return Ok(Ended::Wanting);
            }
            if applied.created.is_empty() && applied.altered.is_empty() {
                output.line("nothing to do")?;
            }
            Ok(Ended::Well)
        }
    }
}
