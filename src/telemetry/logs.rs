//! Log lines: set-up, and which signal makes which line.
//!
//! error: a person must act, data was or may be lost. warn: unexpected, recovered, nothing lost.
//! info: life-cycle and operator-caused. debug: one line per batch at most.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{debug, error, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Signal;

/// Starts logging to stderr. `level` is a level or directives such as `info,skyherd::runtime=debug`.
///
/// A second call in the same process changes nothing.
///
/// # Errors
/// When `level` cannot be read.
pub fn start_logs(json: bool, level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter: Targets = level.parse()?;
    let stderr = std::io::stderr;
    let layer = if json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(stderr)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(colours(stderr().is_terminal()))
            .with_writer(stderr)
            .boxed()
    };
    // Fails only when a subscriber is set already, which keeps working.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    Ok(())
}

/// Colours only on a terminal, and not where `NO_COLOR` says so.
pub fn colours(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the n-th line of a kind that can come by the million is written: the first ten, then
/// each power of two.
fn thinned(count: u64) -> bool {
    count <= 10 || count.is_power_of_two()
}

/// Writes the signal's line, if it has one. `count` numbers the lines about single records.
#[rustfmt::skip] // One signal a line reads as the table it is.
pub(super) fn write(signal: &Signal<'_>, count: &AtomicU64) {
    let single = || {
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        thinned(count).then_some(count)
    };
    match signal {
        Signal::RecordDeadLettered { agent, topic, partition, offset, reason } => {
            if let Some(count) = single() {
                warn!(%agent, %topic, partition, offset, reason, count, "record dead-lettered");
            }
        }
        Signal::RecordMisplaced { agent, topic, forwarded: true } => {
            if let Some(count) = single() {
                warn!(%agent, %topic, count, "record forwarded to its account's partition");
            }
        }
        Signal::EventTimeClamped { agent, topic } => {
            if let Some(count) = single() {
                warn!(%agent, %topic, count, "event time ahead of the clock was clamped");
            }
        }
        Signal::CheckpointWritten { agent, seconds, bytes, subjects } => {
            debug!(%agent, seconds, bytes, subjects, "checkpoint written");
        }
        Signal::CheckpointRetried { task, error } => warn!(%task, error, "checkpoint will be retried"),
        Signal::TaskFenced { task } => warn!(%task, "another owner holds the task; its state was dropped"),
        Signal::MemoryWentBack { task } => {
            warn!(%task, "the memory is older than known; the task is taken up again");
        }
        Signal::TaskParked { task, error } => error!(%task, error, "task parked until the fault is gone"),
        Signal::TaskResumed { task } => info!(%task, "task resumed"),
        Signal::Rebalanced { agent, assigned, revoked, lost } => {
            info!(%agent, assigned, revoked, lost, "assignment changed");
        }
        Signal::TaskLive { task, seconds } => debug!(%task, seconds, "task live"),
        Signal::PositionGap { task, topic, wanted, resumed } => {
            error!(%task, %topic, wanted, resumed, "the log no longer holds the position; resumed at its start");
        }
        Signal::StateRestored { task, subjects } => info!(%task, subjects, "state restored from the backup"),
        Signal::BackupWritten { agent, subjects } => debug!(%agent, subjects, "backup written"),
        Signal::WatchRound { error: Some(error) } => {
            warn!(error, "this process could not report on itself; the next round tries again");
        }
        Signal::SourceSwept { source, account, region, records, known, seconds, whole } => {
            info!(source, account, region, records, known, seconds, whole, "source swept");
        }
        Signal::SourceProgress { source, place, records } => {
            info!(source, place, records, "reading");
        }
        Signal::SourceFailed { account, region, error } => {
            warn!(account, region, error, "could not be pulled; the rest goes on");
        }
        Signal::RowRepaired { task, edge } => info!(%task, edge, "row of an earlier owner set right"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_single_records_thin_out() {
        let written = (1..=1_000_000).filter(|count| thinned(*count)).count();
        assert_eq!(written, 10 + 16);
    }

    #[test]
    fn without_a_terminal_there_are_no_colours() {
        assert!(!colours(false));
    }
}
