use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=xYz";

/// The parts of a form that comes in pieces of `piece` bytes.
fn read(content_type: &str, body: &[u8], piece: usize) -> Result<Vec<(PartHead, Vec<u8>)>> {
    let mut form = Multipart::of(content_type)?;
    let mut parts: Vec<(PartHead, Vec<u8>)> = Vec::new();
    let mut open = false;
    for bytes in body.chunks(piece) {
        form.push(bytes);
        while let Some(event) = form.event()? {
            match event {
                Event::Part(head) => {
                    assert!(!open, "a part begins within a part");
                    parts.push((head, Vec::new()));
                    open = true;
                }
                Event::Data(data) => {
                    assert!(open && !data.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(&data);
                }
                Event::End => {
                    assert!(open, "a part ends twice");
                    open = false;
                }
            }
        }
        let kept = form.buffer.len();
        assert!(kept <= FORM_HEAD_BYTES_MAX + piece + 80, "{kept} bytes are kept");
    }
    form.finish().map(|()| parts)
}

fn part(head: &str, data: &[u8]) -> Vec<u8> {
    [b"--xYz\r\nContent-Disposition: form-data; ", head.as_bytes(), b"\r\n\r\n", data, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--xYz--\r\n".to_vec()].concat()
}

fn head(name: &str, filename: Option<&str>) -> PartHead {
    PartHead { name: name.to_owned(), filename: filename.map(str::to_owned) }
}

fn sample() -> Vec<u8> {
    form(&[
        part("name=\"query\"", b"SELECT 1"),
        part("name=\"param_x\"", b""),
        part(
            "name=t; filename=\"a \\\"b\\\".tsv\"\r\nContent-Type: text/plain",
            b"1\r\n--xY\r\n\r\n--\r\nz\r\n",
        ),
        part("filename=f; name=\"u\"", &[0, 13, 10, 13, 10, 255]),
    ])
}

#[test]
fn every_cut_gives_the_same_parts() {
    let wanted = [
        (head("query", None), b"SELECT 1".to_vec()),
        (head("param_x", None), b"".to_vec()),
        (head("t", Some("a \"b\".tsv")), b"1\r\n--xY\r\n\r\n--\r\nz\r\n".to_vec()),
        (head("u", Some("f")), vec![0, 13, 10, 13, 10, 255]),
    ];
    for body in [sample(), [b"a preamble\r\n".to_vec(), sample(), b"an epilogue --xYz".to_vec()].concat()] {
        for piece in [1, 2, 3, 5, 7, 11, 64, 10_000] {
            assert_eq!(read(TYPE, &body, piece).unwrap(), wanted, "pieces of {piece}");
        }
    }
    assert!(read(TYPE, b"--xYz--", 1).unwrap().is_empty());
    assert_eq!(
        read(TYPE, b"--xYz  \r\nContent-disposition: x; name=a\r\n\r\n1\r\n--xYz--", 1).unwrap().len(),
        1
    );
}

#[test]
fn the_boundary_stands_in_the_content_type() {
    for content_type in
        ["multipart/form-data; boundary=\"xYz\"", "multipart/form-data; charset=utf-8; BOUNDARY=xYz ; a=b"]
    {
        assert_eq!(read(content_type, &sample(), 9).unwrap().len(), 4, "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"", &long]
    {
        assert_eq!(read(content_type, b"", 1).unwrap_err().code, ErrorCode::BadArguments, "{content_type}");
    }
}

#[test]
fn a_form_cut_at_any_byte_is_an_error() {
    let body = sample();
    let whole = body.len() - 2;
    for length in 0..whole {
        assert!(read(TYPE, &body[..length], 16).is_err(), "cut at {length}");
    }
    assert!(read(TYPE, &body[..whole], 16).is_ok());
}

#[test]
fn what_is_no_form_is_refused() {
    let endless = [b"--xYz\r\nA: ".to_vec(), vec![b'x'; 100_000]].concat();
    for (name, body) in [
        ("no name", part("a=b", b"1")),
        ("an empty name", part("name=\"\"", b"1")),
        ("no headers", b"--xYz\r\n\r\n1\r\n--xYz--".to_vec()),
        ("a line without a colon", b"--xYz\r\nnonsense\r\n\r\n1\r\n--xYz--".to_vec()),
        ("an endless head", endless),
        ("a longer boundary", b"--xYzz\r\nContent-Disposition: x; name=a\r\n\r\n1\r\n--xYz--".to_vec()),
        ("a head that is not UTF-8", part("name=\"\u{0}", b"").iter().map(|b| if *b == 0 { 0xFF } else { *b }).collect()),
        ("an encoded part", b"--xYz\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: x; name=a\r\n\r\nMQ==\r\n--xYz--".to_vec()),
    ] {
        assert_eq!(read(TYPE, &form(&[body]), 100).unwrap_err().code, ErrorCode::BadArguments, "{name}");
    }
    let noise = vec![b'-'; 1 << 20];
    assert_eq!(read(TYPE, &noise, 4_096).unwrap_err().code, ErrorCode::IncorrectData, "endless preamble");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_data_survives_a_form(data in vec(vec(any::<u8>(), 0..200), 0..5), piece in 1usize..50) {
        let holds = |data: &[u8]| memmem::find(data, b"--xYz").is_some();
        prop_assume!(!data.iter().any(|data| holds(data)));
        let parts: Vec<_> = data.iter().map(|data| part("name=a", data)).collect();
        let read: Vec<_> = read(TYPE, &form(&parts), piece).unwrap().into_iter().map(|(_, data)| data).collect();
        prop_assert_eq!(read, data);
    }

    #[test]
    fn no_body_breaks_the_parser(
        noise in vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), Just(b'Y'), Just(b'z'), any::<u8>()], 0..200),
        at in any::<u16>(),
        piece in 1usize..30,
    ) {
        let _ = read(TYPE, &noise, piece);
        let mut body = sample();
        let at = usize::from(at) % body.len();
        body.splice(at..at, noise);
        let _ = read(TYPE, &body, piece);
    }
}
