//! How urgent a recommendation is, term by term (CATALOGUE.md §5.3).
//!
//! No term depends on the present time, so a row does not change while nothing happens.

use std::collections::BTreeSet;

use crate::model::{
    AgentName, Environment, Finding, Priority, PriorityTerm, Severity, Subject, Usd,
};

const WEIGHT_RISK: f64 = 0.45;
const WEIGHT_SAVING: f64 = 0.25;
const WEIGHT_IMPACT: f64 = 0.20;
const WEIGHT_CONFIDENCE: f64 = 0.10;
const FACTOR_EXPOSED: f64 = 1.25;
const FACTOR_PRODUCTION: f64 = 1.2;
const FACTOR_DEVELOPMENT: f64 = 0.8;
/// Powers of ten of USD a month at which the saving term is full: 4, so 10,000.
const SAVING_DECADES: f64 = 4.0;
/// Doublings of affected resources at which the impact term is full: 4, so 15.
const IMPACT_DOUBLINGS: f64 = 4.0;

/// The severity as a share of the worst.
fn risk(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 0.1,
        Severity::Low => 0.3,
        Severity::Medium => 0.55,
        Severity::High => 0.8,
        Severity::Critical => 1.0,
    }
}

/// How much is affected: the larger of breadth (`log2(1 + resources) / 4`) and what hurts at work
/// already (the worst finding of the performance and resource agents).
fn impact(findings: &[&Finding]) -> f64 {
    let subjects: BTreeSet<&Subject> = findings.iter().map(|finding| &finding.subject).collect();
    let breadth = (1.0 + subjects.len() as f64).log2() / IMPACT_DOUBLINGS;
    findings
        .iter()
        .filter(|finding| matches!(finding.agent, AgentName::Performance | AgentName::Resource))
        .map(|finding| risk(finding.severity))
        .fold(breadth.min(1.0), f64::max)
}

/// Ranks a recommendation. `severity`, `savings` (USD a month), `confidence` and `environment` are
/// the recommendation's own; `findings` are those behind it.
pub(super) fn prioritise(
    findings: &[&Finding],
    severity: Severity,
    savings: Usd,
    confidence: f64,
    environment: Option<Environment>,
) -> Priority {
    let saving = (1.0 + savings.as_f64().max(0.0)).log10() / SAVING_DECADES;
    let exposed = findings.iter().any(|finding| finding.exposed);
    let sum = [
        ("risk", risk(severity), WEIGHT_RISK),
        ("saving", saving.min(1.0), WEIGHT_SAVING),
        ("impact", impact(findings), WEIGHT_IMPACT),
        ("confidence", confidence, WEIGHT_CONFIDENCE),
    ];
    let factors = [
        (
            "exposure",
            f64::from(u8::from(exposed)),
            if exposed { FACTOR_EXPOSED } else { 1.0 },
        ),
        (
            "environment",
            f64::from(u8::from(environment.is_some())),
            match environment {
                Some(Environment::Production) => FACTOR_PRODUCTION,
                Some(Environment::Development) => FACTOR_DEVELOPMENT,
                None => 1.0,
            },
        ),
    ];
    let weighted: f64 = sum.iter().map(|(_, value, weight)| value * weight).sum();
    let factor: f64 = factors.iter().map(|(.., factor)| factor).product();
    Priority {
        score: rounded(100.0 * weighted * factor, 100.0),
        terms: sum
            .into_iter()
            .chain(factors)
            .map(|(name, value, weight)| PriorityTerm {
                name: name.into(),
                value: rounded(value, 10_000.0),
                weight,
            })
            .collect(),
    }
}

/// Rounded to `steps` a unit, so that the last bits of a logarithm never make a revision.
fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
