#![doc = include_str!("nat_ports_exhausted.md")]

use crate::model::{ActionKind, AgentName, Severity};
use crate::rules::{Case, Found, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const REFUSED: Metric = Metric {
    namespace: "AWS/NATGateway",
    name: "ErrorPortAllocation",
};
/// Points in a row with refused connections. OURS: one burst mends itself.
const POINTS: usize = 2;

static META: Meta = Meta {
    id: "PERF-NAT-1",
    title: "NAT gateway runs out of ports",
    agent: AgentName::Performance,
    severity: Severity::High,
    needs: Needs {
        subjects: &["natgateway"],
        metrics: &[REFUSED],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData"],
    controls: &[],
    remediation: "Give busy destinations a VPC endpoint, or add addresses or a second gateway.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("nat_ports_exhausted.md"),
};

/// PERF-NAT-1.
pub struct NatPortsExhausted;

impl Rule for NatPortsExhausted {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(view) = case.series(REFUSED) else {
            return Verdict::Silent;
        };
        let refused: Vec<f64> = view
            .back()
            .take(POINTS)
            .map(|point| f64::from(point.sum))
            .take_while(|sum| *sum > 0.0)
            .collect();
        match refused.len() {
            0 => Verdict::Clear,
            POINTS => Verdict::found(
                Found::new(
                    META.severity,
                    format!(
                        "{:.0} connections found no free port in the last {POINTS} periods",
                        refused.iter().sum::<f64>()
                    ),
                    vec![evidence(
                        REFUSED.name,
                        format!("{:.0}", refused[0]),
                        "0",
                        case.as_of,
                    )],
                )
                .propose(proposal(ActionKind::Scale, [("direction", "out".into())])),
            ),
            _ => Verdict::Silent,
        }
    }
}
