//! The console: its files, how they are served, and a walk through it in a real browser.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::story::{PRODUCTION, StoryOptions, tell};
use serde_json::{Value, json};
use skyherd::app;
use skyherd::config::Config;
use skyherd::http::CONSOLE_FILES;
use skyherd::model::{Topic, partition_of};
use skyherd::ports::Outgoing;

use crate::harness::{Proc, drive, free_port, require_browser};

const PARTITIONS: u32 = 4;
/// Records appended at once.
const BATCH: usize = 4_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console")
}

fn text(name: &str) -> &'static str {
    let found = CONSOLE_FILES.iter().find(|(known, _)| *known == name);
    std::str::from_utf8(found.unwrap_or_else(|| panic!("no file {name}")).1).unwrap()
}

fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONSOLE_FILES
        .iter()
        .filter(|(name, _)| has_extension(name, "js"))
        .map(|(name, _)| (*name, text(name)))
}

fn has_extension(name: &str, wanted: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == wanted)
}

fn files_below(place: &Path, base: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, base, into);
        } else {
            let name = path.strip_prefix(base).unwrap();
            into.insert(name.to_string_lossy().into_owned());
        }
    }
}

/// What a file of the console must not have in it: ways for text to become markup or script, and
/// addresses elsewhere.
fn unsafe_words(text: &str) -> Vec<&'static str> {
    const WORDS: [&str; 9] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        " style=\"",
        " onclick=\"",
        "javascript:",
    ];
    WORDS
        .into_iter()
        .filter(|word| text.contains(word))
        .collect()
}

#[test]
fn every_file_of_the_console_is_built_in() {
    let mut known = BTreeSet::new();
    files_below(&folder(), &folder(), &mut known);
    let built: BTreeSet<String> = CONSOLE_FILES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(built, known);
}

#[test]
fn modules_import_files_that_are_there_by_relative_paths() {
    for (name, script) in scripts() {
        let home = Path::new(name).parent().unwrap();
        for (at, _) in script
            .match_indices("from '")
            .chain(script.match_indices("import('"))
        {
            let target = script[at..].split('\'').nth(1).unwrap();
            assert!(target.starts_with('.'), "{name} imports {target}");
            let mut path = PathBuf::new();
            for part in home.join(target).components() {
                match part {
                    std::path::Component::ParentDir => assert!(path.pop(), "{name}: {target}"),
                    std::path::Component::CurDir => {}
                    other => path.push(other),
                }
            }
            let path = path.to_string_lossy();
            assert!(
                CONSOLE_FILES.iter().any(|(known, _)| *known == path),
                "{name} imports {target}, which is not there"
            );
        }
    }
}

#[test]
fn nothing_in_the_console_turns_text_into_markup_or_calls_elsewhere() {
    for (name, bytes) in CONSOLE_FILES {
        let text = std::str::from_utf8(bytes).unwrap();
        assert_eq!(unsafe_words(text), Vec::<&str>::new(), "{name}");
        let elsewhere = text
            .match_indices("https://")
            .chain(text.match_indices("http://"))
            .filter(|(at, found)| {
                let rest = &text[at + found.len()..];
                !rest.starts_with("www.w3.org/2000/svg") && rest.starts_with(char::is_alphanumeric)
            })
            .count();
        assert_eq!(elsewhere, 0, "{name} names another host");
    }
    assert_eq!(unsafe_words("node.innerHTML = text"), ["innerHTML"]);
    assert_eq!(unsafe_words("<p style=\"x\">"), [" style=\""]);
}

/// A running service on a data directory of its own.
struct World {
    folder: tempfile::TempDir,
    listen: String,
    service: Option<Proc>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            listen: format!("127.0.0.1:{}", free_port()),
            service: None,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Appends records to the topics while no service runs.
    fn load(&self, records: impl Iterator<Item = Outgoing>) {
        let config = Config {
            data_dir: self.data(),
            partitions: PARTITIONS,
            ..Config::default()
        };
        let backend = app::open(&config).unwrap();
        let mut batch = Vec::with_capacity(BATCH);
        for record in records {
            batch.push(record);
            if batch.len() == BATCH {
                backend.publish(&batch).unwrap();
                batch.clear();
            }
        }
        backend.publish(&batch).unwrap();
    }

    fn start(&mut self) {
        let file = self.folder.path().join("skyherd.toml");
        let data = self.data();
        std::fs::write(
            &file,
            format!(
                "data_dir = '{}'\npartitions = {PARTITIONS}\n[http]\nlisten = \"{}\"\n",
                data.display(),
                self.listen
            ),
        )
        .unwrap();
        let args = ["run", "--config", file.to_str().unwrap()];
        let mut service = Proc::spawn(args, &[]);
        service.await_quiesced(&self.listen);
        self.service = Some(service);
    }

    fn stop(&mut self) {
        self.service.take().unwrap().kill();
    }

    fn base(&self) -> String {
        format!("http://{}", self.listen)
    }

    fn publish(&self, topic: &str, record: &Value) {
        let url = format!("{}/api/v1/events?topic={topic}", self.base());
        let answer = ureq::post(url).send_json(record).unwrap();
        assert_eq!(answer.status(), 202);
    }
}

fn outgoing(topic: Topic, account: &str, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        topic,
        partition: partition_of(account, PARTITIONS),
        key: Some(account.as_bytes().to_vec()),
        payload: Some(payload),
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

fn story() -> impl Iterator<Item = Outgoing> {
    let options = StoryOptions {
        period_minutes: 60,
        ..StoryOptions::default()
    };
    tell(options).map(|record| outgoing(record.topic, &record.account, record.payload))
}

/// An event whose time is none.
fn undecodable() -> Outgoing {
    let event = json!({
        "version": "0",
        "id": "0b5e1c3a",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": PRODUCTION,
        "time": "soon",
        "region": "eu-west-1",
        "detail": {"instance-id": "i-0abc", "state": "stopped"},
    });
    outgoing(Topic::AwsEvents, PRODUCTION, event.to_string().into_bytes())
}

/// A security group that is open to the world.
fn open_group(id: &str) -> Value {
    json!({
        "account": PRODUCTION,
        "region": "eu-west-1",
        "kind": "security-group",
        "observed_at": "2026-10-20T00:00:00Z",
        "item": {
            "GroupId": id,
            "GroupName": "jump",
            "IpPermissions": [{
                "IpProtocol": "-1",
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }],
        },
    })
}

fn header<'a>(answer: &'a ureq::http::Response<ureq::Body>, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn get(url: &str, headers: &[(&str, &str)]) -> ureq::http::Response<ureq::Body> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.call().unwrap()
}

#[test]
fn files_are_served_with_their_types_once_a_version_and_under_a_strict_policy() {
    let mut world = World::new();
    world.start();
    let base = world.base();

    let mut page = get(&format!("{base}/"), &[("accept-encoding", "identity")]);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let policy = header(&page, "content-security-policy").to_owned();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let tag = header(&page, "etag").to_owned();
    let html = page.body_mut().read_to_string().unwrap();
    let unchanged = get(&format!("{base}/"), &[("if-none-match", &tag)]);
    assert_eq!(unchanged.status(), 304);
    let changed = get(&format!("{base}/"), &[("if-none-match", "\"0\"")]);
    assert_eq!(changed.status(), 200);

    // Every address the page names is there, kept for good, and compressed for who can read it.
    let named: Vec<&str> = html
        .split('"')
        .filter(|word| word.starts_with("/console/"))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for path in named {
        let answer = get(&format!("{base}{path}"), &[("accept-encoding", "gzip")]);
        assert_eq!(answer.status(), 200, "{path}");
        assert!(
            header(&answer, "cache-control").contains("immutable"),
            "{path}"
        );
        let kind = match path.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(header(&answer, "content-type"), kind, "{path}");
        assert_eq!(
            header(&answer, "x-content-type-options"),
            "nosniff",
            "{path}"
        );
    }
    let plain = get(
        &format!("{base}/console/main.js"),
        &[("accept-encoding", "gzip;q=0")],
    );
    assert_eq!(header(&plain, "content-encoding"), "");
    assert_eq!(header(&plain, "cache-control"), "no-cache");
    let packed = get(
        &format!("{base}/console/main.js"),
        &[("accept-encoding", "br, gzip")],
    );
    assert_eq!(header(&packed, "content-encoding"), "gzip");

    for path in [
        "/console/none.js",
        "/console/../mod.rs",
        "/console/%2e%2e/mod.rs",
        "/console",
    ] {
        assert_eq!(get(&format!("{base}{path}"), &[]).status(), 404, "{path}");
    }
    let posted = ureq::post(format!("{base}/console/main.js")).send_empty();
    assert!(
        matches!(posted, Err(ureq::Error::StatusCode(405))),
        "{posted:?}"
    );
}

mod browser {
    //! Needs Chromium and node; a stage of its own in `./dev test`.

    use skyherd::http::{Access, Credential};
    use skyherd::model::AgentName;

    use super::*;
    use crate::api::world;

    /// The token of an address that asks for one.
    const TOKEN: &str = "correct-horse";

    #[test]
    fn behind_a_token_it_asks_for_one_and_shows_the_rows_only_with_the_right_one() {
        if !require_browser() {
            return;
        }
        // As at an address others reach, though nobody does.
        let mut access = Access::new(false);
        let reader = Credential {
            name: "reader".to_owned(),
            write: false,
            accounts: Vec::new(),
            expires_at: None,
        };
        let hash = blake3::hash(TOKEN.as_bytes()).to_hex();
        assert!(access.add(&hash, reader));
        let world = world::World::with(&AgentName::ALL, access);
        for id in ["sg-0a1", "sg-0a2", "sg-0a3"] {
            let record = world::opened_group(id).to_string();
            world
                .handle
                .publish(Topic::AwsInventory, None, record.as_bytes())
                .unwrap();
        }
        world.quiet();
        let base = format!("http://{}", world.address);
        drive("token.mjs", &[&base, TOKEN], |word| {
            panic!("the script asks for {word:?}")
        });
    }

    #[test]
    fn a_person_finds_asks_loses_and_regains_everything_with_mouse_keys_and_phone() {
        if !require_browser() {
            return;
        }
        let mut world = World::new();
        world.load(story().chain([undecodable()]));
        world.start();
        let base = world.base();
        drive("walk.mjs", &[&base], |word| match word {
            "publish" => world.publish("aws.inventory", &open_group("sg-0c0ffee")),
            "publish-again" => world.publish("aws.inventory", &open_group("sg-0decade")),
            "stop" => world.stop(),
            "start" => world.start(),
            other => panic!("the walk asks for {other:?}"),
        });
    }
}
