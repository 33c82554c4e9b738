//! AWS's APIs on loopback (moto), what puts things there and reads them back (boto3), and a proxy
//! that stands between and misbehaves as AWS can.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::harness::{DEADLINE, Service, await_until, free_port, require_tools};

/// The account that moto's own credentials belong to.
pub(super) const HOME: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-1";

/// A running moto. Dropping it stops it.
pub(super) struct Moto {
    tools: PathBuf,
    port: u16,
    _service: Service,
    _folder: tempfile::TempDir,
}

impl Moto {
    /// A server of the test's own, or `None` after saying that there is none.
    pub(super) fn start() -> Option<Self> {
        let tools = require_tools()?;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/pulled/answers.py");
        let mut command = Command::new(tools.join("python3"));
        command.args([script, "-H", "127.0.0.1", "-p", &port.to_string()]);
        let service = Service::spawn("moto", command, &folder.path().join("moto.log"));
        await_until("moto answers", DEADLINE, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(Self {
            tools,
            port,
            _service: service,
            _folder: folder,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts before it what translates CloudWatch's protocol, which moto does not speak.
    pub(super) fn with_cloudwatch(self) -> Bridged {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/pulled/cbor.py");
        let mut command = Command::new(self.tools.join("python3"));
        command.args([script, &port.to_string(), &self.url()]);
        command.envs(environment(&self.url()));
        let service = Service::spawn("cbor", command, &folder.path().join("cbor.log"));
        await_until("the bridge answers", DEADLINE, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Bridged {
            moto: self,
            port,
            _service: service,
            _folder: folder,
        }
    }

    /// Runs Python with boto3 at hand, see [`python`].
    pub(super) fn python(&self, script: &str) -> Value {
        python(&self.tools, &self.url(), script)
    }
}

/// Runs Python with boto3 at hand and nobody to ask, or says that there is none.
pub(super) fn boto3(script: &str) -> Option<Value> {
    let nowhere = "http://127.0.0.1:9";
    Some(python(&require_tools()?, nowhere, script))
}

/// Runs Python with boto3 at hand: `client(service, account)` gives a client. What it assigns to
/// `answer` comes back as JSON.
fn python(tools: &Path, url: &str, script: &str) -> Value {
    let prelude = r#"
import boto3, json, sys
def client(service, account=None, region="eu-west-1"):
    if account is None:
        return boto3.client(service, region_name=region)
    given = boto3.client("sts", region_name=region).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/seed", RoleSessionName="seed")["Credentials"]
    return boto3.client(service, region_name=region, aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given["SessionToken"])
answer = None
"#;
    let ending = "\njson.dump(answer, sys.stdout, default=lambda at: at.isoformat())\n";
    let script = format!("{prelude}{}{ending}", script.trim());
    let output = Command::new(tools.join("python3"))
        .args(["-c", &script])
        .envs(environment(url))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A moto that answers CloudWatch's questions too.
pub(super) struct Bridged {
    pub(super) moto: Moto,
    port: u16,
    _service: Service,
    _folder: tempfile::TempDir,
}

impl Bridged {
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lays down what an operation of Cost Explorer or Budgets is answered, see `cbor.py`.
    pub(super) fn answers(&self, operation: &str, answers: &Value) {
        let url = format!("{}/answers/{operation}", self.url());
        let sent = ureq::post(&url).send(answers.to_string());
        assert!(sent.unwrap().status().is_success());
    }

    /// Runs Python with boto3 at hand, which is answered as the program is; see [`python`].
    pub(super) fn python(&self, script: &str) -> Value {
        python(&self.moto.tools, &self.url(), script)
    }
}

/// What a client of these APIs needs in its environment.
pub(super) fn environment(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        // Nothing of whoever runs the tests.
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
}

/// What is asked, as the proxy sees it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `DescribeVolumes`, …
    pub(super) action: String,
    /// The whole body; the path where there is none.
    pub(super) body: String,
    /// How many requests of this action came before.
    pub(super) before: usize,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Pass,
    /// Waits, then passes.
    Slow(Duration),
    /// Closes the connection.
    Reset,
    /// Passes the answer but for its end, then closes the connection.
    Cut,
    /// An error in EC2's and the query protocol's own form.
    Refuse(u16, &'static str),
}

type Rule = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

struct Inner {
    upstream: u16,
    rule: Mutex<Rule>,
    counts: Mutex<BTreeMap<String, usize>>,
    ended: AtomicBool,
}

/// Stands between a client and moto.
pub(super) struct Proxy {
    inner: Arc<Inner>,
    port: u16,
}

impl Proxy {
    pub(super) fn start(moto: &Moto, rule: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::before(moto.port, rule)
    }

    /// Before the bridge, so that CloudWatch misbehaves too.
    pub(super) fn bridged(
        bridged: &Bridged,
        rule: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::before(bridged.port, rule)
    }

    fn before(upstream: u16, rule: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            upstream,
            rule: Mutex::new(Box::new(rule)),
            counts: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A connection that breaks is the client's to retry.
                std::thread::spawn(move || shared.serve(stream).ok());
            }
        });
        Self { inner, port }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set(&self, rule: impl Fn(&Asked) -> Act + Send + Sync + 'static) {
        *self.inner.rule.lock() = Box::new(rule);
    }

    /// Requests seen of an action.
    pub(super) fn count(&self, action: &str) -> usize {
        self.inner
            .counts
            .lock()
            .get(action)
            .copied()
            .unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Inner {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let (head, body) = request(&client)?;
        let action = action(&head, &body);
        let before = {
            let mut counts = self.counts.lock();
            let count = counts.entry(action.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let asked = Asked {
            action,
            body: match String::from_utf8_lossy(&body) {
                empty if empty.is_empty() => path.to_owned(),
                body => body.into_owned(),
            },
            before,
        };
        let act = (self.rule.lock())(&asked);
        match act {
            Act::Reset => client.shutdown(Shutdown::Both),
            Act::Refuse(status, code) => {
                let text = format!(
                    "<Response><Errors><Error><Code>{code}</Code><Message>says the test</Message></Error></Errors><Error><Code>{code}</Code><Message>says the test</Message></Error></Response>"
                );
                let length = text.len();
                write!(
                    client,
                    "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                )
            }
            Act::Pass | Act::Slow(_) | Act::Cut => {
                if let Act::Slow(wait) = act {
                    std::thread::park_timeout(wait);
                }
                let mut upstream = TcpStream::connect(("127.0.0.1", self.upstream))?;
                upstream.write_all(head.as_bytes())?;
                upstream.write_all(&body)?;
                let mut answer = Vec::new();
                upstream.read_to_end(&mut answer)?;
                if matches!(act, Act::Cut) {
                    answer.truncate(answer.len() - answer.len() / 4);
                }
                client.write_all(&answer)
            }
        }
    }
}

/// Head and body of the one request a connection is used for.
fn request(client: &TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if line == "\r\n" {
            head.push_str("connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

/// The operation: a field of the form, the target of the JSON protocols, or the end of CBOR's path;
/// S3 has the method and what is asked for.
fn action(head: &str, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let form = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="));
    let target = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-amz-target")
            .then(|| value.trim().rsplit('.').next())?
    });
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    let operation = path.split_once("/operation/").map(|(_, name)| name);
    let object = head.contains("/s3/aws4_request").then(|| match path {
        _ if !head.starts_with("GET ") => "WriteObject",
        path if path.contains("list-type=2") => "ListObjectsV2",
        _ => "GetObject",
    });
    let found = form.or(target).or(operation).or(object);
    found.unwrap_or("other").to_owned()
}
