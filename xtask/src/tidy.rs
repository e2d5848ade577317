//! Style that a program can check: sizes of files and functions, names of files, forbidden words, module docs,
//! links in documents.

mod functions;
mod links;
mod source;
#[cfg(test)]
mod tests;

use anyhow::Result;

use crate::finding::Finding;
use crate::workspace::{SourceFile, Workspace};

/// Lines of a source file without its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// File names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util.rs", "utils.rs", "helper.rs", "helpers.rs", "misc.rs", "common.rs", "stuff.rs", "mod.rs"];

/// Words that mark unfinished work. Split so that this file does not hold them itself.
const UNFINISHED: &[&str] =
    &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO"), concat!("for ", "now")];

/// Paths of one machine, which mean nothing on another.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("/tm", "p/")];

/// Checks every file of the project.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let files = workspace.text_files()?;
    let mut findings: Vec<Finding> = files.iter().flat_map(check_file).collect();
    findings.extend(links::check(workspace, &files));
    Ok(findings)
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = machine_paths(file);
    if !file.name.ends_with(".rs") {
        return findings;
    }
    findings.extend(file_name(file));
    findings.extend(unfinished_words(file));
    if is_test(&file.name) {
        return findings;
    }
    let code = source::without_tests(&file.text);
    let lines = code.lines().count();
    if lines > FILE_LINES_MAX {
        let message = format!("{lines} lines without tests, at most {FILE_LINES_MAX}: make two rooms of it");
        findings.push(Finding::new(&file.name, message));
    }
    if !begins_with_docs(&code) {
        findings.push(Finding::new(&file.name, "begins without a module comment (`//!`)"));
    }
    for function in functions::longer_than(&code, FUNCTION_LINES_MAX) {
        let message =
            format!("function {} has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines);
        findings.push(Finding::at(&file.name, function.line, message));
    }
    findings
}

/// Whether a file holds tests only.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/") || name.ends_with("_tests.rs")
}

fn begins_with_docs(code: &str) -> bool {
    let first = code.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

fn file_name(file: &SourceFile) -> Option<Finding> {
    let name = file.name.rsplit('/').next().unwrap_or(&file.name);
    // What several test programs of a crate share can only be a `mod.rs`: another file is a program itself.
    let shared_by_tests = name == "mod.rs" && is_test(&file.name);
    let empty = EMPTY_NAMES.contains(&name) && !shared_by_tests;
    empty.then(|| {
        Finding::new(&file.name, "a file is named for what is in it, and a module `x` lies in `x.rs`")
    })
}

fn unfinished_words(file: &SourceFile) -> Vec<Finding> {
    let comments = file.text.lines().enumerate().filter_map(|(i, line)| Some((i, &line[line.find("//")?..])));
    let marked = comments.filter_map(|(i, comment)| {
        let word = UNFINISHED.iter().find(|word| comment.contains(**word))?;
        Some(Finding::at(&file.name, i + 1, format!("`{word}`: finish it or write it into an issue")))
    });
    marked.collect()
}

fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(**path)) {
            findings.push(Finding::at(&file.name, i + 1, format!("`{path}…` is a path of one machine")));
        }
    }
    findings
}
