//! Tries inputs on one target for a while.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::coverage;
use crate::memory;
use crate::mutate::{self, INPUT_BYTES_MAX, Noise};
use crate::target::Target;

/// How long one small input may take before it counts as a hang: far beyond what any takes.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Findings after which a campaign gives up.
const FINDINGS_MAX: usize = 5;
/// Inputs between two looks at the clock.
const RUNS_PER_LOOK: u64 = 16;

/// Of this thread: neighbours on the machine do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// An input that broke a promise.
#[derive(Debug)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
}

/// What a campaign did.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs tried.
    pub runs: u64,
    /// Branches seen, in classes of how often; 0 in a build that does not count.
    pub features: usize,
    /// The most bytes that one input had allocated.
    pub peak: usize,
    /// Inputs that are worth damaging: those begun with, and those that reached something new.
    pub pool: Vec<Vec<u8>>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Class bits seen, by branch.
#[derive(Debug, Default)]
struct Seen(Vec<u8>);

impl Seen {
    /// True when something is new.
    fn add(&mut self, taken: &[(usize, u8)]) -> bool {
        let mut new = false;
        for &(branch, class) in taken {
            if self.0.len() <= branch {
                self.0.resize(branch + 1, 0);
            }
            new |= self.0[branch] & class == 0;
            self.0[branch] |= class;
        }
        new
    }
}

/// A campaign on one target.
pub struct Campaign<'a> {
    target: &'a Target,
    noise: Noise,
    seen: Seen,
    report: Report,
    /// Called with each input before it is tried.
    before: &'a mut dyn FnMut(&[u8]),
}

impl<'a> Campaign<'a> {
    /// A campaign that begins with the target's seeds and the kept inputs. Panics are caught; the caller decides
    /// whether their messages are printed.
    pub fn new(target: &'a Target, kept: Vec<Vec<u8>>, seed: u64, before: &'a mut dyn FnMut(&[u8])) -> Self {
        let mut campaign = Self {
            target,
            noise: Noise::new(seed),
            seen: Seen::default(),
            report: Report::default(),
            before,
        };
        for mut input in target.seeds.iter().cloned().chain(kept) {
            input.truncate(INPUT_BYTES_MAX);
            campaign.attempt(&input);
            campaign.report.pool.push(input);
        }
        campaign
    }

    /// Tries damaged inputs until the time is over or too much was found.
    pub fn run(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time && self.report.findings.len() < FINDINGS_MAX {
            for _ in 0..RUNS_PER_LOOK {
                let pool = &self.report.pool;
                // The newest are the most promising: one in two is of the last few.
                let recent = pool.len().min(16);
                let at = match self.noise.below(2) {
                    0 => self.noise.below(pool.len()),
                    _ => pool.len() - 1 - self.noise.below(recent),
                };
                let Some(mut input) = pool.get(at).cloned() else { return };
                let other = self.noise.below(pool.len());
                mutate::damage(&mut input, &pool[other], &self.target.words, &mut self.noise);
                if self.attempt(&input) {
                    self.report.pool.push(input);
                }
            }
        }
    }

    /// What was done.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.report.features = self.seen.0.iter().map(|classes| classes.count_ones() as usize).sum();
        self.report
    }

    /// Tries one input; true when it reached something new.
    fn attempt(&mut self, input: &[u8]) -> bool {
        (self.before)(input);
        coverage::clear();
        let start = processor_time();
        let (outcome, peak) =
            memory::peak_of(|| catch_unwind(AssertUnwindSafe(|| self.target.run(input))).err());
        let took = processor_time().saturating_sub(start);
        let new = self.seen.add(&coverage::taken());
        self.report.runs += 1;
        self.report.peak = self.report.peak.max(peak);
        let mut found = |what: String| self.report.findings.push(Finding { what, input: input.to_vec() });
        if let Some(panic) = outcome {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            found(format!("panic: {text}"));
        } else if peak > self.target.bound(input) {
            let bound = self.target.bound(input);
            found(format!("{peak} bytes of memory for {} bytes of input, {bound} are declared", input.len()));
        } else if took > TIME_MAX {
            found(format!("{took:?} of processor time for {} bytes of input", input.len()));
        }
        new
    }
}

/// Inputs that are kept of one target.
const KEPT_MAX: usize = 64;

/// At most [`KEPT_MAX`] inputs of a pool that together reach most of what it reaches beyond the seeds: again and again the
/// one that reaches most of what is left. Only in a build that counts.
#[must_use]
pub fn cover(target: &Target, pool: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let reached = |input: &Vec<u8>| -> Vec<usize> {
        coverage::clear();
        // What an input breaks was reported before; here only its way counts.
        let _ = catch_unwind(AssertUnwindSafe(|| target.run(input)));
        coverage::taken().into_iter().map(|(branch, _)| branch).collect()
    };
    let mut seen: HashSet<usize> = target.seeds.iter().flat_map(reached).collect();
    let mut left: Vec<_> = pool.iter().map(|input| (input, reached(input))).collect();
    // Of two that reach the same, the smaller.
    left.sort_by_key(|(input, _)| input.len());
    let mut kept = Vec::new();
    while kept.len() < KEPT_MAX {
        left.iter_mut().for_each(|(_, branches)| branches.retain(|branch| !seen.contains(branch)));
        left.retain(|(_, branches)| !branches.is_empty());
        let most = left.iter().map(|(_, branches)| branches.len()).max();
        let Some(best) = left.iter().position(|(_, branches)| Some(branches.len()) == most) else { break };
        let (input, branches) = left.remove(best);
        seen.extend(branches);
        kept.push(input.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(run: impl Fn(u8, &[u8]) + Send + Sync + 'static) -> Target {
        Target {
            name: "planted",
            seeds: vec![b"\0seed".to_vec()],
            words: vec![b"magic"],
            memory: 1 << 20,
            memory_per_byte: 1,
            run: Box::new(run),
        }
    }

    fn findings(run: impl Fn(u8, &[u8]) + Send + Sync + 'static) -> Vec<Finding> {
        let target = target(run);
        let before = &mut |_: &[u8]| ();
        let mut campaign = Campaign::new(&target, Vec::new(), 1, before);
        campaign.run(Duration::from_millis(500));
        campaign.finish().findings
    }

    #[test]
    fn a_planted_panic_and_a_planted_waste_of_memory_are_found() {
        assert!(findings(|_, data| drop(data.to_vec())).is_empty());
        let panics = findings(|_, data| assert!(!data.starts_with(b"magic"), "planted"));
        assert!(
            panics
                .iter()
                .all(|found| found.what.contains("planted") && found.input[1..].starts_with(b"magic"))
        );
        assert!(!panics.is_empty());
        let wastes = findings(|_, data| {
            if data.first() == Some(&0xFF) {
                drop(std::hint::black_box(vec![0u8; 64 << 20]));
            }
        });
        assert!(wastes.first().is_some_and(|found| found.what.contains("bytes of memory")), "{wastes:?}");
    }
}
