//! What agents remember of a resource, and what their rules say of it: read from the memory of
//! tasks, in any process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::agents::Agent as _;
use crate::agents::Observation;
use crate::agents::domain::{ACCOUNT_KIND, DomainAgent, DomainState};
use crate::http::{AgentMemory, KnownSubject, Observed, RuleAnswer, RuleVerdict, Series};
use crate::model::{AgentName, Recommendation, Subject, Timestamp, partition_of};
use crate::ports::{PortError, PortResult, RECENT_CAPACITY, Store, TaskId};
use crate::rules::{Thing, stats};
use crate::runtime::{TaskMeta, decode_state};
use crate::topology::DOMAINS;

use super::why::answer;

/// Subjects listed of a task.
const SUBJECTS_MAX: usize = 200_000;
/// The list of subjects is at most this old.
const LIST_FOR: Duration = Duration::from_secs(5);

/// Reads the memory of tasks.
pub(super) struct Insight {
    store: Arc<dyn Store>,
    partitions: u32,
    agents: Vec<DomainAgent>,
    list: Mutex<Option<(Instant, Arc<Vec<KnownSubject>>)>>,
}

/// What an agent has of a subject, and when it is.
pub(super) struct Known {
    pub(super) state: DomainState,
    pub(super) now: Timestamp,
}

impl Insight {
    pub(super) fn new(store: Arc<dyn Store>, partitions: u32) -> Self {
        Self {
            store,
            partitions,
            agents: DOMAINS.into_iter().map(DomainAgent::new).collect(),
            list: Mutex::default(),
        }
    }

    fn task(&self, agent: AgentName, subject: &Subject) -> TaskId {
        TaskId {
            agent,
            partition: partition_of(subject.account(), self.partitions),
        }
    }

    fn known(&self, agent: AgentName, subject: &Subject) -> PortResult<Option<Known>> {
        let task = self.task(agent, subject);
        let found = self.store.load(task, std::slice::from_ref(subject))?;
        let meta = found.meta.as_deref().map(TaskMeta::decode);
        let now = match meta {
            Some(Ok(meta)) => meta.clock,
            _ => Timestamp::default(),
        };
        let Some(bytes) = found.value.into_iter().flatten().next() else {
            return Ok(None);
        };
        let state = decode_state(DomainAgent::STATE_VERSION, &bytes)
            .map_err(|error| PortError::Fatal(format!("{task}: {subject}: {error}")))?;
        Ok(Some(Known { state, now }))
    }

    /// Every resource some domain agent remembers, in order.
    pub(super) fn subjects(&self) -> PortResult<Arc<Vec<KnownSubject>>> {
        let mut list = self.list.lock();
        if let Some((made, known)) = &*list
            && made.elapsed() < LIST_FOR
        {
            return Ok(Arc::clone(known));
        }
        let mut all: BTreeMap<Subject, Vec<AgentName>> = BTreeMap::new();
        for agent in DOMAINS {
            for partition in 0..self.partitions {
                let task = TaskId { agent, partition };
                let found = self.store.subjects(task, None, SUBJECTS_MAX)?;
                // An account's own memory is bookkeeping, not a resource.
                let resources = found.value.into_iter();
                for subject in resources.filter(|subject| subject.kind() != ACCOUNT_KIND) {
                    all.entry(subject).or_default().push(agent);
                }
            }
        }
        let known = all
            .into_iter()
            .map(|(subject, agents)| KnownSubject { subject, agents })
            .collect();
        let known = Arc::new(known);
        *list = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }

    /// What each agent remembers of a resource.
    pub(super) fn memory(&self, subject: &Subject) -> PortResult<Vec<AgentMemory>> {
        let mut all = Vec::new();
        for agent in DOMAINS {
            let Some(Known { state, .. }) = self.known(agent, subject)? else {
                continue;
            };
            let task = self.task(agent, subject);
            let recent = self.store.recent(task, subject, RECENT_CAPACITY)?;
            let observations = recent
                .iter()
                .filter_map(|bytes| decode_state::<Observation>(1, bytes).ok())
                .map(|seen| Observed {
                    at: seen.at,
                    what: seen.what.to_string(),
                    value: seen.value.to_string(),
                });
            all.push(AgentMemory {
                agent,
                state: state
                    .memory
                    .state()
                    .map(|(name, since)| (name.to_owned(), since)),
                facts: state.memory.thing.as_ref().map(facts).unwrap_or_default(),
                observations: observations.collect(),
                series: state
                    .memory
                    .series
                    .iter()
                    .flat_map(|(name, series)| plotted(name, series))
                    .collect(),
            });
        }
        Ok(all)
    }

    /// What each rule, or the one of that id, says of a resource.
    pub(super) fn why(
        &self,
        subject: &Subject,
        rule: Option<&str>,
        recommendations: &[Arc<Recommendation>],
    ) -> PortResult<Vec<RuleAnswer>> {
        let mut answers = Vec::new();
        for agent in &self.agents {
            let rules = agent.rules().iter().filter(|candidate| {
                let meta = candidate.meta();
                match rule {
                    Some(id) => meta.id == id,
                    // A moment is asked for by name, or shows as a finding.
                    None => meta.needs.judges(subject),
                }
            });
            let rules: Vec<_> = rules.collect();
            if rules.is_empty() {
                continue;
            }
            let known = self.known(agent.capabilities().name, subject)?;
            for candidate in rules {
                let answer = answer(*candidate, subject, known.as_ref(), recommendations);
                let still = matches!(answer.verdict, RuleVerdict::Clear | RuleVerdict::NoData);
                let silent = candidate.meta().momentary && still;
                if rule.is_some() || !silent {
                    answers.push(answer);
                }
            }
        }
        Ok(answers)
    }
}

fn facts(thing: &Thing) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([
        ("described at".to_owned(), thing.at.to_string()),
        ("kind".to_owned(), thing.kind.as_str().to_owned()),
    ]);
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            facts.insert(name.to_owned(), value);
        }
    };
    add("type", thing.class.to_string());
    if thing.size_gib > 0 {
        add("size", format!("{} GiB", thing.size_gib));
    }
    add(
        "created",
        thing.created.map_or_else(String::new, |at| at.to_string()),
    );
    let attached = thing.attached_to.as_ref();
    add(
        "attached to",
        attached.map_or_else(String::new, ToString::to_string),
    );
    add("security groups", thing.groups.join(", "));
    add("volumes", thing.volumes.join(", "));
    add("note", thing.note.to_string());
    if thing.public {
        add("public address", "yes".to_owned());
    }
    for (key, value) in &thing.tags {
        add(&format!("tag {key}"), value.to_string());
    }
    facts
}

/// A remembered metric as points, and as days where it reaches further back.
fn plotted(name: &str, series: &stats::Series) -> Vec<Series> {
    let all = Timestamp::from_ms(i64::MAX);
    let view = series.view(all);
    let unit = unit(name).to_owned();
    let mut points: Vec<(i64, f64)> = view
        .back()
        .map(|point| (point.at.ms(), point.average()))
        .collect();
    points.reverse();
    let days: Vec<(i64, f64)> = view
        .days(i64::MIN / Timestamp::DAY, i64::MAX / Timestamp::DAY)
        .iter()
        .map(|(day, total)| (day * Timestamp::DAY, total.average()))
        .collect();
    let mut plotted = vec![Series {
        name: name.to_owned(),
        unit: unit.clone(),
        step: "point".to_owned(),
        points,
    }];
    if days.len() > 1 {
        plotted.push(Series {
            name: name.to_owned(),
            unit,
            step: "day".to_owned(),
            points: days,
        });
    }
    plotted
}

/// What `CloudWatch` counts a metric in, of those our rules look at.
fn unit(metric: &str) -> &'static str {
    match metric {
        "CPUUtilization" | "BurstBalance" => "%",
        "NetworkIn" | "NetworkOut" => "bytes",
        "CPUCreditBalance" | "CPUSurplusCreditsCharged" => "credits",
        name if name.starts_with("StatusCheckFailed") => "failures",
        _ => "",
    }
}
