//! Feeds from a broker of MQTT that does what the test tells it, into a real store on a simulated disk.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use parking_lot::Mutex;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, PubComp, PubRec, PubRel, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use world::{PATIENCE, World, message, until};
use zepto_common::ErrorCode;
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_feeds::FeedConfig;
use zepto_feeds::supervisor::State;

const ANY: usize = 300 << 20;

/// What a broker is told, and what it was told by the feed.
#[derive(Default)]
struct Told {
    /// Whether it says that it has kept the session.
    keeps: AtomicBool,
    refuses: AtomicBool,
    subscribed: AtomicUsize,
    heard: Mutex<Vec<Packet>>,
    sent: AtomicUsize,
    cut: Notify,
}

/// A broker; its tasks end with it.
struct Broker {
    address: SocketAddr,
    told: Arc<Told>,
    packets: mpsc::Sender<Packet>,
    _tasks: JoinSet<()>,
}

impl Broker {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let told = Arc::new(Told::default());
        let (packets, mut to_send) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let of_task = told.clone();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let cut = of_task.cut.notified();
                tokio::select! {
                    () = talk(stream, &of_task, &mut to_send) => {}
                    () = cut => {}
                }
            }
        });
        Self { address, told, packets, _tasks: tasks }
    }

    fn feed(&self, world: &World, more: &str) -> FeedConfig {
        let mqtt = format!(
            "{{ brokers: ['tcp://{}'], topics: ['t/#'], clientId: c, qos: 2, protocol: 4{more} }}",
            self.address
        );
        let mqtt = serde_yaml_ng::from_str(&mqtt).expect("a configuration");
        FeedConfig { kafka: None, mqtt: Some(mqtt), ..world.feed() }
    }

    async fn send(&self, packet: Packet) {
        self.packets.send(packet).await.expect("the broker's task lives");
    }

    async fn publish(&self, packet: u16, qos: QoS, again: bool, payload: impl Into<Vec<u8>>) {
        let publish = Publish { pkid: packet, dup: again, ..Publish::new("t/x", qos, payload) };
        self.send(Packet::Publish(publish)).await;
    }

    /// What the feed says of messages.
    fn heard(&self) -> Vec<Packet> {
        let heard = self.told.heard.lock();
        heard.iter().filter(|it| !matches!(it, Packet::Disconnect | Packet::PingReq)).cloned().collect()
    }

    /// Whether the feed has said goodbye at last.
    fn was_left(&self) -> bool {
        self.told.heard.lock().last() == Some(&Packet::Disconnect)
    }

    async fn subscribed(&self, times: usize) {
        until("the feed subscribes", || self.told.subscribed.load(Ordering::Relaxed) == times).await;
    }
}

async fn talk(mut stream: TcpStream, told: &Told, to_send: &mut mpsc::Receiver<Packet>) {
    let (mut reader, mut writer) = stream.split();
    let mut input = BytesMut::new();
    loop {
        let packet = match Packet::read(&mut input, ANY) {
            Ok(packet) => packet,
            Err(Error::InsufficientBytes(_)) => {
                tokio::select! {
                    read = reader.read_buf(&mut input) => match read {
                        Ok(0) | Err(_) => return,
                        Ok(_) => continue,
                    },
                    Some(packet) = to_send.recv(), if told.subscribed.load(Ordering::Relaxed) > 0 => {
                        let mut out = BytesMut::new();
                        packet.write(&mut out, ANY).expect("a packet");
                        if writer.write_all(&out).await.is_err() {
                            return;
                        }
                        told.sent.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                }
            }
            Err(error) => panic!("the feed sends {error}"),
        };
        let answer = match &packet {
            Packet::Connect(_) => {
                let present = told.keeps.load(Ordering::Relaxed);
                Some(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, present)))
            }
            Packet::Subscribe(subscribe) => {
                let code = match told.refuses.load(Ordering::Relaxed) {
                    true => SubscribeReasonCode::Failure,
                    false => SubscribeReasonCode::Success(QoS::ExactlyOnce),
                };
                Some(Packet::SubAck(SubAck::new(subscribe.pkid, vec![code])))
            }
            _ => None,
        };
        if let Some(answer) = answer {
            let mut out = BytesMut::new();
            answer.write(&mut out, ANY).expect("a packet");
            if writer.write_all(&out).await.is_err() {
                return;
            }
            if matches!(answer, Packet::SubAck(_)) {
                told.subscribed.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            told.heard.lock().push(packet);
        }
    }
}

fn acks(packets: impl IntoIterator<Item = u16>) -> Vec<Packet> {
    packets.into_iter().map(|packet| Packet::PubAck(PubAck::new(packet))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_its_rows_and_their_position_are_durable() {
    let (world, broker) = (World::new().await, Broker::start().await);
    let (feeds, status) = world.start(broker.feed(&world, ""));
    broker.subscribed(1).await;
    until("it runs", || status.state() == State::Running).await;
    *world.moods.refuses.lock() = Some(ErrorCode::Overloaded);
    for id in 1..=5 {
        broker.publish(id, QoS::AtLeastOnce, false, message(i64::from(id))).await;
    }
    until("it pauses", || status.state() == State::Paused).await;
    let writes = || world.moods.writes.load(Ordering::Relaxed);
    let enough = writes() + 3;
    until("it tries again and again", || writes() >= enough).await;
    assert_eq!(broker.heard(), Vec::new());
    world.moods.keeps_positions.store(true, Ordering::Relaxed);
    *world.moods.refuses.lock() = None;
    until("the rows are stored", || world.rows("t") == 5).await;
    let says = || status.show()["last_error"].to_string().contains("positions were not stored");
    until("positions cannot be stored", says).await;
    assert_eq!(broker.heard(), Vec::new());
    world.moods.keeps_positions.store(false, Ordering::Relaxed);
    until("all are acknowledged", || broker.heard() == acks(1..=5)).await;
    assert_eq!(world.stored(), [1, 2, 3, 4, 5]);
    feeds.stop().await;
    assert_eq!(status.show()["restarts"], 0);
    until("it leaves in order", || broker.was_left()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_qos_2_that_comes_again_on_another_connection_is_stored_once() {
    let (world, broker) = (World::new().await, Broker::start().await);
    let (feeds, _) = world.start(broker.feed(&world, ""));
    broker.subscribed(1).await;
    broker.publish(7, QoS::ExactlyOnce, false, message(7)).await;
    let received = Packet::PubRec(PubRec::new(7));
    until("it is received", || broker.heard() == [received.clone()]).await;
    broker.told.keeps.store(true, Ordering::Relaxed);
    broker.told.cut.notify_waiters();
    broker.subscribed(2).await;
    broker.publish(7, QoS::ExactlyOnce, true, message(7)).await;
    until("it is received again", || broker.heard() == [received.clone(), received.clone()]).await;
    broker.send(Packet::PubRel(PubRel::new(7))).await;
    let complete = Packet::PubComp(PubComp::new(7));
    until("it is complete", || broker.heard().last() == Some(&complete)).await;
    // The id is free: this is another message, whatever it says.
    broker.publish(7, QoS::ExactlyOnce, true, message(8)).await;
    until("the next is received", || broker.heard().last() == Some(&received)).await;
    assert_eq!(world.stored(), [7, 8]);
    // A broker that has lost the session counts from the beginning.
    broker.told.keeps.store(false, Ordering::Relaxed);
    broker.told.cut.notify_waiters();
    broker.subscribed(3).await;
    broker.publish(7, QoS::ExactlyOnce, true, message(8)).await;
    until("it is stored again", || world.rows("t") == 3).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_takes_a_window_of_messages_and_no_more_while_the_storage_refuses() {
    let (world, broker) = (World::new().await, Broker::start().await);
    let (feeds, status) = world.start(broker.feed(&world, ", inFlight: 20"));
    broker.subscribed(1).await;
    *world.moods.refuses.lock() = Some(ErrorCode::Overloaded);
    // Far more than sockets hold.
    let (count, large) = (600_u16, "x".repeat(100_000));
    let text = |id: u16| format!("{{\"symbol\":\"{large}\",\"id\":{id}}}");
    let sent = || broker.told.sent.load(Ordering::Relaxed);
    let all = async {
        for id in 1..=count {
            broker.publish(id, QoS::AtLeastOnce, false, text(id)).await;
        }
    };
    let heal = async {
        until("it pauses", || status.state() == State::Paused).await;
        let writes = || world.moods.writes.load(Ordering::Relaxed);
        let enough = writes() + 4;
        until("it tries again and again", || writes() >= enough).await;
        let before = sent();
        assert!(before < 400, "{before} messages of 100 kB are out of the broker's hands");
        assert_eq!(broker.heard(), Vec::new());
        *world.moods.refuses.lock() = None;
    };
    tokio::join!(all, heal);
    until("all are acknowledged", || broker.heard() == acks(1..=count)).await;
    assert_eq!(world.stored(), (1..=i64::from(count)).collect::<Vec<_>>());
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_qos_0_for_which_there_is_no_room_are_counted() {
    let (world, broker) = (World::new().await, Broker::start().await);
    let (feeds, status) = world.start(broker.feed(&world, ""));
    broker.subscribed(1).await;
    *world.moods.refuses.lock() = Some(ErrorCode::Overloaded);
    let (count, large) = (1_000, "x".repeat(100_000));
    for id in 0..count {
        broker.publish(0, QoS::AtMostOnce, false, format!("{{\"symbol\":\"{large}\",\"id\":{id}}}")).await;
    }
    let number = |key: &str| status.show()[key].as_u64().unwrap_or(0);
    until("some are missed", || number("missed") > 0).await;
    *world.moods.refuses.lock() = None;
    until("each is stored or counted", || number("missed") + number("rows") == count).await;
    assert!(number("rows") >= 160, "what there is room for is stored: {}", status.show());
    assert!(broker.heard().is_empty());
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_with_the_same_client_id_is_seen_before_anything_is_acknowledged() {
    let (world, broker) = (World::new().await, Broker::start().await);
    let (feeds, status) = world.start(broker.feed(&world, ""));
    broker.subscribed(1).await;
    // It has reserved its own count, and may have stored under it what is not ours.
    let stream = FeedStream { table: world.table("t"), name: "f/c".to_owned() };
    let far = BTreeMap::from([(0, 1 << 60)]);
    RowSink::feed_positions(world.store.as_ref(), &stream, &far, Instant::now() + PATIENCE)
        .await
        .expect("raises");
    broker.publish(1, QoS::AtLeastOnce, false, message(1)).await;
    let says = || status.show()["last_error"].to_string().contains("another process has the client id");
    until("it is said", says).await;
    assert_eq!(broker.heard(), Vec::new());
    // The next connection counts behind that.
    broker.subscribed(2).await;
    broker.publish(1, QoS::AtLeastOnce, true, message(2)).await;
    until("it is acknowledged", || broker.heard() == acks([1])).await;
    assert!(world.stored().contains(&2));
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_subscription_is_said_and_tried_again() {
    let (world, broker) = (World::new().await, Broker::start().await);
    broker.told.refuses.store(true, Ordering::Relaxed);
    let (feeds, status) = world.start(broker.feed(&world, ""));
    let says = || status.show()["last_error"].to_string().contains("the broker refuses");
    until("it is said", says).await;
    until("its state says so", || status.state() == State::Waiting).await;
    broker.told.refuses.store(false, Ordering::Relaxed);
    until("it runs", || status.state() == State::Running).await;
    feeds.stop().await;
}
