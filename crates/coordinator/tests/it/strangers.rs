//! Peers of another cluster, with another secret, or of another version.

use std::time::Duration;

use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Options};
use zepto_proto::client::{ClientError, CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate as wire;
use zepto_proto::coordinate::coordinate_client::CoordinateClient;
use zepto_proto::handshake::{PROTOCOL, Secret};
use zepto_proto::refusal::{Refused, RefusedReason};

use crate::place::{Group, identity, registration};

async fn reason_for(group: &Group, identity: Identity) -> Option<RefusedReason> {
    let addresses = [group.addresses[0].to_string()];
    let deadlines = Deadlines { call: Duration::from_secs(20), attempt: Duration::from_secs(5) };
    let client = CoordinatorClient::new(&addresses, identity, deadlines).expect("the address is good");
    match client.register(registration(5)).await {
        Ok(_) => None,
        Err(ClientError::Refused(refused)) => Some(refused.reason),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_by_name_on_both_sides() {
    let group = Group::start(1).await;
    let other_secret = Identity { secret: Secret::new("guessed"), ..identity(5, 1) };
    assert_eq!(reason_for(&group, other_secret).await, Some(RefusedReason::WrongSecret));
    let other_cluster = Identity { cluster_id: "elsewhere".to_owned(), ..identity(5, 1) };
    assert_eq!(reason_for(&group, other_cluster).await, Some(RefusedReason::WrongCluster));

    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", group.addresses[0]));
    let mut raw = CoordinateClient::new(endpoint.expect("the address is good").connect_lazy());
    let newer = wire::Envelope { protocol: PROTOCOL + 1, ..Default::default() };
    let mut request = tonic::Request::new(wire::StatusRequest { envelope: Some(newer) });
    Secret::new(crate::place::SECRET).sign_request(request.metadata_mut());
    let status = raw.status(request).await.expect_err("speaks a newer version");
    assert_eq!(Refused::of(&status).map(|it| it.reason), Some(RefusedReason::WrongProtocol));
    let unsigned = raw.status(wire::StatusRequest::default()).await.expect_err("has no proof");
    assert_eq!(Refused::of(&unsigned).map(|it| it.reason), Some(RefusedReason::WrongSecret));

    assert_eq!(reason_for(&group, identity(5, 1)).await, None, "and a friend is let in");
    group.stop_all().await;
}

/// A member with another secret does not become part of a group, and says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_another_secret_ends_with_the_reason() {
    let mut group = Group::start(3).await;
    group.stop(2).await;
    let dir = tempfile::tempdir().expect("makes a directory");
    let options = Options {
        secret: Secret::new("guessed"),
        data_dir: dir.path().to_owned(),
        ..group.options(2, false)
    };
    let listeners = Listeners::bind(&options).await.expect("listens");
    let mut stranger = Coordinator::start(options, listeners).await.expect("starts");
    let reason =
        tokio::time::timeout(crate::place::PATIENCE, stranger.failed()).await.expect("ends by itself");
    assert!(reason.to_string().contains("wrong-secret"), "{reason}");
    stranger.stop().await;
    group.stop_all().await;
}
