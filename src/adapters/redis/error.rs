//! What Redis' errors mean to the caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::ports::PortError;

/// The port error of `error`, met when we wanted to `doing` Redis.
pub(super) fn port_error(doing: &str, error: &RedisError) -> PortError {
    let text = format!("could not {doing} Redis: {error}");
    match hint(error) {
        Some(hint) => PortError::Fatal(format!("{text}; {hint}")),
        None if error.code() == Some("OOM") => PortError::Transient(format!(
            "{text}; its memory is full: raise maxmemory or add shards"
        )),
        None if error.code() == Some("MISCONF") => PortError::Transient(format!(
            "{text}; it cannot write its dump: look at its disk and log"
        )),
        None => PortError::Transient(text),
    }
}

/// How to mend what waiting does not mend; `None` for what may pass.
fn hint(error: &RedisError) -> Option<&'static str> {
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => return Some("check redis.username and redis.password"),
        Some("NOPERM") => {
            return Some(
                "grant the user the keys `{<prefix>:*` and the commands +@read +@write +@scripting +@connection +info +cluster",
            );
        }
        Some("OOM" | "MISCONF" | "BUSY" | "NOREPLICAS" | "UNBLOCKED" | "LOADING") => return None,
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Some("check redis.username and redis.password"),
        ErrorKind::InvalidClientConfig => Some("check the redis section of the configuration"),
        ErrorKind::MasterNameNotFoundBySentinel => Some("check redis.service"),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Some("grant the user the keys and commands Skyherd uses")
        }
        ErrorKind::Server(ServerErrorKind::CrossSlot) => {
            Some("the keys of a task are not in one slot; is a proxy rewriting them?")
        }
        ErrorKind::Server(ServerErrorKind::ResponseError) => Some(
            "the server does not do as Redis 6.2 or later does; check what is at redis.addresses",
        ),
        ErrorKind::UnexpectedReturnType | ErrorKind::Extension => {
            Some("the keys may belong to another program; choose another redis.prefix")
        }
        ErrorKind::Io if is_certificate(error) => Some(
            "the server's certificate is not trusted; check redis.tls.ca_file and the host name",
        ),
        _ => None,
    }
}

fn is_certificate(error: &RedisError) -> bool {
    let text = error.to_string();
    text.contains("certificate") || text.contains("UnknownIssuer")
}

/// What is stored is not what we write.
pub(super) fn unreadable(what: &str, why: &str) -> PortError {
    PortError::Fatal(format!(
        "cannot read {what} in Redis: {why}; another program may use these keys, choose another redis.prefix"
    ))
}
