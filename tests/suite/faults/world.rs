//! A Kafka, a Redis and `skyherd run` processes on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use skyherd::model::AgentName;

use super::ending::Ending;
use super::loader::Raw;
use crate::harness::proc::get;
use crate::harness::service::{await_of, tail};
use crate::harness::{
    DEADLINE, Finished, Kafka, KafkaOptions, Proc, Redis, RedisOptions, await_until, free_port,
};

/// What differs from a plain world.
#[derive(Clone, Debug)]
pub(crate) struct WorldOptions {
    pub(crate) partitions: u32,
    pub(crate) kafka: KafkaOptions,
    pub(crate) redis: RedisOptions,
    /// Further lines of every configuration file; top-level settings first, then tables.
    pub(crate) config: String,
    /// Bytes that each agent may read a second, so that a disturbance at some share of the input meets it there,
    /// however fast the machine is.
    pub(crate) pace: Option<u32>,
    /// Further librdkafka properties of every configuration file.
    pub(crate) properties: Vec<(&'static str, &'static str)>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            partitions: 8,
            kafka: KafkaOptions::default(),
            redis: RedisOptions::default(),
            config: String::new(),
            pace: None,
            properties: Vec::new(),
        }
    }
}

/// Servers of this test's own and the nodes it started, by name.
pub(crate) struct World {
    pub(crate) kafka: Kafka,
    pub(crate) redis: Redis,
    nodes: BTreeMap<String, Node>,
    options: WorldOptions,
    folder: TempDir,
}

struct Node {
    process: Option<Proc>,
    listen: String,
    config: PathBuf,
    agents: Option<String>,
}

impl World {
    /// Starts both servers and has `skyherd topics apply` create the topics; `None` after saying what is absent.
    pub(crate) fn start(options: WorldOptions) -> Option<Self> {
        let mut kafka = options.kafka.clone();
        if options.pace.is_some() {
            // A rate is a mean over windows; few of them, or the first seconds have no bound.
            kafka
                .properties
                .insert("quota.window.num".to_owned(), "2".to_owned());
        }
        let kafka = Kafka::start(&kafka)?;
        let redis = Redis::start(&options.redis)?;
        let world = Self {
            kafka,
            redis,
            nodes: BTreeMap::new(),
            options,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        let done = world.command(&["topics", "apply"], |config| config);
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        if let Some(pace) = world.options.pace {
            world.kafka.slow_readers(pace);
        }
        Some(world)
    }

    /// Runs one of the program's other commands to its end, with a configuration of this world as `edit` leaves it.
    pub(crate) fn command(&self, words: &[&str], edit: impl FnOnce(String) -> String) -> Finished {
        let (path, _) = self.configure("command");
        let text = std::fs::read_to_string(&path).expect("it was just written");
        std::fs::write(&path, edit(text)).expect("the folder can be written");
        let path = path.to_string_lossy().into_owned();
        let words = words.iter().copied().chain(["--config", &path]);
        Proc::run(words, self.folder.path(), "")
    }

    /// Starts a process of that name, with all agents or those of the list; its configuration and ports stay its own
    /// when it is started again.
    pub(crate) fn run(&mut self, name: &str, agents: Option<&str>) {
        self.run_with(name, agents, &[]);
    }

    /// As [`World::run`], with environment variables (`SKYHERD_TEST_FAILPOINT`).
    pub(crate) fn run_with(
        &mut self,
        name: &str,
        agents: Option<&str>,
        environment: &[(&str, &str)],
    ) {
        if !self.nodes.contains_key(name) {
            let (config, listen) = self.configure(name);
            let node = Node {
                process: None,
                listen,
                config,
                agents: agents.map(str::to_owned),
            };
            self.nodes.insert(name.to_owned(), node);
        }
        let node = self.nodes.get_mut(name).expect("it was put in above");
        let mut args = vec!["run".to_owned(), "--config".to_owned()];
        args.push(node.config.to_string_lossy().into_owned());
        if let Some(agents) = &node.agents {
            args.extend(["--agents".to_owned(), agents.clone()]);
        }
        node.process = Some(Proc::spawn(args, environment));
    }

    /// The process of that name.
    pub(crate) fn node(&mut self, name: &str) -> &mut Proc {
        let node = self
            .nodes
            .get_mut(name)
            .unwrap_or_else(|| panic!("{name} was never started"));
        node.process
            .as_mut()
            .unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Where the process of that name listens: `host:port`.
    pub(crate) fn listen(&self, name: &str) -> &str {
        &self.nodes[name].listen
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, name: &str) {
        self.node(name).kill();
        self.gone(name);
    }

    /// SIGTERM; panics unless it ends with 0.
    pub(crate) fn stop(&mut self, name: &str) {
        let status = self.node(name).stop();
        assert!(
            status.success(),
            "{name}: {status}\n{}",
            self.node(name).log()
        );
        self.gone(name);
    }

    /// Waits for a process that ends by itself, as at a failpoint; gives how it ended and what it said.
    pub(crate) fn await_end(&mut self, name: &str) -> (ExitStatus, String) {
        let process = self.node(name);
        let status = await_until("the end of the process", DEADLINE, || process.ended());
        let said = process.log();
        self.gone(name);
        (status, said)
    }

    fn gone(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.process = None;
        }
    }

    /// Records this process has taken from all topics since it started; 0 while it does not answer.
    pub(crate) fn taken(&self, name: &str) -> u64 {
        self.metric(name, "skyherd_records_taken_total")
    }

    /// The sum of a metric over its labels; 0 while the process does not answer.
    pub(crate) fn metric(&self, name: &str, metric: &str) -> u64 {
        self.metric_of(name, metric, &[])
    }

    /// The sum of a metric over the lines that have all these labels; 0 while the process does not answer.
    pub(crate) fn metric_of(&self, name: &str, metric: &str, labels: &[(&str, &str)]) -> u64 {
        let Ok((200, text)) = get(&format!("http://{}/metrics", self.nodes[name].listen)) else {
            return 0;
        };
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}={value:?}"))
            .collect();
        text.lines()
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| {
                let rest = line.strip_prefix(metric)?;
                let value = match rest.strip_prefix('{') {
                    Some(labelled) => labelled.rsplit_once("} ")?.1,
                    None => rest.strip_prefix(' ')?,
                };
                value.trim().parse::<f64>().ok()
            })
            .sum::<f64>() as u64
    }

    /// How much of `inputs` (see [`inputs`]) the running processes have taken together, 0 to 1; `None` while not every
    /// task has an owner that answers.
    pub(crate) fn progress(&self, inputs: u64) -> Option<f64> {
        let mut tasks = 0;
        let mut lag = 0;
        for node in self.nodes.values().filter(|node| node.process.is_some()) {
            let (_, body) = get(&format!("http://{}/readyz?quiesced", node.listen)).ok()?;
            let body: serde_json::Value = serde_json::from_str(&body).ok()?;
            tasks += body["tasks"].as_u64()?;
            lag += body["lag"].as_u64()?;
        }
        (tasks == self.tasks()).then(|| 1.0 - lag as f64 / inputs as f64)
    }

    /// Tasks of all agents.
    fn tasks(&self) -> u64 {
        u64::from(self.options.partitions) * AgentName::ALL.len() as u64
    }

    /// Waits until that share of the inputs is taken; panics if everything is, so that what follows would disturb
    /// nothing.
    pub(crate) fn await_progress(&mut self, inputs: u64, share: f64) {
        let progress = self.reach(inputs, share);
        assert!(
            progress < 1.0,
            "all input was taken before {share} was seen"
        );
    }

    /// Waits until at least that share of the inputs is taken; gives what share it is.
    pub(crate) fn reach(&mut self, inputs: u64, share: f64) -> f64 {
        let look = |world: &mut Self| {
            world.alive();
            world.progress(inputs).filter(|progress| *progress >= share)
        };
        await_of(self, QUIESCED, look, |world| {
            let progress = world.progress(inputs);
            let waiting = world.waiting();
            format!(
                "{share} of the records are taken, but {progress:?}: {waiting:#?}\n{}",
                world.logs()
            )
        })
    }

    /// What the running processes and the broker said last.
    fn logs(&self) -> String {
        let mut logs = String::new();
        for (name, node) in &self.nodes {
            if let Some(process) = &node.process {
                writeln!(logs, "{name}:\n{}", tail(&process.log())).expect("text grows");
            }
        }
        writeln!(logs, "Kafka:\n{}", tail(&self.kafka.log())).expect("text grows");
        logs
    }

    /// Waits until nothing is left to do anywhere: every running process says so twice in a row, since what one
    /// publishes last is another's input.
    pub(crate) fn await_quiesced(&mut self) {
        let mut agreed = 0;
        let look = |world: &mut Self| {
            agreed = if world.waiting().is_empty() {
                agreed + 1
            } else {
                0
            };
            (agreed == 2).then_some(())
        };
        await_of(self, QUIESCED, look, |world| {
            let waiting = world.waiting();
            format!("quiesced: {waiting:#?}\n{}", world.logs())
        });
    }

    /// Panics if a process ended that nobody stopped.
    fn alive(&mut self) {
        for (name, node) in &mut self.nodes {
            if let Some(process) = &mut node.process
                && let Some(status) = process.ended()
            {
                panic!("{name} ended ({status}):\n{}", process.log());
            }
        }
    }

    fn waiting(&mut self) -> Vec<String> {
        self.alive();
        let mut waiting = Vec::new();
        let mut tasks = 0;
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.process.is_some()) {
            match get(&format!("http://{}/readyz?quiesced", node.listen)) {
                Ok((200, body)) => {
                    let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
                    tasks += body["tasks"].as_u64().unwrap_or_default();
                }
                Ok((status, body)) => waiting.push(format!("{name}: {status} {body}")),
                Err(error) => waiting.push(format!("{name}: {error}")),
            }
        }
        // An agent that has not joined its group yet owns no task, and so none that is not quiet.
        let all = self.tasks();
        if waiting.is_empty() && tasks != all {
            waiting.push(format!("{tasks} of {all} tasks have an owner"));
        }
        waiting
    }

    /// What the topics hold now.
    pub(crate) fn ending(&self) -> Ending {
        Ending::on(&self.kafka)
    }

    /// Writes a node's configuration; gives its path and where it listens.
    fn configure(&self, name: &str) -> (PathBuf, String) {
        let listen = format!("127.0.0.1:{}", free_port());
        let data = self.folder.path().join(name);
        let mut text = String::new();
        let partitions = self.options.partitions;
        writeln!(
            text,
            "node = {name:?}\npartitions = {partitions}\ndata_dir = '{}'",
            data.display()
        )
        .expect("text grows");
        writeln!(text, "{}", self.options.config).expect("text grows");
        writeln!(text, "[http]\nlisten = {listen:?}").expect("text grows");
        writeln!(text, "[redis]\nurls = [{:?}]", self.redis.url()).expect("text grows");
        if self.options.redis.cluster {
            writeln!(text, "mode = \"cluster\"").expect("text grows");
        }
        if self.options.redis.secure {
            let authority = &self.redis.certs().authority;
            writeln!(text, "ca_file = '{}'", authority.display()).expect("text grows");
        }
        let secure = self.options.kafka.sasl.is_some();
        let brokers = if secure {
            &self.kafka.secure().bootstrap
        } else {
            &self.kafka.bootstrap
        };
        writeln!(text, "[kafka]\nbrokers = [{brokers:?}]\n[kafka.properties]").expect("text grows");
        if secure {
            for (property, value) in self.kafka.secure().client_properties() {
                writeln!(text, "{property:?} = {value:?}").expect("text grows");
            }
        }
        if self.options.pace.is_some() {
            writeln!(text, "\"consumer.max.partition.fetch.bytes\" = \"32768\"")
                .expect("text grows");
        }
        for (property, value) in &self.options.properties {
            writeln!(text, "{property:?} = {value:?}").expect("text grows");
        }
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).expect("the folder can be written");
        (path, listen)
    }
}

/// A pace at which the story by the hour lasts some ten seconds.
pub(crate) const PACE: u32 = 500_000;

/// Longest a disturbed run may take to come to rest.
const QUIESCED: Duration = Duration::from_mins(3);

/// Takings that the records make, for [`World::progress`]: a record counts once for each agent that reads its topic.
pub(crate) fn inputs(records: &[Raw]) -> u64 {
    records
        .iter()
        .map(|raw| skyherd::topology::readers(raw.topic).len() as u64)
        .sum()
}
