//! Every rule's page is executed: its examples are facts, its verdict blocks what comes of them.
//!
//! A line of a `jsonl` block is one fact: `at`, `subject`, and one of
//! `metric` (such as `AWS/EC2 CPUUtilization`) with `value`; `item` (a kind) with `body` (the Describe
//! item) and perhaps `gone`; `event` (a kind) with `body` (the detail); `account`, `region`,
//! `service`, `usage_type` with `cost`; or `wait`, which only lets time pass. `repeat` with
//! `every` and `times` tells it that often. A line of a `verdicts` block is what the rule
//! published for that fact, else what it thinks. `UPDATE=1` rewrites the verdict blocks.

mod budgets;
mod exemptions;
mod laws;
mod reports;
mod tasks;
mod world;

use std::path::PathBuf;

use serde_json::Value;
use skyherd::agents::domain::DomainAgent;
use skyherd::model::{
    ChargeKind, CostLine, Edge, Event, EventKind, Fact, FactBody, Item, ItemKind, MetricPoint,
    Presence, Statistics, Subject, Timestamp, Usd,
};
use skyherd::rules::{Case, RULES, Rule, Verdict};
use world::World;

const HEADINGS: [&str; 6] = [
    "## What it finds",
    "## Why it matters",
    "## When it is wrong",
    "## What to do",
    "## Permissions",
    "## Examples",
];

enum Line {
    Facts(Vec<Fact>),
    Wait(Subject, Timestamp),
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{line} lacks {field}"))
}

fn span(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "m" => Timestamp::MINUTE,
        "h" => Timestamp::HOUR,
        "d" => Timestamp::DAY,
        other => panic!("unit {other}"),
    };
    number.parse::<i64>().unwrap() * unit
}

fn body(line: &Value, at: Timestamp) -> (Subject, FactBody) {
    if line.get("cost").is_some() {
        let cost = Usd::new(text(line, "cost").parse().unwrap());
        let (account, region) = (text(line, "account"), text(line, "region"));
        let cost = CostLine {
            account: account.into(),
            region: region.into(),
            service: text(line, "service").into(),
            usage_type: text(line, "usage_type").into(),
            resource: None,
            tags: Vec::new(),
            commitment: None,
            start: at,
            end: at.plus(Timestamp::DAY),
            billed: cost,
            effective: cost,
            currency: "USD".into(),
            kind: ChargeKind::Usage,
            row: 7,
            place: None,
        };
        let resource = format!("usage/{}/{}", cost.service, cost.usage_type);
        return (
            Subject::new(account, region, &resource),
            FactBody::Cost(Box::new(cost)),
        );
    }
    let subject = Subject::parse(text(line, "subject")).unwrap();
    let body = if line.get("metric").is_some() {
        let (namespace, name) = text(line, "metric").split_once(' ').unwrap();
        FactBody::Metric(MetricPoint {
            namespace: namespace.into(),
            name: name.into(),
            dimensions: [("Id".into(), subject.id().into())].into_iter().collect(),
            statistics: Statistics::of(line["value"].as_f64().unwrap()),
            unit: "".into(),
        })
    } else if line.get("item").is_some() {
        let kind: ItemKind = serde_json::from_value(line["item"].clone()).unwrap();
        let gone = line.get("gone").is_some();
        let presence = if gone {
            Presence::Gone
        } else {
            Presence::Present
        };
        FactBody::Item(Box::new(Item {
            kind,
            presence,
            item: line["body"].clone(),
        }))
    } else {
        let kind: EventKind = serde_json::from_value(line["event"].clone()).unwrap();
        FactBody::Event(Box::new(Event {
            id: format!("{at}").into(),
            source: "aws.test".into(),
            detail_type: text(line, "event").into(),
            kind,
            resources: Vec::new(),
            detail: line["body"].clone(),
        }))
    };
    (subject, body)
}

fn parse(line: &str) -> Line {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let at = Timestamp::parse(text(&line, "at")).unwrap();
    if line.get("wait").is_some() {
        return Line::Wait(Subject::parse(text(&line, "subject")).unwrap(), at);
    }
    let repeat = line.get("repeat");
    let times = repeat.map_or(1, |repeat| repeat["times"].as_i64().unwrap());
    let every = repeat.map_or(0, |repeat| span(text(repeat, "every")));
    let facts = (0..times).map(|index| {
        let at = at.plus(index * every);
        let (subject, body) = body(&line, at);
        Fact {
            subject,
            at,
            dedupe: None,
            body,
        }
    });
    Line::Facts(facts.collect())
}

fn verdict(rule: &dyn Rule, world: &World, subject: &Subject, event: Option<&Fact>) -> String {
    if !rule.meta().needs.judges(subject) {
        return "-".into();
    }
    let state = world.states.get(subject);
    let memory = state.map(|state| state.memory.clone()).unwrap_or_default();
    let newest = rule
        .meta()
        .needs
        .metrics
        .iter()
        .filter_map(|metric| memory.series.get(metric.name)?.times().next_back());
    let event = event.and_then(|fact| match &fact.body {
        FactBody::Event(event) => Some((event.as_ref(), fact.at)),
        _ => None,
    });
    let case = Case {
        subject,
        now: world.now,
        as_of: newest.max().unwrap_or(world.now),
        memory: &memory,
        event,
    };
    match rule.check(&case) {
        Verdict::Silent => "silent".into(),
        Verdict::Clear => "clear".into(),
        Verdict::Found(_) => "found".into(),
    }
}

fn play(rule: &dyn Rule, lines: &str) -> Vec<String> {
    let mut world = World::new(DomainAgent::new(rule.meta().agent));
    let mut said = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let before = world.published.len();
        let thinks = match parse(line) {
            Line::Wait(subject, at) => {
                world.advance(at);
                verdict(rule, &world, &subject, None)
            }
            Line::Facts(facts) => {
                for fact in &facts {
                    world.fact(fact);
                }
                let last = facts.last().unwrap();
                verdict(rule, &world, &last.subject, Some(last))
            }
        };
        let edges: Vec<String> = world.published[before..]
            .iter()
            .filter_map(|message| match message {
                skyherd::model::Message::Finding(row) => Some(row),
                _ => None,
            })
            .filter(|row| row.rule.as_str() == rule.meta().id)
            .map(|row| {
                let edge = format!("{:?}", row.edge).to_lowercase();
                let owner = if row.owner == row.subject {
                    String::new()
                } else {
                    format!(" (owner {})", row.owner.resource())
                };
                match row.edge {
                    Edge::Opened | Edge::Updated => {
                        let saves = row.proposal.as_ref().and_then(|proposal| {
                            let savings = proposal.savings.as_ref()?;
                            Some(format!(
                                "; {} saves {}",
                                proposal.action.as_str(),
                                savings.monthly
                            ))
                        });
                        format!(
                            "{edge} {}: {}{}{owner}",
                            row.severity.as_str(),
                            row.why,
                            saves.unwrap_or_default()
                        )
                    }
                    _ => edge,
                }
            })
            .collect();
        said.push(if edges.is_empty() {
            thinks
        } else {
            edges.join(" | ")
        });
    }
    said
}

/// The page with its verdict blocks as they come out now.
fn rewrite(rule: &dyn Rule) -> (String, usize) {
    let mut out = String::new();
    let mut examples = 0;
    let mut rest = rule.meta().page;
    while let Some((head, tail)) = rest.split_once("```jsonl\n") {
        let (lines, tail) = tail.split_once("```\n").expect("an open jsonl block");
        let (between, tail) = tail
            .split_once("```verdicts\n")
            .expect("no verdicts block follows");
        let (_, tail) = tail.split_once("```").expect("an open verdicts block");
        let mut said = play(rule, lines).join("\n");
        said.push('\n');
        for part in [
            head,
            "```jsonl\n",
            lines,
            "```\n",
            between,
            "```verdicts\n",
            &said,
            "```",
        ] {
            out.push_str(part);
        }
        examples += 1;
        rest = tail;
    }
    (out + rest, examples)
}

fn page_file(rule: &dyn Rule) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let title = format!("# {}: ", rule.meta().id);
    let own = rule.meta().id.starts_with("SELF-");
    let place = if own {
        "own"
    } else {
        rule.meta().agent.as_str()
    };
    let pages = std::fs::read_dir(folder.join(place)).unwrap();
    pages
        .map(|page| page.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .find(|path| std::fs::read_to_string(path).unwrap().starts_with(&title))
        .unwrap_or_else(|| panic!("no page begins with {title:?}"))
}

#[test]
fn every_pages_examples_come_out_as_it_says() {
    for rule in RULES {
        let (page, examples) = rewrite(*rule);
        assert!(examples > 0, "{} has no example", rule.meta().id);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(page_file(*rule), page).unwrap();
        } else {
            assert_eq!(
                page,
                rule.meta().page,
                "{}: run with UPDATE=1 and read",
                rule.meta().id
            );
        }
    }
}

#[test]
fn every_page_has_its_headings_and_its_rules_permissions() {
    for rule in RULES {
        let meta = rule.meta();
        let mut rest = meta.page;
        assert!(
            rest.starts_with(&format!("# {}: {}\n", meta.id, meta.title)),
            "{}",
            meta.id
        );
        for heading in HEADINGS {
            let (_, after) = rest
                .split_once(&format!("{heading}\n"))
                .unwrap_or_else(|| panic!("{} lacks {heading} or has it too early", meta.id));
            assert!(
                after
                    .trim_start()
                    .lines()
                    .next()
                    .is_some_and(|line| !line.starts_with('#'))
            );
            rest = after;
        }
        // What Skyherd reports of itself nobody has to be allowed to read.
        assert!(
            meta.permissions.is_empty() == meta.id.starts_with("SELF-"),
            "{} names no permission",
            meta.id
        );
        for permission in meta.permissions {
            assert!(
                meta.page.contains(&format!("`{permission}`")),
                "{}: {permission}",
                meta.id
            );
        }
        assert!(page_file(*rule).exists());
    }
}

#[test]
fn every_page_shows_its_rule_finding_something() {
    for rule in RULES {
        assert!(
            rewrite(*rule).0.contains("opened "),
            "{} never opens",
            rule.meta().id
        );
    }
}
