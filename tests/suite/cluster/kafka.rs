//! The log on a real Apache Kafka.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use skyherd::adapters::kafka::topics::{Difference, TopicAdmin, TopicSpec, built_in};
use skyherd::adapters::kafka::{
    KafkaAppender, KafkaLog, KafkaOptions, KafkaReader, check_partitions,
};
use skyherd::model::{AgentName, Topic};
use skyherd::ports::{Appender, Gap, Log, Outgoing, Ownership, PortError, PortResult, Positions};

use crate::harness::{Kafka, KafkaOptions as BrokerOptions, Sasl, unique};

/// Far above what a loaded machine needs; only a hang meets it.
const WITHIN: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(100);
const TOPICS: [Topic; 2] = [Topic::AwsEvents, Topic::FindingsCost];

/// The broker that the undemanding tests share; it dies with the test process.
pub(super) fn broker() -> Option<&'static Kafka> {
    static SHARED: OnceLock<Option<Kafka>> = OnceLock::new();
    SHARED
        .get_or_init(|| Kafka::start(&BrokerOptions::default()))
        .as_ref()
}

/// A deployment of its own on `bootstrap`.
pub(super) fn deployment(bootstrap: &str) -> KafkaOptions {
    let name = unique("d");
    KafkaOptions {
        brokers: bootstrap.to_owned(),
        node: name.clone(),
        topic_prefix: format!("{name}."),
        group_prefix: format!("{name}."),
        ..KafkaOptions::default()
    }
}

/// The manifests, keeping records for ever: those of the tests are years old, which the broker's
/// clean-up would notice in the middle of a test.
pub(super) fn specs(topics: &[Topic]) -> Vec<TopicSpec> {
    let mut specs = built_in().expect("the manifests are well-formed");
    for spec in &mut specs {
        if let Some(retention) = spec.config.get_mut("retention.ms") {
            "-1".clone_into(retention);
        }
    }
    specs.retain(|spec| topics.iter().any(|topic| topic.as_str() == spec.name));
    specs
}

fn create(options: &KafkaOptions, topics: &[Topic], partitions: u32) {
    let admin = TopicAdmin::open(options).expect("a client");
    let applied = patiently(|| admin.apply(&specs(topics), Some(partitions)));
    assert_eq!(applied.refused, vec![]);
    patiently(|| check_partitions(options, topics, partitions).map_err(|error| transient(&error)));
}

pub(super) fn transient(error: &PortError) -> PortError {
    PortError::Transient(error.to_string())
}

/// Repeats what may fail for a while.
pub(super) fn patiently<T>(mut call: impl FnMut() -> PortResult<T>) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        match call() {
            Err(PortError::Transient(text)) => {
                assert!(Instant::now() < deadline, "{text}");
                std::thread::yield_now();
            }
            answer => return answer.expect("only transient errors pass"),
        }
    }
}

fn record(topic: Topic, partition: u32, text: &str) -> Outgoing {
    Outgoing {
        topic,
        partition,
        key: Some(b"key".to_vec()),
        payload: Some(text.as_bytes().to_vec()),
        headers: Vec::new(),
        timestamp_ms: Some(1_700_000_000_000),
    }
}

fn write(options: &KafkaOptions, topic: Topic, partition: u32, texts: &[&str]) {
    let appender = KafkaAppender::open(options, "test").expect("a producer");
    for text in texts {
        appender
            .append(1, &record(topic, partition, text))
            .expect("taken");
    }
    appender.settle(1, WITHIN).expect("written");
}

/// A member and what it has seen.
struct Member {
    log: KafkaLog,
    seen: Vec<(Topic, u32, u64, String)>,
}

impl Member {
    fn join(options: &KafkaOptions, number: usize) -> Self {
        Self {
            log: KafkaLog::open(options, AgentName::Cost, number, &TOPICS).expect("a consumer"),
            seen: Vec::new(),
        }
    }

    fn poll(&mut self) -> Option<Ownership> {
        let seen = &mut self.seen;
        let polled = self.log.poll(100, TICK, &mut |record| {
            let text = String::from_utf8_lossy(record.payload.unwrap_or_default()).into_owned();
            seen.push((record.topic, record.partition, record.offset, text));
        });
        match polled {
            Err(PortError::Transient(_)) => None,
            polled => polled.expect("only transient errors pass"),
        }
    }

    fn event(&mut self) -> Ownership {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(event) = self.poll() {
                return event;
            }
            assert!(Instant::now() < deadline, "no change of ownership");
        }
    }

    fn assigned(&mut self) -> Vec<u32> {
        match self.event() {
            Ownership::Assigned(partitions) => partitions,
            event => panic!("{event:?} instead of an assignment"),
        }
    }

    fn start(&mut self, partitions: &[u32], positions: &Positions) -> Vec<Gap> {
        let tasks: Vec<_> = partitions
            .iter()
            .map(|partition| (*partition, positions.clone()))
            .collect();
        patiently(|| self.log.start(&tasks))
    }

    fn see(&mut self, count: usize) {
        let deadline = Instant::now() + WITHIN;
        while self.seen.len() < count {
            assert_eq!(self.poll(), None);
            assert!(
                Instant::now() < deadline,
                "{} of {count} records",
                self.seen.len()
            );
        }
    }

    fn texts(&self) -> Vec<&str> {
        self.seen.iter().map(|(.., text)| text.as_str()).collect()
    }
}

pub(super) fn cut(options: &KafkaOptions, topic: Topic, partition: u32, before: i64) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .create()
        .expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(
        &options.topic_name(topic),
        partition as i32,
        Offset::Offset(before),
    )
    .expect("an offset");
    let answer = block_on(admin.delete_records(&list, &AdminOptions::new())).expect("deleted");
    for element in answer.elements() {
        element.error().expect("deleted");
    }
}

fn delete(options: &KafkaOptions, topics: &[Topic]) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .create()
        .expect("a client");
    let names: Vec<String> = topics
        .iter()
        .map(|topic| options.topic_name(*topic))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for answer in block_on(admin.delete_topics(&names, &AdminOptions::new())).expect("deleted") {
        answer.expect("deleted");
    }
}

fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(answer)
}

#[test]
fn records_come_whole_and_in_order_and_ends_are_known() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 2);
    let mut member = Member::join(&options, 0);
    assert_eq!(member.assigned(), vec![0, 1]);
    assert_eq!(member.start(&[0, 1], &Positions::new()), vec![]);
    let appender = member.log.appender();
    let mut whole = record(Topic::AwsEvents, 1, "whole");
    whole.headers = vec![("a".into(), b"1".to_vec()), ("a".into(), vec![0, 255])];
    appender.append(7, &whole).expect("taken");
    let mut tombstone = record(Topic::AwsEvents, 1, "");
    tombstone.payload = None;
    tombstone.key = None;
    appender.append(7, &tombstone).expect("taken");
    for n in 0..500 {
        let text = n.to_string();
        appender
            .append(8, &record(Topic::FindingsCost, n % 2, &text))
            .expect("taken");
    }
    appender.settle(8, WITHIN).expect("written");
    let mut heads = Vec::new();
    let mut texts: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let deadline = Instant::now() + WITHIN;
    while heads.len() < 2 || texts.values().map(Vec::len).sum::<usize>() < 500 {
        let mut taken = 0;
        member
            .log
            .poll(64, TICK, &mut |record| {
                taken += 1;
                if record.topic == Topic::AwsEvents {
                    heads.push((
                        record.offset,
                        record.key.map(<[u8]>::to_vec),
                        record.payload.map(<[u8]>::to_vec),
                        record.header("a").map(<[u8]>::to_vec),
                        record.headers.len(),
                        // Raw topics carry the broker's time, not the sender's.
                        record.timestamp_ms > Some(1_700_000_000_000),
                    ));
                } else {
                    let text = String::from_utf8_lossy(record.payload.unwrap_or_default());
                    texts
                        .entry(record.partition)
                        .or_default()
                        .push(text.into_owned());
                }
            })
            .expect("polled");
        assert!(taken <= 64);
        assert!(Instant::now() < deadline, "{heads:?} {texts:?}");
    }
    let at = true;
    assert_eq!(
        heads,
        vec![
            (
                0,
                Some(b"key".to_vec()),
                Some(b"whole".to_vec()),
                Some(vec![0, 255]),
                2,
                at
            ),
            (1, None, None, None, 0, at),
        ]
    );
    for (partition, texts) in texts {
        let expected: Vec<String> = (0..500)
            .filter(|n| n % 2 == partition)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(texts, expected, "partition {partition}");
    }
    member.log.refresh_ends(&[0, 1]).expect("answered");
    assert_eq!(member.log.end(Topic::AwsEvents, 1), Some(2));
    assert_eq!(member.log.end(Topic::AwsEvents, 0), Some(0));
    assert_eq!(member.log.end(Topic::FindingsCost, 1), Some(250));
    assert_eq!(member.log.end(Topic::AwsMetrics, 1), None);
    // A reader sees the same, from where it likes.
    let mut read = Vec::new();
    let next = member
        .log
        .read(Topic::FindingsCost, 1, 248, &mut |record| {
            read.push(record.offset);
        })
        .expect("read");
    assert_eq!((next, read), (250, vec![248, 249]));
    let next = member
        .log
        .read(Topic::FindingsCost, 0, 250, &mut |record| {
            panic!("{record:?}")
        })
        .expect("read");
    assert_eq!(next, 250);
}

#[test]
fn a_second_member_takes_its_share_and_a_closed_one_leaves_it() {
    let Some(kafka) = broker() else { return };
    let options = KafkaOptions {
        // Static members keep their share over a close; these leave.
        static_members: false,
        ..deployment(&kafka.bootstrap)
    };
    create(&options, &TOPICS, 4);
    let mut first = Member::join(&options, 0);
    assert_eq!(first.assigned(), vec![0, 1, 2, 3]);
    first.start(&[0, 1, 2, 3], &Positions::new());
    write(&options, Topic::AwsEvents, 3, &["a", "b"]);
    first.see(2);
    let mut second = Member::join(&options, 1);
    let deadline = Instant::now() + WITHIN;
    loop {
        assert_eq!(second.poll(), None, "nothing is free yet");
        if let Some(event) = first.poll() {
            assert_eq!(event, Ownership::Revoked(vec![0, 1, 2, 3]));
            break;
        }
        assert!(Instant::now() < deadline, "the group does not rebalance");
    }
    // One by one, as a worker stops its tasks: the group is answered once.
    for partition in 0..4 {
        first.log.stop(&[partition]).expect("stopped");
    }
    let mut mine = None;
    let mut others = None;
    while mine.is_none() || others.is_none() {
        for (member, share) in [(&mut first, &mut mine), (&mut second, &mut others)] {
            match member.poll() {
                Some(Ownership::Assigned(partitions)) => *share = Some(partitions),
                Some(event) => panic!("{event:?}"),
                None => {}
            }
        }
        assert!(Instant::now() < deadline, "{mine:?} {others:?}");
    }
    let (mine, others) = (mine.expect("assigned"), others.expect("assigned"));
    let mut all = [mine.clone(), others.clone()].concat();
    all.sort_unstable();
    assert_eq!((mine.len(), others.len(), all), (2, 2, vec![0, 1, 2, 3]));
    let positions = Positions::from([(Topic::AwsEvents, 1)]);
    let holder = if mine.contains(&3) {
        &mut first
    } else {
        &mut second
    };
    holder.seen.clear();
    assert_eq!(holder.start(&[3], &positions), vec![]);
    holder.see(1);
    assert_eq!(holder.texts(), ["b"]);
    drop(first);
    let deadline = Instant::now() + WITHIN;
    let whole = loop {
        match second.poll() {
            Some(Ownership::Assigned(partitions)) => break partitions,
            Some(Ownership::Revoked(partitions) | Ownership::Lost(partitions)) => {
                second.log.stop(&partitions).expect("stopped");
            }
            None => {
                // A member that has not answered its assignment does so before it can lose it.
                assert!(
                    Instant::now() < deadline,
                    "the share of the closed member is not given on"
                );
            }
        }
        if !others.contains(&3) {
            second.start(&others, &Positions::new());
        }
    };
    assert_eq!(whole, vec![0, 1, 2, 3]);
}

#[test]
fn a_static_member_is_given_its_share_back_without_a_rebalance() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 2);
    let mut member = Member::join(&options, 0);
    assert_eq!(member.assigned(), vec![0, 1]);
    member.start(&[0, 1], &Positions::new());
    write(&options, Topic::AwsEvents, 0, &["a", "b", "c"]);
    member.see(3);
    member
        .log
        .report(0, &Positions::from([(Topic::AwsEvents, 3)]));
    drop(member);
    let mut again = Member::join(&options, 0);
    assert_eq!(again.assigned(), vec![0, 1]);
    // What was reported to Kafka is never read back: no stored position means the start.
    let stored = Positions::from([(Topic::FindingsCost, 0)]);
    assert_eq!(again.start(&[0, 1], &stored), vec![]);
    again.see(3);
    assert_eq!(again.texts(), ["a", "b", "c"]);
}

#[test]
fn a_survivor_takes_over_from_a_static_member_that_is_gone() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 2);
    let mut gone = Member::join(&options, 0);
    assert_eq!(gone.assigned(), vec![0, 1]);
    gone.start(&[0, 1], &Positions::new());
    let mut survivor = Member::join(&options, 1);
    // The first one leaves in the middle of the rebalance, without a word to the group.
    drop(gone);
    let deadline = Instant::now() + WITHIN;
    loop {
        match survivor.poll() {
            Some(Ownership::Assigned(partitions)) if partitions == [0, 1] => break,
            Some(Ownership::Assigned(partitions)) => {
                survivor.start(&partitions, &Positions::new());
            }
            Some(Ownership::Revoked(partitions) | Ownership::Lost(partitions)) => {
                survivor.log.stop(&partitions).expect("stopped");
            }
            None => {}
        }
        assert!(
            Instant::now() < deadline,
            "the share of the gone is not given on"
        );
    }
}

#[test]
fn two_processes_under_one_node_name_are_told_apart_by_an_error() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    let mut rivals = [Member::join(&options, 0), Member::join(&options, 0)];
    let deadline = Instant::now() + WITHIN;
    let error = 'fought: loop {
        for rival in &mut rivals {
            match rival.log.poll(1, TICK, &mut |_| {}) {
                Err(error @ PortError::Fatal(_)) => break 'fought error.to_string(),
                Ok(Some(Ownership::Assigned(partitions))) => {
                    rival.start(&partitions, &Positions::new());
                }
                Ok(Some(Ownership::Lost(partitions) | Ownership::Revoked(partitions))) => {
                    rival.log.stop(&partitions).expect("stopped");
                }
                Ok(None) | Err(_) => {}
            }
        }
        assert!(Instant::now() < deadline, "both go on");
    };
    assert!(error.contains("same node name"), "{error}");
}

#[test]
fn the_mark_of_a_transaction_does_not_keep_a_member_from_the_end() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    let name = options.topic_name(Topic::AwsEvents);
    let outsider: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .set("transactional.id", &options.node)
        .create()
        .expect("a producer");
    outsider.init_transactions(WITHIN).expect("answered");
    outsider.begin_transaction().expect("begun");
    outsider
        .send(BaseRecord::<(), str>::to(&name).partition(0).payload("a"))
        .expect("taken");
    outsider.commit_transaction(WITHIN).expect("committed");
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0], &Positions::new());
    member.see(1);
    let deadline = Instant::now() + WITHIN;
    member.log.refresh_ends(&[0]).expect("answered");
    assert_eq!(
        member.log.end(Topic::AwsEvents, 0),
        Some(2),
        "record and mark"
    );
    while member.log.end(Topic::AwsEvents, 0) != Some(1) {
        assert_eq!(member.poll(), None);
        assert!(Instant::now() < deadline, "the end is never reached");
    }
    let next = member
        .log
        .read(Topic::AwsEvents, 0, 0, &mut |_| {})
        .expect("read");
    assert_eq!(next, 2);
}

#[test]
fn a_position_outside_the_log_is_a_gap_resumed_at_its_start() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    write(&options, Topic::AwsEvents, 0, &["a", "b", "c", "d"]);
    cut(&options, Topic::AwsEvents, 0, 2);
    let mut member = Member::join(&options, 0);
    assert_eq!(member.assigned(), vec![0]);
    let gap = |wanted, resumed| Gap {
        topic: Topic::AwsEvents,
        partition: 0,
        wanted,
        resumed,
    };
    let below = Positions::from([(Topic::AwsEvents, 1)]);
    assert_eq!(member.start(&[0], &below), vec![gap(1, 2)]);
    member.see(2);
    assert_eq!(member.texts(), ["c", "d"]);
    // A reset of the task starts it again, here beyond the end of the log.
    let beyond = Positions::from([(Topic::AwsEvents, 9)]);
    assert_eq!(member.start(&[0], &beyond), vec![gap(9, 2)]);
    member.see(4);
    assert_eq!(member.texts(), ["c", "d", "c", "d"]);
    // At the very start and the very end there is no gap.
    let start = Positions::from([(Topic::AwsEvents, 2)]);
    assert_eq!(member.start(&[0], &start), vec![]);
    let end = Positions::from([(Topic::AwsEvents, 4)]);
    assert_eq!(member.start(&[0], &end), vec![]);
    let next = member
        .log
        .read(Topic::AwsEvents, 0, 0, &mut |_| {})
        .expect("read");
    assert_eq!(next, 4);
}

#[test]
fn a_reset_of_one_task_leaves_the_others_where_they_are() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 2);
    write(&options, Topic::AwsEvents, 0, &["a0", "a1"]);
    write(&options, Topic::AwsEvents, 1, &["b0", "b1"]);
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0, 1], &Positions::new());
    member.see(4);
    member.seen.clear();
    member.log.pause(Topic::AwsEvents, 1, true).expect("paused");
    member.start(&[0], &Positions::from([(Topic::AwsEvents, 1)]));
    write(&options, Topic::AwsEvents, 1, &["b2"]);
    write(&options, Topic::AwsEvents, 0, &["a2"]);
    member.see(2);
    assert_eq!(member.texts(), ["a1", "a2"], "partition 1 is paused");
    member
        .log
        .pause(Topic::AwsEvents, 1, false)
        .expect("resumed");
    member.see(3);
    assert_eq!(member.texts(), ["a1", "a2", "b2"]);
}

#[test]
fn a_topic_made_anew_is_a_gap() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    write(&options, Topic::AwsEvents, 0, &["a", "b", "c"]);
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0], &Positions::new());
    member.see(3);
    delete(&options, &[Topic::AwsEvents]);
    create(&options, &TOPICS, 1);
    write(&options, Topic::AwsEvents, 0, &["new"]);
    member.seen.clear();
    let stored = Positions::from([(Topic::AwsEvents, 3)]);
    let mut gaps = Vec::new();
    let deadline = Instant::now() + WITHIN;
    while member.seen.is_empty() {
        match member.poll() {
            Some(Ownership::Assigned(partitions)) => {
                gaps.extend(member.start(&partitions, &stored));
            }
            Some(Ownership::Lost(partitions) | Ownership::Revoked(partitions)) => {
                member.log.stop(&partitions).expect("stopped");
            }
            None => {}
        }
        assert!(
            Instant::now() < deadline,
            "the new topic is not read; gaps {gaps:?}"
        );
    }
    assert_eq!(member.texts(), ["new"]);
    assert!(
        gaps.iter().any(|gap| gap.wanted == 3 && gap.resumed == 0),
        "{gaps:?}"
    );
}

#[test]
fn a_log_cut_under_a_live_member_hands_its_task_back() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    write(&options, Topic::AwsEvents, 0, &["a"]);
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0], &Positions::new());
    member.see(1);
    member.log.pause(Topic::AwsEvents, 0, true).expect("paused");
    write(&options, Topic::AwsEvents, 0, &["b", "c", "d"]);
    cut(&options, Topic::AwsEvents, 0, 3);
    member
        .log
        .pause(Topic::AwsEvents, 0, false)
        .expect("resumed");
    assert_eq!(member.event(), Ownership::Lost(vec![0]));
    member.log.stop(&[0]).expect("stopped");
    assert_eq!(member.event(), Ownership::Assigned(vec![0]));
    let gaps = member.start(&[0], &Positions::from([(Topic::AwsEvents, 1)]));
    assert_eq!((gaps.len(), gaps[0].wanted, gaps[0].resumed), (1, 1, 3));
    member.see(2);
    assert_eq!(member.texts(), ["a", "d"]);
}

#[test]
fn topics_of_different_partition_counts_are_refused_by_name() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    create(&options, &[Topic::AwsEvents], 2);
    create(&options, &[Topic::FindingsCost], 1);
    let error = check_partitions(&options, &TOPICS, 2).expect_err("one has 1");
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("findings.cost has 1")),
        "{error:?}"
    );
    let error = check_partitions(&options, &[Topic::Audit], 2).expect_err("absent");
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("audit is absent")),
        "{error:?}"
    );
    let mut member = Member::join(&options, 0);
    let deadline = Instant::now() + WITHIN;
    let error = loop {
        match member.log.poll(1, TICK, &mut |_| {}) {
            Err(error) => break error,
            Ok(event) => assert_eq!(event, None),
        }
        assert!(Instant::now() < deadline, "no assignment");
    };
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("partition 1")),
        "{error:?}"
    );
    // What no topic has cannot be written, and says how to mend it.
    let appender = member.log.appender();
    let stray = appender
        .append(1, &record(Topic::FindingsCost, 7, "x"))
        .and_then(|()| appender.settle(1, WITHIN));
    assert!(
        matches!(&stray, Err(PortError::Fatal(text)) if text.contains("topics apply")),
        "{stray:?}"
    );
}

#[test]
fn topics_are_compared_and_applied_but_never_repartitioned() {
    let Some(kafka) = broker() else { return };
    let options = deployment(&kafka.bootstrap);
    let admin = TopicAdmin::open(&options).expect("a client");
    let mut wanted = specs(&TOPICS);
    let name = |topic| options.topic_name(topic);
    let missing: Vec<_> = wanted
        .iter()
        .map(|spec| Difference::Missing {
            topic: format!("{}{}", options.topic_prefix, spec.name),
        })
        .collect();
    assert_eq!(patiently(|| admin.diff(&wanted, Some(2))), missing);
    let applied = admin.apply(&wanted, Some(2)).expect("applied");
    assert_eq!(
        (
            applied.created.len(),
            applied.altered.len(),
            applied.refused.len()
        ),
        (2, 0, 0)
    );
    patiently(|| check_partitions(&options, &TOPICS, 2).map_err(|error| transient(&error)));
    assert_eq!(admin.diff(&wanted, Some(2)).expect("compared"), vec![]);
    // One setting changes; the others that were set stay as they are.
    let events = wanted
        .iter_mut()
        .find(|spec| spec.name == "aws.events")
        .expect("listed");
    events
        .config
        .insert("retention.ms".into(), "3600000".into());
    let difference = admin.diff(&wanted, Some(2)).expect("compared");
    assert!(
        matches!(&difference[..], [Difference::Config { setting, wanted, .. }] if setting == "retention.ms" && wanted == "3600000"),
        "{difference:?}"
    );
    let applied = admin.apply(&wanted, Some(2)).expect("applied");
    assert_eq!(applied.altered, vec![name(Topic::AwsEvents)]);
    patiently(|| match admin.diff(&wanted, Some(2))? {
        left if left.is_empty() => Ok(()),
        left => Err(PortError::Transient(format!("{left:?}"))),
    });
    let applied = admin.apply(&wanted, Some(4)).expect("answered");
    assert_eq!(applied.refused.len(), 2, "{applied:?}");
    let found = admin.list().expect("listed");
    assert!(
        found
            .iter()
            .filter(|found| found.name.starts_with(&options.topic_prefix))
            .all(|found| found.partitions == 2)
    );
    let extra = admin.diff(&wanted[..1], Some(2)).expect("compared");
    assert_eq!(extra.len(), 1);
    assert!(matches!(&extra[0], Difference::Extra { .. }), "{extra:?}");
}

#[test]
fn a_stopped_broker_is_transient_and_nothing_is_lost() {
    let Some(mut kafka) = Kafka::start(&BrokerOptions::default()) else {
        return;
    };
    let options = deployment(&kafka.bootstrap);
    create(&options, &TOPICS, 1);
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0], &Positions::new());
    let appender = member.log.appender();
    appender
        .append(1, &record(Topic::AwsEvents, 0, "before"))
        .expect("taken");
    appender.settle(1, WITHIN).expect("written");
    member.see(1);
    kafka.kill();
    appender
        .append(2, &record(Topic::AwsEvents, 0, "during"))
        .expect("taken");
    let unsettled = appender.settle(2, TICK);
    assert!(
        matches!(unsettled, Err(PortError::Transient(_))),
        "{unsettled:?}"
    );
    let deadline = Instant::now() + WITHIN;
    loop {
        match member.log.poll(1, TICK, &mut |_| {}) {
            Err(PortError::Transient(text)) => {
                assert!(text.contains(&options.brokers), "{text}");
                break;
            }
            other => assert!(other.is_ok(), "{other:?}"),
        }
        assert!(
            Instant::now() < deadline,
            "nobody says that the broker is gone"
        );
    }
    let unknown = member.log.refresh_ends(&[0]);
    assert!(
        matches!(unknown, Err(PortError::Transient(_))),
        "{unknown:?}"
    );
    kafka.restart();
    patiently(|| appender.settle(2, TICK));
    let deadline = Instant::now() + WITHIN;
    while member.seen.len() < 2 {
        // The session may have ended meanwhile.
        match member.poll() {
            Some(Ownership::Assigned(partitions)) => {
                member.start(&partitions, &Positions::from([(Topic::AwsEvents, 1)]));
            }
            Some(Ownership::Lost(partitions) | Ownership::Revoked(partitions)) => {
                member.log.stop(&partitions).expect("stopped");
            }
            None => {}
        }
        assert!(Instant::now() < deadline, "{:?}", member.seen);
    }
    assert_eq!(member.texts(), ["before", "during"]);
}

#[test]
fn tls_and_scram_are_spoken_and_refusals_are_fatal() {
    let Some(kafka) = Kafka::start(&BrokerOptions {
        sasl: Some(Sasl::ScramSha512),
        ..BrokerOptions::default()
    }) else {
        return;
    };
    let secure = kafka.secure();
    let mut options = deployment(&secure.bootstrap);
    options.properties = secure
        .client_properties()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    create(&options, &TOPICS, 1);
    write(&options, Topic::AwsEvents, 0, &["secret"]);
    let reader = KafkaReader::open(&options, "test").expect("a reader");
    let mut read = 0;
    reader
        .read(Topic::AwsEvents, 0, 0, &mut |_| read += 1)
        .expect("read");
    assert_eq!(read, 1);
    let mut member = Member::join(&options, 0);
    member.assigned();
    member.start(&[0], &Positions::new());
    member.see(1);
    for (property, value, hint) in [
        ("sasl.password", "wrong", "sasl.password"),
        ("ssl.ca.location", "/dev/null", "ssl.ca.location"),
    ] {
        let mut wrong = options.clone();
        wrong.node = unique("wrong");
        wrong.properties.insert(property.into(), value.into());
        let deadline = Instant::now() + WITHIN;
        let error = match KafkaLog::open(&wrong, AgentName::Cost, 0, &TOPICS) {
            Err(error) => error,
            Ok(mut log) => loop {
                match log.poll(1, TICK, &mut |_| {}) {
                    Err(error @ PortError::Fatal(_)) => break error,
                    other => assert!(Instant::now() < deadline, "{property}: {other:?}"),
                }
            },
        };
        let text = error.to_string();
        assert!(
            text.contains(hint) || text.contains("kafka.properties"),
            "{property}: {text}"
        );
    }
}
