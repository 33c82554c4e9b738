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

/// An instance that does nothing, for more hours than it takes to call it idle.
fn idle(world: &World, class: &str, tags: &Value) {
    let instance = json!({
        "InstanceId": "i-0abc",
        "InstanceType": class,
        "State": {"Name": "running"},
        "Tags": tags,
    });
    world.publish("aws.inventory", &item("instance", &instance));
    for hour in 0..32 {
        for metric in ["CPUUtilization", "NetworkIn", "NetworkOut"] {
            world.publish("aws.metrics", &point(metric, 1.0, hour * 60));
        }
    }
}

#[test]
fn an_open_finding_something_holds_back_is_vetoed() {
    let world = World::open();
    idle(&world, "t3.large", &json!([]));
    world.quiet();
    let free = why(&world, "instance/i-0abc", "COST-EC2-1");
    assert_eq!(free["verdict"], json!("open"), "{free}");
    let charged = point("CPUSurplusCreditsCharged", 5.0, 31 * 60);
    world.publish("aws.metrics", &charged);
    world.quiet();
    let held = why(&world, "instance/i-0abc", "COST-EC2-1");
    assert_eq!(held["verdict"], json!("vetoed"), "{held}");
    let reason = held["why"].as_str().unwrap();
    assert!(reason.contains("PERF-EC2-3") && reason.contains("short of capacity"));
    let holder = why(&world, "instance/i-0abc", "PERF-EC2-3");
    assert_eq!(holder["verdict"], json!("open"), "{holder}");
}

#[test]
fn an_open_finding_whose_change_another_excludes_is_superseded() {
    let world = World::open();
    idle(&world, "m3.large", &json!([]));
    world.quiet();
    let stop = why(&world, "instance/i-0abc", "COST-EC2-1");
    assert_eq!(stop["verdict"], json!("open"), "{stop}");
    let upgrade = why(&world, "instance/i-0abc", "RES-CFG-2");
    assert_eq!(upgrade["verdict"], json!("superseded"), "{upgrade}");
    let reason = upgrade["why"].as_str().unwrap();
    assert!(reason.contains("stop excludes upgrade"), "{reason}");
}

#[test]
fn what_its_tag_exempts_is_muted_and_still_listed_and_nothing_is_recommended() {
    let world = World::open();
    let exempt = |value: &str| json!([{"Key": "skyherd:exempt", "Value": value}]);
    let group = |at: &str, tags: Value| {
        let mut record = opened_group("sg-0a1");
        record["observed_at"] = json!(at);
        record["item"]["Tags"] = tags;
        record
    };
    world.publish("aws.inventory", &group("2026-11-01T00:00:00Z", json!([])));
    world.quiet();
    let open = world.rows("/api/v1/recommendations", "recommendations", 1);
    assert_eq!(open[0]["action"], json!("revoke_ingress"));

    let value = "all until=2099-01-31 reason=a honeypot";
    world.publish(
        "aws.inventory",
        &group("2026-11-02T00:00:00Z", exempt(value)),
    );
    world.rows("/api/v1/recommendations", "recommendations", 0);
    let every = why(&world, "security-group/sg-0a1", "SEC-SG-1");
    assert_eq!(every["verdict"], json!("muted"), "{every}");
    let reason = every["why"].as_str().unwrap();
    let said = "muted by its tag skyherd:exempt until 2099-01-31T00:00:00Z: a honeypot";
    assert!(reason.ends_with(said), "{reason}");
    let muted = world.get("/api/v1/findings?muted=true");
    let rows = muted["findings"].as_array().unwrap();
    assert!(!rows.is_empty() && muted["total"] == world.get("/api/v1/findings")["total"]);
    assert_eq!(world.get("/api/v1/findings?muted=false")["total"], json!(0));
    let exemption = &rows[0]["exemption"];
    assert_eq!(exemption["by"], json!("tag"));
    assert_eq!(exemption["until"], json!("2099-01-31T00:00:00Z"));
    let path = format!("/api/v1/findings/{}", rows[0]["id"].as_str().unwrap());
    let history = world.get(&path)["history"].clone();
    let steps: Vec<&Value> = history.as_array().unwrap().iter().collect();
    assert_eq!(steps.last().unwrap()["what"], json!("muted"), "{history}");
    let listed = world.get("/api/v1/subjects?q=sg-0a1")["subjects"][0].clone();
    assert_eq!(listed["open_findings"], json!(0), "{listed}");
    assert_eq!(listed["muted_findings"], json!(rows.len()), "{listed}");
    assert_eq!(listed["worst"], json!(null), "{listed}");
    let agents = world.get("/api/v1/agents")["agents"].clone();
    let security = agents
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "security");
    assert_eq!(security.unwrap()["open_findings"], json!(0), "{agents}");

    // What is wrong with a tag is told, and that it is not heeded.
    for (day, value, said) in [
        (
            3,
            "all",
            "its tag skyherd:exempt is ignored: it does not say until when; add until=YYYY-MM-DD",
        ),
        (
            4,
            "all until=2026-11-03",
            "its tag skyherd:exempt ended 2026-11-03T00:00:00Z",
        ),
        (
            5,
            "SEC-SG-12 until=2099-01-31",
            "is ignored: it names no rule, but SEC-SG-12; did you mean SEC-SG-1?",
        ),
    ] {
        let at = format!("2026-11-0{day}T00:00:00Z");
        world.publish("aws.inventory", &group(&at, exempt(value)));
        world.quiet();
        let open = why(&world, "security-group/sg-0a1", "SEC-SG-1");
        assert_eq!(open["verdict"], json!("open"), "{value}: {open}");
        let reason = open["why"].as_str().unwrap();
        assert!(reason.ends_with(said), "{value}: {reason}");
    }
    world.rows("/api/v1/recommendations", "recommendations", 1);
}

#[test]
fn what_the_configuration_exempts_is_muted_by_it() {
    let text = "[[exemptions]]\nrules = ['SEC-*']\nresources = ['sg-0a*']\naccounts = ['111122223333']\n\
                tags = { Stage = 'sandbox' }\nuntil = 2099-01-31\nreason = 'sandboxes are open'";
    let loaded = skyherd::config::load(text, &[], skyherd::config::Config::default());
    assert_eq!(loaded.problems, []);
    let world = World::configured(loaded.config);
    for (id, stage) in [("sg-0a1", "sandbox"), ("sg-0a2", "live")] {
        let mut record = opened_group(id);
        record["item"]["Tags"] = json!([{"Key": "Stage", "Value": stage}]);
        world.publish("aws.inventory", &record);
    }
    world.quiet();
    let muted = why(&world, "security-group/sg-0a1", "SEC-SG-1");
    assert_eq!(muted["verdict"], json!("muted"), "{muted}");
    let reason = muted["why"].as_str().unwrap();
    let said = "muted by the configuration until 2099-01-31T00:00:00Z: sandboxes are open";
    assert!(reason.ends_with(said), "{reason}");
    let open = why(&world, "security-group/sg-0a2", "SEC-SG-1");
    assert_eq!(open["verdict"], json!("open"), "{open}");
    let rows = world.rows("/api/v1/recommendations", "recommendations", 1);
    assert!(rows[0]["owner"].as_str().unwrap().ends_with("sg-0a2"));
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
