//! Ways that are cut let nothing through, in either direction by itself, and go on afterwards.

use std::net::UdpSocket;

use super::*;

const ONE: Peer = Peer::Storage(0);
const OTHER: Peer = Peer::Storage(1);
/// What arrives at all arrives by then.
const SOON: Duration = Duration::from_secs(20);
/// What does not arrive by then is held.
const A_WHILE: Duration = Duration::from_millis(200);

/// A connection of `ONE` to `OTHER`: both ends of it.
fn connected(network: &Network) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((network.plan.home(OTHER), network.plan.port)).expect("it is free");
    let near = TcpStream::connect((network.plan.entry(ONE, OTHER), network.plan.port)).expect("a relay");
    let (far, _) = listener.accept().expect("the relay connects");
    (near, far)
}

fn arrives(mut stream: &TcpStream, wait: Duration) -> Option<u8> {
    stream.set_read_timeout(Some(wait)).expect("a timeout");
    let mut byte = [0];
    stream.read_exact(&mut byte).ok().map(|()| byte[0])
}

#[test]
fn a_cut_holds_one_direction_and_what_was_held_arrives_when_it_heals() {
    let network = Network::new(2).expect("addresses");
    let (mut near, mut far) = connected(&network);
    near.write_all(&[1]).expect("it is open");
    assert_eq!(arrives(&far, SOON), Some(1));
    network.cut(ONE, OTHER, Traffic::Tcp).expect("a way");
    near.write_all(&[2]).expect("it is open");
    far.write_all(&[3]).expect("it is open");
    assert_eq!(arrives(&near, SOON), Some(3), "the other direction is whole");
    assert_eq!(arrives(&far, A_WHILE), None, "this one is cut");
    let counts = network.counts(ONE, OTHER).expect("a way");
    assert_eq!((counts.held, network.counts(OTHER, ONE).expect("a way").held), (1, 0));
    network.heal();
    assert_eq!(arrives(&far, SOON), Some(2));
    drop(near);
    far.set_read_timeout(Some(SOON)).expect("a timeout");
    assert_eq!(far.read(&mut [0]).expect("the end"), 0, "the end arrives too");
}

#[test]
fn what_is_opened_during_a_cut_reaches_nobody_before_it_heals() {
    let network = Network::new(2).expect("addresses");
    let listener = TcpListener::bind((network.plan.home(OTHER), network.plan.port)).expect("it is free");
    listener.set_nonblocking(true).expect("a socket");
    network.cut_between(ONE, OTHER, Traffic::All).expect("a way");
    let near = TcpStream::connect((network.plan.entry(ONE, OTHER), network.plan.port)).expect("a relay");
    assert_eq!(arrives(&near, A_WHILE), None);
    assert!(listener.accept().is_err(), "nobody came");
    network.heal();
    listener.set_nonblocking(false).expect("a socket");
    listener.accept().expect("it comes now");
}

#[test]
fn datagrams_of_a_cut_way_are_lost_and_answers_find_their_way_back() {
    let network = Network::new(2).expect("addresses");
    let port = network.plan.port + BEAT_OFFSET;
    let near = UdpSocket::bind((network.plan.home(ONE), port)).expect("it is free");
    let far = UdpSocket::bind((network.plan.home(OTHER), port)).expect("it is free");
    let arrives = |socket: &UdpSocket, wait| {
        socket.set_read_timeout(Some(wait)).expect("a timeout");
        let mut byte = [0];
        socket.recv_from(&mut byte).ok().map(|(_, from)| (byte[0], from))
    };
    let say = |byte: u8| near.send_to(&[byte], (network.plan.entry(ONE, OTHER), port)).expect("a relay");
    say(1);
    let (byte, from) = arrives(&far, SOON).expect("it arrives");
    assert_eq!(byte, 1);
    far.send_to(&[2], from).expect("a relay");
    assert_eq!(arrives(&near, SOON).map(|it| it.0), Some(2));
    network.cut(ONE, OTHER, Traffic::Udp).expect("a way");
    say(3);
    assert_eq!(arrives(&far, A_WHILE), None);
    network.heal();
    say(4);
    assert_eq!(arrives(&far, SOON).map(|it| it.0), Some(4), "what was lost stays lost");
    assert_eq!(network.counts(ONE, OTHER).expect("a way"), Counts { held: 0, lost: 1, datagrams: 2 });
}
