#![doc = include_str!("falling_behind.md")]

use super::memory::Round;
use super::{OF_WORKERS, WATCHER, look_into, span, worker};
use crate::model::Severity;
use crate::rules::{Case, Found, Meta, Rule, Verdict, evidence};

/// Rounds whose lag must grow from each to the next. OURS: the shortest run that is a trend.
const ROUNDS: usize = 3;
/// Fewer waiting records are no backlog. OURS: a worker takes as many in one poll.
const LAG_MIN: u64 = 2_000;
/// Time behind, at the pace of the last rounds, below which nobody is kept waiting. OURS: one
/// round.
const BEHIND_MS: i64 = 60_000;
/// Time behind at which findings come too late to act on. OURS: ten minutes.
const BEHIND_HIGH_MS: i64 = 600_000;

static META: Meta = Meta {
    id: "SELF-LAG-1",
    title: "Agent falls behind its topics",
    agent: WATCHER,
    severity: Severity::Medium,
    needs: OF_WORKERS,
    permissions: &[],
    controls: &[],
    remediation: "Run the agent in one more process, or give its process more CPU.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("falling_behind.md"),
};

/// SELF-LAG-1.
pub struct FallingBehind;

/// How long the newest backlog takes at the pace of these rounds; `None` at a standstill.
fn behind_ms(rounds: &[Round]) -> Option<i64> {
    let taken: u64 = rounds.iter().map(|round| round.taken).sum();
    let span: u64 = rounds.iter().map(|round| round.span_ms).sum();
    let lag = rounds.last()?.lag;
    let ms = u128::from(lag) * u128::from(span) / u128::from(taken.max(1));
    (taken > 0).then(|| i64::try_from(ms).unwrap_or(i64::MAX))
}

impl Rule for FallingBehind {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(newest) = worker(case).and_then(|worker| worker.rounds.back()) else {
            return Verdict::Silent;
        };
        if newest.lag == 0 {
            return Verdict::Clear;
        }
        let Some(rounds) = worker(case).and_then(|worker| worker.newest(ROUNDS)) else {
            return Verdict::Silent;
        };
        let behind = behind_ms(&rounds);
        let waiting = rounds.iter().all(|round| round.lag > 0);
        let growing = rounds.windows(2).all(|pair| pair[0].lag < pair[1].lag);
        let (severity, why) = match behind {
            None if waiting => (
                Severity::High,
                format!(
                    "it took nothing for {ROUNDS} rounds; {} records wait",
                    newest.lag
                ),
            ),
            Some(ms) if growing && newest.lag >= LAG_MIN && ms >= BEHIND_MS => (
                if ms >= BEHIND_HIGH_MS {
                    Severity::High
                } else {
                    META.severity
                },
                format!(
                    "its lag grew from {} to {} records in {ROUNDS} rounds; at its pace that is {} behind",
                    rounds[0].lag,
                    newest.lag,
                    span(ms)
                ),
            ),
            Some(ms) if newest.lag < LAG_MIN || ms < BEHIND_MS => return Verdict::Clear,
            // A backlog that is being worked off: neither news nor over.
            _ => return Verdict::Silent,
        };
        let facts = vec![
            evidence(
                "lag",
                format!("{} records", newest.lag),
                format!("{LAG_MIN} records"),
                newest.at,
            ),
            evidence(
                "taken in the round",
                format!("{} records", newest.taken),
                "",
                newest.at,
            ),
        ];
        Verdict::found(look_into(Found::new(severity, why, facts), case.subject))
    }
}
