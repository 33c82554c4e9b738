//! A Redis that forgets under a live process.

use crate::story::StoryOptions;
use skyherd::model::AgentName;

use super::{
    Ending, PACE, Partitioner, World, WorldOptions, inputs, load, load_at_once, story, story_split,
};
use crate::harness::{DEADLINE, await_until};

const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 1,
    seed: 1,
};

#[test]
fn a_redis_emptied_on_day_20_of_34_changes_nothing() {
    let options = WorldOptions {
        config: "[checkpoint]\ninterval_ms = 200\n[memory]\nbackup_interval_ms = 1000".to_owned(),
        ..WorldOptions::default()
    };
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let (before, after) = story_split(STORY, 20);
    load(&world.kafka, &before, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    for agent in AgentName::ALL {
        await_until("every agent is backed up", DEADLINE, || {
            let labels = [("agent", agent.as_str())];
            let backups = world.metric_of("a", "skyherd_backups_total", &labels);
            (backups > 0).then_some(())
        });
    }
    world.redis.flushall();
    load_at_once(&world.kafka, &after);
    world.await_quiesced();
    assert!(world.metric("a", "skyherd_memory_went_back_total") > 0);
    assert!(world.metric("a", "skyherd_subjects_restored_total") > 0);
    let records = [before, after].concat();
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "Redis emptied");
}

#[test]
fn a_redis_set_back_under_a_live_process_is_noticed_and_changes_nothing() {
    let options = WorldOptions {
        config: "[checkpoint]\ninterval_ms = 200".to_owned(),
        pace: Some(PACE),
        ..WorldOptions::default()
    };
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let records = story(STORY);
    let inputs = inputs(&records);
    load(&world.kafka, &records, Partitioner::Murmur2);
    world.run("a", None);
    world.await_progress(inputs, 0.2);
    let early = world.redis.save();
    world.await_progress(inputs, 0.6);
    world.redis.restore(&early);
    world.await_quiesced();
    assert!(world.metric("a", "skyherd_memory_went_back_total") > 0);
    // Nothing was backed up, so what was forgotten was read again.
    assert_eq!(world.metric("a", "skyherd_subjects_restored_total"), 0);
    assert!(world.taken("a") > inputs);
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "Redis set back");
}
