//! The built `skyherd` program as a child process.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;
use super::service::{POLL, Service, tail};

/// A running `skyherd`. Dropping it kills it.
pub(crate) struct Proc {
    service: Service,
    _folder: TempDir,
}

/// A `skyherd` that ran to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `skyherd` with the arguments, without this process's `SKYHERD_*` and log variables.
pub(crate) fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skyherd"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKYHERD_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    // A test that is about the watch sets its own.
    command.env("SKYHERD_WATCH__INTERVAL_MS", "0");
    command.args(args);
    command
}

impl Proc {
    /// Starts `skyherd` with the arguments and further environment variables.
    pub(crate) fn spawn<S: AsRef<OsStr>>(
        args: impl IntoIterator<Item = S>,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = command(args);
        command.envs(environment.iter().copied());
        let log = folder.path().join("skyherd.log");
        Self {
            service: Service::spawn("skyherd", command, &log),
            _folder: folder,
        }
    }

    /// The environment it runs in, as the kernel shows it.
    pub(crate) fn environment(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/environ", self.pid())).expect("it runs")
    }

    /// Runs `skyherd` to its end, in `folder`, with `input` as standard input.
    pub(crate) fn run<S: AsRef<OsStr>>(
        args: impl IntoIterator<Item = S>,
        folder: &Path,
        input: &str,
    ) -> Finished {
        Self::run_with(args, folder, input, &[])
    }

    /// The same, with an environment.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        args: impl IntoIterator<Item = S>,
        folder: &Path,
        input: &str,
        environment: &[(&str, &str)],
    ) -> Finished {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), input).expect("the file can be written");
        let output = command(args)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::from(file.reopen().expect("the file can be read")))
            .output()
            .expect("skyherd was built");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Both outputs so far.
    pub(crate) fn log(&self) -> String {
        self.service.log()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.service.kill()
    }

    /// SIGTERM and wait.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.service.stop()
    }

    /// SIGSTOP: it stays a member of its groups until they notice.
    pub(crate) fn pause(&self) {
        self.service.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.service.signal("CONT");
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.service.ended()
    }

    /// Waits until `line` is in its output.
    pub(crate) fn await_line(&mut self, line: &str) {
        self.service.await_line(line);
    }

    /// Waits until `http://<listen>/readyz` answers 200: it takes work.
    pub(crate) fn await_ready(&mut self, listen: &str) {
        self.await_ok(listen, "/readyz");
    }

    /// Waits until `http://<listen>/readyz?quiesced` answers 200: everything appended so far is decided and saved.
    pub(crate) fn await_quiesced(&mut self, listen: &str) {
        self.await_ok(listen, "/readyz?quiesced");
    }

    fn await_ok(&mut self, listen: &str, path: &str) {
        let url = format!("http://{listen}{path}");
        let service = &mut self.service;
        let mut last;
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = service.ended() {
                panic!(
                    "skyherd ended ({status}) before {url} answered:\n{}",
                    service.log()
                );
            }
            match get(&url) {
                Ok((200, _)) => return,
                Ok((status, body)) => last = format!("{status} {body}"),
                Err(error) => last = error,
            }
            assert!(
                Instant::now() < deadline,
                "no 200 from {url} in {DEADLINE:?}, last: {last}
{}",
                tail(&service.log())
            );
            std::thread::sleep(POLL);
        }
    }
}

/// One GET: status and body, or why there was no answer.
pub(crate) fn get(url: &str) -> Result<(u16, String), String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    let body = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())?;
    Ok((answer.status().as_u16(), body))
}
