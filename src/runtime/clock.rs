//! The wall clock: the one place that reads it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;
use crate::ports::Clock;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp::from_ms(since.map_or(0, |span| span.as_millis() as i64))
    }
    fn monotonic_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }
}
