//! Reads the hostile requests. Their form is described in `tests/corpus/http/README.md`.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use zepto_harness::connection::percent_encode;

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// 4xx or 5xx with this ClickHouse code.
    Code(u32),
    /// 4xx or 5xx with some ClickHouse code.
    AnyCode,
    /// 4xx, 5xx, or no answer at all.
    Http,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// `file: name`.
    pub name: String,
    /// Its bytes, head and body.
    pub bytes: Vec<u8>,
    /// Whether the sending side is closed behind the bytes.
    pub ends_early: bool,
    /// What must come back.
    pub expected: Expected,
}

/// A case as it is written.
#[derive(Debug, Default)]
struct Written<'a> {
    name: &'a str,
    head: Vec<&'a str>,
    body: Vec<&'a str>,
    expected: Option<&'a str>,
}

/// All cases of all `.txt` files in a folder, by file name.
///
/// # Errors
/// When a file cannot be read; the message names the case.
pub fn load(folder: &Path) -> Result<Vec<Case>> {
    let mut files: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        cases.extend(parse(&stem, &text)?);
    }
    Ok(cases)
}

/// The cases of one file.
fn parse(file: &str, text: &str) -> Result<Vec<Case>> {
    let mut written: Vec<Written<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("== ") {
            written.push(Written { name, ..Written::default() });
            continue;
        }
        let Some(case) = written.last_mut() else { continue };
        match line.split_at_checked(1).unwrap_or((line, "")) {
            (">", rest) => case.head.push(rest.trim()),
            ("|", rest) => case.body.push(rest.strip_prefix(' ').unwrap_or(rest)),
            ("<", rest) => case.expected = Some(rest.trim()),
            ("", _) => {}
            _ => bail!("{file}.txt:{}: `{line}` is no part of a case", number + 1),
        }
    }
    let cases = written.iter().map(|case| {
        build(case, &format!("{file}: {}", case.name)).with_context(|| format!("{file}.txt: {}", case.name))
    });
    cases.collect()
}

fn build(written: &Written<'_>, name: &str) -> Result<Case> {
    let expected = match written.expected {
        None | Some("any") => Expected::AnyCode,
        Some("http") => Expected::Http,
        Some(code) => Expected::Code(code.parse().context("an expected code is a number")?),
    };
    let mut body = unescape(&written.body.join("\n"))?;
    let mut case = Case { name: name.to_owned(), bytes: Vec::new(), ends_early: false, expected };
    if written.head.first() == Some(&"RAW") {
        case.bytes = body;
        return Ok(case);
    }
    let (mut first, mut headers) = ("POST /".to_owned(), String::from("Host: zeptodb\r\n"));
    let mut missing = 0;
    for line in &written.head {
        if let Some(coding) = line.strip_prefix("PACK ") {
            body = pack(coding, &body)?;
            headers += &format!("Content-Encoding: {coding}\r\n");
        } else if let Some(bytes) = line.strip_prefix("CUT ") {
            missing = bytes.parse::<u64>().context("CUT wants a number of bytes")?;
            case.ends_early = true;
        } else if line.starts_with("INSERT ") {
            first = format!("POST /?query={}", percent_encode(line));
        } else if let Some((header, value)) = line.split_once(": ") {
            headers += &format!("{header}: {}\r\n", String::from_utf8(unescape(value)?)?);
        } else {
            first = String::from_utf8(unescape(line)?)?;
        }
    }
    let length = body.len() as u64 + missing;
    case.bytes = format!("{first} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    case.bytes.append(&mut body);
    Ok(case)
}

fn pack(coding: &str, body: &[u8]) -> Result<Vec<u8>> {
    match coding {
        "gzip" => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(body)?;
            Ok(packer.finish()?)
        }
        "zstd" => Ok(zstd::encode_all(body, 1)?),
        other => bail!("cannot pack as {other}"),
    }
}

/// Undoes `\n \r \t \0 \\ \xHH` and writes `{{N*text}}` out.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '{']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(repeat) = rest.strip_prefix("{{") {
            let (repeat, after) = repeat.split_once("}}").context("{{ without }}")?;
            let (times, what) = repeat.split_once('*').context("{{N*text}}")?;
            out.extend(unescape(what)?.repeat(times.parse().context("{{N*text}} wants a number")?));
            rest = after;
        } else if rest.starts_with('{') {
            out.push(b'{');
            rest = &rest[1..];
        } else {
            let (byte, length) = escape(rest)?;
            out.push(byte);
            rest = &rest[length..];
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// The byte of the escape at the start, and the escape's length.
fn escape(text: &str) -> Result<(u8, usize)> {
    Ok(match text.as_bytes().get(1) {
        Some(b'n') => (b'\n', 2),
        Some(b'r') => (b'\r', 2),
        Some(b't') => (b'\t', 2),
        Some(b'0') => (0, 2),
        Some(b'\\') => (b'\\', 2),
        Some(b'x') => {
            let digits = text.get(2..4).context("\\x wants two digits")?;
            (u8::from_str_radix(digits, 16).context("\\x wants two digits")?, 4)
        }
        _ => {
            ensure!(!text.is_empty(), "nothing to undo");
            bail!("an unknown escape: {}", text.chars().take(4).collect::<String>())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_repetitions_are_written_out() {
        assert_eq!(unescape("a\\n\\x41{\\0}\\\\{{3*xy}}").expect("well formed"), b"a\nA{\0}\\xyxyxy");
        assert!(unescape("\\q").is_err());
        assert!(unescape("{{3*").is_err());
    }

    #[test]
    fn a_case_becomes_a_request() {
        let text = "Words.\n\n== one\n> INSERT INTO t FORMAT CSV\n> X-A: b\n| 1\n| 2\n< 27\n\n== two\n> CUT 5\n| x\n< http\n";
        let cases = parse("f", text).expect("well formed");
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].expected, Expected::Code(27));
        let request = String::from_utf8(cases[0].bytes.clone()).expect("text");
        assert!(
            request.starts_with("POST /?query=INSERT%20INTO%20t%20FORMAT%20CSV HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.ends_with("X-A: b\r\nContent-Length: 3\r\n\r\n1\n2"), "{request}");
        assert!(cases[1].ends_early);
        assert!(String::from_utf8_lossy(&cases[1].bytes).contains("Content-Length: 6\r\n"));
    }

    #[test]
    fn a_line_that_belongs_to_nothing_is_an_error() {
        assert!(parse("f", "== one\nwhat is this\n").is_err());
    }
}
