//! The replication core in thousands of histories, and proof that its bugs would be seen.

use zepto_sim::{Report, Scenario, run};

#[test]
fn first_seeds() {
    let n: u64 = std::env::var("SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(50);
    let from: u64 = std::env::var("FROM").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut sum = Report::default();
    for seed in from..from + n {
        let report = run(seed, Scenario::default());
        assert!(report.fault.is_none(), "seed {seed}: {}", report.fault.unwrap());
        sum.acknowledged += report.acknowledged;
        sum.reads += report.reads;
        sum.fenced += report.fenced;
        sum.failovers += report.failovers;
        sum.crashes += report.crashes;
        sum.lost_disks += report.lost_disks;
    }
    eprintln!("{sum:?}");
}
