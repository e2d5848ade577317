use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Three storage nodes in their first start.
fn three() -> Detector {
    let mut detector = Detector::new(Settings::default());
    detector.expect(at(0.0), (0..3).map(|node| (NodeId(node), Boot(1), true)));
    detector
}

/// Ticks each second up to `to`, hearing those of `nodes`; all orders given.
fn run(detector: &mut Detector, from: u64, to: u64, nodes: &[u32]) -> Vec<(u64, Order)> {
    let mut orders = Vec::new();
    for second in from..=to {
        for &node in nodes {
            detector.heard(at(second as f64), NodeId(node), Boot(1));
        }
        orders.extend(detector.tick(at(second as f64), true).into_iter().map(|order| (second, order)));
    }
    orders
}

#[test]
fn a_silent_start_is_probed_at_dead_ms_and_declared_dead_when_nothing_answers() {
    let mut detector = three();
    let orders = run(&mut detector, 0, 10, &[0, 1]);
    assert_eq!(orders, [(10, Order::Probe(NodeId(2), Boot(1)))]);
    assert_eq!(detector.opinion(at(10.0), NodeId(2)), Some(Opinion::Silent));
    detector.probed(NodeId(2), Boot(1), false);
    assert_eq!(run(&mut detector, 11, 11, &[0, 1]), [(11, Order::MarkDead(NodeId(2), Boot(1)))]);
}

#[test]
fn suspicion_needs_three_seconds_and_gives_no_order() {
    let mut detector = three();
    assert!(run(&mut detector, 0, 3, &[0, 1]).is_empty());
    assert_eq!(detector.opinion(at(2.9), NodeId(2)), Some(Opinion::Alive));
    assert_eq!(detector.opinion(at(3.0), NodeId(2)), Some(Opinion::Suspect));
    detector.heard(at(3.0), NodeId(2), Boot(1));
    assert_eq!(detector.opinion(at(3.5), NodeId(2)), Some(Opinion::Alive));
}

#[test]
fn an_answered_probe_delays_the_verdict_but_a_stuck_node_is_dead_at_twice_the_time() {
    let mut detector = three();
    run(&mut detector, 0, 10, &[0, 1]);
    for second in 11..20 {
        detector.probed(NodeId(2), Boot(1), true);
        let orders = run(&mut detector, second, second, &[0, 1]);
        assert_eq!(orders, [(second, Order::Probe(NodeId(2), Boot(1)))]);
    }
    detector.probed(NodeId(2), Boot(1), true);
    assert_eq!(run(&mut detector, 20, 20, &[0, 1]), [(20, Order::MarkDead(NodeId(2), Boot(1)))]);
}

#[test]
fn a_probe_that_never_comes_back_counts_as_unanswered_in_the_end() {
    let mut detector = three();
    assert_eq!(run(&mut detector, 0, 19, &[0, 1]).len(), 1);
    assert_eq!(run(&mut detector, 20, 20, &[0, 1]), [(20, Order::MarkDead(NodeId(2), Boot(1)))]);
}

/// The process was stopped, or its machine slept: what it did not see is not the nodes' silence.
#[test]
fn a_late_own_tick_begins_every_observation_anew() {
    let mut detector = three();
    assert!(run(&mut detector, 0, 5, &[0, 1]).is_empty());
    // Thirty seconds pass in which this process did not run.
    assert!(run(&mut detector, 35, 44, &[0, 1]).is_empty());
    assert_eq!(run(&mut detector, 45, 45, &[0, 1]), [(45, Order::Probe(NodeId(2), Boot(1)))]);
}

#[test]
fn a_jump_of_the_clock_during_a_probe_takes_the_probe_back() {
    let mut detector = three();
    assert_eq!(run(&mut detector, 0, 10, &[0, 1]).len(), 1);
    assert!(run(&mut detector, 100, 100, &[0, 1]).is_empty());
    detector.probed(NodeId(2), Boot(1), false);
    assert!(run(&mut detector, 101, 109, &[0, 1]).is_empty());
}

#[test]
fn a_new_leader_observes_for_itself() {
    let mut detector = three();
    for second in 0..60 {
        detector.heard(at(f64::from(second)), NodeId(0), Boot(1));
        detector.heard(at(f64::from(second)), NodeId(1), Boot(1));
        assert!(detector.tick(at(f64::from(second)), false).is_empty(), "a follower orders nothing");
    }
    assert!(run(&mut detector, 60, 69, &[0, 1]).is_empty());
    assert_eq!(run(&mut detector, 70, 70, &[0, 1]).len(), 1);
}

/// Whoever hears hardly anybody is alone itself.
#[test]
fn without_a_majority_nobody_is_dead() {
    let mut detector = three();
    assert!(run(&mut detector, 0, 60, &[0]).is_empty());
    let orders = run(&mut detector, 61, 61, &[0, 1]);
    assert_eq!(orders, [(61, Order::Probe(NodeId(2), Boot(1)))]);
}

#[test]
fn of_two_storage_nodes_the_one_that_is_left_is_enough() {
    let mut detector = Detector::new(Settings::default());
    detector.expect(at(0.0), (0..2).map(|node| (NodeId(node), Boot(1), true)));
    assert_eq!(run(&mut detector, 0, 10, &[0]), [(10, Order::Probe(NodeId(1), Boot(1)))]);
    let mut nobody = Detector::new(Settings::default());
    nobody.expect(at(0.0), (0..2).map(|node| (NodeId(node), Boot(1), true)));
    assert!(run(&mut nobody, 0, 60, &[]).is_empty());
}

#[test]
fn ingest_nodes_do_not_count_for_the_majority_and_can_be_dead() {
    let mut detector = three();
    let nodes = (0..3).map(|node| (NodeId(node), Boot(1), true));
    detector
        .expect(at(0.0), nodes.chain([(NodeId(99_999), Boot(4), false), (NodeId(100_000), Boot(5), false)]));
    let orders = run(&mut detector, 0, 10, &[0, 1, 2]);
    assert_eq!(orders.len(), 2);
    assert!(orders.contains(&(10, Order::Probe(NodeId(99_999), Boot(4)))));
}

#[test]
fn an_older_start_is_not_heard_and_a_newer_one_is_observed_anew() {
    let mut detector = three();
    run(&mut detector, 0, 9, &[0, 1]);
    detector.expect(
        at(9.0),
        [(NodeId(0), Boot(1), true), (NodeId(1), Boot(1), true), (NodeId(2), Boot(2), true)],
    );
    detector.heard(at(9.5), NodeId(2), Boot(1));
    assert!(!detector.heard_lately(at(9.6)).contains(&NodeId(2)));
    assert!(run(&mut detector, 10, 18, &[0, 1]).is_empty());
    assert_eq!(run(&mut detector, 19, 19, &[0, 1]), [(19, Order::Probe(NodeId(2), Boot(2)))]);
    // The answer to a probe of the start before says nothing about this one.
    detector.probed(NodeId(2), Boot(1), false);
    assert!(run(&mut detector, 20, 20, &[0, 1]).is_empty());
}

#[test]
fn a_clock_that_runs_backwards_harms_nobody() {
    let mut detector = three();
    run(&mut detector, 0, 8, &[0, 1, 2]);
    for node in 0..3 {
        detector.heard(at(2.0), NodeId(node), Boot(1));
    }
    assert!(detector.tick(at(2.0), true).is_empty());
    assert!(run(&mut detector, 9, 17, &[0, 1]).is_empty(), "what was heard at 8 still counts");
}
