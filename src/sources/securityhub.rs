//! Security Hub: one event carries several findings; each becomes a fact of its own.

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::events::{Envelope, text};
use super::subject::{check_name, named, resource};
use super::{Decoded, FACTS_MAX, facts, undecodable};
use crate::model::{Event, Fact, FactBody, Subject, Undecodable};

/// Fans the findings out. Each fact's detail is `{"findings": [that one]}` and its resources are
/// the finding's, so that a rule reads one shape and memory stays within the payload's size.
pub(super) fn decode(mut event: Envelope<'_>) -> Result<Decoded, Undecodable> {
    let Some(Value::Array(findings)) = event.detail.get_mut("findings").map(Value::take) else {
        return Err(event.missing("detail.findings"));
    };
    if findings.is_empty() {
        return Err(event.missing("detail.findings[0]"));
    }
    if findings.len() > FACTS_MAX {
        return Err(undecodable(format!(
            "aws.events: {} findings are more than {FACTS_MAX}; split the event",
            findings.len()
        )));
    }
    let mut told = Vec::with_capacity(findings.len());
    for (index, finding) in findings.into_iter().enumerate() {
        told.push(fact(&event, index, finding)?);
    }
    let owner = told
        .first()
        .map(|fact: &Fact| fact.subject.account().to_owned());
    if let Some(other) = told
        .iter()
        .find(|fact| Some(fact.subject.account()) != owner.as_deref())
    {
        return Err(undecodable(format!(
            "aws.events: findings of accounts {} and {} in one event; split it by AwsAccountId",
            owner.unwrap_or_default(),
            other.subject.account()
        )));
    }
    Ok(facts(told))
}

fn fact(event: &Envelope<'_>, index: usize, finding: Value) -> Result<Fact, Undecodable> {
    let required = |field: &str| {
        text(&finding, &format!("/{field}"))
            .ok_or_else(|| event.missing(&format!("detail.findings[{index}].{field}")))
    };
    let id = required("Id")?;
    let account = required("AwsAccountId")?;
    check_name("AwsAccountId", account)?;
    let updated = text(&finding, "/UpdatedAt").unwrap_or_default();
    let dedupe = event.key(&[id, updated]);
    let subject = subject_of(event, account, &finding)?;
    let resources = finding.get("Resources").and_then(Value::as_array);
    let resources = resources
        .into_iter()
        .flatten()
        .filter_map(|resource| text(resource, "/Id"))
        .map(SmolStr::new)
        .collect();
    let mut detail = Map::new();
    detail.insert("findings".into(), Value::Array(vec![finding]));
    Ok(Fact {
        subject,
        at: event.at,
        dedupe: Some(dedupe),
        body: FactBody::Event(Box::new(Event {
            id: event.id.clone(),
            source: event.source.clone(),
            detail_type: event.detail_type.clone(),
            kind: event.kind,
            resources,
            detail: Value::Object(detail),
        })),
    })
}

fn subject_of(
    event: &Envelope<'_>,
    account: &str,
    finding: &Value,
) -> Result<Subject, Undecodable> {
    let region = ["/Region", "/Resources/0/Region"]
        .into_iter()
        .find_map(|pointer| text(finding, pointer))
        .unwrap_or(&event.region);
    check_name("Region", region)?;
    let Some(id) = text(finding, "/Resources/0/Id") else {
        return Err(event.missing("detail.findings[].Resources[0].Id"));
    };
    // Findings about the account itself name it `AWS::::Account:<id>`.
    if id.starts_with("AWS::::Account") {
        return Ok(resource(account, region, "account", account));
    }
    Ok(named(id).map_or_else(
        || resource(account, region, "securityhub", id),
        |found| found.subject(account, region),
    ))
}
