//! What librdkafka's errors mean to the caller.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::ports::PortError;

/// The port error of `error`, met when we wanted to `doing`.
pub(super) fn port_error(doing: &str, error: &KafkaError) -> PortError {
    let text = format!("could not {doing}: {error}");
    let hint = match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => {
            Some("check kafka.properties")
        }
        _ => error.rdkafka_error_code().and_then(hint),
    };
    match hint {
        Some(hint) => PortError::Fatal(format!("{text}; {hint}")),
        None => PortError::Transient(text),
    }
}

/// How to mend what waiting does not mend; `None` for what may pass.
pub(super) fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => {
            "check sasl.username, sasl.password and sasl.mechanism in kafka.properties"
        }
        Code::SSL => "check ssl.ca.location and the broker's name in kafka.brokers",
        Code::TopicAuthorizationFailed => "grant the user read, write and describe on the topics",
        Code::GroupAuthorizationFailed => "grant the user read on the groups `skyherd.*`",
        Code::ClusterAuthorizationFailed => "grant the user idempotent write on the cluster",
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic => "create the topics with `skyherd topics apply`",
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            "raise max.message.bytes of the topic with `skyherd topics apply`"
        }
        Code::InvalidRecord => "a compacted topic takes only records with a key",
        Code::InvalidTimestamp => {
            "the broker refuses times so far from its own; raise message.timestamp.after.max.ms and message.timestamp.before.max.ms of the topic"
        }
        Code::FencedInstanceId => {
            "another process runs under the same node name; give each its own"
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::InconsistentGroupProtocol => {
            "use Apache Kafka 2.8 or later, and no other kind of member in Skyherd's groups"
        }
        Code::InvalidSessionTimeout => {
            "set session.timeout.ms within the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"
        }
        Code::InvalidConfig | Code::PolicyViolation | Code::InvalidReplicationFactor => {
            "the broker refuses the settings of the topic; adapt topics/*.yaml"
        }
        _ => return None,
    })
}

/// As [`port_error`], but an unknown topic may pass: a broker that has just started, or a topic
/// being made anew, answers so for a moment.
pub(super) fn port_error_live(doing: &str, error: &KafkaError) -> PortError {
    match error.rdkafka_error_code() {
        Some(
            code @ (Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition),
        ) => PortError::Transient(format!(
            "could not {doing}: {error}; if it stays so, {}",
            hint(code).unwrap_or_default()
        )),
        _ => port_error(doing, error),
    }
}
