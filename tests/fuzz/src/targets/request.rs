//! What a request says besides rows: forms, heads of statements, URLs and headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use zepto_formats::FormatSettings;
use zepto_formats::insert::InsertHead;
use zepto_http::credentials::credentials;
use zepto_http::multipart::{Event, Multipart, PartHead};
use zepto_http::params::Parameters;
use zepto_http::settings::RequestSettings;
use zepto_http::statement::StatementKind;

use crate::target::Target;

pub(crate) fn all() -> Vec<Target> {
    vec![multipart(), statement_head(), url_and_headers()]
}

const FORM: &str = "multipart/form-data; boundary=xYz";

fn multipart() -> Target {
    let seed = b"\0--xYz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT * FROM t\r\n--xYz\r\n\
        Content-Disposition: form-data; name=\"t\"; filename=\"a\\\"b.csv\"\r\nContent-Type: text/plain\r\n\r\n1,2\r\n3,4\r\n--xYz--\r\n";
    Target {
        name: "multipart",
        seeds: vec![seed.to_vec()],
        words: vec![
            b"--xYz",
            b"\r\n--xYz\r\n",
            b"\r\n--xYz--",
            b"Content-Disposition:",
            b"form-data;",
            b" name=",
            b"filename*=UTF-8''",
            b"\r\n\r\n",
            b"\"",
        ],
        memory: 1 << 20,
        memory_per_byte: 16,
        run: Box::new(|_, data| {
            let (whole, cut) = (form(data, data.len().max(1)), form(data, data.len() / 7 + 1));
            assert_eq!(whole, cut, "a form depends on how it is cut");
        }),
    }
}

type Parts = Vec<(PartHead, Vec<u8>)>;

fn form(data: &[u8], piece: usize) -> Result<Parts, zepto_common::ErrorCode> {
    let read = || {
        let mut form = Multipart::of(FORM)?;
        let mut parts = Parts::new();
        for part in data.chunks(piece) {
            form.push(part);
            while let Some(event) = form.event()? {
                match event {
                    Event::Part(head) => parts.push((head, Vec::new())),
                    Event::Data(data) => parts.last_mut().map_or((), |part| part.1.extend_from_slice(&data)),
                    Event::End => {}
                }
            }
        }
        form.finish().map(|()| parts)
    };
    read().map_err(|error: zepto_common::Error| error.code)
}

fn statement_head() -> Target {
    let seeds: [&[u8]; 6] = [
        b"\0INSERT INTO db.t (a, `b c`, \"d\") SETTINGS async_insert = 1, x='y' FORMAT CSV\n1,2",
        b"\0insert into table t values (1)",
        b"\0/* note */ -- line\n WITH 1 AS x SELECT x",
        b"\0INSERT INTO t SELECT 1",
        b"\0SET max_threads = 1, a.b = 'c'",
        b"\0EXPLAIN SELECT 1 FORMAT JSON",
    ];
    Target {
        name: "statement_head",
        seeds: seeds.iter().map(|seed| seed.to_vec()).collect(),
        words: vec![
            b"INSERT INTO ",
            b"TABLE ",
            b"FUNCTION ",
            b"VALUES",
            b" FORMAT ",
            b" SETTINGS ",
            b"SELECT ",
            b"WITH ",
            b"/*",
            b"*/",
            b"--",
            b"`",
            b"\"",
            b"'",
            b"\\",
            b"(",
            b")",
            b",",
            b".",
            b"=",
            b";",
            b"\xC3\x28",
        ],
        memory: 1 << 20,
        memory_per_byte: 64,
        run: Box::new(|_, data| {
            let _ = (StatementKind::of(data), StatementKind::is_of_session(data));
            if let Ok(Some(head)) = InsertHead::parse(data) {
                assert!(head.data_offset <= data.len(), "the data starts behind the end");
            }
        }),
    }
}

/// Headers that a request may have, by the lines before the first empty one; the URL's query is the rest.
const HEADERS: [&str; 5] = [
    "authorization",
    "x-clickhouse-user",
    "x-clickhouse-key",
    "x-clickhouse-database",
    "x-clickhouse-format",
];

fn url_and_headers() -> Target {
    let seeds: [&[u8]; 4] = [
        b"\0query=SELECT%20%7Ba%3AUInt8%7D&param_a=1&max_execution_time=1.5&wait_end_of_query=1",
        b"\x01Basic ZGVmYXVsdDo=\ndatabase=d&default_format=JSON&session_id=s&compress=1",
        b"\x02name\nparam_x=%5B'a\\tb','\\\\N'%5D&send_progress_in_http_headers=1&http_headers_progress_interval_ms=7",
        b"\x01Bearer k\nformat_csv_delimiter=%3B&output_format_json_quote_64bit_integers=0&client_protocol_version=54460",
    ];
    Target {
        name: "url_and_headers",
        seeds: seeds.iter().map(|seed| seed.to_vec()).collect(),
        words: vec![
            b"%",
            b"%00",
            b"%FF",
            b"+",
            b"&",
            b"=",
            b"param_",
            b"param_a=\\N",
            b"max_execution_time=",
            b"1e400",
            b"-1",
            b"nan",
            b"18446744073709551616",
            b"insert_deduplication_token=",
            b"Basic ",
            b"Bearer ",
            b"buffer_size=",
            b"readonly=2",
            b"\\x",
        ],
        memory: 2 << 20,
        memory_per_byte: 512,
        run: Box::new(|choice, data| {
            let text = String::from_utf8_lossy(data);
            let (header, query) = match usize::from(choice) % (HEADERS.len() + 1) {
                0 => (None, &text[..]),
                which => match text.split_once('\n') {
                    Some((header, query)) => (Some((HEADERS[which - 1], header)), query),
                    None => (None, &text[..]),
                },
            };
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header
                && let Ok(value) = HeaderValue::from_str(value)
            {
                headers.insert(HeaderName::from_static(name), value);
            }
            let Ok(parameters) = Parameters::parse(query) else { return };
            let _ = credentials(&headers, &parameters);
            if let Ok(settings) = RequestSettings::read(&parameters, &headers, &["query"]) {
                let _ = settings.params_for("SELECT {a:Array(String)}, {x:UInt8}");
                let _ = FormatSettings::from_map(&settings.settings);
            }
        }),
    }
}
