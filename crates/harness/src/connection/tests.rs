use std::io::Read;

use super::*;

/// Gives out its bytes a few at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(out.len()).min(self.0.len());
        out[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

const TWO: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n\
    HTTP/1.1 100 Continue\r\n\r\n\
    HTTP/1.1 404 Not Found\r\nX-ClickHouse-Exception-Code: 60\r\nContent-Length: 4\r\n\r\nnone";

#[test]
fn answers_are_read_whole_however_the_bytes_arrive() {
    for step in [1, 2, 7, 4096] {
        let (mut reader, mut from) = (ReplyReader::default(), Drops(TWO, step));
        let first = reader.read(&mut from).expect("the first answer is whole");
        assert_eq!((first.status, first.text().as_str()), (200, "abcde"));
        let second = reader.read(&mut from).expect("the second answer is whole");
        assert_eq!((second.status, second.text().as_str()), (404, "none"));
        assert_eq!(second.exception_code(), Some(60));
    }
}

#[test]
fn a_cut_answer_is_an_error_and_never_a_shorter_answer() {
    let whole = TWO.len();
    let first =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n".len();
    for end in (0..first).chain(first + 30..whole) {
        let (mut reader, mut from) = (ReplyReader::default(), Drops(&TWO[..end], 5));
        let both = reader.read(&mut from).and_then(|_| reader.read(&mut from));
        assert!(both.is_err(), "cut at {end}");
    }
}

#[test]
fn statements_are_encoded_for_urls() {
    assert_eq!(percent_encode("a b'~ü"), "a%20b%27~%C3%BC");
}

#[test]
fn an_answer_is_parsed_when_its_last_byte_has_come_and_not_before() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    for end in 0..whole.len() {
        assert_eq!(Response::parse(&whole[..end]).expect("so far it is HTTP"), None, "{end} bytes");
    }
    let response = Response::parse(whole).expect("it is HTTP").expect("it is whole");
    assert_eq!((response.status, response.text().as_str()), (200, "abc"));
    assert!(Response::parse(b"GET / HTTP/1.1\r\n\r\n").is_err());
}

#[test]
fn a_body_that_is_handed_on_is_the_one_that_is_read_and_a_cut_one_is_an_error() {
    for end in 0..=TWO.len() {
        for step in [1, 3, 4096] {
            let (mut reader, mut from) = (ReplyReader::default(), Drops(&TWO[..end], step));
            let mut body = Vec::new();
            let passed = reader.pass(&mut from, |part| body.extend_from_slice(part));
            let read = ReplyReader::default().read(&mut Drops(&TWO[..end], step));
            match (passed, read) {
                (Ok(passed), Ok(read)) => {
                    assert_eq!((passed.status, &body, passed.body.is_empty()), (200, &read.body, true));
                    // The next answer on the connection is left as it is, and an error's words are kept.
                    if end == TWO.len() {
                        let next = reader.pass(&mut from, |_| panic!("an error has no rows"));
                        assert_eq!(next.expect("it is whole").text(), "none");
                    }
                }
                (Err(_), Err(_)) => {}
                (passed, read) => panic!("cut at {end}: {passed:?}, {read:?}"),
            }
        }
    }
}
