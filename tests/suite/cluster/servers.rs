//! Real servers for one test: started on free loopback ports, killed when dropped.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest wait for a server to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A server process, killed by its own handle.
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` and waits for a line of its output that contains `ready`.
    pub(super) fn start(command: &mut Command, ready: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = child.stdout.take().expect("stdout was piped");
        let (sender, lines) = mpsc::channel();
        // Reads on after the server is ready, so that it never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let process = Self { child };
        let deadline = Instant::now() + READY_WITHIN;
        let mut heard = Vec::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(ready) => return process,
                Ok(line) => heard.push(line),
                Err(_) => panic!(
                    "the server did not get ready; it said:\n{}",
                    heard.join("\n")
                ),
            }
        }
    }

    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
        .port()
}

/// The value of `name`, or a plain word that the test was not run.
fn from_environment(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("not run: {name} is not set; `./dev test` sets it");
    }
    value
}

/// One redis-server.
pub(super) struct Redis {
    pub(super) process: Process,
    pub(super) port: u16,
    program: String,
    args: Vec<String>,
    directory: tempfile::TempDir,
}

impl Redis {
    /// A server with `args` after the defaults; `port` in them wins. `None` where there is none.
    pub(super) fn start(args: &[&str]) -> Option<Self> {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), args)
    }

    pub(super) fn start_in(directory: tempfile::TempDir, args: &[&str]) -> Option<Self> {
        let program = from_environment("SKYHERD_REDIS_SERVER")?;
        let port = free_port();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = Self::spawn(&program, port, directory.path(), &args);
        Some(Self {
            process,
            port,
            program,
            args,
            directory,
        })
    }

    fn spawn(program: &str, port: u16, directory: &Path, args: &[String]) -> Process {
        let mut command = Command::new(program);
        command
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--daemonize",
                "no",
                "--dir",
            ])
            .arg(directory);
        if !args.iter().any(|arg| arg == "--tls-port") {
            command.args(["--port", &port.to_string()]);
        }
        // `PORT` stands for the port, which is drawn only here.
        command.args(
            args.iter()
                .map(|arg| arg.replace("PORT", &port.to_string())),
        );
        Process::start(&mut command, "Ready to accept connections")
    }

    pub(super) fn restart(&mut self) {
        self.process.kill();
        self.process = Self::spawn(&self.program, self.port, self.directory.path(), &self.args);
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Certificates of a throw-away authority for `localhost`, made by the openssl command.
pub(super) struct Certificates {
    pub(super) directory: tempfile::TempDir,
}

impl Certificates {
    pub(super) fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let made = Self { directory };
        made.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        made.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ]);
        std::fs::write(
            made.path("extensions"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
        )
        .expect("the folder is writable");
        made.openssl(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            "server.pem",
        ]);
        made
    }

    pub(super) fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl")
            .args(args)
            .current_dir(self.directory.path())
            .output()
            .expect("the openssl command is installed");
        assert!(
            output.status.success(),
            "openssl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
