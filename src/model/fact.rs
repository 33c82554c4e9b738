//! Facts about the accounts, decoded once from AWS's own shapes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{CostLine, Delivered, Item, Subject, Timestamp};

/// One decoded observation of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The resource it is about; its account owns the fact.
    pub subject: Subject,
    /// When it happened, by its own account.
    pub at: Timestamp,
    /// Recognises the same fact told twice; `None` where (subject, series, time) does.
    pub dedupe: Option<u64>,
    /// What was observed.
    pub body: FactBody,
}

/// The kinds of fact.
#[derive(Clone, Debug, PartialEq)]
pub enum FactBody {
    /// A CloudWatch data point.
    Metric(MetricPoint),
    /// An EventBridge event.
    Event(Box<Event>),
    /// A resource as a Describe call shows it.
    Item(Box<Item>),
    /// A cost line.
    Cost(Box<CostLine>),
    /// The end of a bill's delivery, as one account hears of it.
    Delivered(Delivered),
}

/// Dimensions sorted by name.
pub type Dimensions = SmallVec<[(SmolStr, SmolStr); 2]>;

/// One data point of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// `AWS/EC2`, `CWAgent`, …
    pub namespace: SmolStr,
    /// `CPUUtilization`, …
    pub name: SmolStr,
    /// Sorted by name; may be empty.
    pub dimensions: Dimensions,
    /// Count, sum and extremes over the period.
    pub statistics: Statistics,
    /// CloudWatch's unit, empty when not given.
    pub unit: SmolStr,
}

/// What CloudWatch says of one period. AWS sends `min`/`max` that can disagree with the sum.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Samples in the period.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Statistics {
    /// A single sample.
    pub fn of(value: f64) -> Self {
        Self {
            count: 1.0,
            sum: value,
            min: value,
            max: value,
        }
    }
    /// Sum over count; zero without samples.
    pub fn average(&self) -> f64 {
        if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }
}

/// An EventBridge envelope with what its kind says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The envelope's id.
    pub id: SmolStr,
    /// `aws.ec2`, …
    pub source: SmolStr,
    /// The envelope's detail-type, whole.
    pub detail_type: SmolStr,
    /// The kind, of a closed list.
    pub kind: EventKind,
    /// ARNs or ids the envelope names; often empty.
    pub resources: Vec<SmolStr>,
    /// The detail as sent.
    pub detail: Value,
}

/// Kinds of event the product knows. Others are ignored with a reason naming them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// EC2 Instance State-change Notification.
    InstanceState,
    /// Spot interruption warning or rebalance recommendation.
    Spot,
    /// EBS volume notification.
    Volume,
    /// EBS snapshot notifications, all forms.
    Snapshot,
    /// Auto Scaling launch, terminate and lifecycle events.
    AutoScaling,
    /// AWS Health.
    Health,
    /// GuardDuty finding.
    GuardDuty,
    /// GuardDuty's malware scan of a stored object.
    MalwareScan,
    /// Security Hub findings (one fact a finding).
    SecurityHub,
    /// Inspector2 finding.
    Inspector,
    /// AWS Config compliance or configuration change.
    Config,
    /// An API call recorded by CloudTrail.
    ApiCall,
    /// A console sign-in recorded by CloudTrail.
    SignIn,
    /// An AWS service event recorded by CloudTrail.
    ServiceEvent,
    /// Trusted Advisor check item.
    TrustedAdvisor,
    /// CloudWatch alarm state or configuration change.
    Alarm,
    /// Cost anomaly.
    CostAnomaly,
    /// A budget: what is spent of it, or its threshold reached or forecast to be.
    Budget,
    /// What will be spent by a day to come.
    CostForecast,
    /// A change AWS itself proposes: Compute Optimizer, Cost Optimization Hub, Cost Explorer.
    Advice,
    /// Use or coverage of reservations and savings plans over a period.
    Commitment,
    /// Lines of a CloudWatch log group.
    LogLines,
    /// Another EC2 event (fleet, AMI, …) kept as an observation.
    OtherEc2,
    /// What a process of ours reports of one agent.
    AgentReport,
    /// What a process of ours reports of itself.
    ProcessReport,
}
