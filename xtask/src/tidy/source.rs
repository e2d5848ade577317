//! A look at Rust source that is just deep enough to count: what is code, what is text, where the tests begin.

/// The source with comments and the insides of literals blanked out; every line stays where it is.
pub(super) fn blanked(text: &str) -> String {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0, out: Vec::with_capacity(text.len()) };
    while scanner.at < scanner.text.len() {
        scanner.step();
    }
    String::from_utf8_lossy(&scanner.out).into_owned()
}

/// The part before an inline test module (`#[cfg(test)]` followed by `mod x {`); all of it when there is none.
pub(super) fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let cut = lines.windows(2).position(|pair| {
        let module = pair[1].trim_start();
        pair[0] == "#[cfg(test)]" && module.starts_with("mod ") && module.ends_with('{')
    });
    lines[..cut.unwrap_or(lines.len())].join("\n")
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Scanner<'_> {
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            self.blank(end);
        } else if rest.starts_with(b"/*") {
            self.blank(block_comment(rest));
        } else if let Some(length) = raw_string(rest).filter(|_| !self.in_word()) {
            self.blank(length);
        } else if rest[0] == b'"' {
            self.blank(quoted(rest, b'"'));
        } else if rest[0] == b'\'' && is_character(rest) {
            self.blank(quoted(rest, b'\''));
        } else {
            self.out.push(rest[0]);
            self.at += 1;
        }
    }

    /// Whether the byte before belongs to a word, so that the `r` here begins no raw string.
    fn in_word(&self) -> bool {
        self.at > 0 && (self.text[self.at - 1].is_ascii_alphanumeric() || self.text[self.at - 1] == b'_')
    }

    fn blank(&mut self, length: usize) {
        let end = (self.at + length.max(1)).min(self.text.len());
        let blanks = self.text[self.at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' });
        self.out.extend(blanks);
        self.at = end;
    }
}

/// Length of a block comment, which may hold others.
fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < rest.len() && depth > 0 {
        if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    at
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` at the start, if one is there.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = usize::from(rest[0] == b'b' || rest[0] == b'c');
    if rest.get(prefix) != Some(&b'r') {
        return None;
    }
    let hashes = rest[prefix + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + 1 + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = &rest[open + 1..];
    let end = body.windows(close.len()).position(|window| window == close).unwrap_or(body.len());
    Some((open + 1 + end + close.len()).min(rest.len()))
}

/// Length of a literal in quotes with backslash escapes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether a quote begins a character and not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(byte) if byte.is_ascii() => rest.get(2) == Some(&b'\''),
        Some(_) => rest.iter().skip(2).take(4).any(|byte| *byte == b'\''),
        None => false,
    }
}
