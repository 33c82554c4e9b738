//! RecommendationPage: the ranked list, and one with everything that led to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, found, query, within};
use super::page::{Key, Order, contains, page};
use super::{Credential, Problem, Shared};
use crate::model::{
    ActionKind, AgentName, Finding, Recommendation, RecommendationState, Severity, Timestamp, Topic,
};

/// One page of recommendations.
#[derive(Serialize, JsonSchema)]
pub(super) struct RecommendationPage {
    /// Rows that match, on all pages.
    total: usize,
    /// Where the next page begins; null on the last.
    next: Option<String>,
    /// Rows the profile `default` left out because a more urgent one speaks for owner and cause.
    collapsed: usize,
    /// Where the live stream stood before the rows were read: `/api/v1/stream?after=` tells every
    /// change since.
    as_of: String,
    /// USD a month all open matching rows would save together.
    saves_monthly: crate::model::Usd,
    recommendations: Vec<Arc<Recommendation>>,
}

/// Something that happened to a row, as its topic tells it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HistoryStep {
    /// Event time.
    pub at: Timestamp,
    /// `opened`, `updated`, `cleared`, `expired`, `withdrawn`; of recommendations also `revised`,
    /// `superseded`, `vetoed`, `resolved`.
    pub what: String,
    /// Of a recommendation: its revision. Of a finding: its edge count.
    pub revision: u64,
    /// Of a recommendation: its cycle. Of a finding: its episode.
    pub cycle: u64,
    /// How bad it was.
    pub severity: Severity,
    /// The reason then, in one line.
    pub says: String,
    /// Where the row stands.
    #[schemars(with = "String")]
    pub topic: Topic,
    /// Where the row stands.
    pub partition: u32,
    /// Where the row stands.
    pub offset: u64,
}

/// A step on the way from an AWS record to a recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FlowStep {
    /// Event time.
    pub at: Timestamp,
    /// What it is.
    pub stage: Stage,
    /// Where it stands.
    #[schemars(with = "String")]
    pub topic: Topic,
    /// Where it stands.
    pub partition: u32,
    /// Where it stands.
    pub offset: u64,
    /// The finding's or recommendation's id; empty for a raw record.
    pub id: String,
    /// What it said, in one line.
    pub title: String,
}

/// Kinds of [`FlowStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What AWS said.
    Record,
    /// A rule's verdict.
    Finding,
    /// What the coordinator made of it.
    Recommendation,
}

/// One recommendation with everything that led to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RecommendationStory {
    /// The row as it stands.
    pub recommendation: Arc<Recommendation>,
    /// The findings behind it.
    pub findings: Vec<Arc<Finding>>,
    /// What happened to it, oldest first; at most 50 steps.
    pub history: Vec<HistoryStep>,
    /// From AWS's records to the row, oldest first.
    pub flow: Vec<FlowStep>,
}

/// Rows to show by state.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Open,
    Superseded,
    Vetoed,
    Resolved,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// Most urgent first.
    Rank,
    Savings,
    Severity,
    Updated,
    Owner,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Profile {
    /// The most urgent open row of each owner and cause.
    Default,
    /// Every row.
    Audit,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// State of the rows; open unless asked otherwise.
    state: Option<Wanted>,
    /// Rows of this account.
    account: Option<String>,
    /// Rows of this region.
    region: Option<String>,
    /// An account, account/region or account/region/resource.
    owner: Option<String>,
    /// At least this severe.
    severity: Option<Severity>,
    /// Rows this agent speaks in.
    agent: Option<AgentName>,
    /// Rows with this action.
    action: Option<ActionKind>,
    /// Rows this rule is behind.
    rule: Option<String>,
    /// Words anywhere in owner, title, reasons and rules.
    q: Option<String>,
    /// What the list is sorted by; rank unless asked otherwise.
    sort: Option<Sort>,
    /// Which way; the sort's own unless asked otherwise.
    order: Option<Order>,
    /// `default` shows the most urgent open row of each owner and cause, `audit` every row.
    profile: Option<Profile>,
    /// Rows a page.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

impl Filter {
    fn admits(&self, row: &Recommendation, words: Option<&str>) -> bool {
        let state = match self.state.unwrap_or(Wanted::Open) {
            Wanted::All => None,
            Wanted::Open => Some(RecommendationState::Open),
            Wanted::Superseded => Some(RecommendationState::Superseded),
            Wanted::Vetoed => Some(RecommendationState::Vetoed),
            Wanted::Resolved => Some(RecommendationState::Resolved),
        };
        let owner = &row.owner;
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        state.is_none_or(|state| row.state == state)
            && same(&self.account, owner.account())
            && same(&self.region, owner.region())
            && self
                .owner
                .as_deref()
                .is_none_or(|wanted| wanted.is_empty() || within(owner.as_str(), wanted))
            && self.severity.is_none_or(|least| row.severity >= least)
            && self
                .agent
                .is_none_or(|agent| row.why.iter().any(|(speaks, _)| *speaks == agent))
            && self.action.is_none_or(|action| row.action == action)
            && self
                .rule
                .as_deref()
                .is_none_or(|rule| row.rules.iter().any(|known| known == rule))
            && words.is_none_or(|words| says(row, words))
    }

    fn key(&self, row: &Recommendation) -> Key {
        let key = Key::default();
        let (key, natural) = match self.sort.unwrap_or(Sort::Rank) {
            Sort::Rank => {
                let (calm, score, effort, opened) = row.rank_key();
                let key = key.int(i64::from(calm)).float(-score);
                (key.int(i64::from(effort)).int(opened.ms()), Order::Asc)
            }
            Sort::Savings => {
                let monthly = row.savings.as_ref().map_or(0.0, |s| s.monthly.as_f64());
                (key.float(-monthly), Order::Desc)
            }
            Sort::Severity => {
                let (_, score, ..) = row.rank_key();
                (key.int(-(row.severity as i64)).float(-score), Order::Desc)
            }
            Sort::Updated => (key.int(-row.at.ms()), Order::Desc),
            Sort::Owner => (key.text(row.owner.as_str()), Order::Asc),
        };
        key.text(row.id.as_str()).ordered(self.order, natural)
    }
}

fn says(row: &Recommendation, words: &str) -> bool {
    contains(row.owner.as_str(), words)
        || contains(&row.title, words)
        || contains(row.action.as_str(), words)
        || row.rules.iter().any(|rule| contains(rule, words))
        || row.why.iter().any(|(_, why)| contains(why, words))
}

/// Leaves the most urgent open row of each owner and cause; the cause is the agent that leads.
fn collapse(rows: &mut Vec<Arc<Recommendation>>) -> usize {
    let before = rows.len();
    rows.sort_by(|a, b| a.rank(b));
    let mut told = BTreeSet::new();
    rows.retain(|row| {
        let cause = row.why.first().map(|(agent, _)| *agent);
        row.state == RecommendationState::Open && told.insert((row.owner.clone(), cause))
    });
    before - rows.len()
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Asked<Filter>,
) -> Result<Response, Problem> {
    let filter = query(asked)?;
    answer(move || {
        let words = filter.q.as_deref().map(str::to_lowercase);
        let as_of = shared.service.feed().position().to_string();
        let mut rows = shared.service.recommendations()?;
        rows.retain(|row| {
            credential.reaches(row.owner.account()) && filter.admits(row, words.as_deref())
        });
        let collapsed = match filter.profile {
            Some(Profile::Default) => collapse(&mut rows),
            _ => 0,
        };
        let saves_monthly = rows
            .iter()
            .map(|row| row.counted_savings())
            .fold(crate::model::Usd::ZERO, |sum, saved| sum + saved);
        let position = (filter.limit, filter.cursor.as_deref());
        let page = page(rows, |row| filter.key(row), position)?;
        Ok(RecommendationPage {
            total: page.total,
            next: page.next,
            collapsed,
            as_of,
            saves_monthly,
            recommendations: page.rows,
        })
    })
    .await
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    id: Parts<String>,
) -> Result<Response, Problem> {
    found("recommendation", id, move |id| {
        let story = shared.service.recommendation(id)?;
        Ok(story.filter(|story| credential.reaches(story.recommendation.owner.account())))
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/recommendations", list)
            .says("Recommendations", "Recommendations, most urgent first.")
            .query::<Filter>()
            .answers::<RecommendationPage>(200, "One page of them."),
        Endpoint::get("/api/v1/recommendations/{id}", one)
            .says(
                "Recommendations",
                "One recommendation: its findings, its history, and the records that led to it.",
            )
            .part("id", "The recommendation's id.")
            .answers::<RecommendationStory>(200, "It.")
            .refuses(&[404]),
    ]
}
