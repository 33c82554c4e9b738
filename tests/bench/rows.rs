//! The rows of the report.

use serde_json::json;
use skyherd::model::AgentName;

use crate::latency::{Latencies, Restart};
use crate::report::{Row, quantile, thousands};
use crate::throughput::Run;

/// Share of the bare loop's rate a rule agent shall reach on metric points.
const RATIO_GOAL: f64 = 0.55;

/// An agent's run, and the bare loop's over the same records.
pub(crate) struct Pair {
    pub(crate) agent: Run,
    pub(crate) bare: Run,
    pub(crate) outputs: usize,
    pub(crate) ruled: bool,
}

impl Pair {
    pub(crate) fn ratio(&self) -> f64 {
        self.agent.per_core_second() / self.bare.per_core_second()
    }
}

/// The round whose ratio is the median, and the ratios of all.
pub(crate) fn throughput(name: AgentName, mut pairs: Vec<Pair>) -> Row {
    pairs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let ratios: Vec<f64> = pairs.iter().map(Pair::ratio).collect();
    let pair = &pairs[pairs.len() / 2];
    let (run, bare) = (&pair.agent, &pair.bare);
    let texts: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    Row {
        what: format!(
            "{name} agent, {} records in, {} out",
            thousands(run.events as f64),
            thousands(pair.outputs as f64)
        ),
        figure: format!(
            "{} events/core-second = {:.2} of bare ({} /s; Redis beside: {:.0} % of its CPU); rounds: {}",
            thousands(run.per_core_second()),
            pair.ratio(),
            thousands(run.events as f64 / run.wall),
            100.0 * run.redis / run.cpu,
            texts.join(", ")
        ),
        baseline: format!(
            "bare poll+decode+produce: {} events/core-second ({} /s)",
            thousands(bare.per_core_second()),
            thousands(bare.events as f64 / bare.wall)
        ),
        goal: if pair.ruled {
            format!("ratio at least {RATIO_GOAL}")
        } else {
            String::new()
        },
        numbers: json!({
            "agent": name.as_str(), "events": run.events, "outputs": pair.outputs,
            "cpu_seconds": run.cpu, "wall_seconds": run.wall, "redis_cpu_seconds": run.redis,
            "per_core_second": run.per_core_second(), "ratio": pair.ratio(), "ratios": ratios,
            "bare_cpu_seconds": bare.cpu, "bare_wall_seconds": bare.wall, "bare_per_core_second": bare.per_core_second(),
        }),
    }
}

/// One row to the finding and one to the recommendation.
pub(crate) fn latency(share: f64, found: &Latencies) -> [Row; 2] {
    let ms = |spans: &[f64]| {
        format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            quantile(spans, 0.5),
            quantile(spans, 0.99)
        )
    };
    let row = |what: &str, spans: &[f64], goal: &str| Row {
        what: format!(
            "event to {what} at {} calls/s ({:.0} % of what this machine sustains; its cores {:.0} % busy)",
            thousands(found.rate),
            100.0 * share,
            100.0 * found.busy
        ),
        figure: format!("{}; {} of {} seen", ms(spans), spans.len(), found.published),
        baseline: format!("raw produce to consume: {}", ms(&found.raw)),
        goal: goal.into(),
        numbers: json!({
            "rate": found.rate, "busy": found.busy, "seen": spans.len(), "published": found.published,
            "p50_ms": quantile(spans, 0.5), "p99_ms": quantile(spans, 0.99),
            "raw_p50_ms": quantile(&found.raw, 0.5), "raw_p99_ms": quantile(&found.raw, 0.99),
        }),
    };
    [
        row("finding", &found.finding, "raw +10 ms p50, +40 ms p99"),
        row(
            "recommendation",
            &found.recommendation,
            "p50 30 ms, p99 100 ms",
        ),
    ]
}

/// How long the restarted program took.
pub(crate) fn restart(subjects: u64, restarts: &[Restart]) -> Row {
    let seconds = |of: fn(&Restart) -> f64| restarts.iter().map(of).collect::<Vec<f64>>();
    let texts = |spans: &[f64]| {
        let texts: Vec<String> = spans.iter().map(|span| format!("{span:.2}")).collect();
        texts.join(", ")
    };
    let findings = seconds(|restart| restart.finding);
    Row {
        what: format!(
            "kill -9, restart with {} subjects in memory, to the first new finding",
            thousands(subjects as f64)
        ),
        figure: format!("{} s", texts(&findings)),
        baseline: format!(
            "to its recommendation: {} s",
            texts(&seconds(|restart| restart.recommendation))
        ),
        goal: "2 s".into(),
        numbers: json!({"subjects": subjects, "finding_seconds": findings}),
    }
}
