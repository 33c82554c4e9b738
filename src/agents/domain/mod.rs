//! The rule agent behind resource, cost, security and performance: four names, one decider.
//!
//! It remembers what its rules need of each resource, evaluates only the rules a change concerns,
//! and publishes edges. Deliberately absent: anything a rule decides, and any clock.

mod absorb;
mod due;
mod edges;
mod flap;
mod judge;
mod notes;
mod reports;
mod state;
mod tasks;

use std::fmt;

pub use flap::{ENTRIES as FLAP_ENTRIES, Flap};
pub use notes::{Note, Says};
pub use state::{
    DomainState, FINDINGS_MAX, FindingMemory, INDEX_MAX, RETENTION_MS, STATE_BYTES_MAX,
};
pub use tasks::{ATTEMPTS_MAX, BACKOFF_BASE_MS, TaskError, TaskHandler};

use super::{Agent, Capabilities, Effects, Input, Keys, Step, Trigger};
use crate::model::{
    AgentName, Edge, EventKind, ExemptedBy, Exemption, FactBody, FindingStatus, Item, ItemKind,
    Message, MetricPoint, Subject, TaskKind, Timestamp, Topic,
};
use crate::rules::budget::Plan;
use crate::rules::{Exemptions, Metric, RULES, Rule, Thing};
use edges::Turn;

/// The resource type under which an account's own memory is kept.
pub const ACCOUNT_KIND: &str = "account";

/// The subject that keeps what an agent knows of an account as a whole.
pub fn account_subject(account: &str) -> Subject {
    Subject::new(account, "global", &format!("{ACCOUNT_KIND}/{account}"))
}

type RuleRef = &'static dyn Rule;

/// A rule agent.
pub struct DomainAgent {
    name: AgentName,
    rules: Vec<RuleRef>,
    metrics: Vec<(Metric, Vec<RuleRef>)>,
    handler: Box<dyn TaskHandler>,
    exemptions: Exemptions,
    budgets: Vec<Plan>,
}

impl fmt::Debug for DomainAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DomainAgent").field(&self.name).finish()
    }
}

impl DomainAgent {
    /// The agent of that name; the coordinator's name gives an agent without rules.
    pub fn new(name: AgentName) -> Self {
        Self::with_handler(name, Box::new(tasks::Standard::new(name)))
    }

    /// The agent with another way to carry out tasks.
    pub fn with_handler(name: AgentName, handler: Box<dyn TaskHandler>) -> Self {
        let rules: Vec<RuleRef> = RULES
            .iter()
            .copied()
            .filter(|rule| rule.meta().agent == name)
            .collect();
        let mut metrics: Vec<(Metric, Vec<RuleRef>)> = Vec::new();
        for rule in &rules {
            for metric in rule.meta().needs.metrics {
                match metrics.iter_mut().find(|(known, _)| known == metric) {
                    Some((_, readers)) => readers.push(*rule),
                    None => metrics.push((*metric, vec![*rule])),
                }
            }
        }
        Self {
            name,
            rules,
            metrics,
            handler,
            exemptions: Exemptions::default(),
            budgets: Vec::new(),
        }
    }

    /// The agent with the exemptions of the configuration. They are this process's own: only the
    /// owner of a task applies them, when it hears of the resource, so rows do not alternate
    /// between two lists while both processes run.
    #[must_use]
    pub fn exempting(mut self, exemptions: Exemptions) -> Self {
        self.exemptions = exemptions;
        self
    }

    /// The agent with the budgets of the configuration, this process's own as its exemptions are.
    #[must_use]
    pub fn budgeting(mut self, budgets: Vec<Plan>) -> Self {
        self.budgets = budgets;
        self
    }

    /// Its rules, in catalogue order.
    pub fn rules(&self) -> &[RuleRef] {
        &self.rules
    }

    /// What exempts a resource from a rule as of the task's clock. `before` is what did so far:
    /// while nothing is known of the tags, as after a loss of memory, their word stands.
    fn exemption(
        &self,
        (rule, subject, now): (&str, &Subject, Timestamp),
        thing: Option<&Thing>,
        before: Option<&Exemption>,
    ) -> Option<Exemption> {
        let tags = thing.map(|thing| &thing.tags);
        let found = self.exemptions.find(rule, subject, tags, now);
        let stands = |before: &&Exemption| {
            thing.is_none() && before.by == ExemptedBy::Tag && now < before.until
        };
        found.or_else(|| before.filter(stands).cloned())
    }

    fn readers(&self, point: &MetricPoint) -> Option<(&Metric, &[RuleRef])> {
        // With further dimensions the point is about a part of the resource, or about a group.
        if point.dimensions.len() > 1 {
            return None;
        }
        self.metrics
            .iter()
            .find(|(metric, _)| {
                metric.name == point.name.as_str() && metric.namespace == point.namespace.as_str()
            })
            .map(|(metric, readers)| (metric, readers.as_slice()))
    }

    fn wants_item(&self, item: &Item) -> bool {
        let ruled = self
            .rules
            .iter()
            .any(|rule| rule.meta().needs.items.contains(&item.kind));
        // The tags of what is judged by metrics or events alone may exempt it.
        let kind = item.kind.as_str();
        let judged = (self.rules.iter()).any(|rule| rule.meta().needs.subjects.contains(&kind));
        // Instances tell volumes whom they belong to; interfaces tell groups that they are used.
        ruled
            || judged
            || matches!(item.kind, ItemKind::Instance)
            || (item.kind == ItemKind::NetworkInterface && self.name == AgentName::Security)
    }
}

static RESOURCE: Capabilities = Capabilities {
    name: AgentName::Resource,
    reads: &[
        Topic::AwsEvents,
        Topic::AwsInventory,
        Topic::AwsMetrics,
        Topic::Tasks,
    ],
    writes: Topic::FindingsResource,
    also_writes: &[Topic::Results, Topic::Tasks],
    tasks: &[TaskKind::Assess],
};
static COST: Capabilities = Capabilities {
    name: AgentName::Cost,
    reads: &[
        Topic::AwsBilling,
        Topic::AwsInventory,
        Topic::AwsMetrics,
        Topic::AwsEvents,
        Topic::Tasks,
    ],
    writes: Topic::FindingsCost,
    also_writes: &[Topic::Results, Topic::Tasks],
    tasks: &[
        TaskKind::Assess,
        TaskKind::Optimize,
        TaskKind::Cost,
        TaskKind::Budget,
    ],
};
static SECURITY: Capabilities = Capabilities {
    name: AgentName::Security,
    reads: &[Topic::AwsEvents, Topic::AwsInventory, Topic::Tasks],
    writes: Topic::FindingsSecurity,
    also_writes: &[Topic::Results, Topic::Tasks],
    tasks: &[TaskKind::Assess, TaskKind::Security, TaskKind::Compliance],
};
static PERFORMANCE: Capabilities = Capabilities {
    name: AgentName::Performance,
    reads: &[
        Topic::AwsMetrics,
        Topic::AwsInventory,
        Topic::AwsEvents,
        Topic::Tasks,
    ],
    writes: Topic::FindingsPerformance,
    also_writes: &[Topic::Results, Topic::Tasks],
    tasks: &[TaskKind::Assess, TaskKind::Optimize],
};
static NONE: Capabilities = Capabilities {
    name: AgentName::Coordinator,
    reads: &[],
    writes: Topic::Recommendations,
    also_writes: &[],
    tasks: &[],
};

/// The four rows; the coordinator has its own module and an empty row here.
pub fn capabilities(name: AgentName) -> &'static Capabilities {
    match name {
        AgentName::Resource => &RESOURCE,
        AgentName::Cost => &COST,
        AgentName::Security => &SECURITY,
        AgentName::Performance => &PERFORMANCE,
        AgentName::Coordinator => &NONE,
    }
}

impl Agent for DomainAgent {
    type State = DomainState;
    type Note = Note;

    const STATE_VERSION: u8 = 1;

    fn capabilities(&self) -> &'static Capabilities {
        capabilities(self.name)
    }

    fn route(&self, input: Input<'_>, keys: &mut Keys) {
        match input {
            Input::Fact(fact) => {
                let wanted = match &fact.body {
                    FactBody::Metric(point) => self.readers(point).is_some_and(|(_, readers)| {
                        readers
                            .iter()
                            .any(|rule| rule.meta().needs.judges(&fact.subject))
                    }),
                    FactBody::Item(item) => self.wants_item(item),
                    FactBody::Event(event) => {
                        absorb::tells_state(event, &fact.subject)
                            && self.remembers_states(&fact.subject)
                            || self.rules.iter().any(|rule| {
                                let needs = &rule.meta().needs;
                                needs.events.contains(&event.kind)
                                    && needs.judges(&fact.subject)
                                    && rule.wants(event)
                            })
                    }
                    FactBody::Cost(line) => {
                        if self.rules.iter().any(|rule| rule.meta().needs.costs) {
                            keys.push(absorb::usage_subject(line));
                        }
                        false
                    }
                    FactBody::Delivered(_) => {
                        if self.rules.iter().any(|rule| rule.meta().needs.costs) {
                            keys.push(account_subject(fact.subject.account()));
                        }
                        false
                    }
                };
                if wanted {
                    keys.push(fact.subject.clone());
                }
            }
            Input::Message(Message::Task(task)) if task.agent == self.name => {
                keys.push(tasks::key(task));
            }
            Input::Message(_) => {}
        }
    }

    fn handle(&self, step: Step<'_, Note>, state: &mut DomainState, effects: &mut Effects<Note>) {
        let mut turn = Turn::new(self, &step, state, effects);
        match step.trigger {
            Trigger::Input(Input::Fact(fact)) => turn.take_fact(fact),
            Trigger::Input(Input::Message(Message::Task(task))) => turn.take_task(task),
            Trigger::Input(Input::Message(_)) => return,
            Trigger::Note(note) => turn.take_note(note),
            Trigger::Wake => turn.wake(),
        }
        turn.finish(matches!(step.trigger, Trigger::Wake));
    }

    fn row(&self, state: &DomainState, key: &str) -> Option<Message> {
        state
            .findings
            .values()
            .filter_map(|memory| memory.row.as_ref())
            .find(|row| row.id.as_str() == key)
            .map(|row| Message::Finding(row.clone()))
    }

    fn adopt(&self, state: &mut DomainState, row: &Message) -> bool {
        let Message::Finding(row) = row else {
            return false;
        };
        let Some(rule) = self
            .rules
            .iter()
            .find(|rule| rule.meta().id == row.rule.as_str())
        else {
            return false;
        };
        state.adopt(*rule, row)
    }

    fn withdraw(&self, row: &Message, now: Timestamp) -> Option<Message> {
        let Message::Finding(row) = row else {
            return None;
        };
        let mut row = row.clone();
        row.status = FindingStatus::Cleared;
        row.edge = Edge::Withdrawn;
        row.seq += 1;
        row.at = now;
        row.owner_before = None;
        row.exemption = None;
        Some(Message::Finding(row))
    }
}

impl DomainAgent {
    /// Whether some rule looks at the states of such a resource.
    fn remembers_states(&self, subject: &Subject) -> bool {
        self.rules.iter().any(|rule| {
            let needs = &rule.meta().needs;
            needs.subjects.contains(&subject.kind())
                && (needs.events.contains(&EventKind::InstanceState) || !needs.items.is_empty())
        })
    }
}
