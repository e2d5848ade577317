use std::collections::BTreeMap;

use super::*;

fn findings(name: &str, text: &str) -> Vec<String> {
    let file = SourceFile { name: name.to_owned(), text: text.to_owned() };
    check_file(&file).iter().map(ToString::to_string).collect()
}

fn function_of(lines: usize) -> String {
    format!("//! Docs.\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn a_tidy_file_has_no_findings() {
    assert_eq!(findings("crates/x/src/y.rs", &function_of(70)), Vec::<String>::new());
}

#[test]
fn a_planted_long_function_is_caught() {
    let found = findings("crates/x/src/y.rs", &function_of(71));
    assert_eq!(found, ["crates/x/src/y.rs:2: function long has 71 lines, at most 70"]);
}

#[test]
fn braces_in_text_comments_and_characters_do_not_hide_a_long_function() {
    let noise = "    let _ = (\"}\", '}', r#\"\"}\"#, b'}'); // }\n    /* } */\n";
    let text =
        format!("//! Docs.\nfn long<'a>(x: &'a [u8; 3]) {{\n{noise}{}}}\n", "    step();\n".repeat(70));
    assert_eq!(findings("a.rs", &text).len(), 1);
}

#[test]
fn a_declaration_and_a_function_pointer_are_no_functions() {
    let text =
        format!("//! Docs.\ntrait T {{\n    fn a(x: [u8; 3]);\n}}\ntype F = fn (u8);\n{}", "\n".repeat(80));
    assert_eq!(findings("a.rs", &text), Vec::<String>::new());
}

#[test]
fn a_planted_long_file_is_caught_and_its_tests_do_not_count() {
    let code = format!("//! Docs.\n{}", "const A: u8 = 1;\n".repeat(499));
    let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(400));
    assert_eq!(findings("a.rs", &tests), Vec::<String>::new());
    let found = findings("a.rs", &format!("{code}const B: u8 = 1;\n"));
    assert_eq!(found, ["a.rs: 501 lines without tests, at most 500: make two rooms of it"]);
}

#[test]
fn a_planted_file_without_docs_or_with_an_empty_name_is_caught() {
    assert_eq!(findings("a.rs", "fn a() {}\n"), ["a.rs: begins without a module comment (`//!`)"]);
    for name in ["crates/x/src/helpers.rs", "crates/x/src/y/mod.rs", "crates/x/tests/utils.rs"] {
        assert_eq!(findings(name, "//! Docs.\n").len(), 1, "{name}");
    }
    assert_eq!(findings("crates/x/tests/shared/mod.rs", ""), Vec::<String>::new());
    assert_eq!(findings("crates/x/src/y/tests.rs", "fn a() {}\n"), Vec::<String>::new());
}

#[test]
fn planted_words_of_unfinished_work_and_machine_paths_are_caught() {
    let text = format!("//! Docs.\n// {}: later\n", UNFINISHED[0]);
    assert_eq!(findings("a.rs", &text).len(), 1);
    let text = format!("See {}x\n", MACHINE_PATHS[0]);
    assert_eq!(findings("README.md", &text).len(), 1);
}

#[test]
fn a_planted_broken_link_is_caught() {
    let text =
        "# One two\n[a](b.md) [c](../x.md#no) [d](#one-two) [e](https://x.org/y)\n```\n[f](none.md)\n```\n";
    let documents = BTreeMap::from([("docs/a.md", text), ("docs/b.md", ""), ("x.md", "# Yes\n")]);
    let found = links::broken("docs/a.md", &documents, &|_| false);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["docs/a.md:2: the link `../x.md#no` names a heading that x.md does not have"]);
    let alone = BTreeMap::from([("docs/a.md", "[a](b.md)\n[b](../../x)\n")]);
    assert_eq!(links::broken("docs/a.md", &alone, &|_| false).len(), 2);
}
