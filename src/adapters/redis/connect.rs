//! Connections: opened in bounded time, checked once, dropped at the first error.

use std::fs;
use std::path::Path;

use parking_lot::Mutex;
use redis::{
    ClientTlsConfig, Connection, ConnectionAddr, ConnectionInfo, ConnectionLike,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode,
    Value,
    cluster::{ClusterClient, ClusterConnection},
};

use super::error::port_error;
use super::options::{RedisMode, RedisOptions, RedisTls};
use crate::ports::{PortError, PortResult};

/// Idle connections kept; more are closed after use.
const IDLE_MAX: usize = 8;
/// Redirections and retries inside one cluster call.
const CLUSTER_RETRIES: u32 = 4;
/// Longest pause between them, in milliseconds.
const CLUSTER_RETRY_WAIT_MS: u64 = 200;

enum Link {
    One(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}
impl Link {
    fn as_dyn(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::One(connection) => &mut **connection,
            Self::Cluster(connection) => &mut **connection,
        }
    }
}

/// Hands out connections, one a call.
pub(super) struct Pool {
    options: RedisOptions,
    certificates: Option<TlsCertificates>,
    cluster: Option<ClusterClient>,
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    pub(super) fn new(options: RedisOptions) -> PortResult<Self> {
        if options.addresses.is_empty() {
            return Err(PortError::Fatal(
                "no Redis is configured; set redis.addresses".into(),
            ));
        }
        let certificates = options.tls.as_ref().map(read_certificates).transpose()?;
        if certificates.is_some() {
            // An error only says that a provider was chosen before, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut pool = Self {
            options,
            certificates,
            cluster: None,
            idle: Mutex::new(Vec::new()),
        };
        if pool.options.mode == RedisMode::Cluster {
            pool.cluster = Some(
                pool.cluster_client()
                    .map_err(|error| port_error("set up the cluster of", &error))?,
            );
        }
        Ok(pool)
    }

    /// Runs `call`. A connection that was idle may have died unnoticed, so its failure is tried
    /// once more on a fresh one; every call of the store may be repeated.
    pub(super) fn run<T>(
        &self,
        doing: &str,
        mut call: impl FnMut(&mut dyn ConnectionLike) -> RedisResult<T>,
    ) -> PortResult<T> {
        let idle = self.idle.lock().pop();
        if let Some(mut link) = idle {
            match call(link.as_dyn()) {
                Ok(value) => {
                    self.keep(link);
                    return Ok(value);
                }
                Err(error) if error.is_timeout() || !is_broken(&error) => {
                    return Err(port_error(doing, &error));
                }
                // The others have probably died of the same.
                Err(_) => self.idle.lock().clear(),
            }
        }
        let mut link = self.open()?;
        let value = call(link.as_dyn()).map_err(|error| port_error(doing, &error))?;
        self.keep(link);
        Ok(value)
    }

    fn keep(&self, link: Link) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }

    fn open(&self) -> PortResult<Link> {
        let mut link = self
            .connect()
            .map_err(|error| port_error("connect to", &error))?;
        refuse_eviction(link.as_dyn())?;
        Ok(link)
    }

    fn connect(&self) -> RedisResult<Link> {
        if let Some(cluster) = &self.cluster {
            return Ok(Link::Cluster(Box::new(cluster.get_connection()?)));
        }
        let default_port = match self.options.mode {
            RedisMode::Sentinel { .. } => 26_379,
            _ => 6_379,
        };
        let mut last = None;
        for address in &self.options.addresses {
            let (host, port) = split_address(address, default_port);
            let opened = match &self.options.mode {
                RedisMode::Sentinel { service } => self.connect_master(host, port, service),
                _ => self.connect_to(host, port, self.login()),
            };
            match opened {
                Ok(connection) => return Ok(Link::One(Box::new(connection))),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            RedisError::from((redis::ErrorKind::InvalidClientConfig, "no address"))
        }))
    }

    /// Asks a Sentinel for the master and connects to it.
    ///
    /// Not the library's Sentinel client, whose connections to Sentinels wait without bound.
    fn connect_master(&self, host: &str, port: u16, service: &str) -> RedisResult<Connection> {
        let options = &self.options;
        let mut login = RedisConnectionInfo::default();
        if let Some(username) = &options.sentinel_username {
            login = login.set_username(username);
        }
        if let Some(password) = &options.sentinel_password {
            login = login.set_password(password);
        }
        let mut sentinel = self.connect_to(host, port, login)?;
        let master: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(service)
            .query(&mut sentinel)?;
        let (host, port) = master.ok_or_else(|| {
            RedisError::from((
                redis::ErrorKind::MasterNameNotFoundBySentinel,
                "the Sentinel knows no service of that name",
                service.to_owned(),
            ))
        })?;
        let mut connection = self.connect_to(&host, port, self.login())?;
        let role: Vec<Value> = redis::cmd("ROLE").query(&mut connection)?;
        let role: String = match role.into_iter().next() {
            Some(first) => redis::from_redis_value(first)?,
            None => String::new(),
        };
        if role == "master" {
            return Ok(connection);
        }
        Err(RedisError::from((
            redis::ErrorKind::Io,
            "the Sentinel names a server that is no master; a failover is under way",
            format!("{host}:{port} is {role}"),
        )))
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.options.db);
        if let Some(username) = &self.options.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.options.password {
            login = login.set_password(password);
        }
        login
    }

    fn connect_to(
        &self,
        host: &str,
        port: u16,
        login: RedisConnectionInfo,
    ) -> RedisResult<Connection> {
        let info = self.address(host, port)?.set_redis_settings(login);
        let client = match &self.certificates {
            Some(certificates) => redis::Client::build_with_tls(info, certificates.clone())?,
            None => redis::Client::open(info)?,
        };
        let connection = client.get_connection_with_timeout(self.options.connect_timeout)?;
        connection.set_read_timeout(Some(self.options.response_timeout))?;
        connection.set_write_timeout(Some(self.options.response_timeout))?;
        Ok(connection)
    }

    fn address(&self, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
        match &self.certificates {
            Some(_) => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: false,
                tls_params: None,
            },
            None => ConnectionAddr::Tcp(host.to_owned(), port),
        }
        .into_connection_info()
    }

    fn cluster_client(&self) -> RedisResult<ClusterClient> {
        let options = &self.options;
        let seeds = options
            .addresses
            .iter()
            .map(|address| {
                let (host, port) = split_address(address, 6_379);
                self.address(host, port)
            })
            .collect::<RedisResult<Vec<_>>>()?;
        let mut builder = ClusterClient::builder(seeds)
            .retries(CLUSTER_RETRIES)
            .max_retry_wait(CLUSTER_RETRY_WAIT_MS)
            .connection_timeout(options.connect_timeout)
            .response_timeout(options.response_timeout);
        if let Some(username) = &options.username {
            builder = builder.username(username);
        }
        if let Some(password) = &options.password {
            builder = builder.password(password);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        builder.build()
    }
}

/// Whether the connection, rather than the command, failed.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

fn split_address(address: &str, default_port: u16) -> (&str, u16) {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => match port.parse() {
            Ok(port) => (host.trim_start_matches('[').trim_end_matches(']'), port),
            Err(_) => (address, default_port),
        },
        _ => (address, default_port),
    }
}

fn read_certificates(tls: &RedisTls) -> PortResult<TlsCertificates> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| {
            PortError::Fatal(format!(
                "cannot read {} of redis.tls: {error}",
                path.display()
            ))
        })
    };
    Ok(TlsCertificates {
        root_cert: tls.ca_file.as_deref().map(read).transpose()?,
        client_tls: match &tls.client {
            Some((certificate, key)) => Some(ClientTlsConfig {
                client_cert: read(certificate)?,
                client_key: read(key)?,
            }),
            None => None,
        },
    })
}

/// Refuses a server that may drop keys when its memory is full: what it dropped would be findings
/// that never clear and wakes that never come.
fn refuse_eviction(connection: &mut dyn ConnectionLike) -> PortResult<()> {
    let info: Value = redis::cmd("INFO")
        .arg("memory")
        .query(connection)
        .map_err(|error| port_error("ask for the memory policy of", &error))?;
    let mut text = String::new();
    collect_text(&info, &mut text);
    let limited = text
        .lines()
        .filter_map(|line| line.strip_prefix("maxmemory:"))
        .any(|limit| limit.trim() != "0");
    let evicting = text
        .lines()
        .filter_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map(str::trim)
        .find(|policy| *policy != "noeviction");
    match evicting {
        Some(policy) if limited => Err(PortError::Fatal(format!(
            "this Redis evicts keys when its memory is full (maxmemory-policy {policy}), which would lose open findings; set maxmemory-policy noeviction"
        ))),
        _ => Ok(()),
    }
}

/// All text of an answer; a cluster answers with one text a node.
fn collect_text(value: &Value, into: &mut String) {
    match value {
        Value::BulkString(bytes) => {
            into.push_str(&String::from_utf8_lossy(bytes));
            into.push('\n');
        }
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            into.push_str(text);
            into.push('\n');
        }
        Value::Array(values) | Value::Set(values) => {
            for value in values {
                collect_text(value, into);
            }
        }
        Value::Map(pairs) => {
            for (_, value) in pairs {
                collect_text(value, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::split_address;

    #[test]
    fn an_address_may_leave_out_its_port() {
        assert_eq!(split_address("redis", 6379), ("redis", 6379));
        assert_eq!(split_address("redis:7000", 6379), ("redis", 7000));
        assert_eq!(split_address("[::1]:7000", 6379), ("::1", 7000));
    }
}
