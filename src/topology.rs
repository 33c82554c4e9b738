//! The whole flow as a value: who reads and writes what. Printed, drawn and tested from here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::agents::coordinator::Coordinator;
use crate::agents::domain::DomainAgent;
use crate::agents::{Agent as _, Capabilities};
use crate::model::{AgentName, Topic};

/// Every agent with what it reads and writes, in data-flow order.
pub fn agents() -> Vec<&'static Capabilities> {
    let mut all: Vec<_> = DOMAINS
        .iter()
        .map(|name| DomainAgent::new(*name).capabilities())
        .collect();
    all.push(Coordinator.capabilities());
    all
}

/// The four domain agents.
pub const DOMAINS: [AgentName; 4] = [
    AgentName::Resource,
    AgentName::Cost,
    AgentName::Security,
    AgentName::Performance,
];

/// Topics the outside writes: sources, people, other systems.
pub const OUTSIDE_WRITES: [Topic; 6] = [
    Topic::AwsMetrics,
    Topic::AwsEvents,
    Topic::AwsInventory,
    Topic::AwsBilling,
    Topic::Requests,
    Topic::Approvals,
];

/// Topics whose writers and readers come with the executor and the workflows.
pub const RESERVED: [Topic; 3] = [Topic::Actions, Topic::Outcomes, Topic::Workflows];

/// Everybody who writes a topic, by name.
pub fn writers(topic: Topic) -> Vec<&'static str> {
    let mut names = Vec::new();
    if OUTSIDE_WRITES.contains(&topic) {
        names.push("outside");
    }
    for agent in agents() {
        let home =
            topic == Topic::DeadLetters && Topic::ALL.iter().any(|t| t.home() == Some(agent.name));
        let backup = topic == Topic::Memory;
        if agent.writes == topic || agent.also_writes.contains(&topic) || home || backup {
            names.push(agent.name.as_str());
        }
    }
    names
}

/// Everybody who reads a topic, by name. Agents also read their own output, as echo.
pub fn readers(topic: Topic) -> Vec<&'static str> {
    agents()
        .into_iter()
        .filter(|agent| agent.reads.contains(&topic))
        .map(|agent| agent.name.as_str())
        .collect()
}

/// The flow as a Mermaid diagram; ARCHITECTURE.md and README.md carry it, a test compares them.
pub fn mermaid() -> String {
    let mut text = String::from("flowchart LR\n");
    let mut seen: BTreeSet<Topic> = BTreeSet::new();
    let node = |topic: Topic| topic.as_str().replace(['.', '-'], "_");
    for topic in OUTSIDE_WRITES {
        seen.insert(topic);
        let _ = writeln!(
            text,
            "    outside([AWS and people]) --> {}[/{topic}/]",
            node(topic)
        );
    }
    for agent in agents() {
        for topic in agent.reads {
            let _ = writeln!(
                text,
                "    {}[/{topic}/] --> {}{{{{{}}}}}",
                node(*topic),
                agent.name,
                agent.name
            );
        }
        for topic in std::iter::once(&agent.writes).chain(agent.also_writes) {
            let _ = writeln!(
                text,
                "    {}{{{{{}}}}} --> {}[/{topic}/]",
                agent.name,
                agent.name,
                node(*topic)
            );
        }
    }
    let _ = writeln!(
        text,
        "    recommendations[/recommendations/] --> downstream([consumers, API])"
    );
    text
}
