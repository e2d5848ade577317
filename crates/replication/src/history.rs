//! Which token each frame of one partition's log was first appended under.
//!
//! One appender per token, appending without gaps: so two logs that have the same token at one position are the same
//! up to it. Comparing two histories therefore finds the last frame that two logs share without looking at a frame.

use zepto_common::ids::{Lsn, Token};

/// A frame's identity: no two frames of a partition share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Position {
    /// What the frame was first appended under. The default stands before the first frame.
    pub token: Token,
    /// Its place in the log.
    pub lsn: Lsn,
}

/// The tokens of a log, as stretches: each holds from its first position to the next stretch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Token and first position of each stretch, ascending in both.
    stretches: Vec<(Token, Lsn)>,
    /// The last position; 0 for an empty log.
    end: Lsn,
}

impl History {
    /// Token and first position of each stretch, ascending in both.
    #[must_use]
    pub fn stretches(&self) -> &[(Token, Lsn)] {
        &self.stretches
    }

    /// A history as [`Self::stretches`] and [`Self::end`] told it; None for one that no log can have.
    #[must_use]
    pub fn from_stretches(stretches: Vec<(Token, Lsn)>, end: Lsn) -> Option<Self> {
        let ascending = stretches.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        let begins = stretches.first().map_or(end.0 == 0, |first| first.1 == Lsn(1));
        let ends = stretches.last().is_none_or(|last| last.1 <= end);
        (ascending && begins && ends).then_some(Self { stretches, end })
    }

    /// The last frame; the default position for an empty log.
    #[must_use]
    pub fn end(&self) -> Position {
        Position { token: self.stretches.last().map_or(Token::default(), |it| it.0), lsn: self.end }
    }

    /// The token of the frame at `lsn`: the default one for 0, None above the end.
    #[must_use]
    pub fn token_at(&self, lsn: Lsn) -> Option<Token> {
        if lsn.0 == 0 {
            return Some(Token::default());
        }
        if lsn > self.end {
            return None;
        }
        let after = self.stretches.partition_point(|it| it.1 <= lsn);
        after.checked_sub(1).map(|at| self.stretches[at].0)
    }

    /// The frame at `lsn`; None above the end.
    #[must_use]
    pub fn at(&self, lsn: Lsn) -> Option<Position> {
        Some(Position { token: self.token_at(lsn)?, lsn })
    }

    /// Whether this log has that very frame; every log has the position before the first.
    #[must_use]
    pub fn has(&self, position: Position) -> bool {
        self.token_at(position.lsn) == Some(position.token)
    }

    /// Adds one frame at the end.
    pub fn append(&mut self, token: Token) -> Position {
        self.end = self.end.next();
        if self.stretches.last().is_none_or(|it| it.0 != token) {
            self.stretches.push((token, self.end));
        }
        Position { token, lsn: self.end }
    }

    /// Drops every frame above `to`.
    pub fn truncate(&mut self, to: Lsn) {
        self.end = self.end.min(to);
        self.stretches.retain(|it| it.1 <= to);
    }

    /// The last frame that both logs have.
    #[must_use]
    pub fn common_with(&self, other: &Self) -> Position {
        let mut lsn = self.end.min(other.end);
        while lsn.0 > 0 {
            if let (Some(mine), Some(theirs)) = (self.token_at(lsn), other.token_at(lsn)) {
                if mine == theirs {
                    return Position { token: mine, lsn };
                }
                // Neither stretch can match further down than the later of their beginnings.
                lsn = Lsn(self.stretch_start(lsn).max(other.stretch_start(lsn)).0 - 1);
            } else {
                return Position::default();
            }
        }
        Position::default()
    }

    fn stretch_start(&self, lsn: Lsn) -> Lsn {
        let after = self.stretches.partition_point(|it| it.1 <= lsn);
        after.checked_sub(1).map_or(Lsn(1), |at| self.stretches[at].1)
    }
}

#[cfg(test)]
mod tests;
