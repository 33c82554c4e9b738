//! Rules: the catalogue with each rule's page.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use super::extract::{Parts, answer, path};
use super::{Credential, Problem, Shared};
use crate::model::{AgentName, Severity};
use crate::rules::{Meta, RULES};

/// A rule, without its page.
#[derive(Serialize, JsonSchema)]
pub(super) struct RuleRow {
    /// Such as COST-EC2-1.
    id: &'static str,
    /// One line, naming the bad thing.
    title: &'static str,
    agent: AgentName,
    /// The usual severity.
    severity: Severity,
    /// Resource types it judges; any when empty.
    subjects: Vec<&'static str>,
    /// `CloudWatch` metrics it looks at.
    metrics: Vec<&'static str>,
    /// IAM actions its facts are read with.
    permissions: Vec<&'static str>,
    /// Compliance controls it covers.
    controls: Vec<&'static str>,
    /// What a person would do.
    remediation: &'static str,
    /// The version it came with.
    since: &'static str,
    /// Its findings that are open.
    open_findings: usize,
}

/// Every rule, in catalogue order.
#[derive(Serialize, JsonSchema)]
pub(super) struct Rules {
    total: usize,
    rules: Vec<RuleRow>,
}

/// A rule with its page.
#[derive(Serialize, JsonSchema)]
pub(super) struct RulePage {
    #[serde(flatten)]
    rule: RuleRow,
    /// The page, in Markdown.
    page: &'static str,
}

fn row(meta: &'static Meta, open: &BTreeMap<String, usize>) -> RuleRow {
    RuleRow {
        id: meta.id,
        title: meta.title,
        agent: meta.agent,
        severity: meta.severity,
        subjects: meta.needs.subjects.to_vec(),
        metrics: meta
            .needs
            .metrics
            .iter()
            .map(|metric| metric.name)
            .collect(),
        permissions: meta.permissions.to_vec(),
        controls: meta.controls.to_vec(),
        remediation: meta.remediation,
        since: meta.since,
        open_findings: open.get(meta.id).copied().unwrap_or_default(),
    }
}

fn open(shared: &Shared, credential: &Credential) -> Result<BTreeMap<String, usize>, Problem> {
    let mut open = BTreeMap::new();
    for finding in shared.service.findings()? {
        if finding.counts() && credential.reaches(finding.subject.account()) {
            *open.entry(finding.rule.to_string()).or_default() += 1;
        }
    }
    Ok(open)
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
) -> Result<Response, Problem> {
    answer(move || {
        let open = open(&shared, &credential)?;
        let rules: Vec<RuleRow> = RULES.iter().map(|rule| row(rule.meta(), &open)).collect();
        Ok(Rules {
            total: rules.len(),
            rules,
        })
    })
    .await
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    id: Parts<String>,
) -> Result<Response, Problem> {
    let id = path(id)?;
    answer(move || {
        let rule = crate::rules::rule(&id)
            .ok_or_else(|| Problem::NO_SUCH.detail(format!("rule {id:?}")))?;
        let meta = rule.meta();
        Ok(RulePage {
            rule: row(meta, &open(&shared, &credential)?),
            page: meta.page,
        })
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/rules", list)
            .says("Rules", "Every rule.")
            .answers::<Rules>(200, "All of them."),
        Endpoint::get("/api/v1/rules/{id}", one)
            .says("Rules", "One rule with its page in Markdown.")
            .part("id", "The rule's id, such as COST-EC2-1.")
            .answers::<RulePage>(200, "It.")
            .refuses(&[404]),
    ]
}
