use super::*;
use crate::metadata::Package;

const DOCUMENT_TEXT: &str = "# A\n\n```deps\ncommon ->\nhttp -> common query(dev)\nquery -> common\n\
     cli -> common http query\nnever datafusion: http\n```\n";

/// A graph of packages, what each uses, what its tests use; datafusion is foreign.
fn graph(edges: &[(&str, &[&str], &[&str])]) -> Metadata {
    let mut metadata = Metadata::default();
    for (name, uses, tests_use) in edges {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let ours = *name != "datafusion";
        let package = Package {
            name: (*name).to_owned(),
            source: (!ours).then(|| "registry+".to_owned()),
            uses: owned(uses),
            tests_use: owned(tests_use),
            resolved_normal: uses.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        metadata.packages.insert((*name).to_owned(), package);
    }
    metadata
}

fn findings(edges: &[(&str, &[&str], &[&str])]) -> Vec<String> {
    let rules = parse(DOCUMENT_TEXT).expect("the document is well formed");
    judge(&rules, &graph(edges)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_graph_that_keeps_the_rules_has_no_findings() {
    let clean: &[(&str, &[&str], &[&str])] = &[
        ("common", &[], &[]),
        ("query", &["common", "datafusion"], &[]),
        ("http", &["common"], &["query"]),
        ("cli", &["http", "query"], &[]),
        ("datafusion", &[], &[]),
    ];
    assert_eq!(findings(clean), Vec::<String>::new());
}

#[test]
fn a_planted_edge_upwards_is_caught() {
    let found = findings(&[
        ("common", &["query"], &[]),
        ("query", &["common"], &[]),
        ("http", &["common"], &[]),
        ("cli", &[], &[]),
    ]);
    assert_eq!(found, ["common: depends on query, which ARCHITECTURE.md does not list"]);
}

#[test]
fn a_planted_edge_in_tests_is_caught() {
    let found =
        findings(&[("common", &[], &["http"]), ("query", &[], &[]), ("http", &[], &[]), ("cli", &[], &[])]);
    assert_eq!(found, ["common: its tests depend on http, which ARCHITECTURE.md does not list"]);
}

#[test]
fn a_forbidden_dependency_is_caught_however_far_it_is() {
    let found = findings(&[
        ("common", &["datafusion"], &[]),
        ("query", &[], &[]),
        ("http", &["common"], &[]),
        ("cli", &[], &[]),
        ("datafusion", &[], &[]),
    ]);
    assert_eq!(found, ["http: must never reach datafusion, but does"]);
}

#[test]
fn a_package_without_a_line_and_a_line_without_a_package_are_caught() {
    let found =
        findings(&[("common", &[], &[]), ("query", &[], &[]), ("http", &[], &[]), ("feeds", &[], &[])]);
    assert_eq!(
        found,
        [
            "feeds: has no line in ARCHITECTURE.md, block deps",
            "ARCHITECTURE.md: block deps names cli, which is no package",
        ]
    );
}

#[test]
fn a_document_without_the_block_is_an_error() {
    assert!(parse("# nothing").is_err());
    assert!(parse("x\n```deps\nthis is no rule\n```\n").is_err());
}
