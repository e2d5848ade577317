//! Laws of the count.

use std::time::{Duration, Instant};

use zepto_common::ErrorCode;

use crate::planner::rewrite_tree;
use crate::statement;

fn taken(text: &str) -> bool {
    let tokens = statement::tokenize(text).expect("tokens");
    let tree = statement::query(tokens).unwrap_or_else(|error| panic!("{text}: {error}"));
    let started = Instant::now();
    let result = rewrite_tree(tree);
    assert!(started.elapsed() < Duration::from_secs(20), "{text}");
    match result {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, ErrorCode::TooBigAst, "{text}: {error}");
            false
        }
    }
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    format!("SELECT {}n{} FROM numbers(3) AS t(n)", open.repeat(levels), close.repeat(levels))
}

#[test]
fn what_grows_by_powers_is_refused_and_what_does_not_is_taken() {
    let growing = [
        ("coalesce(", ", 1)"),
        ("ifNull(", ", 1)"),
        ("nullIf(", ", 1)"),
        ("if(n = 1, ", ", 1)"),
        ("(SELECT ", ")"),
        ("arrayMap(x -> ", ", [1])"),
        ("CASE WHEN n = 1 THEN ", " ELSE 2 END"),
    ];
    for (open, close) in growing {
        assert!(taken(&nested(open, close, 6)), "{open}");
        assert!(!taken(&nested(open, close, 24)), "{open}");
    }
    for (open, close) in [
        ("if(n = 1, 1, ", ")"),
        ("multiIf(n = 1, 1, ", ")"),
        ("abs(", ")"),
        ("plus(1, ", ")"),
        ("length(toString(", "))"),
        ("(1 + ", ")"),
    ] {
        assert!(taken(&nested(open, close, 24)), "{open}");
    }
}

#[test]
fn names_that_stand_for_each_other_are_counted_as_often_as_they_are_put_in() {
    let aliases = |count: usize| {
        let more: Vec<String> = (1..count).map(|i| format!("a{} + a{} AS a{i}", i - 1, i - 1)).collect();
        format!("SELECT n + 1 AS a0, {} FROM numbers(3) AS t(n)", more.join(", "))
    };
    assert!(taken(&aliases(8)));
    assert!(!taken(&aliases(40)));
    let scalars = |count: usize| {
        let more: Vec<String> = (1..count).map(|i| format!("w{} + w{} AS w{i}", i - 1, i - 1)).collect();
        format!("WITH 1 + 1 AS w0, {} SELECT w{}", more.join(", "), count - 1)
    };
    assert!(taken(&scalars(8)));
    assert!(!taken(&scalars(40)));
    let tables = |count: usize| {
        let more: Vec<String> =
            (1..count).map(|i| format!("w{i} AS (SELECT l.n FROM w{} l, w{} r)", i - 1, i - 1)).collect();
        format!("WITH w0 AS (SELECT 1 + 1 AS n), {} SELECT n FROM w{}", more.join(", "), count - 1)
    };
    assert!(taken(&tables(8)));
    assert!(!taken(&tables(40)));
}

#[test]
fn long_lists_and_many_columns_are_no_reason() {
    let list: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    assert!(taken(&format!("SELECT n FROM numbers(3) AS t(n) WHERE n IN ({})", list.join(","))));
    let columns: Vec<String> = (0..1_000).map(|n| format!("n + {n} AS c{n}")).collect();
    assert!(taken(&format!("SELECT {} FROM numbers(3) AS t(n)", columns.join(","))));
}
