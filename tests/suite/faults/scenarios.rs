//! One test a disturbance. Each loads the topics first, starts the processes after, disturbs them, and compares the ending
//! with that of the embedded run of the same records.

use crate::story::StoryOptions;

use super::{
    Ending, PACE, Partitioner, Raw, World, WorldOptions, inputs, load, load_at_once, story,
};
use crate::harness::{RedisOptions, await_until};

const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 1,
    seed: 1,
};

/// Saved often, so that a kill finds something to go back to.
const OFTEN: &str = "[checkpoint]\ninterval_ms = 200";

/// Runs the story with a disturbance. `disturb` gets the world with every record loaded and nothing started, and what
/// [`World::progress`] counts; at its end at least one process must run.
fn disturbed(what: &str, options: WorldOptions, disturb: impl FnOnce(&mut World, u64)) {
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let records: Vec<Raw> = story(STORY);
    load(&world.kafka, &records, Partitioner::Murmur2);
    disturb(&mut world, inputs(&records));
    world.await_quiesced();
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), what);
}

fn often() -> WorldOptions {
    WorldOptions {
        config: OFTEN.to_owned(),
        pace: Some(PACE),
        ..WorldOptions::default()
    }
}

/// Shares of the input between 5 and 95 %, in order, drawn from a seed.
fn moments(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut moments: Vec<f64> = (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            0.05 + 0.9 * (state % 1_000_000) as f64 / 1_000_000.0
        })
        .collect();
    moments.sort_by(f64::total_cmp);
    moments
}

#[test]
fn on_kafka_and_redis_a_run_ends_as_embedded() {
    disturbed("undisturbed", WorldOptions::default(), |world, _| {
        world.run("a", None);
    });
}

#[test]
fn kills_at_forty_moments_change_nothing() {
    let seed = 20_261_122;
    disturbed(
        &format!("40 kills, seed {seed}"),
        WorldOptions {
            // A restart takes a second or two, in which not much more than the next share shall pass.
            pace: Some(PACE / 2),
            ..often()
        },
        |world, inputs| {
            for share in moments(40, seed) {
                world.run("a", None);
                world.reach(inputs, share);
                world.kill("a");
            }
            world.run("a", None);
        },
    );
}

#[test]
fn crashes_between_the_steps_of_a_checkpoint_change_nothing() {
    disturbed("10 failpoints", often(), |world, _| {
        for passage in 1..=5 {
            for point in ["settled", "stored"] {
                let failpoint = format!("{point}:{passage}");
                world.run_with("a", None, &[("SKYHERD_TEST_FAILPOINT", &failpoint)]);
                world.await_end("a");
            }
        }
        world.run("a", None);
    });
}

#[test]
fn a_survivor_takes_over_from_a_killed_process() {
    disturbed("one of two killed", often(), |world, inputs| {
        world.run("a", None);
        world.run("b", None);
        world.await_progress(inputs, 0.3);
        world.kill("a");
    });
}

#[test]
fn rolling_restarts_change_nothing() {
    let options = often();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    world.run("a", None);
    world.run("b", None);
    let records: Vec<Raw> = story(STORY);
    let restarted = ["a", "b", "a"];
    let mut parts = records.chunks(records.len().div_ceil(restarted.len() + 1));
    let first = parts.next().expect("the story has records");
    load_at_once(&world.kafka, first);
    world.reach(inputs(first), 0.2);
    // Whoever stops has just been given more, however fast it is.
    for (name, part) in restarted.into_iter().zip(parts) {
        load_at_once(&world.kafka, part);
        world.stop(name);
        world.run(name, None);
    }
    world.await_quiesced();
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "rolling restarts");
}

#[test]
fn nothing_of_a_zombie_counts() {
    disturbed("a paused process", often(), |world, inputs| {
        world.run("a", None);
        world.await_progress(inputs, 0.3);
        world.node("a").pause();
        world.run("b", None);
        await_until("b owns everything", crate::harness::DEADLINE, || {
            // The paused process does not answer, so only b is asked.
            (world.metric("b", "skyherd_records_taken_total") > 0).then_some(())
        });
        world.node("a").resume();
    });
}

#[test]
fn a_broker_restart_changes_nothing() {
    // So slow that there is something left to take after each of the restarts.
    let options = WorldOptions {
        pace: Some(PACE / 2),
        ..often()
    };
    disturbed("broker restarts", options, |world, inputs| {
        world.run("a", None);
        for (share, killed) in [(0.15, false), (0.3, true), (0.45, false), (0.6, true)] {
            world.await_progress(inputs, share);
            if killed {
                world.kafka.kill();
            }
            world.kafka.restart();
        }
        // Without it such a restart ends or stalls librdkafka, but not each time.
        let environment = world.node("a").environment();
        let filled = b"GLIBC_TUNABLES=glibc.malloc.perturb=";
        assert!(
            environment.windows(filled.len()).any(|text| text == filled),
            "memory is not filled"
        );
    });
}

#[test]
fn a_redis_that_is_away_for_ten_seconds_changes_nothing() {
    disturbed("Redis away", often(), |world, inputs| {
        world.run("a", None);
        world.await_progress(inputs, 0.3);
        world.redis.pause();
        // The disturbance itself is a length of time: Redis answers nobody for 10 seconds.
        std::thread::sleep(std::time::Duration::from_secs(10));
        world.redis.resume();
    });
}

#[test]
fn redis_cluster_serves_as_well() {
    let options = WorldOptions {
        redis: RedisOptions {
            cluster: true,
            ..RedisOptions::default()
        },
        ..WorldOptions::default()
    };
    disturbed("Redis Cluster", options, |world, _| world.run("a", None));
}
