//! The closed list of metrics.

use super::Signal;

/// One metric of the closed list.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec {
    /// `skyherd_<noun>_<unit>[_total]`.
    pub name: &'static str,
    /// What it says, with its unit.
    pub help: &'static str,
    /// Label names; values come from closed sets.
    pub labels: &'static [&'static str],
}

/// The registry of one process.
#[derive(Default, Debug)]
pub struct Metrics {}

impl Metrics {
    /// Writes the metric and, where wanted, the log line.
    pub fn emit(&self, _signal: &Signal<'_>) {}
}
