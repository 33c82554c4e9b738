//! Ranked recommendations as a table, or as paragraphs where a table would not fit.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::output::Output;
use crate::model::{Recommendation, RecommendationState, Severity};

/// Narrower output gets paragraphs.
const TABLE_COLUMNS_MIN: u16 = 100;

fn new(output: &Output, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(output.columns())
        .set_header(header.iter().map(|name| {
            let cell = Cell::new(name);
            if output.colours {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
    if output.colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// A table of text.
pub(super) fn plain(
    output: &Output,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = new(output, header);
    table.load_preset(presets::NOTHING);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

fn colour(severity: Severity) -> Option<Color> {
    match severity {
        Severity::Critical => Some(Color::Red),
        Severity::High => Some(Color::Magenta),
        Severity::Medium => Some(Color::Yellow),
        Severity::Low => Some(Color::Cyan),
        Severity::Info => None,
    }
}

/// Most urgent first, see [`Recommendation::rank`].
pub(super) fn ranked(rows: &[Recommendation]) -> Vec<&Recommendation> {
    let mut open: Vec<&Recommendation> = rows
        .iter()
        .filter(|row| row.state == RecommendationState::Open)
        .collect();
    open.sort_by(|a, b| a.rank(b));
    open
}

fn saving(row: &Recommendation) -> String {
    row.savings
        .as_ref()
        .map_or_else(|| "-".to_owned(), |savings| savings.monthly.to_string())
}

fn reasons(row: &Recommendation) -> String {
    let lines: Vec<String> = row
        .why
        .iter()
        .map(|(agent, why)| format!("{agent}: {why}"))
        .collect();
    lines.join("\n")
}

/// The ranked table.
pub(super) fn recommendations(output: &Output, rows: &[&Recommendation]) -> String {
    if output.columns() < TABLE_COLUMNS_MIN {
        return paragraphs(rows);
    }
    let header = [
        "#",
        "severity",
        "score",
        "owner",
        "action",
        "saves a month",
        "sure",
        "why",
    ];
    let mut table = new(output, &header);
    for (index, row) in rows.iter().enumerate() {
        let mut severity = Cell::new(row.severity.as_str());
        if let (true, Some(colour)) = (output.colours, colour(row.severity)) {
            severity = severity.fg(colour);
        }
        table.add_row(vec![
            Cell::new(index + 1),
            severity,
            Cell::new(format!("{:.0}", row.priority.score)),
            // A subject has no spaces to break at; its parts are lines.
            Cell::new(format!(
                "{} {}\n{}",
                row.owner.account(),
                row.owner.region(),
                row.owner.resource()
            )),
            Cell::new(row.action.as_str()),
            Cell::new(saving(row)),
            Cell::new(format!("{:.0} %", row.confidence * 100.0)),
            Cell::new(reasons(row)),
        ]);
    }
    table.trim_fmt()
}

fn paragraphs(rows: &[&Recommendation]) -> String {
    let mut text = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        text.push(format!(
            "{}. {} ({:.0})  {}  saves {} a month, {:.0} % sure",
            index + 1,
            row.severity.as_str(),
            row.priority.score,
            row.action.as_str(),
            saving(row),
            row.confidence * 100.0
        ));
        text.push(format!("   {}", row.owner));
        text.extend(reasons(row).lines().map(|line| format!("   - {line}")));
    }
    text.join("\n")
}
