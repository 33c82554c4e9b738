//! SubjectPage: what is known of one resource, and why a rule says what it says about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::extract::{Asked, Parts, answer, path, query, subject};
use super::page::{Key, contains, page};
use super::recommendations::HistoryStep;
use super::{Credential, Problem, Shared};
use crate::model::{
    AgentName, Finding, FindingStatus, Recommendation, RecommendationState, Severity, Subject,
    Timestamp,
};

/// A resource some agent remembers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KnownSubject {
    /// It.
    pub subject: Subject,
    /// Agents that remember something of it.
    pub agents: Vec<AgentName>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SubjectRow {
    /// The resource.
    subject: Subject,
    /// Agents that remember something of it.
    agents: Vec<AgentName>,
    /// Findings open on it, without the muted ones.
    open_findings: usize,
    /// Findings open on it that are muted.
    muted_findings: usize,
    /// The worst of them.
    worst: Option<Severity>,
    /// Open recommendations that change it.
    recommendations: usize,
}

/// One page of subjects.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubjectPage {
    /// Rows that match, on all pages.
    total: usize,
    /// Where the next page begins; null on the last.
    next: Option<String>,
    subjects: Vec<SubjectRow>,
}

/// Something an agent noted.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Observed {
    /// Event time.
    pub at: Timestamp,
    /// A metric's name, an event's kind, a rule's id.
    pub what: String,
    /// Its value.
    pub value: String,
}

/// One metric as an agent remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// The metric.
    pub name: String,
    /// Its unit, where known.
    pub unit: String,
    /// `point`: each point is one data point; `day`: the average of one UTC day.
    pub step: String,
    /// (milliseconds since the epoch, value), oldest first.
    pub points: Vec<(i64, f64)>,
}

/// What one agent remembers of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentMemory {
    /// Who.
    pub agent: AgentName,
    /// The newest state of the resource the agent heard of, and since when.
    pub state: Option<(String, Timestamp)>,
    /// Facts of the newest inventory item, by name.
    pub facts: BTreeMap<String, String>,
    /// What was noted, newest first.
    pub observations: Vec<Observed>,
    /// Metrics its rules look at.
    pub series: Vec<Series>,
}

/// Everything known of one resource.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubjectStory {
    subject: Subject,
    /// What each agent remembers.
    memory: Vec<AgentMemory>,
    /// Findings about it, open ones first.
    findings: Vec<Arc<Finding>>,
    /// Recommendations that change it, most urgent first.
    recommendations: Vec<Arc<Recommendation>>,
    /// What happened to its findings, newest first.
    history: Vec<HistoryStep>,
}

/// What a rule says about a resource, and how sure silence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleVerdict {
    /// Its finding is open.
    Open,
    /// It looked and the condition is absent.
    Clear,
    /// What it needs to look at is not there.
    NoData,
    /// AWS refused what it needs to look at.
    NoPermission,
    /// Somebody muted it.
    Muted,
    /// Open, and its recommendation is held back.
    Vetoed,
    /// Open, and another finding or recommendation speaks for it.
    Superseded,
    /// It looked, measured, and the measure does not reach the threshold.
    BelowThreshold,
    /// It does not judge such resources.
    NotApplicable,
}

/// A rule's answer to "why".
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RuleAnswer {
    /// The rule.
    pub rule: String,
    /// What it looks for.
    pub title: String,
    /// Whose.
    pub agent: AgentName,
    /// What it says.
    pub verdict: RuleVerdict,
    /// In one line for a person.
    pub why: String,
    /// What was measured, with its unit.
    pub measured: Option<String>,
    /// What it is compared with, with its unit.
    pub threshold: Option<String>,
    /// How far the measure is from it, with its unit.
    pub distance: Option<String>,
}

/// Why there is, or is no, finding on a resource.
#[derive(Serialize, JsonSchema)]
pub(super) struct Why {
    subject: Subject,
    rules: Vec<RuleAnswer>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Words in the subject.
    q: Option<String>,
    /// Subjects of this account.
    account: Option<String>,
    /// Subjects of this type, such as instance.
    kind: Option<String>,
    /// Rows a page.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyFilter {
    /// Only this rule; else every rule that judges such resources.
    rule: Option<String>,
}

#[derive(Default)]
struct Tally {
    open: usize,
    muted: usize,
    worst: Option<Severity>,
    recommendations: usize,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    asked: Asked<Filter>,
) -> Result<Response, Problem> {
    let filter = query(asked)?;
    answer(move || {
        let words = filter.q.as_deref().map(str::to_lowercase);
        let known = shared.service.subjects()?;
        let rows: Vec<&KnownSubject> = known
            .iter()
            .filter(|known| {
                let subject = &known.subject;
                let same = |wanted: &Option<String>, is: &str| {
                    wanted.as_deref().is_none_or(|wanted| wanted == is)
                };
                credential.reaches(subject.account())
                    && same(&filter.account, subject.account())
                    && same(&filter.kind, subject.kind())
                    && words
                        .as_deref()
                        .is_none_or(|words| contains(subject.as_str(), words))
            })
            .collect();
        let position = (filter.limit, filter.cursor.as_deref());
        let key = |row: &&KnownSubject| Key::default().text(row.subject.as_str());
        let page = page(rows, key, position)?;
        let mut tallies: BTreeMap<&str, Tally> = page
            .rows
            .iter()
            .map(|row| (row.subject.as_str(), Tally::default()))
            .collect();
        for finding in shared.service.findings()? {
            let Some(tally) = tallies.get_mut(finding.subject.as_str()) else {
                continue;
            };
            if finding.counts() {
                tally.open += 1;
                tally.worst = tally.worst.max(Some(finding.severity));
            } else if finding.open() {
                tally.muted += 1;
            }
        }
        for row in shared.service.recommendations()? {
            let open = row.state == RecommendationState::Open;
            if let Some(tally) = tallies.get_mut(row.owner.as_str()).filter(|_| open) {
                tally.recommendations += 1;
            }
        }
        let subjects = page.rows.iter().map(|row| {
            let tally = tallies.remove(row.subject.as_str()).unwrap_or_default();
            SubjectRow {
                subject: row.subject.clone(),
                agents: row.agents.clone(),
                open_findings: tally.open,
                muted_findings: tally.muted,
                worst: tally.worst,
                recommendations: tally.recommendations,
            }
        });
        Ok(SubjectPage {
            total: page.total,
            next: page.next,
            subjects: subjects.collect(),
        })
    })
    .await
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    parts: Parts<(String, String, String)>,
) -> Result<Response, Problem> {
    let subject = reached(&credential, parts)?;
    answer(move || {
        let memory = shared.service.memory(&subject)?;
        let mut findings = shared.service.findings()?;
        findings.retain(|row| row.subject == subject);
        findings.sort_by_key(|row| {
            let closed = row.status != FindingStatus::Open;
            (closed, std::cmp::Reverse((row.severity, row.at)))
        });
        let mut recommendations = shared.service.recommendations()?;
        recommendations.retain(|row| {
            row.owner == subject || row.targets.iter().any(|(target, _)| *target == subject)
        });
        recommendations.sort_by(|a, b| a.rank(b));
        if memory.is_empty() && findings.is_empty() && recommendations.is_empty() {
            return Err(Problem::NO_SUCH.detail(format!("nobody remembers anything of {subject}")));
        }
        let history = shared.service.history(&subject)?;
        Ok(SubjectStory {
            subject,
            memory,
            findings,
            recommendations,
            history,
        })
    })
    .await
}

pub(super) async fn why(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    parts: Parts<(String, String, String)>,
    asked: Asked<WhyFilter>,
) -> Result<Response, Problem> {
    let subject = reached(&credential, parts)?;
    let filter = query(asked)?;
    if let Some(rule) = &filter.rule
        && crate::rules::rule(rule).is_none()
    {
        return Err(Problem::NO_SUCH.detail(format!("rule {rule:?}")));
    }
    answer(move || {
        let rules = shared.service.why(&subject, filter.rule.as_deref())?;
        Ok(Why { subject, rules })
    })
    .await
}

fn reached(
    credential: &Credential,
    parts: Parts<(String, String, String)>,
) -> Result<Subject, Problem> {
    let subject = subject(path(parts)?)?;
    if credential.reaches(subject.account()) {
        Ok(subject)
    } else {
        Err(Problem::FORBIDDEN.detail(format!("account {}", subject.account())))
    }
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    let addressed = |endpoint: Endpoint| {
        endpoint
            .part("account", "The AWS account.")
            .part("region", "The region, or global.")
            .part(
                "resource",
                "Type and id, such as instance/i-0abc; slashes may stand as they are.",
            )
            .refuses(&[403, 404])
    };
    vec![
        Endpoint::get("/api/v1/subjects", list)
            .says("Subjects", "Resources that agents remember.")
            .query::<Filter>()
            .answers::<SubjectPage>(200, "One page of them."),
        addressed(Endpoint::get(
            "/api/v1/subjects/{account}/{region}/{*resource}",
            one,
        ))
        .says("Subjects", "Everything known of one resource.")
        .answers::<SubjectStory>(200, "It."),
        addressed(Endpoint::get(
            "/api/v1/why/{account}/{region}/{*resource}",
            why,
        ))
        .says(
            "Subjects",
            "Why there is, or is no, finding on a resource, rule by rule.",
        )
        .query::<WhyFilter>()
        .answers::<Why>(200, "What each rule says."),
    ]
}
