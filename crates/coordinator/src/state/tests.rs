mod leaving;
mod stopping;

use std::collections::BTreeSet;

use zepto_common::auth::create_key;
use zepto_common::catalog::{Ddl, NewTable};
use zepto_common::ids::{Boot, DiskId, Epoch, NodeId, PartitionId, SetVersion};
use zepto_common::limits::DELETES_MAX;
use zepto_common::placement::Replica;
use zepto_common::schema::{Column, ColumnDefault, TableName};
use zepto_common::service::Role;
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, ErrorCode, SchemaVersion, TableId};

use super::command::{
    Command, Expected, GrantItem, HandoverItem, MoveItem, Outcome, Reason, Registration, SetChange,
};
use super::{CodecError, NodeState, State, SweepKind, decode, encode};
use crate::example::{accept, apply, apply_at, change, founded, join, placed, registration, replica};
use crate::policy::failover::expected;

fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.reason),
        Outcome::Items(items) => items.iter().find_map(|it| it.refusal.as_ref().map(|it| it.reason)),
        _ => None,
    }
}

fn owner(state: &State, partition: u16) -> Replica {
    state.placement().of(PartitionId(partition)).expect("placed").grant.owner
}

fn set(state: &State, partition: u16) -> BTreeSet<Replica> {
    state.placement().of(PartitionId(partition)).expect("placed").grant.set.members.clone()
}

fn epoch(state: &State, partition: u16) -> Epoch {
    state.placement().of(PartitionId(partition)).expect("placed").grant.epoch
}

fn grant(state: &State, partition: u16, to: Replica) -> Command {
    let assignment = state.placement().of(PartitionId(partition)).expect("placed");
    let item = GrantItem { partition: PartitionId(partition), expected: expected(assignment), to };
    Command::Grant { items: vec![item] }
}

fn follower(state: &State, partition: u16) -> Replica {
    let owner = owner(state, partition);
    set(state, partition).into_iter().find(|it| *it != owner).expect("two copies")
}

fn dead(state: &mut State, node: NodeId) {
    accept(state, Command::MarkDead { node, incarnation: Boot(1) });
}

#[test]
fn a_cluster_is_founded_once_and_with_sizes_that_can_be() {
    let mut state = State::default();
    assert_eq!(reason(&apply(&mut state, Command::RegisterNode(registration(0)))), Some(Reason::NotFounded));
    let good = super::ClusterRecord { id: "a".into(), partitions: 8, replication_factor: 2, min_in_sync: 1 };
    for bad in [
        super::ClusterRecord { id: String::new(), ..good.clone() },
        super::ClusterRecord { partitions: 0, ..good.clone() },
        super::ClusterRecord { replication_factor: 4, ..good.clone() },
        super::ClusterRecord { min_in_sync: 3, ..good.clone() },
    ] {
        assert_eq!(reason(&apply(&mut state, Command::Found(bad))), Some(Reason::BadFounding));
    }
    assert_eq!(apply(&mut state, Command::Found(good.clone())), Outcome::Done { changed: true });
    assert_eq!(apply(&mut state, Command::Found(good.clone())), Outcome::Done { changed: false });
    let other = super::ClusterRecord { id: "b".into(), ..good };
    assert_eq!(reason(&apply(&mut state, Command::Found(other))), Some(Reason::BadFounding));
}

/// Rule 2: the pod came back within ten seconds with an empty volume.
#[test]
fn another_disk_takes_the_old_one_out_of_every_set() {
    let mut state = placed(3, 24, 2);
    let before = state.clone();
    let emptied = Registration { disk: Some(DiskId(7)), ..registration(0) };
    accept(&mut state, Command::RegisterNode(emptied));
    for p in 0..24 {
        assert!(!set(&state, p).contains(&replica(0)), "partition {p}");
        assert!(!set(&state, p).is_empty());
        let was = before.placement().of(PartitionId(p)).expect("placed");
        let is = state.placement().of(PartitionId(p)).expect("placed");
        let grown = u64::from(was.grant.set.members.contains(&replica(0)));
        assert_eq!(is.grant.set.version.0, was.grant.set.version.0 + grown);
        assert_eq!(is.grant.epoch, was.grant.epoch, "the set changed, not the owner");
    }
    let owned = (0..24).find(|p| owner(&state, *p) == replica(0)).expect("node 0 owned one");
    let new = Replica { node: NodeId(0), disk: DiskId(7) };
    let command = grant(&state, owned, new);
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::NotInSync));
    // The process of before, late, with the old disk.
    assert_eq!(
        reason(&apply(&mut state, Command::RegisterNode(registration(0)))),
        Some(Reason::DiskReplaced)
    );
    let again = Registration { incarnation: Boot(2), ..registration(0) };
    accept(&mut state, Command::RegisterNode(again));
    assert!(!(0..24).any(|p| set(&state, p).contains(&replica(0))), "it is back, and not in sync");
}

/// Rule 4: unavailable rather than empty.
#[test]
fn the_last_member_stays_and_its_partition_is_unavailable() {
    let mut state = placed(1, 4, 1);
    accept(&mut state, Command::RegisterNode(Registration { disk: Some(DiskId(7)), ..registration(0) }));
    assert_eq!(set(&state, 0), [replica(0)].into());
    assert_eq!(crate::policy::failover::unavailable(&state), 4);
    assert!(crate::policy::failover::failover(&state, &BTreeSet::new()).is_empty());
    let to = Replica { node: NodeId(0), disk: DiskId(7) };
    let force = |accept_loss| Command::ForceOwner { partition: PartitionId(0), to, accept_loss };
    assert_eq!(reason(&apply(&mut state, force(false))), Some(Reason::LossNotAccepted));
    let before = epoch(&state, 0);
    accept(&mut state, force(true));
    assert_eq!((owner(&state, 0), set(&state, 0)), (to, [to].into()));
    assert!(epoch(&state, 0) > before);
    assert_eq!(state.forced.len(), 1, "an override is remembered");
}

#[test]
fn a_grant_goes_only_to_an_able_in_sync_disk_and_is_compare_and_set() {
    let mut state = placed(3, 8, 2);
    let (old, next) = (owner(&state, 0), follower(&state, 0));
    let outsider =
        (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("three nodes, two copies");
    let command = grant(&state, 0, outsider);
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::NotInSync));
    let other_disk = Replica { disk: DiskId(9), ..next };
    let command = grant(&state, 0, other_disk);
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::NotInSync));
    let first = grant(&state, 0, next);
    let stale = Expected { epoch: Epoch(0), set_version: SetVersion(1) };
    let items = vec![GrantItem { partition: PartitionId(0), expected: stale, to: next }];
    assert_eq!(reason(&apply(&mut state, Command::Grant { items })), Some(Reason::StaleEpoch));
    accept(&mut state, first.clone());
    assert_eq!((owner(&state, 0), epoch(&state, 0)), (next, Epoch(2)));
    assert!(!state.is_released(PartitionId(0)), "the old owner released nothing");
    accept(&mut state, first);
    assert_eq!(epoch(&state, 0), Epoch(2), "a repeat grants nothing new");
    dead(&mut state, old.node);
    let command = grant(&state, 0, old);
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::NodeDead));
}

/// Rule 30.
#[test]
fn nothing_is_granted_below_the_highest_epoch_that_a_node_reports() {
    let mut state = placed(2, 4, 2);
    let epochs = vec![(PartitionId(1), Epoch(41)), (PartitionId(900), Epoch(7))];
    accept(
        &mut state,
        Command::RegisterNode(Registration { incarnation: Boot(2), epochs, ..registration(0) }),
    );
    let to = follower(&state, 1);
    let command = grant(&state, 1, to);
    accept(&mut state, command);
    assert_eq!(epoch(&state, 1), Epoch(42));
}

#[test]
fn an_empty_group_refuses_a_node_with_rows() {
    let mut state = founded(4, 1, 1);
    let with_rows = Registration { epochs: vec![(PartitionId(0), Epoch(3))], ..registration(0) };
    assert_eq!(reason(&apply(&mut state, Command::RegisterNode(with_rows))), Some(Reason::HasData));
    let stranger = Registration { cluster_id: "other".to_owned(), ..registration(0) };
    assert_eq!(reason(&apply(&mut state, Command::RegisterNode(stranger))), Some(Reason::WrongCluster));
}

#[test]
fn ids_fit_roles_and_diskless_starts_are_numbered() {
    let mut state = founded(4, 1, 1);
    let ingest = |node| Registration {
        role: super::NodeRole::Ingest,
        disk: None,
        incarnation: Boot(0),
        ..registration(node)
    };
    assert_eq!(reason(&apply(&mut state, Command::RegisterNode(ingest(5)))), Some(Reason::BadNodeId));
    assert_eq!(
        reason(&apply(&mut state, Command::RegisterNode(registration(99_999)))),
        Some(Reason::BadNodeId)
    );
    let first = accept(&mut state, Command::RegisterNode(ingest(99_999)));
    let second = accept(&mut state, Command::RegisterNode(ingest(99_999)));
    assert_eq!(first, Outcome::Registered { incarnation: Boot(1) });
    assert_eq!(second, Outcome::Registered { incarnation: Boot(2) });
    accept(&mut state, Command::MarkDead { node: NodeId(99_999), incarnation: Boot(2) });
    assert!(state.node(NodeId(99_999)).is_none(), "a dead door is forgotten");
}

/// Rule 32: the verdict names the start.
#[test]
fn a_verdict_on_an_older_start_is_refused() {
    let mut state = placed(2, 4, 2);
    accept(&mut state, Command::RegisterNode(Registration { incarnation: Boot(2), ..registration(0) }));
    let verdict = Command::MarkDead { node: NodeId(0), incarnation: Boot(1) };
    assert_eq!(reason(&apply(&mut state, verdict)), Some(Reason::StaleIncarnation));
    assert_eq!(
        reason(&apply(&mut state, Command::RegisterNode(registration(0)))),
        Some(Reason::StaleIncarnation)
    );
    accept(&mut state, Command::MarkDead { node: NodeId(0), incarnation: Boot(2) });
    let late = Command::ActivateNode { node: NodeId(0), incarnation: Boot(2) };
    assert_eq!(reason(&apply(&mut state, late)), Some(Reason::NodeDead));
    accept(&mut state, Command::RegisterNode(Registration { incarnation: Boot(2), ..registration(0) }));
    assert_eq!(state.node(NodeId(0)).expect("known").state, NodeState::Joining);
}

/// Rule 3.
#[test]
fn only_the_owner_changes_its_set_and_only_from_what_it_saw() {
    let mut state = placed(3, 8, 2);
    let (old, other) = (owner(&state, 0), follower(&state, 0));
    let item = SetChange {
        partition: PartitionId(0),
        expected: Expected { epoch: Epoch(1), set_version: SetVersion(1) },
        members: [old].into(),
    };
    let by = |proposer| Command::ChangeSets { proposer, items: vec![item.clone()] };
    assert_eq!(reason(&apply(&mut state, by(other))), Some(Reason::NotOwner));
    accept(&mut state, by(old));
    accept(&mut state, by(old));
    assert_eq!(state.placement().of(PartitionId(0)).expect("placed").grant.set.version, SetVersion(2));
    assert_eq!(epoch(&state, 0), Epoch(1), "rule 5: the epoch stays");
    let mut stale = item.clone();
    stale.members = [old, other].into();
    let command = Command::ChangeSets { proposer: old, items: vec![stale] };
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::StaleSet));
    let without_owner = change(&mut state, 0, [other].into());
    assert_eq!(reason(&without_owner), Some(Reason::OwnerMissing));
    assert!(
        state.placement().of(PartitionId(0)).expect("placed").joining.contains(&other),
        "it may come back"
    );
    assert_eq!(reason(&change(&mut state, 0, [old, other].into())), None);
    let uninvited = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    assert_eq!(reason(&change(&mut state, 0, [old, other, uninvited].into())), Some(Reason::NotJoining));
}

/// Rule 3: an owner that gives an addition up counts on the copy until it reads a version that the addition did not know.
#[test]
fn a_proposal_of_the_same_members_outbids_those_before() {
    let mut state = placed(3, 8, 2);
    let (old, other) = (owner(&state, 0), follower(&state, 0));
    assert_eq!(reason(&change(&mut state, 0, [old].into())), None);
    let by = |members: &[Replica]| {
        let expected = Expected { epoch: Epoch(1), set_version: SetVersion(2) };
        let members = members.iter().copied().collect();
        Command::ChangeSets {
            proposer: old,
            items: vec![SetChange { partition: PartitionId(0), expected, members }],
        }
    };
    let version = |state: &State| state.placement().of(PartitionId(0)).expect("placed").grant.set.version;
    let shown = state.placement().version;
    accept(&mut state, by(&[old]));
    assert_eq!(version(&state), SetVersion(3));
    assert!(state.placement().version > shown, "the owner is told");
    // A repeat whose answer was lost, and the addition that was under way.
    accept(&mut state, by(&[old]));
    assert_eq!(version(&state), SetVersion(3));
    assert_eq!(reason(&apply(&mut state, by(&[old, other]))), Some(Reason::StaleSet));
    assert_eq!(reason(&change(&mut state, 0, [old, other].into())), None);
}

/// Rule 6.
#[test]
fn a_set_is_never_shrunk_below_min_in_sync() {
    let mut state = founded(4, 2, 2);
    join(&mut state, 0, "");
    join(&mut state, 1, "");
    let place = crate::policy::steps::first_placement(&state).expect("two nodes");
    accept(&mut state, place);
    let old = owner(&state, 0);
    assert_eq!(reason(&change(&mut state, 0, [old].into())), Some(Reason::BelowMinInSync));
    assert_eq!(set(&state, 0).len(), 2);
}

#[test]
fn a_dead_node_is_not_taken_into_a_set() {
    let mut state = placed(3, 8, 2);
    let (old, other) = (owner(&state, 0), follower(&state, 0));
    accept(&mut state, Command::MarkDead { node: other.node, incarnation: Boot(1) });
    assert_eq!(reason(&change(&mut state, 0, [old].into())), None);
    assert_eq!(reason(&change(&mut state, 0, [old, other].into())), Some(Reason::NodeDead));
}

/// Rule 27: join, enter, planned grant with release, removal.
#[test]
fn a_move_of_an_owned_partition_takes_its_four_steps() {
    let mut state = placed(3, 8, 2);
    let (from, stays) = (owner(&state, 0), follower(&state, 0));
    let to = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    let item = MoveItem { partition: PartitionId(0), from: Some(from), to };
    accept(&mut state, Command::StartMoves { items: vec![item.clone()] });
    accept(&mut state, Command::StartMoves { items: vec![item] });
    let other = MoveItem { partition: PartitionId(0), from: Some(stays), to };
    let second = apply(&mut state, Command::StartMoves { items: vec![other] });
    assert_eq!(reason(&second), Some(Reason::AlreadyMoving));
    let of = |state: &State| state.placement().of(PartitionId(0)).expect("placed").clone();
    assert!(of(&state).joining.contains(&to) && of(&state).leaving.is_empty());
    assert_eq!(reason(&change(&mut state, 0, [from, stays, to].into())), None);
    assert_eq!(state.wanted().get(&PartitionId(0)), Some(&to), "the owner is asked to hand over");
    assert!(of(&state).leaving.is_empty(), "an owner never leaves");
    let item = HandoverItem { partition: PartitionId(0), epoch: Epoch(1), to: None };
    accept(&mut state, Command::Handover { from, items: vec![item] });
    assert_eq!((owner(&state, 0), epoch(&state, 0)), (to, Epoch(2)));
    assert!(state.is_released(PartitionId(0)));
    assert!(of(&state).leaving.contains(&from));
    assert_eq!(reason(&change(&mut state, 0, [stays, to].into())), None);
    assert!(state.moves().is_empty() && of(&state).leaving.is_empty() && of(&state).joining.is_empty());
    assert_eq!(state.move_history().count(), 1);
}

#[test]
fn a_cancelled_move_takes_the_new_copy_out_again() {
    let mut state = placed(3, 8, 2);
    let (old, stays) = (owner(&state, 0), follower(&state, 0));
    let to = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    let item = MoveItem { partition: PartitionId(0), from: Some(stays), to };
    accept(&mut state, Command::StartMoves { items: vec![item] });
    assert_eq!(reason(&change(&mut state, 0, [old, stays, to].into())), None);
    accept(&mut state, Command::CancelMoves { partitions: vec![PartitionId(0)] });
    let assignment = state.placement().of(PartitionId(0)).expect("placed");
    assert_eq!(assignment.leaving, [to].into());
    assert!(assignment.joining.is_empty());
    assert_eq!(reason(&change(&mut state, 0, [old, stays].into())), None);
    let nothing = Command::CancelMoves { partitions: vec![PartitionId(0)] };
    assert_eq!(reason(&apply(&mut state, nothing)), Some(Reason::NotMoving));
}

/// Rule 12.
#[test]
fn a_node_whose_log_failed_is_dead_for_ownership_until_it_starts_again() {
    let mut state = placed(3, 24, 2);
    accept(&mut state, Command::ReportLogFailed { node: NodeId(0), incarnation: Boot(1) });
    let grants = crate::policy::failover::failover(&state, &BTreeSet::new());
    let owned = state.placement().owned_by(NodeId(0)).count();
    assert!(owned > 0 && grants.len() == owned);
    accept(&mut state, Command::Grant { items: grants });
    assert_eq!(state.placement().owned_by(NodeId(0)).count(), 0);
    accept(&mut state, Command::RegisterNode(Registration { incarnation: Boot(2), ..registration(0) }));
    assert!(state.is_able(replica(0)));
}

/// Rule 31: SIGTERM hands over ownership only.
#[test]
fn a_leaving_process_hands_everything_over_in_one_proposal() {
    let mut state = placed(3, 24, 2);
    let from = replica(1);
    let mine: Vec<PartitionId> = state.placement().owned_by(from.node).collect();
    let items =
        |epoch| mine.iter().map(|&partition| HandoverItem { partition, epoch, to: None }).collect::<Vec<_>>();
    let stale = apply(&mut state, Command::Handover { from, items: items(Epoch(0)) });
    assert_eq!(reason(&stale), Some(Reason::StaleEpoch));
    accept(&mut state, Command::Handover { from, items: items(Epoch(1)) });
    assert_eq!(state.placement().owned_by(from.node).count(), 0);
    assert!(
        mine.iter().all(|p| state.is_released(*p) && set(&state, p.0).contains(&from)),
        "its copies stay"
    );
    let counts: Vec<usize> = [0, 2].map(|it| state.placement().owned_by(NodeId(it)).count()).into();
    assert!(counts.iter().all(|it| *it >= 10), "spread over the others: {counts:?}");
}

#[test]
fn nodes_leave_one_at_a_time_and_go_when_they_hold_nothing() {
    let mut state = placed(4, 8, 2);
    accept(&mut state, Command::DrainNode { node: NodeId(3) });
    let second = apply(&mut state, Command::DrainNode { node: NodeId(2) });
    assert_eq!(reason(&second), Some(Reason::AnotherLeaves));
    let early = apply(&mut state, Command::RemoveNode { node: NodeId(3) });
    assert_eq!(reason(&early), Some(Reason::StillHolds));
    accept(&mut state, Command::CancelDrain { node: NodeId(3) });
    let mut small = placed(2, 8, 2);
    assert_eq!(reason(&apply(&mut small, Command::DrainNode { node: NodeId(0) })), Some(Reason::TooFewNodes));
}

/// It would count as a node that can own, and failovers would wait for it.
#[test]
fn a_dead_node_cannot_leave_and_stays_dead() {
    let mut state = placed(4, 8, 2);
    accept(&mut state, Command::MarkDead { node: NodeId(3), incarnation: Boot(1) });
    let drained = apply(&mut state, Command::DrainNode { node: NodeId(3) });
    assert_eq!(reason(&drained), Some(Reason::NodeDead));
    assert_eq!(state.node(NodeId(3)).expect("known").state, NodeState::Dead);
    assert!(!state.is_able(replica(3)));
}

fn create(name: &str) -> Ddl {
    let column = Column {
        id: ColumnId(0),
        name: "x".to_owned(),
        ty: ColumnType::Int64,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    let table = NewTable {
        name: TableName::new("default", name),
        columns: vec![column],
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    };
    Ddl::CreateTable { table, if_not_exists: false }
}

#[test]
fn a_statement_is_applied_once_per_request_and_its_answer_is_remembered() {
    let mut state = placed(2, 4, 2);
    let ddl = |request, name: &str| Command::Ddl { request, statement: create(name) };
    let first = apply(&mut state, ddl(1, "t"));
    assert_eq!(first, Outcome::Ddl { catalog_version: 2, sweeps: false });
    let revision = state.revision();
    assert_eq!(apply(&mut state, ddl(1, "t")), first);
    assert_eq!((state.catalog().version(), state.revision()), (2, revision));
    let second = apply(&mut state, ddl(2, "t"));
    assert!(
        matches!(second, Outcome::DdlRefused { code, .. } if code == ErrorCode::TableAlreadyExists.number())
    );
    assert_eq!(apply(&mut state, ddl(2, "t")), second, "a refusal is remembered too");
}

/// Rule 20.
#[test]
fn drop_and_truncate_wait_for_every_partition() {
    let mut state = placed(2, 4, 2);
    apply(&mut state, Command::Ddl { request: 1, statement: create("t") });
    let name = TableName::new("default", "t");
    let truncate = Ddl::TruncateTable { name: name.clone(), if_exists: false };
    let outcome = apply(&mut state, Command::Ddl { request: 2, statement: truncate });
    assert_eq!(outcome, Outcome::Ddl { catalog_version: 3, sweeps: true });
    let drop = Ddl::DropTable { name, if_exists: false };
    let outcome = apply(&mut state, Command::Ddl { request: 3, statement: drop });
    assert_eq!(outcome, Outcome::Ddl { catalog_version: 4, sweeps: true });
    assert_eq!(
        state.sweeps().map(|it| (it.version, it.remaining.len())).collect::<Vec<_>>(),
        [(3, 4), (4, 4)]
    );
    let finish = |partitions: &[u16]| Command::FinishSweep {
        version: 3,
        partitions: partitions.iter().copied().map(PartitionId).collect(),
    };
    accept(&mut state, finish(&[0, 1]));
    accept(&mut state, finish(&[1, 2, 3]));
    assert_eq!(state.sweeps().count(), 1);
    assert_eq!(apply(&mut state, finish(&[0])), Outcome::Done { changed: false });
}

/// Rule 21.
#[test]
fn a_delete_has_a_number_waits_for_every_partition_and_holds_up_what_changes_its_columns() {
    let mut state = placed(2, 4, 2);
    apply(&mut state, Command::Ddl { request: 1, statement: create("t") });
    let name = TableName::new("default", "t");
    let table = state.catalog().table(&name).expect("made").id;
    let delete = |table, length| Ddl::DeleteRows {
        name: TableName::new("default", "t"),
        table,
        schema: SchemaVersion(1),
        condition: "x".repeat(length),
    };
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::DdlRefused { .. });
    let other = apply(&mut state, Command::Ddl { request: 2, statement: delete(TableId(99), 1) });
    assert!(refused(&other), "a table that was made anew under the name: {other:?}");
    let long = apply(&mut state, Command::Ddl { request: 3, statement: delete(table, (16 << 10) + 1) });
    assert!(refused(&long), "{long:?}");
    let outcome = apply(&mut state, Command::Ddl { request: 4, statement: delete(table, 3) });
    assert_eq!(outcome, Outcome::Ddl { catalog_version: 3, sweeps: true });
    let kind = SweepKind::Delete { schema: SchemaVersion(1), condition: "xxx".to_owned() };
    assert!(state.sweeps().all(|it| it.kind == kind && it.version == 3 && it.remaining.len() == 4));
    // It can be repeated later: such a refusal is not remembered.
    let alter = || Command::Ddl {
        request: 5,
        statement: Ddl::AlterTable { name: TableName::new("default", "t"), operations: Vec::new() },
    };
    assert_eq!(reason(&apply(&mut state, alter())), Some(Reason::LimitReached));
    let all = (0..4).map(PartitionId).collect();
    accept(&mut state, Command::FinishSweep { version: 3, partitions: all });
    assert_ne!(reason(&apply(&mut state, alter())), Some(Reason::LimitReached));
    for request in 10..10 + DELETES_MAX as u128 {
        let outcome = apply(&mut state, Command::Ddl { request, statement: delete(table, 3) });
        assert!(matches!(outcome, Outcome::Ddl { sweeps: true, .. }), "{outcome:?}");
    }
    let more = apply(&mut state, Command::Ddl { request: 999, statement: delete(table, 3) });
    assert_eq!(reason(&more), Some(Reason::LimitReached));
}

#[test]
fn the_last_admin_key_stays() {
    let mut state = founded(4, 1, 1);
    let (_, admin) = create_key("root", Role::Admin).expect("makes");
    accept(&mut state, Command::PutKey(admin.clone()));
    let revoke = Command::RevokeKey { id: admin.id.clone() };
    assert_eq!(reason(&apply(&mut state, revoke.clone())), Some(Reason::LastAdminKey));
    let disabled = zepto_common::auth::KeyRecord { disabled: true, ..admin };
    assert_eq!(reason(&apply(&mut state, Command::PutKey(disabled))), Some(Reason::LastAdminKey));
    let (_, other) = create_key("root2", Role::Admin).expect("makes");
    accept(&mut state, Command::PutKey(other));
    accept(&mut state, revoke);
    assert_eq!((state.keys().count(), state.keys_version()), (1, 3));
}

#[test]
fn a_work_has_one_holder_whose_term_fences_the_one_before() {
    let mut state = placed(2, 4, 1);
    let claim = |node| Command::ClaimWork {
        name: "feed/a".to_owned(),
        node: NodeId(node),
        incarnation: Boot(1),
        lease_ms: 1_000,
    };
    let renew = |node, term| Command::RenewWork { name: "feed/a".to_owned(), node: NodeId(node), term };
    assert_eq!(apply_at(&mut state, 5_000, claim(0)), Outcome::Claimed { term: 1 });
    assert_eq!(apply_at(&mut state, 5_500, claim(0)), Outcome::Claimed { term: 1 }, "a repeat");
    assert_eq!(reason(&apply_at(&mut state, 6_400, claim(1))), Some(Reason::Held));
    assert_eq!(apply_at(&mut state, 6_400, renew(0, 1)), Outcome::Done { changed: true });
    // A leader with a slower clock does not turn time back.
    assert_eq!(reason(&apply_at(&mut state, 100, claim(1))), Some(Reason::Held));
    assert_eq!(apply_at(&mut state, 100, renew(0, 1)), Outcome::Done { changed: true });
    assert_eq!(reason(&apply_at(&mut state, 7_300, claim(1))), Some(Reason::Held));
    assert_eq!(apply_at(&mut state, 7_400, claim(1)), Outcome::Claimed { term: 2 });
    assert_eq!(reason(&apply_at(&mut state, 7_400, renew(0, 1))), Some(Reason::Held));
    accept(&mut state, Command::MarkDead { node: NodeId(1), incarnation: Boot(1) });
    assert_eq!(apply_at(&mut state, 7_500, claim(0)), Outcome::Claimed { term: 3 });
}

#[test]
fn a_state_reads_back_as_it_was_written_and_damage_is_seen() {
    let mut state = placed(3, 16, 2);
    apply(&mut state, Command::Ddl { request: u128::MAX, statement: create("t") });
    let (_, key) = create_key("root", Role::Admin).expect("makes");
    accept(&mut state, Command::PutKey(key));
    let to = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    let item = MoveItem { partition: PartitionId(0), from: Some(follower(&state, 0)), to };
    accept(&mut state, Command::StartMoves { items: vec![item] });
    let bytes = encode(&state).expect("encodes");
    assert_eq!(decode::<State>(&bytes).expect("decodes"), state);
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(decode::<State>(&damaged).is_err(), "byte {at}");
    }
    assert_eq!(decode::<State>(&bytes[..3]), Err(CodecError::Cut(3)));
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(decode::<State>(&newer), Err(CodecError::Format(2)));
}

#[test]
fn a_refused_proposal_changes_nothing() {
    let mut state = placed(3, 8, 2);
    let before = state.clone();
    let outsider = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    let commands = [
        grant(&state, 0, outsider),
        Command::Place { homes: Vec::new() },
        Command::RemoveNode { node: NodeId(1) },
        Command::MarkDead { node: NodeId(1), incarnation: Boot(9) },
        Command::ForceOwner { partition: PartitionId(99), to: outsider, accept_loss: true },
        Command::RenewWork { name: "none".to_owned(), node: NodeId(0), term: 1 },
    ];
    for command in commands {
        assert!(reason(&apply(&mut state, command.clone())).is_some(), "{command:?}");
        assert_eq!(state, before, "{command:?}");
    }
}
