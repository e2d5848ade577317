//! The table of results, as Markdown, so that it can be kept in a document.

use std::fmt;
use std::time::Duration;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    /// What was done.
    pub(super) work: String,
    /// What is to be reached, as the project states it.
    pub(super) target: &'static str,
    /// What was measured.
    pub(super) measured: String,
}

/// All lines so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a line and shows it at once: a bench takes minutes.
    pub(super) fn add(&mut self, work: impl Into<String>, target: &'static str, measured: impl Into<String>) {
        let line = Line { work: work.into(), target, measured: measured.into() };
        eprintln!("{}: {}", line.work, line.measured);
        self.lines.push(line);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| work | to reach | measured |\n|---|---|---|")?;
        for line in &self.lines {
            writeln!(f, "| {} | {} | {} |", line.work, line.target, line.measured)?;
        }
        Ok(())
    }
}

/// Milliseconds with two digits behind the point.
pub(super) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Microseconds of this time per row.
pub(super) fn us_per_row(time: Duration, rows: u64) -> String {
    format!("{:.3} µs", time.as_secs_f64() * 1e6 / rows.max(1) as f64)
}

/// Millions of rows per second.
pub(super) fn million_per_second(rows: u64, time: Duration) -> String {
    format!("{:.2} M rows/s", rows as f64 / time.as_secs_f64().max(1e-9) / 1e6)
}
