//! `skyherd dlq`: records nobody could decode, and what can be done with them.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Api, encoded};
use super::output::Output;
use super::{Ended, table};
use crate::config::Config;

/// A dead letter's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    partition: u32,
    offset: u64,
}

fn place(text: &str) -> Result<Place, String> {
    let read = || {
        let (partition, offset) = text.split_once('/')?;
        Some(Place {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    };
    read()
        .ok_or_else(|| "a letter is named PARTITION/OFFSET, as `skyherd dlq list` does".to_owned())
}

impl Place {
    fn path(self) -> String {
        format!("/api/v1/dead-letters/{}/{}", self.partition, self.offset)
    }
}

#[derive(Subcommand, Debug)]
pub(super) enum DlqCommand {
    /// List dead letters, newest first.
    #[command(after_help = "Examples:
  skyherd dlq list
  skyherd dlq list --topic aws.events --reason 'missing field' -n 20")]
    List {
        /// Only letters from this topic.
        #[arg(long)]
        topic: Option<String>,
        /// Only letters whose reason contains this.
        #[arg(long)]
        reason: Option<String>,
        /// How many.
        #[arg(short = 'n', default_value_t = 100, value_name = "COUNT")]
        count: usize,
        /// Print one JSON object a letter.
        #[arg(long)]
        json: bool,
    },
    /// Print one dead letter with its reason, headers and payload.
    #[command(after_help = "Example:
  skyherd dlq show 3/17")]
    Show {
        /// PARTITION/OFFSET, as `list` prints it.
        #[arg(value_parser = place)]
        letter: Place,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send letters back to their topic, byte for byte, and mark them replayed.
    #[command(
        after_help = "What still cannot be decoded becomes a dead letter once more.

Example:
  skyherd dlq replay 3/17 3/18"
    )]
    Replay {
        /// PARTITION/OFFSET, as `list` prints it.
        #[arg(value_parser = place, required = true)]
        letters: Vec<Place>,
        /// Print one JSON object a letter.
        #[arg(long)]
        json: bool,
    },
    /// Take letters off the list.
    #[command(
        after_help = "The topic is append-only: a mark with your name and the time is written beside the letter,
which is not listed any more and stays in the topic until its retention is over. `show` still
prints it, and `replay` still sends it back.

Example:
  skyherd dlq drop 3/17"
    )]
    Drop {
        /// PARTITION/OFFSET, as `list` prints it.
        #[arg(value_parser = place, required = true)]
        letters: Vec<Place>,
        /// Print one JSON object a letter.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn dlq(
    command: &DlqCommand,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let api = Api::find(config)?;
    match command {
        DlqCommand::List {
            topic,
            reason,
            count,
            json,
        } => list(&api, (topic, reason), *count, *json, output),
        DlqCommand::Show { letter, json } => {
            let story = api.get(&letter.path())?;
            if *json {
                output.json(&story)?;
            } else {
                show(&story, output)?;
            }
            Ok(Ended::Well)
        }
        DlqCommand::Replay { letters, json } => {
            for letter in letters {
                let answer = api.send("POST", &format!("{}/replay", letter.path()))?;
                let told = format!(
                    "{}/{} sent to {} partition {}",
                    letter.partition,
                    letter.offset,
                    text(&answer["topic"]),
                    answer["partition"]
                );
                tell(&answer, &told, *json, output)?;
            }
            Ok(Ended::Well)
        }
        DlqCommand::Drop { letters, json } => {
            for letter in letters {
                let answer = api.send("DELETE", &letter.path())?;
                let told = format!("{}/{} dropped", letter.partition, letter.offset);
                tell(&answer, &told, *json, output)?;
            }
            Ok(Ended::Well)
        }
    }
}

fn tell(answer: &Value, told: &str, json: bool, output: &mut Output) -> anyhow::Result<()> {
    if json {
        output.json(answer)
    } else {
        Ok(output.line(told)?)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(
    api: &Api,
    (topic, reason): (&Option<String>, &Option<String>),
    count: usize,
    json: bool,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let mut filter = String::new();
    for (name, value) in [("topic", topic), ("reason", reason)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    let total = loop {
        let wanted = (count - rows.len()).clamp(1, crate::http::LIMIT_MAX);
        let page = api.get(&format!(
            "/api/v1/dead-letters?limit={wanted}{filter}{cursor}"
        ))?;
        rows.extend(
            page["dead_letters"]
                .as_array()
                .into_iter()
                .flatten()
                .cloned(),
        );
        match page["next"].as_str() {
            Some(next) if rows.len() < count => cursor = format!("&cursor={next}"),
            _ => break page["total"].as_u64().unwrap_or_default(),
        }
    };
    rows.truncate(count);
    if json {
        for row in &rows {
            output.json(row)?;
        }
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        output.line("no dead letters")?;
        return Ok(Ended::Well);
    }
    let shown = rows.iter().map(|row| {
        vec![
            format!("{}/{}", row["partition"], row["offset"]),
            text(&row["at"]).to_owned(),
            text(&row["topic"]).to_owned(),
            row["bytes"].to_string(),
            row["replays"].to_string(),
            text(&row["reason"]).to_owned(),
        ]
    });
    let header = ["letter", "at", "from", "bytes", "replays", "reason"];
    let table = table::plain(output, &header, shown);
    output.line(&table)?;
    output.line(&format!(
        "{} of {total}; `skyherd dlq show LETTER` prints one, `skyherd dlq replay LETTER` sends it back",
        rows.len()
    ))?;
    Ok(Ended::Well)
}

fn show(story: &Value, output: &mut Output) -> anyhow::Result<()> {
    let place = |partition: &Value, offset: &Value| format!("{partition}/{offset}");
    let from = place(&story["origin_partition"], &story["origin_offset"]);
    for (name, value) in [
        ("letter", place(&story["partition"], &story["offset"])),
        ("from", format!("{} {from}", text(&story["topic"]))),
        ("at", text(&story["at"]).to_owned()),
        ("reason", text(&story["reason"]).to_owned()),
        ("key", text(&story["key"]).to_owned()),
        ("bytes", story["bytes"].to_string()),
    ] {
        output.line(&format!("{name:<8} {value}"))?;
    }
    for header in story["headers"].as_array().into_iter().flatten() {
        output.line(&format!(
            "header   {}: {}",
            text(&header[0]),
            text(&header[1])
        ))?;
    }
    for mark in story["marks"].as_array().into_iter().flatten() {
        output.line(&format!(
            "mark     {} by {} at {}",
            text(&mark["what"]),
            text(&mark["by"]),
            text(&mark["at"])
        ))?;
    }
    output.line(&format!("\n{}", text(&story["payload"])))?;
    Ok(())
}
