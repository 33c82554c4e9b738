//! Tasks: tried on virtual time, answered once, handed on within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use skyherd::agents::domain::{DomainAgent, DomainState, TaskError, TaskHandler};
use skyherd::model::{
    AgentName, Answer, Message, Subject, Task, TaskKind, TaskResult, TaskStatus, Timestamp,
};

use super::world::World;

const START: i64 = 1_000_000;

struct FailsFirst(usize, AtomicUsize);

impl TaskHandler for FailsFirst {
    fn can_handle(&self, _: TaskKind) -> bool {
        true
    }
    fn delegate(&self, _: TaskKind) -> Option<AgentName> {
        None
    }
    fn execute(&self, _: &Task, _: &DomainState, _: Timestamp) -> Result<Answer, TaskError> {
        if self.1.fetch_add(1, Ordering::Relaxed) < self.0 {
            return Err(TaskError {
                retryable: true,
                reason: "the cloud said no".into(),
            });
        }
        Ok(Answer::default())
    }
}

fn task(agent: AgentName, kind: TaskKind) -> Task {
    Task {
        id: "t-1".into(),
        request: "r-1".into(),
        agent,
        kind,
        account: "1".into(),
        subject: None,
        route: Vec::new(),
        at: Timestamp::from_ms(START),
        deadline: Timestamp::from_ms(START + Timestamp::MINUTE),
    }
}

fn results(world: &World) -> Vec<TaskResult> {
    let result = |message: &Message| match message {
        Message::Result(result) => Some(result.as_ref().clone()),
        _ => None,
    };
    world.published.iter().filter_map(result).collect()
}

fn run_failing(failures: usize) -> World {
    let handler = Box::new(FailsFirst(failures, AtomicUsize::new(0)));
    let mut world = World::new(DomainAgent::with_handler(AgentName::Cost, handler));
    let task = Message::Task(Box::new(task(AgentName::Cost, TaskKind::Assess)));
    world.message(&task);
    world.advance(Timestamp::from_ms(START + Timestamp::HOUR));
    world
}

fn offsets(result: &TaskResult) -> Vec<i64> {
    result
        .attempts
        .iter()
        .map(|attempt| attempt.at.ms() - START)
        .collect()
}

#[test]
fn two_failures_then_success_are_three_attempts_at_growing_distances() {
    let world = run_failing(2);
    let results = results(&world);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].status, TaskStatus::Done);
    assert_eq!(offsets(&results[0]), [0, 1_000, 3_000]);
    assert_eq!(results[0].attempts[1].error, "the cloud said no");
    assert_eq!(results[0].attempts[2].error, "");
}

#[test]
fn three_failures_are_a_failed_result_with_their_times() {
    let results = results(&run_failing(3));
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].status, TaskStatus::Failed);
    assert_eq!(offsets(&results[0]), [0, 1_000, 3_000]);
}

#[test]
fn a_task_told_twice_is_carried_out_once_and_answered_alike() {
    let mut world = run_failing(1);
    let again = Message::Task(Box::new(task(AgentName::Cost, TaskKind::Assess)));
    world.message(&again);
    let results = results(&world);
    assert_eq!(results.len(), 2);
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_task_for_another_agent_is_left_alone() {
    let mut world = World::new(DomainAgent::new(AgentName::Cost));
    world.message(&Message::Task(Box::new(task(
        AgentName::Security,
        TaskKind::Assess,
    ))));
    assert!(world.published.is_empty());
}

#[test]
fn what_an_agent_cannot_do_goes_to_one_that_can_with_its_route() {
    let mut world = World::new(DomainAgent::new(AgentName::Resource));
    world.message(&Message::Task(Box::new(task(
        AgentName::Resource,
        TaskKind::Security,
    ))));
    let handed = world.published.iter().find_map(|message| match message {
        Message::Task(task) => Some(task),
        _ => None,
    });
    let handed = handed.expect("the task was not handed on");
    assert_eq!(handed.agent, AgentName::Security);
    assert_eq!(handed.route, [AgentName::Resource]);
    assert_eq!(results(&world)[0].status, TaskStatus::Delegated);
}

#[test]
fn a_task_that_has_been_everywhere_or_fits_nobody_is_refused() {
    let mut far = task(AgentName::Resource, TaskKind::Security);
    far.route = vec![AgentName::Cost, AgentName::Performance];
    let mut world = World::new(DomainAgent::new(AgentName::Resource));
    world.message(&Message::Task(Box::new(far)));
    assert_eq!(results(&world)[0].status, TaskStatus::Refused);

    let mut world = World::new(DomainAgent::new(AgentName::Resource));
    world.message(&Message::Task(Box::new(task(
        AgentName::Resource,
        TaskKind::Provision,
    ))));
    assert_eq!(results(&world)[0].status, TaskStatus::Refused);
}

#[test]
fn an_answer_lists_the_open_findings_of_the_subject_or_of_the_account() {
    let mut world = World::new(DomainAgent::new(AgentName::Cost));
    let volume = Subject::new("1", "eu-west-1", "volume/vol-1");
    world.fact(&super::laws::volume(&volume, START, "gp2"));
    for subject in [Some(volume), None] {
        let mut asked = task(AgentName::Cost, TaskKind::Cost);
        asked.id = format!("{subject:?}");
        asked.subject = subject;
        world.message(&Message::Task(Box::new(asked)));
    }
    for result in results(&world) {
        let findings = result.answer.expect("an answer").findings;
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].1.starts_with("COST-EBS-3: 100 GiB"),
            "{}",
            findings[0].1
        );
    }
}
