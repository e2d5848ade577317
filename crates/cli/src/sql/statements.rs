//! Cuts a script into statements at `;`, and knows whether a statement is finished. Quotes and comments are respected.

/// One step through SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    /// Within this quote character.
    Quote(u8),
    LineComment,
    BlockComment,
}

/// The statements of a script, without their semicolons, blank ones left out.
pub(super) fn split(script: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let end = walk(script, |at| {
        statements.push(&script[start..at]);
        start = at + 1;
    });
    let _open_at_the_end = end;
    statements.push(&script[start..]);
    statements.into_iter().map(str::trim).filter(|statement| !is_blank(statement)).collect()
}

/// Whether the text ends with a `;` that ends a statement.
pub(super) fn is_finished(text: &str) -> bool {
    let mut last = None;
    let end = walk(text, |at| last = Some(at));
    let after_last = last.map(|at| &text[at + 1..]);
    matches!(end, Inside::Code | Inside::LineComment) && after_last.is_some_and(is_blank)
}

/// Whether there is nothing but space and comments.
fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, rest)| rest).trim_start();
        } else {
            return rest.is_empty();
        }
    }
}

/// Calls `semicolon` with the position of each `;` in code; gives back where the text ends.
fn walk(text: &str, mut semicolon: impl FnMut(usize)) -> Inside {
    let bytes = text.as_bytes();
    let (mut inside, mut at) = (Inside::Code, 0);
    while at < bytes.len() {
        let (byte, next) = (bytes[at], bytes.get(at + 1).copied());
        let mut step = 1;
        match inside {
            Inside::Code => match (byte, next) {
                (b';', _) => semicolon(at),
                (b'\'' | b'"' | b'`', _) => inside = Inside::Quote(byte),
                (b'-', Some(b'-')) => inside = Inside::LineComment,
                (b'/', Some(b'*')) => (inside, step) = (Inside::BlockComment, 2),
                _ => {}
            },
            // A doubled quote ends and begins again: the same in effect.
            Inside::Quote(_) if byte == b'\\' => step = 2,
            Inside::Quote(quote) if byte == quote => inside = Inside::Code,
            Inside::LineComment if byte == b'\n' => inside = Inside::Code,
            Inside::BlockComment if byte == b'*' && next == Some(b'/') => (inside, step) = (Inside::Code, 2),
            Inside::Quote(_) | Inside::LineComment | Inside::BlockComment => {}
        }
        at += step;
    }
    inside
}

/// The first word in upper case.
pub(super) fn first_word(statement: &str) -> String {
    let mut rest = statement.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        let end = if rest.starts_with("--") { "\n" } else { "*/" };
        rest = rest.split_once(end).map_or("", |(_, rest)| rest).trim_start();
    }
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
    fn a_statement_is_finished_by_a_semicolon_at_its_end_only() {
        for finished in ["SELECT 1;", "SELECT 1; ", "SELECT 1; -- done", "SELECT ';';"] {
            assert!(is_finished(finished), "{finished}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "SELECT 1 -- ;", "SELECT /* ;", "'a\\';"] {
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
