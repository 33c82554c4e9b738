//! Laws of the rules that judge Skyherd's own reports, over generated fleets.

use proptest::prelude::*;
use serde_json::json;
use skyherd::agents::domain::{DomainAgent, STATE_BYTES_MAX};
use skyherd::model::{
    AgentName, AgentReport, Event, EventKind, Fact, FactBody, ProcessReport, Timestamp,
    agent_subject, process_subject, worker_subject,
};

use super::world::World;

/// 2026-10-01.
const START: i64 = 1_790_812_800_000;
const JUDGES: [AgentName; 2] = [AgentName::Resource, AgentName::Security];

/// What one process tells of one agent: whether it runs, answers and leaves, and its numbers.
type Told = (bool, bool, bool, u64, u64, u64);

fn event(kind: EventKind, detail: serde_json::Value) -> FactBody {
    FactBody::Event(Box::new(Event {
        id: "r".into(),
        source: "skyherd".into(),
        detail_type: "report".into(),
        kind,
        resources: Vec::new(),
        detail,
    }))
}

/// The facts of one round of one process about one agent and itself.
fn facts(at: i64, node: &str, agent: &str, told: Told) -> Vec<Fact> {
    let (runs, answers, leaving, lag, taken, dead_letters) = told;
    let report = AgentReport {
        agent: agent.into(),
        node: node.into(),
        interval_ms: 60_000,
        runs,
        answers,
        leaving,
        lag: lag * 5_000,
        taken: taken * 100,
        home_taken: taken * 100,
        dead_letters: dead_letters * 20,
        source_taken: runs.then_some(taken),
        checkpoints: 10,
        checkpoint_seconds: lag as f64 * 12.0,
        ..AgentReport::default()
    };
    let process = ProcessReport {
        node: node.into(),
        process_bytes: 60 + lag * 10,
        process_bound: 100,
        ..ProcessReport::default()
    };
    let report = event(EventKind::AgentReport, json!(report));
    [
        (worker_subject(node, agent), report.clone()),
        (agent_subject(agent), report),
        (
            process_subject(node),
            event(EventKind::ProcessReport, json!(process)),
        ),
    ]
    .into_iter()
    .map(|(subject, body)| Fact {
        subject,
        at: Timestamp::from_ms(at),
        dedupe: Some(at as u64 ^ node.len() as u64),
        body,
    })
    .collect()
}

/// Rounds of two processes that run one of two agents, each with a third of trouble.
fn fleet() -> impl Strategy<Value = Vec<Fact>> {
    let odds = || prop::bool::weighted(0.8);
    let told = (
        odds(),
        odds(),
        prop::bool::weighted(0.05),
        0_u64..5,
        0_u64..3,
        0_u64..2,
    );
    let heard = (odds(), told);
    prop::collection::vec((heard.clone(), heard, any::<bool>()), 1..60).prop_map(|rounds| {
        let mut at = START;
        let mut all = Vec::new();
        for (first, second, watcher) in rounds {
            at += Timestamp::MINUTE;
            let agent = if watcher { "resource" } else { "cost" };
            for (node, (heard, told)) in [("node-a", first), ("node-bb", second)] {
                if heard {
                    all.extend(facts(at, node, agent, told));
                }
            }
        }
        all
    })
}

fn play(judge: AgentName, facts: &[Fact], forgetful: bool) -> World {
    let mut world = World::new(DomainAgent::new(judge));
    world.forgetful = forgetful;
    for fact in facts {
        world.fact(fact);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_repeated_report_changes_nothing(facts in fleet(), later in 1_usize..6) {
        for judge in JUDGES {
            let once = play(judge, &facts, false);
            let mut twice = World::new(DomainAgent::new(judge));
            for (index, fact) in facts.iter().enumerate() {
                twice.fact(fact);
                twice.fact(fact);
                if let Some(earlier) = index.checked_sub(later) {
                    twice.fact(&facts[earlier]);
                }
            }
            prop_assert_eq!(&once.published, &twice.published);
            prop_assert_eq!(&once.states, &twice.states);
        }
    }

    #[test]
    fn reports_are_judged_alike_after_a_restart_between_any_two(facts in fleet()) {
        for judge in JUDGES {
            let kept = play(judge, &facts, false);
            let restarted = play(judge, &facts, true);
            prop_assert_eq!(&kept.published, &restarted.published);
            for state in restarted.states.values() {
                prop_assert!(rmp_serde::to_vec_named(state).unwrap().len() < STATE_BYTES_MAX / 16);
            }
        }
    }

    /// What one process did does not hang on when another one's reports arrive.
    #[test]
    fn processes_do_not_disturb_each_others_rows(facts in fleet()) {
        let of = |node: &'static str| move |fact: &&Fact| fact.subject.region() == node;
        let together = play(AgentName::Resource, &facts, false);
        for node in ["node-a", "node-bb"] {
            let alone: Vec<Fact> = facts.iter().filter(of(node)).cloned().collect();
            let alone = play(AgentName::Resource, &alone, false);
            let rows = |world: &World| -> Vec<_> {
                world.findings().filter(|row| row.subject.region() == node).cloned().collect()
            };
            prop_assert_eq!(rows(&together), rows(&alone));
        }
    }
}

#[test]
fn generated_fleets_open_findings_of_every_rule_on_ourselves() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let facts = fleet().new_tree(&mut runner).unwrap().current();
        for judge in JUDGES {
            let world = play(judge, &facts, false);
            seen.extend(world.findings().map(|row| row.rule.to_string()));
        }
    }
    let missing: Vec<_> = skyherd::rules::RULES
        .iter()
        .map(|rule| rule.meta().id)
        .filter(|id| id.starts_with("SELF-") && !seen.contains(*id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
