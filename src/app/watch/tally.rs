//! What is open in the whole deployment, counted from the rows of the topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ActionKind, AgentName, Finding, Recommendation, RecommendationState, Severity, Usd,
};
use crate::telemetry::{Metrics, Signal};

/// Sets the gauges of what is open.
pub(super) fn tell(
    metrics: &Metrics,
    findings: &[Arc<Finding>],
    recommendations: &[Arc<Recommendation>],
) {
    let mut found: BTreeMap<(AgentName, Severity), u64> = BTreeMap::new();
    let mut open: BTreeMap<(Severity, ActionKind), u64> = BTreeMap::new();
    let mut savings: BTreeMap<ActionKind, Usd> = BTreeMap::new();
    for row in findings.iter().filter(|row| row.counts()) {
        *found.entry((row.agent, row.severity)).or_default() += 1;
    }
    let opened = |row: &&Arc<Recommendation>| row.state == RecommendationState::Open;
    for row in recommendations.iter().filter(opened) {
        *open.entry((row.severity, row.action)).or_default() += 1;
        let sum = savings.entry(row.action).or_insert(Usd::ZERO);
        let monthly = row.savings.as_ref().map(|savings| savings.monthly);
        *sum = [*sum].into_iter().chain(monthly).sum();
    }
    // Zeros are told too: a label that was once told would else keep its last number.
    for severity in Severity::ALL {
        for agent in AgentName::ALL {
            if agent != AgentName::Coordinator {
                let count = found.get(&(agent, severity)).copied().unwrap_or(0);
                metrics.emit(&Signal::OpenFindings {
                    agent,
                    severity,
                    count,
                });
            }
        }
        for action in ActionKind::ALL {
            let count = open.get(&(severity, action)).copied().unwrap_or(0);
            metrics.emit(&Signal::OpenRecommendations {
                severity,
                action,
                count,
            });
        }
    }
    for action in ActionKind::ALL {
        let monthly = savings.get(&action).copied().unwrap_or(Usd::ZERO);
        metrics.emit(&Signal::MonthlySavings { action, monthly });
    }
}
