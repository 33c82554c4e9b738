//! What is known of a resource, and why a rule is silent about it.

use serde_json::{Value, json};

use super::world::{ACCOUNT, World, item, opened_group};

fn point(metric: &str, average: f64, minute: i64) -> Value {
    let start = 1_793_491_200_000_i64; // 2026-11-01T00:00:00Z
    json!({
        "metric_stream_name": "all",
        "account_id": ACCOUNT,
        "region": "eu-west-1",
        "namespace": "AWS/EC2",
        "metric_name": metric,
        "dimensions": {"InstanceId": "i-0abc"},
        "timestamp": start + minute * 60_000,
        "value": {"max": average, "min": average, "sum": average, "count": 1.0},
        "unit": "Percent",
    })
}

fn instance() -> Value {
    item(
        "instance",
        &json!({
            "InstanceId": "i-0abc",
            "InstanceType": "t3.large",
            "State": {"Name": "running"},
            "Tags": [{"Key": "Owner", "Value": "web"}],
        }),
    )
}

fn why(world: &World, subject: &str, rule: &str) -> Value {
    let path = format!("/api/v1/why/{ACCOUNT}/eu-west-1/{subject}?rule={rule}");
    let answer = world.get(&path);
    assert_eq!(answer["rules"].as_array().unwrap().len(), 1, "{answer}");
    answer["rules"][0].clone()
}

#[test]
fn silence_is_explained_by_what_is_missing_or_how_far_the_threshold_is() {
    let world = World::open();
    world.publish("aws.inventory", &instance());
    for minute in [0, 5, 10] {
        world.publish("aws.metrics", &point("CPUUtilization", 42.0, minute));
    }
    world.quiet();
    let high = why(&world, "instance/i-0abc", "PERF-EC2-2");
    assert_eq!(high["verdict"], json!("below_threshold"), "{high}");
    assert_eq!(high["measured"], json!("42.00 %"));
    assert_eq!(high["threshold"], json!("90.00 %"));
    assert_eq!(high["distance"], json!("48.00 %"));
    let credits = why(&world, "instance/i-0abc", "PERF-EC2-3");
    assert_eq!(credits["verdict"], json!("no_data"), "{credits}");
    let lacks = credits["why"].as_str().unwrap();
    assert!(
        lacks.contains("no point of AWS/EC2 CPUCreditBalance"),
        "{lacks}"
    );
    assert!(lacks.contains("cloudwatch:GetMetricData"), "{lacks}");
    let foreign = why(&world, "instance/i-0abc", "COST-EBS-1");
    assert_eq!(foreign["verdict"], json!("not_applicable"), "{foreign}");
    let unknown = why(&world, "instance/i-0fff", "PERF-EC2-2");
    assert_eq!(unknown["verdict"], json!("no_data"));
    assert!(
        unknown["why"]
            .as_str()
            .unwrap()
            .contains("never heard of it")
    );
    let all = world.get(&format!("/api/v1/why/{ACCOUNT}/eu-west-1/instance/i-0abc"));
    let rules = all["rules"].as_array().unwrap();
    assert!(rules.len() > 3 && rules.iter().all(|rule| rule["verdict"] != "not_applicable"));
    let path = format!("/api/v1/why/{ACCOUNT}/eu-west-1/instance/i-0abc?rule=NO-1");
    assert_eq!(world.ask("GET", &path, &[]).0, 404);
}

#[test]
fn an_open_finding_another_one_speaks_for_is_superseded() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let every = why(&world, "security-group/sg-0a1", "SEC-SG-1");
    assert_eq!(every["verdict"], json!("open"), "{every}");
    let single = why(&world, "security-group/sg-0a1", "SEC-SG-2");
    assert_eq!(single["verdict"], json!("superseded"), "{single}");
    assert!(single["why"].as_str().unwrap().contains("every port"));
}

#[test]
fn a_resource_is_shown_with_what_each_agent_remembers() {
    let world = World::open();
    world.publish("aws.inventory", &instance());
    for minute in [0, 5, 10] {
        let cpu = 40.0 + minute as f64;
        world.publish("aws.metrics", &point("CPUUtilization", cpu, minute));
    }
    world.quiet();
    let path = format!("/api/v1/subjects/{ACCOUNT}/eu-west-1/instance/i-0abc");
    let story = world.get(&path);
    let memory = story["memory"].as_array().unwrap();
    let of = |agent: &str| {
        memory
            .iter()
            .find(|memory| memory["agent"] == agent)
            .unwrap()
    };
    let performance = of("performance");
    assert_eq!(performance["facts"]["type"], json!("t3.large"));
    assert_eq!(performance["facts"]["tag Owner"], json!("web"));
    assert_eq!(performance["state"][0], json!("running"));
    assert_eq!(
        performance["observations"][0]["what"],
        json!("CPUUtilization")
    );
    assert_eq!(performance["observations"][0]["value"], json!("50"));
    let series = &performance["series"][0];
    assert_eq!(series["unit"], json!("%"));
    let values: Vec<f64> = series["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[1].as_f64().unwrap())
        .collect();
    assert_eq!(values, [40.0, 45.0, 50.0]);
    let list = world.get("/api/v1/subjects?kind=instance&q=0ABC");
    assert_eq!(list["total"], json!(1));
    let agents = list["subjects"][0]["agents"].as_array().unwrap();
    assert!(agents.contains(&json!("performance")) && agents.contains(&json!("cost")));
    assert_eq!(
        world.get("/api/v1/subjects?kind=account")["total"],
        json!(0)
    );
    let nobody = format!("/api/v1/subjects/{ACCOUNT}/eu-west-1/instance/i-0fff");
    assert_eq!(world.ask("GET", &nobody, &[]).0, 404);
}
