//! Tables and records for people: Pretty, PrettyCompact, PrettySpace and Vertical.
//!
//! Column widths need all rows of a table, so rows are kept, at most one page of them, and written as a page.

use arrow::array::RecordBatch;
use zepto_common::Result;

use crate::cells::{Cells, Style};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::format::Format;

/// Rows of one table when `output_format_pretty_max_rows` is larger.
const PAGE_ROWS: usize = 10_000;
/// Values longer than this many letters are cut (`output_format_pretty_max_value_width`).
const VALUE_LETTERS: usize = 10_000;
/// Columns are made at most this wide; longer values stick out (`output_format_pretty_max_column_pad_width`).
const PAD_LETTERS: usize = 250;
/// A table of at most this many rows ...
const VERTICAL_ROWS: usize = 10;
/// ... with at least this many columns ...
const VERTICAL_COLUMNS: usize = 5;
/// ... and this wide, or with a line end in a value, is written as Vertical.
const VERTICAL_WIDTH: usize = 250;
/// Tables longer than this repeat the names below.
const FOOTER_ROWS: usize = 50;
/// A number above this at the end of a row is explained in words.
const TIP_FROM: f64 = 1_000_000.0;
/// Integers from here on are not.
const IDENTIFIER_FROM: f64 = 1e18;

/// The kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Frame around every cell.
    Full,
    /// Names in the frame, no lines between rows.
    Compact,
    /// No frame.
    Space,
}

impl Look {
    /// The frame that a format's name says. The longer names change nothing: there are no colours unless asked for,
    /// and rows are written as one table anyway.
    pub(crate) fn of(format: Format) -> Self {
        let name = format.name();
        if name.starts_with("PrettyCompact") {
            Self::Compact
        } else if name.starts_with("PrettySpace") {
            Self::Space
        } else {
            Self::Full
        }
    }
}

/// Columns a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// 2 for East Asian wide letters and emoji, 0 for combining marks, else 1.
fn letter_width(letter: char) -> usize {
    match letter as u32 {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F => 2,
        0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1F64F | 0x1F900..=0x1F9FF | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// One value's text, cut to a bounded length.
fn text_of(cells: &Cells, row: usize) -> String {
    let mut bytes = Vec::new();
    cells.write(row, Style::Pretty, &mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    match text.char_indices().nth(VALUE_LETTERS) {
        Some((at, _)) => format!("{}⋯", &text[..at]),
        None => text.into_owned(),
    }
}

/// `1.23 million` for a number in words.
fn quantity(value: f64) -> String {
    const NAMES: [&str; 22] = [
        "",
        " thousand",
        " million",
        " billion",
        " trillion",
        " quadrillion",
        " quintillion",
        " sextillion",
        " septillion",
        " octillion",
        " nonillion",
        " decillion",
        " undecillion",
        " duodecillion",
        " tredecillion",
        " quattuordecillion",
        " quindecillion",
        " sexdecillion",
        " septendecillion",
        " octodecillion",
        " novemdecillion",
        " vigintillion",
    ];
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= 1_000.0 && unit + 1 < NAMES.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if value.abs() >= 1e21 {
        let mut text = Vec::new();
        crate::cells::write_float(value, &mut text);
        return format!("{}{}", String::from_utf8_lossy(&text), NAMES[unit]);
    }
    format!("{value:.2}{}", NAMES[unit])
}

/// The words behind a large number; none for the longest integers, which are mostly identifiers.
fn tip(cells: &Cells, row: usize) -> Option<String> {
    let value = cells.magnitude(row)?;
    let shown =
        value.is_finite() && value.abs() > TIP_FROM && (cells.is_float() || value.abs() < IDENTIFIER_FROM);
    shown.then(|| format!(" -- {}", quantity(value)))
}

/// Writes tables.
pub(crate) struct PrettyWriter {
    look: Look,
    fields: Fields,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
    /// Words behind each row's last value.
    last_tips: Vec<Option<String>>,
    /// Words behind each value of the first rows, for the fallback to Vertical.
    tips: Vec<Vec<Option<String>>>,
    written: u64,
    seen: u64,
}

impl PrettyWriter {
    pub(crate) fn new(look: Look, fields: Fields) -> Self {
        let right = vec![false; fields.types().len()];
        Self {
            look,
            fields,
            right,
            rows: Vec::new(),
            last_tips: Vec::new(),
            tips: Vec::new(),
            written: 0,
            seen: 0,
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let names: Vec<&str> = self.fields.names().collect();
        let measure = |at: usize| {
            let cell = |row: &Vec<String>| row[at].split('\n').map(width).max().unwrap_or(0);
            rows.iter().map(cell).max().unwrap_or(0).max(width(names[at])).min(PAD_LETTERS)
        };
        let widths: Vec<usize> = (0..names.len()).map(measure).collect();
        let wide = widths.iter().sum::<usize>() >= VERTICAL_WIDTH
            || rows.iter().flatten().any(|text| text.contains('\n'));
        if wide && rows.len() <= VERTICAL_ROWS && names.len() > VERTICAL_COLUMNS {
            for (at, row) in rows.iter().enumerate() {
                record(self.written + at as u64 + 1, &names, row, &self.tips[at], out);
            }
        } else {
            let table = Table {
                look: self.look,
                names: &names,
                widths: &widths,
                right: &self.right,
                numbers: self.numbers(rows.len()),
                bold: self.fields.settings().pretty_color,
            };
            table.write(&rows, self.written, &self.last_tips, out);
        }
        self.written += rows.len() as u64;
        self.tips.clear();
        self.last_tips.clear();
    }

    /// Width of the row numbers, 0 for none.
    fn numbers(&self, rows: usize) -> usize {
        if !self.fields.settings().pretty_row_numbers {
            return 0;
        }
        (self.written + rows as u64).to_string().len() + 2
    }
}

impl Encoder for PrettyWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.seen += batch.num_rows() as u64;
        let room =
            self.fields.settings().pretty_max_rows.saturating_sub(self.written + self.rows.len() as u64);
        if room == 0 || batch.num_rows() == 0 {
            return Ok(());
        }
        let cells = self.fields.cells(batch)?;
        self.right = cells.iter().map(Cells::is_number).collect();
        for row in 0..batch.num_rows().min(usize::try_from(room).unwrap_or(usize::MAX)) {
            self.last_tips.push(cells.last().and_then(|cells| tip(cells, row)));
            if self.rows.len() < VERTICAL_ROWS {
                self.tips.push(cells.iter().map(|cells| tip(cells, row)).collect());
            }
            self.rows.push(cells.iter().map(|cells| text_of(cells, row)).collect());
            if self.rows.len() >= PAGE_ROWS {
                self.flush(out);
            }
        }
        Ok(())
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        self.flush(out);
        let (written, seen) = (self.written, self.seen);
        for (title, batch) in totals.beside() {
            // A table of its own, with its own numbers and room.
            (self.written, self.seen) = (0, 0);
            out.extend_from_slice(format!("\n{title}:\n").as_bytes());
            self.batch(batch, out)?;
            self.flush(out);
        }
        if seen > written {
            out.extend_from_slice(format!("Showed {written} out of {seen} rows.\n").as_bytes());
        }
        Ok(())
    }
}

/// One page.
struct Table<'a> {
    look: Look,
    names: &'a [&'a str],
    widths: &'a [usize],
    right: &'a [bool],
    numbers: usize,
    bold: bool,
}

impl Table<'_> {
    fn write(&self, rows: &[Vec<String>], before: u64, tips: &[Option<String>], out: &mut Vec<u8>) {
        match self.look {
            Look::Full => {
                self.rule("┏━", "━", "━┳━", "━┓", out);
                self.name_line("┃ ", " ┃ ", " ┃", out);
                self.rule("┡━", "━", "━╇━", "━┩", out);
            }
            Look::Compact => self.named_rule("┌─", "─┬─", "─┐", out),
            Look::Space => {
                self.name_line(" ", "   ", "", out);
                out.push(b'\n');
            }
        }
        for (at, row) in rows.iter().enumerate() {
            if at > 0 && self.look == Look::Full {
                self.rule("├─", "─", "─┼─", "─┤", out);
            }
            self.row(before + at as u64 + 1, row, tips[at].as_deref(), out);
        }
        let footer = rows.len() >= FOOTER_ROWS;
        match self.look {
            Look::Full if footer => {
                self.rule("┢━", "━", "━╈━", "━┪", out);
                self.name_line("┃ ", " ┃ ", " ┃", out);
                self.rule("┗━", "━", "━┻━", "━┛", out);
            }
            Look::Full => self.rule("└─", "─", "─┴─", "─┘", out),
            Look::Compact if footer => self.named_rule("└─", "─┴─", "─┘", out),
            Look::Compact => self.rule("└─", "─", "─┴─", "─┘", out),
            Look::Space if footer => {
                out.push(b'\n');
                self.name_line(" ", "   ", "", out);
                out.push(b'\n');
            }
            Look::Space => {}
        }
    }

    fn margin(&self, out: &mut Vec<u8>) {
        out.extend(std::iter::repeat_n(b' ', self.numbers));
    }

    fn rule(&self, open: &str, line: &str, cross: &str, close: &str, out: &mut Vec<u8>) {
        self.margin(out);
        for (at, width) in self.widths.iter().enumerate() {
            out.extend_from_slice(if at == 0 { open } else { cross }.as_bytes());
            (0..*width).for_each(|_| out.extend_from_slice(line.as_bytes()));
        }
        out.extend_from_slice(close.as_bytes());
        out.push(b'\n');
    }

    fn named_rule(&self, open: &str, cross: &str, close: &str, out: &mut Vec<u8>) {
        self.margin(out);
        for (at, name) in self.names.iter().enumerate() {
            out.extend_from_slice(if at == 0 { open } else { cross }.as_bytes());
            self.padded(at, name, "─", self.bold, out);
        }
        out.extend_from_slice(close.as_bytes());
        out.push(b'\n');
    }

    fn name_line(&self, open: &str, cross: &str, close: &str, out: &mut Vec<u8>) {
        self.margin(out);
        for (at, name) in self.names.iter().enumerate() {
            out.extend_from_slice(if at == 0 { open } else { cross }.as_bytes());
            self.padded(at, name, " ", self.bold, out);
        }
        out.extend_from_slice(close.as_bytes());
        out.push(b'\n');
    }

    fn padded(&self, at: usize, text: &str, fill: &str, bold: bool, out: &mut Vec<u8>) {
        let gap = self.widths[at].saturating_sub(width(text));
        let pad = |out: &mut Vec<u8>| (0..gap).for_each(|_| out.extend_from_slice(fill.as_bytes()));
        if self.right[at] {
            pad(out);
        }
        if bold {
            out.extend_from_slice(b"\x1b[1m");
        }
        out.extend_from_slice(text.as_bytes());
        if bold {
            out.extend_from_slice(b"\x1b[0m");
        }
        if !self.right[at] {
            pad(out);
        }
    }

    /// A row takes as many lines as its longest value; cut lines end with ↴ and go on with ↳.
    fn row(&self, number: u64, row: &[String], tip: Option<&str>, out: &mut Vec<u8>) {
        let lines = row.iter().map(|text| text.split('\n').count()).max().unwrap_or(1);
        let edge = if self.look == Look::Space { " " } else { "│" };
        for line in 0..lines {
            if self.numbers > 0 && line == 0 {
                let label = format!("{:>width$} ", format!("{number}."), width = self.numbers - 1);
                out.extend_from_slice(label.as_bytes());
            } else {
                self.margin(out);
            }
            for (at, text) in row.iter().enumerate() {
                let parts = text.split('\n').count();
                let part = text.split('\n').nth(line).unwrap_or("");
                let goes_on = line + 1 < parts;
                if at > 0 || self.look != Look::Space {
                    out.extend_from_slice(edge.as_bytes());
                }
                out.extend_from_slice(if line > 0 && line < parts { "↳" } else { " " }.as_bytes());
                self.padded(at, part, " ", false, out);
                out.extend_from_slice(if goes_on { "↴" } else { " " }.as_bytes());
            }
            if self.look != Look::Space {
                out.extend_from_slice(edge.as_bytes());
            }
            if let Some(tip) = tip.filter(|_| line == 0) {
                out.extend_from_slice(tip.as_bytes());
            }
            out.push(b'\n');
        }
    }
}

/// Writes one record as `name: value` lines.
fn record(number: u64, names: &[&str], row: &[String], tips: &[Option<String>], out: &mut Vec<u8>) {
    if number > 1 {
        out.push(b'\n');
    }
    let title = format!("Row {number}:");
    out.extend_from_slice(title.as_bytes());
    out.push(b'\n');
    // ClickHouse counts the digits of the next number.
    let line = "Row :".len() + (number + 1).to_string().len();
    out.extend_from_slice("─".repeat(line).as_bytes());
    out.push(b'\n');
    values(names, row, tips, out);
}

/// Writes the `name: value` lines of one record.
fn values(names: &[&str], row: &[String], tips: &[Option<String>], out: &mut Vec<u8>) {
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    for ((name, text), tip) in names.iter().zip(row).zip(tips) {
        let gap = widest - width(name) + 1;
        out.extend_from_slice(format!("{name}:{}{text}", " ".repeat(gap)).as_bytes());
        if let Some(tip) = tip {
            out.extend_from_slice(tip.as_bytes());
        }
        out.push(b'\n');
    }
}

/// Writes records.
pub(crate) struct VerticalWriter {
    fields: Fields,
    rows: u64,
    cut: bool,
}

impl VerticalWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields, rows: 0, cut: false }
    }

    /// A row that is none of the result's.
    fn beside(&self, title: &str, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let names: Vec<&str> = self.fields.names().collect();
        let cells = self.fields.cells(batch)?;
        let text: Vec<String> = cells.iter().map(|cells| text_of(cells, row)).collect();
        let tips: Vec<Option<String>> = cells.iter().map(|cells| tip(cells, row)).collect();
        out.extend_from_slice(format!("\n{title}:\n{}\n", "─".repeat(title.len() + 1)).as_bytes());
        values(&names, &text, &tips, out);
        Ok(())
    }
}

impl Encoder for VerticalWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let names: Vec<&str> = self.fields.names().collect();
        let cells = self.fields.cells(batch)?;
        let max = self.fields.settings().pretty_max_rows;
        for row in 0..batch.num_rows() {
            if self.rows == max {
                self.cut = true;
                return Ok(());
            }
            self.rows += 1;
            let text: Vec<String> = cells.iter().map(|cells| text_of(cells, row)).collect();
            let tips: Vec<Option<String>> = cells.iter().map(|cells| tip(cells, row)).collect();
            record(self.rows, &names, &text, &tips, out);
        }
        Ok(())
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        if let Some(batch) = &totals.totals {
            out.push(b'\n');
            self.beside("Totals", batch, 0, out)?;
        }
        if let Some(batch) = &totals.extremes {
            self.beside("Min", batch, 0, out)?;
            self.beside("Max", batch, 1, out)?;
        }
        if self.cut {
            out.extend_from_slice(format!("\nShowed first {}.\n", self.rows).as_bytes());
        }
        Ok(())
    }
}
