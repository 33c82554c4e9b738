//! Records a core-second: Kafka's own consumer, a bare loop, and the agents.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skyherd::adapters::kafka::KafkaLog;
use skyherd::adapters::redis::RedisStore;
use skyherd::agents::{Agent, Capabilities};
use skyherd::model::Topic;
use skyherd::ports::{Log as _, Outgoing, Ownership, PortError, PortResult, Positions};
use skyherd::runtime::{Options, Outside, SystemClock, Worker, topics_of};
use skyherd::sources::decode;
use skyherd::telemetry::Metrics;

use crate::cpu;
use crate::world::{Deployment, PARTITIONS, Servers};

/// Longest one run may take; what was taken by then is what counts.
const RUN_WITHIN: Duration = Duration::from_mins(1);
/// A run is over when nothing came for so long: compaction may have removed some of the records
/// that a topic's offsets count.
const NOTHING_MORE: Duration = Duration::from_secs(3);
/// As the runtime polls.
const WAIT: Duration = Duration::from_millis(50);
const ROOM_REST: Duration = Duration::from_millis(1);

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) events: u64,
    /// Processor time of this process, every thread, in seconds.
    pub(crate) cpu: f64,
    /// From the first record to the last, in seconds.
    pub(crate) wall: f64,
    /// Processor time of Redis, in seconds.
    pub(crate) redis: f64,
}

impl Run {
    pub(crate) fn per_core_second(&self) -> f64 {
        self.events as f64 / self.cpu
    }
}

/// How far a run has come.
struct Progress {
    expected: u64,
    taken: u64,
    begin: Instant,
    first: Option<Instant>,
    last: Instant,
}

impl Progress {
    fn of(expected: u64) -> Self {
        let begin = Instant::now();
        Self {
            expected,
            taken: 0,
            begin,
            first: None,
            last: begin,
        }
    }

    fn add(&mut self, taken: u64) {
        if taken > 0 {
            self.taken += taken;
            self.last = Instant::now();
            self.first.get_or_insert(self.last);
        }
    }

    fn goes_on(&self) -> bool {
        self.taken < self.expected
            && self.begin.elapsed() < RUN_WITHIN
            && (self.taken == 0 || self.last.elapsed() < NOTHING_MORE)
    }

    /// From the first record to the last.
    fn seconds(&self) -> f64 {
        self.first.map_or(f64::NAN, |first| {
            (self.last - first).as_secs_f64().max(0.001)
        })
    }
}

/// Kafka's consumer performance tool over `count` records of a topic: its records a second, and
/// its processor time less that of a run over one record, which is the JVM's start.
pub(crate) fn perf_tool(servers: &Servers, topic: &str, count: u64) -> Result<(f64, Run), String> {
    let (_, start) = perf_run(servers, topic, 1)?;
    let (rate, all) = perf_run(servers, topic, count)?;
    let run = Run {
        events: count,
        cpu: (all - start).max(0.01),
        wall: count as f64 / rate,
        redis: 0.0,
    };
    Ok((rate, run))
}

fn perf_run(servers: &Servers, topic: &str, count: u64) -> Result<(f64, f64), String> {
    let before = cpu::ended_children();
    let java = std::env::var("JAVA_HOME").map_or("java".into(), |home| format!("{home}/bin/java"));
    let log4j = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/kafka/tools-log4j2.properties"
    );
    let output = Command::new(java)
        .args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"])
        .arg(format!("-Dlog4j2.configurationFile={log4j}"))
        .args(["-cp", &format!("{}/*", servers.jars)])
        .arg("org.apache.kafka.tools.ConsumerPerformance")
        .args(["--bootstrap-server", &servers.kafka, "--topic", topic])
        .args(["--num-records", &count.to_string()])
        .output()
        .map_err(|error| format!("java cannot be started: {error}"))?;
    let used = cpu::ended_children() - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = || {
        let mut lines = text.lines().filter(|line| line.contains(','));
        let names = lines.next()?.split(',').map(str::trim);
        let place = names
            .into_iter()
            .position(|name| name == "fetch.nMsg.sec")?;
        lines.next()?.split(',').nth(place)?.trim().parse().ok()
    };
    let rate = rate().ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("ConsumerPerformance said {text:?} {error:?}")
    })?;
    Ok((rate, used))
}

/// The agent as a worker: memory, checkpoints on their own thread, its own output read back.
/// Returns also what it published.
pub(crate) fn agent<A: Agent>(
    servers: &Servers,
    at: &Deployment,
    agent: A,
) -> PortResult<(Run, Vec<Outgoing>)> {
    let spec = agent.capabilities();
    let expected: u64 = at.ends(spec.reads)?.iter().map(|(_, _, end)| end).sum();
    let outputs = [&[spec.writes], spec.also_writes].concat();
    let ends = at.ends(&outputs)?;
    let (redis, before) = (servers.redis_cpu(), cpu::own());
    let log = KafkaLog::open(&at.kafka, spec.name, 0, &topics_of(spec, false))?;
    let outside = Outside {
        log: Box::new(log),
        store: Arc::new(RedisStore::open(at.redis.clone())?),
        clock: Arc::new(SystemClock::default()),
        metrics: Arc::new(Metrics::default()),
    };
    let options = Options {
        partitions: PARTITIONS,
        checkpoint_thread: true,
        ..Options::default()
    };
    let mut worker = Worker::new(agent, outside, options)
        .map_err(|error| PortError::Fatal(error.to_string()))?;
    let mut progress = Progress::of(expected);
    while progress.goes_on() {
        match worker.turn(WAIT) {
            Ok(turn) => progress.add(turn.taken as u64),
            Err(PortError::Fatal(text)) => return Err(PortError::Fatal(text)),
            Err(error) => eprintln!("bench: {}: {error}", spec.name),
        }
    }
    worker.shutdown()?;
    let run = Run {
        events: progress.taken,
        cpu: cpu::own() - before,
        wall: progress.seconds(),
        redis: servers.redis_cpu() - redis,
    };
    let published: u64 = at.ends(&outputs)?.iter().map(|(_, _, end)| end).sum();
    let published = published - ends.iter().map(|(_, _, end)| end).sum::<u64>();
    let left = at.since(&ends)?;
    // Compaction may have removed some already: others stand in for them.
    let records = left
        .iter()
        .cycle()
        .take(published as usize * usize::from(!left.is_empty()));
    Ok((run, records.cloned().collect()))
}

/// The same records through the same client and decoder, and as many outputs as the agent
/// published, with no agent and no memory.
pub(crate) fn bare(at: &Deployment, spec: &Capabilities, outputs: &[Outgoing]) -> PortResult<Run> {
    let expected: u64 = at.ends(spec.reads)?.iter().map(|(_, _, end)| end).sum();
    // To a topic that nobody here reads, so that it is nobody's input.
    let outputs: Vec<Outgoing> = outputs
        .iter()
        .map(|record| Outgoing {
            topic: Topic::Outcomes,
            ..record.clone()
        })
        .collect();
    let mut options = at.kafka.clone();
    options.group_prefix = format!("{}bare.", options.group_prefix);
    let before = cpu::own();
    let mut log = KafkaLog::open(&options, spec.name, 0, spec.reads)?;
    let appender = log.appender();
    let max = Options::default().poll_records_max;
    let (mut progress, mut sent) = (Progress::of(expected), 0);
    while progress.goes_on() {
        let mut taken = 0;
        let polled = log.poll(max, WAIT, &mut |record| {
            let _decoded = std::hint::black_box(decode(record.topic, record.key, record.payload));
            taken += 1;
        });
        match polled {
            Ok(Some(Ownership::Assigned(partitions))) => {
                let tasks: Vec<(u32, Positions)> = partitions
                    .into_iter()
                    .map(|partition| (partition, Positions::new()))
                    .collect();
                log.start(&tasks)?;
            }
            Ok(Some(Ownership::Revoked(partitions) | Ownership::Lost(partitions))) => {
                log.stop(&partitions)?;
            }
            Ok(None) | Err(PortError::Transient(_)) => {}
            Err(error) => return Err(error),
        }
        progress.add(taken);
        let due = outputs.len() as u64 * progress.taken / expected.max(1);
        while sent < due.min(outputs.len() as u64) {
            match appender.append(1, &outputs[sent as usize]) {
                Ok(()) => sent += 1,
                Err(PortError::Transient(_)) => std::thread::park_timeout(ROOM_REST),
                Err(error) => return Err(error),
            }
        }
    }
    appender.settle(1, RUN_WITHIN)?;
    log.close()?;
    Ok(Run {
        events: progress.taken,
        cpu: cpu::own() - before,
        wall: progress.seconds(),
        redis: 0.0,
    })
}
