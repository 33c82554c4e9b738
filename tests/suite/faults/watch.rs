//! A process that is gone is found by those that live.

use super::{World, WorldOptions};
use crate::harness::{DEADLINE, await_until};

const ROUND: &[(&str, &str)] = &[("SKYHERD_WATCH__INTERVAL_MS", "1000")];

#[test]
fn agents_whose_process_was_killed_are_found_gone_until_they_are_back() {
    let Some(mut world) = World::start(WorldOptions::default()) else {
        return;
    };
    world.run_with("a", Some("resource,coordinator"), ROUND);
    world.run_with("b", Some("cost,security,performance"), ROUND);
    let gone = |world: &World| {
        let labels = [("agent", "resource"), ("severity", "high")];
        world.metric_of("a", "skyherd_open_findings", &labels)
    };
    await_until("both report", DEADLINE, || {
        let rounds = world
            .metric("a", "skyherd_watch_rounds_total")
            .min(world.metric("b", "skyherd_watch_rounds_total"));
        (rounds >= 3 && gone(&world) == 0).then_some(())
    });
    world.kill("b");
    await_until("three agents are found gone", DEADLINE, || {
        (gone(&world) == 3).then_some(())
    });
    let labels = [("action", "investigate"), ("severity", "high")];
    await_until("somebody is told to look", DEADLINE, || {
        let open = world.metric_of("a", "skyherd_open_recommendations", &labels);
        (open == 3).then_some(())
    });
    world.run_with("b", Some("cost,security,performance"), ROUND);
    await_until("they are back", DEADLINE, || {
        (gone(&world) == 0).then_some(())
    });
    world.stop("b");
    world.stop("a");
}
