//! `skyherd publish`: JSON records from a file or stdin, decoded before they are sent.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::value::RawValue;

use super::Ended;
use super::client::Client;
use super::output::Output;
use super::progress::Progress;
use crate::config::Config;
use crate::http::{Inspected, open_to_all};
use crate::model::Topic;

#[derive(Args, Debug)]
#[command(
    after_help = "Records may be one JSON value, several one after another, one a line, or an array.

Examples:
  skyherd publish aws.events event.json
  zcat events.jsonl.gz | skyherd publish aws.events -"
)]
pub(super) struct PublishArgs {
    /// aws.metrics, aws.events, aws.inventory, aws.billing, requests or approvals.
    #[arg(value_parser = super::tail::topic)]
    topic: Topic,
    /// The file; `-` or nothing is stdin.
    file: Option<PathBuf>,
}

pub(super) fn publish(
    args: &PublishArgs,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    if !open_to_all(args.topic) {
        anyhow::bail!(
            "only agents write {}; publish to aws.metrics, aws.events, aws.inventory, aws.billing, requests or approvals",
            args.topic
        );
    }
    let (name, input): (String, Box<dyn Read>) = match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            let file = std::fs::File::open(path)
                .with_context(|| format!("could not read {}", path.display()))?;
            let file = std::io::BufReader::new(file);
            (path.display().to_string(), Box::new(file))
        }
        _ => ("stdin".to_owned(), Box::new(std::io::stdin().lock())),
    };
    let client = Client::find(config, false)?;
    let mut sent = Sent {
        client: &client,
        topic: args.topic,
        published: 0,
        ignored: 0,
        progress: Progress::new("records published", true),
    };
    let values = serde_json::Deserializer::from_reader(input).into_iter::<Box<RawValue>>();
    for value in values {
        let value = value.with_context(|| sent.failed(&name))?;
        let text = value.get().trim();
        if text.starts_with('[') {
            let parts: Vec<&RawValue> = serde_json::from_str(text)?;
            for part in parts {
                sent.one(part.get()).with_context(|| sent.failed(&name))?;
            }
        } else {
            sent.one(text).with_context(|| sent.failed(&name))?;
        }
    }
    output.line(&format!(
        "{} published to {}, {} ignored",
        sent.published, args.topic, sent.ignored
    ))?;
    Ok(Ended::Well)
}

struct Sent<'a> {
    client: &'a Client,
    topic: Topic,
    published: u64,
    ignored: u64,
    progress: Progress,
}

impl Sent<'_> {
    fn failed(&self, name: &str) -> String {
        format!(
            "record {} of {name} was not published; the {} before it were",
            self.published + self.ignored + 1,
            self.published
        )
    }

    fn one(&mut self, text: &str) -> anyhow::Result<()> {
        match crate::app::inspect(self.topic, text.as_bytes())? {
            Inspected::Ignored(_) => self.ignored += 1,
            Inspected::Owned(account) => {
                self.client.publish(self.topic, &account, text.as_bytes())?;
                self.published += 1;
            }
        }
        self.progress.at(self.published);
        Ok(())
    }
}
