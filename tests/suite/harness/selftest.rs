//! The harness itself: what other tests rely on without looking.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{
    DEADLINE, Kafka, KafkaOptions, Redis, RedisOptions, Sasl, Service, Starts, await_until,
};

/// Set in a second process running the test below, which then plays the one that dies.
const VICTIM: &str = "SKYHERD_HARNESS_VICTIM";

#[test]
fn a_server_does_not_outlive_a_test_process_that_is_killed() {
    if std::env::var_os(VICTIM).is_some() {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600");
        let service = Service::spawn("sleep", sleeper, Path::new("/dev/null"));
        writeln!(std::io::stdout(), "\nstarted={}", service.pid()).unwrap();
        std::process::abort();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(std::thread::current().name().unwrap())
        .env(VICTIM, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    let pid = said
        .lines()
        .find_map(|line| line.strip_prefix("started="))
        .unwrap_or_else(|| panic!("{said}"));
    let process = PathBuf::from("/proc").join(pid);
    await_until("the end of the child", DEADLINE, || {
        // A zombie nobody reaps yet is as dead.
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn a_broker_keeps_every_byte_through_a_kill() {
    let Some(mut kafka) = Kafka::start(&KafkaOptions::default()) else {
        return;
    };
    kafka.create_topic("self.test", 4, &["cleanup.policy=compact"]);
    let awkward = "{\"text\":\"tab\\t, comma, \u{fc}\u{1f411} and null\"}";
    kafka.console_produce(
        "self.test",
        &[("111122223333", awkward), ("444455556666", "")],
    );
    kafka.kill();
    kafka.restart();

    let records = kafka.console_consumer("self.test");

    let mut seen: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.key.as_deref().unwrap(),
                record.payload.as_deref().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    let expected: [(&[u8], &[u8]); 2] = [
        (b"111122223333", awkward.as_bytes()),
        (b"444455556666", b""),
    ];
    assert_eq!(seen, expected);
    assert_eq!(kafka.topics(), ["self.test"]);
    let table = kafka.perf_consumer("self.test", 2, Starts::Earliest);
    assert!(table.lines().count() >= 2, "{table}");
}

#[test]
fn a_secure_broker_lets_its_user_in_and_nobody_else() {
    for sasl in [Sasl::Plain, Sasl::ScramSha512] {
        let Some(kafka) = Kafka::start(&KafkaOptions {
            sasl: Some(sasl),
            ..KafkaOptions::default()
        }) else {
            return;
        };
        let properties = kafka.secure().client_properties();
        assert_eq!(
            kafka.list_securely(&properties["sasl.password"]),
            Ok(String::new())
        );
        let refused = kafka.list_securely("wrong").unwrap_err();
        assert!(refused.contains("SaslAuthenticationException"), "{refused}");
    }
}

#[test]
fn redis_goes_back_to_a_dump_and_forgets_what_was_not_saved() {
    let Some(mut redis) = Redis::start(&RedisOptions::default()) else {
        return;
    };
    assert_eq!(redis.cli(&["PING"]), "PONG");
    redis.cli(&["SET", "sheep", "1"]);
    let first = redis.save();
    redis.cli(&["SET", "sheep", "2"]);
    redis.save();
    redis.cli(&["SET", "sheep", "3"]);

    redis.kill();
    redis.restart();
    assert_eq!(redis.cli(&["GET", "sheep"]), "2");

    redis.restore(&first);
    assert_eq!(redis.cli(&["GET", "sheep"]), "1");

    redis.flushall();
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
}

#[test]
fn redis_runs_as_a_cluster_and_behind_tls() {
    let cluster = RedisOptions {
        cluster: true,
        ..RedisOptions::default()
    };
    let Some(redis) = Redis::start(&cluster) else {
        return;
    };
    assert_eq!(redis.cli(&["SET", "{a}b", "1"]), "OK");
    drop(redis);

    let secure = RedisOptions {
        secure: true,
        ..RedisOptions::default()
    };
    let redis = Redis::start(&secure).expect("the first one started");
    assert_eq!(redis.cli(&["ACL", "WHOAMI"]), "skyherd");
}
