#![doc = include_str!("memory_full.md")]

use super::memory::Process;
use super::{WATCHER, look_into, process};
use crate::model::{EventKind, ProcessReport, Severity};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence};

/// Percent of the bound below which there is room. OURS: a gap to the next, so that the finding
/// does not come and go.
const PERCENT_WELL: u64 = 85;
/// Percent of the bound at which there is little left. OURS.
const PERCENT: u64 = 90;
/// Percent of the bound at which the end is near. OURS.
const PERCENT_HIGH: u64 = 95;

static META: Meta = Meta {
    id: "SELF-MEM-1",
    title: "Memory is near its bound",
    agent: WATCHER,
    severity: Severity::Medium,
    needs: Needs {
        subjects: &["process"],
        events: &[EventKind::ProcessReport],
        ..Needs::NONE
    },
    permissions: &[],
    controls: &[],
    remediation: "Raise the bound, or spread the agents over more processes.",
    since: "0.2.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("memory_full.md"),
};

/// SELF-MEM-1.
pub struct MemoryFull;

/// Percent used of the fuller of the two, which it is, and its bound; `None` without any bound.
fn fullest(report: &ProcessReport) -> Option<(u64, &'static str, u64)> {
    [
        ("the process", report.process_bytes, report.process_bound),
        (
            "the short-term memory",
            report.store_bytes,
            report.store_bound,
        ),
    ]
    .into_iter()
    .filter(|(_, used, bound)| *used > 0 && *bound > 0)
    .map(|(what, used, bound)| (used.saturating_mul(100) / bound, what, bound))
    .max()
}

impl Rule for MemoryFull {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(process) = process(case) else {
            return Verdict::Silent;
        };
        let known: Vec<_> = process
            .rounds
            .iter()
            .filter_map(|(at, report)| Some((*at, fullest(report)?)))
            .collect();
        let Some((at, (percent, what, bound))) = known.last().copied() else {
            return Verdict::Silent;
        };
        if percent < PERCENT_WELL {
            return Verdict::Clear;
        }
        let lasting = known.len() == Process::ROUNDS
            && known.iter().all(|(_, (percent, ..))| *percent >= PERCENT);
        if !lasting {
            return Verdict::Silent;
        }
        let severity = if percent >= PERCENT_HIGH {
            Severity::High
        } else {
            META.severity
        };
        let bound = bound >> 20;
        let found = Found::new(
            severity,
            format!("{what} holds {percent} % of the {bound} MiB it may have"),
            vec![evidence(
                what,
                format!("{percent} %"),
                format!("{PERCENT} %"),
                at,
            )],
        );
        Verdict::found(look_into(found, case.subject))
    }
}
