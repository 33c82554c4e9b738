//! A Describe item, reduced to what rules ask of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use super::network::{Permission, parse_permissions};
use crate::model::{Environment, Item, ItemKind, Timestamp};

/// Tags kept; AWS allows 50 a resource.
const TAGS: usize = 60;
/// Groups and volumes kept of an instance.
const PARTS: usize = 64;

/// A resource as inventory last showed it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Thing {
    /// When it was described.
    pub at: Timestamp,
    /// Its kind.
    pub kind: ItemKind,
    /// Instance type or volume type.
    #[serde(default)]
    pub class: SmolStr,
    /// Size of a volume in GiB.
    #[serde(default)]
    pub size_gib: i64,
    /// Launch or creation time.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// By key.
    #[serde(default)]
    pub tags: BTreeMap<SmolStr, SmolStr>,
    /// Security groups it is in.
    #[serde(default)]
    pub groups: Vec<SmolStr>,
    /// Volumes that hang on it.
    #[serde(default)]
    pub volumes: Vec<SmolStr>,
    /// The instance it hangs on.
    #[serde(default)]
    pub attached_to: Option<SmolStr>,
    /// Whether it has a public address.
    #[serde(default)]
    pub public: bool,
    /// Whether it runs something else than plain Linux, whose price is not known here.
    #[serde(default)]
    pub other_platform: bool,
    /// Ingress that is not from private addresses only.
    #[serde(default)]
    pub ingress: Vec<Permission>,
    /// Name of a group, or `StateTransitionReason` of an instance.
    #[serde(default)]
    pub note: SmolStr,
}

impl Thing {
    /// Reduces an item described at `at`; the second part is its state.
    pub fn of(item: &Item, at: Timestamp) -> (Self, SmolStr) {
        let mut thing = Self {
            at,
            kind: item.kind,
            class: SmolStr::default(),
            size_gib: 0,
            created: [
                "LaunchTime",
                "CreateTime",
                "CreatedTime",
                "StartTime",
                "CreationDate",
            ]
            .iter()
            .find_map(|field| Timestamp::parse(item.text(field)).ok()),
            tags: tags(item),
            groups: Vec::new(),
            volumes: Vec::new(),
            attached_to: None,
            public: false,
            other_platform: false,
            ingress: Vec::new(),
            note: SmolStr::default(),
        };
        let state = match item.kind {
            ItemKind::Instance => thing.take_instance(item),
            ItemKind::Volume => thing.take_volume(item),
            ItemKind::SecurityGroup => {
                thing.ingress = parse_permissions(item.list("IpPermissions"));
                thing.note = clip(item.text("GroupName"));
                SmolStr::default()
            }
            ItemKind::NetworkInterface => {
                thing.groups = ids(item.list("Groups"), "GroupId");
                thing.public = item.item.pointer("/Association/PublicIp").is_some();
                item.text("Status").into()
            }
            ItemKind::ElasticIp => {
                let instance = item.text("InstanceId");
                thing.attached_to = (!instance.is_empty()).then(|| clip(instance));
                // The API has no state of its own for addresses.
                let used = !item.text("AssociationId").is_empty();
                SmolStr::new_static(if used { "associated" } else { "free" })
            }
            _ => item.text("State").into(),
        };
        let state = if state.is_empty() {
            "present".into()
        } else {
            state
        };
        (thing, state)
    }

    fn take_instance(&mut self, item: &Item) -> SmolStr {
        self.class = clip(item.text("InstanceType"));
        self.note = clip(item.text("StateTransitionReason"));
        self.groups = ids(item.list("SecurityGroups"), "GroupId");
        for interface in item.list("NetworkInterfaces") {
            let groups = interface.get("Groups").and_then(Value::as_array);
            self.groups
                .extend(ids(groups.map_or(&[], Vec::as_slice), "GroupId"));
            self.public |= interface.pointer("/Association/PublicIp").is_some();
        }
        self.groups.sort();
        self.groups.dedup();
        self.groups.truncate(PARTS);
        self.public |= !item.text("PublicIpAddress").is_empty();
        let platform = item.text("PlatformDetails");
        self.other_platform =
            !item.text("Platform").is_empty() || !(platform.is_empty() || platform == "Linux/UNIX");
        self.volumes = item
            .list("BlockDeviceMappings")
            .iter()
            .filter_map(|mapping| {
                mapping
                    .pointer("/Ebs/VolumeId")?
                    .as_str()
                    .map(SmolStr::from)
            })
            .take(PARTS)
            .collect();
        self.volumes.sort();
        item.item
            .pointer("/State/Name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .into()
    }

    fn take_volume(&mut self, item: &Item) -> SmolStr {
        self.class = clip(item.text("VolumeType"));
        self.size_gib = item.item.get("Size").and_then(Value::as_i64).unwrap_or(0);
        self.attached_to = ids(item.list("Attachments"), "InstanceId")
            .into_iter()
            .next();
        item.text("State").into()
    }

    /// From the tags `Environment` or `env`, in any case.
    pub fn environment(&self) -> Option<Environment> {
        ["environment", "env"].iter().find_map(|wanted| {
            let (_, value) = self
                .tags
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
            Environment::from_tag(value)
        })
    }
    /// Whether a tag with this key is there, in any case, with a value.
    pub fn tagged(&self, key: &str) -> bool {
        self.tags
            .iter()
            .any(|(known, value)| known.eq_ignore_ascii_case(key) && !value.is_empty())
    }
}

fn tags(item: &Item) -> BTreeMap<SmolStr, SmolStr> {
    // Auto Scaling groups and most others write `Tags`, network interfaces `TagSet`.
    let list = if item.item.get("Tags").is_some() {
        "Tags"
    } else {
        "TagSet"
    };
    item.list(list)
        .iter()
        .filter_map(|tag| {
            let text = |field| tag.get(field).and_then(Value::as_str);
            Some((clip(text("Key")?), clip(text("Value").unwrap_or_default())))
        })
        .take(TAGS)
        .collect()
}

fn ids(list: &[Value], field: &str) -> Vec<SmolStr> {
    list.iter()
        .filter_map(|element| element.get(field)?.as_str().map(clip))
        .take(PARTS)
        .collect()
}

/// AWS's own limit of a tag's value is 256 characters; longer text is no name.
fn clip(text: &str) -> SmolStr {
    match text.char_indices().nth(256) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}
