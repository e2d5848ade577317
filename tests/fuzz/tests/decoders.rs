//! Each decoder: its kept inputs, then damaged ones for some seconds.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it did"
)]

use std::time::Duration;

use zepto_fuzz::campaign::Campaign;
use zepto_fuzz::{corpus, target};

/// Time of each decoder; a soak multiplies it.
const TIME: Duration = Duration::from_secs(5);

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name).map(|text| text.to_string_lossy().parse().unwrap())
}

fn holds(name: &str) {
    // A caught panic is told by its finding.
    std::panic::set_hook(Box::new(|_| {}));
    let seed = number("ZEPTO_TEST_SEED").unwrap_or(1);
    let factor = u32::try_from(number("ZEPTO_TEST_FACTOR").unwrap_or(1)).unwrap();
    let target = target::all().into_iter().find(|target| target.name == name).unwrap();
    let kept = corpus::load(&corpus::folder().join(name)).unwrap();
    let before = &mut |_: &[u8]| ();
    let mut campaign = Campaign::new(&target, kept, seed, before);
    campaign.run(TIME * factor);
    let report = campaign.finish();
    println!("{} damaged inputs, {name}, seed {seed}, at most {} KiB", report.runs, report.peak >> 10);
    for finding in &report.findings {
        let path = corpus::save(&corpus::folder().join(name), &finding.input).unwrap();
        println!("{}: {}", path.display(), finding.what);
    }
    assert!(report.findings.is_empty(), "{} findings, seed {seed}: see above", report.findings.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { holds(stringify!($name)); })*

        #[test]
        fn every_target_is_tested() {
            assert_eq!([$(stringify!($name)),*], target::NAMES);
        }
    };
}

targets! {
    tab_separated csv values json json_columns json_each_row json_compact_each_row row_binary native msgpack arrow parquet
    gzip zlib zstd brotli lz4 native_blocks multipart statement_head url_and_headers heartbeat
}
