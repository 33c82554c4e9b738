//! `aws.events`: the `EventBridge` envelope and the kinds of event the product knows.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::subject::{check_name, fact_key};
use super::{Decoded, about, cloudtrail, facts, ignored, undecodable};
use crate::model::{
    AGENT_REPORT, Event, EventKind, Fact, FactBody, OWN_SOURCE, PROCESS_REPORT, Subject, Timestamp,
    Undecodable,
};

/// The envelope; `version` is not read.
#[derive(Deserialize)]
struct RawEnvelope<'a> {
    id: SmolStr,
    #[serde(rename = "detail-type")]
    detail_type: SmolStr,
    source: SmolStr,
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    #[serde(default)]
    resources: Option<Vec<SmolStr>>,
    // Kept as text until the kind is known to be ours.
    #[serde(borrow)]
    detail: &'a RawValue,
}

/// An envelope of a kind we know, its detail read.
pub(super) struct Envelope<'a> {
    pub(super) id: SmolStr,
    pub(super) source: SmolStr,
    pub(super) detail_type: SmolStr,
    pub(super) kind: EventKind,
    pub(super) account: Cow<'a, str>,
    pub(super) region: Cow<'a, str>,
    pub(super) at: Timestamp,
    pub(super) resources: Vec<SmolStr>,
    pub(super) detail: Value,
}

/// What an event is about, and what tells its fact from others.
pub(super) struct About {
    pub(super) subject: Subject,
    pub(super) dedupe: u64,
}

/// Decodes one event; a Security Hub event gives one fact a finding.
pub(super) fn decode(payload: &[u8]) -> Result<Decoded, Undecodable> {
    let raw: RawEnvelope<'_> = serde_json::from_slice(payload).map_err(|error| {
        undecodable(format!(
            "aws.events: {error}; expected one EventBridge envelope"
        ))
    })?;
    for (field, text) in [
        ("id", raw.id.as_str()),
        ("detail-type", &raw.detail_type),
        ("source", &raw.source),
    ] {
        if text.is_empty() {
            return Err(undecodable(format!("aws.events: {field} is empty")));
        }
    }
    let at = Timestamp::parse(&raw.time)
        .map_err(|error| undecodable(format!("aws.events: time: {error}")))?;
    check_name("account", &raw.account)?;
    check_name("region", &raw.region)?;
    let Some(kind) = kind_of(&raw.source, &raw.detail_type) else {
        return Ok(ignored(format!("{}: {}", raw.source, raw.detail_type)));
    };
    let detail: Value = serde_json::from_str(raw.detail.get())
        .map_err(|error| undecodable(format!("aws.events: detail: {error}")))?;
    if !detail.is_object() {
        return Err(undecodable("aws.events: detail is not an object".into()));
    }
    let envelope = Envelope {
        id: raw.id,
        source: raw.source,
        detail_type: raw.detail_type,
        kind,
        account: raw.account,
        region: raw.region,
        at,
        resources: raw.resources.unwrap_or_default(),
        detail,
    };
    match kind {
        EventKind::SecurityHub => return super::securityhub::decode(envelope),
        EventKind::AgentReport | EventKind::ProcessReport => {
            return super::reports::decode(envelope);
        }
        _ => {}
    }
    let About { subject, dedupe } = match kind {
        EventKind::ApiCall | EventKind::SignIn | EventKind::ServiceEvent => {
            cloudtrail::about(&envelope)?
        }
        _ => about::about(&envelope)?,
    };
    Ok(facts([envelope.into_fact(subject, dedupe)]))
}

/// The kind of an event of ours; `None` for what the product does not read.
fn kind_of(source: &str, detail_type: &str) -> Option<EventKind> {
    if source == OWN_SOURCE {
        return match detail_type {
            AGENT_REPORT => Some(EventKind::AgentReport),
            PROCESS_REPORT => Some(EventKind::ProcessReport),
            _ => None,
        };
    }
    if !source.starts_with("aws.") || source.starts_with("aws.partner/") {
        return None;
    }
    Some(match (source, detail_type) {
        (_, "AWS API Call via CloudTrail") => EventKind::ApiCall,
        (_, "AWS Console Sign In via CloudTrail") => EventKind::SignIn,
        (_, "AWS Service Event via CloudTrail" | "AWS Insight via CloudTrail") => {
            EventKind::ServiceEvent
        }
        ("aws.ec2", "EC2 Instance State-change Notification") => EventKind::InstanceState,
        (
            "aws.ec2",
            "EC2 Spot Instance Interruption Warning" | "EC2 Instance Rebalance Recommendation",
        ) => EventKind::Spot,
        ("aws.ec2", "EBS Volume Notification") => EventKind::Volume,
        (
            "aws.ec2",
            "EBS Snapshot Notification"
            | "EBS Multi-Volume Snapshots Completion Status"
            | "EBS Fast Snapshot Restore State-change Notification",
        ) => EventKind::Snapshot,
        ("aws.ec2" | "aws.ec2fleet" | "aws.ec2spotfleet", _) => EventKind::OtherEc2,
        ("aws.autoscaling", _) => EventKind::AutoScaling,
        ("aws.health", "AWS Health Event" | "AWS Health Abuse Event") => EventKind::Health,
        ("aws.guardduty", "GuardDuty Finding") => EventKind::GuardDuty,
        ("aws.guardduty", "GuardDuty Malware Protection Object Scan Result") => {
            EventKind::MalwareScan
        }
        (
            "aws.securityhub",
            "Security Hub Findings - Imported" | "Security Hub Findings - Custom Action",
        ) => EventKind::SecurityHub,
        ("aws.inspector2", "Inspector2 Finding" | "Inspector2 Scan" | "Inspector2 Coverage") => {
            EventKind::Inspector
        }
        ("aws.config", "Config Rules Compliance Change" | "Config Configuration Item Change") => {
            EventKind::Config
        }
        ("aws.trustedadvisor", "Trusted Advisor Check Item Refresh Notification") => {
            EventKind::TrustedAdvisor
        }
        (
            "aws.cloudwatch",
            "CloudWatch Alarm State Change" | "CloudWatch Alarm Configuration Change",
        ) => EventKind::Alarm,
        ("aws.ce", "Anomaly Detected") => EventKind::CostAnomaly,
        // AWS sends no events of these: the names are ours (see `open`).
        ("aws.budgets", "AWS Budgets Notification" | "AWS Budgets Status") => EventKind::Budget,
        ("aws.ce", "Cost Forecast") => EventKind::CostForecast,
        ("aws.ce", "Commitment Report") => EventKind::Commitment,
        (_, "AWS Recommendation") => EventKind::Advice,
        ("aws.logs", "CloudWatch Logs Subscription") => EventKind::LogLines,
        _ => return None,
    })
}

impl Envelope<'_> {
    /// A text at a JSON pointer into the detail, trimmed; `None` when absent or empty.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        text(&self.detail, pointer)
    }
    /// The same, required.
    pub(super) fn required(&self, pointer: &str) -> Result<&str, Undecodable> {
        self.text(pointer)
            .ok_or_else(|| self.missing(&dotted(pointer)))
    }
    /// What a missing field is refused with.
    pub(super) fn missing(&self, field: &str) -> Undecodable {
        undecodable(format!(
            "aws.events: missing field `{field}` in {:?} of {}",
            self.detail_type, self.source
        ))
    }
    /// The account at a pointer, else the envelope's.
    pub(super) fn account_at(&self, pointer: &str) -> Result<&str, Undecodable> {
        self.name_at(pointer, &self.account)
    }
    /// The region at a pointer, else the envelope's.
    pub(super) fn region_at(&self, pointer: &str) -> Result<&str, Undecodable> {
        self.name_at(pointer, &self.region)
    }
    fn name_at<'s>(&'s self, pointer: &str, or: &'s str) -> Result<&'s str, Undecodable> {
        let Some(name) = self.text(pointer) else {
            return Ok(or);
        };
        check_name(&dotted(pointer), name)?;
        Ok(name)
    }
    /// Any scalar at a pointer as text, for keys of facts; empty when absent.
    pub(super) fn scalar(&self, pointer: &str) -> String {
        match self.detail.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => String::new(),
        }
    }
    /// The key of the fact: its kind and what tells it from others of that kind.
    pub(super) fn key(&self, parts: &[&str]) -> u64 {
        let mut all = vec![self.source.as_str(), &self.detail_type];
        all.extend_from_slice(parts);
        fact_key(&all)
    }
    pub(super) fn into_fact(self, subject: Subject, dedupe: u64) -> Fact {
        Fact {
            subject,
            at: self.at,
            dedupe: Some(dedupe),
            body: FactBody::Event(Box::new(Event {
                id: self.id,
                source: self.source,
                detail_type: self.detail_type,
                kind: self.kind,
                resources: self.resources,
                detail: self.detail,
            })),
        }
    }
}

/// A text at a JSON pointer, trimmed: documentation and relays pad ids with spaces.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    let text = value.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// `/resource/id` → `detail.resource.id`.
fn dotted(pointer: &str) -> String {
    format!("detail{}", pointer.replace('/', "."))
}
