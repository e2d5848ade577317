use super::*;

const MQTT: &str = "brokers: ['tcp://b'], topics: ['a/+/c'], clientId: z";

fn feed(mqtt: &str, more: &str) -> Result<FeedConfig, serde_yaml_ng::Error> {
    serde_yaml_ng::from_str(&format!(
        "{{ name: f, table: t, deadLetter: d, format: CSV, mqtt: {{ {mqtt} }} {more} }}"
    ))
}

fn faults_of(feed: FeedConfig) -> Vec<String> {
    let mut faults = Vec::new();
    validate(&[feed], &mut faults);
    faults
}

#[test]
fn a_feed_of_mqtt_has_these_defaults() {
    let feed = feed(MQTT, "").unwrap();
    assert_eq!(feed.kind(), "mqtt");
    let mqtt = feed.mqtt.clone().unwrap();
    assert_eq!((mqtt.qos, mqtt.protocol, mqtt.in_flight, mqtt.keep_alive_seconds), (1, 5, 1_000, 30));
    assert!(!mqtt.clean_session);
    assert_eq!(faults_of(feed), Vec::<String>::new());
}

#[test]
fn faults_of_mqtt_are_told_all_at_once() {
    let bad = feed(
        "brokers: ['http://b', 'tcp://b:x', 'ssl://b', 'tcp://b'], topics: ['a/#/b', 'a+', '$share/g', '$share//a', \
         'ok/#', '$share/g/ok/+'], clientId: '', qos: 3, protocol: 3, keepAliveSeconds: 1, inFlight: 0, \
         passwordEnv: A, passwordFile: b",
        ", columns: { a: { topicLevel: 0 }, b: { from: key }, c: { from: offset }, d: { from: timestamp }, \
         e: { from: partition }, f: { topicLevel: 1 }, g: { from: retained }, h: { from: topic } }",
    );
    let faults = faults_of(bad.unwrap());
    let expected = [
        "columns.a: the first level of a topic is topicLevel 1",
        "columns.b: a message of MQTT has no key",
        "columns.c: a message of MQTT has no offset",
        "columns.d: a message of MQTT has no timestamp",
        "columns.e: a message of MQTT has no partition",
        "mqtt.topics: \"a/#/b\" is no topic filter",
        "mqtt.topics: \"a+\" is no topic filter",
        "mqtt.topics: \"$share/g\" is no topic filter",
        "mqtt.topics: \"$share//a\" is no topic filter",
        "mqtt.brokers[0]: a URL begins with tcp:// or ssl://",
        "mqtt.brokers[1]: a port is a number",
        "mqtt.tls.ca is needed for ssl://",
        "mqtt: one of passwordEnv and passwordFile",
        "mqtt.user is needed where there is a password",
        "mqtt.clientId: 1 to 128 bytes, and no control characters",
        "mqtt.qos = 3: 0, 1 or 2",
        "mqtt.protocol = 3: 4 (MQTT 3.1.1) or 5",
        "mqtt.keepAliveSeconds = 1: 2 to 3,600",
        "mqtt.inFlight: at least 1",
    ];
    assert_eq!(faults, expected.map(|it| format!("feeds.f: {it}")));
}

#[test]
fn a_feed_has_exactly_one_source() {
    let kafka = ", kafka: { brokers: [b], topics: [x], groupId: g }";
    let one = ["feeds.f: a feed has one of kafka and mqtt"];
    assert_eq!(faults_of(feed(MQTT, kafka).unwrap()), one);
    assert_eq!(faults_of(FeedConfig { mqtt: None, ..feed(MQTT, "").unwrap() }), one);
    let mut twice = Vec::new();
    let other = FeedConfig { name: "g".to_owned(), ..feed(MQTT, "").unwrap() };
    validate(&[feed(MQTT, "").unwrap(), other], &mut twice);
    assert_eq!(twice, ["feeds.g: mqtt.clientId is that of feeds.f: each needs its own"]);
}

#[test]
fn parts_that_kafka_does_not_have_are_refused_there() {
    let columns = ", columns: { a: { topicLevel: 1 }, b: { from: retained } }";
    let kafka = format!("{columns}, kafka: {{ brokers: [b], topics: [x], groupId: g }}");
    let faults = faults_of(FeedConfig { mqtt: None, ..feed(MQTT, &kafka).unwrap() });
    assert_eq!(faults.len(), 2, "{faults:?}");
    let old = feed(&format!("{MQTT}, protocol: 4"), ", columns: { a: { header: h } }").unwrap();
    assert!(faults_of(old)[0].contains("protocol 5"));
}

#[test]
fn no_fault_and_no_print_shows_a_password() {
    let url = feed("brokers: ['tcp://me:hunter2@b'], topics: [a], clientId: z", "").unwrap();
    let faults = faults_of(url);
    assert!(faults[0].contains("passwordFile"), "{faults:?}");
    assert!(!format!("{faults:?}").contains("hunter2"), "{faults:?}");
    let error = feed(&format!("{MQTT}, user: me, password: hunter2"), "").unwrap_err().to_string();
    assert!(error.contains("unknown field `password`") && !error.contains("hunter2"), "{error}");
}

#[test]
fn the_nodes_id_makes_a_client_id_of_its_own() {
    let shared = feed("brokers: ['tcp://b'], topics: ['$share/g/a'], clientId: 'z-{node}'", "").unwrap();
    assert!(shared.names_its_node() && !feed(MQTT, "").unwrap().names_its_node());
    assert_eq!(shared.at_node(100_001).mqtt.unwrap().client_id, "z-100001");
}

#[test]
fn urls_have_a_scheme_a_host_and_perhaps_a_port() {
    let read = |url: &str| Address::parse(url).map(|it| (it.tls, it.host, it.port));
    assert_eq!(read("tcp://broker"), Ok((false, "broker".to_owned(), 1883)));
    assert_eq!(read("ssl://10.0.0.1:99/"), Ok((true, "10.0.0.1".to_owned(), 99)));
    assert_eq!(read("mqtts://[::1]:7"), Ok((true, "::1".to_owned(), 7)));
    assert_eq!(read("tcp://[::1]"), Ok((false, "::1".to_owned(), 1883)));
    for bad in ["broker:1883", "tcp://", "tcp://b/path", "tcp://b:99999", "ws://b"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
