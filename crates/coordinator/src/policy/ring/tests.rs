use super::*;

fn ring(nodes: u32) -> Ring {
    Ring::new((0..nodes).map(NodeId))
}

/// A change of these puts every partition of every cluster elsewhere.
#[test]
fn golden_vectors_of_the_ring() {
    assert_eq!(Point { node: NodeId(0), point: 0 }.key(), 0xc77b_3abb_6f87_acd9);
    assert_eq!(Point { node: NodeId(7), point: 127 }.key(), 0x8da8_684c_4d97_a663);
    assert_eq!(PartitionKey(PartitionId(0)).key(), 0x83fb_5ba9_98d1_c3c4);
    assert_eq!(PartitionKey(PartitionId(255)).key(), 0x2b42_961d_523c_1ac5);
    let five = ring(5);
    let homes: Vec<u32> = (0..16).map(|p| five.home(PartitionId(p)).expect("has nodes").0).collect();
    assert_eq!(homes, [0, 4, 0, 4, 4, 1, 3, 4, 1, 0, 3, 1, 2, 4, 2, 3]);
    let walk: Vec<u32> = five.walk(PartitionId(3)).into_iter().map(|it| it.0).collect();
    assert_eq!(walk, [4, 1, 3, 0, 2]);
}

#[test]
fn a_walk_names_every_node_once_and_begins_at_home() {
    let ring = ring(9);
    for p in 0..256 {
        let walk = ring.walk(PartitionId(p));
        assert_eq!(walk.first().copied(), ring.home(PartitionId(p)));
        let distinct: BTreeSet<_> = walk.iter().collect();
        assert_eq!((walk.len(), distinct.len()), (9, 9));
    }
    assert!(Ring::new([]).walk(PartitionId(0)).is_empty());
}

#[test]
fn a_joining_node_takes_keys_from_others_and_nobody_else_moves() {
    let (before, after) = (ring(10), ring(11));
    let mut moved = 0;
    for p in 0..10_000 {
        let (old, new) = (before.home(PartitionId(p)), after.home(PartitionId(p)));
        if old != new {
            assert_eq!(new, Some(NodeId(10)));
            moved += 1;
        }
    }
    assert!((600..1_250).contains(&moved), "{moved} of 10000");
}

#[test]
fn points_are_spread_evenly() {
    let ring = ring(10);
    let mut homes = [0u32; 10];
    for p in 0..20_000 {
        homes[ring.home(PartitionId(p)).expect("has nodes").0 as usize] += 1;
    }
    let most = *homes.iter().max().expect("ten");
    assert!(most < 2_500, "{homes:?}");
}
