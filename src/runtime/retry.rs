//! Exponential back-off with deterministic jitter, and when to call a task parked.

use crate::ports::TaskId;

use super::QUICK_ATTEMPTS;

/// Milliseconds before the first retry.
const BASE_MS: u64 = 100;
/// Longest between probes of a parked task.
const PROBE_MS_MAX: u64 = 30_000;
/// Shortest between probes of a parked task.
const PROBE_MS_MIN: u64 = 1_000;

/// What is known of a task's run of faults.
#[derive(Debug, Default, Clone)]
pub(super) struct Faults {
    count: u32,
    retry_at_ms: u64,
}

impl Faults {
    /// Whether the task may try again.
    pub(super) fn ready(&self, now_ms: u64) -> bool {
        self.count == 0 || now_ms >= self.retry_at_ms
    }
    /// Notes a fault; true when it is the one that parks the task.
    pub(super) fn note(&mut self, task: TaskId, now_ms: u64) -> bool {
        self.count = self.count.saturating_add(1);
        self.retry_at_ms = now_ms + delay_ms(task, self.count);
        self.count == QUICK_ATTEMPTS + 1
    }
    /// Notes a success; true when the task had been parked.
    pub(super) fn clear(&mut self) -> bool {
        let parked = self.parked();
        self.count = 0;
        parked
    }
    /// Whether the quick attempts are used up.
    pub(super) fn parked(&self) -> bool {
        self.count > QUICK_ATTEMPTS
    }
}

/// 100, 200, 400 ms; then probes at 1 s doubling to 30 s. Up to a quarter is added, derived from
/// the task so that tasks do not knock together and a run can be repeated.
fn delay_ms(task: TaskId, count: u32) -> u64 {
    let delay = if count <= QUICK_ATTEMPTS {
        BASE_MS << (count - 1)
    } else {
        (PROBE_MS_MIN << (count - QUICK_ATTEMPTS - 1).min(8)).min(PROBE_MS_MAX)
    };
    let seed = u64::from(task.partition) * 31 + u64::from(count) * 17 + task.agent as u64 * 7;
    delay + (delay / 4) * (seed % 16) / 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AgentName;

    #[test]
    fn the_fourth_fault_in_a_row_parks_and_probes_stay_within_their_bound() {
        let task = TaskId {
            agent: AgentName::Cost,
            partition: 3,
        };
        let mut faults = Faults::default();
        let parked: Vec<bool> = (0..5).map(|_| faults.note(task, 0)).collect();
        assert_eq!(parked, [false, false, false, true, false]);
        for _ in 0..100 {
            faults.note(task, 0);
        }
        assert!(faults.retry_at_ms <= PROBE_MS_MAX * 5 / 4);
        assert!(!faults.ready(faults.retry_at_ms - 1) && faults.ready(faults.retry_at_ms));
        assert!(faults.clear() && faults.ready(0));
    }
}
