//! Instants and spans in milliseconds; parsing of the forms AWS sends.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in milliseconds since the Unix epoch; RFC 3339 UTC in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time; expected RFC 3339 such as 2026-01-31T12:00:00Z")]
pub struct TimeError(pub String);

/// Milliseconds in one second.
const SECOND_MS: i64 = 1_000;
/// Milliseconds in one minute.
const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in one hour.
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in one day.
const DAY_MS: i64 = 24 * HOUR_MS;

impl Timestamp {
    /// Years 1 to 9999: what both our formats and AWS's can carry.
    const MIN_MS: i64 = -62_135_596_800_000;
    const MAX_MS: i64 = 253_402_300_799_999;

    /// Milliseconds in one second.
    pub const SECOND: i64 = SECOND_MS;
    /// Milliseconds in one minute.
    pub const MINUTE: i64 = MINUTE_MS;
    /// Milliseconds in one hour.
    pub const HOUR: i64 = HOUR_MS;
    /// Milliseconds in one day.
    pub const DAY: i64 = DAY_MS;

    /// The instant `ms` milliseconds after the epoch, held within the years 1 to 9999.
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(Self::MIN_MS, Self::MAX_MS))
    }

    /// Milliseconds since the epoch.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// The instant `span_ms` later (earlier when negative).
    #[must_use]
    pub fn plus(self, span_ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(span_ms))
    }

    /// Milliseconds from `earlier` to this instant.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Days since the epoch, UTC.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// Reads RFC 3339 (with `Z`, an offset with or without colon, or a space instead of `T`; no
    /// zone means UTC, as in FOCUS files) and RFC 2822 (AWS Health).
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from_ms(at.as_millisecond()));
        }
        if let Ok(at) = text.parse::<jiff::civil::DateTime>()
            && let Ok(zoned) = at.to_zoned(jiff::tz::TimeZone::UTC)
        {
            return Ok(Self::from_ms(zoned.timestamp().as_millisecond()));
        }
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
            return Ok(Self::from_ms(zoned.timestamp().as_millisecond()));
        }
        Err(TimeError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) if self.0 % SECOND_MS == 0 => write!(f, "{at:.0}"),
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            Self::parse(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self::from_ms)
        }
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, UTC."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_aws_sends_is_read() {
        let expected = Timestamp::from_ms(1_691_152_576_490);
        for text in [
            "2023-08-04T12:36:16.490Z",
            "2023-08-04T12:36:16.490+0000",
            "2023-08-04T12:36:16.490",
            "2023-08-04 12:36:16.490",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(
            Timestamp::parse("Fri, 10 Mar 2023 12:03:38 GMT").map(|at| at.to_string()),
            Ok("2023-03-10T12:03:38Z".into())
        );
        assert_eq!(Timestamp::parse("2016-11-14 18:44:19 GMT").ok(), None);
    }

    #[test]
    fn text_that_is_no_time_is_an_error_naming_it() {
        let error = Timestamp::parse("yyyy-mm-ddThh:mm:ssZ").expect_err("no time");
        assert!(error.to_string().contains("yyyy-mm-dd"));
    }
}
