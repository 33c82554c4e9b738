//! `skyherd rules`: the catalogue, from the rules themselves.

use clap::{Args, Subcommand};

use super::output::Output;
use super::{Ended, table};
use crate::config::nearest;
use crate::rules::RULES;

#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  skyherd rules
  skyherd rules --json
  skyherd rules explain COST-EC2-1"
)]
pub(super) struct RulesArgs {
    /// Print one JSON object a rule.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<RulesCommand>,
}

#[derive(Subcommand, Debug)]
enum RulesCommand {
    /// Print a rule's page.
    Explain {
        /// The rule's id, such as COST-EC2-1.
        id: String,
    },
}

pub(super) fn rules(args: &RulesArgs, output: &mut Output) -> anyhow::Result<Ended> {
    match &args.command {
        Some(RulesCommand::Explain { id }) => explain(id, output),
        None => list(args.json, output),
    }
}

fn list(json: bool, output: &mut Output) -> anyhow::Result<Ended> {
    if json {
        for rule in RULES {
            let meta = rule.meta();
            output.json(&serde_json::json!({
                "id": meta.id,
                "agent": meta.agent,
                "severity": meta.severity,
                "title": meta.title,
                "remediation": meta.remediation,
                "permissions": meta.permissions,
                "controls": meta.controls,
                "since": meta.since,
            }))?;
        }
        return Ok(Ended::Well);
    }
    let rows = RULES.iter().map(|rule| {
        let meta = rule.meta();
        vec![
            meta.id.to_owned(),
            meta.agent.to_string(),
            meta.severity.as_str().to_owned(),
            meta.title.to_owned(),
        ]
    });
    let text = table::plain(output, &["id", "agent", "severity", "finds"], rows);
    output.line(&text)?;
    output.line("`skyherd rules explain ID` prints a rule's page")?;
    Ok(Ended::Well)
}

fn explain(id: &str, output: &mut Output) -> anyhow::Result<Ended> {
    let id = id.to_ascii_uppercase();
    let Some(rule) = crate::rules::rule(&id) else {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.meta().id).collect();
        anyhow::bail!("there is no rule {id}; {}", nearest(&id, &ids));
    };
    let meta = rule.meta();
    let or_none = |list: &[&str]| {
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        }
    };
    output.line(meta.page.trim_end())?;
    output.line("")?;
    for (name, value) in [
        ("agent", meta.agent.to_string()),
        ("severity", meta.severity.as_str().to_owned()),
        ("remedy", meta.remediation.to_owned()),
        ("permissions", or_none(meta.permissions)),
        ("controls", or_none(meta.controls)),
        ("since", meta.since.to_owned()),
    ] {
        output.line(&format!("{name:<12} {value}"))?;
    }
    Ok(Ended::Well)
}
