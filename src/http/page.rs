//! Pages of lists: a stable order as a byte string a row, so that any position in it is a cursor.
//!
//! A cursor is the key of the last row of a page in hex. The next page begins after it, whatever
//! has come or gone meanwhile; nothing is kept of a page that was served.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;

/// Rows answered unless asked otherwise.
pub(super) const LIMIT: usize = 100;
/// Most rows of one answer.
pub const LIMIT_MAX: usize = 1_000;

/// Which way a list runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// A sort key that compares as bytes. Parts are written in order of weight; the last one should
/// tell rows apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn int(mut self, value: i64) -> Self {
        let flipped = (value as u64) ^ (1 << 63);
        self.0.extend_from_slice(&flipped.to_be_bytes());
        self
    }
    /// Orders as [`f64::total_cmp`].
    pub(super) fn float(self, value: f64) -> Self {
        let bits = value.to_bits() as i64;
        self.int(bits ^ (((bits >> 63) as u64) >> 1) as i64)
    }
    pub(super) fn text(mut self, value: &str) -> Self {
        self.0.extend(value.bytes().filter(|byte| *byte != 0));
        self.0.push(0);
        self
    }
    /// The same order the other way round.
    fn turned(mut self) -> Self {
        for byte in &mut self.0 {
            *byte = !*byte;
        }
        self
    }
    /// `order` is what was asked, `natural` what the key was written for.
    pub(super) fn ordered(self, order: Option<Order>, natural: Order) -> Self {
        if order.is_none_or(|order| order == natural) {
            self
        } else {
            self.turned()
        }
    }
    fn hex(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
    fn of_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !text.len().is_multiple_of(2) || !text.bytes().all(digit) {
            return None;
        }
        let digits = text.as_bytes().chunks_exact(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()
            .map(Self)
    }
}

/// One page of a list.
pub(super) struct Page<T> {
    /// Rows of the whole list.
    pub(super) total: usize,
    /// Where the next page begins; `None` on the last.
    pub(super) next: Option<String>,
    pub(super) rows: Vec<T>,
}

/// How many rows, within the bound.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => Err(Problem::QUERY.detail(format!("limit {limit} is not 1 to {LIMIT_MAX}"))),
    }
}

/// Cuts the page after `cursor` out of `rows`, in the order of `key`.
pub(super) fn page<T>(
    rows: Vec<T>,
    key: impl Fn(&T) -> Key,
    (asked, cursor): (Option<usize>, Option<&str>),
) -> Result<Page<T>, Problem> {
    let limit = limit(asked)?;
    let after = match cursor {
        None => None,
        Some(text) => Some(
            Key::of_hex(text)
                .ok_or_else(|| Problem::QUERY.detail("cursor is not one that `next` gave"))?,
        ),
    };
    let total = rows.len();
    let mut keyed: Vec<(Key, T)> = rows
        .into_iter()
        .map(|row| (key(&row), row))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .collect();
    let more = keyed.len() > limit;
    if more {
        // The page's rows, in any order, without ordering all the others.
        keyed.select_nth_unstable_by(limit, |a, b| a.0.cmp(&b.0));
        keyed.truncate(limit);
    }
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let next = if more {
        keyed.last().map(|(key, _)| key.hex())
    } else {
        None
    };
    let rows = keyed.into_iter().map(|(_, row)| row).collect();
    Ok(Page { total, next, rows })
}

/// Whether `text` contains `wanted` (in lower case), whatever its case.
pub(super) fn contains(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && wanted.is_ascii() {
        return text
            .as_bytes()
            .windows(wanted.len().max(1))
            .any(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
            || wanted.is_empty();
    }
    text.to_lowercase().contains(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_their_values_do() {
        let floats = [
            f64::NEG_INFINITY,
            -2.5,
            -0.0,
            0.0,
            1e-9,
            7.0,
            1e9,
            f64::INFINITY,
        ];
        assert!(floats.is_sorted_by_key(|value| Key::default().float(*value)));
        let ints = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(ints.is_sorted_by_key(|value| Key::default().int(*value)));
        let texts = ["", "a", "a/b", "ab", "b"];
        assert!(texts.is_sorted_by_key(|value| Key::default().text(value).int(0)));
        let turned = |value: &i64| Key::default().int(*value).turned();
        assert!(ints.iter().rev().is_sorted_by_key(turned));
    }

    #[test]
    fn pages_hold_every_row_once_though_rows_come_and_go() {
        let key = |row: &i64| Key::default().int(*row);
        let first = page((0..10).collect(), key, (Some(4), None)).unwrap();
        assert_eq!((first.total, first.rows), (10, vec![0, 1, 2, 3]));
        // 2 has gone, 100 has come: what was to come still does, nothing comes again.
        let rows = vec![0, 1, 3, 4, 5, 6, 7, 8, 9, 100];
        let next = page(rows, key, (Some(100), first.next.as_deref())).unwrap();
        assert_eq!((next.next, next.rows), (None, vec![4, 5, 6, 7, 8, 9, 100]));
        assert!(page(vec![1], key, (None, Some("xy"))).is_err());
        assert!(page(vec![1], key, (Some(0), None)).is_err());
    }

    #[test]
    fn search_does_not_mind_case() {
        assert!(contains("Security Group ÄB", "group äb"));
        assert!(contains("i-0ABC", "0abc"));
        assert!(contains("x", ""));
        assert!(!contains("x", "xy"));
    }
}
