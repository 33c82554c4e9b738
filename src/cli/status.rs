//! `skyherd status` and `skyherd top`: how the running service does, once or again and again.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::client::Api;
use super::output::Output;
use super::{Ended, table};
use crate::config::Config;
use crate::model::{Recommendation, Severity};

/// Recommendations `top` shows.
const TOP_ROWS: usize = 10;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd status
  skyherd status --json")]
pub(super) struct StatusArgs {
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd top
  skyherd top --every 5
  skyherd top | head -20

Ctrl-c ends it.")]
pub(super) struct TopArgs {
    /// Seconds between looks.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// Print one snapshot as JSON.
    #[arg(long)]
    json: bool,
}

/// Everything that is shown, as the service tells it.
struct Snapshot {
    ready: Value,
    agents: Value,
    open: Vec<Recommendation>,
    total: u64,
    saves: String,
    by_severity: Vec<(Severity, u64)>,
    dead_letters: u64,
}

impl Snapshot {
    fn take(api: &Api) -> anyhow::Result<Self> {
        let ready = api.look("/readyz")?;
        let agents = api.get("/api/v1/agents")?["agents"].take();
        let top = format!("/api/v1/recommendations?limit={TOP_ROWS}");
        let mut page = api.get(&top)?;
        let count = |path: String| -> anyhow::Result<u64> {
            Ok(api.get(&path)?["total"].as_u64().unwrap_or_default())
        };
        let mut by_severity = Vec::new();
        let mut worse = 0;
        for severity in Severity::ALL.into_iter().rev() {
            let name = severity.as_str();
            let path = format!("/api/v1/recommendations?limit=1&severity={name}");
            let at_least = count(path)?;
            by_severity.push((severity, at_least.saturating_sub(worse)));
            worse = at_least;
        }
        Ok(Self {
            ready,
            agents,
            total: page["total"].as_u64().unwrap_or_default(),
            saves: page["saves_monthly"].as_str().unwrap_or("0").to_owned(),
            open: serde_json::from_value(page["recommendations"].take())?,
            by_severity,
            dead_letters: count("/api/v1/dead-letters?limit=1".to_owned())?,
        })
    }

    fn json(&self) -> Value {
        let by_severity: serde_json::Map<String, Value> = self
            .by_severity
            .iter()
            .map(|(severity, count)| (severity.as_str().to_owned(), json!(count)))
            .collect();
        json!({
            "readiness": self.ready,
            "agents": self.agents,
            "recommendations": {
                "open": self.total,
                "by_severity": by_severity,
                "saves_monthly": self.saves,
                "top": self.open,
            },
            "dead_letters": self.dead_letters,
        })
    }

    fn ready(&self) -> bool {
        self.ready["ready"].as_bool().unwrap_or_default()
    }

    /// Lines of the summary.
    fn told(&self, output: &Output) -> Vec<String> {
        let word = if self.ready() { "ready" } else { "not ready" };
        let mut lines = vec![format!(
            "{word}: {} of {} tasks live, {} parked, {} records behind",
            self.ready["live"], self.ready["tasks"], self.ready["parked"], self.ready["lag"]
        )];
        for missing in self.ready["missing"].as_array().into_iter().flatten() {
            lines.push(format!("  {}", missing.as_str().unwrap_or_default()));
        }
        lines.push(String::new());
        let agents = self.agents.as_array().map(Vec::as_slice);
        let rows = agents.unwrap_or_default().iter().map(agent_row);
        let header = [
            "agent",
            "tasks",
            "behind",
            "records/s",
            "p50 ms",
            "p99 ms",
            "event age",
            "open findings",
        ];
        lines.push(table::plain(output, &header, rows));
        lines.push(String::new());
        let counts: Vec<String> = self
            .by_severity
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| format!("{count} {}", severity.as_str()))
            .collect();
        let counts = if counts.is_empty() {
            String::new()
        } else {
            format!(" ({})", counts.join(", "))
        };
        lines.push(format!(
            "{} open recommendations{counts}; acting on all saves ${} a month",
            self.total, self.saves
        ));
        match self.dead_letters {
            0 => {}
            1 => lines.push("1 dead letter; `skyherd dlq list` shows it".to_owned()),
            count => lines.push(format!(
                "{count} dead letters; `skyherd dlq list` shows them"
            )),
        }
        lines
    }
}

fn agent_row(agent: &Value) -> Vec<String> {
    let number = |name: &str, digits: usize| {
        let value = agent[name].as_f64();
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let tasks = if agent["here"] == json!(true) {
        format!("{}/{}", agent["live"], agent["tasks"])
    } else {
        "elsewhere".to_owned()
    };
    vec![
        agent["name"].as_str().unwrap_or_default().to_owned(),
        tasks,
        agent["lag"].to_string(),
        number("records_per_second", 1),
        number("latency_p50_ms", 1),
        number("latency_p99_ms", 1),
        age(agent["event_age_seconds"].as_f64()),
        agent["open_findings"].to_string(),
    ]
}

pub(super) fn age(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) if seconds < 172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        Some(seconds) => format!("{:.0} d", seconds / 86_400.0),
    }
}

pub(super) fn service(config: &Config) -> anyhow::Result<Api> {
    Api::running(config).with_context(|| {
        format!(
            "no service runs on {}; start it with `skyherd run`, or name its directory with SKYHERD_DATA_DIR",
            config.data_dir.display()
        )
    })
}

pub(super) fn status(
    args: &StatusArgs,
    config: &Config,
    output: &mut Output,
) -> anyhow::Result<Ended> {
    let snapshot = Snapshot::take(&service(config)?)?;
    if args.json {
        output.json(&snapshot.json())?;
    } else {
        for line in snapshot.told(output) {
            output.line(&line)?;
        }
    }
    Ok(if snapshot.ready() {
        Ended::Well
    } else {
        Ended::Wanting
    })
}

pub(super) fn top(args: &TopArgs, config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let api = service(config)?;
    if args.json {
        output.json(&Snapshot::take(&api)?.json())?;
        return Ok(Ended::Well);
    }
    if !output.terminal {
        draw(&Snapshot::take(&api)?, output)?;
        return Ok(Ended::Well);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    output.raw(ENTER)?;
    let watched = watch(&api, args, output, &runtime);
    // The terminal is given back whatever happened.
    output.raw(LEAVE)?;
    output.flush()?;
    watched
}

/// The terminal's other screen, and back. The cursor hides meanwhile.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the upper left, everything below cleared; the old picture stays until then.
const HOME: &str = "\u{1b}[H\u{1b}[J";

fn watch(
    api: &Api,
    args: &TopArgs,
    output: &mut Output,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Ended> {
    loop {
        match Snapshot::take(api) {
            Ok(snapshot) => {
                output.raw(HOME)?;
                draw(&snapshot, output)?;
            }
            Err(error) => {
                output.raw(HOME)?;
                output.line(&format!("{error:#}; trying again"))?;
            }
        }
        output.flush()?;
        let interrupted = runtime.block_on(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => true,
                () = tokio::time::sleep(Duration::from_secs(args.every)) => false,
            }
        });
        if interrupted {
            return Ok(Ended::Interrupted);
        }
    }
}

fn draw(snapshot: &Snapshot, output: &mut Output) -> anyhow::Result<()> {
    for line in snapshot.told(output) {
        output.line(&line)?;
    }
    if snapshot.open.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let rows = snapshot.open.iter().map(|row| {
        let saves = row
            .savings
            .as_ref()
            .map_or_else(|| "-".to_owned(), |savings| savings.monthly.to_string());
        vec![
            row.severity.as_str().to_owned(),
            format!("{:.0}", row.priority.score),
            row.owner.to_string(),
            row.action.as_str().to_owned(),
            saves,
        ]
    });
    let header = ["severity", "score", "owner", "action", "saves a month"];
    let shown = table::plain(output, &header, rows);
    output.line(&shown)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, told) in [
            (None, "-"),
            (Some(3.2), "3 s"),
            (Some(600.0), "10 min"),
            (Some(10_800.0), "3 h"),
            (Some(864_000.0), "10 d"),
        ] {
            assert_eq!(super::age(seconds), told);
        }
    }
}
