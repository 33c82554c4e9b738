//! Kafka and Redis that ask who is there.

use crate::story::StoryOptions;

use super::{Ending, Partitioner, World, WorldOptions, load, story};
use crate::harness::{KafkaOptions, RedisOptions, Sasl};

const KAFKA_PASSWORD: &str = "\"sasl.password\" = \"only-for-tests\"";
const REDIS_PASSWORD: &str = "skyherd:only-for-tests@";
const WRONG: &str = "wrong-4711";

fn secure() -> WorldOptions {
    WorldOptions {
        kafka: KafkaOptions {
            sasl: Some(Sasl::ScramSha512),
            ..KafkaOptions::default()
        },
        redis: RedisOptions {
            secure: true,
            ..RedisOptions::default()
        },
        ..WorldOptions::default()
    }
}

fn replaced(config: &str, right: &str, wrong: &str) -> String {
    assert!(config.contains(right), "no {right} in {config}");
    config.replace(right, wrong)
}

#[test]
fn over_tls_with_passwords_a_run_ends_as_embedded_and_a_wrong_password_is_told() {
    let options = secure();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let checked = world.command(&["check"], |config| config);
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let records = story(StoryOptions {
        period_minutes: 60,
        ..StoryOptions::default()
    });
    load(&world.kafka, &records, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    let log = world.node("a").log();
    assert!(
        !log.contains("only-for-tests"),
        "a secret is in the log: {log}"
    );
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "TLS");
    world.stop("a");

    for (words, right, wrong, hint) in [
        (
            &["topics", "apply"][..],
            KAFKA_PASSWORD,
            format!("\"sasl.password\" = {WRONG:?}"),
            "sasl.password",
        ),
        (
            &["run"],
            KAFKA_PASSWORD,
            format!("\"sasl.password\" = {WRONG:?}"),
            "sasl.password",
        ),
        (
            &["run"],
            REDIS_PASSWORD,
            format!("skyherd:{WRONG}@"),
            "redis.password",
        ),
    ] {
        let ended = world.command(words, |config| replaced(&config, right, &wrong));
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(1), "{words:?}: {said}");
        assert!(said.contains(hint), "{words:?} does not say {hint}: {said}");
        for secret in [WRONG, "only-for-tests"] {
            assert!(!said.contains(secret), "{words:?} tells a secret: {said}");
        }
    }
}
