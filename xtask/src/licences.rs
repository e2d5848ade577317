//! Every dependency's licence must be on the list of deny.toml, and no banned package may be in the tree.
//!
//! deny.toml is in cargo-deny's own form, so that cargo-deny can be used as well; this check reads the same
//! lists (`licenses.allow`, `licenses.exceptions`, `bans.deny`) and needs nothing installed.

mod expression;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::finding::Finding;
use crate::metadata::Metadata;
use crate::workspace::Workspace;

/// The file with the lists.
const POLICY: &str = "deny.toml";

/// What deny.toml says, as far as this check goes.
#[derive(Debug, Default)]
struct Policy {
    /// Licences that any dependency may have.
    allowed: BTreeSet<String>,
    /// Packages that may have other licences as well.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Packages that must not be in the tree.
    banned: BTreeSet<String>,
    /// Packages of which there may be one version only.
    single: BTreeSet<String>,
}

/// Checks all packages of the graph.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let policy = parse(&workspace.read(POLICY)?);
    Ok(judge(&policy, &Metadata::load(workspace)?))
}

/// Reads the lists: one entry per line, as the file is written.
fn parse(text: &str) -> Policy {
    let mut policy = Policy::default();
    let (mut section, mut list) = (String::new(), String::new());
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            list.clear();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['{', '"'])) {
            list = format!("{section}.{}", key.trim());
            policy.entry(&list, value);
        } else {
            policy.entry(&list, line);
        }
    }
    policy
}

impl Policy {
    fn entry(&mut self, list: &str, line: &str) {
        let mut words = line.split('"').skip(1).step_by(2).map(str::to_owned);
        match list {
            "licenses.allow" => self.allowed.extend(words),
            "licenses.exceptions" => {
                if let Some(name) = words.next() {
                    self.exceptions.entry(name).or_default().extend(words);
                }
            }
            "bans.deny" if line.contains("deny-multiple-versions = true") => self.single.extend(words.next()),
            "bans.deny" => self.banned.extend(words.next()),
            _ => {}
        }
    }
}

fn judge(policy: &Policy, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata.packages.values() {
        let name = format!("{} {}", package.name, package.version);
        versions.entry(&package.name).or_default().insert(&package.version);
        if policy.banned.contains(&package.name) {
            findings.push(Finding::new(&name, format!("is banned by {POLICY}")));
        }
        if package.source.as_ref().is_some_and(|source| !source.starts_with("registry+")) {
            findings.push(Finding::new(&name, "does not come from a registry"));
        }
        let extra = policy.exceptions.get(&package.name);
        let allowed = |licence: &str| {
            policy.allowed.contains(licence) || extra.is_some_and(|extra| extra.contains(licence))
        };
        match package.licence.as_deref().map(|text| (text, expression::holds(text, &allowed))) {
            None => findings.push(Finding::new(&name, "states no licence")),
            Some((text, None)) => findings.push(Finding::new(&name, format!("unreadable licence `{text}`"))),
            Some((text, Some(false))) => {
                findings.push(Finding::new(&name, format!("licence `{text}` is not allowed by {POLICY}")));
            }
            Some((_, Some(true))) => {}
        }
    }
    for name in &policy.single {
        if let Some(found) = versions.get(name.as_str()).filter(|found| found.len() > 1) {
            let message = format!("stands in the tree in {} versions: {found:?}", found.len());
            findings.push(Finding::new(name, message));
        }
    }
    findings
}
