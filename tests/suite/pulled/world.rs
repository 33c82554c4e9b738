//! A `skyherd` that pulls from moto, and what it published.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::moto::environment;
use crate::harness::{DEADLINE, Proc, await_until, free_port, proc};

const PARTITIONS: u32 = 4;
/// Steps of the sources within which every place must be whole: more than any test's calls.
const STEPS_MAX: usize = 10_000;

/// Where a `skyherd` lives, over its restarts.
pub(super) struct World {
    folder: tempfile::TempDir,
    listen: String,
    endpoint: String,
}

/// One resource as the topic last told it: kind and id.
pub(super) type Key = (String, String, String);

impl World {
    /// `settings` is TOML.
    pub(super) fn new(endpoint: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let data = folder.path().join("data");
        let data = data.display();
        let text = format!(
            "data_dir = '{data}'\npartitions = {PARTITIONS}\n{settings}\n[http]\nlisten = {listen:?}\n"
        );
        std::fs::write(folder.path().join("skyherd.toml"), text).unwrap();
        Self {
            folder,
            listen,
            endpoint: endpoint.to_owned(),
        }
    }

    pub(super) fn run(&self) -> Proc {
        let file = self.folder.path().join("skyherd.toml");
        let mut environment = environment(&self.endpoint);
        environment.push(("NO_PROXY", "127.0.0.1"));
        let mut proc = Proc::spawn(["run", "-c", file.to_str().unwrap()], &environment);
        proc.await_ready(&self.listen);
        proc
    }

    /// The data directory.
    pub(super) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.listen);
        let (status, body) = proc::get(&url).unwrap();
        assert_eq!(status, 200, "{url}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What `/metrics` says.
    pub(super) fn metrics(&self) -> String {
        let (status, text) = proc::get(&format!("http://{}/metrics", self.listen)).unwrap();
        assert_eq!(status, 200, "{text}");
        text
    }

    /// What `/api/v1/sources` says.
    pub(super) fn sources(&self) -> Vec<Value> {
        self.get("/api/v1/sources")["sources"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Waits until every place was taken whole, `places` of them, for as long as AWS is being asked:
    /// moto takes its time where many share the machine.
    pub(super) fn await_whole(&self, places: usize) -> Vec<Value> {
        let calls = |told: &Value| -> u64 {
            let apis = told["apis"].as_array().unwrap().iter();
            apis.map(|api| api["calls"].as_u64().unwrap()).sum()
        };
        let mut told = self.get("/api/v1/sources");
        for _ in 0..STEPS_MAX {
            let rows = told["sources"].as_array().unwrap();
            let whole = rows.iter().filter(|row| row["last_success"].is_string());
            if whole.count() >= places {
                return rows.clone();
            }
            told = await_until("the sources go on", DEADLINE, || {
                let now = self.get("/api/v1/sources");
                (calls(&now) != calls(&told) || now["sources"] != told["sources"]).then_some(now)
            });
        }
        panic!("not whole after {STEPS_MAX} steps: {told:#}");
    }

    /// Every record of a topic, in order within an account.
    pub(super) fn records(&self, topic: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let mut from = 0;
            loop {
                let page = self.get(&format!(
                    "/api/v1/topics/{topic}/records?partition={partition}&from={from}&limit=1000"
                ));
                let records = page["records"].as_array().unwrap();
                all.extend(records.iter().map(|record| record["payload"].clone()));
                from = page["next"].as_u64().unwrap();
                if from >= page["end"].as_u64().unwrap() {
                    break;
                }
            }
        }
        all
    }

    /// What the topic says there is now: the newest record of each resource that is not gone.
    pub(super) fn present(&self) -> BTreeMap<Key, Value> {
        let mut present = BTreeMap::new();
        for record in self.records("aws.inventory") {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            let kind = text("kind");
            let id = record["item"][id_field(&kind)].as_str().unwrap().to_owned();
            let key = (text("account"), kind, id);
            if record["presence"] == "gone" {
                present.remove(&key);
            } else {
                present.insert(key, record["item"].clone());
            }
        }
        present
    }

    /// Publishes an event as a producer would.
    pub(super) fn publish(&self, event: &Value) {
        let url = format!("http://{}/api/v1/events?topic=aws.events", self.listen);
        let sent = ureq::post(&url)
            .content_type("application/json")
            .send(event.to_string());
        assert_eq!(sent.unwrap().status(), 202);
    }

    /// Runs a command that asks AWS itself, without the service.
    pub(super) fn ask(&self, args: &[&str]) -> crate::harness::Finished {
        let file = self.folder.path().join("skyherd.toml");
        let file = file.to_str().unwrap();
        let args: Vec<&str> = args.iter().copied().chain(["-c", file]).collect();
        Proc::run_with(args, self.folder.path(), "", &environment(&self.endpoint))
    }

    /// Runs a command beside the service.
    pub(super) fn command(&self, args: &[&str]) -> crate::harness::Finished {
        let file = self.folder.path().join("skyherd.toml");
        let file = file.to_str().unwrap();
        let args: Vec<&str> = args.iter().copied().chain(["-c", file]).collect();
        Proc::run(args, self.folder.path(), "")
    }
}

fn id_field(kind: &str) -> &'static str {
    use skyherd::model::ItemKind;
    ItemKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .unwrap()
        .id_field()
}

/// Ids by kind.
pub(super) fn ids(present: &BTreeMap<Key, Value>, kind: &str) -> BTreeSet<String> {
    let of_kind = present.keys().filter(|(_, of, _)| of == kind);
    of_kind.map(|(_, _, id)| id.clone()).collect()
}
