use std::collections::BTreeSet;

use tonic::Status;
use tonic::metadata::MetadataMap;
use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};

use crate::coordinate::{Envelope, WatchReply};
use crate::handshake::{PROTOCOL, Secret, check_envelope};
use crate::refusal::{Refused, RefusedReason};
use crate::view::View;
use crate::{convert, coordinate as wire};

fn envelope(cluster: &str) -> Envelope {
    Envelope { protocol: PROTOCOL, cluster_id: cluster.to_owned(), ..Envelope::default() }
}

fn assignment(partition: u16, epoch: u64) -> Assignment {
    let replica = |node| Replica { node: NodeId(node), disk: DiskId(u128::MAX - u128::from(node)) };
    let members: BTreeSet<Replica> = [replica(1), replica(2)].into();
    let set = InSyncSet { version: SetVersion(7), members };
    let grant = Grant { partition: PartitionId(partition), epoch: Epoch(epoch), owner: replica(1), set };
    Assignment { grant, joining: [replica(3)].into(), leaving: [replica(2)].into() }
}

#[test]
fn every_refusal_survives_the_way_as_a_status() {
    for &reason in RefusedReason::ALL {
        let refused = Refused::new(reason, "why");
        let status = Status::from(refused.clone());
        assert_eq!(status.code(), reason.code());
        assert_eq!(Refused::of(&status), Some(refused));
    }
    assert_eq!(Refused::of(&Status::unavailable("broken")), None);
}

#[test]
fn only_the_same_secret_is_believed_and_an_answer_is_no_request() {
    let (ours, theirs) = (Secret::new("one\n"), Secret::new("two"));
    let mut metadata = MetadataMap::new();
    assert_eq!(ours.check_request(&metadata).expect_err("no proof").reason, RefusedReason::WrongSecret);
    Secret::new("one").sign_request(&mut metadata);
    ours.check_request(&metadata).expect("the same secret");
    ours.check_answer(&metadata).expect_err("a request played back as an answer");
    theirs.check_request(&metadata).expect_err("another secret");
    theirs.sign_answer(&mut metadata);
    ours.check_answer(&metadata).expect_err("another secret");
    let shown = format!("{ours:?} {metadata:?}");
    assert!(!shown.contains("one"), "{shown}");
}

#[test]
fn other_clusters_and_protocols_are_refused_by_name() {
    let reason = |envelope: Option<&Envelope>, ours, may_be_new| {
        check_envelope(envelope, ours, may_be_new).err().map(|refused| refused.reason)
    };
    assert_eq!(reason(None, "a", true), Some(RefusedReason::BadMessage));
    assert_eq!(reason(Some(&envelope("a")), "a", false), None);
    assert_eq!(reason(Some(&envelope("b")), "a", true), Some(RefusedReason::WrongCluster));
    assert_eq!(reason(Some(&envelope("")), "a", false), Some(RefusedReason::WrongCluster));
    assert_eq!(reason(Some(&envelope("")), "a", true), None, "a fresh disk has no cluster yet");
    assert_eq!(reason(Some(&envelope("b")), "", false), None, "this side has none yet");
    let newer = Envelope { protocol: PROTOCOL + 1, ..envelope("a") };
    assert_eq!(reason(Some(&newer), "a", false), Some(RefusedReason::WrongProtocol));
}

#[test]
fn an_assignment_survives_the_way() {
    let assignment = assignment(255, u64::MAX);
    let message = wire::Assignment::from(&assignment);
    assert_eq!(Assignment::try_from(&message).expect("reads"), assignment);
    let mut bad = message.clone();
    bad.owner = None;
    Assignment::try_from(&bad).expect_err("no owner");
    let mut bad = message.clone();
    bad.members[0].disk_id.pop();
    Assignment::try_from(&bad).expect_err("15 bytes are no disk id");
    let bad = wire::Assignment { partition: 70_000, ..message };
    Assignment::try_from(&bad).expect_err("no partition has this number");
    assert_eq!(convert::disk_of(&convert::disk_bytes(DiskId(5))).expect("reads"), DiskId(5));
}

#[test]
fn a_view_takes_the_whole_and_then_what_changed() {
    let mut view = View::default();
    let whole = |p, epoch| wire::Assignment::from(&assignment(p, epoch));
    let first = WatchReply {
        envelope: Some(Envelope { placement_version: 3, ..envelope("a") }),
        revision: 10,
        assignments: vec![whole(0, 1), whole(1, 1)],
        has_nodes: true,
        nodes: vec![wire::Node { node_id: 4, ..Default::default() }],
        has_keys: true,
        ..Default::default()
    };
    let changes = view.take(first).expect("reads");
    assert!(changes.nodes && changes.keys && !changes.catalog && changes.partitions.len() == 2);
    let asked = wire::Assignment {
        hand_over_to: Some(wire::Replica::from(Replica { node: NodeId(2), disk: DiskId(9) })),
        released: true,
        ..whole(1, 2)
    };
    let next = WatchReply {
        envelope: Some(Envelope { placement_version: 4, ..envelope("a") }),
        revision: 11,
        assignments: vec![asked],
        ..Default::default()
    };
    let changes = view.take(next).expect("reads");
    assert_eq!(changes.partitions, [PartitionId(1)].into());
    assert_eq!((view.placement.version.0, view.nodes.len(), view.revision), (4, 1, 11));
    assert_eq!(view.placement.of(PartitionId(1)).expect("there").grant.epoch, Epoch(2));
    assert!(view.released.contains(&PartitionId(1)) && view.hand_over_to.len() == 1);
    let gap = WatchReply { assignments: vec![whole(9, 1)], ..Default::default() };
    view.take(gap).expect_err("a partition without those below");
    let idle = WatchReply { idle: true, ..Default::default() };
    assert_eq!(view.take(idle).expect("reads"), crate::view::Changes::default());
}
