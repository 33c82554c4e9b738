//! `aws.inventory`: one Describe item, in the API's own shape, inside our envelope.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::subject::{check_name, named, resource};
use super::{Decoded, facts, undecodable};
use crate::model::{
    Account, Fact, FactBody, Item, ItemKind, Presence, Region, Timestamp, Undecodable,
};

/// A record of `aws.inventory`: what a Describe call showed of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RawInventory {
    /// The account that owns the resource.
    pub account: Account,
    /// The region it is in.
    pub region: Region,
    /// Which list of which Describe call the item is from.
    pub kind: ItemKind,
    /// When the sweep saw it, or no longer saw it.
    pub observed_at: Timestamp,
    /// Whether the sweep still shows it.
    #[serde(default)]
    pub presence: Presence,
    /// The item as the API sends it; its id field is required.
    pub item: Value,
}

/// Decodes one item.
pub(super) fn decode(payload: &[u8]) -> Result<Decoded, Undecodable> {
    let raw: RawInventory = serde_json::from_slice(payload).map_err(|error| {
        undecodable(format!(
            "aws.inventory: {error}; expected account, region, kind, observed_at and item"
        ))
    })?;
    check_name("account", &raw.account)?;
    check_name("region", &raw.region)?;
    let field = raw.kind.id_field();
    let id = raw.item.get(field).and_then(Value::as_str);
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Err(undecodable(format!(
            "aws.inventory: missing field `{field}` in item, which names the {}",
            raw.kind.as_str()
        )));
    };
    // An ARN says itself where the resource is and how others call it.
    let subject = named(id).filter(|_| id.starts_with("arn:")).map_or_else(
        || resource(&raw.account, &raw.region, raw.kind.resource_type(), id),
        |named| named.subject(&raw.account, &raw.region),
    );
    Ok(facts([Fact {
        subject,
        at: raw.observed_at,
        dedupe: None,
        body: FactBody::Item(Box::new(Item {
            kind: raw.kind,
            presence: raw.presence,
            item: raw.item,
        })),
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Topic};
    use crate::sources::decode;

    fn subject(kind: ItemKind, region: &str, id: &str) -> String {
        let record = RawInventory {
            account: "111122223333".into(),
            region: region.into(),
            kind,
            observed_at: Timestamp::from_ms(1),
            presence: Presence::Gone,
            item: serde_json::json!({ kind.id_field(): id }),
        };
        let record = serde_json::to_vec(&record).expect("it has a form");
        let Ok(Decoded::Message(Message::Facts(facts))) =
            decode(Topic::AwsInventory, None, Some(&record))
        else {
            panic!("no facts");
        };
        facts[0].subject.as_str().to_owned()
    }

    #[test]
    fn items_meet_events_in_one_subject_also_when_they_are_gone() {
        for (kind, region, id, expected) in [
            (
                ItemKind::RouteTable,
                "eu-west-1",
                "rtb-1",
                "eu-west-1/route-table/rtb-1",
            ),
            (
                ItemKind::InstanceStatus,
                "eu-west-1",
                "i-1",
                "eu-west-1/instance/i-1",
            ),
            (
                ItemKind::ManagedInstance,
                "eu-west-1",
                "mi-1",
                "eu-west-1/instance/mi-1",
            ),
            (
                ItemKind::PublicSnapshot,
                "eu-west-1",
                "snap-1",
                "eu-west-1/snapshot/snap-1",
            ),
            (
                ItemKind::IamUser,
                "global",
                "arn:aws:iam::111122223333:user/staff/ann",
                "global/principal/user/staff/ann",
            ),
            (
                ItemKind::Trail,
                "global",
                "arn:aws:cloudtrail:eu-west-2:111122223333:trail/all",
                "eu-west-2/trail/all",
            ),
            (
                ItemKind::ScalingPolicy,
                "eu-west-1",
                "arn:aws:autoscaling:eu-west-1:111122223333:scalingPolicy:u:autoScalingGroupName/web:policyName/up",
                "eu-west-1/scaling-policy/web/up",
            ),
        ] {
            let expected = format!("111122223333/{expected}");
            assert_eq!(subject(kind, region, id), expected, "{}", kind.as_str());
        }
    }
}
