//! SDK values as the JSON the API's own documentation shows: its field names, absent where unset.
//!
//! The SDK's types do not serialise, and their wire form (EC2's XML) names fields otherwise than
//! the API does. So each kind is written out, field by field, with what rules and people ask of it.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Map, Value};

/// An item under construction.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Text, or an enumeration's name.
    pub(super) fn text(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        self.set(name, value.map(|text| text.as_ref().to_owned()))
    }
    /// A number or a flag.
    pub(super) fn set(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }
    /// A time, RFC 3339.
    pub(super) fn time(self, name: &str, value: Option<&DateTime>) -> Self {
        let text = value.and_then(|time| time.fmt(Format::DateTime).ok());
        self.set(name, text)
    }
    /// A structure.
    pub(super) fn part<T: ?Sized>(
        self,
        name: &str,
        value: Option<&T>,
        each: impl FnOnce(&T) -> Fields,
    ) -> Self {
        self.set(name, value.map(|value| each(value).value()))
    }
    /// A list of structures; left out when empty, as the wire cannot tell empty from unset.
    pub(super) fn list<T>(self, name: &str, values: &[T], each: impl Fn(&T) -> Fields) -> Self {
        let list: Vec<Value> = values.iter().map(|value| each(value).value()).collect();
        self.set(name, (!list.is_empty()).then_some(list))
    }
    /// A list of texts.
    pub(super) fn texts(self, name: &str, values: &[String]) -> Self {
        self.set(name, (!values.is_empty()).then(|| values.to_vec()))
    }
    /// The JSON object.
    pub(super) fn value(self) -> Value {
        Value::Object(self.0)
    }
}
