//! The commands of docs/operations: helm's are rendered, what kubectl names is there, and curl's are sent to a node.

use std::fs;

use anyhow::{Context, Result, ensure};
use zepto_harness::{Connection, Request};
use zepto_integration::place::{Place, project_file};

use super::chart::{Chart, Manifests, name_of};

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
/// Every `--set` of the older guide, alone or with what it needs here.
const OLDER: &[&str] = &[
    "image.repository=your-registry/zeptodb,image.tag=1.0.0",
    "config.workerThreads=16",
    "config.workerThreads=16,config.queryCacheSize=2000",
    "serviceMonitor.enabled=true,serviceMonitor.interval=15s",
    "autoscaling.minReplicas=5,autoscaling.maxReplicas=20,autoscaling.targetCPU=60",
    "autoscaling.ingestRateEnabled=true,autoscaling.targetIngestRate=50000",
    "resources.requests.cpu=8,resources.requests.memory=32Gi,resources.limits.cpu=16,resources.limits.memory=64Gi",
    "nodeSelector.kubernetes\\.io/arch=arm64",
    "nodeSelector.node\\.kubernetes\\.io/instance-type=c7g.4xlarge",
    "pipeline.drainThreads=8,pipeline.ringBufferCapacity=1048576",
    "replicaCount=5,autoscaling.minReplicas=5,resources.requests.cpu=4000m,resources.requests.memory=8Gi,resources.limits.cpu=8000m,resources.limits.memory=16Gi",
    "replicaCount=2,podAntiAffinity.required=false,resources.requests.cpu=1000m,resources.requests.memory=2Gi",
    "image.tag=1.1.0",
    "replicaCount=1,image.tag=2.0.0,service.type=ClusterIP,autoscaling.enabled=false,podDisruptionBudget.enabled=false",
    "cluster.enabled=true,cluster.rpcPortOffset=100,cluster.heartbeatPort=9100,headless.enabled=true",
    "ingest.enabled=true,ingest.replicas=3",
    "image.tag=1.1.0,gracefulShutdown.preStopSleepSeconds=30,gracefulShutdown.terminationGracePeriodSeconds=60",
    "resources.limits.memory=64Gi",
];

/// The commands in the code blocks of a page, continued lines joined.
fn commands(page: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(project_file(page)).with_context(|| page.to_owned())?.replace("\\\n", " ");
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() {
            found.push(line.trim().to_owned());
        }
    }
    Ok(found)
}

fn page() -> Result<Vec<String>> {
    commands("docs/operations/kubernetes.md")
}

/// The words of a command as a shell makes them: quotes and backslashes.
fn words(command: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => (quote, begun) = (Some(letter), true),
            (_, Some(open)) if open == letter => quote = None,
            ('\\', None) => word.extend(letters.next()),
            (' ', None) => {
                if begun || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        all.push(word);
    }
    all
}

#[test]
fn every_helm_command_is_rendered() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let mut rendered = 0;
    for command in
        page()?.iter().filter(|it| it.starts_with("helm install ") || it.starts_with("helm upgrade "))
    {
        let words = words(command);
        ensure!(words[3] == "./deploy/helm/zeptodb", "{command}");
        let mut arguments: Vec<String> = Vec::new();
        let mut rest = words[4..].iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--set" | "-f" => {
                    let value = rest.next().with_context(|| command.clone())?;
                    let file = value.strip_prefix("deploy/helm/zeptodb/profiles/");
                    let value = file.map_or_else(|| value.clone(), |name| format!("PROFILES/{name}"));
                    let value = value.replace("examples/", "EXAMPLES/");
                    arguments.extend([word.clone(), value]);
                }
                "-n" | "--timeout" => drop(rest.next()),
                "--wait" | "--reuse-values" | "--create-namespace" => {}
                _ => anyhow::bail!("{command}: what is {word}?"),
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        chart.release(&words[2], &arguments).with_context(|| command.clone())?;
        rendered += 1;
    }
    ensure!(rendered >= 15, "only {rendered} commands were found");
    Ok(())
}

#[test]
fn every_setting_of_the_older_guide_is_taken() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    OLDER.iter().try_for_each(|set| chart.release("zeptodb", &["--set", set]).map(drop))
}

#[test]
fn what_kubectl_names_is_there() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let all = "ingest.enabled=true,karpenter.enabled=true,serviceMonitor.enabled=true";
    let mut names: Vec<String> =
        Manifests::parse(&chart.release("zeptodb", &["--set", all])?)?.0.iter().map(name_of).collect();
    let canary = Manifests::parse(&chart.release("zeptodb-canary", &["--set", "cluster.enabled=true"])?)?;
    names.extend(canary.0.iter().map(name_of));
    // What controllers make of them.
    for number in 0..3 {
        names.push(format!("Pod zeptodb-{number}"));
        names.push(format!("PersistentVolumeClaim data-zeptodb-{number}"));
    }
    let kinds = [
        ("statefulset", "StatefulSet"),
        ("deployment", "Deployment"),
        ("svc", "Service"),
        ("secret", "Secret"),
        ("hpa", "HorizontalPodAutoscaler"),
        ("pvc", "PersistentVolumeClaim"),
        ("pod", "Pod"),
        ("nodepool", "NodePool"),
        ("exec", "Pod"),
        ("logs", "Pod"),
    ];
    let mut seen = 0;
    for command in page()?.iter().filter(|it| it.contains("kubectl ")) {
        let after = command.split("kubectl ").nth(1).context("a command")?;
        let words: Vec<&str> = after
            .split_whitespace()
            .filter(|word| !matches!(*word, "rollout" | "status" | "restart" | "undo"))
            .collect();
        if after.starts_with("create ") {
            continue;
        }
        let slashed = words.iter().find_map(|word| word.split_once('/'));
        let spaced = words
            .windows(2)
            .find_map(|two| kinds.iter().any(|it| it.0 == two[0]).then_some((two[0], two[1])));
        let Some((kind, name)) = slashed.or(spaced).filter(|(_, name)| !name.starts_with('-')) else {
            continue;
        };
        let Some((_, kind)) = kinds.iter().find(|it| it.0 == kind) else { continue };
        let whole = format!("{kind} {name}");
        ensure!(names.contains(&whole), "{command}: there is no {whole}");
        seen += 1;
    }
    ensure!(seen >= 12, "only {seen} commands name something");
    Ok(())
}

#[test]
fn every_curl_command_is_answered() -> Result<()> {
    let place = Place::new(ROOT)?;
    let keys = place.path().join("keys");
    let mut create = std::process::Command::new(zepto_harness::node::program_named("zepto")?);
    create.args(["keys", "create", "--role", "admin", "--name", "ops", "--file"]).arg(&keys);
    let key = String::from_utf8(create.output()?.stdout)?.trim().to_owned();
    let node = place.launch().flag("--api-keys-file").flag(keys).start()?;
    let mut sent = 0;
    for command in page()?.iter().filter(|it| it.starts_with("curl ")) {
        let words = words(command);
        let (mut method, mut target, mut header, mut body) = ("GET".to_owned(), None, None, String::new());
        let mut rest = words[1..].iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-s" => {}
                "-X" => method.clone_from(rest.next().context("a method")?),
                "-d" => body.clone_from(rest.next().context("a body")?),
                "-H" => header = Some(rest.next().context("a header")?.replace("$KEY", &key)),
                url => target = Some(url.strip_prefix("http://$LB:8123").with_context(|| url.to_owned())?),
            }
        }
        let target = target.with_context(|| command.clone())?.replace("<query-id>", "q_0");
        let header = header.as_deref().and_then(|it| it.split_once(": "));
        let headers: Vec<(&str, &str)> = header.into_iter().collect();
        let request = Request::new(&method, &target, &headers, body.into_bytes());
        let answer = Connection::open(node.address())?.send(&request)?;
        // A statement that does not run cannot be killed, and that is what the node says.
        let unknown =
            command.contains("<query-id>") && answer.status == 404 && !answer.text().contains("no handle");
        ensure!(answer.status == 200 || unknown, "{command}: {} {}", answer.status, answer.text());
        sent += 1;
    }
    ensure!(sent >= 7, "only {sent} commands were sent");
    Ok(())
}
