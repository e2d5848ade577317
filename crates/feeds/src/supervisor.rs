//! When a feed runs, waits or stops. Pure: time and chance come in with each call.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;
use zepto_common::limits::{FEED_BACKOFF_MAX, FEED_BACKOFF_MIN, FEED_CALM};

/// What a feed is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Connecting, or waiting for partitions to read.
    Starting,
    /// Reads and writes.
    Running,
    /// The storage takes no more at the moment; the source is not read.
    Paused,
    /// After a fault, until the next try.
    Waiting,
    /// Stopped by a fault that needs a human.
    Failed,
    /// Stopped in order.
    Stopped,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A batch is durable.
    Progress,
    /// The source can be read and has nothing new.
    Idle,
    /// The storage refused at the moment.
    Refused,
    /// The source or the storage is at fault, and may recover.
    Fault,
    /// The source cannot be read for the moment and tries again by itself.
    Trouble,
    /// Only a human helps.
    Final,
    /// The node stops.
    Stop,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Go on, at once.
    Go,
    /// Go on then.
    After(Instant),
    /// End.
    End,
}

/// The state of one feed.
#[derive(Debug, Clone)]
pub struct Supervisor {
    state: State,
    /// Tries without progress, of the storage and of the source.
    tries: u32,
    /// When the last fault was.
    fault_at: Option<Instant>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { state: State::Starting, tries: 0, fault_at: None }
    }
}

impl Supervisor {
    /// What the feed is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes an event in. `chance` is a random number from 0 to 1 by which waits differ between feeds.
    pub fn on(&mut self, now: Instant, event: Event, chance: f64) -> Command {
        if matches!(self.state, State::Failed | State::Stopped) {
            return Command::End;
        }
        match event {
            Event::Progress => {
                // A source that fails again and again after a little progress is not tried at full speed either.
                if self.state == State::Paused || self.fault_at.is_none_or(|at| now >= at + FEED_CALM) {
                    self.tries = 0;
                }
                self.state = State::Running;
                Command::Go
            }
            // Nothing was proven yet: the waits stay as long as they are.
            Event::Idle => {
                self.state = State::Running;
                Command::Go
            }
            Event::Trouble => {
                self.state = State::Waiting;
                Command::Go
            }
            Event::Refused => self.wait(now, State::Paused, chance),
            Event::Fault => {
                self.fault_at = Some(now);
                self.wait(now, State::Waiting, chance)
            }
            Event::Final => {
                self.state = State::Failed;
                Command::End
            }
            Event::Stop => {
                self.state = State::Stopped;
                Command::End
            }
        }
    }

    /// A new try begins.
    pub fn begin(&mut self) {
        if !matches!(self.state, State::Failed | State::Stopped) {
            self.state = State::Starting;
        }
    }

    fn wait(&mut self, now: Instant, state: State, chance: f64) -> Command {
        self.state = state;
        let whole = FEED_BACKOFF_MIN.saturating_mul(1 << self.tries.min(16)).min(FEED_BACKOFF_MAX);
        self.tries = self.tries.saturating_add(1);
        // Half is certain, half is chance.
        Command::After(now + jittered(whole, chance))
    }
}

fn jittered(whole: Duration, chance: f64) -> Duration {
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}
