//! Facts put into the words of the `EventBridge` event that tells of them.

use serde_json::{Value, json};

use super::{Opener, Within, text, time};
use crate::model::{Timestamp, Topic, derive_hex};
use crate::sources::{Shape, undecodable};

/// An event in the making.
pub(super) struct Told<'a> {
    pub(super) source: &'a str,
    pub(super) detail_type: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    /// When it happened; an event without a time is refused.
    pub(super) at: Option<Timestamp>,
    pub(super) resources: Vec<String>,
    pub(super) detail: Value,
}

impl Opener {
    /// Gives the event as a record. `raw` is what it was made of.
    pub(super) fn told(&mut self, what: Shape, told: &Told<'_>, raw: &[u8]) {
        if super::carriers::holds_template(told.account) {
            return self.ignore(what, raw, "a template that was not filled in");
        }
        if told.account.is_empty() {
            let reason = undecodable(format!(
                "{}: it names no account; send it with one",
                what.as_str()
            ));
            return self.refuse(what, raw, reason);
        }
        let Some(at) = told.at else {
            let reason = undecodable(format!("{}: it names no time", what.as_str()));
            return self.refuse(what, raw, reason);
        };
        // The same fact gets the same id, however often and by whatever way it comes.
        let detail = told.detail.to_string();
        let id = derive_hex(&[told.source, told.detail_type, told.account, &detail]);
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": told.detail_type,
            "source": told.source,
            "account": told.account,
            "time": at,
            "region": told.region,
            "resources": told.resources,
            "detail": told.detail,
        });
        let payload = event.to_string().into_bytes();
        self.record(what, Topic::AwsEvents, payload, raw);
    }

    /// An `EventBridge` event: as it stands; inside a wrapping also one whose relay left fields
    /// out of its envelope.
    pub(super) fn event(&mut self, mut object: super::Object, raw: &[u8], within: &Within) {
        let lacks = |name: &str| text(&object, name).is_none();
        let whole = !["id", "source", "account", "time", "region"]
            .into_iter()
            .any(lacks);
        if whole || within.carrier.is_none() {
            return self.record(Shape::Eventbridge, Topic::AwsEvents, raw.to_vec(), raw);
        }
        let detail_type = text(&object, "detail-type").unwrap_or_default().to_owned();
        let source = text(&object, "source").map(str::to_owned);
        let source = source.or_else(|| source_of(&detail_type).map(str::to_owned));
        let Some(source) = source else {
            let reason = undecodable(format!("aws.events: {detail_type:?} names no source"));
            return self.refuse(Shape::Eventbridge, raw, reason);
        };
        let resources = object.get("resources").and_then(Value::as_array);
        let resources = resources
            .into_iter()
            .flatten()
            .filter_map(|each| each.as_str().map(str::to_owned))
            .collect();
        let own_account = text(&object, "account").map(str::to_owned);
        let own_region = text(&object, "region").map(str::to_owned);
        let at = object.get("time").and_then(time);
        let detail = object.remove("detail").unwrap_or_default();
        let said = |names: [&str; 3]| {
            names
                .into_iter()
                .find_map(|name| detail.pointer(name).and_then(Value::as_str))
                .map(str::to_owned)
        };
        let account = own_account
            .or_else(|| said(["/accountId", "/awsAccountId", "/recipientAccountId"]))
            .or_else(|| within.hints.account.clone());
        let region = own_region.or_else(|| said(["/region", "/awsRegion", "/eventRegion"]));
        let seen = ["/updatedAt", "/service/eventLastSeen", "/eventTime"]
            .into_iter()
            .find_map(|name| detail.pointer(name).and_then(time));
        let told = Told {
            source: &source,
            detail_type: &detail_type,
            account: account.as_deref().unwrap_or_default(),
            region: region
                .as_deref()
                .or(within.hints.region.as_deref())
                .unwrap_or("global"),
            at: at.or(seen).or(within.hints.at),
            resources,
            detail: detail.clone(),
        };
        self.told(Shape::Eventbridge, &told, raw);
    }
}

/// Whose detail-type it is, for relays that leave the source out.
fn source_of(detail_type: &str) -> Option<&'static str> {
    Some(match detail_type {
        _ if detail_type.starts_with("GuardDuty ") => "aws.guardduty",
        _ if detail_type.starts_with("AWS Health ") => "aws.health",
        _ if detail_type.starts_with("Security Hub ") => "aws.securityhub",
        _ if detail_type.starts_with("Inspector2 ") => "aws.inspector2",
        _ if detail_type.starts_with("CloudWatch Alarm ") => "aws.cloudwatch",
        _ if detail_type.starts_with("Config ") => "aws.config",
        _ if detail_type.starts_with("EC2 Instance State") => "aws.ec2",
        _ => return None,
    })
}
