//! Three nodes answer as one does: every statement of the .slt files at both.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqllogictest::{DefaultColumnType, Record};
use zepto_common::Error;

use super::cluster::Cluster;
use super::database::Database;
use super::goldens::{cases, prepared_statements};

/// Nodes.
const NODES: u32 = 3;
/// How much of a number its last digits are.
const LAST_DIGITS: f64 = 1e-12;

/// What was compared.
#[derive(Default)]
pub(super) struct Compared {
    statements: usize,
    /// Queries that gave rows.
    answers: usize,
    /// Equal but for the order of rows, of a query without ORDER BY.
    other_order: usize,
    /// Equal but for the last digits of numbers, which depend on the order of addition.
    last_digits: usize,
    /// Refused with the same words.
    refused: usize,
    different: Vec<String>,
    fragments: usize,
    /// Rows that went from node to node.
    pub(super) shipped: usize,
}

pub(super) type Told = Result<Option<String>, Error>;

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Whether two answers differ in the last digits of fractions at most.
fn are_close(one: &str, three: &str) -> bool {
    let cells = |text: &str| -> Vec<String> { text.split(['\t', '\n']).map(str::to_owned).collect() };
    let (one, three) = (cells(one), cells(three));
    one.len() == three.len()
        && one.iter().zip(&three).all(|(one, three)| {
            one == three
                || match (one.parse::<f64>(), three.parse::<f64>()) {
                    (Ok(one), Ok(three)) => (one - three).abs() <= LAST_DIGITS * one.abs().max(three.abs()),
                    _ => false,
                }
        })
}

/// Whether the statement says in which order it wants its rows.
fn is_ordered(sql: &str) -> bool {
    sql.to_ascii_uppercase().contains("ORDER BY")
}

impl Compared {
    pub(super) fn take(&mut self, sql: &str, one: Told, three: Told) {
        self.statements += 1;
        match (&one, &three) {
            (Ok(one), Ok(three)) if one == three => self.answers += usize::from(one.is_some()),
            (Ok(Some(one)), Ok(Some(three))) if !is_ordered(sql) && sorted(one) == sorted(three) => {
                self.answers += 1;
                self.other_order += 1;
            }
            (Ok(Some(one)), Ok(Some(three))) if are_close(one, three) => {
                self.answers += 1;
                self.last_digits += 1;
            }
            (Err(one), Err(three))
                if one.code == three.code && unmeasured(&one.message) == unmeasured(&three.message) =>
            {
                self.refused += 1;
            }
            _ => self.different.push(format!("{sql}\n  one:   {one:?}\n  three: {three:?}")),
        }
    }

    pub(super) fn end(&mut self, cluster: &Cluster) {
        self.fragments += cluster.world.fragments.load(Ordering::Relaxed);
        self.shipped += cluster.world.shipped.load(Ordering::Relaxed);
    }
}

/// A message without what was measured: the time that a statement had taken when its deadline came, the bytes that it
/// had asked for when they were too many, which depend on how its threads took turns.
fn unmeasured(message: &str) -> String {
    ["elapsed ", "maximum: ", "would use "].into_iter().fold(message.to_owned(), |message, mark| {
        let Some((before, after)) = message.split_once(mark) else { return message };
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        format!("{before}{mark}{after}")
    })
}

fn three(copies: usize) -> (Arc<Cluster>, Database) {
    let cluster = Arc::new(Cluster::new(NODES, copies).expect("three nodes"));
    (cluster.clone(), Database::over(cluster))
}

async fn read(path: &Path, copies: usize, compared: &mut Compared) {
    let one = Database::new();
    let (cluster, three) = three(copies);
    for record in sqllogictest::parse_file::<DefaultColumnType>(path).expect("the file can be parsed") {
        let (Record::Query { sql, .. } | Record::Statement { sql, .. }) = record else { continue };
        compared.take(&sql, one.query(&sql).await, three.query(&sql).await);
    }
    compared.end(&cluster);
}

#[test]
fn three_nodes_answer_the_slt_files_as_one_does() {
    let compared = super::on_runtime(async {
        let mut compared = Compared::default();
        for path in super::files() {
            // The doubles' stores understand no conditions of DELETE, and a cluster has no UPDATE.
            if path.file_stem().is_some_and(|stem| stem == "mutations") {
                continue;
            }
            // Rows that a node has without owning them must not be told.
            read(&path, 2, &mut compared).await;
        }
        compared
    });
    println!("{}", compared.judge(".slt files"));
    assert!(compared.fragments > 0 && compared.shipped > 0, "nodes were asked for rows");
}

#[test]
fn three_nodes_answer_the_goldens_as_one_does() {
    let compared = super::on_runtime(async {
        let mut compared = Compared::default();
        let one = Database::new();
        let (cluster, three) = three(1);
        for sql in prepared_statements("tests/goldens/expressions.sql") {
            compared.take(&sql, one.query(&sql).await, three.query(&sql).await);
        }
        for case in cases("tests/goldens/expressions.tsv") {
            let sql = &case[0];
            let form = "TSVWithNamesAndTypes";
            compared.take(sql, one.query_as(sql, form).await, three.query_as(sql, form).await);
        }
        compared.end(&cluster);
        compared
    });
    println!("{}", compared.judge("goldens"));
}

impl Compared {
    /// What was compared; nothing may differ.
    pub(super) fn judge(&self, what: &str) -> String {
        let Self { statements, answers, other_order, last_digits, refused, different, fragments, shipped } =
            self;
        assert!(*answers > 0, "there are statements");
        assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
        format!(
            "{what}: {statements} statements, {answers} answers ({other_order} in another order, {last_digits} \
             but for last digits), {refused} refused alike, {} differ; {fragments} fragments, {shipped} rows shipped",
            different.len()
        )
    }
}
