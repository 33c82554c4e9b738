#![doc = include_str!("slow_checkpoints.md")]

use super::{OF_WORKERS, WATCHER, look_into, worker};
use crate::model::Severity;
use crate::rules::{Case, Found, Meta, Rule, Verdict, evidence};

/// Rounds a mean is taken over. OURS: one slow checkpoint among many is nothing.
const ROUNDS: usize = 3;
/// Seconds below which checkpoints are well. OURS: half of the default interval between them.
const SECONDS_WELL: f64 = 1.0;
/// Seconds at which they run back to back: the default interval between them.
const SECONDS: f64 = 2.0;
/// Seconds within which a task must be saved when its partition goes elsewhere; what takes longer
/// is decided again by the next owner.
const SECONDS_HIGH: f64 = 5.0;

static META: Meta = Meta {
    id: "SELF-CKPT-1",
    title: "Checkpoints are slow",
    agent: WATCHER,
    severity: Severity::Medium,
    needs: OF_WORKERS,
    permissions: &[],
    controls: &[],
    remediation: "Look at the latency of Redis and of the brokers, and at the disk of an embedded service.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("slow_checkpoints.md"),
};

/// SELF-CKPT-1.
pub struct SlowCheckpoints;

impl Rule for SlowCheckpoints {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(rounds) = worker(case).and_then(|worker| worker.newest(ROUNDS)) else {
            return Verdict::Silent;
        };
        let count: u64 = rounds.iter().map(|round| round.checkpoints).sum();
        let seconds: f64 = rounds.iter().map(|round| round.checkpoint_seconds).sum();
        let Some(newest) = rounds.last().filter(|_| count > 0) else {
            return Verdict::Silent;
        };
        let mean = seconds / count as f64;
        if mean < SECONDS_WELL {
            return Verdict::Clear;
        }
        if mean < SECONDS {
            return Verdict::Silent;
        }
        let severity = if mean >= SECONDS_HIGH {
            Severity::High
        } else {
            META.severity
        };
        let found = Found::new(
            severity,
            format!("a checkpoint takes {mean:.1} s on average of {count} in {ROUNDS} rounds"),
            vec![evidence(
                "seconds a checkpoint",
                format!("{mean:.2}"),
                format!("{SECONDS}"),
                newest.at,
            )],
        );
        Verdict::found(look_into(found, case.subject))
    }
}
