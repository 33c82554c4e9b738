//! Performance, bottlenecks, scaling.

pub mod burst_exhausted;
pub mod credits_exhausted;
pub mod failing_targets;
pub mod high_cpu;
pub mod nat_ports_exhausted;
