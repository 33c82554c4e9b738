//! A typed view over a CloudTrail record, borrowed from the event's detail.

use serde_json::Value;

/// An API call or sign-in, as CloudTrail recorded it.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall<'a>(&'a Value);

/// Who called.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a>(Option<&'a Value>);

impl<'a> ApiCall<'a> {
    /// The view over a record.
    pub fn of(detail: &'a Value) -> Self {
        Self(detail)
    }
    /// `eventName`.
    pub fn name(self) -> &'a str {
        text(Some(self.0), "eventName")
    }
    /// `eventSource`, such as `ec2.amazonaws.com`.
    pub fn source(self) -> &'a str {
        text(Some(self.0), "eventSource")
    }
    /// `eventType`.
    pub fn event_type(self) -> &'a str {
        text(Some(self.0), "eventType")
    }
    /// `eventID`, the key of the fact.
    pub fn event_id(self) -> &'a str {
        text(Some(self.0), "eventID")
    }
    /// `errorCode`, when the call failed.
    pub fn error_code(self) -> Option<&'a str> {
        self.0
            .get("errorCode")
            .and_then(Value::as_str)
            .filter(|code| !code.is_empty())
    }
    /// `sourceIPAddress`.
    pub fn source_address(self) -> &'a str {
        text(Some(self.0), "sourceIPAddress")
    }
    /// `requestParameters`; null when the call had none.
    pub fn request(self) -> &'a Value {
        self.0.get("requestParameters").unwrap_or(&Value::Null)
    }
    /// `responseElements`; null when not recorded.
    pub fn response(self) -> &'a Value {
        self.0.get("responseElements").unwrap_or(&Value::Null)
    }
    /// `additionalEventData`; null when not recorded.
    pub fn additional(self) -> &'a Value {
        self.0.get("additionalEventData").unwrap_or(&Value::Null)
    }
    /// `userIdentity`.
    pub fn identity(self) -> Identity<'a> {
        Identity(self.0.get("userIdentity"))
    }
}

impl<'a> Identity<'a> {
    /// `Root`, `IAMUser`, `AssumedRole`, …
    pub fn kind(self) -> &'a str {
        text(self.0, "type")
    }
    /// The principal's ARN.
    pub fn arn(self) -> &'a str {
        text(self.0, "arn")
    }
    /// The AWS service that called on the principal's behalf.
    pub fn invoked_by(self) -> Option<&'a str> {
        self.0?
            .get("invokedBy")
            .and_then(Value::as_str)
            .filter(|by| !by.is_empty())
    }
}

fn text<'a>(value: Option<&'a Value>, field: &str) -> &'a str {
    value
        .and_then(|value| value.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}
