//! The client's own commands: a backslash, a word, perhaps an argument.

/// A command of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `\?`
    Help,
    /// `\q`
    Quit,
    /// `\timing`
    Timing,
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
  \\timing       show how long statements take, or stop showing it
  \\format NAME  output format (PrettyCompact, Vertical, CSVWithNames, JSONEachRow, …); without NAME shows it
  \\q            leave
  \\?            this";

/// Reads a line that begins with a backslash (or is a bare `exit`, `quit`, `help`); None for anything else.
pub(super) fn parse(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim();
    match line.trim_end_matches(';').to_ascii_lowercase().as_str() {
        "exit" | "quit" => return Some(Ok(Command::Quit)),
        "help" => return Some(Ok(Command::Help)),
        _ => {}
    }
    let line = line.strip_prefix('\\')?.trim_end_matches(';').trim_end();
    let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    Some(match (word, argument) {
        ("?" | "h" | "help", _) => Ok(Command::Help),
        ("q", "") => Ok(Command::Quit),
        ("timing", "") => Ok(Command::Timing),
        ("format", "") => Ok(Command::Format(None)),
        ("format", name) => Ok(Command::Format(Some(name.to_owned()))),
        ("d", "") => Ok(Command::Statement(
            "SELECT name, engine, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name"
                .to_owned(),
        )),
        ("d", table) => Ok(Command::Statement(format!("DESCRIBE TABLE {table}"))),
        ("l", "") => Ok(Command::Statement("SHOW DATABASES".to_owned())),
        _ => Err(format!("there is no command \\{line}; \\? lists them")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        assert_eq!(parse("\\q"), Some(Ok(Command::Quit)));
        assert_eq!(parse(" exit; "), Some(Ok(Command::Quit)));
        assert_eq!(parse("\\format CSV"), Some(Ok(Command::Format(Some("CSV".to_owned())))));
        assert_eq!(parse("\\d trades;"), Some(Ok(Command::Statement("DESCRIBE TABLE trades".to_owned()))));
        assert!(matches!(parse("\\nonsense"), Some(Err(_))));
        assert_eq!(parse("SELECT 1;"), None);
    }
}
