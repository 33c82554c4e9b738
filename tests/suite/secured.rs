//! The address that the program itself reaches over TLS.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use ureq::tls::{Certificate as Root, RootCerts, TlsConfig};

use crate::harness::certs::Certs;
use crate::harness::{Proc, free_port};

/// A token's text, in use as Firehose's access key too.
const KEY: &str = "a firehose key";
/// More connections than anybody has who means well, and fewer than may shake hands at once.
const SILENT: usize = 64;

/// A folder with a running program's settings.
struct World {
    folder: tempfile::TempDir,
    plain: String,
    secured: String,
    certs: Certs,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            plain: format!("127.0.0.1:{}", free_port()),
            secured: format!("127.0.0.1:{}", free_port()),
            certs: Certs::make(folder.path()),
            folder,
        };
        world.configure(&world.certs.key);
        world
    }

    fn configure(&self, key: &Path) {
        let Self {
            folder,
            plain,
            secured,
            certs,
        } = self;
        let hash = blake3::hash(KEY.as_bytes()).to_hex();
        let text = format!(
            "data_dir = '{}'\npartitions = 4\n[http]\nlisten = '{plain}'\n\
             [http.tls]\nlisten = '{secured}'\ncertificate = '{}'\nkey = '{}'\n\
             [[auth.tokens]]\nname = 'firehose'\nblake3 = '{hash}'\nrole = 'write'\n",
            folder.path().join("data").display(),
            certs.certificate.display(),
            key.display(),
        );
        std::fs::write(folder.path().join("skyherd.toml"), text).unwrap();
    }

    fn run(&self) -> Proc {
        let file = self.folder.path().join("skyherd.toml");
        let mut proc = Proc::spawn(["run", "-c", file.to_str().unwrap()], &[]);
        proc.await_ready(&self.plain);
        proc
    }

    /// A client that trusts the test's authority and nobody else.
    fn client(&self) -> ureq::Agent {
        let pem = std::fs::read(&self.certs.authority).unwrap();
        let root = Root::from_pem(&pem).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
        ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(crate::harness::DEADLINE))
            .tls_config(tls.build())
            .build()
            .into()
    }
}

fn told(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&body).unwrap(),
    )
}

#[test]
fn firehose_delivers_over_our_own_tls_and_nobody_reads_there_without_a_token() {
    let world = World::new();
    let mut skyherd = world.run();
    let client = world.client();
    // Who says nothing holds up nobody.
    let silent: Vec<TcpStream> = (0..SILENT)
        .map(|_| TcpStream::connect(&world.secured).unwrap())
        .collect();
    let url = |path: &str| format!("https://{}{path}", world.secured);
    let event = json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": "111122223333", "time": "2026-11-01T00:00:00Z", "region": "eu-west-1", "resources": [],
        "detail": { "instance-id": "i-0abc", "state": "running" },
    });
    let data = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        event.to_string(),
    );
    let body = json!({ "requestId": "r-1", "timestamp": 1, "records": [{ "data": data }] });
    let deliver = |key: &str| {
        let request = client
            .post(url("/ingest/firehose"))
            .header("x-amz-firehose-protocol-version", "1.0")
            .header("x-amz-firehose-request-id", "r-1")
            .header("x-amz-firehose-access-key", key)
            .content_type("application/json");
        told(request.send(body.to_string()))
    };
    assert_eq!(deliver("another").0, 401);
    let (status, answer) = deliver(KEY);
    assert_eq!(
        (status, &answer["requestId"]),
        (200, &json!("r-1")),
        "{answer}"
    );
    let stored = |client: &ureq::Agent, base: String| {
        let found = (0..4).map(|partition| {
            let path =
                format!("{base}/api/v1/topics/aws.events/records?partition={partition}&from=0");
            let asked = client
                .get(path)
                .header("authorization", format!("Bearer {KEY}"));
            told(asked.call()).1["records"].as_array().unwrap().len()
        });
        found.sum::<usize>()
    };
    assert_eq!(stored(&client, format!("https://{}", world.secured)), 1);
    // The same service; what was delivered there is known here.
    assert_eq!(stored(&client, format!("http://{}", world.plain)), 1);
    // On this machine reading is open, and over TLS it is not, wherever one comes from.
    assert_eq!(told(client.get(url("/api/v1/agents")).call()).0, 401);
    let open = client
        .get(format!("http://{}/api/v1/agents", world.plain))
        .call();
    assert_eq!(told(open).0, 200);
    assert_eq!(client.get(url("/healthz")).call().unwrap().status(), 200);

    // Neither who trusts other authorities nor who speaks plain text gets an answer.
    let stranger = ureq::Agent::new_with_defaults();
    assert!(stranger.get(url("/healthz")).call().is_err());
    let mut plain = TcpStream::connect(&world.secured).unwrap();
    std::io::Write::write_all(&mut plain, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(skyherd.stop().success());
    drop(silent);
}

#[test]
fn a_key_that_does_not_fit_is_found_by_check_and_nothing_starts_with_it() {
    let world = World::new();
    let other = tempfile::tempdir().unwrap();
    let other = Certs::make(other.path());
    let foreign = world.folder.path().join("other.key");
    std::fs::copy(&other.key, &foreign).unwrap();
    world.configure(&foreign);
    for (args, code) in [
        (["check", "-c", "skyherd.toml"], 1),
        (["run", "-c", "skyherd.toml"], 1),
    ] {
        let ended = Proc::run(args, world.folder.path(), "");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("other.key is not the key of"), "{said}");
        assert!(!said.contains("PRIVATE"), "{said}");
        assert_eq!(ended.code, Some(code), "{said}");
    }
}
