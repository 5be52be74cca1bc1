//! Adds up what tests say: passed, failed, and every `SKIPPED:` line against the list of expected ones.

use std::fs;

use crate::command;

/// Which skips are expected, one a line: the text after `SKIPPED: `, or its beginning. `#` starts a comment.
const EXPECTED: &str = "tests/expected-skips.txt";

/// Totals over several runs of `cargo test`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    pub(crate) skipped: Vec<String>,
}

impl Totals {
    /// Takes a line of a test run's output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            for part in counts.split(['.', ';']) {
                let mut words = part.split_whitespace();
                if let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) {
                    match what {
                        "passed" => self.passed = self.passed.saturating_add(count),
                        "failed" => self.failed = self.failed.saturating_add(count),
                        "ignored" => self.ignored = self.ignored.saturating_add(count),
                        _ => {}
                    }
                }
            }
        } else if let Some(at) = line.find("SKIPPED: ") {
            // libtest shows captured output of a test at its end, and once only.
            self.skipped.push(line.split_at(at).1.to_owned());
        }
    }

    /// The skips that nobody expects.
    pub(crate) fn unexpected(&self, expected: &[String]) -> Vec<&str> {
        self.skipped
            .iter()
            .map(|line| line.trim_start_matches("SKIPPED: "))
            .filter(|line| !expected.iter().any(|one| line.starts_with(one.as_str())))
            .collect()
    }

    /// `N passed, N failed, N skipped`; a skipped test returns early, so libtest counts it as passed.
    pub(crate) fn line(&self) -> String {
        let skipped = u64::try_from(self.skipped.len()).unwrap_or(u64::MAX);
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed.saturating_sub(skipped),
            self.failed,
            skipped.saturating_add(self.ignored)
        )
    }
}

/// The expected skips; none where the file is not there.
pub(crate) fn expected() -> Vec<String> {
    parse(&fs::read_to_string(command::workspace().join(EXPECTED)).unwrap_or_default())
}

fn parse(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Totals, parse};

    fn read(lines: &[&str]) -> Totals {
        let mut totals = Totals::default();
        lines.iter().for_each(|line| totals.read(line));
        totals
    }

    #[test]
    fn results_of_several_binaries_add_up() {
        let totals = read(&[
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            "test a ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        ]);
        assert_eq!((totals.passed, totals.failed, totals.ignored), (14, 1, 1));
        assert_eq!(totals.line(), "14 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_skip_is_no_pass_and_only_a_listed_one_is_expected() {
        let totals = read(&[
            "SKIPPED: tcx: the kernel is older than 6.6",
            "test x ... SKIPPED: root: not root",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(totals.line(), "0 passed, 0 failed, 2 skipped");
        let expected = parse("# kernels\ntcx: # before 6.6\n\n");
        assert_eq!(totals.unexpected(&expected), ["root: not root"]);
    }
}
