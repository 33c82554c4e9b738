//! The `AsyncAPI` 3 document of the topics, made from topology and message types.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::endpoint::SchemaOf;
use super::openapi::generator;
use crate::model::{
    Action, Approval, AuditRecord, Finding, Outcome, Recommendation, Request, Task, TaskResult,
    Topic, WorkflowStep,
};
use crate::topology;

/// What a topic carries: the message's name, a line about it, its schema.
fn message(topic: Topic, generator: &mut SchemaGenerator) -> (&'static str, &'static str, Value) {
    let (name, says, schema) = carried(topic);
    let schema = match schema {
        Some(schema) => schema(generator).to_value(),
        None => raw(topic),
    };
    (name, says, schema)
}

/// As far as AWS's own shapes are checked here.
fn raw(topic: Topic) -> Value {
    match topic {
        Topic::AwsEvents => json!({
            "type": "object",
            "required": ["detail-type", "source", "account", "time", "detail"],
        }),
        Topic::AwsInventory => json!({
            "type": "object",
            "required": ["account", "region", "kind", "observed_at"],
        }),
        Topic::AwsMetrics | Topic::AwsBilling => json!({ "type": "object" }),
        _ => json!({}),
    }
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

#[rustfmt::skip] // One topic a line reads as the table it is.
fn carried(topic: Topic) -> (&'static str, &'static str, Option<SchemaOf>) {
    match topic {
        Topic::AwsMetrics => ("metricStreamRecord", "Data points as CloudWatch metric streams write them (JSON 1.0).", None),
        Topic::AwsEvents => ("eventBridgeEvent", "An EventBridge envelope with its detail.", None),
        Topic::AwsInventory => ("inventoryItem", "An item of a Describe call with its account, region, kind and time.", None),
        Topic::AwsBilling => ("costLineItem", "A row of a bill: FOCUS or CUR.", None),
        Topic::FindingsResource | Topic::FindingsCost | Topic::FindingsSecurity | Topic::FindingsPerformance =>
            ("finding", "One rule's verdict on one resource: its whole current state.", Some(of::<Finding>)),
        Topic::Requests => ("request", "A question to the coordinator.", Some(of::<Request>)),
        Topic::Approvals => ("approval", "A person's word.", Some(of::<Approval>)),
        Topic::Recommendations => ("recommendation", "What to do about one owner: its whole current state.", Some(of::<Recommendation>)),
        Topic::Tasks => ("task", "One agent's part of a request.", Some(of::<Task>)),
        Topic::Results => ("result", "An agent's reply.", Some(of::<TaskResult>)),
        Topic::Actions => ("action", "An approved change.", Some(of::<Action>)),
        Topic::Outcomes => ("outcome", "What became of a change.", Some(of::<Outcome>)),
        Topic::Workflows => ("workflowStep", "A workflow's step.", Some(of::<WorkflowStep>)),
        Topic::Audit => ("auditRecord", "A decision, chained.", Some(of::<AuditRecord>)),
        Topic::Memory => ("backup", "A backup of an agent's state, in the program's own form.", None),
        Topic::DeadLetters => ("deadLetter", "An undecodable record, byte for byte; reason and origin are in the headers.", None),
    }
}

/// `findingsCost` of `findings.cost`: a key without dots.
fn key(topic: Topic) -> String {
    let mut words = topic.as_str().split(['.', '-']);
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        key.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        key.push_str(letters.as_str());
    }
    key
}

fn headers(topic: Topic) -> Value {
    let text = || json!({ "type": "string" });
    match topic {
        topic if Topic::RAW.contains(&topic) => json!({
            "type": "object",
            "properties": { "traceparent": text() },
        }),
        Topic::DeadLetters => json!({
            "type": "object",
            "properties": {
                "skyherd_reason": text(),
                "skyherd_topic": text(),
                "skyherd_partition": text(),
                "skyherd_offset": text(),
            },
        }),
        _ => json!({
            "type": "object",
            "properties": {
                "ce_specversion": { "const": "1.0" },
                "ce_type": text(),
                "ce_source": text(),
                "ce_id": text(),
                "ce_subject": text(),
                "ce_time": { "type": "string", "format": "date-time" },
                "skyherd_cause": {
                    "type": "string",
                    "description": "topic/partition/offset of the record that led to this one",
                },
                "traceparent": text(),
            },
        }),
    }
}

fn channel(topic: Topic, name: &str) -> Value {
    let kept = if topic.compacted() {
        json!(["compact"])
    } else {
        json!(["delete"])
    };
    json!({
        "address": topic.as_str(),
        "messages": { name: { "$ref": format!("#/components/messages/{}", key(topic)) } },
        "bindings": {
            "kafka": { "topicConfiguration": { "cleanup.policy": kept }, "bindingVersion": "0.5.0" },
        },
    })
}

/// The document.
pub fn asyncapi() -> Value {
    let mut generator = generator();
    let (mut channels, mut messages, mut operations) = (Map::new(), Map::new(), Map::new());
    for topic in Topic::ALL {
        let (name, says, payload) = message(topic, &mut generator);
        channels.insert(key(topic), channel(topic, name));
        let record_key = if topic.compacted() {
            "The row's id."
        } else {
            "The AWS account."
        };
        messages.insert(
            key(topic),
            json!({
                "name": name,
                "summary": says,
                "contentType": "application/json",
                "headers": headers(topic),
                "payload": payload,
                "bindings": {
                    "kafka": {
                        "key": { "type": "string", "description": record_key },
                        "bindingVersion": "0.5.0",
                    },
                },
            }),
        );
        // From the program's side: it receives what it reads and sends what it writes.
        for (action, who) in [
            ("receive", topology::readers(topic)),
            ("send", topology::writers(topic)),
        ] {
            let agents: Vec<&str> = who.into_iter().filter(|name| *name != "outside").collect();
            if agents.is_empty() {
                continue;
            }
            operations.insert(
                format!("{action}.{}", key(topic)),
                json!({
                    "action": action,
                    "channel": { "$ref": format!("#/channels/{}", key(topic)) },
                    "summary": format!("By {}.", agents.join(", ")),
                }),
            );
        }
    }
    let schemas = Value::Object(generator.take_definitions(true));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Skyherd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every topic. Partition of a record = murmur2 of its account, as Java's clients place it.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}
