//! A counter on the terminal for whatever takes longer than two seconds, and a bar for what has an end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work shows nothing.
const QUIET: Duration = Duration::from_secs(2);

pub(super) struct Progress {
    began: Instant,
    what: &'static str,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress of `what`, in the plural; silent unless `wanted` and stderr is a terminal.
    pub(super) fn new(what: &'static str, wanted: bool) -> Self {
        Self {
            began: Instant::now(),
            what,
            wanted: wanted && std::io::stderr().is_terminal(),
            bar: None,
        }
    }

    /// So many so far.
    pub(super) fn at(&mut self, count: u64) {
        if !self.wanted || (self.bar.is_none() && self.began.elapsed() < QUIET) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(self.what);
            bar
        });
        bar.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How much of the estate's life is over.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar of so many hours; silent unless `wanted` and stderr is a terminal.
    pub(super) fn new(hours: i64, wanted: bool) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let hours = u64::try_from(hours).unwrap_or(0);
        let bar = ProgressBar::with_draw_target(Some(hours), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg:>7} {bar:40} {pos}/{len} h, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(bar))
    }

    /// So many seconds are over.
    pub(super) fn at(&self, seconds: i64) {
        if let Some(bar) = &self.0 {
            let hours = u64::try_from(seconds / 3_600).unwrap_or(0);
            bar.set_message(format!("day {}", hours / 24 + 1));
            bar.set_position(hours.min(bar.length().unwrap_or(hours)));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
