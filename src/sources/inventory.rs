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
        || resource(&raw.account, &raw.region, raw.kind.as_str(), id),
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
