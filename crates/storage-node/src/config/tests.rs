use clap::Parser;

use super::*;

fn load(yaml: &str, flags: &[&str]) -> Result<Config, ConfigFaults> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = [&["zepto_storage_node", "--config", path], flags].concat();
    Config::load(&Flags::try_parse_from(arguments).unwrap())
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let config = load("httpPort: 9000\npipeline: {drainThreads: 3}\n", &["--http-port", "9001"]).unwrap();
    assert_eq!((config.http_port, config.pipeline.drain_threads), (9001, 3));
    assert_eq!(config.config.query_cache_size, 1_000);
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let error = load("pipeline: {drainThread: 3}\n", &[]).unwrap_err().to_string();
    assert!(error.contains("drainThread"), "{error}");
}

#[test]
fn all_faults_are_reported_at_once() {
    let yaml = "pipeline: {ringBufferCapacity: 5000}\nmemoryLimit: 1\ntls: {cert: a.pem}\nbind: 0.0.0.0\n";
    let ConfigFaults(faults) = load(yaml, &[]).unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    let yaml = "pipelin: {a: 1}\npipeline: {drainThread: 3, drainThreads: many}\nhttpPort: 70000\nmemoryLimit: 1\n\
                log: loud\nconfig: {hdbCompression: rar}\ntls:\n7: seven\n";
    let ConfigFaults(faults) = load(yaml, &[]).unwrap_err();
    for name in [
        "unknown key pipelin",
        "unknown key pipeline.drainThread",
        "pipeline.drainThreads",
        "httpPort",
        "memoryLimit",
        "log:",
        "config.hdbCompression",
        "not text",
    ] {
        let times = faults.iter().filter(|fault| fault.contains(name)).count();
        assert!(times >= 1, "{name}: {faults:?}");
    }
    assert_eq!(faults.len(), 8, "{faults:?}");
}

#[test]
fn an_open_bind_must_be_said_twice() {
    assert!(load("bind: 0.0.0.0\n", &["--no-auth"]).is_err());
    assert!(load("bind: 0.0.0.0\n", &["--no-auth", "--i-know-this-is-open"]).is_ok());
    assert!(load("bind: 0.0.0.0\napiKeysFile: /etc/zepto/keys\n", &[]).is_ok());
}

#[test]
fn the_ring_takes_powers_of_two_within_its_bounds() {
    for (capacity, good) in [(0, true), (4096, true), (16_777_216, true), (2048, false), (33_554_432, false)]
    {
        let yaml = format!("pipeline: {{ringBufferCapacity: {capacity}}}\n");
        assert_eq!(load(&yaml, &[]).is_ok(), good, "{capacity}");
    }
}

#[test]
fn every_key_is_a_setting() {
    let names: Vec<String> = Config::default().settings().into_iter().map(|(name, _)| name).collect();
    for name in ["bind", "pipeline.drainThreads", "config.hdbCompression", "tls.clientCa", "log.format"] {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn ids_of_ingest_nodes_are_refused_with_and_without_a_cluster() {
    assert_eq!(load("", &["--node-id", "99998"]).unwrap().node_id, 99_998);
    for id in ["99999", "4294967295"] {
        let error = load("", &["--node-id", id]).unwrap_err().to_string();
        assert!(error.contains("below 99999"), "{id}: {error}");
    }
}

#[test]
fn a_pods_ordinal_is_the_nodes_id_unless_one_is_given() {
    assert_eq!(load("", &["--pod-name", "zeptodb-12"]).unwrap().node_id, 12);
    assert_eq!(load("nodeId: 3", &["--pod-name", "my-db-0"]).unwrap().node_id, 0);
    assert_eq!(load("", &["--pod-name", "zeptodb-12", "--node-id", "5"]).unwrap().node_id, 5);
    for name in ["zeptodb", "zeptodb-", "zeptodb-7f9c-x2", "-3", "zeptodb-+1", "zeptodb-99999999999"] {
        let error = load("", &[&format!("--pod-name={name}")]).unwrap_err().to_string();
        assert!(error.contains("--pod-name"), "{name}: {error}");
    }
}
