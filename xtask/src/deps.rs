//! Who may know whom: every edge between two packages of the workspace must stand in ARCHITECTURE.md, in a fenced
//! block whose opening line is three backticks and `deps`. Its lines:
//!
//! - `zepto-query -> zepto-common zepto-formats(dev)`: what a package may use; `(dev)`: in its tests only
//! - `never datafusion: zepto-http`: packages that must not reach that dependency, however far (tests aside)

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::finding::Finding;
use crate::metadata::Metadata;
use crate::workspace::Workspace;

/// The document that lists the edges.
const DOCUMENT: &str = "ARCHITECTURE.md";

/// What the document allows.
#[derive(Debug, Default)]
struct Rules {
    /// Package to the packages it may use.
    allowed: BTreeMap<String, BTreeSet<String>>,
    /// Package to the packages that only its tests may use.
    in_tests: BTreeMap<String, BTreeSet<String>>,
    /// Dependency to the packages that must not reach it.
    never: BTreeMap<String, BTreeSet<String>>,
}

/// Checks the whole graph.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let rules = parse(&workspace.read(DOCUMENT)?)?;
    Ok(judge(&rules, &Metadata::load(workspace)?))
}

fn parse(document: &str) -> Result<Rules> {
    let block = document
        .split_once("\n```deps\n")
        .and_then(|(_, rest)| rest.split_once("\n```"))
        .map(|(block, _)| block)
        .with_context(|| format!("{DOCUMENT} has no fenced block `deps`"))?;
    let mut rules = Rules::default();
    for line in block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(rule) = line.strip_prefix("never ") {
            let (name, packages) = rule.split_once(':').context("`never dependency: package …`")?;
            rules.never.entry(name.trim().to_owned()).or_default().extend(words(packages));
        } else if let Some((name, uses)) = line.split_once("->") {
            let (in_tests, uses): (BTreeSet<_>, BTreeSet<_>) =
                words(uses).partition(|name| name.ends_with("(dev)"));
            let in_tests =
                in_tests.into_iter().map(|name| name.trim_end_matches("(dev)").to_owned()).collect();
            rules.allowed.insert(name.trim().to_owned(), uses);
            rules.in_tests.insert(name.trim().to_owned(), in_tests);
        } else {
            bail!("{DOCUMENT}, block deps: cannot read the line `{line}`");
        }
    }
    Ok(rules)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

fn judge(rules: &Rules, metadata: &Metadata) -> Vec<Finding> {
    let members: BTreeSet<&str> = metadata.members().map(|(_, package)| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for (id, package) in metadata.members() {
        let name = &package.name;
        let (Some(allowed), Some(in_tests)) = (rules.allowed.get(name), rules.in_tests.get(name)) else {
            findings.push(Finding::new(name, format!("has no line in {DOCUMENT}, block deps")));
            continue;
        };
        for to in package.uses.iter().filter(|to| members.contains(to.as_str()) && !allowed.contains(*to)) {
            findings.push(Finding::new(name, format!("depends on {to}, which {DOCUMENT} does not list")));
        }
        for to in package.tests_use.iter().filter(|to| members.contains(to.as_str())) {
            if !allowed.contains(to) && !in_tests.contains(to) {
                let message = format!("its tests depend on {to}, which {DOCUMENT} does not list");
                findings.push(Finding::new(name, message));
            }
        }
        findings.extend(reached(rules, metadata, id, name));
    }
    findings.extend(stale(rules, &members));
    findings
}

/// Breaches of the `never` lines by one package.
fn reached(rules: &Rules, metadata: &Metadata, id: &str, package: &str) -> Vec<Finding> {
    let reachable = metadata.reachable(id);
    let reaches = |name: &str| {
        reachable.iter().any(|id| metadata.packages.get(*id).is_some_and(|package| package.name == name))
    };
    rules
        .never
        .iter()
        .filter(|(name, packages)| packages.contains(package) && reaches(name))
        .map(|(name, _)| Finding::new(package, format!("must never reach {name}, but does")))
        .collect()
}

/// Names in the document that are no packages.
fn stale(rules: &Rules, members: &BTreeSet<&str>) -> Vec<Finding> {
    let uses = rules.allowed.values().chain(rules.in_tests.values()).chain(rules.never.values()).flatten();
    let named: BTreeSet<&str> = rules.allowed.keys().chain(uses).map(String::as_str).collect();
    named
        .difference(members)
        .map(|name| Finding::new(DOCUMENT, format!("block deps names {name}, which is no package")))
        .collect()
}
