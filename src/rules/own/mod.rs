//! Rules by which Skyherd watches itself, over what its processes report once a round.
//!
//! The resource agent judges; the security agent judges whether the resource agent is there.
//! Deliberately absent: a clock. Time passes by the reports of the processes that live, so a
//! resource's event dated ahead makes nobody look gone.

pub mod agent_gone;
pub mod dead_letters;
pub mod falling_behind;
pub mod memory;
pub mod memory_full;
pub mod slow_checkpoints;
pub mod source_silent;
pub mod watcher_gone;

use crate::model::{ActionKind, AgentName, Proposal, Subject, agent_subject};
use crate::rules::{Case, Found, Needs};
use memory::{Agent, Own, Process, Worker};

/// The agent that judges the others.
pub const WATCHER: AgentName = AgentName::Resource;

const OF_WORKERS: Needs = Needs {
    subjects: &["worker"],
    events: &[crate::model::EventKind::AgentReport],
    ..Needs::NONE
};
const OF_AGENTS: Needs = Needs {
    subjects: &["agent"],
    ..OF_WORKERS
};

fn worker<'a>(case: &Case<'a>) -> Option<&'a Worker> {
    match case.memory.own.as_deref()? {
        Own::Worker(worker) => Some(worker),
        _ => None,
    }
}

fn agent<'a>(case: &Case<'a>) -> Option<&'a Agent> {
    match case.memory.own.as_deref()? {
        Own::Agent(agent) => Some(agent),
        _ => None,
    }
}

fn process<'a>(case: &Case<'a>) -> Option<&'a Process> {
    match case.memory.own.as_deref()? {
        Own::Process(process) => Some(process),
        _ => None,
    }
}

/// A person must look; findings about the workers of one agent join in one recommendation.
fn look_into(found: Found, subject: &Subject) -> Found {
    let target = (subject.kind() == "worker").then(|| agent_subject(subject.id()));
    found.propose(Proposal {
        action: ActionKind::Investigate,
        target,
        parameters: std::collections::BTreeMap::new(),
        savings: None,
    })
}

/// Milliseconds as a person says them: `90 s`, `12 min`, `3 h`.
fn span(ms: i64) -> String {
    match ms {
        ..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
