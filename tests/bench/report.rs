//! The figures, each beside its baseline of the same run, and the goals of DESIGN.md.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

/// One line.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out, with its unit.
    pub(crate) figure: String,
    /// The same without what we add, measured in the same run.
    pub(crate) baseline: String,
    /// What there is to reach; empty where nothing is promised.
    pub(crate) goal: String,
    /// The numbers, for programs.
    pub(crate) numbers: Value,
}

/// Every line so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!(
            "bench: {}: {} (baseline: {}; goal: {})",
            row.what, row.figure, row.baseline, row.goal
        );
        self.rows.push(row);
    }

    /// The table for a person.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header(["measured", "figure", "baseline of the same run", "goal"]);
        for row in &self.rows {
            table.add_row([&row.what, &row.figure, &row.baseline, &row.goal]);
        }
        table.to_string()
    }

    /// The same for a program.
    pub(crate) fn json(&self, machine: &Value) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({"measured": row.what, "goal": row.goal, "numbers": row.numbers}))
            .collect();
        json!({"machine": machine, "figures": rows})
    }
}

/// A whole number with its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The value below which `share` of the sorted values lie.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
