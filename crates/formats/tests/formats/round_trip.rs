//! What a format wrote, it reads back.

use proptest::prelude::*;
use zepto_formats::{Format, FormatSettings};

use super::support::{read, table, write};

/// One column of every type.
pub(crate) const TABLE: &str = "a Int8, b Int16, c Int32, d Int64, e UInt8, f UInt16, g UInt32, h UInt64, \
    i Float32, j Float64, k Bool, l String, m LowCardinality(String), n Date, o DateTime('UTC'), p DateTime64(3,'UTC'), \
    q DateTime64(9,'Europe/Berlin'), r UUID, s Decimal(18,4), t Array(Nullable(Int32)), u Array(String), v Map(String,Int64), \
    w Nullable(Int64), x Nullable(String), y LowCardinality(Nullable(String)), z DateTime64(9)";

/// Rows of [`TABLE`].
pub(crate) const ROWS: &str = r"(-128,-32768,7,-9223372036854775808,255,65535,9,18446744073709551615,1.5,1e300,true,'a\tb\n\\c\'d,e ü€😀','sym','2024-01-02','2024-01-02 03:04:05','2024-01-02 03:04:05.678','2024-07-02 03:04:05.123456789','61f0c404-5cb3-11e7-907b-a6006ad3dba0',-12.5,[1,NULL,-3],['x','y\'z','\n'],{'k':1,'l\'':2},NULL,NULL,NULL,'1960-01-01 00:00:00.000000001'),
(0,0,0,0,0,0,0,0,0,-0.0,false,'','','1970-01-01','1970-01-01 00:00:00','1970-01-01 00:00:00','1970-01-01 00:00:00','00000000-0000-0000-0000-000000000000',0,[],[],{},0,'','',0),
(1,2,3,4,5,6,7,8,0.1,0.1,true,'NULL','\\N','2149-06-06','2106-02-07 06:28:15','2024-12-31 23:59:59.999','2024-10-27 03:30:00.5','ffffffff-ffff-ffff-ffff-ffffffffffff',99999999999999.9999,[NULL],[''],{'':0},-1,'NULL','x','2262-04-11 23:47:16')";

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-zA-Z0-9]{0,12}",
        any::<String>().prop_map(|s| s.chars().take(20).collect()),
        "[\\\\'\"\t\n\r,\\[\\]{}:N/ \u{0}\u{7f}é€]{0,12}",
        Just("\\N".to_owned()),
        Just("NULL".to_owned()),
        Just(" lead and trail ".to_owned()),
    ]
}

/// A VALUES literal.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn float() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:e}")),
        (-1_000_000i64..1_000_000, 0u32..7).prop_map(|(n, d)| format!("{}", n as f64 / 10f64.powi(d as i32))),
    ]
}

fn maybe(of: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    prop_oneof![Just("NULL".to_owned()), of]
}

fn list(of: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    prop::collection::vec(of, 0..4).prop_map(|items| format!("[{}]", items.join(",")))
}

fn row() -> impl Strategy<Value = String> {
    let numbers = (
        any::<i8>(),
        any::<i16>(),
        any::<i32>(),
        any::<i64>(),
        any::<u8>(),
        any::<u16>(),
        any::<u32>(),
        any::<u64>(),
    );
    let numbers = numbers.prop_map(|(a, b, c, d, e, f, g, h)| format!("{a},{b},{c},{d},{e},{f},{g},{h}"));
    let small = any::<f32>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:e}"));
    let times = (0u32..65_000, 0u32.., 0i64..4_000_000_000_000, any::<i64>(), any::<i64>());
    let times = times.prop_map(|(n, o, p, q, z)| {
        // Zones repeat an hour each year, which text cannot tell apart: UTC seconds outside summer are kept.
        let winter = q.rem_euclid(50 * 86_400 * 1_000_000_000) + 1_700_000_000_000_000_000;
        (
            format!("{n},{o},{}.{:03},'{}'", p / 1000, p % 1000, winter),
            format!("'{}'", z.unsigned_abs() % 8_000_000_000_000_000_000 + 1_000_000_000_000_000_000),
        )
    });
    let values = (
        numbers,
        small,
        float(),
        any::<bool>(),
        text(),
        text(),
        times,
        any::<u128>(),
        -99_999_999i64..99_999_999,
    );
    let rest = (
        list(maybe(any::<i32>().prop_map(|n| n.to_string()))),
        list(text().prop_map(|t| quote(&t))),
        prop::collection::btree_map(text(), any::<i64>(), 0..3),
        maybe(any::<i64>().prop_map(|n| n.to_string())),
        maybe(text().prop_map(|t| quote(&t))),
        maybe(text().prop_map(|t| quote(&t))),
    );
    (values, rest).prop_map(|((n, i, j, k, l, m, (times, last), id, s), (t, u, v, w, x, y))| {
        let id = uuid::Uuid::from_u128(id);
        let v: Vec<String> = v.iter().map(|(key, value)| format!("{}:{value}", quote(key))).collect();
        let (l, m, v) = (quote(&l), quote(&m), v.join(","));
        let s = format!("{}.{:04}", s / 100, (s % 100).abs());
        format!("({n},{i},{j},{k},{l},{m},{times},'{id}',{s},{t},{u},{{{v}}},{w},{x},{y},{last})")
    })
}

fn round_trips(rows: &str) {
    let table = table(TABLE);
    let settings = FormatSettings::default();
    let first = read(Format::Values, &table, &settings, rows.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {rows}"));
    for format in Format::ALL.iter().copied().filter(|format| format.can_read() && format.can_write()) {
        // Text that looks like NULL, a tab or a line end does not survive these.
        if format.name().contains("Raw") || format.name().contains("Strings") {
            continue;
        }
        let data = write(format, &table, &settings, &first);
        let again = read(format, &table, &settings, &data);
        let again = again
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", format.name(), String::from_utf8_lossy(&data)));
        assert_eq!(again.len(), first.len(), "{}", format.name());
        for (again, first) in again.iter().zip(&first) {
            for (at, (again, first)) in again.columns().iter().zip(first.columns()).enumerate() {
                let name = &table.columns[at].name;
                assert_eq!(
                    again,
                    first,
                    "{} column {name}\n{}",
                    format.name(),
                    String::from_utf8_lossy(&data)
                );
            }
        }
    }
}

#[test]
fn the_example_rows_survive_every_format() {
    round_trips(ROWS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_survive_every_format(rows in prop::collection::vec(row(), 1..5)) {
        round_trips(&rows.join(",\n"));
    }
}

#[test]
fn denormals_survive_every_text_and_binary_format() {
    let table = table("a Float64, b Float32");
    let settings = FormatSettings { quote_denormals: true, ..FormatSettings::default() };
    let first = read(Format::Values, &table, &settings, b"(nan,inf),(-inf,nan),(inf,-inf)").unwrap();
    let wanted = write(Format::TabSeparated, &table, &settings, &first);
    for format in Format::ALL.iter().copied().filter(|format| format.can_read() && format.can_write()) {
        let data = write(format, &table, &settings, &first);
        let again = read(format, &table, &settings, &data).unwrap();
        assert_eq!(write(Format::TabSeparated, &table, &settings, &again), wanted, "{}", format.name());
    }
}
