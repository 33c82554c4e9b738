//! Headers of published records: the CloudEvents Kafka binding, binary mode.

use super::{AgentName, Message};

/// Headers of a message an agent publishes.
pub fn cloud_event_headers(_message: &Message, _agent: AgentName) -> Vec<(String, Vec<u8>)> {
    Vec::new()
}
