//! The live stream: nothing lost, nothing twice, and told when it cannot be so.

use serde_json::json;
use skyherd::http::{Access, EVENTS_MAX};
use skyherd::model::AgentName;

use super::load::{TOPIC, recommendation};
use super::world::{Event, World, opened_group};

fn seq(event: &Event) -> u64 {
    event.id.split_once('-').unwrap().1.parse().unwrap()
}

#[test]
fn changes_arrive_in_order_beside_how_the_agents_do() {
    let world = World::open();
    world.quiet();
    let mut stream = world.stream(None);
    let hello = stream.next();
    assert_eq!(hello.kind, "hello");
    assert_eq!(hello.data["version"], json!(env!("CARGO_PKG_VERSION")));
    let agents = stream.next();
    assert_eq!(agents.kind, "agents");
    assert_eq!(agents.data["agents"].as_array().unwrap().len(), 5);
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    let mut kinds = Vec::new();
    let mut last = seq(&hello);
    while !kinds.contains(&"recommendation".to_owned()) {
        let event = stream.change();
        assert_eq!(seq(&event), last + 1);
        last += 1;
        kinds.push(event.kind);
    }
    assert_eq!(kinds[0], "finding", "the cause before what came of it");
}

#[test]
fn who_listens_from_the_first_moment_hears_of_what_comes_after() {
    // Long to read, so that listening begins while the past is still being read.
    let past: Vec<_> = (0..20_000)
        .map(|number| recommendation(number, 1))
        .collect();
    let agents = [AgentName::Coordinator];
    let world = World::prepared(&agents, Access::new(true), |backend| {
        backend.publish(&past).unwrap();
    });
    let mut stream = world.stream(None);
    assert_eq!(stream.next().kind, "hello");
    world
        .backend
        .publish(&[recommendation(past.len(), 1)])
        .unwrap();
    let told = stream.change();
    assert_eq!(told.kind, "recommendation");
    let all = world.get("/api/v1/recommendations?limit=1");
    assert_eq!(all["total"], json!(past.len() + 1));
    assert_eq!(seq(&told), 1, "rows of the past are no news");
}

#[test]
fn a_list_says_from_where_the_stream_tells_what_it_did_not() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let list = world.get("/api/v1/recommendations");
    assert_eq!(list["total"], json!(1));
    // Between reading the list and listening.
    world.publish("aws.inventory", &opened_group("sg-0a2"));
    let rows = world.rows("/api/v1/recommendations", "recommendations", 2);
    let mut stream = world.stream(list["as_of"].as_str());
    assert_eq!(stream.next().kind, "hello");
    let told = loop {
        let event = stream.change();
        if event.kind == "recommendation" {
            break event.data["id"].clone();
        }
    };
    assert_ne!(told, list["recommendations"][0]["id"]);
    assert!(rows.iter().any(|row| row["id"] == told));
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let world = World::open();
    world.quiet();
    let mut stream = world.stream(None);
    assert_eq!(stream.next().kind, "hello");
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    let first = stream.change();
    drop(stream);
    // Meanwhile more happens.
    world.publish("aws.inventory", &opened_group("sg-0b2"));
    world.quiet();
    let mut stream = world.stream(Some(&first.id));
    let hello = stream.next();
    assert_eq!((hello.kind.as_str(), &hello.id), ("hello", &first.id));
    let end = world.get("/api/v1/findings")["total"].as_u64().unwrap();
    for number in 1..end {
        assert_eq!(seq(&stream.change()), seq(&first) + number);
    }
}

#[test]
fn a_position_that_is_not_known_is_answered_with_a_reset() {
    let world = World::open();
    world.quiet();
    for (number, unknown) in ["1-5", "nonsense", "99999999999999999999-1"]
        .into_iter()
        .enumerate()
    {
        let mut stream = world.stream(Some(unknown));
        assert_eq!(stream.next().kind, "hello");
        let reset = stream.next();
        assert_eq!(reset.kind, "reset", "{unknown}");
        // From there on the stream is as good as any.
        world.publish("aws.inventory", &opened_group(&format!("sg-0{number}")));
        assert_eq!(seq(&stream.change()), seq(&reset) + 1);
        world.quiet();
    }
}

#[test]
fn a_reader_that_stays_away_for_too_long_is_told_to_begin_anew() {
    let world = World::with(&[AgentName::Coordinator], Access::new(true));
    let mut stream = world.stream(None);
    let hello = stream.next();
    drop(stream);
    let rows: Vec<_> = (0..=EVENTS_MAX)
        .map(|number| recommendation(number, 1))
        .collect();
    world.backend.publish(&rows).unwrap();
    let all = format!("/api/v1/recommendations?limit=1&q={TOPIC}");
    assert_eq!(world.get(&all)["total"], json!(EVENTS_MAX + 1));
    let mut stream = world.stream(Some(&hello.id));
    assert_eq!(stream.next().kind, "hello");
    assert_eq!(stream.next().kind, "reset");
}
