//! `skyherd replay`: recorded input through the real topology.

use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::progress::Progress;
use super::scratch::Scratch;
use super::{Ended, table};
use crate::app::{Outcome, Pack, Replay, ReplayOptions};
use crate::config::{Config, bucket, nearest};
use crate::model::{Finding, Severity, Topic, Undecodable, Usd};
use crate::sources::Decoded;
use crate::sources::replay::{Options, RawRecord, Settled, Summary, read};

#[derive(Args, Debug)]
#[command(
    after_help = "Reads EventBridge JSON (one, arrays, NDJSON), metric-stream JSON, CloudWatch \
`timestamp,value` CSV, and bills: FOCUS from 1.0 on, the legacy Cost and Usage Report and CUR 2.0, in \
CSV and Parquet. Text also as .gz, CSV also as .zip. The bill files of one folder are one delivery; \
one that its manifest does not find whole changes nothing.

Examples:
  skyherd replay events/ billing.csv.gz
  skyherd replay --summary cur/20261101-20261201/
  skyherd replay --summary s3://bucket/cur/report
  skyherd replay --summary events/
  skyherd replay --json --fail-on high events/ > rows.jsonl
  skyherd replay cpu.csv --account 111122223333 --namespace AWS/EC2 --name CPUUtilization \
--dimension InstanceId=i-0abc"
)]
pub(super) struct ReplayArgs {
    /// Files, folders, and s3://bucket/prefix with the usual chain of credentials.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print findings and recommendations as JSON lines.
    #[arg(long, conflicts_with = "summary")]
    json: bool,
    /// Print one JSON object: what was read, decoded, ignored and dead-lettered, by kind and folder.
    #[arg(long)]
    summary: bool,
    /// Exit with 3 when an open finding is at least this severe.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
    /// The account of metric CSV files, and of bills without a column for one.
    #[arg(long, default_value = "000000000000")]
    account: String,
    /// Their region.
    #[arg(long)]
    region: Option<String>,
    /// Their namespace, such as AWS/EC2.
    #[arg(long)]
    namespace: Option<String>,
    /// Their metric; by default from the file's name.
    #[arg(long)]
    name: Option<String>,
    /// Their dimensions, NAME=VALUE; may be repeated.
    #[arg(long = "dimension", value_name = "NAME=VALUE", value_parser = dimension)]
    dimensions: Vec<(String, String)>,
}

fn severity(text: &str) -> Result<Severity, String> {
    let names = Severity::ALL.map(Severity::as_str);
    Severity::parse(text).ok_or_else(|| nearest(text, &names))
}

fn dimension(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE, such as InstanceId=i-0abc".to_owned()),
    }
}

pub(super) fn replay(
    args: &ReplayArgs,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let options = Options {
        account: args.account.clone(),
        region: args.region.clone(),
        namespace: args.namespace.clone(),
        name: args.name.clone(),
        dimensions: args.dimensions.clone(),
    };
    let mut summary = Summary::default();
    let mut progress = Progress::new("records read", true);
    if args.summary && args.fail_on.is_none() {
        // Counting needs no agents.
        let unread = read_all(&args.paths, &options, &mut |record| {
            let _fate = summary.take(&record);
            progress.at(summary.total.read);
            Ok(())
        })?;
        drop(progress);
        output.json(&summary)?;
        return Ok(if unread.is_empty() {
            Ended::Well
        } else {
            Ended::Wanting
        });
    }
    let scratch = Scratch::new()?;
    let mut replay = Replay::open(scratch.path(), ReplayOptions::of(config))?;
    let mut pack = Pack::default();
    let unread = read_all(&args.paths, &options, &mut |record| {
        let fate = summary.take(&record);
        progress.at(summary.total.read);
        publish(&record, &fate, &mut pack, &mut replay)
    })?;
    unpack(&mut pack, &mut replay)?;
    drop(progress);
    let outcome = play(replay, true)?;
    if args.summary {
        output.json(&summary)?;
    } else if args.json {
        for finding in &outcome.findings {
            output.json(&Row::Finding(finding))?;
        }
        for row in &outcome.recommendations {
            output.json(&Row::Recommendation(row))?;
        }
    } else {
        let total = &summary.total;
        print(&outcome, output)?;
        output.line(&format!(
            "{} records read: {} decoded, {} ignored, {} dead-lettered",
            total.read, total.decoded, total.ignored, total.dead_lettered
        ))?;
        for reason in &unread {
            output.line(&format!("not read: {reason}"))?;
        }
        for reason in summary.deliveries.ignored_reasons.keys() {
            output.line(&format!("{reason}; what it bills for stays as it was"))?;
        }
    }
    Ok(verdict(&outcome.findings, args.fail_on))
}

/// Reads buckets, then folders and files. Returns what of the buckets was not read, with the reason.
fn read_all(
    paths: &[PathBuf],
    options: &Options,
    each: &mut dyn FnMut(RawRecord) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let named =
        |path: &PathBuf| Some(path.to_str()?.to_owned()).filter(|name| bucket(name).is_some());
    let (buckets, paths): (Vec<_>, Vec<_>) = paths.iter().partition(|path| named(path).is_some());
    let paths: Vec<PathBuf> = paths.into_iter().cloned().collect();
    let mut unread = Vec::new();
    for from in buckets.into_iter().filter_map(named) {
        unread.extend(read_bucket(&from, options, each)?);
    }
    read(&paths, options, each)?;
    Ok(unread)
}

#[cfg(feature = "aws")]
fn read_bucket(
    from: &str,
    options: &Options,
    each: &mut dyn FnMut(RawRecord) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let scratch = Scratch::new()?;
    crate::app::read_bucket(from, scratch.path(), options, each)
}

#[cfg(not(feature = "aws"))]
fn read_bucket(
    from: &str,
    _: &Options,
    _: &mut dyn FnMut(RawRecord) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    anyhow::bail!("{from}: this program was built without S3; build it with the default features")
}

/// Publishes a record, alone or gathered with its neighbours.
fn publish(
    record: &RawRecord,
    fate: &Result<Decoded, Undecodable>,
    pack: &mut Pack,
    replay: &mut Replay,
) -> anyhow::Result<()> {
    if matches!(record.settled, Some(Settled::Ignored(_))) {
        return Ok(());
    }
    // One that does not fit into the pack at hand may begin the next.
    for _ in 0..2 {
        if let Ok(Decoded::Message(message)) = fate
            && pack.takes(record, message)
        {
            return Ok(());
        }
        unpack(pack, replay)?;
    }
    replay.push(record.topic, record.account.as_deref(), &record.payload)?;
    Ok(())
}

/// Pushes what is gathered.
fn unpack(pack: &mut Pack, replay: &mut Replay) -> anyhow::Result<()> {
    if let Some((account, payload)) = pack.empty() {
        replay.push(Topic::AwsMetrics, Some(&account), &payload)?;
    }
    Ok(())
}

/// A JSON line says which of the two it is.
#[derive(serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Row<'a> {
    Finding(&'a Finding),
    Recommendation(&'a crate::model::Recommendation),
}

fn verdict(findings: &[Finding], fail_on: Option<Severity>) -> Ended {
    let met = fail_on.is_some_and(|limit| {
        findings
            .iter()
            .any(|row| row.counts() && row.severity >= limit)
    });
    if met { Ended::Found } else { Ended::Well }
}

fn play(mut replay: Replay, shown: bool) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new("records decided about", shown);
    replay.run(&mut |taken| progress.at(taken))
}

pub(super) fn print(outcome: &Outcome, output: &mut Output) -> anyhow::Result<()> {
    let ranked = table::ranked(&outcome.recommendations);
    if ranked.is_empty() {
        output.line("no open recommendation")?;
    } else {
        let text = table::recommendations(output, &ranked);
        output.line(&text)?;
    }
    let open = outcome.findings.iter().filter(|row| row.counts()).count();
    let muted = outcome.findings.iter().filter(|row| row.open()).count() - open;
    let muted = match muted {
        0 => String::new(),
        count => format!(", {count} more muted"),
    };
    let saved: Usd = ranked
        .iter()
        .filter_map(|row| row.savings.as_ref())
        .map(|savings| savings.monthly)
        .sum();
    output.line(&format!(
        "{} from {}{muted}; acting on all saves {saved} a month",
        counted(ranked.len(), "open recommendation"),
        counted(open, "open finding")
    ))?;
    Ok(())
}

pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
