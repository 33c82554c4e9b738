//! A log that is not what the stored positions say, and positions that say what the log is.

use std::collections::BTreeMap;

use crate::story::StoryOptions;
use skyherd::model::{AgentName, Topic};

use super::{
    Ending, PACE, Partitioner, Raw, World, WorldOptions, inputs, load, story, story_split,
};

const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 1,
    seed: 1,
};
const METRICS: &str = "aws.metrics";

fn gaps(world: &World, metric: &str, agent: &str) -> u64 {
    world.metric_of("a", metric, &[("agent", agent), ("topic", METRICS)])
}

fn assert_only_metrics_have_gaps(world: &World) {
    let every = world.metric("a", "skyherd_position_gaps_total");
    let metrics = [("topic", METRICS)];
    let metrics = world.metric_of("a", "skyherd_position_gaps_total", &metrics);
    assert_eq!(every, metrics, "other topics were left alone");
}

#[test]
fn records_the_log_dropped_are_a_gap_that_clears_nothing() {
    let options = WorldOptions::default();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let (before, after) = story_split(STORY, 20);
    load(&world.kafka, &before, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    world.stop("a");
    let known = world.ending();

    // Two days of metrics come and go while nobody looks.
    let (lost, after): (Vec<Raw>, Vec<Raw>) = {
        let two_days = story_split(STORY, 22).0.len() - before.len();
        let mut index = 0;
        after.into_iter().partition(|raw| {
            index += 1;
            index <= two_days && raw.topic == Topic::AwsMetrics
        })
    };
    load(&world.kafka, &lost, Partitioner::Murmur2);
    let ends = world.kafka.end_offsets("aws\\.metrics");
    world.kafka.delete_records(&ends);
    world.run("a", None);
    world.await_quiesced();
    for agent in skyherd::topology::readers(Topic::AwsMetrics) {
        assert!(
            gaps(&world, "skyherd_position_gaps_total", agent) > 0,
            "{agent}"
        );
        let missed = gaps(&world, "skyherd_position_gap_records_total", agent);
        assert_eq!(missed, lost.len() as u64, "{agent}");
    }
    assert_only_metrics_have_gaps(&world);
    world
        .ending()
        .assert_equals(&known, "nothing heard but a gap");

    // What follows is decided on as if the lost records had never been.
    world.stop("a");
    load(&world.kafka, &after, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    let records = [before, after].concat();
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "after a gap");
}

#[test]
fn a_topic_made_anew_is_read_from_its_start() {
    let options = WorldOptions::default();
    let partitions = options.partitions;
    let Some(mut world) = World::start(options) else {
        return;
    };
    let (before, after) = story_split(STORY, 20);
    load(&world.kafka, &before, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    world.stop("a");
    let delete = ["--delete", "--topic", METRICS];
    world.kafka.tool("TopicCommand", &delete);
    let applied = world.command(&["topics", "apply"], |config| config);
    assert_eq!(
        applied.code,
        Some(0),
        "{}{}",
        applied.stdout,
        applied.stderr
    );
    assert_eq!(applied.stdout.trim(), "aws.metrics created");
    load(&world.kafka, &after, Partitioner::Murmur2);
    world.run("a", None);
    world.await_quiesced();
    for agent in skyherd::topology::readers(Topic::AwsMetrics) {
        assert!(
            gaps(&world, "skyherd_position_gaps_total", agent) > 0,
            "{agent}"
        );
    }
    assert_only_metrics_have_gaps(&world);
    let records = [before, after].concat();
    world
        .ending()
        .assert_equals(&Ending::embedded(&records, partitions), "a topic made anew");
}

#[test]
fn another_number_of_partitions_is_refused_by_name_and_numbers() {
    let options = WorldOptions {
        // A live process hears of it with the next metadata.
        properties: vec![("topic.metadata.refresh.interval.ms", "500")],
        ..WorldOptions::default()
    };
    let Some(mut world) = World::start(options) else {
        return;
    };
    world.run("live", None);
    world.await_quiesced();
    let alter = ["--alter", "--topic", METRICS, "--partitions", "16"];
    world.kafka.tool("TopicCommand", &alter);
    let (status, said) = world.await_end("live");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(METRICS) && said.contains("partition"),
        "{said}"
    );

    world.run("new", None);
    let (status, said) = world.await_end("new");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("begun with 8 partitions"), "{said}");
    assert!(said.contains("aws.metrics has 16"), "{said}");
    assert!(
        !said.contains("aws.events"),
        "only what differs is named: {said}"
    );

    let applied = world.command(&["topics", "apply"], |config| config);
    assert_eq!(
        applied.code,
        Some(1),
        "{}{}",
        applied.stdout,
        applied.stderr
    );
    assert!(
        applied
            .stdout
            .contains("refused: aws.metrics has 16 partitions, should have 8"),
        "{}",
        applied.stdout
    );
    assert_eq!(world.kafka.end_offsets("aws\\.metrics").len(), 16);
    assert_eq!(world.kafka.end_offsets("aws\\.events").len(), 8);
}

#[test]
fn reported_offsets_are_the_stored_positions() {
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
    load(&world.kafka, &records, Partitioner::Murmur2);
    world.run("a", None);
    world.await_progress(inputs(&records), 0.4);
    world.stop("a");
    let mut left: BTreeMap<(AgentName, Topic), u64> = BTreeMap::new();
    for agent in AgentName::ALL {
        for ((topic, partition), (reported, end)) in
            world.kafka.group_offsets(&format!("skyherd.{agent}"))
        {
            let topic = Topic::parse(&topic).expect("a topic of ours");
            let reported = reported.unwrap_or_else(|| {
                assert_eq!(end, 0, "{agent} reported nothing of {topic} {partition}");
                0
            });
            let left = left.entry((agent, topic)).or_default();
            *left += u64::try_from(end - reported).expect("nothing beyond the end is reported");
        }
    }
    assert!(
        left.values().any(|left| *left > 0),
        "it was stopped under load"
    );

    // The next owner begins at the stored positions: it takes what was reported as left, no more and no less.
    world.run("a", None);
    world.await_quiesced();
    for ((agent, topic), left) in left {
        if !Topic::RAW.contains(&topic) {
            continue;
        }
        let labels = [("agent", agent.as_str()), ("topic", topic.as_str())];
        let taken = world.metric_of("a", "skyherd_records_taken_total", &labels);
        assert_eq!(taken, left, "{agent} {topic}");
    }
    world.stop("a");
    for agent in AgentName::ALL {
        for (place, (reported, end)) in world.kafka.group_offsets(&format!("skyherd.{agent}")) {
            assert_eq!(reported.unwrap_or(0), end, "{agent} {place:?}");
        }
    }
    world.ending().assert_equals(
        &Ending::embedded(&records, partitions),
        "stopped under load",
    );
}
