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
