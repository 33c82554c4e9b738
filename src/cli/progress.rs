//! A counter on the terminal for whatever takes longer than two seconds.

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
