//! The head of an INSERT: which table, which columns, which format, and where the data starts.

use std::collections::BTreeMap;

use zepto_common::limits::{COLUMNS_MAX, STATEMENT_BYTES_MAX};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

/// An INSERT whose data follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertHead {
    /// Database (None: the request's) and table.
    pub table: (Option<String>, String),
    /// The named columns; None for all.
    pub columns: Option<Vec<String>>,
    /// `(* EXCEPT(a))`: the named columns are those that are left out.
    pub except: bool,
    /// The SETTINGS clause.
    pub settings: BTreeMap<String, String>,
    /// The format as written; `Values` for VALUES; None when neither was said.
    pub format: Option<String>,
    /// Where the data starts in the text.
    pub data_offset: usize,
}

impl InsertHead {
    /// The columns that the data has; None for all of the table.
    ///
    /// # Errors
    /// `NoSuchColumnInTable` for one to be left out that is not there.
    pub fn columns_of(&self, table: &TableSchema) -> Result<Option<Vec<String>>> {
        let Some(left_out) = self.columns.as_ref().filter(|_| self.except) else {
            return Ok(self.columns.clone());
        };
        if let Some(name) = left_out.iter().find(|name| table.index_of(name).is_none()) {
            let message = format!("No such column {name} in table {}", table.name);
            return Err(Error::new(ErrorCode::NoSuchColumnInTable, message));
        }
        let rest = table.columns.iter().filter(|column| !left_out.contains(&column.name));
        Ok(Some(rest.map(|column| column.name.clone()).collect()))
    }

    /// Reads the head from the start of a statement. None when the text is no INSERT, or one whose rows come
    /// from a query (`INSERT … SELECT`, `INSERT … WITH`).
    ///
    /// # Errors
    /// `SyntaxError` for an INSERT that is wrong before its data.
    pub fn parse(text: &[u8]) -> Result<Option<Self>> {
        Self::parse_with(text, &BTreeMap::new())
    }

    /// The same where the table or its database may be a parameter: `{name:Identifier}`.
    ///
    /// # Errors
    /// As [`Self::parse`]; `UnknownQueryParameter` for a parameter without a value.
    pub fn parse_with(text: &[u8], params: &BTreeMap<String, Option<String>>) -> Result<Option<Self>> {
        let mut words = Words { text: &text[..text.len().min(STATEMENT_BYTES_MAX)], at: 0, params };
        if !words.keyword("INSERT")? || !words.keyword("INTO")? {
            return Ok(None);
        }
        // `table` is a word of the syntax only when a name follows it.
        let before = words.at;
        if words.keyword("TABLE")? && !words.name_follows()? {
            words.at = before;
        }
        if words.keyword("FUNCTION")? && words.name_follows()? {
            return Err(Error::new(ErrorCode::NotImplemented, "INSERT INTO FUNCTION is not supported"));
        }
        let table = words.table()?;
        let (columns, except) = words.columns()?;
        let settings = BTreeMap::new();
        let mut head = Self { table, columns, except, settings, format: None, data_offset: 0 };
        loop {
            if words.keyword("SETTINGS")? {
                words.settings(&mut head.settings)?;
            } else if words.keyword("VALUES")? {
                head.format = Some("Values".to_owned());
                head.data_offset = words.at;
                return Ok(Some(head));
            } else if words.keyword("FORMAT")? {
                let format = words.identifier()?;
                let is_values = format.eq_ignore_ascii_case("values");
                head.format = Some(if is_values { "Values".to_owned() } else { format });
                // SETTINGS may also stand behind the format.
                let behind = words.at;
                if words.keyword("SETTINGS")? && words.name_follows()? {
                    words.settings(&mut head.settings)?;
                } else {
                    words.at = behind;
                }
                head.data_offset = data_start(text, words.at);
                return Ok(Some(head));
            } else if words.is_query()? {
                return Ok(None);
            } else {
                words.space()?;
                if words.at < words.text.len() && words.text[words.at] != b';' {
                    return Err(words.unexpected());
                }
                head.data_offset = text.len();
                return Ok(Some(head));
            }
        }
    }
}

/// Data starts after one line end behind spaces, or else after the spaces.
fn data_start(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | 12) = text.get(at) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') { at + 1 } else { at }
}

struct Words<'a> {
    text: &'a [u8],
    at: usize,
    params: &'a BTreeMap<String, Option<String>>,
}

impl Words<'_> {
    #[cold]
    fn unexpected(&self) -> Error {
        let rest = crate::scan::excerpt(&self.text[self.at..]);
        Error::new(
            ErrorCode::SyntaxError,
            format!("Syntax error: failed at position {} ({rest})", self.at + 1),
        )
    }

    /// Passes over white space and comments.
    fn space(&mut self) -> Result<()> {
        loop {
            let rest = &self.text[self.at..];
            match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 12, ..] => self.at += 1,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => {
                    self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
                }
                [b'/', b'*', inside @ ..] => match memchr::memmem::find(inside, b"*/") {
                    Some(length) => self.at += length + 4,
                    None => return Err(self.unexpected()),
                },
                // A byte order mark, non-breaking space.
                [0xEF, 0xBB, 0xBF, ..] if self.at == 0 => self.at += 3,
                _ => return Ok(()),
            }
        }
    }

    /// Passes over this word when it is next.
    fn keyword(&mut self, word: &str) -> Result<bool> {
        self.space()?;
        let rest = &self.text[self.at..];
        let matches = rest.len() >= word.len()
            && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
            && !rest.get(word.len()).is_some_and(|b| is_word(*b));
        if matches {
            self.at += word.len();
        }
        Ok(matches)
    }

    fn symbol(&mut self, symbol: u8) -> Result<bool> {
        self.space()?;
        let found = self.text.get(self.at) == Some(&symbol);
        self.at += usize::from(found);
        Ok(found)
    }

    fn name_follows(&mut self) -> Result<bool> {
        self.space()?;
        Ok(self.text.get(self.at).is_some_and(|b| matches!(b, b'`' | b'"' | b'{') || is_word(*b)))
    }

    fn is_query(&mut self) -> Result<bool> {
        let start = self.at;
        while self.symbol(b'(')? {}
        let mut found = false;
        for word in ["SELECT", "WITH", "FROM", "WATCH", "EXPLAIN"] {
            found = found || self.keyword(word)?;
        }
        self.at = start;
        Ok(found)
    }

    fn identifier(&mut self) -> Result<String> {
        self.space()?;
        let bytes = match self.text.get(self.at) {
            Some(quote @ (b'`' | b'"')) => self.quoted(*quote)?,
            Some(first) if is_word(*first) && !first.is_ascii_digit() => {
                let rest = &self.text[self.at..];
                let length = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
                self.at += length;
                rest[..length].to_vec()
            }
            _ => return Err(self.unexpected()),
        };
        String::from_utf8(bytes).map_err(|_| self.unexpected())
    }

    /// A quoted name or string: doubled quotes and backslash escapes.
    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>> {
        let mut name = Vec::new();
        let mut at = self.at + 1;
        loop {
            match (self.text.get(at), self.text.get(at + 1)) {
                (Some(b'\\'), Some(next)) => {
                    name.push(*next);
                    at += 2;
                }
                (Some(byte), Some(next)) if *byte == quote && *next == quote => {
                    name.push(quote);
                    at += 2;
                }
                (Some(byte), _) if *byte == quote => {
                    self.at = at + 1;
                    return Ok(name);
                }
                (Some(byte), _) => {
                    name.push(*byte);
                    at += 1;
                }
                (None, _) => return Err(self.unexpected()),
            }
        }
    }

    fn table(&mut self) -> Result<(Option<String>, String)> {
        let first = self.name()?;
        if self.symbol(b'.')? {
            return Ok((Some(first), self.name()?));
        }
        Ok((None, first))
    }

    /// An identifier, or the parameter that is one.
    fn name(&mut self) -> Result<String> {
        if !self.symbol(b'{')? {
            return self.identifier();
        }
        let parameter = self.identifier()?;
        if !(self.symbol(b':')? && self.keyword("Identifier")? && self.symbol(b'}')?) {
            return Err(self.unexpected());
        }
        self.params.get(&parameter).cloned().flatten().ok_or_else(|| {
            let text = format!("Substitution `{parameter}` is not set");
            Error::new(ErrorCode::UnknownQueryParameter, text)
        })
    }

    /// `(a, b)`, `(*)`; None when no list follows or it means all columns.
    fn columns(&mut self) -> Result<(Option<Vec<String>>, bool)> {
        let start = self.at;
        if !self.symbol(b'(')? {
            return Ok((None, false));
        }
        // A query in brackets is no column list.
        for word in ["SELECT", "WITH"] {
            if self.keyword(word)? {
                self.at = start;
                return Ok((None, false));
            }
        }
        if self.symbol(b'*')? {
            if self.symbol(b')')? {
                return Ok((None, false));
            }
            if !self.keyword("EXCEPT")? {
                return Err(self.unexpected());
            }
            let names = if self.symbol(b'(')? { self.names()? } else { vec![self.identifier()?] };
            return if self.symbol(b')')? { Ok((Some(names), true)) } else { Err(self.unexpected()) };
        }
        if self.symbol(b')')? {
            return Ok((None, false));
        }
        Ok((Some(self.names()?), false))
    }

    /// `a, b)`.
    fn names(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        loop {
            let mut name = self.identifier()?;
            while self.symbol(b'.')? {
                name = format!("{name}.{}", self.identifier()?);
            }
            names.push(name);
            if names.len() > COLUMNS_MAX {
                return Err(Error::new(ErrorCode::SyntaxError, format!("More than {COLUMNS_MAX} columns")));
            }
            if self.symbol(b')')? {
                return Ok(names);
            }
            if !self.symbol(b',')? {
                return Err(self.unexpected());
            }
        }
    }

    /// `name = value, …`.
    fn settings(&mut self, into: &mut BTreeMap<String, String>) -> Result<()> {
        loop {
            let name = self.identifier()?;
            if !self.symbol(b'=')? {
                return Err(self.unexpected());
            }
            self.space()?;
            let value = if self.text.get(self.at) == Some(&b'\'') {
                String::from_utf8(self.quoted(b'\'')?).map_err(|_| self.unexpected())?
            } else {
                let rest = &self.text[self.at..];
                let length = rest
                    .iter()
                    .position(|b| !(is_word(*b) || matches!(b, b'.' | b'-' | b'+')))
                    .unwrap_or(rest.len());
                if length == 0 {
                    return Err(self.unexpected());
                }
                self.at += length;
                String::from_utf8_lossy(&rest[..length]).into_owned()
            };
            into.insert(name, value);
            if !self.symbol(b',')? {
                return Ok(());
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
