//! What sources did, as metrics.

use super::Rounds;
use crate::adapters::aws::Api;
use crate::telemetry::Signal;

impl Rounds {
    /// Brings the metrics up to date.
    pub(super) fn tell(&mut self) {
        let metrics = &self.shared.handle.metrics;
        for api in Api::ALL {
            let (now, before) = (self.shared.tally.of(api), &mut self.told[api as usize]);
            if now != *before {
                metrics.emit(&Signal::SourceCalls {
                    api: api.as_str(),
                    calls: now.calls - before.calls,
                    throttles: now.throttles - before.throttles,
                    errors: now.errors - before.errors,
                });
                *before = now;
            }
        }
        let (kept, made) = self.shared.tally.clients();
        let (kept_before, made_before) = std::mem::replace(&mut self.clients, (kept, made));
        metrics.emit(&Signal::SourceClients {
            kept: kept - kept_before,
            made: made - made_before,
        });
        let at = self.shared.now();
        for (source, oldest) in self.shared.handle.board.oldest() {
            metrics.emit(&Signal::SourceAge {
                source,
                seconds: at.since(oldest) as f64 / 1_000.0,
            });
        }
    }
}
