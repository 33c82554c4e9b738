//! Performance, bottlenecks, scaling.

pub mod burst_exhausted;
pub mod credits_exhausted;
pub mod high_cpu;
