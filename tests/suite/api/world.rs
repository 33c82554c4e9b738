//! A service with every agent on an embedded log of its own, asked over its socket.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skyherd::app::{self, Backend, Handle};
use skyherd::config::Config;
use skyherd::http::{Access, router, serve};
use skyherd::model::AgentName;
use skyherd::telemetry::Metrics;

use crate::harness::{DEADLINE, await_until};

pub(crate) const ACCOUNT: &str = "111122223333";

pub(crate) struct World {
    pub(crate) handle: Arc<Handle>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) address: std::net::SocketAddr,
    agent: ureq::Agent,
    service: Option<app::Service>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: Option<tokio::runtime::Runtime>,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn open() -> Self {
        Self::with(&AgentName::ALL, Access::new(true))
    }

    pub(crate) fn with(agents: &[AgentName], access: Access) -> Self {
        Self::prepared(agents, access, |_| {})
    }

    /// With records in the log before anything runs.
    pub(crate) fn prepared(
        agents: &[AgentName],
        access: Access,
        prepare: impl FnOnce(&dyn Backend),
    ) -> Self {
        Self::started(Config::default(), agents, access, prepare)
    }

    /// With settings of its own, but for the data directory and the partitions.
    pub(super) fn configured(config: Config) -> Self {
        Self::started(config, &AgentName::ALL, Access::new(true), |_| {})
    }

    fn started(
        config: Config,
        agents: &[AgentName],
        access: Access,
        prepare: impl FnOnce(&dyn Backend),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().to_owned(),
            partitions: 4,
            ..config
        };
        let backend = app::open(&config).unwrap();
        prepare(&*backend);
        let backend_too = Arc::clone(&backend);
        let metrics = Arc::new(Metrics::default());
        let service = app::Service::start(&config, agents, backend, metrics).unwrap();
        let handle = service.handle();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let routes = router(Arc::clone(&handle) as _, access);
        runtime.spawn(serve(listener, routes, async move {
            let _ = stopped.await;
        }));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(DEADLINE))
            .build()
            .into();
        Self {
            handle,
            backend: backend_too,
            address,
            agent,
            service: Some(service),
            stop: Some(stop),
            runtime: Some(runtime),
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and body, which is null when it is no JSON.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(self.agent.run(request.body(()).unwrap()).unwrap())
    }

    /// The answer, which must be 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &[]);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Posts a body with these headers.
    pub(super) fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(request.send(body).unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let request = self.agent.post(self.url(path));
        answered(request.content_type("application/json").send(body).unwrap())
    }

    /// Publishes one record, which must be taken.
    pub(crate) fn publish(&self, topic: &str, record: &Value) {
        let path = format!("/api/v1/events?topic={topic}");
        let (status, answer) = self.post(&path, record.to_string().as_bytes());
        assert_eq!(status, 202, "{answer}");
    }

    /// Waits until the agents have nothing left to do.
    pub(crate) fn quiet(&self) {
        await_until("the agents are quiet", DEADLINE, || {
            let (status, _) = self.ask("GET", "/readyz?quiesced", &[]);
            (status == 200).then_some(())
        });
    }

    /// Opens the live stream; `after` is the last id heard.
    pub(crate) fn stream(&self, after: Option<&str>) -> Stream {
        let mut request = self.agent.get(self.url("/api/v1/stream"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let answer = request.call().unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream {
            lines: BufReader::new(Box::new(answer.into_body().into_reader())),
        }
    }

    /// Waits until a list has that many rows, and gives them.
    pub(crate) fn rows(&self, path: &str, name: &str, count: usize) -> Vec<Value> {
        await_until(path, DEADLINE, || {
            let rows = self.get(path)[name].as_array().unwrap().clone();
            (rows.len() == count).then_some(rows)
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
        if let Some(service) = self.service.take() {
            let stopped = service.stop();
            assert!(std::thread::panicking() || stopped.is_ok(), "{stopped:?}");
        }
    }
}

/// One event of the live stream.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// A connection to the live stream; dropping it is a disconnect.
pub(crate) struct Stream {
    lines: BufReader<Box<dyn Read>>,
}

impl Stream {
    /// The next event; waits for it.
    pub(crate) fn next(&mut self) -> Event {
        let mut event = Event {
            kind: String::new(),
            id: String::new(),
            data: Value::Null,
        };
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("event", kind)) => event.kind = kind.into(),
                Some(("id", id)) => event.id = id.into(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line == "\n" && !event.kind.is_empty() => return event,
                _ => {}
            }
        }
    }

    /// The next event that is not `agents`.
    pub(crate) fn change(&mut self) -> Event {
        loop {
            let event = self.next();
            if event.kind != "agents" {
                return event;
            }
        }
    }
}

fn answered(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let text = answer.body_mut().read_to_string().unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    (answer.status().as_u16(), body)
}

/// A security group that lets anybody in, as inventory shows it.
pub(crate) fn opened_group(id: &str) -> Value {
    group(
        id,
        &json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]),
    )
}

/// The group with these permissions.
pub(crate) fn group(id: &str, permissions: &Value) -> Value {
    item(
        "security-group",
        &json!({"GroupId": id, "GroupName": "web", "IpPermissions": permissions}),
    )
}

/// An inventory record.
pub(crate) fn item(kind: &str, item: &Value) -> Value {
    json!({
        "account": ACCOUNT,
        "region": "eu-west-1",
        "kind": kind,
        "observed_at": "2026-11-01T00:00:00Z",
        "item": item,
    })
}
