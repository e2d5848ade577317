use zepto_common::ids::{Boot, Epoch, Lsn, Token};

use super::{History, Position};

fn token(epoch: u64, boot: u64) -> Token {
    Token { epoch: Epoch(epoch), boot: Boot(boot) }
}

/// A log of so many frames per token.
fn log(stretches: &[(u64, u64, u64)]) -> History {
    let mut history = History::default();
    for &(epoch, boot, frames) in stretches {
        for _ in 0..frames {
            history.append(token(epoch, boot));
        }
    }
    history
}

fn frames(history: &History) -> Vec<Token> {
    (1..=history.end().lsn.0).map(|lsn| history.token_at(Lsn(lsn)).unwrap()).collect()
}

#[test]
fn every_frame_keeps_the_token_it_was_appended_under() {
    let history = log(&[(1, 1, 2), (1, 2, 1), (4, 1, 3)]);
    let expected = [(1, 1), (1, 1), (1, 2), (4, 1), (4, 1), (4, 1)].map(|(e, b)| token(e, b));
    assert_eq!(frames(&history), expected);
    assert_eq!(history.token_at(Lsn(7)), None);
    assert_eq!(history.token_at(Lsn(0)), Some(Token::default()));
    assert_eq!(history.end(), Position { token: token(4, 1), lsn: Lsn(6) });
}

#[test]
fn truncation_leaves_what_lies_below() {
    for keep in 0..=6 {
        let mut history = log(&[(1, 1, 2), (1, 2, 1), (4, 1, 3)]);
        let expected = frames(&history)[..keep].to_vec();
        history.truncate(Lsn(keep as u64));
        assert_eq!(frames(&history), expected);
        assert_eq!(history.end().lsn, Lsn(keep as u64));
        // A frame under the same token continues its stretch.
        history.append(token(9, 9));
        assert_eq!(frames(&history)[..keep], expected[..]);
    }
}

#[test]
fn two_logs_part_where_their_tokens_first_differ() {
    type Stretches = &'static [(u64, u64, u64)];
    let cases: &[(Stretches, Stretches, u64)] = &[
        (&[], &[], 0),
        (&[(1, 1, 3)], &[], 0),
        (&[(1, 1, 3)], &[(1, 1, 5)], 3),
        (&[(1, 1, 3), (2, 1, 2)], &[(1, 1, 5)], 3),
        (&[(1, 1, 3), (2, 1, 2)], &[(1, 1, 2), (3, 1, 9)], 2),
        (&[(1, 1, 3), (2, 1, 2), (5, 1, 1)], &[(1, 1, 3), (2, 1, 4)], 5),
        (&[(1, 1, 3)], &[(2, 1, 3)], 0),
        (&[(1, 1, 1), (1, 2, 1), (1, 3, 1)], &[(1, 1, 1), (1, 2, 1), (2, 1, 4)], 2),
    ];
    for (left, right, expected) in cases {
        let (left, right) = (log(left), log(right));
        assert_eq!(left.common_with(&right).lsn, Lsn(*expected), "{left:?} and {right:?}");
        assert_eq!(right.common_with(&left).lsn, Lsn(*expected), "{right:?} and {left:?}");
        let common = left.common_with(&right);
        assert!(left.has(common) && right.has(common));
    }
}

#[test]
fn a_history_comes_back_from_its_stretches_and_no_other_does() {
    let token = |epoch, boot| Token { epoch: Epoch(epoch), boot: Boot(boot) };
    let mut history = History::default();
    assert_eq!(History::from_stretches(Vec::new(), Lsn(0)), Some(history.clone()));
    for at in [token(1, 1), token(1, 1), token(1, 2), token(4, 1)] {
        history.append(at);
    }
    assert_eq!(History::from_stretches(history.stretches().to_vec(), Lsn(4)), Some(history));
    let wrong = [
        (vec![(token(1, 1), Lsn(1))], Lsn(0)),
        (vec![(token(1, 1), Lsn(2))], Lsn(3)),
        (vec![(token(1, 1), Lsn(1)), (token(1, 1), Lsn(2))], Lsn(3)),
        (vec![(token(2, 1), Lsn(1)), (token(1, 9), Lsn(2))], Lsn(3)),
        (Vec::new(), Lsn(1)),
    ];
    for (stretches, end) in wrong {
        assert_eq!(History::from_stretches(stretches, end), None);
    }
}
