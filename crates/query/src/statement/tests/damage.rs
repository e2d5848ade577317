//! Damaged statements are parsed or refused, never worse. A soak asks for more rounds and for other seeds.

use super::*;

/// Statements that are right, and statements that are wrong.
const CORPORA: &[&str] = &[
    include_str!("../../../../../tests/slt/queries.slt"),
    include_str!("../../../../../tests/slt/timeseries.slt"),
    include_str!("../../../../../tests/slt/literals.slt"),
    include_str!("../../../../../tests/corpus/http/statements.txt"),
    include_str!("../../../../../tests/corpus/http/values.txt"),
];
/// Damaged forms of each line in one round.
const FORMS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name).map(|text| text.to_string_lossy().parse().expect("a number"))
}

#[test]
fn damaged_statements_are_parsed_or_refused() {
    let factor = number("ZEPTO_TEST_FACTOR").unwrap_or(1).max(1);
    let seed = number("ZEPTO_TEST_SEED").unwrap_or(0x9E37_79B9_7F4A_7C15).max(1);
    let mut state = seed;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below.max(1)
    };
    let lines = CORPORA.iter().flat_map(|text| text.lines());
    let lines: Vec<&str> =
        lines.map(|line| line.trim_start_matches("| ")).filter(|line| line.len() > 3).collect();
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
    let mut count = 0u64;
    for line in &lines {
        for _ in 0..FORMS * factor {
            let mut sql: Vec<char> = line.chars().collect();
            for _ in 0..=next(3) {
                let at = next(sql.len());
                match next(5) {
                    0 => sql.truncate(at),
                    1 => drop(sql.drain(at..(at + next(4)).min(sql.len()))),
                    2 => sql.insert(
                        at,
                        ['\'', '"', '`', '(', ')', '{', ';', '\\', '-', '/', '*', '\0', 'é'][next(13)],
                    ),
                    3 => drop(sql.splice(at..at, words[next(words.len())].chars().chain([' ']))),
                    _ => {
                        let part: Vec<char> = sql[at..].to_vec();
                        sql.extend(part);
                    }
                }
            }
            let sql: String = sql.into_iter().collect();
            count += 1;
            let outcome = std::panic::catch_unwind(|| {
                if let Ok(Parsed { statement: Statement::Query(tokens), .. }) = parse(&sql, &Params::new()) {
                    let _parsed_or_refused = query(tokens);
                }
                split_statements(&sql).len()
            });
            assert!(outcome.is_ok(), "seed {seed}: {sql:?}");
        }
    }
    println!("{count} damaged statements, seed {seed}");
}
