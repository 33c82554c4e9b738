#![doc = include_str!("unused_address.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity, Timestamp};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, prices, proposal};

/// Associated with nothing for this long (catalogue, after OptScale).
const UNUSED_MS: i64 = 7 * Timestamp::DAY;

static META: Meta = Meta {
    id: "COST-IP-1",
    title: "Elastic IP address is associated with nothing",
    agent: AgentName::Cost,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["elastic-ip"],
        items: &[ItemKind::ElasticIp],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeAddresses"],
    controls: &[],
    remediation: "Release the address; it cannot be had back for sure.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("unused_address.md"),
};

/// COST-IP-1.
pub struct UnusedAddress;

impl UnusedAddress {
    fn since(case: &Case<'_>) -> Option<Timestamp> {
        match case.memory.state()? {
            ("free", since) => Some(since),
            _ => None,
        }
    }
}

impl Rule for UnusedAddress {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if case.memory.state().is_none() {
            return Verdict::Silent;
        }
        let Some(since) = Self::since(case) else {
            return Verdict::Clear;
        };
        let due = since.plus(UNUSED_MS);
        if case.now < due {
            return Verdict::Clear;
        }
        let mut release = proposal(ActionKind::Delete, []);
        release.savings = Some(prices::address_savings());
        Verdict::found(
            Found::new(
                META.severity,
                format!("associated with nothing since {since}"),
                vec![evidence(
                    "no association since",
                    since.to_string(),
                    "7 days",
                    since,
                )],
            )
            .since(due)
            .propose(release),
        )
    }

    fn wake_at(&self, case: &Case<'_>) -> Option<Timestamp> {
        Some(Self::since(case)?.plus(UNUSED_MS))
    }
}
