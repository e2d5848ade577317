//! What must hold while members of the group come and go.

use std::collections::BTreeSet;

use zepto_common::catalog::Ddl;
use zepto_common::ids::NodeId;
use zepto_proto::coordinate as wire;
use zepto_proto::view::View;

use crate::place::{CLUSTER, Group, Node, client, eventually, watched};

fn ddl(request: u8, name: &str) -> wire::DdlRequest {
    let statement = Ddl::CreateDatabase { name: name.to_owned(), if_not_exists: false };
    wire::DdlRequest {
        envelope: None,
        request_id: vec![request; 16],
        statement: serde_json::to_vec(&statement).expect("has a JSON form"),
    }
}

fn owners(view: &View) -> BTreeSet<NodeId> {
    view.placement.partitions.iter().map(|it| it.grant.owner.node).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_elects_places_loses_its_leader_and_still_fails_over() {
    let mut group = Group::start(3).await;
    let mut nodes = Vec::new();
    for node in 0..3 {
        nodes.push(Node::join(&group, node).await);
    }
    let is_placed = |view: &View| view.placement.partitions.len() == 16 && owners(view).len() == 3;
    let view = watched(&nodes[0].client, "three nodes share the partitions", is_placed).await;
    assert!(
        view.placement.partitions.iter().all(|it| it.grant.epoch.0 == 1 && it.grant.set.members.len() == 2)
    );
    assert!(view.nodes.values().all(|node| node.state() == wire::NodeState::Active));

    let leader = group.leader().await;
    group.stop(leader).await;
    group.leader().await;

    // The owner of partition 0 takes its follower out, then the coordinators are asked again with the same words.
    let grant = &view.placement.partitions[0].grant;
    let change = wire::SetChange {
        partition: 0,
        epoch: grant.epoch.0,
        set_version: grant.set.version.0,
        members: vec![grant.owner.into()],
    };
    let request = wire::ProposeSetsRequest {
        envelope: None,
        proposer: Some(grant.owner.into()),
        changes: vec![change],
    };
    for _ in 0..2 {
        let reply = nodes[0].client.propose_sets(request.clone()).await.expect("a majority is left");
        let outcome = &reply.outcomes[0];
        assert_eq!(outcome.refusal, None);
        assert_eq!(outcome.assignment.as_ref().map(|it| it.set_version), Some(grant.set.version.0 + 1));
    }
    let stale = nodes[0].client.propose_sets(wire::ProposeSetsRequest {
        changes: vec![wire::SetChange { epoch: 0, ..request.changes[0].clone() }],
        ..request
    });
    let reply = stale.await.expect("is answered");
    assert_eq!(reply.outcomes[0].refusal.as_ref().map(|it| it.reason.as_str()), Some("StaleEpoch"));

    nodes[2].die();
    let survived = |view: &View| !view.placement.partitions.is_empty() && !owners(view).contains(&NodeId(2));
    let after = watched(&nodes[0].client, "the survivors own what the dead node owned", survived).await;
    for (was, is) in view.placement.partitions.iter().zip(&after.placement.partitions) {
        let changed = was.grant.owner != is.grant.owner;
        assert!(!changed || is.grant.epoch > was.grant.epoch, "another owner has a higher epoch");
        assert!(was.grant.set.members.contains(&is.grant.owner), "only a copy in sync was granted");
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_members_forgets_nothing() {
    let mut group = Group::start(3).await;
    let nodes = [Node::join(&group, 0).await, Node::join(&group, 1).await];
    let placed = |view: &View| view.placement.partitions.len() == 16;
    watched(&nodes[0].client, "the partitions have places", placed).await;
    let reply = nodes[0].client.ddl(ddl(7, "kept")).await.expect("is agreed on");
    assert_eq!((reply.error_code, reply.catalog_version), (0, 2));
    let before = group.running().next().expect("runs").member().state();
    let before = eventually("the first member has the statement", async || {
        let state = group.running().next().expect("runs").member().state();
        (state.catalog().version() == 2).then_some(state)
    })
    .await
    .placement()
    .clone()
    .partitions
    .into_iter()
    .zip(before.placement().partitions.clone())
    .map(|(newest, _)| newest)
    .collect::<Vec<_>>();
    drop(nodes);
    for index in 0..3 {
        group.stop(index).await;
    }
    for index in 0..3 {
        // An argument list stays the same over restarts: a member with a log of its own goes on with it.
        group.restart(index, true).await;
    }
    group.founded().await;
    let anyone = group.client(0, 1);
    let catalog = anyone.read_catalog(wire::ReadCatalogRequest::default()).await.expect("reads");
    assert_eq!(catalog.catalog_version, 2);
    assert!(zepto_proto::view::catalog_of(&catalog.catalog).expect("reads").has_database("kept"));
    let again = anyone.ddl(ddl(7, "kept")).await.expect("is answered");
    assert_eq!(
        (again.error_code, again.catalog_version),
        (0, 2),
        "a statement of before the restart is known"
    );
    eventually("every member has the epochs of before", async || {
        let same = |after: &zepto_common::placement::Placement| {
            after.partitions.len() == before.len()
                && after.partitions.iter().zip(&before).all(|(a, b)| a.grant.epoch >= b.grant.epoch)
        };
        group.running().all(|it| same(it.member().state().placement())).then_some(())
    })
    .await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_member_takes_a_statement_and_a_request_id_counts_once() {
    let group = Group::start(3).await;
    for (index, address) in group.addresses.iter().enumerate() {
        let one = client(&[address.to_string()], 0, 1);
        let reply = one.ddl(ddl(1, "once")).await.expect("a follower passes it on");
        assert_eq!((reply.error_code, reply.catalog_version), (0, 2), "member {index}");
        // A linearizable read sees it at whichever member.
        let catalog = one.read_catalog(wire::ReadCatalogRequest::default()).await.expect("reads");
        assert_eq!(catalog.catalog_version, 2);
        let known = wire::ReadCatalogRequest { envelope: None, known_version: 2 };
        assert!(one.read_catalog(known).await.expect("reads").catalog.is_empty());
    }
    let anyone = group.client(0, 1);
    let other = anyone.ddl(ddl(2, "once")).await.expect("is answered");
    assert_eq!(other.error_code, zepto_common::ErrorCode::DatabaseAlreadyExists.number());
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_catches_up_after_its_coordinator_went_away() {
    let mut group = Group::start(3).await;
    let anyone = group.client(0, 1);
    let mut watcher = anyone.watch();
    let patience = crate::place::PATIENCE;
    tokio::time::timeout(patience, watcher.next()).await.expect("in time").expect("is believed");
    assert_eq!(watcher.view().catalog.version(), 1);
    // The watcher's client asks the first address first: cut it there.
    group.stop(0).await;
    let others: Vec<String> = group.addresses[1..].iter().map(ToString::to_string).collect();
    let reply = client(&others, 0, 1).ddl(ddl(1, "meanwhile")).await.expect("two of three are a majority");
    assert_eq!(reply.catalog_version, 2);
    let catch_up = async {
        while watcher.view().catalog.version() < 2 {
            watcher.next().await.expect("is believed");
        }
    };
    tokio::time::timeout(patience, catch_up).await.expect("the other coordinators tell it");
    assert!(watcher.view().catalog.has_database("meanwhile"));
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_disk_is_not_let_in_again() {
    let mut group = Group::start(3).await;
    eventually("the group knows every member's disk", async || {
        let known =
            |state: &zepto_coordinator::state::State| (1..=3).all(|id| state.member_disk(id).is_some());
        group.running().all(|it| known(&it.member().state())).then_some(())
    })
    .await;
    for (index, bootstrap) in [(2, false), (0, true)] {
        group.stop(index).await;
        group.dirs[index] = tempfile::tempdir().expect("makes a directory");
        group.restart(index, bootstrap).await;
        let wiped = group.members[index].as_mut().expect("listens");
        let reason =
            tokio::time::timeout(crate::place::PATIENCE, wiped.failed()).await.expect("ends by itself");
        assert!(reason.to_string().contains("another disk"), "{reason}");
        assert_eq!(wiped.member().state().cluster(), None, "it was told nothing");
        group.stop(index).await;
        if index == 2 {
            // The other two are a majority without it.
            let reply = group.client(0, 1).ddl(ddl(1, CLUSTER)).await.expect("goes on");
            assert_eq!(reply.catalog_version, 2);
            group.dirs[index] = tempfile::tempdir().expect("makes a directory");
        }
    }
    group.stop_all().await;
}
