//! Apache Kafka itself: a one-node broker, and Kafka's own command line tools as judges of what we wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use tempfile::TempDir;

use super::certs::Certs;
use super::service::{Service, free_port, tail};
use super::{DEADLINE, require_kafka};

const USER: &str = "skyherd";
const PASSWORD: &str = "only-for-tests";
const TOOLS: &str = "org.apache.kafka.tools";

/// How clients prove who they are on the TLS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sasl {
    Plain,
    ScramSha512,
}

impl Sasl {
    /// The value of `sasl.mechanism`.
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What differs from a plain broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct KafkaOptions {
    /// Also listen with TLS and SASL (see [`Kafka::secure`]).
    pub(crate) sasl: Option<Sasl>,
    /// Broker properties set last.
    pub(crate) properties: BTreeMap<String, String>,
}

/// A broker of this test's own. Dropping it kills it and removes its data.
pub(crate) struct Kafka {
    broker: Broker,
    service: Option<Service>,
    starts: u32,
    secure: Option<Secure>,
    folder: TempDir,
}

/// The listener that asks for TLS and SASL.
#[derive(Clone, Debug)]
pub(crate) struct Secure {
    /// `host:port`.
    pub(crate) bootstrap: String,
    pub(crate) sasl: Sasl,
    pub(crate) certs: Certs,
}

impl Secure {
    /// The librdkafka properties with which a client gets in.
    pub(crate) fn client_properties(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", self.sasl.mechanism().to_owned()),
            ("sasl.username", USER.to_owned()),
            ("sasl.password", PASSWORD.to_owned()),
            (
                "ssl.ca.location",
                self.certs.authority.display().to_string(),
            ),
        ])
    }
}

impl Kafka {
    /// A running broker, or `None` after saying that the jars are absent.
    pub(crate) fn start(options: &KafkaOptions) -> Option<Self> {
        let libs = require_kafka()?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let broker = Broker::at(&format!("127.0.0.1:{}", free_port()), libs);
        let secure = options.sasl.map(|sasl| Secure {
            bootstrap: format!("127.0.0.1:{}", free_port()),
            sasl,
            certs: Certs::make(folder.path()),
        });
        let properties = server_properties(&broker, secure.as_ref(), folder.path(), options);
        std::fs::write(folder.path().join("server.properties"), properties)
            .expect("the folder can be written");
        let mut kafka = Self {
            broker,
            service: None,
            starts: 0,
            secure,
            folder,
        };
        kafka.format();
        kafka.run();
        Some(kafka)
    }

    /// The TLS listener; panics unless the options asked for it.
    pub(crate) fn secure(&self) -> &Secure {
        self.secure.as_ref().expect("KafkaOptions::sasl was given")
    }

    /// Lists the topics through the TLS listener by Kafka's own client, with this password.
    pub(crate) fn list_securely(&self, password: &str) -> Result<String, String> {
        let secure = self.secure();
        let module = match secure.sasl {
            Sasl::Plain => "plain.PlainLoginModule",
            Sasl::ScramSha512 => "scram.ScramLoginModule",
        };
        let file = self.folder.path().join("client.properties");
        let text = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism={}\n\
             sasl.jaas.config=org.apache.kafka.common.security.{module} required \
             username=\"{USER}\" password=\"{password}\";\n\
             ssl.truststore.type=PEM\nssl.truststore.location={}\n",
            secure.sasl.mechanism(),
            secure.certs.authority.display()
        );
        std::fs::write(&file, text).expect("the folder can be written");
        let mut command = self.broker.java("tools-log4j2.properties");
        command
            .arg(format!("{TOOLS}.TopicCommand"))
            .args([
                "--list",
                "--bootstrap-server",
                &secure.bootstrap,
                "--command-config",
            ])
            .arg(&file);
        try_run(&mut command, b"").map(|text| String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// SIGTERM: an orderly shutdown, data kept.
    pub(crate) fn stop(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.stop();
        }
    }

    /// SIGKILL: what the page cache holds stays, nothing is closed.
    pub(crate) fn kill(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill();
        }
    }

    /// Starts it again, on the same ports and data; a running one is stopped first.
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

    /// What the broker logged since it last started.
    pub(crate) fn log(&self) -> String {
        self.running().log()
    }

    /// The broker's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running().pid()
    }

    fn running(&self) -> &Service {
        self.service.as_ref().expect("the broker was started")
    }

    fn format(&self) {
        let mut command = self.broker.java("tools-log4j2.properties");
        command
            .args(["kafka.tools.StorageTool", "format"])
            .args(["--cluster-id", "c2t5aGVyZC10ZXN0cy0xMg"])
            .arg("--config")
            .arg(self.folder.path().join("server.properties"));
        if self
            .secure
            .as_ref()
            .is_some_and(|s| s.sasl == Sasl::ScramSha512)
        {
            command
                .arg("--add-scram")
                .arg(format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]"));
        }
        run(&mut command, b"");
    }

    fn run(&mut self) {
        let mut command = self.broker.java("log4j2.properties");
        command
            .arg("kafka.Kafka")
            .arg(self.folder.path().join("server.properties"));
        self.starts += 1;
        let log = self
            .folder
            .path()
            .join(format!("broker-{}.log", self.starts));
        let mut service = Service::spawn("Kafka", command, &log);
        // Written once every listener accepts and the broker is unfenced.
        service.await_line("Kafka Server started");
        self.service = Some(service);
    }
}

impl Deref for Kafka {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

fn server_properties(
    broker: &Broker,
    secure: Option<&Secure>,
    folder: &Path,
    options: &KafkaOptions,
) -> String {
    let mut text = std::fs::read_to_string(deploy("broker.properties"))
        .expect("deploy/kafka/broker.properties is in the repository");
    let mut set = |name: &str, value: &str| writeln!(text, "{name}={value}").expect("text grows");
    let controller = free_port();
    let mut listeners = format!("PLAINTEXT://{}", broker.bootstrap);
    if let Some(secure) = secure {
        let module = match secure.sasl {
            Sasl::Plain => format!(
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
            ),
            Sasl::ScramSha512 => {
                "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned()
            }
        };
        let mechanism = secure.sasl.mechanism();
        listeners = format!("{listeners},SASL_SSL://{}", secure.bootstrap);
        set("sasl.enabled.mechanisms", mechanism);
        set(
            &format!(
                "listener.name.sasl_ssl.{}.sasl.jaas.config",
                mechanism.to_lowercase()
            ),
            &module,
        );
        set("ssl.keystore.type", "PEM");
        set(
            "ssl.keystore.location",
            &secure.certs.store.display().to_string(),
        );
    }
    set(
        "listeners",
        &format!("{listeners},CONTROLLER://127.0.0.1:{controller}"),
    );
    set("advertised.listeners", &listeners);
    set(
        "controller.quorum.voters",
        &format!("1@127.0.0.1:{controller}"),
    );
    set("log.dirs", &folder.join("data").display().to_string());
    for (name, value) in &options.properties {
        set(name, value);
    }
    text
}

/// A broker's address, with Kafka's own tools to look at it.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    /// `host:port`, without TLS.
    pub(crate) bootstrap: String,
    libs: PathBuf,
}

/// Where [`Broker::perf_consumer`] reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Starts {
    Earliest,
    Latest,
}

/// One record, as Kafka's console consumer shows it. `None` is Kafka's null.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// A header's value as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl Broker {
    /// A broker that somebody else runs.
    pub(crate) fn at(bootstrap: &str, libs: PathBuf) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            libs,
        }
    }

    /// Creates a topic; `config` is `name=value`.
    pub(crate) fn create_topic(&self, topic: &str, partitions: u32, config: &[&str]) {
        let partitions = partitions.to_string();
        let mut args = vec!["--create", "--topic", topic, "--partitions", &partitions];
        args.extend(["--replication-factor", "1"]);
        for setting in config {
            args.extend(["--config", setting]);
        }
        self.tool("TopicCommand", &args);
    }

    /// Names of all topics but Kafka's own.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.tool("TopicCommand", &["--list", "--exclude-internal"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Cuts the log of every partition at the offset given for it, as retention would.
    pub(crate) fn delete_records(&self, before: &BTreeMap<(String, i32), i64>) {
        let partitions: Vec<serde_json::Value> = before
            .iter()
            .map(|((topic, partition), offset)| {
                serde_json::json!({"topic": topic, "partition": partition, "offset": offset})
            })
            .collect();
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        let text = serde_json::json!({"version": 1, "partitions": partitions}).to_string();
        std::fs::write(file.path(), text).expect("the file can be written");
        let path = file.path().to_string_lossy();
        self.tool("DeleteRecordsCommand", &["--offset-json-file", &path]);
        let topics: BTreeSet<String> = before
            .keys()
            .map(|(topic, _)| topic.replace('.', "\\."))
            .collect();
        let starts = self.start_offsets(&Vec::from_iter(topics).join("|"));
        for (place, offset) in before {
            assert_eq!(starts[place], *offset, "{place:?} was not cut");
        }
    }

    /// Lets every client read no more than this a second, however fast the machine is.
    pub(crate) fn slow_readers(&self, bytes_per_second: u32) {
        let mut command = self.java("tools-log4j2.properties");
        command
            .arg("kafka.admin.ConfigCommand")
            .args(["--bootstrap-server", &self.bootstrap])
            .args(["--alter", "--entity-type", "clients", "--entity-default"])
            .arg("--add-config")
            .arg(format!("consumer_byte_rate={bytes_per_second}"));
        run(&mut command, b"");
    }

    /// Committed offset and log end of every partition that a consumer group has reported something for, by Kafka's own
    /// tool. `None` for a partition without a report.
    pub(crate) fn group_offsets(&self, group: &str) -> BTreeMap<(String, i32), (Option<i64>, i64)> {
        let told = self.tool(
            "consumer.group.ConsumerGroupCommand",
            &["--describe", "--offsets", "--group", group],
        );
        let mut lines = told.lines().filter(|line| !line.trim().is_empty());
        let columns: Vec<&str> = lines
            .by_ref()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|columns| columns.first() == Some(&"GROUP"))
            .unwrap_or_else(|| panic!("no table in {told:?}"));
        let column = |name: &str| {
            columns
                .iter()
                .position(|column| *column == name)
                .unwrap_or_else(|| panic!("no column {name} in {columns:?}"))
        };
        let (topic, partition) = (column("TOPIC"), column("PARTITION"));
        let (current, end) = (column("CURRENT-OFFSET"), column("LOG-END-OFFSET"));
        lines
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let number = |at: usize| fields[at].parse::<i64>();
                let place = (
                    fields[topic].to_owned(),
                    fields[partition].parse().expect("a partition number"),
                );
                (place, (number(current).ok(), number(end).expect("an end")))
            })
            .collect()
    }

    /// Runs one of the classes of `org.apache.kafka.tools` against this broker and gives its standard output.
    pub(crate) fn tool(&self, class: &str, args: &[&str]) -> String {
        self.tool_with_input(class, args, b"")
    }

    /// As [`Broker::tool`], with `input` as its standard input.
    pub(crate) fn tool_with_input(&self, class: &str, args: &[&str], input: &[u8]) -> String {
        let mut command = self.java("tools-log4j2.properties");
        command
            .arg(format!("{TOOLS}.{class}"))
            .args(["--bootstrap-server", &self.bootstrap])
            .args(args);
        String::from_utf8_lossy(&run(&mut command, input)).into_owned()
    }

    /// Writes text records by Kafka's console producer, whose partitioner is Java's default: murmur2 of the key.
    pub(crate) fn console_produce(&self, topic: &str, records: &[(&str, &str)]) {
        let mut input = String::new();
        for (key, value) in records {
            let text = format!("{key}{PRODUCED_KEY}{value}");
            assert!(
                !text.contains('\n'),
                "the console producer ends a record at a line's end"
            );
            writeln!(input, "{text}").expect("text grows");
        }
        let separator = format!("key.separator={PRODUCED_KEY}");
        let args = ["--topic", topic, "--reader-property", "parse.key=true"];
        let args = [&args[..], &["--reader-property", &separator]].concat();
        self.tool_with_input("ConsoleProducer", &args, input.as_bytes());
    }

    /// The log's end of every partition of the topics that match the regular expression.
    pub(crate) fn end_offsets(&self, topics: &str) -> BTreeMap<(String, i32), i64> {
        self.offsets(topics, "latest")
    }

    /// The log's start of every partition of the topics that match the regular expression.
    pub(crate) fn start_offsets(&self, topics: &str) -> BTreeMap<(String, i32), i64> {
        self.offsets(topics, "earliest")
    }

    fn offsets(&self, topics: &str, time: &str) -> BTreeMap<(String, i32), i64> {
        self.tool("GetOffsetShell", &["--topic", topics, "--time", time])
            .lines()
            .map(|line| {
                let mut fields = line.rsplitn(3, ':');
                let offset = fields.next().and_then(|field| field.parse().ok());
                let partition = fields.next().and_then(|field| field.parse().ok());
                match (fields.next(), partition, offset) {
                    (Some(topic), Some(partition), Some(offset)) => {
                        ((topic.to_owned(), partition), offset)
                    }
                    _ => panic!("GetOffsetShell said {line:?}"),
                }
            })
            .collect()
    }

    /// Every record of a topic from its start to the end it has now, by Kafka's console consumer, ordered by partition
    /// and offset. On a compacted topic that is what compaction left.
    pub(crate) fn console_consumer(&self, topic: &str) -> Vec<Record> {
        let escaped = topic.replace('.', "\\.");
        let (start, end) = std::thread::scope(|scope| {
            let start = scope.spawn(|| self.start_offsets(&escaped));
            let end = self.end_offsets(&escaped);
            (start.join().expect("GetOffsetShell answered"), end)
        });
        let mut missing: BTreeMap<i32, i64> = end
            .into_iter()
            .filter(|(place, end)| *end > start.get(place).copied().unwrap_or(0))
            .map(|((_, partition), end)| (partition, end))
            .collect();
        if missing.is_empty() {
            return Vec::new();
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let format = folder.path().join("format.properties");
        std::fs::write(&format, format_properties()).expect("the folder can be written");
        let mut command = self.java("tools-log4j2.properties");
        command
            .arg(format!("{TOOLS}.consumer.ConsoleConsumer"))
            .args(["--bootstrap-server", &self.bootstrap])
            .args(["--topic", topic, "--from-beginning"])
            .args(["--timeout-ms", NOTHING_MORE_MS])
            .arg("--formatter-config")
            .arg(&format)
            .stdout(Stdio::piped());
        let log = folder.path().join("consumer.log");
        command.stderr(std::fs::File::create(&log).expect("the folder can be written"));
        let mut consumer = Service::spawn_with_output("the console consumer", command, &log);
        let chunks = read_in_background(consumer.take_stdout().expect("it was piped"));
        let deadline = Instant::now() + DEADLINE;
        let mut text = Vec::new();
        let mut records = Vec::new();
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(chunk) = chunks.recv_timeout(left) else {
                let said = consumer.log();
                // Compaction may have removed the very last record of a partition.
                assert!(
                    said.contains("TimeoutException"),
                    "{topic} was not read to its end, {missing:?} left: {}",
                    tail(&said)
                );
                break;
            };
            text.extend(chunk);
            let mut taken = 0;
            while let Some(length) = find(&text[taken..], RECORD_END) {
                let record = parse(&text[taken..taken + length]);
                taken += length + RECORD_END.len();
                if missing
                    .get(&record.partition)
                    .is_some_and(|end| record.offset + 1 >= *end)
                {
                    missing.remove(&record.partition);
                }
                records.push(record);
            }
            text.drain(..taken);
        }
        records.sort();
        records
    }

    /// Kafka's consumer performance tool over `count` records: its own table, header and one line.
    pub(crate) fn perf_consumer(&self, topic: &str, count: u64, starts: Starts) -> String {
        let count = count.to_string();
        let mut args = vec!["--topic", topic, "--num-records", &count];
        if matches!(starts, Starts::Latest) {
            args.push("--from-latest");
        }
        self.tool("ConsumerPerformance", &args)
    }

    fn java(&self, log4j: &str) -> Command {
        let program = std::env::var_os("JAVA_HOME")
            .map(|home| Path::new(&home).join("bin/java"))
            .filter(|java| java.exists())
            .unwrap_or_else(|| PathBuf::from("java"));
        let mut command = Command::new(program);
        // Quick to start rather than quick at length: a test's broker lives for seconds.
        command
            .args([
                "-Xms64m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
            ])
            .arg("-Dfile.encoding=UTF-8")
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                deploy(log4j).display()
            ))
            .arg("-cp")
            .arg(self.libs.join("*"));
        command
    }
}

/// After so long without a record the console consumer takes a topic to be at its end. Only a topic whose last record
/// compaction removed needs it.
const NOTHING_MORE_MS: &str = "15000";
const PRODUCED_KEY: &str = "<|>";
// Printing characters at both ends, or the properties parser trims them; control characters within, so that no JSON text can hold them.
const FIELD_END: &[u8] = b"<\x1fF\x1f>";
const HEADER_END: &[u8] = b"<\x1fH\x1f>";
const RECORD_END: &[u8] = b"<\x1fR\x1f>";
const NULL: &[u8] = b"<\x1fN\x1f>";

fn format_properties() -> String {
    let mut text = String::new();
    for what in ["key", "offset", "partition", "headers", "value"] {
        writeln!(text, "print.{what}=true").expect("text grows");
    }
    for (name, value) in [
        ("key.separator", FIELD_END),
        ("headers.separator", HEADER_END),
        ("line.separator", RECORD_END),
        ("null.literal", NULL),
    ] {
        let escaped = String::from_utf8_lossy(value).replace('\x1f', "\\u001f");
        writeln!(text, "{name}={escaped}").expect("text grows");
    }
    text
}

/// `Partition:1 Offset:7 name:value,name:value key payload`, with our separators.
fn parse(text: &[u8]) -> Record {
    let fields = split(text, FIELD_END);
    let number = |field: &[u8], label: &str| -> i64 {
        std::str::from_utf8(field)
            .ok()
            .and_then(|field| field.strip_prefix(label)?.parse().ok())
            .unwrap_or_else(|| panic!("no {label} in {:?}", String::from_utf8_lossy(text)))
    };
    let [partition, offset, headers, key, payload] = fields[..] else {
        panic!(
            "{} fields in {:?}",
            fields.len(),
            String::from_utf8_lossy(text)
        );
    };
    let headers = if headers == b"NO_HEADERS" {
        Vec::new()
    } else {
        split(headers, HEADER_END)
            .into_iter()
            .map(|header| {
                let colon = header
                    .iter()
                    .position(|byte| *byte == b':')
                    .expect("name:value");
                let name = String::from_utf8_lossy(&header[..colon]).into_owned();
                (name, header[colon + 1..].to_vec())
            })
            .collect()
    };
    let present = |field: &[u8]| (field != NULL).then(|| field.to_vec());
    Record {
        partition: i32::try_from(number(partition, "Partition:")).expect("a partition number"),
        offset: number(offset, "Offset:"),
        key: present(key),
        payload: present(payload),
        headers,
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(length) = find(text, separator) {
        parts.push(&text[..length]);
        text = &text[length + separator.len()..];
    }
    parts.push(text);
    parts
}

fn read_in_background(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    const CHUNK: usize = 64 * 1024;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs a tool to its end (Kafka's give up by themselves); panics with what it said if it fails.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    try_run(command, input).unwrap_or_else(|error| panic!("{error}"))
}

fn try_run(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // A tool that gives up early closes the pipe; its exit code tells.
    std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("a child can be waited for");
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!(
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        tail(&String::from_utf8_lossy(&output.stderr)),
    ))
}

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/kafka")
        .join(file)
}
