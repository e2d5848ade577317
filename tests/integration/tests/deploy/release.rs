//! A release as the chart renders it, run as processes in the roles of its pods: the commands, environment, files and keys are the
//! chart's own; only names become addresses of 127.0.0.0/8 and folders become folders of the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;
use zepto_harness::node::program_named;
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::eventually;

use super::chart::{Chart, Manifests, list, text};
use super::monitoring;

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
/// How long all pods may take until they are ready.
pub(crate) const READY_WAIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// Values that make the release small enough for a test; nothing else differs from the defaults.
const SMALL: &str =
    "ingest.enabled=true,ingest.replicas=1,gracefulShutdown.preStopSleepSeconds=0,cluster.partitions=16";
/// Metrics that exist only once something has happened that this test does not do.
const OF_EVENTS: &[&str] = &["zepto_fenced_writes_total", "zepto_two_owners_total"];

/// A pod's process; killed when dropped.
pub(crate) struct Pod {
    name: String,
    pub(crate) address: Ipv4Addr,
    /// Ports that the chart declares, by name.
    pub(crate) ports: BTreeMap<String, u16>,
    /// Where it said that it listens.
    listening: Value,
    child: Child,
    log: PathBuf,
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The release's objects, and what their names stand for here.
pub(crate) struct Release {
    pub(crate) manifests: Manifests,
    folder: TempDir,
    /// Host names and paths of the release, longest first, and what they are here.
    names: Vec<(String, String)>,
}

impl Release {
    pub(crate) fn new(manifests: Manifests) -> Result<Self> {
        let folder = TempDir::new_in(ROOT)?;
        // Three random bytes: two runs on a machine do not meet.
        let net: [u8; 2] = rand::random();
        let mut names = Vec::new();
        let mut address = 10;
        for workload in manifests.workloads() {
            let name = text(&workload["metadata"]["name"]);
            for ordinal in 0..workload["spec"]["replicas"].as_u64().context("replicas")? {
                let host = Ipv4Addr::new(127, net[0].max(1), net[1], address).to_string();
                address += 1;
                let domain = workload["spec"]["serviceName"].as_str();
                let pod = format!("{name}-{ordinal}");
                if let Some(domain) = domain {
                    names.push((format!("{pod}.{domain}.zeptodb.svc"), host.clone()));
                }
                names.push((format!("pod:{pod}"), host));
            }
        }
        // Services lead to the first of their pods.
        let first =
            |pod: &str| names.iter().find(|(name, _)| *name == format!("pod:{pod}")).map(|it| it.1.clone());
        let (storage, ingest) = (first("zeptodb-0"), first("zeptodb-ingest-0"));
        let (storage, ingest) = (storage.context("a storage pod")?, ingest.context("an ingest pod")?);
        names.push(("zeptodb-headless.zeptodb.svc".to_owned(), storage.clone()));
        names.push(("http://zeptodb-ingest:8123".to_owned(), format!("http://{ingest}:8123")));
        names.push(("http://zeptodb:8123".to_owned(), format!("http://{storage}:8123")));
        Ok(Self { manifests, folder, names })
    }

    /// A text of the manifests as it is to be here, for this pod.
    fn here(&self, text: &str, pod: &str) -> String {
        let home = self.folder.path().join(pod);
        let mut text = text.replace("$(ZEPTO_POD_NAME)", pod);
        for (name, here) in &self.names {
            text = text.replace(name, here);
        }
        for path in ["/etc/zeptodb", "/opt/zeptodb"] {
            text = text.replace(path, &home.join(&path[1..]).display().to_string());
        }
        text
    }

    fn address(&self, pod: &str) -> Result<Ipv4Addr> {
        let name = format!("pod:{pod}");
        let found = self.names.iter().find(|it| it.0 == name).context("the pod has an address")?;
        Ok(found.1.parse()?)
    }

    /// Lays out the files that a pod mounts.
    fn mount(&self, spec: &Value, pod: &str) -> Result<()> {
        let mounts = list(&spec["containers"][0]["volumeMounts"]);
        for mount in mounts {
            let path = PathBuf::from(self.here(text(&mount["mountPath"]), pod));
            fs::create_dir_all(&path)?;
            let volume = list(&spec["volumes"]).iter().find(|it| it["name"] == mount["name"]);
            let Some(volume) = volume else { continue };
            if let Some(name) = volume["configMap"]["name"].as_str() {
                let files = &self.manifests.get("ConfigMap", name)?["data"];
                for (file, content) in files.as_object().into_iter().flatten() {
                    fs::write(
                        path.join(file),
                        self.here(text(content), pod).replace("0.0.0.0", &self.bind(pod)?),
                    )?;
                }
            }
            if let Some(name) = volume["secret"]["secretName"].as_str() {
                let files = &self.manifests.get("Secret", name)?["data"];
                let all =
                    files.as_object().into_iter().flatten().map(|(key, _)| (key.as_str(), key.as_str()));
                let items = list(&volume["secret"]["items"]);
                let some = items.iter().map(|item| (text(&item["key"]), text(&item["path"])));
                for (key, file) in some.chain(all.filter(|_| items.is_empty())) {
                    fs::write(path.join(file), STANDARD.decode(text(&files[key]))?)?;
                }
            }
        }
        Ok(())
    }

    /// A pod listens on its own address only; in the cluster it has a network of its own.
    fn bind(&self, pod: &str) -> Result<String> {
        Ok(self.address(pod)?.to_string())
    }

    /// The command of a container, with its environment.
    fn command(&self, container: &Value, pod: &str) -> Result<Command> {
        let words: Vec<String> = list(&container["command"])
            .iter()
            .chain(list(&container["args"]))
            .map(|word| self.here(text(word), pod))
            .collect();
        let program = words.first().and_then(|word| word.rsplit('/').next()).context("a program")?;
        let mut command = Command::new(program_named(program)?);
        command.args(&words[1..]).env_clear().stdin(Stdio::null());
        for variable in list(&container["env"]) {
            let from = &variable["valueFrom"];
            let value = match (from["fieldRef"]["fieldPath"].as_str(), from["secretKeyRef"]["name"].as_str())
            {
                (Some("metadata.name"), _) => pod.to_owned(),
                (Some("status.podIP"), _) => self.bind(pod)?,
                (Some(other), _) => anyhow::bail!("the field {other}"),
                (None, Some(name)) => self.secret(name, text(&from["secretKeyRef"]["key"]))?,
                (None, None) => {
                    let bind = if variable["name"] == "ZEPTO_BIND" { self.bind(pod)? } else { String::new() };
                    let value = self.here(text(&variable["value"]), pod);
                    if bind.is_empty() { value } else { value.replace("0.0.0.0", &bind) }
                }
            };
            command.env(text(&variable["name"]), value);
        }
        Ok(command)
    }

    pub(crate) fn secret(&self, name: &str, key: &str) -> Result<String> {
        let secret = self.manifests.get("Secret", name)?;
        Ok(String::from_utf8(STANDARD.decode(text(&secret["data"][key]))?)?)
    }

    /// Starts all pods of a workload.
    pub(crate) fn start(&self, kind: &str, name: &str) -> Result<Vec<Pod>> {
        let workload = self.manifests.get(kind, name)?;
        let replicas = workload["spec"]["replicas"].as_u64().context("replicas")?;
        (0..replicas).map(|ordinal| self.start_pod(workload, &format!("{name}-{ordinal}"))).collect()
    }

    fn start_pod(&self, workload: &Value, pod: &str) -> Result<Pod> {
        let spec = &workload["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        self.mount(spec, pod)?;
        let log = self.folder.path().join(format!("{pod}.log"));
        let mut child =
            self.command(container, pod)?.stdout(Stdio::piped()).stderr(fs::File::create(&log)?).spawn()?;
        let mut first = String::new();
        BufReader::new(child.stdout.take().context("the output is piped")?).read_line(&mut first)?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let listening =
            serde_json::from_str(&first).with_context(|| format!("{pod} said {first:?}\n{}", said()))?;
        let ports = list(&container["ports"]).iter().filter_map(|port| {
            Some((text(&port["name"]).to_owned(), u16::try_from(port["containerPort"].as_u64()?).ok()?))
        });
        let ports = ports.collect();
        Ok(Pod { name: pod.to_owned(), address: self.address(pod)?, ports, listening, child, log })
    }
}

impl Pod {
    pub(crate) fn get(&self, path: &str, key: Option<&str>) -> Result<(u16, String)> {
        let address = SocketAddr::from((self.address, self.ports["http"]));
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|it| ("Authorization", it.as_str())).collect();
        let answer = Connection::open(address)?.send(&Request::new("GET", path, &headers, Vec::new()))?;
        Ok((answer.status, answer.text()))
    }

    pub(crate) fn await_ready(&self, until: Instant) -> Result<()> {
        loop {
            let last = self.get("/ready", None);
            if last.as_ref().is_ok_and(|it| it.0 == 200) {
                return Ok(());
            }
            if Instant::now() > until {
                let log = fs::read_to_string(&self.log)?;
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                anyhow::bail!("{} is not ready: {last:?}\n{}", self.name, tail.join("\n"));
            }
            pause();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes do not tell when they are done: they are asked again"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn succeed(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_rendered_release_becomes_ready_and_does_what_the_chart_says() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let release = Release::new(Manifests::parse(&chart.release("zeptodb", &["--set", SMALL])?)?)?;
    let until = Instant::now() + READY_WAIT;
    let mut pods = release.start("StatefulSet", "zeptodb-coordinator")?;
    pods.extend(release.start("StatefulSet", "zeptodb")?);
    pods.extend(release.start("Deployment", "zeptodb-ingest")?);
    ensure!(pods.len() == 3 + 3 + 1, "{}", pods.len());
    pods.iter().try_for_each(|pod| pod.await_ready(until))?;

    // The addresses in use are the ones that the chart declares, no more and no fewer.
    for pod in &pods {
        let open: BTreeMap<String, u16> = pod
            .listening
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "event")
            .map(|(name, at)| Ok((name.clone(), text(at).parse::<SocketAddr>()?.port())))
            .collect::<Result<_>>()?;
        ensure!(open == pod.ports, "{}: {open:?}, and the chart says {:?}", pod.name, pod.ports);
        ensure!(pod.get("/health", None)?.0 == 200, "{}", pod.name);
    }

    // Node ids are ordinals, and a key is needed, the one that the chart made.
    let key = release.secret("zeptodb-auth", "admin-key")?;
    let doors: Vec<&Pod> = pods.iter().filter(|pod| !pod.name.contains("coordinator")).collect();
    for (number, pod) in doors.iter().enumerate() {
        let health: Value = serde_json::from_str(&pod.get("/health", None)?.1)?;
        let expected = number.to_string();
        ensure!(
            pod.name.contains("ingest") || text(&health["node_id"]) == expected,
            "{}: {health}",
            pod.name
        );
        let without = pod.get("/?query=SELECT%201", None)?;
        ensure!(matches!(without.0, 401 | 403), "{} is open: {without:?}", pod.name);
        ensure!(pod.get("/?query=SELECT%201", Some(&key))? == (200, "1\n".to_owned()), "{}", pod.name);
    }
    let metrics_key = release.secret("zeptodb-auth", "metrics-key")?;
    ensure!(doors[0].get("/stats", Some(&metrics_key))?.0 == 200, "the metrics key");
    let reads = doors[0].get("/?query=SELECT%201", Some(&metrics_key))?;
    ensure!(reads.0 != 200, "the metrics key reads: {reads:?}");

    // The bootstrap job, then the test hook, as Helm would run them.
    let job = release.manifests.get("Job", "zeptodb-bootstrap")?;
    let spec = &job["spec"]["template"]["spec"];
    release.mount(spec, "zeptodb-0")?;
    succeed(release.command(&spec["containers"][0], "zeptodb-0")?)?;
    succeed(release.command(&spec["containers"][0], "zeptodb-0")?)?;
    let hook = release.manifests.get("Pod", "zeptodb-test")?;
    let containers = list(&hook["spec"]["containers"]);
    ensure!(containers.len() == 3, "{containers:?}");
    let said: Vec<String> =
        containers.iter().map(|it| succeed(release.command(it, "zeptodb-0")?)).collect::<Result<_>>()?;
    ensure!(said[0] == "1\ntrades\n", "{said:?}");
    ensure!(said[1].contains("replication factor 2"), "{}", said[1]);
    // The last to come may still be joining.
    eventually(Duration::from_secs(60), || {
        let status = succeed(release.command(&containers[1], "zeptodb-0")?)?;
        ensure!(status.matches("ACTIVE").count() == 4, "{status}");
        Ok(())
    })?;
    ensure!(said[2] == "1\n", "{said:?}");

    rows_go_everywhere(&doors, &key)?;
    effective(&release, &doors[0..3], &key)?;
    let mut scraped = String::new();
    for pod in &pods {
        let (status, text) = pod.get("/metrics", None)?;
        ensure!(status == 200, "{}", pod.name);
        scraped.push_str(&text);
    }
    for name in monitoring::metrics_asked_for()? {
        let there = scraped.lines().any(|line| line.split(['{', ' ']).next() == Some(name.as_str()));
        ensure!(there || OF_EVENTS.contains(&name.as_str()), "no process exports {name}");
    }
    end_in_order(pods)
}

/// A row through the ingest door and one through a storage node are there at every door.
fn rows_go_everywhere(doors: &[&Pod], key: &str) -> Result<()> {
    let ingest = doors.last().context("an ingest pod")?;
    for (door, row) in
        [(ingest, "('A',1.5,2,'2026-01-01%2000:00:00')"), (&doors[0], "('B',1.5,3,'2026-01-01%2000:00:01')")]
    {
        let address = SocketAddr::from((door.address, door.ports["http"]));
        let bearer = format!("Bearer {key}");
        let target = format!("/?query=INSERT%20INTO%20trades%20VALUES%20{row}");
        let request = Request::new("POST", &target, &[("Authorization", &bearer)], Vec::new());
        let answer = Connection::open(address)?.send(&request)?;
        ensure!(answer.status == 200, "{}: {}", door.name, answer.text());
    }
    for pod in doors {
        let found =
            pod.get("/?query=SELECT%20symbol,%20volume%20FROM%20trades%20ORDER%20BY%20symbol", Some(key))?;
        ensure!(found == (200, "A\t2\nB\t3\n".to_owned()), "{}: {found:?}", pod.name);
    }
    Ok(())
}

/// Every key of the configuration file is in force, by the nodes' own account.
fn effective(release: &Release, pods: &[&Pod], key: &str) -> Result<()> {
    for pod in pods {
        let path = release.folder.path().join(&pod.name).join("etc/zeptodb/conf/zeptodb.conf");
        let file: Value = serde_yaml_ng::from_str(&fs::read_to_string(path)?)?;
        let (status, said) = pod.get("/admin/settings", Some(key))?;
        ensure!(status == 200, "{said}");
        let settings: Value = serde_json::from_str(&said)?;
        for (name, value) in flat(&file, "") {
            let there = settings.get(&name).or_else(|| settings["settings"].get(&name));
            let there = there.with_context(|| format!("{name} is not among the settings: {said}"))?;
            let there = there.as_str().map_or_else(|| there.to_string(), str::to_owned);
            ensure!(there == value, "{}: {name} is {there}, and the file says {value}", pod.name);
        }
    }
    Ok(())
}

fn flat(value: &Value, at: &str) -> Vec<(String, String)> {
    match value {
        Value::Object(group) => group
            .iter()
            .flat_map(|(key, value)| {
                flat(value, &if at.is_empty() { key.clone() } else { format!("{at}.{key}") })
            })
            .collect(),
        Value::String(text) => vec![(at.to_owned(), text.clone())],
        other => vec![(at.to_owned(), other.to_string())],
    }
}

/// SIGTERM ends every pod in order: the doors first, as a rolling restart would, with exit code 0.
fn end_in_order(pods: Vec<Pod>) -> Result<()> {
    for mut pod in pods.into_iter().rev() {
        let number = i32::try_from(pod.child.id())?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), nix::sys::signal::Signal::SIGTERM)?;
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = pod.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < until, "{} does not end", pod.name);
            pause();
        };
        let mut log = String::new();
        fs::File::open(&pod.log)?.read_to_string(&mut log)?;
        ensure!(status.success(), "{} ended with {status}\n{log}", pod.name);
        let every_line_is_json = log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
        ensure!(every_line_is_json, "{}: a log line is no JSON\n{log}", pod.name);
    }
    Ok(())
}

#[test]
fn the_configuration_of_every_set_is_taken_by_the_programs() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let folder = TempDir::new_in(ROOT)?;
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret")?;
    for values in super::values::GOOD {
        let manifests = Manifests::parse(&chart.text(values)?)?;
        for workload in manifests.workloads() {
            check(&manifests, workload, folder.path(), &secret)
                .with_context(|| format!("the set {}", values.0))?;
        }
    }
    Ok(())
}

/// A file of a workload's volume `conf`.
pub(crate) fn configuration<'a>(manifests: &'a Manifests, workload: &Value, file: &str) -> Result<&'a str> {
    let volumes = list(&workload["spec"]["template"]["spec"]["volumes"]);
    let volume = volumes.iter().find(|it| it["name"] == "conf").context("a volume conf")?;
    let map = manifests.get("ConfigMap", text(&volume["configMap"]["name"]))?;
    map["data"][file].as_str().with_context(|| format!("no {file} in {}", volume["configMap"]))
}

/// `--check-config` of a workload's program, with its arguments and environment.
fn check(manifests: &Manifests, workload: &Value, folder: &Path, secret: &Path) -> Result<()> {
    let container = &workload["spec"]["template"]["spec"]["containers"][0];
    let program = text(&container["command"][0]).rsplit('/').next().context("a program")?;
    let mut command = Command::new(program_named(program)?);
    command.env_clear().arg("--check-config");
    for word in list(&container["args"]).iter().map(text) {
        if let Some(file) = word.strip_prefix("/etc/zeptodb/conf/") {
            let path = folder.join(file);
            fs::write(&path, configuration(manifests, workload, file)?)?;
            command.arg(&path);
        } else {
            command.arg(word);
        }
    }
    for variable in list(&container["env"]) {
        let value = match variable["name"].as_str() {
            Some("ZEPTO_CLUSTER_SECRET_FILE") => secret.display().to_string(),
            Some("ZEPTO_POD_NAME") => "zeptodb-1".to_owned(),
            _ => text(&variable["value"]).replace("$(ZEPTO_POD_NAME)", "zeptodb-1"),
        };
        command.env(text(&variable["name"]), value);
    }
    let said = succeed(command)?;
    ensure!(said == "configuration is good\n", "{program}: {said}");
    Ok(())
}
