//! Money: decimal end to end.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// US dollars, exact; a decimal string in JSON.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(#[serde(with = "rust_decimal::serde::str")] Decimal);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// From an exact decimal.
    pub fn new(amount: Decimal) -> Self {
        Self(amount)
    }
    /// From thousandths of a dollar.
    pub fn from_mills(mills: i64) -> Self {
        Self(Decimal::new(mills, 3))
    }
    /// The exact amount.
    pub fn amount(self) -> Decimal {
        self.0
    }
    /// The amount for arithmetic that needs no cent exactness (ranking, thresholds).
    pub fn as_f64(self) -> f64 {
        use std::str::FromStr;
        f64::from_str(&self.0.to_string()).unwrap_or_default()
    }
    /// Rounded to cents, half to even.
    #[must_use]
    pub fn cents(self) -> Self {
        Self(self.0.round_dp(2))
    }
    /// This amount times a factor; held at the largest amount when out of range.
    #[must_use]
    pub fn times(self, factor: Decimal) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl std::iter::Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.2}", self.0)
    }
}
impl JsonSchema for Usd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "description": "US dollars as a decimal string."
        })
    }
}
