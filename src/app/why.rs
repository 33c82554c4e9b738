//! Why a rule says what it says of a resource, and what keeps it silent. Asks, and changes nothing.

use std::sync::Arc;

use smol_str::SmolStr;

use super::insight::Known;
use crate::config::nearest;
use crate::http::{RuleAnswer, RuleVerdict};
use crate::model::{Recommendation, RecommendationState, Subject};
use crate::rules::exempt::{Flaw, Spoken, TAG};
use crate::rules::{Case, Measure, Meta, RULES, Rule, Verdict};

/// What a rule says of a subject, given what its agent knows of it.
pub(super) fn answer(
    rule: &dyn Rule,
    subject: &Subject,
    known: Option<&Known>,
    recommendations: &[Arc<Recommendation>],
) -> RuleAnswer {
    let meta = rule.meta();
    let mut answer = RuleAnswer {
        rule: meta.id.to_owned(),
        title: meta.title.to_owned(),
        agent: meta.agent,
        verdict: RuleVerdict::NotApplicable,
        why: String::new(),
        measured: None,
        threshold: None,
        distance: None,
    };
    if !meta.needs.judges(subject) {
        answer.why = format!(
            "it judges {}, not {}",
            meta.needs.subjects.join(", "),
            subject.kind()
        );
        return answer;
    }
    let Some(known) = known else {
        answer.verdict = RuleVerdict::NoData;
        answer.why = format!(
            "the {} agent has never heard of it; what it needs is read with {}",
            meta.agent,
            meta.permissions.join(", ")
        );
        return answer;
    };
    let tag = tag_note(meta, known);
    let open = known
        .state
        .open_rows()
        .find(|row| row.rule.as_str() == meta.id);
    if let Some(row) = open {
        (answer.verdict, answer.why) = held(row, recommendations);
        if let Some(first) = row.evidence.first() {
            answer.measured = Some(first.value.clone());
            answer.threshold = Some(first.threshold.clone()).filter(|text| !text.is_empty());
        }
    } else {
        judge(rule, subject, known, &mut answer);
    }
    if let Some(tag) = tag {
        answer.why = format!("{}; {tag}", answer.why);
    }
    answer
}

/// What is wrong with the resource's tag that should exempt it, or that it has ended.
fn tag_note(meta: &Meta, known: &Known) -> Option<String> {
    let thing = known.state.memory.thing.as_ref()?;
    let ids = || RULES.iter().map(|rule| rule.meta().id).collect::<Vec<_>>();
    let meant = |words: &[SmolStr]| {
        let hints = words
            .iter()
            .map(|word| nearest(&word.to_ascii_uppercase(), &ids()))
            // Without a near one the hint is a list of all.
            .filter(|hint| hint.ends_with('?'));
        let hints: Vec<String> = hints.map(|hint| format!("; {hint}")).collect();
        hints.concat()
    };
    match Spoken::of(&thing.tags)? {
        Err(flaw) => {
            let hint = match &flaw {
                Flaw::NoRule(words) => meant(words),
                Flaw::NoEnd | Flaw::BadEnd(_) => String::new(),
            };
            Some(format!("its tag {TAG} is ignored: {flaw}{hint}"))
        }
        Ok(spoken) if !spoken.unknown.is_empty() => Some(format!(
            "its tag {TAG} names what is no rule: {}{}",
            spoken.unknown.join(", "),
            meant(&spoken.unknown)
        )),
        Ok(spoken) if spoken.names(meta.id) && spoken.until <= known.now => {
            Some(format!("its tag {TAG} ended {}", spoken.until))
        }
        Ok(_) => None,
    }
}

/// What becomes of an open finding: it speaks, or something holds it back.
fn held(
    row: &crate::model::Finding,
    recommendations: &[Arc<Recommendation>],
) -> (RuleVerdict, String) {
    let reasons = |list: &[crate::model::Suppressed]| {
        let lines: Vec<String> = list
            .iter()
            .map(|held| format!("{}: {}", held.what, held.why))
            .collect();
        lines.join("; ")
    };
    if let Some(exemption) = &row.exemption {
        return (RuleVerdict::Muted, format!("{}; {exemption}", row.why));
    }
    let own = recommendations
        .iter()
        .find(|candidate| candidate.findings.iter().any(|(id, _)| *id == row.id));
    match own {
        Some(own) if own.state == RecommendationState::Vetoed => (
            RuleVerdict::Vetoed,
            format!("{}; held back by {}", row.why, reasons(&own.held_by)),
        ),
        Some(own) if own.state == RecommendationState::Superseded => (
            RuleVerdict::Superseded,
            format!("{}; excluded by {}", row.why, reasons(&own.held_by)),
        ),
        Some(_) => (RuleVerdict::Open, row.why.clone()),
        None => {
            let hider = recommendations.iter().find(|candidate| {
                candidate.owner == row.owner
                    && candidate.hides.iter().any(|hidden| hidden.what == row.rule)
            });
            match hider {
                Some(hider) => (
                    RuleVerdict::Superseded,
                    format!("{}; {} speaks for it", row.why, hider.title),
                ),
                None => (RuleVerdict::Open, row.why.clone()),
            }
        }
    }
}

/// Asks a rule that has no open finding.
fn judge(rule: &dyn Rule, subject: &Subject, known: &Known, answer: &mut RuleAnswer) {
    let meta = rule.meta();
    let memory = &known.state.memory;
    if memory.gone() {
        answer.verdict = RuleVerdict::Clear;
        answer.why = "the resource is gone".into();
        return;
    }
    if meta.momentary {
        answer.verdict = RuleVerdict::Clear;
        answer.why = "nothing of the kind happened lately".into();
        return;
    }
    let case = Case {
        subject,
        now: known.now,
        as_of: known.now,
        memory,
        event: None,
    };
    let measure = rule.measure(&case);
    if let Some(measure) = &measure {
        let number = |value: f64| format!("{value:.2} {}", measure.unit);
        answer.measured = Some(number(measure.measured));
        answer.threshold = Some(number(measure.threshold));
        answer.distance = Some(number(measure.distance().max(0.0)));
    }
    let short = measure.filter(Measure::short);
    match (rule.check(&case), short) {
        (Verdict::Silent, short) => {
            answer.verdict = RuleVerdict::NoData;
            answer.why = silence(meta, &case, short.as_ref());
        }
        (Verdict::Clear, Some(measure)) => {
            answer.verdict = RuleVerdict::BelowThreshold;
            answer.why = compared(&measure);
        }
        (Verdict::Clear, None) => {
            answer.verdict = RuleVerdict::Clear;
            answer.why = "it looked, and the condition is absent".into();
        }
        (Verdict::Found(_), _) => {
            answer.verdict = RuleVerdict::BelowThreshold;
            answer.why = format!(
                "it holds now; after having been closed it opens again once {} evaluations in a row say so",
                meta.reopen_after
            );
        }
    }
}

fn compared(measure: &Measure) -> String {
    let way = if measure.above { "reaches" } else { "is below" };
    format!(
        "{} is {:.2} {unit}; it finds something when that {way} {:.2} {unit}",
        measure.what,
        measure.measured,
        measure.threshold,
        unit = measure.unit
    )
}

/// What a silent rule lacks.
fn silence(meta: &Meta, case: &Case<'_>, short: Option<&Measure>) -> String {
    let mut lacks: Vec<String> = Vec::new();
    for metric in meta.needs.metrics {
        if case.series(*metric).is_none() {
            lacks.push(format!("no point of {} {}", metric.namespace, metric.name));
        }
    }
    if !meta.needs.items.is_empty() && case.thing().is_none() {
        lacks.push("no inventory item".to_owned());
    }
    if meta.needs.costs && case.memory.spend.is_none() {
        lacks.push("no cost line".to_owned());
    }
    if !meta.needs.events.is_empty() && case.memory.state().is_none() && case.thing().is_none() {
        lacks.push("no state of the resource".to_owned());
    }
    let read = meta.permissions.join(", ");
    match (lacks.as_slice(), short) {
        ([], Some(measure)) => format!("too little is known yet: {}", compared(measure)),
        ([], None) => format!("too little is known yet to say yes or no; it is read with {read}"),
        (lacks, _) => format!("{}; that is read with {read}", lacks.join(", ")),
    }
}
