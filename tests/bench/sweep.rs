//! A full sweep of the inventory against AWS's APIs on loopback, every answer after the same pause:
//! calls and wall time, beside the same calls made one after the other and thrown away.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use skyherd::model::ItemKind;

use crate::DEADLINE;
use crate::proc::{Proc, get};
use crate::report::{Row, thousands};
use crate::service::{await_until, free_port};

/// Resources: half instances, half volumes.
const RESOURCES: usize = 10_000;
/// What is set for the region, told as one item.
const SETTINGS: usize = 1;
/// Resources of a page, as AWS gives at most.
const PAGE: usize = 1_000;
/// Time before each answer.
const LATENCY: Duration = Duration::from_millis(50);

/// AWS, as far as a sweep asks.
struct Api {
    port: u16,
    /// When each call came, and its body.
    calls: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Api {
    fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let calls = Arc::clone(&all);
                // A connection ends when its client does.
                std::thread::spawn(move || serve(stream, &calls).ok());
            }
        });
        Ok(Self { port, calls })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(mut stream: TcpStream, calls: &Mutex<Vec<(Instant, String)>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let text = answer(&body);
        calls.lock().push((Instant::now(), body));
        std::thread::park_timeout(LATENCY);
        let length = text.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n{text}"
        )?;
    }
}

fn field<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// A page in the API's own XML.
fn answer(body: &str) -> String {
    let action = field(body, "Action").unwrap_or_default();
    let begin: usize = field(body, "NextToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or_default();
    let end = (begin + PAGE).min(RESOURCES / 2);
    let mut inner = String::new();
    match action {
        "DescribeInstances" => {
            inner.push_str("<reservationSet>");
            for number in begin..end {
                let _ = write!(
                    inner,
                    "<item><reservationId>r-{number:017x}</reservationId><ownerId>111122223333</ownerId><instancesSet><item>\
                     <instanceId>i-{number:017x}</instanceId><imageId>ami-0123456789abcdef0</imageId><instanceType>m5.large</instanceType>\
                     <instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-11-01T00:00:00.000Z</launchTime>\
                     <placement><availabilityZone>eu-west-1a</availabilityZone><tenancy>default</tenancy></placement>\
                     <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{number:017x}</volumeId>\
                     <status>attached</status><attachTime>2026-11-01T00:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>\
                     <groupSet><item><groupId>sg-0123456789abcdef0</groupId><groupName>web</groupName></item></groupSet>\
                     <tagSet><item><key>Owner</key><value>ada</value></item><item><key>Name</key><value>web-{number}</value></item></tagSet>\
                     </item></instancesSet></item>"
                );
            }
            inner.push_str("</reservationSet>");
        }
        "DescribeVolumes" => {
            inner.push_str("<volumeSet>");
            for number in begin..end {
                let _ = write!(
                    inner,
                    "<item><volumeId>vol-{number:017x}</volumeId><size>20</size><volumeType>gp3</volumeType><iops>3000</iops>\
                     <status>in-use</status><createTime>2026-11-01T00:00:00.000Z</createTime><availabilityZone>eu-west-1a</availabilityZone>\
                     <encrypted>true</encrypted><attachmentSet><item><volumeId>vol-{number:017x}</volumeId><instanceId>i-{number:017x}</instanceId>\
                     <device>/dev/xvda</device><status>attached</status></item></attachmentSet>\
                     <tagSet><item><key>Owner</key><value>ada</value></item></tagSet></item>"
                );
            }
            inner.push_str("</volumeSet>");
        }
        "GenerateCredentialReport" => {
            return format!(
                "<{action}Response><{action}Result><State>COMPLETE</State></{action}Result></{action}Response>"
            );
        }
        "GetCallerIdentity" => {
            return format!(
                "<{action}Response><{action}Result><Account>111122223333</Account></{action}Result></{action}Response>"
            );
        }
        // The JSON protocols name no action in the body.
        "" => return "{}".to_owned(),
        // Nothing of the other kinds; those of the query protocol are within a result.
        _ => {
            return format!(
                "<{action}Response><{action}Result></{action}Result></{action}Response>"
            );
        }
    }
    if end < RESOURCES / 2 {
        let _ = write!(inner, "<nextToken>{end}</nextToken>");
    }
    format!("<{action}Response><requestId>r</requestId>{inner}</{action}Response>")
}

/// The service's own word on the region.
fn swept(listen: &str) -> Option<Value> {
    let (_, body) = get(&format!("http://{listen}/api/v1/sources")).ok()?;
    let told: Value = serde_json::from_str(&body).ok()?;
    let rows = told["sources"].as_array()?.iter();
    let mut rows = rows.filter(|row| row["source"] == "inventory");
    let row = rows.find(|row| row["region"] == "eu-west-1")?;
    row["last_tried"].is_string().then_some(row.clone())
}

/// One full sweep.
pub(crate) fn measure() -> anyhow::Result<Row> {
    let api = Api::start().context("the API could not start")?;
    let folder = tempfile::tempdir()?;
    let listen = format!("127.0.0.1:{}", free_port());
    let file = folder.path().join("skyherd.toml");
    let data = folder.path().join("data");
    let data = data.display();
    std::fs::write(
        &file,
        format!(
            "data_dir = '{data}'\npartitions = 4\n[http]\nlisten = '{listen}'\n[sources]\nattributes_interval_ms = 0\nregions = ['eu-west-1']\n[[accounts]]\nid = '111122223333'\n"
        ),
    )?;
    let url = api.url();
    let environment = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let path = file.to_str().context("a path that is no text")?;
    let mut skyherd = Proc::spawn(["run", "-c", path], &environment);
    let row = await_until("the sweep is over", DEADLINE * 2, || swept(&listen));
    let ended = Instant::now();
    skyherd.stop();
    anyhow::ensure!(
        row["known"] == RESOURCES + SETTINGS
            && row["published"] == RESOURCES + SETTINGS
            && row["last_success"].is_string(),
        "not everything was taken: {row}"
    );
    let calls = api.calls.lock().clone();
    let began = calls.first().context("nothing was asked")?.0;
    let wall = ended - began;
    let bare = bare(&url, calls.iter().map(|(_, body)| body))?;
    Ok(report(calls.len(), wall, bare))
}

/// The same calls one after the other over one connection, answers read and thrown away.
fn bare<'a>(url: &str, bodies: impl Iterator<Item = &'a String>) -> anyhow::Result<Duration> {
    let agent = ureq::Agent::new_with_defaults();
    let began = Instant::now();
    for body in bodies {
        let mut answer = agent.post(url).send(body)?;
        std::io::copy(&mut answer.body_mut().as_reader(), &mut std::io::sink())?;
    }
    Ok(began.elapsed())
}

fn report(calls: usize, wall: Duration, bare: Duration) -> Row {
    let (wall, bare) = (wall.as_secs_f64(), bare.as_secs_f64());
    // Those asked apart go at the rate that is allowed them, whatever the API's latency.
    let kinds = ItemKind::ALL.iter().filter(|kind| !kind.apart()).count();
    Row {
        what: format!(
            "full sweep of {} resources, {kinds} kinds, {} ms an answer",
            thousands(RESOURCES as f64),
            LATENCY.as_millis()
        ),
        figure: format!(
            "{calls} calls in {wall:.2} s, decoded and durable ({} resources/s)",
            thousands(RESOURCES as f64 / wall)
        ),
        baseline: format!("the same calls in turn, answers thrown away: {bare:.2} s"),
        goal: String::new(),
        numbers: json!({
            "resources": RESOURCES, "calls": calls, "wall_seconds": wall,
            "latency_seconds": LATENCY.as_secs_f64(), "bare_wall_seconds": bare,
        }),
    }
}
