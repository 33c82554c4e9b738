//! Keeps librdkafka from acting on memory that it never wrote.
//!
//! In librdkafka 2.12 a broker that restarts can make it take partitions for told that were not
//! (its issue 5280, open): their numbers, leaders and epochs are what happened to lie in memory.
//! The process then crashes, or a partition is never fetched again. Filled with 0x7f, such a
//! partition has a number beyond any topic, and librdkafka passes it over.

/// glibc's settings: fill what is handed out with the complement of 128, and hand nothing out
/// unfilled. Rust's own allocations are another allocator's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TUNABLES: &str = "glibc.malloc.perturb=128:glibc.malloc.tcache_count=0";

/// Starts the process anew under the same number, once, since glibc reads its settings only then.
/// To be called before anything was begun. Where there is no glibc it does nothing.
///
/// # Errors
/// When that fails; the process can go on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn fill_unwritten_memory() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;

    const NAME: &str = "GLIBC_TUNABLES";
    let set = std::env::var(NAME).unwrap_or_default();
    // Whoever set it to another value wants that.
    if set.contains("glibc.malloc.perturb") {
        return Ok(());
    }
    let set = match set.as_str() {
        "" => TUNABLES.to_owned(),
        set => format!("{set}:{TUNABLES}"),
    };
    let mut args = std::env::args_os();
    let mut process = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = args.next() {
        process.arg0(name);
    }
    Err(process.args(args).env(NAME, set).exec())
}

/// Starts the process anew under the same number, once, since glibc reads its settings only then.
/// To be called before anything was begun. Where there is no glibc it does nothing.
///
/// # Errors
/// None here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn fill_unwritten_memory() -> std::io::Result<()> {
    Ok(())
}
