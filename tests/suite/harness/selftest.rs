//! The harness itself: what other tests rely on without looking.

use super::{Kafka, KafkaOptions, Redis, RedisOptions, Sasl, Starts};

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
