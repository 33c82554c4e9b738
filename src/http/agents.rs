//! Agents: how they do, now and over the last day, and the flow between them.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, path, query};
use super::{Credential, Problem, Shared};
use crate::model::{AgentName, TaskKind, Topic};
use crate::topology;

/// How an agent of this process does.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentRow {
    /// Which.
    pub name: AgentName,
    /// Requests it can answer.
    pub capabilities: Vec<TaskKind>,
    /// Whether this process runs it.
    pub here: bool,
    /// Tasks this process owns.
    pub tasks: u64,
    /// Of them, those that have caught up.
    pub live: u64,
    /// Of them, those whose intake stopped on a fault.
    pub parked: u64,
    /// Records it is behind.
    pub lag: u64,
    /// Records taken a second, over the last seconds.
    pub records_per_second: f64,
    /// Half the rows were published within this of their record's arrival; null without rows.
    pub latency_p50_ms: Option<f64>,
    /// 99 of 100 rows were.
    pub latency_p99_ms: Option<f64>,
    /// Age of the newest event it took, against the wall clock.
    pub event_age_seconds: Option<f64>,
    /// Findings of it that are open.
    pub open_findings: u64,
}

/// Every agent.
#[derive(Serialize, JsonSchema)]
pub(super) struct Agents {
    agents: Vec<AgentRow>,
}

/// What can be asked of an agent's last day.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SeriesMetric {
    /// Records taken a second.
    RecordsPerSecond,
    /// Rows published a second.
    RowsPerSecond,
    /// Records it is behind.
    Lag,
    /// Milliseconds from arrival to row, half of them.
    LatencyP50Ms,
    /// Milliseconds from arrival to row, 99 of 100.
    LatencyP99Ms,
    /// Age of the newest event taken.
    EventAgeSeconds,
    /// Mean duration of a checkpoint.
    CheckpointSeconds,
    /// Records that became dead letters a second.
    DeadLettersPerSecond,
    /// Tasks that have caught up.
    TasksLive,
    /// Findings that are open.
    OpenFindings,
}

impl SeriesMetric {
    /// Every metric.
    pub const ALL: [Self; 10] = [
        Self::RecordsPerSecond,
        Self::RowsPerSecond,
        Self::Lag,
        Self::LatencyP50Ms,
        Self::LatencyP99Ms,
        Self::EventAgeSeconds,
        Self::CheckpointSeconds,
        Self::DeadLettersPerSecond,
        Self::TasksLive,
        Self::OpenFindings,
    ];
    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::RecordsPerSecond | Self::DeadLettersPerSecond => "records/s",
            Self::RowsPerSecond => "rows/s",
            Self::Lag => "records",
            Self::LatencyP50Ms | Self::LatencyP99Ms => "ms",
            Self::EventAgeSeconds | Self::CheckpointSeconds => "s",
            Self::TasksLive => "tasks",
            Self::OpenFindings => "findings",
        }
    }
}

/// The last 24 hours of one metric of one agent.
#[derive(Serialize, JsonSchema)]
pub(super) struct AgentSeries {
    agent: AgentName,
    metric: SeriesMetric,
    unit: &'static str,
    /// (milliseconds since the epoch, value), one a minute, oldest first; minutes without a value
    /// are left out.
    points: Vec<(i64, f64)>,
}

/// A node of the flow.
#[derive(Serialize, JsonSchema)]
pub(super) struct Node {
    /// The topic's or agent's name; unique among both.
    id: String,
    kind: NodeKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NodeKind {
    Topic,
    Agent,
}

/// A way records go.
#[derive(Serialize, JsonSchema)]
pub(super) struct Edge {
    from: String,
    to: String,
    /// Records a second over the last seconds, in this process.
    per_second: f64,
}

/// The flow between topics and agents.
#[derive(Serialize, JsonSchema)]
pub(super) struct Flow {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// Records a second between an agent and a topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The agent.
    pub agent: AgentName,
    /// The topic.
    pub topic: Topic,
    /// Whether the agent writes to it, rather than reads.
    pub writes: bool,
    /// Records a second.
    pub per_second: f64,
}

/// The agents as `credential` may see them.
pub(super) fn rows(shared: &Shared, credential: &Credential) -> Result<Vec<AgentRow>, Problem> {
    let mut agents = shared.service.agents()?;
    if !credential.accounts.is_empty() {
        let findings = shared.service.findings()?;
        for agent in &mut agents {
            let own = findings.iter().filter(|row| {
                row.agent == agent.name && row.counts() && credential.reaches(row.subject.account())
            });
            agent.open_findings = own.count() as u64;
        }
    }
    Ok(agents)
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
) -> Result<Response, Problem> {
    answer(move || {
        Ok(Agents {
            agents: rows(&shared, &credential)?,
        })
    })
    .await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Which metric; records a second unless asked otherwise.
    metric: Option<SeriesMetric>,
}

pub(super) async fn series(
    State(shared): State<Shared>,
    agent: Parts<String>,
    asked: Asked<Wanted>,
) -> Result<Response, Problem> {
    let name = path(agent)?;
    let agent = AgentName::parse(&name)
        .ok_or_else(|| Problem::NO_SUCH.detail(format!("agent {name:?}")))?;
    let metric = query(asked)?
        .metric
        .unwrap_or(SeriesMetric::RecordsPerSecond);
    answer(move || {
        Ok(AgentSeries {
            agent,
            metric,
            unit: metric.unit(),
            points: shared.service.series(agent, metric),
        })
    })
    .await
}

pub(super) async fn flow(State(shared): State<Shared>) -> Result<Response, Problem> {
    answer(move || {
        let rates = shared.service.rates();
        let rate = |agent, topic, writes| {
            let found = rates
                .iter()
                .find(|rate| (rate.agent, rate.topic, rate.writes) == (agent, topic, writes));
            found.map_or(0.0, |rate| rate.per_second)
        };
        let mut nodes: Vec<Node> = AgentName::ALL
            .iter()
            .map(|agent| Node {
                id: agent.to_string(),
                kind: NodeKind::Agent,
            })
            .collect();
        let mut edges = Vec::new();
        let mut topics = std::collections::BTreeSet::new();
        for agent in topology::agents() {
            for topic in agent.reads {
                topics.insert(*topic);
                edges.push(Edge {
                    from: topic.to_string(),
                    to: agent.name.to_string(),
                    per_second: rate(agent.name, *topic, false),
                });
            }
            for topic in std::iter::once(&agent.writes).chain(agent.also_writes) {
                topics.insert(*topic);
                edges.push(Edge {
                    from: agent.name.to_string(),
                    to: topic.to_string(),
                    per_second: rate(agent.name, *topic, true),
                });
            }
        }
        nodes.extend(topics.into_iter().map(|topic| Node {
            id: topic.to_string(),
            kind: NodeKind::Topic,
        }));
        Ok(Flow { nodes, edges })
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/agents", list)
            .says("Agents", "How every agent does.")
            .answers::<Agents>(200, "All of them."),
        Endpoint::get("/api/v1/agents/{agent}/series", series)
            .says(
                "Agents",
                "The last 24 hours of one metric, one point a minute.",
            )
            .choice(
                "agent",
                "The agent's name.",
                &AgentName::ALL.map(AgentName::as_str),
            )
            .query::<Wanted>()
            .answers::<AgentSeries>(200, "Its points.")
            .refuses(&[404]),
        Endpoint::get("/api/v1/topology", flow)
            .says(
                "Agents",
                "Who reads and writes which topic, with live rates.",
            )
            .answers::<Flow>(200, "Nodes and edges."),
    ]
}
