//! What is meant to be so: muted by a tag or by the configuration, visible all the while.

use std::collections::BTreeMap;

use serde_json::json;
use skyherd::agents::Agent as _;
use skyherd::agents::domain::{DomainAgent, DomainState};
use skyherd::model::{
    AgentName, Edge, ExemptedBy, Exemption, Finding, Message, Task, TaskKind, Timestamp, Topic,
};
use skyherd::rules::exempt::{Entry, Exemptions};
use skyherd::sources::{Decoded, decode};

use super::world::World;

fn day(text: &str) -> Timestamp {
    Exemption::parse_until(text).unwrap()
}

/// Inventory shows an item with the tag of that value, or without one.
fn shows(world: &mut World, at: &str, kind: &str, mut item: serde_json::Value, tag: Option<&str>) {
    if let Some(value) = tag {
        item["Tags"] = json!([{"Key": "skyherd:exempt", "Value": value}]);
    }
    let record = json!({
        "account": "111122223333", "region": "eu-west-1", "kind": kind,
        "observed_at": format!("{at}T00:00:00Z"), "item": item,
    });
    let payload = record.to_string().into_bytes();
    let decoded = decode(Topic::AwsInventory, None, Some(&payload)).unwrap();
    let Decoded::Message(Message::Facts(facts)) = decoded else {
        panic!("{decoded:?}");
    };
    for fact in &facts {
        world.fact(fact);
    }
}

/// Inventory shows the group with SSH open to anywhere.
fn group(world: &mut World, at: &str, tag: Option<&str>) {
    let open = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    let item = json!({"GroupId": "sg-0a1", "GroupName": "bastion", "IpPermissions": open});
    shows(world, at, "security-group", item, tag);
}

fn security() -> World {
    World::new(DomainAgent::new(AgentName::Security))
}

/// Day, edge, and who muted it, of every row of the group's finding.
fn told(world: &World) -> Vec<(String, Edge, Option<ExemptedBy>)> {
    let rows = world.findings().filter(|row| row.rule == "SEC-SG-2");
    rows.map(|row| {
        let by = row.exemption.as_ref().map(|exemption| exemption.by);
        (row.at.to_string()[..10].to_owned(), row.edge, by)
    })
    .collect()
}

fn row(day: &str, edge: Edge, by: Option<ExemptedBy>) -> (String, Edge, Option<ExemptedBy>) {
    (day.to_owned(), edge, by)
}

fn newest(world: &World) -> Finding {
    let rows = world.findings().filter(|row| row.rule == "SEC-SG-2");
    rows.last().unwrap().clone()
}

const TAG: Option<ExemptedBy> = Some(ExemptedBy::Tag);

#[test]
fn a_tag_mutes_from_when_it_is_seen_until_its_day_and_not_longer() {
    let mut world = security();
    world.forgetful = true;
    group(&mut world, "2026-11-01", None);
    group(
        &mut world,
        "2026-11-02",
        Some("SEC-SG-2 until=2026-11-10 reason=the bastion"),
    );
    let muted = newest(&world);
    assert!(muted.open() && !muted.counts(), "it stays open and visible");
    let exemption = muted.exemption.unwrap();
    assert_eq!(exemption.until, day("2026-11-10"));
    assert_eq!(exemption.reason, "the bastion");
    // Nothing is heard of the group any more.
    world.advance(day("2026-12-01"));
    assert_eq!(
        told(&world),
        [
            row("2026-11-01", Edge::Opened, None),
            row("2026-11-02", Edge::Updated, TAG),
            row("2026-11-10", Edge::Updated, None),
        ]
    );
    assert_eq!(newest(&world).at, day("2026-11-10"));
    assert_eq!(newest(&world).episode, 1);
}

#[test]
fn what_is_exempt_when_it_is_found_opens_muted_and_a_tag_taken_off_unmutes_it() {
    let mut world = security();
    group(&mut world, "2026-11-01", Some("all until=2027-01-31"));
    group(&mut world, "2026-11-02", Some("all until=2027-01-31"));
    // Of another rule only; then for good.
    group(&mut world, "2026-11-03", Some("SEC-SG-1 until=2027-01-31"));
    group(&mut world, "2026-11-04", None);
    assert_eq!(
        told(&world),
        [
            row("2026-11-01", Edge::Opened, TAG),
            row("2026-11-03", Edge::Updated, None),
        ]
    );
    assert!(world.wakes.is_empty(), "{:?}", world.wakes);
}

#[test]
fn a_malformed_or_ended_tag_mutes_nothing() {
    for tag in [
        "all",
        "all until=soon",
        "all until=2026-10-31",
        "SEC-SG-2;reason=x",
    ] {
        let mut world = security();
        group(&mut world, "2026-11-01", Some(tag));
        assert_eq!(
            told(&world),
            [row("2026-11-01", Edge::Opened, None)],
            "{tag}"
        );
    }
}

#[test]
fn a_finding_that_closes_while_muted_closes_as_any_other() {
    let mut world = security();
    group(&mut world, "2026-11-01", Some("all until=2026-11-10"));
    let item = json!({"GroupId": "sg-0a1", "GroupName": "bastion", "IpPermissions": []});
    let tag = Some("all until=2026-11-10");
    shows(&mut world, "2026-11-02", "security-group", item, tag);
    world.advance(day("2026-11-20"));
    assert_eq!(
        told(&world),
        [
            row("2026-11-01", Edge::Opened, TAG),
            row("2026-11-02", Edge::Cleared, None),
        ]
    );
}

/// Exempts everything of the account until the day.
fn list(until: &str) -> Exemptions {
    Exemptions::new(vec![Entry {
        rules: vec!["SEC-*".into()],
        accounts: vec!["1111*".into()],
        regions: Vec::new(),
        resources: vec!["security-group/*".into()],
        tags: BTreeMap::new(),
        until: day(until),
        reason: "sandbox".into(),
    }])
}

#[test]
fn owners_with_different_lists_change_a_row_once_each_and_only_when_they_hear_of_it() {
    let with = || DomainAgent::new(AgentName::Security).exempting(list("2027-01-31"));
    let mut world = World::new(with());
    group(&mut world, "2026-11-01", None);
    group(&mut world, "2026-11-02", None);
    // The task goes to a process that does not know the list.
    world.agent = DomainAgent::new(AgentName::Security);
    world.advance(day("2026-11-03"));
    group(&mut world, "2026-11-04", None);
    group(&mut world, "2026-11-05", None);
    world.agent = with();
    group(&mut world, "2026-11-06", None);
    group(&mut world, "2026-11-07", None);
    let configured = Some(ExemptedBy::Configuration);
    assert_eq!(
        told(&world),
        [
            row("2026-11-01", Edge::Opened, configured),
            row("2026-11-04", Edge::Updated, None),
            row("2026-11-06", Edge::Updated, configured),
        ]
    );
}

#[test]
fn an_exemption_of_the_list_ends_at_its_day_too_even_under_an_owner_without_it() {
    let with = DomainAgent::new(AgentName::Security).exempting(list("2026-11-10"));
    let mut world = World::new(with);
    group(&mut world, "2026-11-01", None);
    world.agent = DomainAgent::new(AgentName::Security);
    world.advance(day("2026-12-01"));
    let last = told(&world).pop().unwrap();
    assert_eq!(last, row("2026-11-10", Edge::Updated, None));
}

#[test]
fn the_word_of_a_tag_stands_while_its_memory_is_lost_until_its_day_or_the_next_look() {
    let lost = || {
        let mut world = security();
        group(&mut world, "2026-11-01", Some("all until=2026-11-10"));
        let row = newest(&world);
        let mut state = DomainState::default();
        let taken_over = Message::Finding(Box::new(row.clone()));
        assert!(world.agent.adopt(&mut state, &taken_over));
        world.states.clear();
        world.wakes.clear();
        world.states.insert(row.subject.clone(), state);
        // As the runtime does: the agent looks at what it took over.
        world.wakes.insert(row.subject, world.now.plus(1));
        world.advance(day("2026-11-02"));
        assert_eq!(told(&world), [row_opened()]);
        world
    };
    let mut world = lost();
    world.advance(day("2026-12-01"));
    let ended = row("2026-11-10", Edge::Updated, None);
    assert_eq!(told(&world), [row_opened(), ended]);
    let mut world = lost();
    group(&mut world, "2026-11-03", None);
    let seen = row("2026-11-03", Edge::Updated, None);
    assert_eq!(told(&world), [row_opened(), seen]);
}

fn row_opened() -> (String, Edge, Option<ExemptedBy>) {
    row("2026-11-01", Edge::Opened, TAG)
}

#[test]
fn an_answer_leaves_out_what_is_muted() {
    let mut world = security();
    let ask = |world: &mut World, id: &str| {
        let at = world.now;
        world.message(&Message::Task(Box::new(Task {
            id: id.into(),
            request: "r-1".into(),
            agent: AgentName::Security,
            kind: TaskKind::Assess,
            account: "111122223333".into(),
            subject: None,
            route: Vec::new(),
            at,
            deadline: at.plus(Timestamp::MINUTE),
        })));
        let mut results = world.published.iter().filter_map(|message| match message {
            Message::Result(result) => result.answer.clone(),
            _ => None,
        });
        results.next_back().unwrap().findings.len()
    };
    group(&mut world, "2026-11-01", None);
    assert_eq!(ask(&mut world, "before"), 1);
    group(&mut world, "2026-11-02", Some("all until=2026-11-10"));
    assert_eq!(ask(&mut world, "muted"), 0);
    world.advance(day("2026-11-11"));
    assert_eq!(ask(&mut world, "after"), 1);
}

#[test]
fn the_tags_of_what_metrics_alone_judge_are_heard_of() {
    let mut world = World::new(DomainAgent::new(AgentName::Performance));
    let item = json!({"NatGatewayId": "nat-0a1", "State": "available"});
    let tag = Some("PERF-NAT-1 until=2027-01-31");
    shows(&mut world, "2026-11-01", "natgateway", item, tag);
    for minute in [0, 5] {
        let at = day("2026-11-01").plus(minute * Timestamp::MINUTE);
        let point = json!({
            "metric_stream_name": "all", "account_id": "111122223333", "region": "eu-west-1",
            "namespace": "AWS/NATGateway", "metric_name": "ErrorPortAllocation",
            "dimensions": {"NatGatewayId": "nat-0a1"}, "timestamp": at.ms(),
            "value": {"max": 9.0, "min": 9.0, "sum": 9.0, "count": 1.0}, "unit": "Count",
        });
        let payload = point.to_string().into_bytes();
        let decoded = decode(Topic::AwsMetrics, None, Some(&payload)).unwrap();
        let Decoded::Message(Message::Facts(facts)) = decoded else {
            panic!("{decoded:?}");
        };
        facts.iter().for_each(|fact| world.fact(fact));
    }
    let row = world.findings().next().expect("it is found");
    let by = row.exemption.as_ref().map(|exemption| exemption.by);
    assert_eq!((row.rule.as_str(), by), ("PERF-NAT-1", TAG));
}
