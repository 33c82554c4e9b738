//! FindingPage: the list, and one with its history.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, found, query, within};
use super::page::{Key, Order, contains, page};
use super::recommendations::{FlowStep, HistoryStep};
use super::{Credential, Problem, Shared};
use crate::model::{AgentName, Finding, FindingStatus, Severity};

/// One page of findings.
#[derive(Serialize, JsonSchema)]
pub(super) struct FindingPage {
    /// Rows that match, on all pages.
    total: usize,
    /// Where the next page begins; null on the last.
    next: Option<String>,
    findings: Vec<Arc<Finding>>,
}

/// One finding with what happened to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FindingStory {
    /// The row as it stands.
    pub finding: Arc<Finding>,
    /// What happened to it, oldest first; at most 50 steps.
    pub history: Vec<HistoryStep>,
    /// The records that led to it, oldest first.
    pub flow: Vec<FlowStep>,
}

/// Rows to show by status.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Open,
    Cleared,
    Expired,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Severity,
    Updated,
    Opened,
    Subject,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Status of the rows; open unless asked otherwise.
    status: Option<Wanted>,
    /// Only muted rows, or only rows that are not; both unless asked.
    muted: Option<bool>,
    /// Rows of this agent.
    agent: Option<AgentName>,
    /// Rows of this rule.
    rule: Option<String>,
    /// Rows of this account.
    account: Option<String>,
    /// An account, account/region or account/region/resource.
    subject: Option<String>,
    /// At least this severe.
    severity: Option<Severity>,
    /// Words anywhere in subject, title, reason and rule.
    q: Option<String>,
    /// What the list is sorted by; severity unless asked otherwise.
    sort: Option<Sort>,
    /// Which way; the sort's own unless asked otherwise.
    order: Option<Order>,
    /// Rows a page.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

impl Filter {
    fn admits(&self, row: &Finding, words: Option<&str>) -> bool {
        let status = match self.status.unwrap_or(Wanted::Open) {
            Wanted::All => None,
            Wanted::Open => Some(FindingStatus::Open),
            Wanted::Cleared => Some(FindingStatus::Cleared),
            Wanted::Expired => Some(FindingStatus::Expired),
        };
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        status.is_none_or(|status| row.status == status)
            && self
                .muted
                .is_none_or(|muted| row.exemption.is_some() == muted)
            && self.agent.is_none_or(|agent| row.agent == agent)
            && same(&self.rule, &row.rule)
            && same(&self.account, row.subject.account())
            && self
                .subject
                .as_deref()
                .is_none_or(|wanted| wanted.is_empty() || within(row.subject.as_str(), wanted))
            && self.severity.is_none_or(|least| row.severity >= least)
            && words.is_none_or(|words| {
                contains(row.subject.as_str(), words)
                    || contains(&row.title, words)
                    || contains(&row.why, words)
                    || contains(&row.rule, words)
            })
    }

    fn key(&self, row: &Finding) -> Key {
        let key = Key::default();
        let (key, natural) = match self.sort.unwrap_or(Sort::Severity) {
            Sort::Severity => {
                let key = key.int(-(row.severity as i64)).int(-row.at.ms());
                (key, Order::Desc)
            }
            Sort::Updated => (key.int(-row.at.ms()), Order::Desc),
            Sort::Opened => (key.int(-row.opened_at.ms()), Order::Desc),
            Sort::Subject => (key.text(row.subject.as_str()), Order::Asc),
        };
        key.text(row.id.as_str()).ordered(self.order, natural)
    }
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Asked<Filter>,
) -> Result<Response, Problem> {
    let filter = query(asked)?;
    answer(move || {
        let words = filter.q.as_deref().map(str::to_lowercase);
        let mut rows = shared.service.findings()?;
        rows.retain(|row| {
            credential.reaches(row.subject.account()) && filter.admits(row, words.as_deref())
        });
        let position = (filter.limit, filter.cursor.as_deref());
        let page = page(rows, |row| filter.key(row), position)?;
        Ok(FindingPage {
            total: page.total,
            next: page.next,
            findings: page.rows,
        })
    })
    .await
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    id: Parts<String>,
) -> Result<Response, Problem> {
    found("finding", id, move |id| {
        let story = shared.service.finding(id)?;
        Ok(story.filter(|story| credential.reaches(story.finding.subject.account())))
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/findings", list)
            .says("Findings", "Findings, the most severe first.")
            .query::<Filter>()
            .answers::<FindingPage>(200, "One page of them."),
        Endpoint::get("/api/v1/findings/{id}", one)
            .says("Findings", "One finding with its history.")
            .part("id", "The finding's id.")
            .answers::<FindingStory>(200, "It.")
            .refuses(&[404]),
    ]
}
