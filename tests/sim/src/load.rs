//! What clients do: writers write one thing after the other, readers ask whoever says that it serves.

use zepto_replication::{Outcome, RequestId};

use crate::client::Next;
use crate::event::Event;
use crate::network::{CLIENTS, MS};
use crate::world::World;

impl World {
    pub(crate) fn writer_step(&mut self, writer: usize) {
        if self.writers[writer].finished() || self.writers[writer].waiting.is_some() {
            return;
        }
        if !self.coordinator.away && self.random.chance(70) {
            self.writers[writer].table = self.coordinator.placement.clone();
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(request, writer);
        let nodes = self.nodes.len() as u32;
        let (node, write) = self.writers[writer].attempt(request, &mut self.random, nodes);
        let partition = self.writers[writer].partition;
        for delay in self.network.delays(&mut self.random, CLIENTS, node) {
            let node = node as usize;
            self.at(delay, Event::Write { node, partition, write: write.clone() });
        }
        let patience = self.random.range(100 * MS, 1500 * MS);
        self.at(patience, Event::WriterGivesUp(writer, request));
    }

    pub(crate) fn answered(&mut self, request: RequestId, outcome: Outcome) {
        let Some(&writer) = self.requests.get(&request) else { return };
        match self.writers[writer].answered(request, outcome, &mut self.random) {
            Next::Stored(key, content) => {
                let partition = self.writers[writer].partition;
                self.checker.acknowledged(partition, key, content);
                self.requests.remove(&request);
                let pause = self.random.range(MS, 250 * MS);
                self.at(pause, Event::WriterStep(writer));
            }
            Next::Again => {
                if outcome == Outcome::OtherContent {
                    self.checker.fail(format!("writer {writer} never repeats a key with another content"));
                }
                let pause = self.random.range(5 * MS, 60 * MS);
                self.at(pause, Event::WriterStep(writer));
            }
            Next::Nothing => {}
        }
    }

    /// A reader asks whoever says that it serves.
    pub(crate) fn read(&mut self) {
        let pause = self.random.range(5 * MS, 60 * MS);
        self.at(pause, Event::Read);
        let partition = self.random.below(self.scenario.partitions);
        let node = self.random.below(self.nodes.len());
        let mark = self.checker.mark(partition);
        for delay in self.network.delays(&mut self.random, CLIENTS, node as u32) {
            self.at(delay, Event::ReadArrives { node, partition, mark });
        }
    }
}
