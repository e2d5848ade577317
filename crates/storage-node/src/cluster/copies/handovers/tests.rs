use std::collections::BTreeSet;

use zepto_common::ids::{DiskId, Epoch, PlacementVersion, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet};

use super::*;

fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(u128::from(node) + 1) }
}

fn assignment(partition: u16, owner: u32, members: &[u32]) -> Assignment {
    let members = members.iter().map(|node| replica(*node)).collect();
    let set = InSyncSet { version: SetVersion(1), members };
    let grant = Grant { partition: PartitionId(partition), epoch: Epoch(1), owner: replica(owner), set };
    Assignment { grant, joining: BTreeSet::new(), leaving: BTreeSet::new() }
}

fn placement(partitions: Vec<Assignment>) -> Placement {
    Placement { version: PlacementVersion(1), partitions }
}

fn node(id: u32) -> wire::Node {
    wire::Node {
        node_id: id,
        disk_id: disk_bytes(replica(id).disk),
        state: wire::NodeState::Active.into(),
        ..Default::default()
    }
}

fn told(nodes: impl IntoIterator<Item = wire::Node>) -> Told {
    let nodes = nodes.into_iter().map(|node| (node.node_id, node)).collect();
    Told { nodes: Arc::new(nodes), ..Told::default() }
}

fn partitions(numbers: &[u16]) -> Vec<PartitionId> {
    numbers.iter().map(|it| PartitionId(*it)).collect()
}

#[test]
fn an_owner_gives_up_what_it_is_asked_for_and_owns() {
    let placement = placement(vec![
        assignment(0, 1, &[1, 2]),
        assignment(1, 2, &[1, 2]),
        assignment(2, 1, &[1, 2]),
        assignment(3, 1, &[1, 2]),
    ]);
    let wanted =
        [(0, 2), (1, 1), (2, 1), (9, 2)].map(|(partition, to)| (PartitionId(partition), replica(to)));
    let told = Told { hand_over_to: Arc::new(wanted.into()), ..Told::default() };
    // Another's, what it owns already, what nobody asked for and what is not there: none of them.
    assert_eq!(asked_for(replica(1), &placement, &told), partitions(&[0]));
    // A disk that this node had before owns nothing.
    let other_disk = Replica { disk: DiskId(99), ..replica(1) };
    assert_eq!(asked_for(other_disk, &placement, &told), []);
}

#[test]
fn a_node_that_stops_gives_up_what_another_copy_can_own_now() {
    let placement = placement(vec![
        assignment(0, 1, &[1, 2]),
        assignment(1, 1, &[1]),
        assignment(2, 2, &[1, 2]),
        assignment(3, 1, &[1, 3]),
        assignment(4, 1, &[1, 4]),
        assignment(5, 1, &[1, 5]),
        assignment(6, 1, &[1, 6]),
        assignment(7, 1, &[1, 7]),
        assignment(8, 1, &[1, 6, 2]),
    ]);
    let told = told([
        node(1),
        node(2),
        wire::Node { stopping: true, ..node(3) },
        wire::Node { state: wire::NodeState::Dead.into(), ..node(4) },
        wire::Node { log_failed: true, ..node(5) },
        wire::Node { disk_id: disk_bytes(DiskId(99)), ..node(6) },
    ]);
    assert_eq!(shared(replica(1), &placement, &told), partitions(&[0, 8]));
}

#[test]
fn what_is_still_here_is_asked_again_after_a_pause_and_what_comes_later_at_once() {
    let (mut asked, begun) = (Asked::default(), Instant::now());
    assert_eq!(asked.due(&partitions(&[1, 2]), begun), partitions(&[1, 2]));
    let soon = begun + ASK_AGAIN / 2;
    assert_eq!(asked.due(&partitions(&[1, 2]), soon), []);
    // A set grew meanwhile: its partition is not forgotten.
    assert_eq!(asked.due(&partitions(&[1, 2, 3]), soon), partitions(&[3]));
    let later = begun + ASK_AGAIN;
    assert_eq!(asked.due(&partitions(&[2, 3]), later), partitions(&[2]));
    // 1 was not wanted any more: it begins anew.
    assert_eq!(asked.due(&partitions(&[1, 2, 3]), later), partitions(&[1]));
    assert!(asked.0.len() <= 3, "no more is remembered than is wanted");
}

#[tokio::test]
async fn a_node_waits_for_all_that_was_agreed_before_its_stop_was_known() {
    let mut stops = node(1);
    stops.stopping = true;
    let version =
        |version| Arc::new(Placement { version: PlacementVersion(version), partitions: Vec::new() });
    let (told_to, placed) = (watch::Sender::new(told([node(1)])), watch::Sender::new(version(7)));
    let (mut told_here, mut placement) = (told_to.subscribe(), placed.subscribe());
    let mut known = Box::pin(known_to_stop(NodeId(1), &mut told_here, &mut placement));
    assert!(futures::poll!(known.as_mut()).is_pending(), "its stop is not known");
    told_to.send_replace(Told { placement: PlacementVersion(9), ..told([stops]) });
    assert!(futures::poll!(known.as_mut()).is_pending(), "the placement of then is not here");
    placed.send_replace(version(8));
    assert!(futures::poll!(known.as_mut()).is_pending());
    placed.send_replace(version(9));
    assert!(futures::poll!(known.as_mut()).is_ready());
}
