//! When something is done next, and whether it is being done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How soon what failed is tried again; what was refused waits for its time.
pub(super) const AGAIN_MS: u64 = 60_000;

/// One thing that is done again and again, by one task at a time.
#[derive(Default)]
pub(super) struct Turn {
    due: u64,
    running: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl Turn {
    /// Not due until it is called up.
    pub(super) fn idle() -> Self {
        Self {
            due: u64::MAX,
            ..Self::default()
        }
    }

    /// It is due, once.
    pub(super) fn call_up(&mut self, now: u64) {
        self.due = now;
    }

    /// Whether it was called up and nothing is under way; then it is, until it is called up again.
    pub(super) fn begin_called(&mut self, now: u64) -> bool {
        self.begin(now, u64::MAX)
    }

    /// Whether nothing is under way; then it is, whenever it is due.
    pub(super) fn seize(&self) -> bool {
        !self.running.swap(true, Ordering::AcqRel)
    }

    /// Whether it is time, and nothing is under way; then it is.
    pub(super) fn begin(&mut self, now: u64, interval: u64) -> bool {
        if self.failed.swap(false, Ordering::AcqRel) {
            self.due = self.due.min(now + AGAIN_MS);
        }
        if interval == 0 || now < self.due || !self.seize() {
            return false;
        }
        self.due = now.saturating_add(interval);
        true
    }

    /// What ends it.
    pub(super) fn ending(&self) -> impl FnOnce(bool) + use<> {
        let (running, failed) = (Arc::clone(&self.running), Arc::clone(&self.failed));
        move |well| {
            failed.store(!well, Ordering::Release);
            running.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_up_is_done_once_and_again_when_it_failed() {
        let mut turn = Turn::idle();
        assert!(!turn.begin_called(5), "nobody called");
        turn.call_up(5);
        assert!(turn.begin_called(5) && !turn.begin_called(6), "under way");
        turn.ending()(true);
        assert!(!turn.begin_called(1 << 60), "done");
        turn.call_up(7);
        assert!(turn.begin_called(7));
        turn.ending()(false);
        assert!(!turn.begin_called(8), "it rests");
        assert!(turn.begin_called(8 + AGAIN_MS));
    }
}
