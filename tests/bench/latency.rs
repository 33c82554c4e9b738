//! From an event to its finding and its recommendation, and a restart, on the real program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use skyherd::adapters::kafka::KafkaAppender;
use skyherd::adapters::redis::RedisStore;
use skyherd::model::{AgentName, Topic};
use skyherd::ports::{Clock as _, Outgoing, PortError, PortResult, Store as _, TaskId};
use skyherd::runtime::SystemClock;

use crate::proc::Proc;
use crate::service::free_port;
use crate::world::{Deployment, PARTITIONS, Servers, append};
use crate::{cpu, load};

/// Subjects whose state is in Redis when the program is killed.
pub(crate) const SUBJECTS: u64 = 100_000;
/// How long calls are published.
const LOAD_FOR: Duration = Duration::from_secs(10);
/// What the first calls meet is start-up (connections, producer ids, the broker's compiler): they
/// are published and not measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// Calls published at once to see how many a second the whole deployment sustains.
const BURST: u64 = 40_000;
/// How long the last findings may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// How often the publisher looks at the clock.
const TICK: Duration = Duration::from_millis(2);
/// Restarts measured.
pub(crate) const RESTARTS: u64 = 3;
/// Where the raw round trip goes: a topic that no agent reads.
const PROBES: Topic = Topic::Outcomes;

/// When a group was published or seen, by number.
type Times = Vec<Option<Instant>>;

/// What an independent consumer saw first, in the order of [`WATCHED`].
type Seen = Arc<Mutex<[Times; 3]>>;
const WATCHED: [Topic; 3] = [PROBES, Topic::FindingsSecurity, Topic::Recommendations];

/// An independent consumer on its own thread.
struct Watch {
    seen: Seen,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches from the present end on.
    fn start(at: &Deployment) -> PortResult<Self> {
        let fatal = |error: rdkafka::error::KafkaError| PortError::Fatal(error.to_string());
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &at.kafka.brokers)
            .set("group.id", "bench-watch")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "50")
            .create()
            .map_err(fatal)?;
        let mut list = TopicPartitionList::new();
        for (topic, partition, end) in at.ends(&WATCHED)? {
            list.add_partition_offset(
                &at.kafka.topic_name(topic),
                partition as i32,
                Offset::Offset(end as i64),
            )
            .map_err(fatal)?;
        }
        consumer.assign(&list).map_err(fatal)?;
        let seen: Seen = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        let names = WATCHED.map(|topic| at.kafka.topic_name(topic));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                    continue;
                };
                let now = Instant::now();
                let index = names.iter().position(|name| name == message.topic());
                let number = load::group_number(message.payload().unwrap_or_default());
                if let (Some(index), Some(number)) = (index, number) {
                    let mut seen = shared.lock().expect("nobody panics holding it");
                    note(&mut seen[index], number, now);
                }
            }
        });
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    fn at(&self, index: usize, number: u64) -> Option<Instant> {
        let seen = self.seen.lock().expect("nobody panics holding it");
        seen[index].get(number as usize).copied().flatten()
    }

    fn await_seen(&self, index: usize, number: u64, within: Duration) -> Option<Instant> {
        let deadline = Instant::now() + within;
        loop {
            let seen = self.at(index, number);
            if seen.is_some() || Instant::now() > deadline {
                return seen;
            }
            std::thread::park_timeout(TICK);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Only the first time counts. Numbers are bounded by what this program publishes.
fn note(times: &mut Times, number: u64, now: Instant) {
    let number = number as usize;
    if number >= times.len() && number < (SUBJECTS as usize) * 2 {
        times.resize(number + 1, None);
    }
    if let Some(slot @ None) = times.get_mut(number) {
        *slot = Some(now);
    }
}

/// Sorted milliseconds from publication until readable.
pub(crate) struct Latencies {
    pub(crate) rate: f64,
    /// Share of all cores at work, from 0 to 1.
    pub(crate) busy: f64,
    pub(crate) raw: Vec<f64>,
    pub(crate) finding: Vec<f64>,
    pub(crate) recommendation: Vec<f64>,
    pub(crate) published: usize,
}

/// How long a restarted program took, in seconds from its start.
pub(crate) struct Restart {
    pub(crate) finding: f64,
    pub(crate) recommendation: f64,
}

/// `skyherd run` with every agent on the servers, and a hundred thousand subjects in its memory.
pub(crate) struct Running {
    at: Deployment,
    process: Option<Proc>,
    config: PathBuf,
    listen: String,
    next: u64,
    clock: SystemClock,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Publishes the groups, starts the program and waits until it has taken and saved them.
    pub(crate) fn start(servers: &Servers) -> PortResult<Self> {
        let at = Deployment::create(servers, "")?;
        let clock = SystemClock::default();
        let observed = clock.now().plus(-60_000);
        at.publish((0..SUBJECTS).map(|number| load::closed_group(number, observed, PARTITIONS)))?;
        let folder = tempfile::tempdir().map_err(|error| PortError::Fatal(error.to_string()))?;
        let listen = format!("127.0.0.1:{}", free_port());
        let config = folder.path().join("skyherd.toml");
        configure(&config, servers, &listen, folder.path())?;
        let mut running = Self {
            at,
            process: None,
            config,
            listen,
            next: 0,
            clock,
            _folder: folder,
        };
        running.spawn();
        running.await_quiesced();
        Ok(running)
    }

    fn spawn(&mut self) {
        let config = self.config.to_string_lossy().into_owned();
        self.process = Some(Proc::spawn(["run", "--config", &config], &[]));
    }

    fn await_quiesced(&mut self) {
        let process = self.process.as_mut().expect("it was started");
        process.await_quiesced(&self.listen);
    }

    /// Subjects with state that the security agent has in Redis.
    pub(crate) fn subjects(&self) -> PortResult<u64> {
        let store = RedisStore::open(self.at.redis.clone())?;
        let mut count = 0;
        for partition in 0..PARTITIONS {
            let task = TaskId {
                agent: AgentName::Security,
                partition,
            };
            count += store.subjects(task, None, usize::MAX)?.value.len() as u64;
        }
        Ok(count)
    }

    /// Calls a second from the first published to the last recommendation seen, when they come
    /// as fast as the broker takes them: what this machine sustains with load generator, broker,
    /// Redis and every agent on it.
    pub(crate) fn sustained(&mut self) -> PortResult<f64> {
        let watch = Watch::start(&self.at)?;
        let appender = KafkaAppender::open(&self.at.kafka, "burst")?;
        let begin = Instant::now();
        for number in 0..BURST {
            let opening = number % load::OPENING_EVERY == 0;
            let call = load::call(self.next, opening, self.clock.now(), PARTITIONS);
            append(&appender, 1, &call)?;
            self.next += u64::from(opening);
        }
        let last = watch.await_seen(2, self.next - 1, crate::DEADLINE);
        let last = last.ok_or(PortError::Fatal("the burst was not answered".into()))?;
        Ok(BURST as f64 / (last - begin).as_secs_f64())
    }

    /// Publishes calls at `rate` a second; every [`load::OPENING_EVERY`]th opens a group.
    pub(crate) fn latencies(&mut self, rate: f64) -> PortResult<Latencies> {
        let watch = Watch::start(&self.at)?;
        let appender = KafkaAppender::open(&self.at.kafka, "load")?;
        let (first, begin) = (self.next, Instant::now());
        let mut opened: Vec<(u64, Instant)> = Vec::new();
        let mut probed: Vec<(u64, Instant)> = Vec::new();
        let mut done = 0;
        let mut machine = None;
        while begin.elapsed() < WARM_UP + LOAD_FOR {
            let due = (begin.elapsed().as_secs_f64() * rate) as u64;
            if begin.elapsed() >= WARM_UP {
                machine.get_or_insert_with(cpu::Machine::now);
            }
            while done < due {
                let opening = done % load::OPENING_EVERY == 0;
                let now = self.clock.now();
                let call = load::call(self.next, opening, now, PARTITIONS);
                let sent = Instant::now();
                append(&appender, 1, &call)?;
                if begin.elapsed() < WARM_UP {
                    self.next += u64::from(opening);
                } else if opening {
                    opened.push((self.next, sent));
                    let probe = Outgoing {
                        topic: PROBES,
                        ..call
                    };
                    probed.push((self.next, Instant::now()));
                    append(&appender, 1, &probe)?;
                    self.next += 1;
                }
                done += 1;
            }
            std::thread::park_timeout(TICK);
        }
        let busy = machine.map_or(f64::NAN, cpu::Machine::busy_since);
        if self.next > first {
            watch.await_seen(2, self.next - 1, SEEN_WITHIN);
        }
        let spans = |sent: &[(u64, Instant)], index| {
            let mut spans: Vec<f64> = sent
                .iter()
                .filter_map(|(number, sent)| {
                    let seen = watch.at(index, *number)?;
                    Some(seen.saturating_duration_since(*sent).as_secs_f64() * 1_000.0)
                })
                .collect();
            spans.sort_by(f64::total_cmp);
            spans
        };
        Ok(Latencies {
            rate,
            busy,
            raw: spans(&probed, 0),
            finding: spans(&opened, 1),
            recommendation: spans(&opened, 2),
            published: opened.len(),
        })
    }

    /// `kill -9`, start again, and one call that opens a group.
    pub(crate) fn restart(&mut self) -> PortResult<Restart> {
        self.await_quiesced();
        if let Some(process) = &mut self.process {
            process.kill();
        }
        let watch = Watch::start(&self.at)?;
        let appender = KafkaAppender::open(&self.at.kafka, "after")?;
        let begin = Instant::now();
        self.spawn();
        let number = self.next;
        self.next += 1;
        append(
            &appender,
            1,
            &load::call(number, true, self.clock.now(), PARTITIONS),
        )?;
        let since =
            |seen: Option<Instant>| seen.map_or(f64::NAN, |seen| (seen - begin).as_secs_f64());
        let finding = since(watch.await_seen(1, number, crate::DEADLINE));
        let recommendation = since(watch.await_seen(2, number, crate::DEADLINE));
        Ok(Restart {
            finding,
            recommendation,
        })
    }
}

fn configure(path: &Path, servers: &Servers, listen: &str, folder: &Path) -> PortResult<()> {
    let mut text = String::new();
    let data = folder.join("data");
    writeln!(
        text,
        "node = \"bench\"\npartitions = {PARTITIONS}\ndata_dir = '{}'\n[http]\nlisten = {listen:?}\n[redis]\nurls = [{:?}]\n[kafka]\nbrokers = [{:?}]",
        data.display(),
        servers.redis,
        servers.kafka,
    )
    .and_then(|()| std::fs::write(path, text).map_err(|_| std::fmt::Error))
    .map_err(|_| PortError::Fatal(format!("{} cannot be written", path.display())))
}
