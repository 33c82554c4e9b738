//! Ranked recommendations as a table, or as paragraphs where a table would not fit.

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

use super::output::Output;
use crate::model::{Recommendation, RecommendationState, Severity, Subject, Suppressed};

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

/// Each agent with its reason; a reason that begins with the agent's name says it once.
fn reasons(row: &Recommendation) -> Vec<String> {
    row.why
        .iter()
        .map(|(agent, why)| {
            let prefix = format!("{agent}: ");
            let why = why.strip_prefix(&prefix).unwrap_or(why);
            format!("{prefix}{why}")
        })
        .collect()
}

/// Resources named below an owner; more are counted.
const NAMED_MAX: usize = 2;

/// Resources that are changed and are not the owner itself: a line each, kind and id apart.
fn changed(row: &Recommendation) -> Vec<String> {
    let mut targets: Vec<&Subject> = row
        .targets
        .iter()
        .map(|(subject, _)| subject)
        .filter(|subject| **subject != row.owner)
        .collect();
    targets.dedup();
    let more = targets.len().saturating_sub(NAMED_MAX);
    let mut lines = Vec::new();
    let mut named = "";
    for subject in targets.iter().take(NAMED_MAX) {
        if subject.kind() != named {
            named = subject.kind();
            lines.push(format!("- its {named}"));
        }
        lines.push(subject.id().to_owned());
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// A cell of the owner: kind, id, account and region on lines of their own, then what is changed of it.
fn owner(row: &Recommendation) -> String {
    let mut lines = vec![
        row.owner.kind().to_owned(),
        row.owner.id().to_owned(),
        format!("{} {}", row.owner.account(), row.owner.region()),
    ];
    lines.extend(changed(row));
    lines.join("\n")
}

/// The action in words.
fn action(row: &Recommendation) -> String {
    row.action.as_str().replace('_', " ")
}

/// Columns of the longest word in a cell.
fn longest_word(text: &str) -> u16 {
    let words = text.split_whitespace().map(|word| word.chars().count());
    u16::try_from(words.max().unwrap_or(0)).unwrap_or(u16::MAX)
}

/// Gives a column room for its longest word, so that no id is broken.
fn keep_words_whole(table: &mut Table, column: usize, cells: &[String]) {
    // A space left and right of the text.
    const PADDING: u16 = 2;
    // Service names in usages are sentences; beyond this a word may break.
    const WIDEST: u16 = 34;
    let widest = cells
        .iter()
        .map(|cell| longest_word(cell))
        .max()
        .unwrap_or(0);
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
            widest.min(WIDEST) + PADDING,
        )));
    }
}

/// The ranked table.
pub(super) fn recommendations(output: &Output, rows: &[&Recommendation]) -> String {
    if output.columns() < TABLE_COLUMNS_MIN {
        return paragraphs(rows);
    }
    let header = [
        "#",
        "severity",
        "owner, and what of it",
        "action",
        "saves a month",
        "sure",
        "why",
    ];
    let mut table = new(output, &header);
    let owners: Vec<String> = rows.iter().map(|row| owner(row)).collect();
    let mut whys = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut severity = Cell::new(format!(
            "{}\nscore {:.0}",
            row.severity.as_str(),
            row.priority.score
        ));
        if let (true, Some(colour)) = (output.colours, colour(row.severity)) {
            severity = severity.fg(colour);
        }
        let why = reasons(row).join("\n");
        table.add_row(vec![
            Cell::new(index + 1),
            severity,
            Cell::new(&owners[index]),
            Cell::new(action(row)),
            Cell::new(saving(row)),
            Cell::new(format!("{:.0} %", row.confidence * 100.0)),
            Cell::new(&why),
        ]);
        whys.push(why);
    }
    keep_words_whole(&mut table, 2, &owners);
    keep_words_whole(&mut table, header.len() - 1, &whys);
    table.trim_fmt()
}

/// What conflicts held back, and why: one line each, empty when nothing was.
pub(super) fn held_back(output: &Output, rows: &[Recommendation]) -> String {
    let mut held: Vec<&Recommendation> = rows
        .iter()
        .filter(|row| {
            matches!(
                row.state,
                RecommendationState::Vetoed | RecommendationState::Superseded
            )
        })
        .collect();
    held.sort_by(|a, b| a.rank(b));
    if held.is_empty() {
        return String::new();
    }
    let lines = held.into_iter().map(|row| {
        let reasons: Vec<String> = row
            .held_by
            .iter()
            .map(|holder| held_by(row, holder))
            .collect();
        vec![
            row.owner.resource().to_owned(),
            action(row),
            saving(row),
            reasons.join("; "),
        ]
    });
    plain(
        output,
        &["owner", "action", "would save", "held back by"],
        lines,
    )
}

/// What holds the row back, without naming what the line names already.
fn held_by(row: &Recommendation, holder: &Suppressed) -> String {
    let own = format!("{}: ", row.owner.resource());
    let why = holder.why.strip_prefix(&own).unwrap_or(&holder.why);
    if why.contains(holder.what.as_str()) {
        why.replace('_', " ")
    } else {
        format!("{why} ({})", holder.what)
    }
}

fn paragraphs(rows: &[&Recommendation]) -> String {
    let mut text = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        text.push(format!(
            "{}. {} ({:.0})  {}  saves {} a month, {:.0} % sure",
            index + 1,
            row.severity.as_str(),
            row.priority.score,
            action(row),
            saving(row),
            row.confidence * 100.0
        ));
        text.push(format!("   {}", row.owner));
        let targets = changed(row);
        if !targets.is_empty() {
            text.push(format!("   {}", targets.join(" ")));
        }
        text.extend(reasons(row).into_iter().map(|line| format!("   - {line}")));
    }
    text.join("\n")
}
