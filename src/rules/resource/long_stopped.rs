#![doc = include_str!("long_stopped.md")]

use crate::model::{ActionKind, AgentName, EventKind, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Measure, Meta, Needs, Rule, Verdict, evidence, proposal};

/// Stopped for longer than this (Prowler's default).
const STOPPED_MS: i64 = 30 * Timestamp::DAY;

static META: Meta = Meta {
    id: "RES-LIFE-2",
    title: "Instance has been stopped for a long time",
    agent: AgentName::Resource,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["instance"],
        events: &[EventKind::InstanceState],
        items: &[ItemKind::Instance],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeInstances"],
    controls: &[],
    remediation: "Snapshot its volumes, then terminate it.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("long_stopped.md"),
};

/// RES-LIFE-2.
pub struct LongStopped;

impl LongStopped {
    /// Since when the instance has been stopped; `None` when it is not known to be.
    fn stopped_since(case: &Case<'_>) -> Option<Timestamp> {
        let (state, seen) = case.memory.state()?;
        if state != "stopped" {
            return None;
        }
        // An item older than the state tells of an earlier stop.
        let told = case
            .thing()
            .filter(|thing| thing.at >= seen)
            .and_then(|thing| transition_time(&thing.note));
        Some(told.map_or(seen, |told| told.min(seen)))
    }
}

/// The time in a `StateTransitionReason` such as `User initiated (2016-11-14 18:44:19 GMT)`.
fn transition_time(reason: &str) -> Option<Timestamp> {
    let (_, rest) = reason.split_once('(')?;
    let (time, _) = rest.split_once(" GMT)")?;
    Timestamp::parse(time).ok()
}

impl Rule for LongStopped {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if case.memory.state().is_none() {
            return Verdict::Silent;
        }
        let Some(since) = Self::stopped_since(case) else {
            return Verdict::Clear;
        };
        let due = since.plus(STOPPED_MS);
        if case.now < due {
            return Verdict::Clear;
        }
        Verdict::found(
            Found::new(
                META.severity,
                format!("stopped since {since}, more than 30 days; its volumes are still billed"),
                vec![evidence(
                    "stopped since",
                    since.to_string(),
                    "30 days",
                    since,
                )],
            )
            .since(due)
            .propose(proposal(
                ActionKind::Terminate,
                [("snapshot_first", "true".into())],
            )),
        )
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Some(Self::stopped_since(case)?.plus(STOPPED_MS))
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let days = |ms: i64| ms as f64 / Timestamp::DAY as f64;
        let stopped = days(case.now.since(Self::stopped_since(case)?));
        Some(Measure::above(
            "stopped for",
            stopped,
            days(STOPPED_MS),
            "days",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_reason_tells_when() {
        assert_eq!(
            transition_time("User initiated (2016-11-14 18:44:19 GMT)").map(|at| at.to_string()),
            Some("2016-11-14T18:44:19Z".into())
        );
        assert_eq!(transition_time("Server.SpotInstanceTermination"), None);
    }
}
