//! What went wrong with a call, sorted by what to do about it.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Longest message kept, in bytes; AWS may quote whole policies.
const MESSAGE_BYTES_MAX: usize = 400;

/// Why a call did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS says no, and will until somebody changes a permission: go on with the rest.
    #[error("{0}")]
    Refused(String),
    /// What was asked for by name is not there.
    #[error("{0}")]
    Missing(String),
    /// Put off again and again; later is the next try.
    #[error("{0}")]
    Throttled(String),
    /// AWS has nothing of what was asked for, or was never told to gather it; that is an answer.
    #[error("{0}")]
    Nothing(String),
    /// Anything else: the network, a fault at AWS, an answer that makes no sense.
    #[error("{0}")]
    Failed(String),
}

/// Codes of refusals, over the services asked here.
const REFUSED: [&str; 13] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "AuthFailure",
    "OptInRequired",
    "InvalidClientTokenId",
    "ExpiredToken",
    "ExpiredTokenException",
    "RegionDisabledException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "AWSOrganizationsNotInUseException",
];
/// How codes end that say that something asked for by name is not there.
const MISSING: [&str; 5] = [
    "NoSuchResourceException",
    "NotFound",
    "NotFoundException",
    "NoSuchEntity",
    "NoSuchEntityException",
];
/// Codes of calls put off.
const THROTTLED: [&str; 7] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "LimitExceededException",
    "EC2ThrottledException",
];

/// Codes of answers that there is nothing: Cost Explorer's, and Budgets' to an account without any.
const NOTHING: [&str; 2] = ["DataUnavailableException", "NotFoundException"];
/// What Cost Explorer says, as a refusal, where somebody has to switch the thing on.
const NOT_SWITCHED_ON: [&str; 2] = ["is an opt-in only feature", "not enabled for cost explorer"];

impl CallError {
    /// Sorts the failure of `action`, an IAM action such as `ec2:DescribeVolumes`.
    pub(super) fn of<E, R>(action: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let code = error.as_service_error().and_then(|error| error.code());
        let told = match error.as_service_error() {
            Some(service) => {
                let code = service.code().unwrap_or("an error without a code");
                let message = service.message().unwrap_or_default();
                format!("{action}: {code}: {message}")
            }
            None => format!("{action}: {}", causes(error)),
        };
        let nothing = code.is_some_and(|code| NOTHING.contains(&code))
            || NOT_SWITCHED_ON.iter().any(|says| told.contains(says));
        let told = clip(told);
        match code {
            _ if nothing => Self::Nothing(told),
            Some(code) if REFUSED.contains(&code) => Self::Refused(told),
            Some(code) if MISSING.iter().any(|end| code.ends_with(end)) => Self::Missing(told),
            Some(code) if THROTTLED.contains(&code) => Self::Throttled(told),
            _ => Self::Failed(told),
        }
    }
}

/// An error and what led to it, once each: outer ones often repeat the inner ones' words.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        next = cause.source();
    }
    told
}

/// Whether an answer's body says that the call was put off.
pub(super) fn throttled(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(2_048)]);
    THROTTLED.iter().any(|code| text.contains(code))
}

/// No more of a text than is kept.
pub(super) fn clip(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX - "…".len()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_is_told_with_its_cause_and_in_words() {
        let inner = std::io::Error::other("connection refused");
        let outer = std::io::Error::other(CallError::Failed("no answer".into()));
        assert_eq!(causes(&inner), "connection refused");
        assert_eq!(causes(&outer), "no answer", "not twice");
    }

    #[test]
    fn an_answer_that_puts_off_is_told_from_one_that_fails() {
        assert!(throttled(b"<Code>RequestLimitExceeded</Code>"));
        assert!(throttled(br#"{"__type":"ThrottlingException"}"#));
        assert!(!throttled(b"<Code>UnauthorizedOperation</Code>"));
        assert!(!throttled(b"\xff\xfe"));
        let long = clip("\u{e4}".repeat(MESSAGE_BYTES_MAX));
        assert!(long.len() <= MESSAGE_BYTES_MAX && long.ends_with('\u{2026}'));
    }
}
