use clap::Parser;

use super::*;

fn load(yaml: &str, flags: &[&str]) -> Result<Config, ConfigFaults> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = [&["zepto_ingest_node", "--config", path], flags].concat();
    Config::load(&Flags::try_parse_from(arguments).unwrap())
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let yaml = "httpPort: 9000\npipeline: {drainThreads: 3}\ncluster: {coordinators: ['c:1'], addNodes: ['1:a:2']}\n";
    let config = load(yaml, &["--http-port", "9001", "--add-node", "4:h:8123,5:i:8123"]).unwrap();
    assert_eq!((config.http_port, config.pipeline.drain_threads, config.rpc_port()), (9001, 3, 9101));
    let added: Vec<String> = config.cluster.add_nodes.iter().map(ToString::to_string).collect();
    assert_eq!(added, ["4:h:8123", "5:i:8123"]);
    assert_eq!(config.cluster.coordinators, ["c:1"]);
}

#[test]
fn every_fault_of_file_and_flags_is_told_at_once() {
    let yaml = "httpPorts: 1\nnodeId: 5\ncluster: {suspectMs: 5, partitions: 4}\npipeline: {ringBufferCapacity: 5000}\n";
    let ConfigFaults(faults) = load(yaml, &["--bind", "0.0.0.0", "--tls-cert", "a.pem"]).unwrap_err();
    for name in [
        "unknown key httpPorts",
        "unknown key cluster.partitions",
        "cluster.coordinators",
        "nodeId = 5",
        "cluster.advertiseHost",
        "cluster.heartbeatIntervalMs",
        "cluster.secretFile",
        "pipeline.ringBufferCapacity",
        "tls.cert and tls.key",
        "apiKeysFile",
    ] {
        assert_eq!(faults.iter().filter(|fault| fault.contains(name)).count(), 1, "{name}: {faults:?}");
    }
    assert_eq!(faults.len(), 10, "{faults:?}");
}

#[test]
fn what_is_printed_is_read_again_as_the_same() {
    let config =
        load("{}", &["--coordinator", "a:1,b:2", "--add-node", "1:h:2", "--node-id", "99999"]).unwrap();
    let printed = serde_yaml_ng::to_string(&config).unwrap();
    assert_eq!(load(&printed, &[]).unwrap(), config);
}

#[test]
fn the_id_of_a_name_is_the_same_at_every_start_and_never_a_storage_nodes() {
    let named = |name: &str| Config { pod_name: Some(name.to_owned()), ..Config::default() }.id();
    assert_eq!(named("zeptodb-ingest-0"), named("zeptodb-ingest-0"));
    assert_ne!(named("zeptodb-ingest-0"), named("zeptodb-ingest-1"));
    for number in 0..1_000 {
        assert!(named(&number.to_string()).0 >= INGEST_ID_MIN);
    }
    assert!(Config::default().id().0 >= INGEST_ID_MIN);
}
