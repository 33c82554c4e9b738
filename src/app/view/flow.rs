//! From AWS's records to a recommendation: the way back along the header that names what led to
//! each row.

use std::collections::BTreeMap;

use crate::app::Backend;
use crate::http::{FlowStep, RecommendationStory, Stage};
use crate::model::{Fact, FactBody, Message, Timestamp};
use crate::ports::PortResult;
use crate::sources::{Decoded, decode};

use super::news::Place;
use super::rows::{Step, Steps};

/// Steps of a row that are shown: the first and the newest of its present life.
const STEPS_SHOWN: usize = 4;
/// Steps of one flow.
const FLOW_MAX: usize = 60;

/// The way to a recommendation, oldest first.
pub(super) fn of_recommendation(
    backend: &dyn Backend,
    story: &RecommendationStory,
    steps: &Steps,
) -> PortResult<Vec<FlowStep>> {
    let mut flow = Flow::default();
    for (id, steps) in &steps.findings {
        flow.add(Stage::Finding, id, steps);
    }
    let id = story.recommendation.id.as_str();
    flow.add(Stage::Recommendation, id, &steps.own);
    flow.finish(backend)
}

/// The way to a finding, oldest first.
pub(super) fn of_finding(
    backend: &dyn Backend,
    id: &str,
    steps: &[Step],
) -> PortResult<Vec<FlowStep>> {
    let mut flow = Flow::default();
    flow.add(Stage::Finding, id, steps);
    flow.finish(backend)
}

#[derive(Default)]
struct Flow {
    steps: BTreeMap<Place, FlowStep>,
    /// Raw records, and when what they led to happened.
    causes: BTreeMap<Place, Timestamp>,
}

impl Flow {
    /// Adds the first and the newest steps of the row's present life.
    fn add(&mut self, stage: Stage, id: &str, steps: &[Step]) {
        let cycle = steps.last().map(|step| step.shown.cycle);
        let mut life: Vec<&Step> = steps
            .iter()
            .filter(|step| Some(step.shown.cycle) == cycle)
            .collect();
        if life.len() > STEPS_SHOWN {
            life.drain(1..=life.len() - STEPS_SHOWN);
        }
        for step in life {
            let shown = &step.shown;
            let place = Place {
                topic: shown.topic,
                partition: shown.partition,
                offset: shown.offset,
            };
            if let Some(cause) = step.cause.filter(|cause| !cause.topic.compacted()) {
                let at = self.causes.entry(cause).or_insert(shown.at);
                *at = shown.at.min(*at);
            }
            self.steps.insert(
                place,
                FlowStep {
                    at: shown.at,
                    stage,
                    topic: place.topic,
                    partition: place.partition,
                    offset: place.offset,
                    id: id.to_owned(),
                    title: format!("{}: {}", shown.what, shown.says),
                },
            );
        }
    }

    fn finish(self, backend: &dyn Backend) -> PortResult<Vec<FlowStep>> {
        let mut flow: Vec<FlowStep> = self.steps.into_values().collect();
        for (place, at) in self.causes.into_iter().take(FLOW_MAX) {
            flow.push(record(backend, place, at)?);
        }
        flow.sort_by_key(|step| (step.at, step.stage, step.topic, step.offset));
        if flow.len() > FLOW_MAX {
            flow.drain(..flow.len() - FLOW_MAX);
        }
        Ok(flow)
    }
}

/// A raw record in one line, read where it stands.
fn record(backend: &dyn Backend, place: Place, at: Timestamp) -> PortResult<FlowStep> {
    let mut step = FlowStep {
        at,
        stage: Stage::Record,
        topic: place.topic,
        partition: place.partition,
        offset: place.offset,
        id: String::new(),
        title: "its time in the topic is over".to_owned(),
    };
    if place.partition >= backend.partitions() {
        return Ok(step);
    }
    backend.scan(
        place.topic,
        place.partition,
        place.offset,
        1,
        &mut |record| {
            if record.offset != place.offset {
                return;
            }
            if let Ok(Decoded::Message(message)) = decode(record.topic, record.key, record.payload)
            {
                step.at = message.at().unwrap_or(at);
                step.title = title(&message);
            }
        },
    )?;
    Ok(step)
}

fn title(message: &Message) -> String {
    match message {
        Message::Facts(facts) => {
            let more = facts.len().saturating_sub(1);
            let first = facts.first().map_or_else(String::new, told);
            match more {
                0 => first,
                more => format!("{first} (and {more} more)"),
            }
        }
        Message::Request(request) => format!("request {}", request.id),
        other => format!("a message about {}", other.account()),
    }
}

fn told(fact: &Fact) -> String {
    let resource = fact.subject.resource();
    match &fact.body {
        FactBody::Metric(point) => {
            let average = point.statistics.average();
            format!("{} of {resource} was {average:.2}", point.name)
        }
        FactBody::Event(event) => format!("{} on {resource}", event.detail_type),
        FactBody::Item(item) => format!("{} {resource} was described", item.kind.as_str()),
        FactBody::Cost(line) => format!(
            "{} {} cost {}",
            line.service, line.usage_type, line.effective
        ),
        FactBody::Delivered(delivered) => {
            format!("the bill from {} on was delivered", delivered.period.start)
        }
    }
}
