//! How what a cluster costs by itself grows with its nodes: the plan, the moves when a node joins, the watch streams,
//! heartbeats, the cut of a block by owner. The laws are asserted; the table that it prints stands in `docs/scaling.md`.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use prost::Message;
use zepto_cluster::PartitionRouter;
use zepto_cluster::heartbeat::{Heartbeat, MAX_DATAGRAM, Role, Secret};
use zepto_common::ids::{DiskId, NodeId, PlacementVersion};
use zepto_common::partition::partitions_of;
use zepto_proto::coordinate as wire;

use super::coordinate::{assignment_message, node_message};
use crate::example::{accept, join, owners_act, placed};
use crate::policy::steps::{first_placement, steps};
use crate::policy::target::{copies_max, owned_max};
use crate::state::State;
use crate::state::command::Command;

const PARTITIONS: u16 = 256;
const FACTOR: u8 = 2;
const SIZES: [u32; 4] = [3, 10, 30, 100];
/// Rows of the block that is cut by owner, as a door cuts them.
const BLOCK_ROWS: u32 = 65_536;
const KEYS: u32 = 10_000;
/// Of a measurement the shortest of so many counts.
const TURNS: u32 = 5;
/// Rounds of plan and owners in which a join must have ended.
const ROUNDS_MAX: usize = 1_000;

/// What one size costs.
struct Row {
    nodes: u32,
    first_plan: Duration,
    join_moves: usize,
    join_handovers: usize,
    join_plans: usize,
    join_plan: Duration,
    copies: (usize, usize),
    view_bytes: usize,
    change_bytes: usize,
    join_watch_bytes: usize,
    beat_bytes: usize,
    beat_cost: Duration,
    split_per_row: Duration,
}

/// The shortest of some turns.
fn shortest<T>(mut work: impl FnMut() -> T) -> Duration {
    let turns = (0..TURNS).map(|_| {
        let begun = Instant::now();
        black_box(work());
        begun.elapsed()
    });
    turns.min().unwrap_or_default()
}

/// The message that tells a reader who has seen `shown` of `state`: as the watch stream makes it, without envelope.
fn view(shown: Option<&State>, state: &State) -> wire::WatchReply {
    let mut reply = wire::WatchReply { revision: state.revision(), ..Default::default() };
    for assignment in &state.placement().partitions {
        let message = assignment_message(state, assignment);
        let before = shown.and_then(|it| {
            it.placement().of(assignment.grant.partition).map(|assignment| assignment_message(it, assignment))
        });
        if before.as_ref() != Some(&message) {
            reply.assignments.push(message);
        }
    }
    if shown.is_none_or(|shown| !shown.nodes().eq(state.nodes())) {
        reply.nodes = state.nodes().map(node_message).collect();
    }
    reply
}

fn copies_per_node(state: &State) -> (usize, usize) {
    let count = |node: NodeId| {
        let has = |it: &&zepto_common::placement::Assignment| {
            it.grant.set.members.iter().any(|member| member.node == node)
        };
        state.placement().partitions.iter().filter(has).count()
    };
    let counts: Vec<usize> = state.nodes().map(|node| count(node.id)).collect();
    (counts.iter().copied().min().unwrap_or(0), counts.into_iter().max().unwrap_or(0))
}

fn heartbeat(node: u32) -> Heartbeat {
    Heartbeat {
        cluster: "zeptodb".to_owned(),
        node: NodeId(node),
        role: Role::Storage,
        disk: DiskId(u128::from(node)),
        incarnation: 1,
        counter: 1,
        leaving: false,
        disk_stuck: false,
        host: format!("zeptodb-{node}.zeptodb-headless.default.svc.cluster.local"),
        http_port: 8123,
        rpc_port: 8223,
        placement: PlacementVersion(1),
        catalog: 1,
        rows_per_second: 1_000_000,
        queue_permille: 10,
        sync_age_ms: 1,
        wall_ms: 1_700_000_000_000,
    }
}

/// Time per row of cutting a block by owner after the state's placement.
fn split_per_row(state: &State) -> Duration {
    let router = PartitionRouter::new(Arc::new(state.placement().clone()));
    let keys = (0..BLOCK_ROWS).map(|row| format!("KEY{}", row.wrapping_mul(2_654_435_761) % KEYS));
    let key: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::from(BLOCK_ROWS)));
    let of_row = partitions_of(&key, PARTITIONS).unwrap();
    let block = RecordBatch::try_from_iter([("key", key), ("number", number)]).unwrap();
    shortest(|| router.split(&block, &of_row).unwrap()) / BLOCK_ROWS
}

/// Lets one more node join a cluster of this size and carries the moves out.
fn measure(nodes: u32) -> Row {
    let mut state = placed(nodes, PARTITIONS, FACTOR);
    let mut bare = crate::example::founded(PARTITIONS, FACTOR, 1);
    (0..nodes).for_each(|node| join(&mut bare, node, ""));
    let first_plan = shortest(|| first_placement(&bare));
    let view_bytes = view(None, &state).encoded_len();
    let secret = Secret::new("secret");
    let beat = heartbeat(nodes - 1);
    let bytes = beat.encode(&secret);
    let beat_cost = shortest(|| (beat.encode(&secret), Heartbeat::decode(&bytes, "zeptodb", &secret)));
    let split = split_per_row(&state);

    join(&mut state, nodes, "");
    let (mut moves, mut handovers, mut plans, mut watch, mut change) = (0, 0, 0, 0, 0);
    let join_plan = shortest(|| steps(&state, 0, 0));
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "a join of {nodes} nodes does not end");
        let before = state.clone();
        let commands = steps(&state, 0, 0);
        plans += 1;
        let idle = commands.is_empty();
        for command in commands {
            match &command {
                Command::StartMoves { items } => moves += items.len(),
                Command::AskHandover { items } => handovers += items.len(),
                _ => {}
            }
            accept(&mut state, command);
        }
        let acted = owners_act(&mut state);
        let told = view(Some(&before), &state);
        if !told.assignments.is_empty() {
            watch += told.encoded_len();
            change = change.max(told.encoded_len() / told.assignments.len());
        }
        if idle && !acted {
            break;
        }
    }
    Row {
        nodes,
        first_plan,
        join_moves: moves,
        join_handovers: handovers,
        join_plans: plans,
        join_plan,
        copies: copies_per_node(&state),
        view_bytes,
        change_bytes: change,
        join_watch_bytes: watch,
        beat_bytes: bytes.len(),
        beat_cost,
        split_per_row: split,
    }
}

fn print(rows: &[Row]) {
    const TITLES: [&str; 14] = [
        "storage nodes",
        "peers of a heartbeat",
        "first plan",
        "join: copies moved (a share is)",
        "handovers",
        "plans",
        "one plan",
        "copies per node after it",
        "watch: whole view",
        "one partition's change",
        "the join, to one reader",
        "heartbeats out of a node",
        "their CPU, both ends",
        "cut of a row by owner",
    ];
    println!("| {} |\n|{}", TITLES.join(" | "), "---|".repeat(TITLES.len()));
    for it in rows {
        let others = it.nodes - 1 + 3;
        let share = usize::from(PARTITIONS) * usize::from(FACTOR) / (it.nodes as usize + 1);
        println!(
            "| {} | {} | {:.2} ms | {} ({share}) | {} | {} | {:.2} ms | {} to {} | {} B | {} B | {} B | {} B/s | {:.1} µs/s | {:.0} ns |",
            it.nodes,
            others,
            it.first_plan.as_secs_f64() * 1e3,
            it.join_moves,
            it.join_handovers,
            it.join_plans,
            it.join_plan.as_secs_f64() * 1e3,
            it.copies.0,
            it.copies.1,
            it.view_bytes,
            it.change_bytes,
            it.join_watch_bytes,
            others as usize * it.beat_bytes,
            it.beat_cost.as_secs_f64() * 1e6 * f64::from(others),
            it.split_per_row.as_secs_f64() * 1e9,
        );
    }
}

#[test]
fn what_a_cluster_costs_by_itself_grows_as_the_document_says() {
    let rows: Vec<Row> = SIZES.into_iter().map(measure).collect();
    print(&rows);
    let (partitions, factor) = (usize::from(PARTITIONS), usize::from(FACTOR));
    for it in &rows {
        let after = it.nodes as usize + 1;
        // A join moves its share and hardly more, and leaves every node within the bounds.
        let share = (partitions * factor).div_ceil(after);
        assert!(
            it.join_moves <= share + after,
            "{} nodes: {} moves, a share is {share}",
            it.nodes,
            it.join_moves
        );
        assert!(it.copies.1 <= copies_max(partitions, factor, after), "{} nodes: {:?}", it.nodes, it.copies);
        assert!(it.join_handovers <= owned_max(partitions, after) + after, "{} handovers", it.join_handovers);
        assert!(it.beat_bytes <= MAX_DATAGRAM);
    }
    // What a reader is told of one partition does not grow with the cluster, and of the whole view only the nodes do.
    let changes: BTreeSet<usize> = rows.iter().map(|it| it.change_bytes / 64).collect();
    assert!(changes.len() <= 2, "{changes:?}");
    let (small, large) = (&rows[0], &rows[rows.len() - 1]);
    let per_node =
        (large.view_bytes - small.view_bytes.min(large.view_bytes)) / (large.nodes - small.nodes) as usize;
    assert!(per_node <= 512, "the view grows by {per_node} bytes with a node");
}
