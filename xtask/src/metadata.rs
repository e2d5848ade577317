//! The dependency graph as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program;
use crate::workspace::Workspace;

/// One package of the graph, ours or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Name in its manifest.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// SPDX expression, if it states one.
    pub(crate) licence: Option<String>,
    /// Where it comes from; None for a path in this workspace.
    pub(crate) source: Option<String>,
    /// Names of the workspace packages and others it names in [dependencies] and [build-dependencies].
    pub(crate) uses: BTreeSet<String>,
    /// Names in [dev-dependencies].
    pub(crate) tests_use: BTreeSet<String>,
    /// Ids of what it was resolved to use outside its tests.
    pub(crate) resolved_normal: Vec<String>,
}

/// The graph.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// By cargo's package id.
    pub(crate) packages: BTreeMap<String, Package>,
    /// Where build results go.
    pub(crate) target: PathBuf,
}

impl Metadata {
    /// Asks cargo. The committed lock file must be current.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let mut cargo = program::cargo(workspace);
        let text = program::output(cargo.args(["metadata", "--format-version", "1", "--locked"]))?;
        Self::parse(&serde_json::from_slice(&text).context("cargo metadata gave no JSON")?)
    }

    fn parse(root: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in array(root, "packages") {
            let id = text(package, "id").context("a package has an id")?;
            packages.insert(id, parse_package(package));
        }
        for node in array(&root["resolve"], "nodes") {
            let id = text(node, "id").context("a node has an id")?;
            let package = packages.get_mut(&id).context("a node is a package")?;
            for dependency in array(node, "deps") {
                let to = text(dependency, "pkg").context("a dependency is a package")?;
                if array(dependency, "dep_kinds").any(|kind| kind["kind"].as_str() != Some("dev")) {
                    package.resolved_normal.push(to);
                }
            }
        }
        let target =
            PathBuf::from(text(root, "target_directory").context("cargo names its target directory")?);
        Ok(Self { packages, target })
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.packages.iter().filter(|(_, package)| package.source.is_none())
    }

    /// Everything reachable from a package outside tests, without itself.
    pub(crate) fn reachable(&self, from: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(package) = open.pop().and_then(|id| self.packages.get(id)) {
            for id in &package.resolved_normal {
                if seen.insert(id.as_str()) {
                    open.push(id);
                }
            }
        }
        seen
    }
}

fn parse_package(package: &Value) -> Package {
    let mut parsed = Package {
        name: text(package, "name").unwrap_or_default(),
        version: text(package, "version").unwrap_or_default(),
        licence: text(package, "license"),
        source: text(package, "source"),
        ..Package::default()
    };
    for dependency in array(package, "dependencies") {
        let name = text(dependency, "name").unwrap_or_default();
        if dependency["kind"].as_str() == Some("dev") {
            parsed.tests_use.insert(name);
        } else {
            parsed.uses.insert(name);
        }
    }
    parsed
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
