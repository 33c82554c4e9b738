//! `skyherd sources`: how the sources of the running service do.

use clap::Args;
#[cfg(feature = "aws")]
use clap::Subcommand;
use serde_json::Value;

use super::client::Api;
use super::output::Output;
use super::status::{age, service};
use super::{Ended, table};
use crate::config::Config;
use crate::model::Timestamp;

#[derive(Args, Debug)]
#[cfg_attr(feature = "aws", command(args_conflicts_with_subcommands = true))]
#[command(after_help = EXAMPLES)]
pub(super) struct SourcesArgs {
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    command: Option<SourcesCommand>,
}

#[cfg(feature = "aws")]
const EXAMPLES: &str = "Examples:
  skyherd sources
  skyherd sources --json
  skyherd sources plan -c skyherd.toml   what pulling would cost a month, before it starts

Exit code 1 while a source's last round was not whole.";
#[cfg(not(feature = "aws"))]
const EXAMPLES: &str = "Examples:
  skyherd sources
  skyherd sources --json

Exit code 1 while a source's last round was not whole.";

#[cfg(feature = "aws")]
#[derive(Subcommand, Debug)]
enum SourcesCommand {
    /// Count what there is, with calls that are free, and print calls and money a month; nothing
    /// has to run.
    Plan {
        /// Print everything as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn sources(
    args: &SourcesArgs,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    #[cfg(feature = "aws")]
    if let Some(SourcesCommand::Plan { json }) = &args.command {
        return super::plan::plan(*json, config, output);
    }
    let api: Api = service(config)?;
    let told = api.get("/api/v1/sources")?;
    let rows = told["sources"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let well = rows
        .iter()
        .all(|row| row["errors"].as_array().is_none_or(Vec::is_empty));
    if args.json {
        output.json(&told)?;
    } else if rows.is_empty() {
        output.line(
            "nothing is pulled; name accounts or files in the configuration, see README.md",
        )?;
    } else {
        show(&told, rows, output)?;
    }
    Ok(if well { Ended::Well } else { Ended::Wanting })
}

fn show(told: &Value, rows: &[Value], output: &mut Output) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let lines = rows.iter().map(|row| {
        let success = row["last_success"].as_str();
        let at = success.and_then(|at| Timestamp::parse(at).ok());
        let since = at.map(|at| Timestamp::from_ms(now).since(at).max(0) as f64 / 1_000.0);
        let errors = row["errors"].as_array().map_or(0, Vec::len);
        vec![
            text(row, "account"),
            text(row, "region"),
            text(row, "source"),
            age(since),
            row["known"].to_string(),
            row["published"].to_string(),
            format!("{:.2}", row["usd"].as_f64().unwrap_or_default()),
            errors.to_string(),
        ]
    });
    let header = [
        "account",
        "region",
        "source",
        "whole since",
        "known",
        "published",
        "USD",
        "errors",
    ];
    output.line(&table::plain(output, &header, lines))?;
    for row in rows {
        for error in row["errors"].as_array().into_iter().flatten() {
            let (account, region) = (text(row, "account"), text(row, "region"));
            output.line(&format!(
                "{account} {region}: {}",
                error.as_str().unwrap_or_default()
            ))?;
        }
    }
    for row in rows {
        for why in row["nothing"].as_array().into_iter().flatten() {
            let (account, source) = (text(row, "account"), text(row, "source"));
            output.line(&format!(
                "{account} {source}: nothing: {}",
                why.as_str().unwrap_or_default()
            ))?;
        }
    }
    output.line("")?;
    let apis = told["apis"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let lines = apis.iter().map(|row| {
        let counts = ["calls", "throttles", "errors"].map(|name| row[name].to_string());
        [vec![text(row, "api")], counts.to_vec()].concat()
    });
    let header = ["API", "calls", "put off", "failed"];
    output.line(&table::plain(output, &header, lines))?;
    Ok(())
}
