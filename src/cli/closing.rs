//! The closing lines of the demo: which of the planted situations were found, and what was said beyond them.

use serde_json::{Value, json};

use super::output::Output;
use super::replay::counted;
use super::table;
use crate::estate::Verdict;
use crate::model::Timestamp;

/// A span for a person: `2 min`, `5 h 5 min`, `4 d 1 h`.
fn span(ms: i64) -> String {
    let minutes = (ms + Timestamp::MINUTE / 2)
        .div_euclid(Timestamp::MINUTE)
        .max(0);
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The lines for a person.
pub(super) fn text(output: &Output, verdict: &Verdict) -> String {
    let due = verdict.found.len() + verdict.missed.len();
    let mut lines = vec![format!(
        "Found {} of {} that were planted, each so long after its cause:",
        verdict.found.len(),
        counted(due, "situation")
    )];
    let rows = verdict.found.iter().map(|found| {
        vec![
            format!("  {}", found.planted.name),
            words(found.planted.agents),
            span(found.after_ms),
        ]
    });
    lines.push(table::plain(
        output,
        &["  situation", "agents", "after"],
        rows,
    ));
    if verdict.too_early > 0 {
        lines.push(format!(
            "{} more could not be known yet: play more hours",
            verdict.too_early
        ));
    }
    if verdict.missed.is_empty() {
        lines.push("Missed: nothing".to_owned());
    }
    for missed in &verdict.missed {
        lines.push(format!("Missed: {}: {}", missed.planted.name, missed.why));
    }
    lines.push(format!(
        "Left alone: {} of {} that are fine",
        verdict.left_alone,
        counted(verdict.left_alone + verdict.taken_in.len(), "look-alike")
    ));
    for name in &verdict.taken_in {
        lines.push(format!("Taken in by: {name}"));
    }
    if verdict.beyond.is_empty() {
        lines.push("Reported beyond the plan: nothing".to_owned());
    }
    for line in &verdict.beyond {
        lines.push(format!("Reported beyond the plan: {line}"));
    }
    lines.join("\n")
}

fn words(agents: &[crate::model::AgentName]) -> String {
    let names: Vec<&str> = agents.iter().map(|agent| agent.as_str()).collect();
    names.join(", ")
}

/// The same for a program.
pub(super) fn json(verdict: &Verdict) -> Value {
    let found = verdict.found.iter().map(|found| {
        json!({
            "situation": found.planted.name,
            "owner": found.planted.owner,
            "action": found.planted.action,
            "cause": found.planted.cause,
            "after_seconds": found.after_ms / Timestamp::SECOND,
        })
    });
    let missed = verdict.missed.iter().map(|missed| {
        json!({"situation": missed.planted.name, "owner": missed.planted.owner, "why": missed.why})
    });
    json!({
        "kind": "verdict",
        "found": found.collect::<Vec<_>>(),
        "missed": missed.collect::<Vec<_>>(),
        "too_early": verdict.too_early,
        "look_alikes_left_alone": verdict.left_alone,
        "look_alikes_taken_in": verdict.taken_in,
        "beyond": verdict.beyond,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units_at_most() {
        for (minutes, told) in [
            (0, "0 min"),
            (59, "59 min"),
            (305, "5 h 5 min"),
            (5_820, "4 d 1 h"),
        ] {
            assert_eq!(span(minutes * Timestamp::MINUTE), told);
        }
    }
}
