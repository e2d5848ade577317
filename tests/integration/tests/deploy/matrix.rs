//! Every set of values: lint, render, Kubernetes 1.26, the newest Kubernetes, and rules of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use zepto_harness::node::program_named;
use zepto_integration::peers::Peer;

use super::chart::{Chart, Manifests, file, list, name_of, selects, text};
use super::values::{GOOD, PROFILES, REFUSED};

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
/// Sets of values that the issue of the chart asks for at least.
const SETS_MIN: usize = 40;
/// The programs of the image.
pub(crate) const PROGRAMS: [&str; 4] =
    ["zepto_storage_node", "zepto_coordinator", "zepto_ingest_node", "zepto"];

/// All sets, rendered into files.
struct Rendered {
    _folder: TempDir,
    files: Vec<PathBuf>,
    manifests: Vec<(&'static str, Manifests)>,
}

fn rendered(chart: &Chart) -> Result<Rendered> {
    let folder = TempDir::new_in(ROOT)?;
    let (mut files, mut manifests) = (Vec::new(), Vec::new());
    for values in GOOD {
        let text = chart.text(values)?;
        let path = folder.path().join(format!("{}.yaml", values.0));
        fs::write(&path, &text)?;
        files.push(path);
        manifests.push((values.0, Manifests::parse(&text).with_context(|| values.0)?));
    }
    Ok(Rendered { _folder: folder, files, manifests })
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.trim_end().ends_with(" 0 faults"), "{said}");
    Ok(())
}

fn kubernetes() -> Result<Command> {
    Peer::Go("kubernetes").command(ROOT)
}

#[test]
fn every_set_of_values_is_what_kubernetes_takes_and_keeps_our_rules() -> Result<()> {
    ensure!(GOOD.len() >= SETS_MIN, "{} sets", GOOD.len());
    let chart = Chart::new(ROOT)?;
    let rendered = rendered(&chart)?;
    run(Peer::Go("kubernetes_1_26").command(ROOT)?.args(&rendered.files))?;
    run(kubernetes()?.arg("check").args(&rendered.files))?;
    let flags = Programs::ask()?;
    for (name, manifests) in &rendered.manifests {
        rules(manifests, &flags).with_context(|| format!("the set {name}"))?;
    }
    Ok(())
}

#[test]
fn helm_finds_nothing_to_say_about_any_set() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    GOOD.iter().try_for_each(|values| chart.lint(values))
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    for (set, reason) in REFUSED {
        let Err(error) = chart.release("zeptodb", &["--set", set]) else {
            anyhow::bail!("{set} was rendered");
        };
        ensure!(error.to_string().contains(reason), "{set}: {error}");
    }
    Ok(())
}

#[test]
fn an_upgrade_between_any_two_profiles_changes_nothing_that_is_fixed() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let folder = TempDir::new_in(ROOT)?;
    let mut files = Vec::new();
    for profile in PROFILES {
        let path = folder.path().join(format!("{profile}.yaml"));
        let values = format!("PROFILES/{profile}.yaml");
        fs::write(&path, chart.release("zeptodb", &["-f", &values])?)?;
        files.push(path);
    }
    run(kubernetes()?.arg("upgrade").args(&files))?;
    // The next version of chart and image, from each profile to each other one.
    let next = folder.path().join("next");
    copy(&chart.folder, &next)?;
    let about = next.join("Chart.yaml");
    let text = fs::read_to_string(&about)?.replace("0.1.0", "9.9.9");
    fs::write(about, text)?;
    let newer = Chart::at(next);
    for profile in PROFILES {
        let path = folder.path().join(format!("{profile}-9.9.9.yaml"));
        let values = format!("PROFILES/{profile}.yaml");
        let text = newer.release("zeptodb", &["-f", &values])?;
        ensure!(text.contains("zeptodb-9.9.9"), "the newer chart was not rendered");
        fs::write(&path, text)?;
        files.push(path);
    }
    run(kubernetes()?.arg("upgrade").args(&files))
}

#[test]
fn the_validation_sees_a_field_that_may_not_change_and_one_that_is_not_there() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let folder = TempDir::new_in(ROOT)?;
    let (old, new, odd) =
        (folder.path().join("old.yaml"), folder.path().join("new.yaml"), folder.path().join("odd.yaml"));
    let text = chart.release("zeptodb", &[])?;
    fs::write(&old, &text)?;
    fs::write(&new, chart.release("zeptodb", &["--set", "persistence.size=1Ti"])?)?;
    fs::write(&odd, text.replacen("minReadySeconds", "minReadySecond", 1))?;
    let output = kubernetes()?.arg("upgrade").args([&old, &new]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success() && said.contains("spec.volumeClaimTemplates"), "{said}");
    for mut checker in [kubernetes()?, Peer::Go("kubernetes_1_26").command(ROOT)?] {
        // The older one takes files only, and calls the word a file that is not there.
        if checker.get_program().to_string_lossy().ends_with("/kubernetes/peer") {
            checker.arg("check");
        }
        let output = checker.arg(&odd).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(!output.status.success() && said.contains("minReadySecond"), "{said}");
    }
    Ok(())
}

#[test]
fn two_releases_in_a_namespace_have_nothing_in_common() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let all = &["--set", "ingest.enabled=true,prometheusRule.enabled=true,serviceMonitor.enabled=true"];
    let main = Manifests::parse(&chart.release("zeptodb", all)?)?;
    let canary = Manifests::parse(&chart.release("zeptodb-canary", all)?)?;
    let names = |of: &Manifests| of.0.iter().map(name_of).collect::<BTreeSet<_>>();
    let common: Vec<String> = names(&main).intersection(&names(&canary)).cloned().collect();
    ensure!(common.is_empty(), "{common:?}");
    for service in main.of("Service") {
        for workload in canary.workloads() {
            let labels = &workload["spec"]["template"]["metadata"]["labels"];
            let both = (name_of(service), name_of(workload));
            ensure!(!selects(&service["spec"]["selector"], labels), "{both:?}");
        }
    }
    Ok(())
}

#[test]
fn every_value_is_described_bounded_and_used_and_the_chart_asks_for_no_version() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let schema: Value = serde_json::from_str(&file(&chart, "values.schema.json")?)?;
    let values: Value = serde_yaml_ng::from_str(&file(&chart, "values.yaml")?)?;
    let mut templates = String::new();
    for folder in ["templates", "templates/tests"] {
        for entry in fs::read_dir(chart.folder.join(folder))? {
            let path = entry?.path();
            if path.is_file() {
                templates.push_str(&fs::read_to_string(path)?);
            }
        }
    }
    ensure!(!templates.contains(".Capabilities"), "one rendering stands for every version");
    described(&schema, "values")?;
    for path in leaves(&values, "") {
        let mut at = &schema;
        for key in path.split('.') {
            at = &at["properties"][key];
        }
        ensure!(at.is_object(), "{path} is not in the schema");
        // Groups that are handed on whole are used by their own name.
        let used = path.match_indices('.').map(|(end, _)| &path[..end]).chain([path.as_str()]);
        let last = path.rsplit('.').next().unwrap_or_default();
        let named = used.into_iter().any(|part| templates.contains(&format!(".{part}")));
        ensure!(
            named && (templates.contains(last) || path.contains("probes.") || path.contains("esources.")),
            "{path} changes nothing"
        );
    }
    Ok(())
}

/// Every property has a description, every object says which keys it has, and every number and text has bounds.
fn described(schema: &Value, at: &str) -> Result<()> {
    ensure!(at == "values" || schema["description"].is_string(), "{at} is not described");
    match text(&schema["type"]) {
        "integer" => {
            let bounded = schema["minimum"].is_i64() && schema["maximum"].is_i64();
            ensure!(bounded || schema["enum"].is_array() || schema["oneOf"].is_array(), "{at} has no bounds");
        }
        "string" => ensure!(schema["maxLength"].is_u64() || schema["enum"].is_array(), "{at} has no bound"),
        "array" => ensure!(schema["maxItems"].is_u64(), "{at} has no bound"),
        "object" => {
            let closed = schema["additionalProperties"] == false || schema["maxProperties"].is_u64();
            ensure!(closed, "{at} takes any key");
            for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
                described(inner, &format!("{at}.{key}"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The paths of all values that are no groups.
fn leaves(values: &Value, at: &str) -> Vec<String> {
    match values.as_object().filter(|group| !group.is_empty()) {
        None => vec![at.to_owned()],
        Some(_)
            if matches!(
                at,
                "dashboard.labels"
                    | "resources"
                    | "ingest.resources"
                    | "coordinator.resources"
                    | "backup.resources"
            ) =>
        {
            vec![at.to_owned()]
        }
        Some(group) => {
            let inner = |(key, value): (&String, &Value)| {
                leaves(value, &if at.is_empty() { key.clone() } else { format!("{at}.{key}") })
            };
            group.iter().flat_map(inner).collect()
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl Chart {
    fn at(folder: PathBuf) -> Self {
        Self { root: ROOT, folder }
    }
}

/// What the programs take, by their own `--help`.
pub(crate) struct Programs(BTreeMap<&'static str, String>);

impl Programs {
    pub(crate) fn ask() -> Result<Self> {
        let mut all = BTreeMap::new();
        for name in PROGRAMS {
            let words: &[&[&str]] = match name {
                "zepto" => &[
                    &["sql", "--help"],
                    &["cluster", "status", "--help"],
                    &["backup", "create", "--help"],
                    &["restore", "--help"],
                ],
                _ => &[&["--help"]],
            };
            let mut said = String::new();
            for words in words {
                let output = Command::new(program_named(name)?).args(*words).output()?;
                said.push_str(&String::from_utf8(output.stdout)?);
            }
            all.insert(name, said);
        }
        Ok(Self(all))
    }

    /// Whether the program has this flag or environment variable.
    pub(crate) fn knows(&self, program: &str, word: &str) -> bool {
        let Some(help) = self.0.get(program) else { return false };
        help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).any(|known| known == word)
    }
}

/// What must hold of every release.
fn rules(manifests: &Manifests, programs: &Programs) -> Result<()> {
    selectors(manifests)?;
    ports(manifests)?;
    for pod in manifests.pods() {
        secure(pod, programs)?;
    }
    for kind in ["Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "StatefulSet"] {
        for object in manifests.of(kind) {
            let labels = &object["spec"]["selector"];
            let odd = ["helm.sh/chart", "app.kubernetes.io/version"];
            let whole = labels.to_string();
            ensure!(
                !odd.iter().any(|label| whole.contains(label)),
                "{}: a version in its selector",
                name_of(object)
            );
        }
    }
    for set in manifests.of("StatefulSet") {
        let fixed = set["spec"]["volumeClaimTemplates"].to_string();
        ensure!(!fixed.contains("version") && !fixed.contains("helm.sh"), "{}: {fixed}", name_of(set));
    }
    for scaler in manifests.of("HorizontalPodAutoscaler") {
        let target = &scaler["spec"]["scaleTargetRef"];
        manifests.get(text(&target["kind"]), text(&target["name"]))?;
        if target["kind"] == "StatefulSet" {
            let down = &scaler["spec"]["behavior"]["scaleDown"]["selectPolicy"];
            ensure!(down == "Disabled", "storage would be scaled down without its copies");
        }
        for metric in list(&scaler["spec"]["metrics"]) {
            if let Some(name) = metric["pods"]["metric"]["name"].as_str() {
                ensure!(zepto_common::metric_names::ALL.contains(&name), "{name} is not exported");
            }
        }
    }
    Ok(())
}

/// Each selector finds the pods of one workload and no other's.
fn selectors(manifests: &Manifests) -> Result<()> {
    let pods: Vec<(String, &Value)> = manifests
        .workloads()
        .map(|it| (name_of(it), &it["spec"]["template"]["metadata"]["labels"]))
        .collect();
    let found = |selector: &Value| pods.iter().filter(|(_, labels)| selects(selector, labels)).count();
    for service in manifests.of("Service") {
        ensure!(found(&service["spec"]["selector"]) == 1, "{}: not one workload", name_of(service));
    }
    for object in manifests.of("PodDisruptionBudget").chain(manifests.workloads()) {
        let selector = &object["spec"]["selector"]["matchLabels"];
        ensure!(found(selector) == 1, "{}: not one workload", name_of(object));
    }
    for policy in manifests.of("NetworkPolicy") {
        let selector = &policy["spec"]["podSelector"]["matchLabels"];
        ensure!(found(selector) == 1, "{}: not one workload", name_of(policy));
    }
    Ok(())
}

/// Every port of a Service, probe, policy and scrape annotation is one that the container declares; that the processes open
/// these is what `release` sees.
fn ports(manifests: &Manifests) -> Result<()> {
    for workload in manifests.workloads() {
        let template = &workload["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        let container = &template["spec"]["containers"][0];
        let open: BTreeMap<&str, (u64, &str)> = list(&container["ports"])
            .iter()
            .map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                (text(&port["name"]), (port["containerPort"].as_u64().unwrap_or(0), protocol))
            })
            .collect();
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            ensure!(open.contains_key(text(&get["port"])), "{}: {probe} asks {get}", name_of(workload));
        }
        if let Some(port) = template["metadata"]["annotations"]["prometheus.io/port"].as_str() {
            ensure!(open["http"].0.to_string() == port, "{}: scraped at {port}", name_of(workload));
        }
        for service in manifests.of("Service").filter(|it| selects(&it["spec"]["selector"], labels)) {
            for port in list(&service["spec"]["ports"]) {
                let target = open.get(text(&port["targetPort"])).with_context(|| name_of(service))?;
                ensure!(
                    target.1 == port["protocol"].as_str().unwrap_or("TCP"),
                    "{}: {port}",
                    name_of(service)
                );
                if service["spec"]["clusterIP"] == "None" {
                    ensure!(port["port"].as_u64() == Some(target.0), "{}: {port}", name_of(service));
                }
            }
            let headless = service["spec"]["clusterIP"] == "None";
            ensure!(!headless || service["spec"]["publishNotReadyAddresses"] == true, "{}", name_of(service));
        }
        let policies: Vec<&Value> = manifests
            .of("NetworkPolicy")
            .filter(|it| selects(&it["spec"]["podSelector"]["matchLabels"], labels))
            .collect();
        for policy in &policies {
            let mut covered = BTreeSet::new();
            for rule in list(&policy["spec"]["ingress"]) {
                let inner =
                    list(&rule["from"]).iter().all(|from| from["podSelector"]["matchLabels"].is_object());
                for port in list(&rule["ports"]) {
                    let this = (port["port"].as_u64().unwrap_or(0), text(&port["protocol"]));
                    ensure!(open.values().any(|it| *it == this), "{}: {port}", name_of(policy));
                    ensure!(inner || this == open["http"], "{} opens {port} to others", name_of(policy));
                    covered.insert(this);
                }
            }
            ensure!(open.values().all(|it| covered.contains(it)), "{} shuts a port", name_of(policy));
        }
    }
    Ok(())
}

/// No pod needs a shell or a right, and its program knows every flag and variable that it is given.
fn secure(pod: &Value, programs: &Programs) -> Result<()> {
    let context = &pod["securityContext"];
    ensure!(context["runAsNonRoot"] == true && context["runAsUser"].as_u64() > Some(0), "{context}");
    ensure!(context["seccompProfile"]["type"] == "RuntimeDefault", "{context}");
    ensure!(pod["automountServiceAccountToken"] == false && pod["enableServiceLinks"] == false, "{pod}");
    ensure!(pod["initContainers"].is_null(), "{pod}");
    for container in list(&pod["containers"]) {
        let context = &container["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
        ensure!(
            context["allowPrivilegeEscalation"] == false && context["capabilities"]["drop"][0] == "ALL",
            "{context}"
        );
        ensure!(container["lifecycle"].is_null(), "a hook of a container would need a program");
        let words: Vec<&str> =
            list(&container["command"]).iter().chain(list(&container["args"])).map(text).collect();
        let program = words.first().and_then(|word| word.strip_prefix("/usr/local/bin/"));
        let program = program.filter(|name| PROGRAMS.contains(name)).with_context(|| format!("{words:?}"))?;
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            ensure!(programs.knows(program, flag), "{program} does not know {flag}");
        }
        for variable in list(&container["env"]) {
            let name = text(&variable["name"]);
            ensure!(programs.knows(program, name), "{program} does not know {name}");
        }
        for bound in ["requests", "limits"] {
            ensure!(container["resources"][bound].is_object(), "{program} has no {bound}");
        }
    }
    Ok(())
}
