//! Links of the Markdown documents: a relative link must lead to a file, and its anchor to a heading.

use std::collections::BTreeMap;

use crate::finding::Finding;
use crate::workspace::{SourceFile, Workspace};

/// Checks the links of every document.
pub(super) fn check(workspace: &Workspace, files: &[SourceFile]) -> Vec<Finding> {
    let documents: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.name.ends_with(".md"))
        .map(|file| (file.name.as_str(), file.text.as_str()))
        .collect();
    let exists = |name: &str| workspace.root.join(name).exists();
    documents.keys().flat_map(|name| broken(name, &documents, &exists)).collect()
}

/// The broken links of one document.
pub(super) fn broken(
    name: &str,
    documents: &BTreeMap<&str, &str>,
    exists: &dyn Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (i, line) in documents[name].lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for link in links(line) {
            if let Some(fault) = fault(name, link, documents, exists) {
                findings.push(Finding::at(name, i + 1, fault));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let rest = &line[at + 2..];
        rest.find(')').map(|end| rest[..end].split_whitespace().next().unwrap_or(""))
    })
}

fn fault(
    from: &str,
    link: &str,
    documents: &BTreeMap<&str, &str>,
    exists: &dyn Fn(&str) -> bool,
) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) };
    let Some(target) = target.filter(|target| exists(target) || documents.contains_key(target.as_str()))
    else {
        return Some(format!("the link `{link}` leads nowhere"));
    };
    let text = documents.get(target.as_str())?;
    let known = anchor.is_empty() || headings(text).any(|heading| heading == anchor);
    (!known).then(|| format!("the link `{link}` names a heading that {target} does not have"))
}

/// The path of a link from a document, from the root; None if it leaves the project.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a document's headings, as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
