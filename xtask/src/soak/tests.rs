use super::*;

#[test]
fn figures_are_read_from_the_tests_own_lines() {
    assert_eq!(figure("20 kills: 5 rows acknowledged, 5 stored"), Some((20, "kills")));
    assert_eq!(figure("808 crash images of 101 syncs"), Some((808, "crash images")));
    assert_eq!(figure("7 images of a recovery that was cut"), Some((7, "crash images")));
    assert_eq!(figure("test a::b ... 3 damaged inputs, seed 1"), Some((3, "damaged inputs")));
    for other in ["kills: 20", "20 kisses: ", "", "20", "test a ... ok"] {
        assert_eq!(figure(other), None, "{other}");
    }
}
