//! A result that broke off ends with the exception inside the format: the bytes are those that ClickHouse's own test
//! (02841, "Several blocks") expects of its server.

use zepto_formats::{Format, FormatSettings, encoder};

use super::support::{read, settings, table};

const COLUMNS: &str = "number UInt64, res UInt8";
const TEXT: &str = "Code: 395. DB::Exception: a/b is \"non-zero\". (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)";
const JSON_TEXT: &str =
    r#""Code: 395. DB::Exception: a\/b is \"non-zero\". (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)""#;

const META: &str = "{\n\t\"meta\":\n\t[\n\t\t{\n\t\t\t\"name\": \"number\",\n\t\t\t\"type\": \"UInt64\"\n\t\t},\n\t\t{\n\t\t\t\"name\": \"res\",\n\t\t\t\"type\": \"UInt8\"\n\t\t}\n\t],\n\n\t\"data\":\n\t[\n";

/// A result of `rows` rows in this format that then broke off.
fn broken(name: &str, rows: usize, extra: &[&str]) -> String {
    let table = table(COLUMNS);
    let on = |name: &&str| ((*name).to_owned(), "1".to_owned());
    let settings =
        settings(&extra.iter().chain(&["output_format_json_quote_64bit_integers"]).map(on).collect());
    let format = Format::parse(name).unwrap();
    let mut writer = encoder(format, table.query_schema(), &settings).unwrap();
    let mut out = Vec::new();
    writer.begin(&mut out).unwrap();
    let values: Vec<String> = (0..rows).map(|number| format!("({number}, 0)")).collect();
    for batch in read(Format::Values, &table, &settings, values.join(",").as_bytes()).unwrap() {
        writer.batch(&batch, &mut out).unwrap();
    }
    writer.exception(TEXT, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn documents_end_with_the_member_exception_and_without_statistics() {
    let end = |rows: usize| format!("\n\t],\n\n\t\"rows\": {rows},\n\n\t\"exception\": {JSON_TEXT}\n}}\n");
    for (name, rows) in [
        (
            "JSON",
            "\t\t{\n\t\t\t\"number\": \"0\",\n\t\t\t\"res\": 0\n\t\t},\n\t\t{\n\t\t\t\"number\": \"1\",\n\t\t\t\"res\": 0\n\t\t}",
        ),
        ("JSONCompact", "\t\t[\"0\", 0],\n\t\t[\"1\", 0]"),
        (
            "JSONStrings",
            "\t\t{\n\t\t\t\"number\": \"0\",\n\t\t\t\"res\": \"0\"\n\t\t},\n\t\t{\n\t\t\t\"number\": \"1\",\n\t\t\t\"res\": \"0\"\n\t\t}",
        ),
        ("JSONCompactStrings", "\t\t[\"0\", \"0\"],\n\t\t[\"1\", \"0\"]"),
    ] {
        assert_eq!(broken(name, 2, &[]), format!("{META}{rows}{}", end(2)), "{name}");
        assert_eq!(broken(name, 0, &[]), format!("{META}{}", end(0)), "{name}");
    }
}

#[test]
fn rows_end_with_an_object_or_a_lone_text() {
    let object = format!("{{\"exception\": {JSON_TEXT}}}");
    for (name, extra, lines) in [
        ("JSONEachRow", &[][..], format!("{{\"number\":\"0\",\"res\":0}}\n{object}\n")),
        ("JSONStringsEachRow", &[], format!("{{\"number\":\"0\",\"res\":\"0\"}}\n{object}\n")),
        (
            "JSONEachRow",
            &["output_format_json_array_of_rows"],
            format!("[\n{{\"number\":\"0\",\"res\":0}},\n{object}\n]\n"),
        ),
        ("JSONCompactEachRow", &[], format!("[\"0\", 0]\n[{JSON_TEXT}]\n")),
        ("JSONCompactStringsEachRow", &[], format!("[\"0\", \"0\"]\n[{JSON_TEXT}]\n")),
        ("JSONCompactEachRowWithNames", &[], format!("[\"number\", \"res\"]\n[\"0\", 0]\n[{JSON_TEXT}]\n")),
        (
            "JSONCompactStringsEachRowWithNamesAndTypes",
            &[],
            format!("[\"number\", \"res\"]\n[\"UInt64\", \"UInt8\"]\n[\"0\", \"0\"]\n[{JSON_TEXT}]\n"),
        ),
    ] {
        assert_eq!(broken(name, 1, extra), lines, "{name}");
    }
    let alone = broken("JSONEachRow", 0, &["output_format_json_array_of_rows"]);
    assert_eq!(alone, format!("[\n{object}\n]\n"));
}

#[test]
fn a_format_tells_an_exception_exactly_where_it_says_so() {
    for format in Format::ALL.iter().filter(|format| format.can_write()) {
        let mut writer = encoder(*format, table(COLUMNS).query_schema(), &FormatSettings::default()).unwrap();
        let mut out = Vec::new();
        writer.exception(TEXT, &mut out);
        assert_eq!(!out.is_empty(), format.holds_exceptions(), "{}", format.name());
    }
}
