//! Recommendations and findings, how they came about, and what can be asked about an account.

use serde_json::{Value, json};
use skyherd::http::{Access, Credential};
use skyherd::model::AgentName;

use super::world::{ACCOUNT, World, group, opened_group};
use crate::harness::{DEADLINE, await_until};

fn names(answer: &Value, list: &str, name: &str) -> Vec<String> {
    answer[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[name].as_str().unwrap().to_owned())
        .collect()
}

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
    assert_eq!(names(&story, "history", "what"), ["opened", "revised"]);
    let revised = "recommendation";
    assert_eq!(
        names(&story, "flow", "stage"),
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
    let (status, problem) = world.ask("GET", "/api/v1/findings/0", &[]);
    assert_eq!((status, &problem["code"]), (404, &json!("no_such_thing")));
}

#[test]
fn what_is_mended_is_told_in_the_history() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let mut mended = group("sg-0a1", &json!([]));
    mended["observed_at"] = "2026-11-01T01:00:00Z".into();
    world.publish("aws.inventory", &mended);
    world.quiet();
    assert_eq!(world.get("/api/v1/recommendations")["total"], json!(0));
    assert_eq!(world.get("/api/v1/findings")["total"], json!(0));
    let all = world.get("/api/v1/recommendations?state=resolved");
    let id = all["recommendations"][0]["id"].as_str().unwrap();
    let story = world.get(&format!("/api/v1/recommendations/{id}"));
    let told = names(&story, "history", "what");
    assert_eq!(told.first().map(String::as_str), Some("opened"));
    assert_eq!(told.last().map(String::as_str), Some("resolved"));
    let cleared = world.get("/api/v1/findings?status=cleared&rule=SEC-SG-1");
    assert_eq!(cleared["total"], json!(1), "{cleared}");
}

#[test]
fn pages_show_every_row_once_in_every_order() {
    let world = World::open();
    for number in 0..5 {
        world.publish("aws.inventory", &opened_group(&format!("sg-0a{number}")));
    }
    world.quiet();
    for query in [
        "",
        "&order=desc",
        "&sort=owner",
        "&sort=owner&order=desc",
        "&sort=savings",
        "&sort=severity",
        "&sort=updated&order=asc",
    ] {
        let whole = world.get(&format!("/api/v1/recommendations?limit=1000{query}"));
        let wanted = names(&whole, "recommendations", "id");
        assert_eq!(wanted.len(), 5);
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/api/v1/recommendations?limit=2{query}{cursor}"));
            assert_eq!(page["total"], json!(5));
            paged.extend(names(&page, "recommendations", "id"));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, wanted, "{query}");
    }
    let owners = world.get("/api/v1/recommendations?sort=owner");
    let sorted = names(&owners, "recommendations", "owner");
    assert!(sorted.is_sorted(), "{sorted:?}");
    let findings = world.get("/api/v1/findings?sort=subject&limit=3");
    assert!(names(&findings, "findings", "subject").is_sorted());
}

#[test]
fn filters_leave_what_they_name() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.publish("aws.inventory", &opened_group("sg-0b2"));
    world.quiet();
    let total =
        |query: &str| world.get(&format!("/api/v1/recommendations?{query}"))["total"].clone();
    for (query, count) in [
        ("q=SG-0B2", 1),
        ("q=every%20port", 2),
        ("q=nothing+of+it", 0),
        ("severity=high", 2),
        ("severity=critical", 0),
        ("agent=security", 2),
        ("agent=cost", 0),
        ("action=revoke_ingress&rule=SEC-SG-1", 2),
        ("account=111122223333&region=eu-west-1", 2),
        ("region=us-east-1", 0),
        ("owner=111122223333/eu-west-1/security-group/sg-0a1", 1),
        ("profile=default", 2),
    ] {
        assert_eq!(total(query), json!(count), "{query}");
    }
    // One row an owner and cause; the others are one question away.
    let findings = |query: &str| world.get(&format!("/api/v1/findings?{query}"))["total"].clone();
    assert_eq!(findings("agent=security&rule=SEC-SG-1"), json!(2));
    assert_eq!(
        findings("subject=111122223333/eu-west-1&status=all&severity=high&rule=SEC-SG-1"),
        json!(2)
    );
    for query in [
        "cursor=0",
        "cursor=zz",
        "severity=hihg",
        "page=2",
        "limit=1001",
        "sort=id",
    ] {
        let (status, problem) = world.ask("GET", &format!("/api/v1/recommendations?{query}"), &[]);
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("bad_query")),
            "{query}"
        );
    }
}

#[test]
fn a_token_limited_to_accounts_sees_those_alone() {
    let mut access = Access::new(true);
    for (token, account) in [("own", ACCOUNT), ("other", "444455556666")] {
        let credential = Credential {
            name: token.to_owned(),
            write: true,
            accounts: vec![account.to_owned()],
            expires_at: None,
        };
        assert!(access.add(&blake3::hash(token.as_bytes()).to_hex(), credential));
    }
    let world = World::with(&AgentName::ALL, access);
    let record = opened_group("sg-0a1").to_string();
    let topic = skyherd::model::Topic::AwsInventory;
    world
        .handle
        .publish(topic, None, record.as_bytes())
        .unwrap();
    world.quiet();
    let total = |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        let (status, body) = world.ask("GET", path, &[("authorization", &bearer)]);
        assert_eq!(status, 200, "{body}");
        body["total"].clone()
    };
    let subject = format!("/api/v1/subjects/{ACCOUNT}/eu-west-1/security-group/sg-0a1");
    for path in [
        "/api/v1/recommendations",
        "/api/v1/subjects",
        "/api/v1/findings?rule=SEC-SG-1",
    ] {
        assert_eq!(total("own", path), json!(1), "{path}");
        assert_eq!(total("other", path), json!(0), "{path}");
    }
    let status = |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        world.ask("GET", path, &[("authorization", &bearer)]).0
    };
    assert_eq!(status("own", &subject), 200);
    assert_eq!(status("other", &subject), 403);
    let id = world.get("/api/v1/recommendations")["recommendations"][0]["id"].clone();
    let one = format!("/api/v1/recommendations/{}", id.as_str().unwrap());
    assert_eq!((status("own", &one), status("other", &one)), (200, 404));
    let topic = "/api/v1/topics/aws.inventory/records?partition=0";
    assert_eq!(status("own", topic), 403);
}

#[test]
fn a_request_is_answered_by_every_agent_asked() {
    let world = World::open();
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let asked = json!({ "kind": "assess", "accounts": [ACCOUNT, "444455556666"] });
    let (status, taken) = world.post("/api/v1/requests", asked.to_string().as_bytes());
    assert_eq!(status, 202, "{taken}");
    let href = taken["href"].as_str().unwrap();
    let answer = await_until("an answer", DEADLINE, || {
        let row = world.get(href);
        (row["state"] != "waiting").then_some(row)
    });
    assert_eq!(answer["state"], json!("complete"), "{answer}");
    assert_eq!(answer["asked"].as_array().unwrap().len(), 8, "{answer}");
    assert_eq!(answer["answered"], answer["asked"]);
    assert_eq!(answer["missing"], json!([]));
    let own = &answer["answer"][0];
    assert_eq!(own["account"], json!(ACCOUNT));
    let summary = own["answer"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("4 of 4 agents answered."), "{summary}");
    assert_eq!(world.get("/api/v1/requests")["total"], json!(1));
}

#[test]
fn at_the_deadline_an_answer_names_who_is_missing() {
    let here = [AgentName::Resource, AgentName::Coordinator];
    let world = World::with(&here, Access::new(true));
    let asked = json!({ "kind": "assess", "accounts": [ACCOUNT], "deadline_ms": 300 });
    let (_, taken) = world.post("/api/v1/requests", asked.to_string().as_bytes());
    let href = taken["href"].as_str().unwrap();
    let answer = await_until("an answer", DEADLINE, || {
        let row = world.get(href);
        (row["answer"] != json!([])).then_some(row)
    });
    assert_eq!(answer["state"], json!("partial"), "{answer}");
    assert_eq!(names(&answer, "answered", "agent"), ["resource"]);
    assert_eq!(
        names(&answer, "missing", "agent"),
        ["cost", "security", "performance"]
    );
    let summary = answer["answer"][0]["answer"]["summary"].as_str().unwrap();
    assert!(summary.contains("no answer by the deadline from cost, security, performance"));
}

#[test]
fn a_question_that_cannot_be_asked_says_why() {
    let world = World::open();
    for (body, status) in [
        ("{}", 422),
        ("not json", 422),
        (r#"{"kind":"assess"}"#, 422),
        (r#"{"kind":"assess","accounts":["1/2"]}"#, 422),
        (
            r#"{"kind":"assess","accounts":["1"],"subject":"1/r/i/x"}"#,
            422,
        ),
        (r#"{"kind":"assess","accounts":["1"],"deadline_ms":0}"#, 422),
        (
            r#"{"kind":"assess","accounts":["1"],"deadline_ms":1.5}"#,
            422,
        ),
        (
            r#"{"kind":"assess","accounts":["1"],"deadline_ms":2000.0}"#,
            202,
        ),
        (
            r#"{"kind":"security","subject":"1/eu-west-1/instance/i-0"}"#,
            202,
        ),
    ] {
        let (found, answer) = world.post("/api/v1/requests", body.as_bytes());
        assert_eq!(found, status, "{body}: {answer}");
    }
}

#[test]
fn agents_rules_and_topology_tell_what_runs() {
    let here = [AgentName::Security, AgentName::Coordinator];
    let world = World::with(&here, Access::new(true));
    world.publish("aws.inventory", &opened_group("sg-0a1"));
    world.quiet();
    let agents = await_until("gauges", DEADLINE, || {
        let agents = world.get("/api/v1/agents")["agents"].clone();
        (agents[2]["tasks"] == json!(4) && agents[2]["open_findings"] != json!(0)).then_some(agents)
    });
    let names: Vec<&str> = agents
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, AgentName::ALL.map(AgentName::as_str));
    assert_eq!(agents[2]["here"], json!(true));
    assert_eq!(agents[1]["here"], json!(false));
    let points = await_until("a point", DEADLINE, || {
        let series = world.get("/api/v1/agents/security/series?metric=tasks_live");
        (series["points"] != json!([])).then_some(series)
    });
    assert_eq!(points["unit"], json!("tasks"));
    assert_eq!(world.ask("GET", "/api/v1/agents/nobody/series", &[]).0, 404);
    let rules = world.get("/api/v1/rules");
    assert_eq!(rules["total"], json!(skyherd::rules::RULES.len()));
    let page = world.get("/api/v1/rules/SEC-SG-1");
    assert_eq!(page["open_findings"], json!(1));
    assert!(page["page"].as_str().unwrap().starts_with("# SEC-SG-1"));
    assert_eq!(world.ask("GET", "/api/v1/rules/SEC-SG-0", &[]).0, 404);
    let flow = world.get("/api/v1/topology");
    let reads = json!({"from": "aws.inventory", "to": "security", "per_second": 0.0});
    let mut edges = flow["edges"].as_array().unwrap().iter();
    assert!(edges.any(|edge| (&edge["from"], &edge["to"]) == (&reads["from"], &reads["to"])));
}
