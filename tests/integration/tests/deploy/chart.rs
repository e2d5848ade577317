//! The chart, rendered by helm, and what stands in the manifests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_integration::peers::Peer;
use zepto_integration::place::project_file;

use super::values::Values;

/// The oldest Kubernetes that the chart is for. Nothing in it depends on the version, which a test holds.
const KUBERNETES: &str = "1.26.0";

/// Helm, and the chart.
pub(crate) struct Chart {
    pub(crate) root: &'static str,
    pub(crate) folder: PathBuf,
}

impl Chart {
    /// The chart of this project; helm is fetched and built if it was not yet.
    pub(crate) fn new(root: &'static str) -> Result<Self> {
        let folder = project_file("deploy/helm/zeptodb").canonicalize()?;
        Ok(Self { root, folder })
    }

    fn helm(&self) -> Result<Command> {
        let mut helm = Peer::GoTool("helm", "helm.sh/helm/v3/cmd/helm").command(self.root)?;
        // Nothing of whoever runs the tests: no cluster, no repositories.
        helm.env("KUBECONFIG", "/dev/null").env("HELM_PLUGINS", "/dev/null");
        Ok(helm)
    }

    fn words(&self, arguments: &[&str]) -> Vec<String> {
        let folders = [
            ("PROFILES", self.folder.join("profiles")),
            ("EXAMPLES", project_file("examples")),
            ("HERE", project_file("tests/integration/tests/deploy")),
        ];
        let here = |word: &&str| {
            let replace = |word: String, (name, folder): &(&str, PathBuf)| {
                word.replace(name, &folder.display().to_string())
            };
            folders.iter().fold((*word).to_owned(), replace)
        };
        arguments.iter().map(here).collect()
    }

    /// `helm lint --strict`.
    pub(crate) fn lint(&self, values: &Values) -> Result<()> {
        let mut helm = self.helm()?;
        helm.args(["lint", "--strict", "--quiet", "--kube-version", KUBERNETES]).arg(&self.folder);
        let output = helm.args(self.words(values.1)).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "helm lint, {}: {said}", values.0);
        Ok(())
    }

    /// `helm template`: the manifests as text.
    pub(crate) fn text(&self, values: &Values) -> Result<String> {
        self.release("zeptodb", values.1)
    }

    /// The manifests of a release of this name.
    pub(crate) fn release(&self, release: &str, arguments: &[&str]) -> Result<String> {
        let mut helm = self.helm()?;
        helm.args(["template", release]).arg(&self.folder).args([
            "-n",
            "zeptodb",
            "--kube-version",
            KUBERNETES,
        ]);
        let output = helm.args(self.words(arguments)).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm template {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The objects of manifests.
#[derive(Debug)]
pub(crate) struct Manifests(pub(crate) Vec<Value>);

impl Manifests {
    /// Reads them.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut objects = Vec::new();
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            let value: Value = serde::Deserialize::deserialize(document)?;
            if !value.is_null() {
                objects.push(value);
            }
        }
        Ok(Self(objects))
    }

    /// All of a kind.
    pub(crate) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |it| it["kind"] == kind)
    }

    /// The one of this kind and name.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Result<&Value> {
        let found = self.0.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
        found.with_context(|| format!("there is no {kind} {name}"))
    }

    /// What runs pods for long: StatefulSets and Deployments.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.of("StatefulSet").chain(self.of("Deployment"))
    }

    /// The specifications of all pods, hooks among them.
    pub(crate) fn pods(&self) -> Vec<&Value> {
        let templates = self.workloads().chain(self.of("Job")).map(|it| &it["spec"]["template"]["spec"]);
        let cron = self.of("CronJob").map(|it| &it["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
        templates.chain(cron).chain(self.of("Pod").map(|it| &it["spec"])).collect()
    }
}

/// A text of a value, for messages and comparisons.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of an array; nothing for anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The name of an object for messages.
pub(crate) fn name_of(object: &Value) -> String {
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Whether all labels of a selector are among these.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|all| all.iter().all(|(name, value)| labels[name] == *value))
}

/// The chart's own file.
pub(crate) fn file(chart: &Chart, path: &str) -> Result<String> {
    let path: &Path = &chart.folder.join(path);
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}
