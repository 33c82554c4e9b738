#![doc = include_str!("previous_generation.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, prices, proposal};

/// Families of the previous generation (EC2 user guide, previous generation instances), and the one of the same kind to
/// move to: the newest Intel one that costs no more (OURS).
const FAMILIES: [(&str, &str); 12] = [
    ("t1", "t3"),
    ("m1", "m6i"),
    ("m2", "r6i"),
    ("m3", "m6i"),
    ("m4", "m6i"),
    ("a1", "m6g"),
    ("c1", "c6i"),
    ("c3", "c6i"),
    ("c4", "c6i"),
    ("r3", "r6i"),
    ("r4", "r6i"),
    ("i2", "i3"),
];

static META: Meta = Meta {
    id: "RES-CFG-2",
    title: "Instance is of a previous generation",
    agent: AgentName::Resource,
    severity: Severity::Medium,
    needs: Needs {
        subjects: &["instance"],
        items: &[ItemKind::Instance],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeInstances"],
    controls: &[],
    remediation: "Stop the instance, change its type to a current family, start it.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("previous_generation.md"),
};

/// RES-CFG-2.
pub struct PreviousGeneration;

impl Rule for PreviousGeneration {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(thing) = case.thing() else {
            return Verdict::Silent;
        };
        let Some((family, size)) = thing.class.split_once('.') else {
            return Verdict::Silent;
        };
        let Some((_, newer)) = FAMILIES.iter().find(|(old, _)| *old == family) else {
            return Verdict::Clear;
        };
        let to = format!("{newer}.{size}");
        let mut upgrade = proposal(ActionKind::Upgrade, [("from", thing.class.to_string())]);
        if let Some(after) = prices::instance(&to) {
            let before = prices::instance(&thing.class).filter(|_| !thing.other_platform);
            upgrade.savings = before
                .map(|before| before.hour - after.hour)
                .filter(|less| less.is_sign_positive() && !less.is_zero())
                .map(prices::instance_savings);
            upgrade.parameters.insert("to".into(), to.clone());
        }
        Verdict::found(
            Found::new(
                META.severity,
                format!("{} is of a previous generation", thing.class),
                vec![evidence(
                    "InstanceType",
                    thing.class.to_string(),
                    to,
                    thing.at,
                )],
            )
            .since(thing.at)
            .propose(upgrade),
        )
    }
}
