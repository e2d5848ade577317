//! Cuts a script into statements at `;` and the client's commands, and knows whether a statement is finished.
//! Quotes and comments are respected.

use super::command;

/// One step through SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    /// Within this quote character.
    Quote(u8),
    LineComment,
    BlockComment,
    /// Within `$$` or `$tag$`: where the opening is, and its length.
    Dollars {
        from: usize,
        length: usize,
    },
}

/// What a person or a script says next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A command of the client: it has its line to itself.
    Command(&'a str),
    /// A statement without its semicolon.
    Statement(&'a str),
}

/// The pieces of a script in order, blank ones left out. The same text gives the same pieces wherever it comes from.
pub(super) fn pieces(script: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), script);
    loop {
        let code = without_blanks(rest);
        if code.is_empty() {
            return pieces;
        }
        let line = code.lines().next().unwrap_or(code);
        if command::is_command(line) {
            pieces.push(Piece::Command(line.trim()));
            rest = &code[line.len()..];
            continue;
        }
        let end = first_semicolon(rest).unwrap_or(rest.len());
        let statement = rest[..end].trim();
        if !without_blanks(statement).is_empty() {
            pieces.push(Piece::Statement(statement));
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// Whether nothing is left open at the end: all is blank, commands, or ended by a `;`.
pub(super) fn is_finished(text: &str) -> bool {
    let mut rest = text;
    loop {
        let code = without_blanks(rest);
        if code.is_empty() {
            return true;
        }
        let line = code.lines().next().unwrap_or(code);
        if command::is_command(line) {
            rest = &code[line.len()..];
            continue;
        }
        match first_semicolon(code) {
            Some(end) => rest = &code[end + 1..],
            None => return false,
        }
    }
}

/// The text from its first code on: space and whole comments before it are left out.
fn without_blanks(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if rest.starts_with("--") || is_hash_comment(rest.as_bytes(), 0) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if rest.starts_with("/*") {
            match rest.split_once("*/") {
                Some((_, after)) => rest = after.trim_start(),
                None => return rest,
            }
        } else {
            return rest;
        }
    }
}

/// Position of the first `;` in code.
fn first_semicolon(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut inside, mut at) = (Inside::Code, 0);
    while at < bytes.len() {
        let (byte, next) = (bytes[at], bytes.get(at + 1).copied());
        let mut step = 1;
        match inside {
            Inside::Code => match (byte, next) {
                (b';', _) => return Some(at),
                (b'\'' | b'"' | b'`', _) => inside = Inside::Quote(byte),
                (b'-', Some(b'-')) => inside = Inside::LineComment,
                (b'#', _) if is_hash_comment(bytes, at) => inside = Inside::LineComment,
                (b'/', Some(b'*')) => (inside, step) = (Inside::BlockComment, 2),
                (b'$', _) => {
                    if let Some(length) = dollars(bytes, at) {
                        (inside, step) = (Inside::Dollars { from: at, length }, length);
                    }
                }
                _ => {}
            },
            // A doubled quote ends and begins again: the same in effect.
            Inside::Quote(_) if byte == b'\\' => step = 2,
            Inside::Quote(quote) if byte == quote => inside = Inside::Code,
            Inside::LineComment if byte == b'\n' => inside = Inside::Code,
            Inside::BlockComment if byte == b'*' && next == Some(b'/') => (inside, step) = (Inside::Code, 2),
            Inside::Dollars { from, length } if bytes[at..].starts_with(&bytes[from..from + length]) => {
                (inside, step) = (Inside::Code, length);
            }
            Inside::Quote(_) | Inside::LineComment | Inside::BlockComment | Inside::Dollars { .. } => {}
        }
        at += step;
    }
    None
}

/// Whether a comment to the line's end begins here: `# ` or `#!`, as the server reads it.
fn is_hash_comment(text: &[u8], at: usize) -> bool {
    text.get(at) == Some(&b'#') && matches!(text.get(at + 1), Some(b' ' | b'!'))
}

/// The length of `$$` or `$tag$` that opens a text here; a `$` within a name opens none.
fn dollars(text: &[u8], at: usize) -> Option<usize> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if at > 0 && (is_name(&text[at - 1]) || text[at - 1] == b'$') {
        return None;
    }
    let tag = text[at + 1..].iter().take_while(|byte| is_name(byte)).count();
    (text.get(at + 1 + tag) == Some(&b'$')).then_some(tag + 2)
}

/// The first word in upper case.
pub(super) fn first_word(statement: &str) -> String {
    let rest = without_blanks(statement);
    rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_uppercase()
}

/// Whether this is an INSERT whose rows are to come from elsewhere: it ends with `FORMAT name` or `VALUES`.
pub(super) fn wants_rows(statement: &str) -> bool {
    if first_word(statement) != "INSERT" {
        return false;
    }
    let words: Vec<String> = statement.split_whitespace().map(str::to_ascii_uppercase).collect();
    match words.as_slice() {
        [.., last] if last == "VALUES" => true,
        [.., format, name] => format == "FORMAT" && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(script: &str) -> Vec<String> {
        let shown = |piece: &Piece<'_>| match piece {
            Piece::Statement(text) => (*text).to_owned(),
            Piece::Command(text) => format!("command {text}"),
        };
        pieces(script).iter().map(shown).collect()
    }

    #[test]
    fn a_script_is_cut_at_semicolons_outside_quotes_and_comments() {
        let script =
            "SELECT ';', \"a;b\", `c;d`; -- no; not here\nSELECT 'it''s \\'; x' /* ; */;\n;\nSELECT 3";
        assert_eq!(
            split(script),
            ["SELECT ';', \"a;b\", `c;d`", "-- no; not here\nSELECT 'it''s \\'; x' /* ; */", "SELECT 3"]
        );
        assert!(split(" -- nothing\n /* at all */ ;;").is_empty());
    }

    #[test]
    fn semicolons_between_dollars_and_behind_a_hash_end_no_statement() {
        assert_eq!(split("SELECT $$a;'b$$; SELECT 2"), ["SELECT $$a;'b$$", "SELECT 2"]);
        assert_eq!(split("SELECT $x$a;$$;b$x$; SELECT 2"), ["SELECT $x$a;$$;b$x$", "SELECT 2"]);
        assert_eq!(split("SELECT a$b, 1; SELECT 2"), ["SELECT a$b, 1", "SELECT 2"]);
        assert_eq!(split("# a ; b\nSELECT 1; SELECT 2 # ; x\n;"), ["# a ; b\nSELECT 1", "SELECT 2 # ; x"]);
        assert!(split("# a ; b").is_empty());
    }

    #[test]
    fn a_command_has_its_line_wherever_a_statement_could_begin() {
        let script = "\\timing\n-- a comment\n  \\d trades;\nSELECT '\n\\q\n';\\x\nSELECT 1\n\\x;\nquit\r\n";
        assert_eq!(
            split(script),
            [
                "command \\timing",
                "command \\d trades;",
                "SELECT '\n\\q\n'",
                "command \\x",
                "SELECT 1\n\\x",
                "command quit"
            ]
        );
        assert_eq!(split("help me;"), ["help me"]);
    }

    #[test]
    fn a_statement_is_finished_by_a_semicolon_at_its_end_only() {
        for finished in [
            "",
            "-- hello",
            "SELECT 1;",
            "SELECT 1; ",
            "SELECT 1; -- done",
            "SELECT ';';",
            "\\d",
            "SELECT 1;\n\\d t",
            "exit",
        ] {
            assert!(is_finished(finished), "{finished}");
        }
        for open in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 1; SELECT",
            "SELECT 1 -- ;",
            "SELECT /* ;",
            "'a\\';",
            "/* ",
            "\\d\nSELECT 1",
        ] {
            assert!(!is_finished(open), "{open}");
        }
    }

    #[test]
    fn an_insert_without_rows_wants_them() {
        assert!(wants_rows("INSERT INTO t FORMAT CSV"));
        assert!(wants_rows("insert into t (a, b) values"));
        assert!(!wants_rows("INSERT INTO t VALUES (1)"));
        assert!(!wants_rows("SELECT 1 FORMAT CSV"));
    }

    #[test]
    fn the_first_word_is_found_behind_comments() {
        assert_eq!(first_word("-- hello\n/* you */ create table t"), "CREATE");
    }
}
