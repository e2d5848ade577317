use super::*;

fn named(qos: u8, packet: u16) -> Named {
    Named { qos, packet, again: false, print: u64::from(packet) }
}

fn again(qos: u8, packet: u16) -> Named {
    Named { again: true, ..named(qos, packet) }
}

fn session() -> Session {
    let mut session = Session::default();
    session.connected(false, 100);
    session
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let mut session = session();
    let offsets = [named(1, 1), named(0, 0), named(2, 2), named(1, 3)].map(|it| session.delivered(it));
    assert_eq!(offsets, [100, 101, 102, 103].map(Some));
    assert_eq!((session.take_answers(), session.in_flight()), (Vec::new(), 3));
    session.durable(102);
    assert_eq!(session.take_answers(), [Answer::Acknowledge(1)]);
    session.durable(104);
    assert_eq!(session.take_answers(), [Answer::Receive(2), Answer::Acknowledge(3)]);
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn a_message_of_qos_2_that_comes_again_is_answered_and_not_stored_again() {
    let mut session = session();
    session.delivered(named(2, 7));
    // Durable after its connection broke: no answer to that was sent.
    session.durable(101);
    session.connected(true, 200);
    assert_eq!(session.take_answers(), Vec::new());
    assert_eq!(session.delivered(again(2, 7)), None);
    assert_eq!(session.take_answers(), [Answer::Receive(7)]);
    session.released(7);
    assert_eq!(session.take_answers(), [Answer::Complete(7)]);
    // The id is free now.
    assert_eq!(session.delivered(again(2, 7)), Some(200));
}

#[test]
fn a_message_that_is_not_durable_is_stored_when_it_comes_again() {
    let mut session = session();
    session.delivered(named(2, 7));
    session.delivered(named(1, 8));
    session.connected(true, 200);
    assert_eq!(session.delivered(again(2, 7)), Some(200));
    assert_eq!(session.delivered(again(1, 8)), Some(201));
    // What the earlier connection had in hand says nothing of the ids of this one.
    session.durable(150);
    assert_eq!(session.take_answers(), Vec::new());
}

#[test]
fn an_id_that_is_another_message_by_now_is_stored() {
    let mut session = session();
    session.delivered(named(2, 7));
    session.durable(101);
    session.connected(true, 200);
    assert_eq!(session.delivered(Named { print: 1, ..again(2, 7) }), Some(200), "other content");
    session.durable(201);
    session.connected(true, 300);
    assert_eq!(session.delivered(Named { print: 1, ..named(2, 7) }), Some(300), "sent for the first time");
    session.durable(301);
    session.connected(false, 400);
    assert_eq!(session.delivered(Named { print: 1, ..again(2, 7) }), Some(400), "of another session");
}

#[test]
fn a_release_of_something_unknown_is_answered() {
    let mut session = session();
    session.released(9);
    assert_eq!(session.take_answers(), [Answer::Complete(9)], "else the broker asks for ever");
}

#[test]
fn a_print_tells_topic_and_content_apart() {
    assert_ne!(print_of("a", b"bc"), print_of("ab", b"c"));
    assert_eq!(print_of("a", b"b"), print_of("a", b"b"));
}
