//! `skyherd topics`: the topics of the flow, and those of a cluster.

use clap::Subcommand;

use super::output::Output;
use super::{Ended, table};
use crate::config::Config;
use crate::model::Topic;

#[derive(Subcommand, Debug)]
pub(super) enum TopicsCommand {
    /// List the topics of the flow.
    List,
    /// Compare the topics of the configured cluster with topics/*.yaml; exit 1 when they differ.
    Diff,
    /// Create missing topics and mend settings; never changes a partition count.
    Apply,
}

pub(super) fn list(output: &mut Output) -> anyhow::Result<Ended> {
    let rows = Topic::ALL.iter().map(|topic| {
        vec![
            topic.as_str().to_owned(),
            if topic.compacted() {
                "compacted"
            } else {
                "by time"
            }
            .to_owned(),
            topic
                .home()
                .map_or_else(String::new, |agent| agent.to_string()),
        ]
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
    if matches!(command, TopicsCommand::List) {
        return list(output);
    }
    if config.kafka.is_none() {
        anyhow::bail!(
            "no Kafka cluster is configured; set kafka.brokers, or SKYHERD_KAFKA__BROKERS=host:port"
        );
    }
    anyhow::bail!("not built yet")
}
