use super::*;

fn read(output: &str, succeeded: bool) -> Tally {
    let mut reader = Reader::default();
    output.lines().for_each(|line| reader.line(line));
    reader.finish("cargo test", succeeded)
}

#[test]
fn the_counts_of_all_suites_are_summed() {
    let tally = read(
        "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
         test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
         running 1 test\ntest c ... ok\n\
         test result: ok. 1 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        true,
    );
    assert_eq!(tally, Tally { passed: 3, failed: vec![], ignored: 3 });
    assert_eq!(tally.summary(), "3 passed, 0 failed");
}

#[test]
fn a_failed_test_is_named() {
    let tally = read(
        "running 2 tests\ntest wal::a_torn_tail ... FAILED\ntest b ... ok\n\nfailures:\n    wal::a_torn_tail\n\
         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
        false,
    );
    assert_eq!(tally.failed, ["wal::a_torn_tail"]);
    assert_eq!(tally.passed, 1);
}

#[test]
fn a_suite_that_was_killed_counts_as_failed() {
    let tally = read("running 12 tests\ntest a ... ok\n", false);
    assert_eq!(tally.failed, ["a suite of 12 tests that ended without a result"]);
}

#[test]
fn an_error_exit_without_a_named_test_counts_as_failed() {
    let tally = read(
        "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        false,
    );
    assert_eq!(tally.failed, ["cargo test (ended with an error)"]);
}

#[test]
fn a_run_without_any_test_counts_as_failed() {
    assert_eq!(read("", true).failed, ["cargo test (ran no tests)"]);
}

#[test]
fn a_failure_whose_line_was_torn_by_other_output_still_counts() {
    let tally = read(
        "running 1 test\ntest a ... some output\n\
         test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
        false,
    );
    assert_eq!(tally.failed.len(), 1);
}
