//! The API before the real agents on an embedded log: what is published comes out of every view.

mod world;

use serde_json::json;
use world::{World, opened_group};

#[test]
fn a_record_is_seen_as_finding_recommendation_and_the_way_between() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let list = world.get("/api/v1/recommendations");
    assert_eq!(list["total"], json!(1), "{list}");
    let id = list["recommendations"][0]["id"].as_str().unwrap();
    let story = world.get(&format!("/api/v1/recommendations/{id}"));
    assert_eq!(story["recommendation"]["id"], json!(id));
    assert_eq!(story["findings"][0]["rule"], json!("SEC-SG-1"));
    assert_eq!(story["history"][0]["what"], json!("opened"));
    let stages: Vec<&str> = story["flow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["stage"].as_str().unwrap())
        .collect();
    let revised = "recommendation";
    assert_eq!(
        stages,
        ["record", "finding", "recommendation", revised],
        "{story}"
    );
    assert_eq!(
        story["flow"][0]["title"],
        json!("security-group security-group/sg-0a1 was described")
    );
    let finding = story["findings"][0]["id"].as_str().unwrap();
    let story = world.get(&format!("/api/v1/findings/{finding}"));
    assert_eq!(story["history"][0]["what"], json!("opened"));
    assert_eq!(story["flow"][0]["topic"], json!("aws.inventory"));
}
