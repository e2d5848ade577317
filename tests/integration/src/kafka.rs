//! A real Kafka broker (KRaft, one process) that can be killed and started again, and a producer that sends each message
//! once.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, TopicPartitionList};
use tempfile::TempDir;

use crate::cluster::eventually;
use crate::peers::Peer;

/// Starting a JVM on a busy machine.
const START: Duration = Duration::from_secs(90);
/// Memory of the broker.
const HEAP: &str = "-Xmx384m";

/// A broker; killed when dropped.
pub struct Broker {
    root: String,
    folder: TempDir,
    address: SocketAddr,
    process: Option<Child>,
}

impl Broker {
    /// Starts a broker with one topic. `root` is a folder in the target directory.
    ///
    /// # Errors
    /// Without `java` and `mvn`, or when it does not come up.
    pub fn start(root: &str, topic: &str, partitions: u16) -> Result<Self> {
        let folder = TempDir::new_in(root)?;
        let (address, controller) = free_ports()?;
        let data = folder.path().join("data");
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@{controller}\ncontroller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{address}\n\
             log.dirs={}\nnum.partitions={partitions}\nauto.create.topics.enable=true\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            data.display()
        );
        fs::write(folder.path().join("server.properties"), settings)?;
        let mut format = Peer::Java("kafka", "kafka.tools.StorageTool").command(root)?;
        let format = format.args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]);
        let output = format.arg(folder.path().join("server.properties")).output();
        let output = output.context("java is needed for a Kafka broker (README.md)")?;
        ensure!(
            output.status.success(),
            "kafka.tools.StorageTool: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut broker = Self { root: root.to_owned(), folder, address, process: None };
        broker.restart()?;
        broker.make_topic(topic, partitions)?;
        Ok(broker)
    }

    /// Makes a topic with the partitions that the broker gives to all.
    ///
    /// # Errors
    /// It is not there in time.
    pub fn make_topic(&self, topic: &str, partitions: u16) -> Result<()> {
        let producer = self.producer()?;
        // The broker makes a topic when a producer asks for it first.
        eventually(START, || {
            let found = producer.client().fetch_metadata(Some(topic), Duration::from_secs(5))?;
            let made = found.topics().first().map_or(0, |topic| topic.partitions().len());
            ensure!(made == usize::from(partitions), "the topic has {made} partitions");
            Ok(())
        })
    }

    /// What a group has committed of each partition of a topic, and where the partition ends.
    ///
    /// # Errors
    /// The broker does not say.
    pub fn committed(&self, group: &str, topic: &str, partitions: u16) -> Result<Vec<(Option<i64>, i64)>> {
        let wait = Duration::from_secs(10);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address.to_string()).set("group.id", group);
        let reader: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, i32::from(partitions) - 1);
        let committed = reader.committed_offsets(list, wait)?;
        let of = |partition: i32| {
            let offset = committed.find_partition(topic, partition).map(|it| it.offset());
            let (_, end) = reader.fetch_watermarks(topic, partition, wait)?;
            Ok((offset.and_then(|offset| offset.to_raw()).filter(|offset| *offset >= 0), end))
        };
        (0..i32::from(partitions)).map(of).collect()
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// kill -9.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker runs")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Starts it where it was, and waits until it listens.
    ///
    /// # Errors
    /// It does not come up.
    pub fn restart(&mut self) -> Result<()> {
        let mut java = Peer::Java("kafka", "kafka.Kafka").command(&self.root)?;
        let log = fs::File::create(self.folder.path().join("broker.log"))?;
        java.arg(self.folder.path().join("server.properties")).env("JDK_JAVA_OPTIONS", HEAP);
        self.process = Some(java.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        eventually(START, || TcpStream::connect(self.address).context("the broker does not listen").map(drop))
    }

    /// A producer whose repeats the broker recognises.
    ///
    /// # Errors
    /// A configuration that is none.
    pub fn producer(&self) -> Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.address.to_string())
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "120000")
            .set("reconnect.backoff.max.ms", "500")
            .set("linger.ms", "5");
        Ok(config.create()?)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.process.is_some() {
            // The test says what failed; a broker that has ended by itself needs no killing.
            let _ended = self.kill();
        }
    }
}

/// Sends a message to a partition; waits while the producer's queue is full.
///
/// # Errors
/// The producer's.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, payload: &[u8]) -> Result<()> {
    loop {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(payload);
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(20));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Two ports that nobody has at the moment.
fn free_ports() -> Result<(SocketAddr, SocketAddr)> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, two.local_addr()?))
}
