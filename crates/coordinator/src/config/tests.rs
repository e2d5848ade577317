use clap::Parser;

use super::*;

fn load(yaml: &str, flags: &[&str]) -> Result<Config, ConfigFaults> {
    let file = tempfile::NamedTempFile::new().expect("makes a file");
    std::fs::write(file.path(), yaml).expect("writes it");
    let path = file.path().to_str().expect("is text");
    let arguments = [&["zepto_coordinator", "--config", path], flags].concat();
    Config::load(&Flags::try_parse_from(arguments).expect("are flags"))
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let yaml = "cluster: {members: ['1@a:1'], deadMs: 20000, partitions: 8}\n";
    let config = load(yaml, &["--dead-ms", "30000"]).expect("is good");
    assert_eq!((config.cluster.dead_ms, config.cluster.partitions, config.http_port), (30_000, 8, 8125));
    let options = config.options().expect("needs no file");
    assert_eq!(
        (options.members, options.rpc_port, options.beat.port),
        (vec![(1, "a:1".to_owned())], 8225, 9102)
    );
    assert!(!options.bootstrap, "a group that is listed begins only when it is told to");
}

#[test]
fn every_fault_of_file_and_flags_is_told_at_once() {
    let yaml = "clusters: 1\ncluster: {members: ['1@a', '2@b:1'], replicationFactor: 4, minInSync: 9, deadMs: 5}\nnodeId: 0\n";
    let ConfigFaults(faults) = load(yaml, &["--bind", "0.0.0.0", "--no-auth"]).expect_err("has faults");
    for name in [
        "unknown key clusters",
        "cluster.members: \"1@a\"",
        "cluster.replicationFactor = 4",
        "cluster.minInSync = 9",
        "cluster.deadMs",
        "nodeId = 0",
        "cluster.secretFile",
        "--i-know-this-is-open",
    ] {
        assert_eq!(faults.iter().filter(|fault| fault.contains(name)).count(), 1, "{name}: {faults:?}");
    }
    assert_eq!(faults.len(), 8, "{faults:?}");
}

#[test]
fn what_is_printed_is_read_again_as_the_same() {
    let config = load("{}", &["--members", "1@a:1,2@b:1,3@c:1", "--add-node", "1:h:2"]).expect("is good");
    let printed = serde_yaml_ng::to_string(&config).expect("prints");
    assert_eq!(load(&printed, &[]).expect("reads"), config);
}
