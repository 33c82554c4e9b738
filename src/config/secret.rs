//! Text that is never printed, and librdkafka properties of which some are such text.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A password, key or token hash. `Debug` shows that it is there, never what it is.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text itself, for the client library that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// librdkafka properties by name, as text; `Debug` hides values whose name says they are secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Name and value, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    /// Whether a property's value must not be shown.
    pub fn secret(name: &str) -> bool {
        [
            "password",
            "secret",
            ".pem",
            "token",
            "jaas",
            "oauthbearer.config",
        ]
        .iter()
        .any(|word| name.contains(word))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                let shown = if Self::secret(name) {
                    "[hidden]"
                } else {
                    value
                };
                (name, shown)
            }))
            .finish()
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = BTreeMap::new();
        let table = toml::Table::deserialize(deserializer)?;
        flatten("", &table, &mut flat).map_err(serde::de::Error::custom)?;
        Ok(Self(flat))
    }
}

impl JsonSchema for Properties {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Properties".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": true,
            "description": "Any librdkafka property; dotted TOML keys and quoted keys mean the same."
        })
    }
}

/// `sasl.username = "x"` nests in TOML; librdkafka's names are flat.
fn flatten(
    prefix: &str,
    table: &toml::Table,
    flat: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Table(inner) => {
                flatten(&name, inner, flat)?;
                continue;
            }
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(format!("{name} must be text, a number or true/false"));
            }
        };
        flat.insert(name, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let table: toml::Table = toml::from_str(
            "sasl.password = 'p4ss'\n\"ssl.key.password\" = 'k3y'\nsasl.username = 'ada'",
        )
        .expect("valid TOML");
        let properties: Properties = table.try_into().expect("properties");
        let shown = format!("{properties:?} {:?}", Secret::new("t0ken"));
        assert!(shown.contains("ada"), "{shown}");
        for secret in ["p4ss", "k3y", "t0ken"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn dotted_and_quoted_keys_mean_the_same_property() {
        let dotted: Properties = toml::from_str("queued.max.messages.kbytes = 4096").unwrap();
        let quoted: Properties = toml::from_str("\"queued.max.messages.kbytes\" = '4096'").unwrap();
        assert_eq!(dotted, quoted);
        assert_eq!(dotted.get("queued.max.messages.kbytes"), Some("4096"));
    }
}
