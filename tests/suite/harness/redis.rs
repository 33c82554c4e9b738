//! A Redis server of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{NamedTempFile, TempDir};

use super::certs::Certs;
use super::require_redis;
use super::service::{Service, await_until, free_port};

const PASSWORD: &str = "only-for-tests";
const USER: &str = "skyherd";

/// What differs from a plain server without persistence.
#[derive(Clone, Debug, Default)]
pub(crate) struct RedisOptions {
    /// One node that owns all slots of a Redis Cluster.
    pub(crate) cluster: bool,
    /// TLS only, and the default user is off: clients log in as `skyherd`.
    pub(crate) secure: bool,
    /// Further directives of `redis.conf`, name and value, set last.
    pub(crate) directives: Vec<(String, String)>,
}

/// A running server. Dropping it kills it and removes its data.
pub(crate) struct Redis {
    service: Option<Service>,
    port: u16,
    certs: Option<Certs>,
    program: PathBuf,
    starts: u32,
    folder: TempDir,
}

/// A saved data set, to which [`Redis::restore`] goes back.
pub(crate) struct Dump(NamedTempFile);

impl Redis {
    /// A running server, or `None` after saying that there is none to run.
    pub(crate) fn start(options: &RedisOptions) -> Option<Self> {
        let program = require_redis()?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let certs = options.secure.then(|| Certs::make(folder.path()));
        let port = free_port();
        let text = configuration(port, certs.as_ref(), folder.path(), options);
        std::fs::write(folder.path().join("redis.conf"), text).expect("the folder can be written");
        let mut redis = Self {
            service: None,
            port,
            certs,
            program,
            starts: 0,
            folder,
        };
        redis.run();
        if options.cluster {
            redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
            redis.await_cluster();
        }
        Some(redis)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL with which `skyherd` reaches it.
    pub(crate) fn url(&self) -> String {
        match self.certs {
            Some(_) => format!("rediss://{USER}:{PASSWORD}@127.0.0.1:{}/", self.port),
            None => format!("redis://127.0.0.1:{}/", self.port),
        }
    }

    /// The certificates of a secure server.
    pub(crate) fn certs(&self) -> &Certs {
        self.certs.as_ref().expect("RedisOptions::secure was given")
    }

    /// SIGTERM without saving.
    pub(crate) fn stop(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.stop();
        }
    }

    /// SIGKILL: all data since the last [`Redis::save`] is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill();
        }
    }

    /// Starts it again on the same port, with the data of the last save; a running one is stopped first.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        self.running().signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.running().signal("CONT");
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// Saves the data set, both as what a restart begins with and as a copy to go back to.
    pub(crate) fn save(&self) -> Dump {
        assert_eq!(self.cli(&["SAVE"]), "OK", "SAVE");
        let copy = NamedTempFile::new().expect("a temporary file can be made");
        std::fs::copy(self.dump_file(), copy.path()).expect("the dump can be copied");
        Dump(copy)
    }

    /// Kills the server and starts it with an earlier data set, as an operator does who restores a dump.
    pub(crate) fn restore(&mut self, dump: &Dump) {
        self.kill();
        std::fs::copy(dump.0.path(), self.dump_file()).expect("the dump can be copied");
        self.run();
    }

    /// Empties it.
    pub(crate) fn flushall(&self) {
        assert_eq!(self.cli(&["FLUSHALL"]), "OK", "FLUSHALL");
    }

    /// Runs one command by `redis-cli` and gives the answer's text.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(certs) = &self.certs {
            command
                .args([
                    "--tls",
                    "--user",
                    USER,
                    "--pass",
                    PASSWORD,
                    "--no-auth-warning",
                    "--cacert",
                ])
                .arg(&certs.authority);
        }
        let output = command
            .args(words)
            .output()
            .expect("redis-cli is installed (./dev test installs it)");
        assert!(
            output.status.success(),
            "redis-cli {words:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    fn running(&self) -> &Service {
        self.service.as_ref().expect("Redis was started")
    }

    fn dump_file(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn run(&mut self) {
        self.starts += 1;
        let log = self
            .folder
            .path()
            .join(format!("redis-{}.log", self.starts));
        let mut command = Command::new(&self.program);
        command.arg(self.folder.path().join("redis.conf"));
        let mut service = Service::spawn("redis-server", command, &log);
        service.await_line("Ready to accept connections");
        self.service = Some(service);
    }

    fn await_cluster(&self) {
        await_until("cluster_state:ok", super::DEADLINE, || {
            self.cli(&["CLUSTER", "INFO"])
                .contains("cluster_state:ok")
                .then_some(())
        });
    }
}

fn configuration(
    port: u16,
    certs: Option<&Certs>,
    folder: &Path,
    options: &RedisOptions,
) -> String {
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", folder.display()),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        "daemonize no".to_owned(),
    ];
    match certs {
        None => lines.push(format!("port {port}")),
        Some(certs) => lines.extend([
            "port 0".to_owned(),
            format!("tls-port {port}"),
            format!("tls-cert-file {}", certs.certificate.display()),
            format!("tls-key-file {}", certs.key.display()),
            format!("tls-ca-cert-file {}", certs.authority.display()),
            "tls-auth-clients no".to_owned(),
            "user default off".to_owned(),
            format!("user {USER} on >{PASSWORD} ~* &* +@all"),
        ]),
    }
    if options.cluster {
        lines.push("cluster-enabled yes".to_owned());
        lines.push(format!("cluster-port {}", free_port()));
    }
    for (name, value) in &options.directives {
        lines.push(format!("{name} {value}"));
    }
    lines.join("\n") + "\n"
}
