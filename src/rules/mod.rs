//! What contributors add: a rule is one file, one page, one line in [`RULES`].
//!
//! Rules read, agents remember: a rule never writes state, so it needs no knowledge of topics,
//! replays or expiry. Everything here is pure.

pub mod budget;
pub mod exempt;
pub mod inventory;
pub mod memory;
pub mod network;
pub mod prices;
pub mod spend;
pub mod stats;

pub mod cost;
pub mod own;
pub mod performance;
pub mod resource;
pub mod security;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::model::{
    ActionKind, AgentName, Event, EventKind, Evidence, ItemKind, Proposal, Severity, Subject,
    Timestamp,
};

pub use exempt::Exemptions;
pub use inventory::Thing;
pub use memory::Memory;

/// A `CloudWatch` metric a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// `AWS/EC2`, …
    pub namespace: &'static str,
    /// `CPUUtilization`, …; also the key of its series, so unique among all rules.
    pub name: &'static str,
}

/// What a rule must be shown: routing, topology and permissions derive from it.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Resource types it judges, as in [`Subject::kind`]; empty for any.
    pub subjects: &'static [&'static str],
    /// Metrics whose points may change its verdict.
    pub metrics: &'static [Metric],
    /// Events that may change its verdict.
    pub events: &'static [EventKind],
    /// Inventory items that may change its verdict.
    pub items: &'static [ItemKind],
    /// Whether cost lines may change its verdict.
    pub costs: bool,
    /// Whether what related resources say may change its verdict.
    pub relations: bool,
    /// Whether of its metrics only UTC days that are over count, so that the points of one day
    /// all have one verdict.
    pub whole_days: bool,
}

impl Needs {
    /// Nothing.
    pub const NONE: Self = Self {
        subjects: &[],
        metrics: &[],
        events: &[],
        items: &[],
        costs: false,
        relations: false,
        whole_days: false,
    };

    /// Whether the rule judges this subject.
    pub fn judges(&self, subject: &Subject) -> bool {
        self.subjects.is_empty() || self.subjects.contains(&subject.kind())
    }
}

/// What a rule is, as data.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// `COST-EC2-1`.
    pub id: &'static str,
    /// One line, naming the bad thing.
    pub title: &'static str,
    /// Whose rule.
    pub agent: AgentName,
    /// The usual severity.
    pub severity: Severity,
    /// What it must be shown.
    pub needs: Needs,
    /// IAM actions its facts are read with.
    pub permissions: &'static [&'static str],
    /// Compliance controls it covers.
    pub controls: &'static [&'static str],
    /// What a person would do.
    pub remediation: &'static str,
    /// The version it came with.
    pub since: &'static str,
    /// Consecutive found evaluations before a closed finding opens again.
    pub reopen_after: u8,
    /// Consecutive clear evaluations before an open finding is closed.
    pub clear_after: u8,
    /// Whether its findings are momentary facts: they expire, and no clean evaluation closes them.
    pub momentary: bool,
    /// The page beside it.
    pub page: &'static str,
}

/// Everything a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The resource judged.
    pub subject: &'a Subject,
    /// The task's clock: event time.
    pub now: Timestamp,
    /// Metric points later than this do not count.
    pub as_of: Timestamp,
    /// What is remembered of the resource.
    pub memory: &'a Memory,
    /// The event that is being handled, if it is one.
    pub event: Option<(&'a Event, Timestamp)>,
}

impl<'a> Case<'a> {
    /// A metric's series as of [`Case::as_of`]; `None` when no point counts.
    pub fn series(&self, metric: Metric) -> Option<stats::View<'a>> {
        self.memory
            .series
            .get(metric.name)
            .map(|series| series.view(self.as_of))
            .filter(|view| view.newest().is_some())
    }
    /// The newest inventory item, when the resource was there.
    pub fn thing(&self) -> Option<&'a Thing> {
        self.memory.thing.as_ref()
    }
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Not enough is known to say anything; an open finding stays.
    Silent,
    /// The condition is known to be absent; open findings are closed.
    Clear,
    /// The condition holds: every finding there is, others of the rule are closed.
    Found(SmallVec<[Box<Found>; 1]>),
}

impl Verdict {
    /// A single finding.
    pub fn found(found: Found) -> Self {
        Self::Found(SmallVec::from_iter([Box::new(found)]))
    }
    /// These findings, or clear when there are none.
    pub fn found_or_clear(found: impl IntoIterator<Item = Found>) -> Self {
        let found: SmallVec<[Box<Found>; 1]> = found.into_iter().map(Box::new).collect();
        if found.is_empty() {
            Self::Clear
        } else {
            Self::Found(found)
        }
    }
}

/// One claim of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Tells several findings of one rule on one subject apart; empty when there is but one.
    pub discriminator: SmolStr,
    /// How bad.
    pub severity: Severity,
    /// Why, with the numbers.
    pub why: String,
    /// The numbers; never empty.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub proposal: Option<Proposal>,
    /// 0 to 1.
    pub confidence: f64,
    /// Reachable from the internet.
    pub exposed: bool,
    /// When the condition began, by the facts; the trigger's time when not known.
    pub since: Option<Timestamp>,
    /// How long a momentary finding stays, in milliseconds.
    pub expires: Option<i64>,
    /// Facts that, when they change, make a new row although severity and proposal stay.
    pub facts: SmolStr,
}

impl Found {
    /// A claim with its reason and first number.
    pub fn new(severity: Severity, why: String, evidence: Vec<Evidence>) -> Self {
        Self {
            discriminator: SmolStr::default(),
            severity,
            why,
            evidence,
            proposal: None,
            confidence: 1.0,
            exposed: false,
            since: None,
            expires: None,
            facts: SmolStr::default(),
        }
    }
    /// With a change to propose.
    #[must_use]
    pub fn propose(mut self, proposal: Proposal) -> Self {
        self.proposal = Some(proposal);
        self
    }
    /// With the time the condition began.
    #[must_use]
    pub fn since(mut self, at: Timestamp) -> Self {
        self.since = Some(at);
        self
    }
    /// With a confidence below certainty.
    #[must_use]
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }
    /// With what tells it from others of the rule.
    #[must_use]
    pub fn discriminator(mut self, discriminator: impl Into<SmolStr>) -> Self {
        self.discriminator = discriminator.into();
        self
    }
}

/// One number for a reader.
pub fn evidence(
    name: &str,
    value: impl Into<String>,
    threshold: impl Into<String>,
    at: Timestamp,
) -> Evidence {
    Evidence {
        name: name.into(),
        value: value.into(),
        threshold: threshold.into(),
        at,
    }
}

/// A change of `action` on the finding's own subject.
pub fn proposal<const N: usize>(
    action: ActionKind,
    parameters: [(&'static str, String); N],
) -> Proposal {
    Proposal {
        action,
        target: None,
        parameters: parameters
            .into_iter()
            .map(|(name, value)| (SmolStr::new_static(name), value))
            .collect(),
        savings: None,
    }
}

/// The number a rule decides by, for "why is there nothing": what it is, and from where on the
/// rule would find something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// What was measured, for a person.
    pub what: &'static str,
    /// What it is.
    pub measured: f64,
    /// From where on the rule finds something.
    pub threshold: f64,
    /// What both are counted in.
    pub unit: &'static str,
    /// Whether the rule looks for values at or above the threshold, rather than below it.
    pub above: bool,
}

impl Measure {
    /// A value that is too high at or above `threshold`.
    pub fn above(what: &'static str, measured: f64, threshold: f64, unit: &'static str) -> Self {
        Self {
            what,
            measured,
            threshold,
            unit,
            above: true,
        }
    }
    /// A value that is too low below `threshold`.
    pub fn below(what: &'static str, measured: f64, threshold: f64, unit: &'static str) -> Self {
        Self {
            above: false,
            ..Self::above(what, measured, threshold, unit)
        }
    }
    /// How far the value is on the harmless side; zero or less when it is not.
    pub fn distance(&self) -> f64 {
        if self.above {
            self.threshold - self.measured
        } else {
            self.measured - self.threshold
        }
    }
    /// Whether the value is on the harmless side.
    pub fn short(&self) -> bool {
        self.distance() > 0.0 || (!self.above && self.measured >= self.threshold)
    }
}

/// A condition to look for.
pub trait Rule: Send + Sync {
    /// What it is.
    fn meta(&self) -> &'static Meta;

    /// Judges. Pure: equal cases give equal verdicts.
    fn check(&self, case: &Case<'_>) -> Verdict;

    /// When the verdict may change with no new fact.
    fn wake_at(&self, _case: &Case<'_>) -> Option<Timestamp> {
        None
    }

    /// What the verdict hangs on, as far as it is a number: of several the one that keeps the
    /// rule from finding something. Asked by people only, never in the flow.
    fn measure(&self, _case: &Case<'_>) -> Option<Measure> {
        None
    }

    /// Whether an event of a kind it needs can matter; cheap, asked before any state is loaded.
    fn wants(&self, _event: &Event) -> bool {
        true
    }
}

/// Every rule, in catalogue order.
pub const RULES: &[&dyn Rule] = &[
    &resource::failed_system_check::FailedSystemCheck,
    &resource::missing_tags::MissingTags,
    &resource::long_stopped::LongStopped,
    &resource::retirement_scheduled::RetirementScheduled,
    &resource::previous_generation::PreviousGeneration,
    &cost::idle_instance::IdleInstance,
    &cost::low_use_instance::LowUseInstance,
    &cost::unattached_volume::UnattachedVolume,
    &cost::old_volume_type::OldVolumeType,
    &cost::unused_address::UnusedAddress,
    &cost::budget::BudgetUsed,
    &cost::spend_anomaly::SpendAnomaly,
    &security::all_ports_open::AllPortsOpen,
    &security::remote_access_open::RemoteAccessOpen,
    &security::exposed_instance::ExposedInstance,
    &security::root_used::RootUsed,
    &security::group_changed::GroupChanged,
    &performance::high_cpu::HighCpu,
    &performance::credits_exhausted::CreditsExhausted,
    &performance::burst_exhausted::BurstExhausted,
    &performance::failing_targets::FailingTargets,
    &performance::nat_ports_exhausted::NatPortsExhausted,
    &own::falling_behind::FallingBehind,
    &own::source_silent::SourceSilent,
    &own::dead_letters::DeadLetters,
    &own::memory_full::MemoryFull,
    &own::slow_checkpoints::SlowCheckpoints,
    &own::agent_gone::AgentGone,
    &own::watcher_gone::WatcherGone,
];

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static dyn Rule> {
    RULES.iter().copied().find(|rule| rule.meta().id == id)
}
