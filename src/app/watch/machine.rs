//! How much memory this process holds and may hold, as Linux tells it.

use std::path::Path;

use crate::ports::Usage;

/// Where the limit of the process's own control group stands inside a container (cgroup v2).
const LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// What the process holds of what it may; `None` where the system does not say.
pub(super) fn process_memory() -> Option<Usage> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let limit = std::fs::read_to_string(Path::new(LIMIT)).ok();
    Some(Usage {
        bytes: kibibytes(&status, "VmRSS:")?,
        bound: limit
            .and_then(|text| text.trim().parse().ok())
            .or_else(|| kibibytes(&machine?, "MemTotal:")),
    })
}

/// The number of a line such as `VmRSS:   1024 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_read() {
        assert_eq!(
            kibibytes("VmPeak:\t 9 kB\nVmRSS:\t   2048 kB\n", "VmRSS:"),
            Some(2 << 20)
        );
        assert_eq!(kibibytes("VmRSS: none", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_holds_some_of_what_it_may() {
        let usage = process_memory().unwrap();
        assert!(usage.bytes > 1 << 20);
        assert!(usage.bound.unwrap() > usage.bytes);
    }
}
