//! `skyherd why`: what each rule says of a resource, and what keeps it silent.

use clap::Args;
use serde_json::Value;

use super::client::{Api, encoded};
use super::output::Output;
use super::{Ended, table};
use crate::config::{Config, nearest};
use crate::model::Subject;
use crate::rules::RULES;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd why 111122223333/eu-west-1/instance/i-0abc
  skyherd why 111122223333/eu-west-1/instance/i-0abc COST-EC2-1 --json

Verdicts: open, clear, no_data, no_permission, muted, vetoed, superseded, below_threshold,
not_applicable.")]
pub(super) struct WhyArgs {
    /// The resource: account/region/type/id.
    #[arg(value_parser = subject)]
    subject: Subject,
    /// Only this rule, such as COST-EC2-1.
    #[arg(value_parser = rule)]
    rule: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn subject(text: &str) -> Result<Subject, String> {
    Subject::parse(text).map_err(|error| error.to_string())
}

fn rule(text: &str) -> Result<String, String> {
    let id = text.to_ascii_uppercase();
    match crate::rules::rule(&id) {
        Some(_) => Ok(id),
        None => {
            let ids: Vec<&str> = RULES.iter().map(|rule| rule.meta().id).collect();
            Err(nearest(&id, &ids))
        }
    }
}

pub(super) fn why(args: &WhyArgs, config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let mut path = format!("/api/v1/why/{}", encoded(args.subject.as_str()));
    if let Some(rule) = &args.rule {
        path.push_str("?rule=");
        path.push_str(&encoded(rule));
    }
    let answer = Api::find(config)?.get(&path)?;
    if args.json {
        output.json(&answer)?;
        return Ok(Ended::Well);
    }
    let rules = answer["rules"].as_array().map(Vec::as_slice);
    let rules = rules.unwrap_or_default();
    if rules.is_empty() {
        let kind = args.subject.kind();
        output.line(&format!("no rule judges resources of type {kind}"))?;
        return Ok(Ended::Well);
    }
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let rows = rules.iter().map(|row| {
        [
            "rule",
            "verdict",
            "measured",
            "threshold",
            "distance",
            "why",
        ]
        .map(|name| text(row, name))
        .to_vec()
    });
    let header = [
        "rule",
        "verdict",
        "measured",
        "threshold",
        "short by",
        "why",
    ];
    let shown = table::plain(output, &header, rows);
    output.line(&shown)?;
    output.line("`skyherd memory show SUBJECT` prints what the agents remember")?;
    Ok(Ended::Well)
}
