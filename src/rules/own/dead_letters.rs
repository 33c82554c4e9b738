#![doc = include_str!("dead_letters.md")]

use super::memory::ROUNDS;
use super::{OF_WORKERS, WATCHER, look_into, worker};
use crate::model::Severity;
use crate::rules::{Case, Found, Meta, Rule, Verdict, evidence};

/// Fewer are one producer's slip. OURS.
const COUNT_MIN: u64 = 5;
/// Dead letters per thousand records at which a producer is at fault. OURS: one in a hundred.
const SHARE: u64 = 10;
/// Per thousand at which much of a source is not seen. OURS: one in ten.
const SHARE_HIGH: u64 = 100;

static META: Meta = Meta {
    id: "SELF-DLQ-1",
    title: "Many records cannot be decoded",
    agent: WATCHER,
    severity: Severity::Medium,
    needs: OF_WORKERS,
    permissions: &[],
    controls: &[],
    remediation: "Read the reasons in dead-letters, mend the producer, replay them.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("dead_letters.md"),
};

/// SELF-DLQ-1.
pub struct DeadLetters;

impl Rule for DeadLetters {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(worker) = worker(case) else {
            return Verdict::Silent;
        };
        let taken: u64 = worker.rounds.iter().map(|round| round.home_taken).sum();
        let dead: u64 = worker.rounds.iter().map(|round| round.dead_letters).sum();
        let Some(newest) = worker.rounds.back().filter(|_| taken > 0) else {
            return Verdict::Silent;
        };
        let share = dead.saturating_mul(1_000) / taken;
        if share < SHARE {
            return Verdict::Clear;
        }
        if dead < COUNT_MIN {
            return Verdict::Silent;
        }
        let severity = if share >= SHARE_HIGH {
            Severity::High
        } else {
            META.severity
        };
        let percent = format!("{}.{} %", share / 10, share % 10);
        let found = Found::new(
            severity,
            format!(
                "{dead} of {taken} records of the last {ROUNDS} rounds could not be decoded ({percent})"
            ),
            vec![evidence("dead letters", percent, "1 %", newest.at)],
        );
        Verdict::found(look_into(found, case.subject))
    }
}
