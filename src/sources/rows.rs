//! Our own messages, as the model's types write them.

use serde::de::DeserializeOwned;

use super::{Decoded, undecodable};
use crate::model::{Message, Topic, Undecodable};

/// Decodes a message of one of our own topics.
pub(super) fn decode(topic: Topic, payload: &[u8]) -> Result<Decoded, Undecodable> {
    let message = match topic {
        Topic::FindingsResource
        | Topic::FindingsCost
        | Topic::FindingsSecurity
        | Topic::FindingsPerformance => Message::Finding(read(topic, payload)?),
        Topic::Recommendations => Message::Recommendation(read(topic, payload)?),
        Topic::Requests => Message::Request(read(topic, payload)?),
        Topic::Approvals => Message::Approval(read(topic, payload)?),
        Topic::Tasks => Message::Task(read(topic, payload)?),
        Topic::Results => Message::Result(read(topic, payload)?),
        Topic::Actions => Message::Action(read(topic, payload)?),
        Topic::Outcomes => Message::Outcome(read(topic, payload)?),
        Topic::Workflows => Message::Workflow(read(topic, payload)?),
        Topic::Audit => Message::Audit(read(topic, payload)?),
        Topic::AwsMetrics
        | Topic::AwsEvents
        | Topic::AwsInventory
        | Topic::AwsBilling
        | Topic::Memory
        | Topic::DeadLetters => {
            return Err(undecodable(format!("{topic}: carries no message of ours")));
        }
    };
    Ok(Decoded::Message(message))
}

fn read<T: DeserializeOwned>(topic: Topic, payload: &[u8]) -> Result<Box<T>, Undecodable> {
    serde_json::from_slice(payload)
        .map(Box::new)
        .map_err(|error| {
            undecodable(format!(
                "{topic}: {error}; expected the message schemas/ describes for this topic"
            ))
        })
}
