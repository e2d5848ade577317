//! The client's own commands: a backslash, a word, perhaps an argument.

/// A command of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `\?`
    Help,
    /// `\q`
    Quit,
    /// `\timing [on|off]`: None turns it over.
    Timing(Option<bool>),
    /// `\x [on|off]`: None turns it over.
    Expanded(Option<bool>),
    /// `\format [name]`: None shows the one in use.
    Format(Option<String>),
    /// A statement that stands for it.
    Statement(String),
}

/// What `\?` prints.
pub(super) const HELP: &str = "\
A statement ends with ; and may have many lines. Tab completes keywords, tables and columns. Ctrl-C stops a running
statement, Ctrl-D leaves.
  \\d            tables of this database
  \\d TABLE      columns of a table
  \\l            databases
  \\timing       show how long statements take, or stop showing it (also: on, off)
  \\x            one line per value (format Vertical), or back (also: on, off)
  \\format NAME  output format (PrettyCompact, Vertical, CSVWithNames, JSONEachRow, …); without NAME shows it
  \\q            leave
  \\?            this";

/// Whether a line at a statement's place is a command.
pub(super) fn is_command(line: &str) -> bool {
    let bare = line.trim().trim_end_matches(';').trim_end();
    bare.starts_with('\\') || ["exit", "quit", "help"].iter().any(|word| bare.eq_ignore_ascii_case(word))
}

/// Reads a line that begins with a backslash (or is a bare `exit`, `quit`, `help`).
///
/// # Errors
/// A text for the person, when there is no such command.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    match line.to_ascii_lowercase().as_str() {
        "exit" | "quit" => return Ok(Command::Quit),
        "help" => return Ok(Command::Help),
        _ => {}
    }
    let line = line.strip_prefix('\\').unwrap_or(line);
    let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    match (word, argument) {
        ("?" | "h" | "help", _) => Ok(Command::Help),
        ("q", "") => Ok(Command::Quit),
        ("timing", "") => Ok(Command::Timing(None)),
        ("timing", on) => switch(on).map(Command::Timing),
        ("x", "") => Ok(Command::Expanded(None)),
        ("x", on) => switch(on).map(Command::Expanded),
        ("format", "") => Ok(Command::Format(None)),
        ("format", name) => Ok(Command::Format(Some(name.to_owned()))),
        ("d", "") => Ok(Command::Statement(
            "SELECT name, engine, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name"
                .to_owned(),
        )),
        ("d", table) => Ok(Command::Statement(format!("DESCRIBE TABLE {table}"))),
        ("l", "") => Ok(Command::Statement("SHOW DATABASES".to_owned())),
        _ => Err(format!("there is no command \\{line}; \\? lists them")),
    }
}

fn switch(word: &str) -> Result<Option<bool>, String> {
    match word.to_ascii_lowercase().as_str() {
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        _ => Err(format!("{word}: on or off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        assert_eq!(parse("\\q"), Ok(Command::Quit));
        assert_eq!(parse(" exit; "), Ok(Command::Quit));
        assert_eq!(parse("\\format CSV"), Ok(Command::Format(Some("CSV".to_owned()))));
        assert_eq!(parse("\\d trades;"), Ok(Command::Statement("DESCRIBE TABLE trades".to_owned())));
        assert_eq!(parse("\\timing"), Ok(Command::Timing(None)));
        assert_eq!(parse("\\timing ON"), Ok(Command::Timing(Some(true))));
        assert_eq!(parse("\\x off;"), Ok(Command::Expanded(Some(false))));
        for wrong in ["\\nonsense", "\\x perhaps", "\\", "\\q now"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
