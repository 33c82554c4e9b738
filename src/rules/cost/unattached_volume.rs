#![doc = include_str!("unattached_volume.md")]

use crate::model::{ActionKind, AgentName, EventKind, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Measure, Meta, Needs, Rule, Verdict, evidence, prices, proposal};

/// Unattached for this long (Compute Optimizer: 32 days).
const UNATTACHED_MS: i64 = 32 * Timestamp::DAY;

static META: Meta = Meta {
    id: "COST-EBS-1",
    title: "Volume is attached to nothing",
    agent: AgentName::Cost,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["volume"],
        events: &[EventKind::ApiCall],
        items: &[ItemKind::Volume],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeVolumes"],
    controls: &[],
    remediation: "Snapshot the volume, then delete it.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("unattached_volume.md"),
};

/// COST-EBS-1.
pub struct UnattachedVolume;

impl UnattachedVolume {
    fn since(case: &Case<'_>) -> Option<Timestamp> {
        match case.memory.state()? {
            ("available", since) => Some(since),
            _ => None,
        }
    }
}

impl Rule for UnattachedVolume {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn wants(&self, event: &crate::model::Event) -> bool {
        matches!(
            crate::model::ApiCall::of(&event.detail).name(),
            "AttachVolume" | "DetachVolume" | "DeleteVolume"
        )
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if case.memory.state().is_none() {
            return Verdict::Silent;
        }
        let Some(since) = Self::since(case) else {
            return Verdict::Clear;
        };
        let due = since.plus(UNATTACHED_MS);
        if case.now < due {
            return Verdict::Clear;
        }
        let mut delete = proposal(ActionKind::Delete, [("snapshot_first", "true".into())]);
        delete.savings = case.thing().and_then(|thing| {
            let rate = prices::volume_gib_mills(&thing.class)?;
            let less = (rate - prices::SNAPSHOT_GIB_MILLS).max(0);
            Some(prices::volume_savings(thing.size_gib.checked_mul(less)?))
        });
        let what = case.thing().map_or_else(String::new, |thing| {
            format!("{} GiB of {}, ", thing.size_gib, thing.class)
        });
        Verdict::found(
            Found::new(
                prices::severity(delete.savings.as_ref()),
                format!("{what}attached to nothing since {since}"),
                vec![evidence(
                    "unattached since",
                    since.to_string(),
                    "32 days",
                    since,
                )],
            )
            .since(due)
            .confidence(0.9)
            .propose(delete),
        )
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Some(Self::since(case)?.plus(UNATTACHED_MS))
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let days = |ms: i64| ms as f64 / Timestamp::DAY as f64;
        let apart = days(case.now.since(Self::since(case)?));
        Some(Measure::above(
            "attached to nothing for",
            apart,
            days(UNATTACHED_MS),
            "days",
        ))
    }
}
