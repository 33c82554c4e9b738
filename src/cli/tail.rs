//! `skyherd tail`: the newest records of a topic, embedded or on Kafka.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Ended;
use super::client::Client;
use super::output::Output;
use crate::config::{Config, nearest};
use crate::http::Stored;
use crate::model::{Timestamp, Topic};

/// Records asked for at once.
const STRETCH: usize = 500;
/// Rest between looks while following.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd tail recommendations
  skyherd tail findings.security -n 3 --json
  skyherd tail dead-letters --follow")]
pub(super) struct TailArgs {
    /// The topic, such as findings.cost; `skyherd topics list` names them.
    #[arg(value_parser = topic)]
    topic: Topic,
    /// How many of the newest records.
    #[arg(short = 'n', default_value_t = 10, value_name = "COUNT")]
    count: usize,
    /// Keep printing what is added.
    #[arg(long, short = 'f')]
    follow: bool,
    /// Print one JSON object a record.
    #[arg(long)]
    json: bool,
}

pub(super) fn topic(text: &str) -> Result<Topic, String> {
    let names = Topic::ALL.map(Topic::as_str);
    Topic::parse(text).ok_or_else(|| nearest(text, &names))
}

pub(super) fn tail(args: &TailArgs, config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let client = Client::find(config, true)?;
    let partitions = client.partitions()?;
    let mut next = Vec::with_capacity(partitions as usize);
    let mut newest: Vec<(u32, Stored)> = Vec::new();
    for partition in 0..partitions {
        // A stretch beyond any end tells where the end is.
        let end = client.records(args.topic, partition, u64::MAX, 1)?.end;
        let mut from = end.saturating_sub(args.count as u64);
        while from < end {
            let stretch = client.records(args.topic, partition, from, STRETCH)?;
            let here = stretch.records.into_iter();
            newest.extend(here.map(|record| (partition, record)));
            if stretch.next <= from {
                break;
            }
            from = stretch.next;
        }
        next.push(end.max(from));
    }
    newest.sort_by_key(|(partition, record)| (record.timestamp_ms, *partition, record.offset));
    let older = newest.len().saturating_sub(args.count);
    for (partition, record) in newest.drain(..).skip(older) {
        print(args, partition, &record, output)?;
    }
    output.flush()?;
    if args.follow {
        follow(&client, args, &mut next, output)?;
    }
    Ok(Ended::Well)
}

/// Prints what is added, until interrupted.
fn follow(
    client: &Client,
    args: &TailArgs,
    next: &mut [u64],
    output: &mut Output,
) -> anyhow::Result<()> {
    loop {
        let mut heard = false;
        for (partition, next) in next.iter_mut().enumerate() {
            let stretch = client.records(args.topic, partition as u32, *next, STRETCH)?;
            for record in &stretch.records {
                print(args, partition as u32, record, output)?;
                heard = true;
            }
            *next = stretch.next.max(*next);
        }
        output.flush()?;
        if !heard {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

fn print(
    args: &TailArgs,
    partition: u32,
    record: &Stored,
    output: &mut Output,
) -> anyhow::Result<()> {
    let key = record.key.as_deref().map(String::from_utf8_lossy);
    let at = record.timestamp_ms.map(Timestamp::from_ms);
    if args.json {
        let payload = record.payload.as_deref().map(|bytes| {
            serde_json::from_slice(bytes)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
        });
        return output.json(&json!({
            "topic": args.topic.as_str(),
            "partition": partition,
            "offset": record.offset,
            "at": at,
            "key": key,
            "payload": payload,
        }));
    }
    let payload = record.payload.as_deref().map(String::from_utf8_lossy);
    output.line(&format!(
        "{partition}/{} {} {} {}",
        record.offset,
        at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        key.unwrap_or("-".into()),
        payload.unwrap_or("(tombstone)".into()).trim_end()
    ))?;
    Ok(())
}
