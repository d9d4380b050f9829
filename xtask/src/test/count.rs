//! Adds up what cargo's test runners say.

use std::collections::BTreeSet;
use std::fmt;

/// What a test writes, on a line of its own, when it can't run on this machine: `SKIPPED: name: why`.
const SKIPPED: &str = "SKIPPED: ";

/// What cargo writes for each runner that did not end well.
const RUNNER_FAILED: &str = "error: test failed, to rerun pass";

/// Tests by outcome.
#[derive(Default)]
pub struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Tests that skipped themselves; the runner says that they passed.
    skips: BTreeSet<String>,
    /// Runs that could not be started at all.
    skipped_runs: Vec<String>,
    /// Runners that failed, by cargo's word.
    failed_runners: usize,
    /// Runners that failed and said so themselves.
    failed_results: usize,
}

impl Count {
    /// One failure more.
    pub fn fail(&mut self) {
        self.failed += 1;
    }

    /// Notes a whole run of tests that can't be had on this machine.
    pub fn skip_run(&mut self, name: &str, why: &str) {
        self.skipped_runs.push(format!("{name}: {why}"));
    }

    /// Notes how cargo itself ended. What crashed or did not compile has no result of its own, and counts as one
    /// failure each.
    pub fn end(&mut self, succeeded: bool) {
        let crashed = self.failed_runners.saturating_sub(self.failed_results);
        let unexplained = usize::from(!succeeded && self.failed_runners == 0);
        self.failed += crashed + unexplained;
    }

    /// Whether something passed and nothing failed: a run without tests shows nothing.
    pub fn is_green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// The tests, and runs of tests, that did not run: `name: why`.
    pub fn skips(&self) -> impl Iterator<Item = &String> {
        self.skips.iter().chain(&self.skipped_runs)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skips = self.skips.len();
        // The runner counts a test that skipped itself as passed.
        let passed = self.passed.saturating_sub(skips);
        let skipped = self.ignored + skips + self.skipped_runs.len();
        write!(
            formatter,
            "{passed} passed, {} failed, {skipped} skipped",
            self.failed
        )
    }
}

/// Reads one output stream of the runners, line by line.
#[derive(Default)]
pub struct Scanner {
    in_successes: bool,
}

impl Scanner {
    /// Adds what a line says to the count. False for lines that only `--show-output` brings and nobody misses.
    pub fn read(&mut self, line: &str, count: &mut Count) -> bool {
        let line = line.trim();
        if let Some(skip) = line.strip_prefix(SKIPPED) {
            count.skips.insert(skip.to_owned());
            return true;
        }
        if line.starts_with(RUNNER_FAILED) {
            count.failed_runners += 1;
        } else if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" {
            self.in_successes = false;
        } else if let Some(numbers) = line.strip_prefix("test result:") {
            self.in_successes = false;
            count.failed_results += usize::from(numbers.trim_start().starts_with("FAILED"));
            count.passed += number_before(numbers, "passed");
            count.failed += number_before(numbers, "failed");
            count.ignored += number_before(numbers, "ignored");
        }
        !self.in_successes
    }
}

/// The number that stands before a word, as in `ok. 3 passed; 0 failed`.
fn number_before(text: &str, word: &str) -> usize {
    text.split(';')
        .filter_map(|part| part.trim().strip_suffix(word))
        .filter_map(|part| part.split_whitespace().next_back()?.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> (Count, Vec<&str>) {
        let (mut count, mut scanner) = (Count::default(), Scanner::default());
        let shown = text
            .lines()
            .filter(|line| scanner.read(line, &mut count))
            .collect();
        (count, shown)
    }

    #[test]
    fn results_of_several_runners_add_up() {
        let (count, _) = scan(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        );
        assert_eq!(count.to_string(), "15 passed, 2 failed, 1 skipped");
        assert!(!count.is_green());
    }

    #[test]
    fn a_test_that_skipped_itself_is_not_passed_and_counts_once() {
        let (count, shown) = scan(
            "successes:\n\n---- a stdout ----\nnoise\nSKIPPED: a: no browser\n\nsuccesses:\n    a\n\n\
             SKIPPED: a: no browser\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!(count.to_string(), "1 passed, 0 failed, 1 skipped");
        assert!(count.is_green());
        assert!(!shown.contains(&"noise"));
        assert!(shown.contains(&"SKIPPED: a: no browser"));
    }

    #[test]
    fn the_output_of_failed_tests_is_shown() {
        let (_, shown) = scan("successes:\nnoise\nfailures:\n---- b stdout ----\nwhy");
        assert_eq!(shown, ["failures:", "---- b stdout ----", "why"]);
    }

    #[test]
    fn a_runner_that_crashed_counts_as_one_failure() {
        let (mut count, _) = scan(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n\
             error: test failed, to rerun pass `-p a --lib`\n\
             error: test failed, to rerun pass `-p b --test c`",
        );
        count.end(false);
        assert_eq!(count.to_string(), "3 passed, 3 failed, 0 skipped");
    }

    #[test]
    fn what_does_not_compile_counts_as_one_failure() {
        let (mut count, _) = scan("error: could not compile `a`");
        count.end(false);
        assert_eq!(count.to_string(), "0 passed, 1 failed, 0 skipped");
        let mut count = Count::default();
        count.end(true);
        assert_eq!(count.to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_run_that_could_not_start_is_skipped_and_takes_nothing_from_the_passed() {
        let (mut count, _) = scan(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        count.skip_run("on another database", "there is none");
        assert_eq!(count.to_string(), "3 passed, 0 failed, 1 skipped");
        let skips: Vec<_> = count.skips().collect();
        assert_eq!(skips, ["on another database: there is none"]);
    }

    #[test]
    fn no_test_at_all_is_not_green() {
        let (count, _) = scan("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured");
        assert!(!count.is_green());
        assert_eq!(count.to_string(), "0 passed, 0 failed, 0 skipped");
    }
}
