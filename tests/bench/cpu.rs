//! Processor time, as the kernel accounts it: user and system, of every thread.

use std::fs;

/// Ticks a second of `/proc/<pid>/stat`: fixed for programs on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of this process so far, in seconds.
pub(crate) fn own() -> f64 {
    fields(13)
}

/// Of children that have ended and were waited for, in seconds.
pub(crate) fn ended_children() -> f64 {
    fields(15)
}

/// The sum of two neighbouring fields of the stat line, numbered from 0.
fn fields(first: usize) -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name stands in brackets and may hold spaces.
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: f64 = rest
        .split(' ')
        .skip(first - 2)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

/// What the whole machine has spent so far, in ticks: at work, and altogether.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    busy: f64,
    all: f64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal
        let ticks: Vec<f64> = first
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        let all: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Self {
            busy: all - idle,
            all,
        }
    }

    /// The share of all cores that was at work since then, from 0 to 1.
    pub(crate) fn busy_since(self) -> f64 {
        let now = Self::now();
        (now.busy - self.busy) / (now.all - self.all).max(1.0)
    }
}
