//! Where results go, how errors are shown, and whether there are colours.

use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

use crate::config::Problem;
use crate::telemetry::colours;

/// Columns assumed where there is no terminal to ask.
const COLUMNS: u16 = 120;

/// Standard output, buffered.
pub(super) struct Output {
    to: BufWriter<StdoutLock<'static>>,
    pub(super) terminal: bool,
    pub(super) colours: bool,
}

impl Output {
    pub(super) fn stdout() -> Self {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            to: BufWriter::new(stdout.lock()),
            terminal,
            colours: colours(terminal),
        }
    }

    /// Columns there are.
    pub(super) fn columns(&self) -> u16 {
        if self.terminal {
            comfy_table::Table::new().width().unwrap_or(COLUMNS)
        } else {
            COLUMNS
        }
    }

    pub(super) fn line(&mut self, text: &str) -> std::io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// Text as it is, such as what moves a terminal's cursor.
    pub(super) fn raw(&mut self, text: &str) -> std::io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    /// One JSON value as a line.
    pub(super) fn json<T: serde::Serialize>(&mut self, value: &T) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Whether the error is only that nobody reads our output any more.
pub(super) fn reader_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

/// Prints an error and what caused it to stderr.
pub(super) fn report(error: &anyhow::Error) {
    let mut stderr = std::io::stderr().lock();
    let red = if colours(stderr.is_terminal()) {
        ("\u{1b}[1;31m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    let mut lines = vec![format!("{}error:{} {error}", red.0, red.1)];
    lines.extend(
        error
            .chain()
            .skip(1)
            .map(|cause| format!("  because: {cause}")),
    );
    // With stderr gone there is nobody left to tell.
    let _ = writeln!(stderr, "{}", lines.join("\n"));
}

/// Every problem and its hint, a paragraph each.
pub(super) fn problems_text(problems: &[Problem]) -> String {
    let mut lines = vec![match problems.len() {
        1 => "the configuration has a problem".to_owned(),
        count => format!("the configuration has {count} problems"),
    }];
    for problem in problems {
        lines.push(format!("  {problem}"));
        lines.push(format!("    hint: {}", problem.hint));
    }
    lines.join("\n")
}
