//! `skyherd memory show`: what each agent remembers of a resource.

use clap::Subcommand;
use serde_json::Value;

use super::Ended;
use super::client::{Api, encoded};
use super::output::Output;
use super::why::subject;
use crate::config::Config;
use crate::model::Subject;

/// Steps of a line that is drawn with letters.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[derive(Subcommand, Debug)]
pub(super) enum MemoryCommand {
    /// Print what each agent remembers of a resource.
    #[command(after_help = "Example:
  skyherd memory show 111122223333/eu-west-1/instance/i-0abc -n 20")]
    Show {
        /// The resource: account/region/type/id.
        #[arg(value_parser = subject)]
        subject: Subject,
        /// How many of the newest observations of each agent.
        #[arg(short = 'n', default_value_t = 5, value_name = "COUNT")]
        count: usize,
        /// Print everything as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn memory(
    command: &MemoryCommand,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let MemoryCommand::Show {
        subject,
        count,
        json,
    } = command;
    let path = format!("/api/v1/subjects/{}", encoded(subject.as_str()));
    let story = Api::find(config)?.get(&path)?;
    if *json {
        output.json(&story)?;
        return Ok(Ended::Well);
    }
    output.line(subject.as_str())?;
    for memory in list(&story["memory"]) {
        show(memory, *count, output)?;
    }
    for (name, rows) in [
        ("findings", &story["findings"]),
        ("recommendations", &story["recommendations"]),
    ] {
        if !list(rows).is_empty() {
            output.line(&format!("\n{name}"))?;
        }
        for row in list(rows) {
            let state = row["status"].as_str().or_else(|| row["state"].as_str());
            output.line(&format!(
                "  {:<10} {:<8} {}",
                state.unwrap_or_default(),
                text(&row["severity"]),
                text(&row["title"])
            ))?;
        }
    }
    Ok(Ended::Well)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn show(memory: &Value, count: usize, output: &mut Output) -> anyhow::Result<()> {
    let state = list(&memory["state"]);
    let state = match state {
        [name, since] => format!(": {} since {}", text(name), text(since)),
        _ => String::new(),
    };
    output.line(&format!("\n{}{state}", text(&memory["agent"])))?;
    for (name, value) in memory["facts"].as_object().into_iter().flatten() {
        output.line(&format!("  {name:<16} {}", text(value)))?;
    }
    for series in list(&memory["series"]) {
        let points = list(&series["points"]).iter();
        let values: Vec<f64> = points.filter_map(|point| point[1].as_f64()).collect();
        let newest = values.last().copied().unwrap_or_default();
        let step = match text(&series["step"]) {
            "day" => "a day",
            _ => "newest",
        };
        output.line(&format!(
            "  {:<16} {} {step} {newest:.2} {}",
            text(&series["name"]),
            drawn(&values),
            text(&series["unit"])
        ))?;
    }
    for seen in list(&memory["observations"]).iter().take(count) {
        output.line(&format!(
            "  {} {} {}",
            text(&seen["at"]),
            text(&seen["what"]),
            text(&seen["value"])
        ))?;
    }
    Ok(())
}

/// Values as a line of letters, from their least to their greatest.
fn drawn(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = most - least;
    let letter = |value: f64| {
        let part = if span > 0.0 {
            (value - least) / span
        } else {
            0.0
        };
        let index = (part * (STEPS.len() - 1) as f64).round() as usize;
        STEPS[index.min(STEPS.len() - 1)]
    };
    values.iter().map(|value| letter(*value)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_runs_from_least_to_most() {
        assert_eq!(super::drawn(&[0.0, 3.5, 7.0]), "▁▅█");
        assert_eq!(super::drawn(&[4.0, 4.0]), "▁▁");
        assert_eq!(super::drawn(&[]), "");
    }
}
