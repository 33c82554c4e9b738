//! What the sources that pull from AWS move.

use super::specs::Id;
use super::{Metrics, Signal};

#[rustfmt::skip] // One signal a line reads as the table it is.
impl Metrics {
    pub(super) fn write_pulled(&self, signal: &Signal<'_>) {
        match *signal {
            Signal::SourceCalls { api, calls, throttles, errors } => {
                let answered = calls.saturating_sub(throttles + errors);
                for (result, count) in [("answered", answered), ("put_off", throttles), ("failed", errors)] {
                    self.add(Id::SourceCalls, &[api, result], count);
                }
            }
            Signal::SourceClients { kept, made } => {
                self.add(Id::SourceClients, &["kept"], kept);
                self.add(Id::SourceClients, &["made"], made);
            }
            Signal::SourceSwept { source, records, whole, .. } => {
                let result = if whole { "whole" } else { "partial" };
                self.add(Id::SourceRounds, &[source, result], 1);
                self.add(Id::SourceRecords, &[source], records);
            }
            Signal::SourceAge { source, seconds } => self.set(Id::SourceAge, &[source], seconds),
            Signal::SourcePaid { source, micro_usd } => self.add(Id::SourcePaid, &[source], micro_usd),
            Signal::SourceRead { source, bytes } => self.add(Id::SourceBytes, &[source], bytes),
            // Counted with the round they are of, which a failure makes partial; these are for the log.
            Signal::SourceProgress { .. } | Signal::SourceFailed { .. } => {}
            _ => debug_assert!(false, "{signal:?} writes no metric"),
        }
    }
}
