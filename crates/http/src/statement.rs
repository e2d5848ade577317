//! What a statement may do, told by its first keyword. Only a first check: the query service parses in full.

use zepto_common::service::Role;

/// The kinds of statement that the door tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// Nothing but blanks and comments.
    Empty,
    /// Reads only.
    Read,
    /// Adds rows.
    Insert,
    /// Changes tables, rows that exist, or the node.
    Change,
    /// No keyword that is known here; treated as reading, and the query service says what is wrong with it.
    Other,
}

impl StatementKind {
    /// The kind of this text.
    #[must_use]
    pub fn of(sql: &[u8]) -> Self {
        let Some(word) = first_word(sql) else { return Self::Empty };
        const READ: &[&str] = &[
            "SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "USE", "SET", "VALUES", "FROM",
        ];
        const CHANGE: &[&str] = &[
            "CREATE", "DROP", "ALTER", "RENAME", "TRUNCATE", "OPTIMIZE", "DELETE", "UPDATE", "KILL",
            "SYSTEM", "ATTACH", "DETACH", "EXCHANGE", "GRANT", "REVOKE", "BACKUP", "RESTORE", "UNDROP",
            "REPLACE", "MERGE", "COPY", "MOVE", "CHECK", "COMMIT", "BEGIN", "ROLLBACK",
        ];
        let is = |known: &&str| known.as_bytes().eq_ignore_ascii_case(word);
        match () {
            () if READ.iter().any(is) => Self::Read,
            () if is(&"INSERT") => Self::Insert,
            () if CHANGE.iter().any(is) => Self::Change,
            () => Self::Other,
        }
    }

    /// The least role that may run it.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Empty | Self::Read | Self::Other => Role::Reader,
            Self::Insert => Role::Writer,
            Self::Change => Role::Admin,
        }
    }

    /// Whether the statement says what holds for its session: `SET` and `USE`.
    #[must_use]
    pub fn is_of_session(sql: &[u8]) -> bool {
        first_word(sql)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"SET") || word.eq_ignore_ascii_case(b"USE"))
    }

    /// Whether the statement changes what exists: databases, tables, views.
    #[must_use]
    pub fn changes_catalog(sql: &[u8]) -> bool {
        const WORDS: &[&str] =
            &["CREATE", "DROP", "ALTER", "RENAME", "TRUNCATE", "ATTACH", "DETACH", "EXCHANGE", "UNDROP"];
        first_word(sql)
            .is_some_and(|word| WORDS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word)))
    }

    /// Whether it certainly or perhaps only reads.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::Empty | Self::Read | Self::Other)
    }
}

/// The first run of letters after blanks, comments, semicolons and opening parentheses; empty when something
/// else stands there, None when nothing does.
fn first_word(sql: &[u8]) -> Option<&[u8]> {
    let start = skip_blank(sql);
    let rest = &sql[start..];
    if rest.is_empty() {
        return None;
    }
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
    Some(&rest[..length])
}

fn skip_blank(sql: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = sql.get(at) {
        let rest = &sql[at..];
        if byte.is_ascii_whitespace()
            || matches!(byte, b'(' | b';' | 0x0B)
            || rest.starts_with(b"\xEF\xBB\xBF")
        {
            at += if *byte == 0xEF { 3 } else { 1 };
        } else if rest.starts_with(b"--") || *byte == b'#' {
            at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |line| line + 1);
        } else if rest.starts_with(b"/*") {
            at += comment_length(rest);
        } else {
            break;
        }
    }
    at
}

/// Length of a comment in `/* */`, which may hold further ones; all of the text if it does not end.
fn comment_length(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_and_use_are_of_the_session_and_nothing_else_is() {
        for sql in ["SET a = 1", " -- x\n set a = 1", "/* USE */ use d", "(SET a = 1)"] {
            assert!(StatementKind::is_of_session(sql.as_bytes()), "{sql}");
        }
        for sql in
            ["SELECT 1 SETTINGS a = 1", "CREATE TABLE t (a Int8) SETTINGS a = 1", "SETTINGS", "", "users"]
        {
            assert!(!StatementKind::is_of_session(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn the_kind_is_told_by_the_first_keyword() {
        use StatementKind::{Change, Empty, Insert, Other, Read};
        for (sql, kind) in [
            ("SELECT 1", Read),
            ("  \n(select 1) union all select 2", Read),
            ("-- DROP TABLE t\n/* a /* b */ c */ # x\nwith x as (select 1) select * from x", Read),
            ("\u{FEFF}show tables", Read),
            ("insert into t values", Insert),
            ("/**/INSERT INTO t SELECT 1", Insert),
            ("DROP TABLE t", Change),
            (";;alter table t delete where 1", Change),
            ("KILL QUERY WHERE 1", Change),
            ("", Empty),
            (" ; -- nothing", Empty),
            ("/* open", Empty),
            ("SELEC 1", Other),
            ("1 + 1", Other),
            ("SELECTED", Other),
        ] {
            assert_eq!(StatementKind::of(sql.as_bytes()), kind, "{sql}");
        }
    }

    #[test]
    fn only_an_admin_changes_and_only_a_writer_inserts() {
        assert_eq!(StatementKind::of(b"TRUNCATE TABLE t").role(), Role::Admin);
        assert_eq!(StatementKind::of(b"INSERT INTO t VALUES (1)").role(), Role::Writer);
        assert_eq!(StatementKind::of(b"SELECT 1").role(), Role::Reader);
        assert!(!StatementKind::of(b"INSERT").reads() && StatementKind::of(b"gibberish").reads());
    }
}
