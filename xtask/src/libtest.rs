//! Reads what test programs print, to sum it up: how many passed, which failed.

#[cfg(test)]
mod tests;

/// Sums over all suites.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests and checks that passed.
    pub(crate) passed: u64,
    /// Names of those that failed.
    pub(crate) failed: Vec<String>,
    /// Tests marked as ignored.
    pub(crate) ignored: u64,
}

impl Tally {
    /// Counts one check.
    pub(crate) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.ignored += other.ignored;
    }

    /// The last line of the test command.
    pub(crate) fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed.len())
    }
}

/// Follows the output of `cargo test`, line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    tally: Tally,
    /// Tests announced by `running N tests` whose result line is still to come.
    open: Option<u64>,
    /// Failed names of the running suite.
    failing: Vec<String>,
    suites: u64,
}

impl Reader {
    /// Takes one line.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(count) = announced(line) {
            self.close_unfinished();
            self.open = Some(count);
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.result(counts);
        } else if let Some(name) = failed_name(line)
            && self.open.is_some()
        {
            self.failing.push(name.to_owned());
        }
    }

    /// Ends the reading. `succeeded` is what the exit code said: a program that failed without naming a test
    /// counts as one failure, so that a crash can never look like a pass.
    pub(crate) fn finish(mut self, name: &str, succeeded: bool) -> Tally {
        self.close_unfinished();
        if !succeeded && self.tally.failed.is_empty() {
            self.tally.failed.push(format!("{name} (ended with an error)"));
        }
        if self.suites == 0 && succeeded {
            self.tally.failed.push(format!("{name} (ran no tests)"));
        }
        self.tally
    }

    fn result(&mut self, counts: &str) {
        self.open = None;
        self.suites += 1;
        let count = |word: &str| count_before(counts, word);
        self.tally.passed += count(" passed");
        self.tally.ignored += count(" ignored");
        let failed = count(" failed");
        let mut names = std::mem::take(&mut self.failing);
        while (names.len() as u64) < failed {
            names.push("a test without a name in the output".to_owned());
        }
        self.tally.failed.append(&mut names);
    }

    /// A suite that announced tests and never gave its result was killed: that is a failure.
    fn close_unfinished(&mut self) {
        if let Some(count) = self.open.take() {
            self.suites += 1;
            self.tally.failed.append(&mut self.failing);
            self.tally.failed.push(format!("a suite of {count} tests that ended without a result"));
        }
    }
}

/// N of `running N tests`.
fn announced(line: &str) -> Option<u64> {
    let (count, rest) = line.strip_prefix("running ")?.split_once(' ')?;
    if rest == "test" || rest == "tests" { count.parse().ok() } else { None }
}

/// The name in `test name ... FAILED`.
fn failed_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix("FAILED")?.trim_end();
    Some(name.strip_suffix("...").unwrap_or(name).trim_end())
}

/// The number that stands before a word in `ok. 5 passed; 0 failed; …`.
fn count_before(counts: &str, word: &str) -> u64 {
    let before = counts.find(word).map_or("", |end| &counts[..end]);
    before.rsplit([' ', ';']).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
