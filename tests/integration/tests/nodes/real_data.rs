//! The example data, loaded over HTTP, and the answers that DuckDB gave to the same questions.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_harness::{Connection, Request};
use zepto_integration::place::project_file;

const TABLES: [(&str, &str); 2] = [
    (
        "departures",
        "ts DateTime64(9), origin LowCardinality(String), dest LowCardinality(String), carrier LowCardinality(String), \
         flight Int32, tailnum Nullable(String), dep_delay Nullable(Int16), arr_delay Nullable(Int16), \
         air_time Nullable(Int16), distance Int16",
    ),
    (
        "weather",
        "ts DateTime64(9), origin LowCardinality(String), temp Nullable(Float64), dewp Nullable(Float64), \
         humid Nullable(Float64), wind_dir Nullable(Int16), wind_speed Nullable(Float64), wind_gust Nullable(Float64), \
         precip Float64, pressure Nullable(Float64), visib Float64",
    ),
];

/// The question of expected.json, in our dialect.
const QUESTIONS: [(&str, &str); 6] = [
    (
        "rows",
        "SELECT count() AS n, count(dep_delay) AS departed, count(DISTINCT tailnum) AS aircraft, \
         toDateTime(min(ts)) AS first, toDateTime(max(ts)) AS last FROM departures",
    ),
    (
        "delay_by_origin",
        "SELECT origin, count() AS n, round(avg(dep_delay), 6) AS mean_delay, max(dep_delay) AS worst \
         FROM departures GROUP BY origin ORDER BY origin",
    ),
    (
        "busiest_hours_JFK",
        "SELECT toStartOfHour(ts) AS h, count() AS n, sum(dep_delay) AS delay FROM departures \
         WHERE origin = 'JFK' GROUP BY h ORDER BY n DESC, h LIMIT 5",
    ),
    (
        "latest_per_origin",
        "SELECT origin, toDateTime(ts) AS ts FROM weather LATEST ON ts PARTITION BY origin ORDER BY origin",
    ),
    (
        "asof_wind",
        "SELECT d.origin AS origin, count() AS n, count(w.wind_speed) AS matched, \
         round(avgIf(d.dep_delay, w.wind_speed >= 20), 6) AS windy, \
         round(avgIf(d.dep_delay, w.wind_speed < 5), 6) AS calm \
         FROM departures AS d ASOF LEFT JOIN weather AS w ON d.origin = w.origin AND d.ts >= w.ts \
         GROUP BY origin ORDER BY origin",
    ),
    (
        "daily_ohlc_temp_JFK",
        "SELECT toDate(ts) AS day, first(temp, ts) AS open, max(temp) AS high, min(temp) AS low, last(temp, ts) AS close \
         FROM weather WHERE origin = 'JFK' AND ts >= '2013-07-01' AND ts < '2013-07-04' GROUP BY day ORDER BY day",
    ),
];

#[test]
fn real_data_give_the_answers_that_another_engine_gave() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    for (table, columns) in TABLES {
        load(&mut connection, table, columns)?;
    }
    check_all(&mut connection).context("as loaded")?;
    node.kill()?;
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    check_all(&mut connection).context("after kill -9")?;
    for (table, _) in TABLES {
        connection.query(&format!("OPTIMIZE TABLE {table}"))?;
    }
    check_all(&mut connection).context("after OPTIMIZE")?;
    ensure!(node.terminate()?.success());
    let node = place.launch().start()?;
    check_all(&mut node.connect()?).context("after an orderly restart")
}

fn load(connection: &mut Connection, table: &str, columns: &str) -> Result<()> {
    connection
        .query(&format!("CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY (origin, ts)"))?;
    let rows = fs::read(project_file(&format!("examples/data/{table}.parquet")))?;
    let response = connection.send(&Request::insert(&format!("INSERT INTO {table} FORMAT Parquet"), rows))?;
    ensure!(response.status == 200, "{}: {}", response.status, response.text());
    Ok(())
}

fn check_all(connection: &mut Connection) -> Result<()> {
    let expected: Value = serde_json::from_slice(&fs::read(project_file("examples/data/expected.json"))?)?;
    let known = expected.as_object().context("expected.json is an object")?;
    ensure!(known.len() == QUESTIONS.len(), "every answer of expected.json has its question here");
    for (name, sql) in QUESTIONS {
        let want = &known.get(name).with_context(|| format!("expected.json has {name}"))?["rows"];
        let answer: Value = serde_json::from_str(&connection.query(&format!("{sql} FORMAT JSONCompact"))?)?;
        ensure!(same(want, &answer["data"]), "{name}: {sql}\nexpected {want}\nanswered {}", answer["data"]);
    }
    Ok(())
}

/// Equal, numbers to six digits behind the point.
fn same(want: &Value, have: &Value) -> bool {
    match (want, have) {
        (Value::Array(want), Value::Array(have)) => {
            want.len() == have.len() && want.iter().zip(have).all(|(want, have)| same(want, have))
        }
        (Value::Number(want), Value::Number(have)) => match (want.as_f64(), have.as_f64()) {
            (Some(want), Some(have)) => (want - have).abs() <= 1e-6,
            _ => false,
        },
        _ => want == have,
    }
}

#[test]
fn a_planted_wrong_answer_is_caught() {
    let want = serde_json::json!([["EWR", 120_835, 15.107_954]]);
    assert!(same(&want, &serde_json::json!([["EWR", 120_835, 15.107_954_4]])));
    for wrong in [
        serde_json::json!([["EWR", 120_836, 15.107_954]]),
        serde_json::json!([["EWR", 120_835, 15.107_964]]),
        serde_json::json!([["JFK", 120_835, 15.107_954]]),
        serde_json::json!([["EWR", "120835", 15.107_954]]),
        serde_json::json!([]),
    ] {
        assert!(!same(&want, &wrong), "{wrong}");
    }
}
