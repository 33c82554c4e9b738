//! The store on a real Redis.

use std::time::Duration;

use skyherd::adapters::redis::{RedisMode, RedisOptions, RedisStore, RedisTls};
use skyherd::model::{AgentName, Subject, Timestamp};
use skyherd::ports::{Checkpoint, Committed, PortError, Store, TaskId};

use crate::harness::{Redis, RedisOptions as ServerOptions, Service, free_port, require_redis};

const TASK: TaskId = TaskId {
    agent: AgentName::Cost,
    partition: 7,
};

/// A server with these directives after the defaults; `None` where there is none to run.
fn server(directives: &[(&str, &str)]) -> Option<Redis> {
    Redis::start(&with(directives))
}

fn with(directives: &[(&str, &str)]) -> ServerOptions {
    ServerOptions {
        directives: directives
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..ServerOptions::default()
    }
}

fn address(redis: &Redis) -> String {
    format!("127.0.0.1:{}", redis.port())
}

fn options(redis: &Redis) -> RedisOptions {
    RedisOptions {
        addresses: vec![address(redis)],
        connect_timeout: Duration::from_secs(5),
        ..RedisOptions::default()
    }
}

fn open(redis: &Redis) -> RedisStore {
    RedisStore::open(options(redis)).expect("the server is up")
}

fn subject(name: &str) -> Subject {
    Subject::new("111122223333", "eu-west-1", &format!("instance/{name}"))
}

fn checkpoint(epoch: u64, expected: Option<&str>, meta: &str) -> Checkpoint {
    Checkpoint {
        task: TASK,
        epoch,
        expected: expected.map(|text| text.as_bytes().to_vec()),
        meta: meta.as_bytes().to_vec(),
        states: Vec::new(),
        recent: Vec::new(),
        wakes: Vec::new(),
        outputs: Vec::new(),
    }
}

fn full_checkpoint(epoch: u64, expected: Option<&str>, meta: &str) -> Checkpoint {
    Checkpoint {
        states: vec![
            (subject("a"), Some(vec![0, 255, 13, 10])),
            (subject("b"), Some(vec![])),
        ],
        recent: vec![(subject("a"), vec![b"1".to_vec(), b"2".to_vec()])],
        wakes: vec![
            (subject("b"), Some(Timestamp::from_ms(2_000))),
            (subject("a"), Some(Timestamp::from_ms(-1_000))),
        ],
        ..checkpoint(epoch, expected, meta)
    }
}

/// What every arrangement of servers must do the same.
fn a_task_lives(store: &RedisStore) {
    let first = store.acquire(TASK, 0).expect("acquire");
    assert_eq!((first.epoch, first.meta, first.wakes), (1, None, vec![]));
    assert_eq!(
        store
            .commit(&full_checkpoint(1, None, "one"))
            .expect("commit"),
        Committed::Committed
    );
    assert_eq!(
        store
            .load(TASK, &[subject("b"), subject("none"), subject("a")])
            .expect("load")
            .value,
        vec![Some(vec![]), None, Some(vec![0, 255, 13, 10])]
    );
    let second = store.acquire(TASK, 10).expect("acquire");
    assert_eq!(second.epoch, 10);
    assert_eq!(second.meta.as_deref(), Some(&b"one"[..]));
    assert_eq!(
        second.wakes,
        vec![
            (Timestamp::from_ms(-1_000), subject("a")),
            (Timestamp::from_ms(2_000), subject("b")),
        ]
    );
    assert_eq!(
        store.recent(TASK, &subject("a"), 9).expect("recent"),
        vec![b"2".to_vec(), b"1".to_vec()]
    );
    assert_eq!(
        store.recent(TASK, &subject("a"), 1).expect("recent"),
        vec![b"2".to_vec()]
    );
    assert_eq!(
        store
            .subjects(TASK, Some(&subject("a")), 9)
            .expect("subjects")
            .value,
        vec![subject("b")]
    );
    let mut gone = checkpoint(10, Some("one"), "two");
    gone.states.push((subject("a"), None));
    gone.wakes.push((subject("b"), None));
    assert_eq!(store.commit(&gone).expect("commit"), Committed::Committed);
    assert_eq!(
        store.recent(TASK, &subject("a"), 9).expect("recent"),
        Vec::<Vec<u8>>::new()
    );
    assert_eq!(
        store.load(TASK, &[subject("a")]).expect("load").value,
        vec![None]
    );
    let wakes = store.acquire(TASK, 0).expect("acquire").wakes;
    assert_eq!(wakes, vec![(Timestamp::from_ms(-1_000), subject("a"))]);
    assert_eq!(store.wipe(TASK, 11).expect("wipe"), Committed::Committed);
    let last = store.acquire(TASK, 0).expect("acquire");
    assert_eq!((last.epoch, last.meta, last.wakes), (12, None, vec![]));
    assert_eq!(
        store.subjects(TASK, None, 9).expect("subjects").value,
        vec![]
    );
}

#[test]
fn a_task_lives_in_a_standalone_redis() {
    let Some(redis) = server(&[]) else {
        return;
    };
    a_task_lives(&open(&redis));
}

#[test]
fn a_task_lives_in_a_redis_cluster() {
    let Some(redis) = Redis::start(&ServerOptions {
        cluster: true,
        ..ServerOptions::default()
    }) else {
        return;
    };
    let store = RedisStore::open(RedisOptions {
        mode: RedisMode::Cluster,
        ..options(&redis)
    })
    .expect("the cluster is up");
    a_task_lives(&store);
}

#[test]
fn a_task_lives_behind_a_sentinel() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary folder");
    let config = directory.path().join("sentinel.conf");
    let port = free_port();
    std::fs::write(
        &config,
        format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor herd 127.0.0.1 {} 1\n",
            redis.port()
        ),
    )
    .expect("the folder is writable");
    let program = require_redis().expect("the server above runs it");
    let mut command = std::process::Command::new(program);
    command.arg(&config).arg("--sentinel");
    let log = directory.path().join("sentinel.log");
    let mut sentinel = Service::spawn("the Sentinel", command, &log);
    sentinel.await_line("+monitor master");
    let behind = |service: &str| {
        RedisStore::open(RedisOptions {
            mode: RedisMode::Sentinel {
                service: service.into(),
            },
            addresses: vec![format!("127.0.0.1:{port}")],
            ..RedisOptions::default()
        })
    };
    a_task_lives(&behind("herd").expect("the master is up"));
    let error = behind("flock").err().expect("there is no such service");
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("redis.service")),
        "{error:?}"
    );
}

#[test]
fn a_fenced_owner_writes_nothing() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let store = open(&redis);
    let old = store.acquire(TASK, 0).expect("acquire").epoch;
    let new = store.acquire(TASK, 0).expect("acquire").epoch;
    assert!(new > old);
    assert_eq!(
        store
            .commit(&full_checkpoint(old, None, "old"))
            .expect("commit"),
        Committed::Fenced
    );
    assert_eq!(store.wipe(TASK, old).expect("wipe"), Committed::Fenced);
    assert_eq!(
        store.load(TASK, &[subject("a")]).expect("load").value,
        vec![None]
    );
}

#[test]
fn a_checkpoint_whose_answer_was_lost_is_committed_once() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let store = open(&redis);
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    let once = full_checkpoint(epoch, None, "one");
    assert_eq!(store.commit(&once).expect("commit"), Committed::Committed);
    assert_eq!(store.commit(&once).expect("commit"), Committed::Committed);
    assert_eq!(
        store.recent(TASK, &subject("a"), 9).expect("recent").len(),
        2
    );
}

#[test]
fn a_redis_that_forgot_has_gone_back() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let store = open(&redis);
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    store
        .commit(&full_checkpoint(epoch, None, "one"))
        .expect("commit");
    // An older dump of the same epoch: the meta is not what this owner wrote last.
    let other = store
        .commit(&full_checkpoint(epoch, Some("zero"), "two"))
        .expect("commit");
    assert_eq!(other, Committed::WentBack);
    redis.flushall();
    let flushed = store
        .commit(&full_checkpoint(epoch, Some("one"), "two"))
        .expect("commit");
    assert_eq!(flushed, Committed::WentBack);
    assert_eq!(store.wipe(TASK, epoch).expect("wipe"), Committed::WentBack);
    assert_eq!(
        store.load(TASK, &[subject("a")]).expect("load").value,
        vec![None]
    );
}

#[test]
fn observations_never_exceed_the_capacity_nor_expire() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let store = RedisStore::open(RedisOptions {
        recent_capacity: 3,
        ..options(&redis)
    })
    .expect("the server is up");
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    let mut first = checkpoint(epoch, None, "one");
    first
        .recent
        .push((subject("a"), (0..9).map(|n| vec![n]).collect()));
    store.commit(&first).expect("commit");
    let mut second = checkpoint(epoch, Some("one"), "two");
    second.recent.push((subject("a"), vec![vec![9]]));
    second.states.push((subject("a"), Some(vec![1])));
    second
        .wakes
        .push((subject("a"), Some(Timestamp::from_ms(1))));
    store.commit(&second).expect("commit");
    assert_eq!(
        store.recent(TASK, &subject("a"), 100).expect("recent"),
        vec![vec![9], vec![8], vec![7]]
    );
    let keys = redis.cli(&["KEYS", "*"]);
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("{skyherd:cost:7}:"), "{key}");
        assert_eq!(redis.cli(&["TTL", key]), "-1", "{key} expires");
    }
}

#[test]
fn a_large_checkpoint_is_one_call() {
    let Some(redis) = server(&[]) else {
        return;
    };
    let store = open(&redis);
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    let mut large = checkpoint(epoch, None, "one");
    let subjects: Vec<Subject> = (0..20_000).map(|n| subject(&n.to_string())).collect();
    for (n, subject) in subjects.iter().enumerate() {
        large
            .states
            .push((subject.clone(), Some(vec![n as u8; 1_600])));
        large.recent.push((subject.clone(), vec![vec![n as u8]]));
        large
            .wakes
            .push((subject.clone(), Some(Timestamp::from_ms(n as i64))));
    }
    assert_eq!(store.commit(&large).expect("commit"), Committed::Committed);
    let loaded = store.load(TASK, &subjects).expect("load").value;
    assert!(
        loaded
            .iter()
            .enumerate()
            .all(|(n, value)| value.as_deref() == Some(&vec![n as u8; 1_600][..]))
    );
    assert_eq!(store.acquire(TASK, 0).expect("acquire").wakes.len(), 20_000);
    let mut gone = checkpoint(epoch + 1, Some("one"), "two");
    gone.states = subjects
        .iter()
        .map(|subject| (subject.clone(), None))
        .collect();
    assert_eq!(store.commit(&gone).expect("commit"), Committed::Committed);
    assert_eq!(
        store.subjects(TASK, None, 9).expect("subjects").value,
        vec![]
    );
}

#[test]
fn a_full_redis_changes_nothing_and_says_how_to_mend_it() {
    let Some(redis) = server(&[("maxmemory", "8mb")]) else {
        return;
    };
    let store = open(&redis);
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    let mut expected = None;
    let mut written = 0;
    let error = loop {
        let meta = format!("meta {written}");
        let mut next = checkpoint(epoch, expected.as_deref(), &meta);
        next.states
            .push((subject(&written.to_string()), Some(vec![1; 1 << 20])));
        next.wakes
            .push((subject("a"), Some(Timestamp::from_ms(written))));
        match store.commit(&next) {
            Ok(done) => assert_eq!(done, Committed::Committed),
            Err(error) => break error,
        }
        expected = Some(meta);
        written += 1;
        assert!(written < 64, "8 MiB never filled");
    };
    assert!(
        matches!(&error, PortError::Transient(text) if text.contains("maxmemory")),
        "{error:?}"
    );
    assert_eq!(
        store
            .load(TASK, &[subject(&written.to_string())])
            .expect("load")
            .value,
        vec![None]
    );
}

#[test]
fn an_evicting_redis_is_refused_with_a_hint() {
    let Some(redis) = server(&[("maxmemory", "64mb"), ("maxmemory-policy", "allkeys-lru")]) else {
        return;
    };
    let error = RedisStore::open(options(&redis)).err().expect("it evicts");
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("noeviction")),
        "{error:?}"
    );
}

#[test]
fn a_stopped_redis_is_transient_and_the_next_call_connects_anew() {
    let Some(mut redis) = server(&[("appendonly", "yes"), ("appendfsync", "always")]) else {
        return;
    };
    let store = open(&redis);
    let epoch = store.acquire(TASK, 0).expect("acquire").epoch;
    redis.kill();
    let error = store.acquire(TASK, 0).expect_err("it is stopped");
    assert!(matches!(error, PortError::Transient(_)), "{error:?}");
    redis.restart();
    // A connection left over from before the restart is replaced inside the call.
    assert_eq!(store.acquire(TASK, 0).expect("it is back").epoch, epoch + 1);
    redis.restart();
    assert_eq!(store.acquire(TASK, 0).expect("it is back").epoch, epoch + 2);
}

#[test]
fn tls_and_acl_are_spoken_and_refusals_are_fatal() {
    let Some(redis) = Redis::start(&ServerOptions {
        secure: true,
        ..with(&[
            (
                "user",
                "herd on >secret ~{skyherd:* +@all -@dangerous +info",
            ),
            ("user", "weak on >secret ~other:* +@all"),
        ])
    }) else {
        return;
    };
    let secure = RedisOptions {
        addresses: vec![format!("localhost:{}", redis.port())],
        username: Some("herd".into()),
        password: Some("secret".into()),
        tls: Some(RedisTls {
            ca_file: Some(redis.certs().authority.clone()),
            client: None,
        }),
        ..RedisOptions::default()
    };
    a_task_lives(&RedisStore::open(secure.clone()).expect("allowed"));
    for (changed, hint) in [
        (
            RedisOptions {
                password: Some("wrong".into()),
                ..secure.clone()
            },
            "redis.password",
        ),
        (
            RedisOptions {
                tls: Some(RedisTls::default()),
                ..secure.clone()
            },
            "redis.tls.ca_file",
        ),
    ] {
        let error = RedisStore::open(changed).err().expect("refused");
        assert!(
            matches!(&error, PortError::Fatal(text) if text.contains(hint) && !text.contains("wrong ")),
            "{error:?}"
        );
    }
    let weak = RedisStore::open(RedisOptions {
        username: Some("weak".into()),
        ..secure
    })
    .expect("it may connect");
    let error = weak.acquire(TASK, 0).expect_err("the keys are not its own");
    assert!(
        matches!(&error, PortError::Fatal(text) if text.contains("grant")),
        "{error:?}"
    );
}
