//! One child process that cannot outlive the test.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// A running child in a process group of its own, its output in a file.
///
/// Beside it runs a watchdog: a shell that reads a pipe whose other end only this process holds. If the test process
/// dies, by whatever signal, the pipe ends and the watchdog kills the child's group.
pub(crate) struct Service {
    name: String,
    child: Child,
    watchdog: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command` with both outputs going to the new file `log`.
    pub(crate) fn spawn(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::create(log).expect("the log file can be made");
        let second = file.try_clone().expect("the log file can be shared");
        command.stdout(file).stderr(second);
        Self::spawn_with_output(name, command, log)
    }

    /// Starts `command`, whose outputs are already directed; `log` is what [`Service::log`] reads.
    pub(crate) fn spawn_with_output(name: &str, mut command: Command, log: &Path) -> Self {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let watchdog = Command::new("sh")
            .args(["-c", r#"read -r _ || kill -s KILL -- "-$0""#])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        Self {
            name: name.to_owned(),
            child,
            watchdog,
            log: log.to_owned(),
        }
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The child's standard output, if it was piped and not yet taken.
    pub(crate) fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`, `INT`, …) to the child alone.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, signal])
            .arg(self.pid().to_string())
            .stderr(Stdio::null())
            .status()
            .expect("sh can be started");
        assert!(status.success(), "cannot send {signal} to {}", self.name);
    }

    /// Waits until `line` is in its output; panics with the output if it ends or takes longer than [`DEADLINE`].
    pub(crate) fn await_line(&mut self, line: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            if log.contains(line) {
                return;
            }
            if let Some(status) = self.ended() {
                panic!(
                    "{} ended ({status}) before \"{line}\":\n{}",
                    self.name,
                    tail(&log)
                );
            }
            assert!(
                Instant::now() < deadline,
                "{} did not say \"{line}\" in {DEADLINE:?}:\n{}",
                self.name,
                tail(&log)
            );
            std::thread::sleep(POLL);
        }
    }

    /// Waits until it has ended.
    pub(crate) fn await_end(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} still runs after {within:?}:\n{}",
                self.name,
                tail(&self.log())
            );
            std::thread::sleep(POLL);
        }
    }

    /// SIGTERM, then waits for its end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal("TERM");
        }
        self.await_end(DEADLINE)
    }

    /// SIGKILL, then waits for its end.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // A line, not the end of the pipe: the process id may already be another's.
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.watchdog.wait();
    }
}

/// How often a condition is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Looks until `probe` gives something; panics naming `what` after `within`.
pub(crate) fn await_until<T>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    await_of(&mut (), within, |()| probe(), |()| what.to_owned())
}

/// The same of something that changes as it is looked at, and that says in the end what is missing.
pub(crate) fn await_of<S, T>(
    of: &mut S,
    within: Duration,
    mut probe: impl FnMut(&mut S) -> Option<T>,
    missing: impl FnOnce(&mut S) -> String,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe(of) {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "not within {within:?}: {}",
            missing(of)
        );
        std::thread::sleep(POLL);
    }
}

/// A loopback port nobody listens on.
///
/// Taken below the range from which the kernel picks ports of outgoing connections, so that a server can be stopped
/// and started on the same port without another test's connection having taken it meanwhile.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes running at once start at different places.
    let start = (std::process::id().wrapping_mul(977) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port from {FIRST} on");
}

/// The end of a log, enough to see why a server gave up.
pub(crate) fn tail(log: &str) -> &str {
    const SHOWN: usize = 4_000;
    let mut start = log.len().saturating_sub(SHOWN);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    &log[start..]
}
