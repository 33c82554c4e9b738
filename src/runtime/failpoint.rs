//! Places where a test may end the process at once, to prove what a crash there leaves behind.

use std::sync::atomic::{AtomicU64, Ordering};

/// A place between the steps of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// Outputs are durable, the memory is not written.
    Settled,
    /// The memory is written, offsets are not reported.
    Stored,
}

/// Ends the process at the n-th passage of a point.
#[derive(Debug)]
pub struct Failpoint {
    point: Point,
    left: AtomicU64,
}

impl Failpoint {
    /// Reads `settled:3` or `stored:1`: the point, and the passage (from 1) that does not return.
    pub fn parse(text: &str) -> Option<Self> {
        let (point, passage) = text.split_once(':')?;
        let point = match point {
            "settled" => Point::Settled,
            "stored" => Point::Stored,
            _ => return None,
        };
        let left = passage.parse().ok().filter(|left| *left > 0)?;
        Some(Self {
            point,
            left: AtomicU64::new(left),
        })
    }

    /// Passes a point.
    pub(super) fn pass(&self, point: Point) {
        if self.point == point && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // As kill -9 would: no destructor, no flush.
            std::process::abort();
        }
    }
}
