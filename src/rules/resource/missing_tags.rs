#![doc = include_str!("missing_tags.md")]

use crate::model::{ActionKind, AgentName, Environment, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Keys every resource must carry (catalogue RES-TAG-1).
const REQUIRED: [&str; 3] = ["Owner", "Environment", "CostCenter"];
/// Tags are often written just after the resource is made (Cloud Custodian issue 3165).
const GRACE_MS: i64 = 15 * Timestamp::MINUTE;

static META: Meta = Meta {
    id: "RES-TAG-1",
    title: "Resource lacks required tags",
    agent: AgentName::Resource,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["instance", "volume"],
        items: &[ItemKind::Instance, ItemKind::Volume],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeInstances", "ec2:DescribeVolumes"],
    controls: &[],
    remediation: "Write the missing tags, from whoever made the resource.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("missing_tags.md"),
};

/// RES-TAG-1.
pub struct MissingTags;

impl MissingTags {
    fn due(case: &Case<'_>) -> Option<Timestamp> {
        let thing = case.thing()?;
        Some(thing.created.unwrap_or(thing.at).plus(GRACE_MS))
    }
}

impl Rule for MissingTags {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let (Some(thing), Some(due)) = (case.thing(), Self::due(case)) else {
            return Verdict::Silent;
        };
        let missing: Vec<&str> = REQUIRED
            .into_iter()
            .filter(|key| !thing.tagged(key))
            .collect();
        if missing.is_empty() {
            return Verdict::Clear;
        }
        if case.now < due {
            return Verdict::Silent;
        }
        let missing = missing.join(",");
        let severity = match case.memory.environment() {
            Some(Environment::Production) => Severity::Medium,
            _ => META.severity,
        };
        Verdict::found(
            Found::new(
                severity,
                format!("required tags are absent: {missing}"),
                vec![evidence(
                    "tags",
                    format!("without {missing}"),
                    REQUIRED.join(","),
                    thing.at,
                )],
            )
            .since(due.max(thing.at))
            .propose(proposal(ActionKind::Tag, [("keys", missing)])),
        )
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Self::due(case)
    }
}
