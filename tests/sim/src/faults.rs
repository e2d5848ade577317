//! What goes wrong: one fault at a time is begun, many may last together.

use crate::coordinator::Sign;
use crate::event::Event;
use crate::network::{CLIENTS, COORDINATOR, MS};
use crate::random::Random;
use crate::world::World;

/// How long nothing new goes wrong between two faults, at most.
const PAUSE: u64 = 900 * MS;

impl World {
    /// Begins one fault and plans the next.
    pub(crate) fn next_fault(&mut self) {
        if self.healed {
            return;
        }
        let node = self.random.below(self.nodes.len());
        let long = self.random.range(50 * MS, 4000 * MS);
        match self.random.range(0, 27) {
            0..=2 => self.crash(node, long),
            3..=4 => self.pause(node, long),
            5..=7 => self.cut_some(node as u32, long),
            8 => self.lose_some(long),
            9 => self.coordinator_away(long),
            10 => self.slow_disk(long),
            11 => self.lose_disk(node, long),
            12 => self.give_up_some(node),
            13 => self.move_some(),
            14 => self.forget_some(node),
            15 => self.other_clock(node),
            16..=17 => self.isolate(node as u32, long),
            18..=19 => self.isolate_slowly(node as u32, long),
            20..=21 => self.ask_some(),
            22..=24 => self.stop_in_order(node, long),
            _ => self.split(long),
        }
        let pause = self.random.range(20 * MS, PAUSE);
        self.at(pause, Event::Fault);
    }

    fn crash(&mut self, node: usize, long: u64) {
        if self.nodes[node].alive {
            self.report.crashes += 1;
            self.nodes[node].crash(&mut self.random);
            self.at(long, Event::Start(node));
        }
    }

    /// SIGSTOP: what comes meanwhile waits in its sockets.
    fn pause(&mut self, node: usize, long: u64) {
        self.report.pauses += 1;
        self.nodes[node].paused_until = self.now + long;
    }

    fn cut_some(&mut self, node: u32, long: u64) {
        let others = self.nodes.len() as u32;
        let other = match self.random.range(0, 5) {
            0 => COORDINATOR,
            1 => CLIENTS,
            _ => (node + 1 + self.random.range(0, u64::from(others - 1)) as u32) % others,
        };
        self.report.cuts += 1;
        let both = self.random.chance(50);
        let mut links = vec![(node, other)];
        if both {
            links.push((other, node));
        }
        for (from, to) in links {
            self.network.cut(from, to);
            self.at(long, Event::Mend(from, to));
        }
    }

    /// Cut from everybody but the clients: an owner that does not know that it is one no more.
    fn isolate(&mut self, node: u32, long: u64) {
        self.report.cuts += 1;
        let others: Vec<u32> =
            (0..self.nodes.len() as u32).filter(|it| *it != node).chain([COORDINATOR]).collect();
        for other in others {
            self.cut_both(node, other, long);
        }
    }

    /// First the coordinator misses a node; about when it declares it dead, the others do too: the next owner is
    /// granted while the one before has just renewed its lease.
    fn isolate_slowly(&mut self, node: u32, long: u64) {
        self.cut_both(node, COORDINATOR, long + 2000 * MS);
        let until_dead = self.random.range(900 * MS, 1400 * MS);
        self.at(until_dead, Event::Isolate(node, long));
    }

    pub(crate) fn isolated(&mut self, node: u32, long: u64) {
        if !self.healed {
            self.isolate(node, long);
        }
    }

    /// Two groups, the coordinator with one of them.
    fn split(&mut self, long: u64) {
        self.report.cuts += 1;
        let ends: Vec<u32> = (0..self.nodes.len() as u32).chain([COORDINATOR]).collect();
        let side: Vec<bool> = ends.iter().map(|_| self.random.chance(50)).collect();
        for (i, left) in ends.iter().enumerate() {
            for (j, right) in ends.iter().enumerate().skip(i + 1) {
                if side[i] != side[j] {
                    self.cut_both(*left, *right, long);
                }
            }
        }
    }

    fn cut_both(&mut self, left: u32, right: u32, long: u64) {
        for (from, to) in [(left, right), (right, left)] {
            self.network.cut(from, to);
            self.at(long, Event::Mend(from, to));
        }
    }

    fn lose_some(&mut self, long: u64) {
        self.network.loss = self.random.range(0, 40);
        self.network.doubled = self.random.range(0, 30);
        self.network.late = self.random.range(0, 20);
        self.at(long, Event::Calm);
    }

    fn coordinator_away(&mut self, long: u64) {
        self.coordinator.away = true;
        self.at(long, Event::CoordinatorBack);
    }

    fn slow_disk(&mut self, long: u64) {
        self.slow_until = self.now + long;
    }

    /// The volume is lost, if another disk has all of it.
    fn lose_disk(&mut self, node: usize, long: u64) {
        let replica = self.nodes[node].replica();
        if !self.nodes[node].alive || !self.coordinator.can_spare(replica) {
            return;
        }
        self.report.lost_disks += 1;
        self.nodes[node].crash(&mut self.random);
        let disk = self.new_disk();
        self.nodes[node].wipe(disk);
        // Before anything else may fail, the coordinator hears of it: two lost disks at once are beyond the promise.
        let replica = self.nodes[node].replica();
        let sign = Sign { start: self.nodes[node].start + 1, stopping: false };
        self.coordinator.heard(self.now, replica, sign);
        self.at(long, Event::Start(node));
    }

    fn give_up_some(&mut self, node: usize) {
        let p = self.random.below(self.scenario.partitions);
        if self.running(node) {
            let actions = self.nodes[node].hand_over(self.now, p, &mut self.checker);
            self.act(node, actions);
        }
    }

    fn move_some(&mut self) {
        if !self.coordinator.away {
            self.report.moves += 1;
            self.coordinator.start_move(&mut self.random);
        }
    }

    /// An owner is to give a partition up for balance.
    fn ask_some(&mut self) {
        if !self.coordinator.away {
            self.coordinator.ask_some(&mut self.random);
        }
    }

    /// SIGTERM: it says so and gives up what it can, ends, and is back after a while.
    fn stop_in_order(&mut self, node: usize, long: u64) {
        if self.nodes[node].alive && !self.nodes[node].stopping {
            self.report.stops += 1;
            self.nodes[node].stopping = true;
            let (start, time) = (self.nodes[node].start, self.random.range(100 * MS, 2000 * MS));
            self.at(time, Event::Ends { node, start, long });
        }
    }

    /// A checkpoint: the log's beginning goes.
    fn forget_some(&mut self, node: usize) {
        if self.running(node) {
            let p = self.random.below(self.scenario.partitions);
            let actions = self.nodes[node].checkpoint(p);
            self.act(node, actions);
        }
    }

    /// Its clock runs up to 4 % faster or slower than true time from its next start on.
    fn other_clock(&mut self, node: usize) {
        if !self.nodes[node].alive {
            self.nodes[node].clock = self.random.range(960_000, 1_040_000);
        }
    }

    /// A number that no disk had before.
    pub(crate) fn new_disk(&mut self) -> zepto_common::ids::DiskId {
        self.disks += 1;
        zepto_common::ids::DiskId(self.disks)
    }
}

/// A delay before a sync ends.
pub(crate) fn sync_time(random: &mut Random, slow: bool) -> u64 {
    if slow { random.range(10 * MS, 900 * MS) } else { random.range(MS / 10, 8 * MS) }
}
