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
    /// What tests said after `SKIPPED: `; libtest counts such a test as passed.
    pub(crate) skipped: Vec<String>,
    /// Tests with `#[ignore]`: `name: ignored`.
    pub(crate) ignored: Vec<String>,
    /// What each test that failed said of why, so that it can be said again where a reader looks first: at the end.
    pub(crate) reasons: Vec<String>,
    part: Part,
}

/// Where in libtest's output a run is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    /// Among what does not tell of a failure.
    #[default]
    Elsewhere,
    /// In the output of tests that failed.
    Failures,
    /// In the reason, with so many of its lines taken.
    Reason(u32),
}

/// So many lines of a reason are said again: an assertion's two sides, and an error's causes.
const REASON_LINES: u32 = 12;

impl Totals {
    /// Takes a line of a test run's output.
    pub(crate) fn read(&mut self, line: &str) {
        self.read_failure(line);
        if let Some(counts) = line.strip_prefix("test result: ") {
            for part in counts.split(['.', ';']) {
                let mut words = part.split_whitespace();
                if let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) {
                    match what {
                        "passed" => self.passed = self.passed.saturating_add(count),
                        "failed" => self.failed = self.failed.saturating_add(count),
                        _ => {}
                    }
                }
            }
        } else if let Some((_, said)) = line.split_once("SKIPPED: ") {
            self.skipped.push(said.to_owned());
        } else if let Some((name, _)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... ignored"))
        {
            self.ignored.push(format!("{name}: ignored"));
        }
    }

    /// Takes a line for the reasons of failures, as libtest prints them with `--show-output`.
    fn read_failure(&mut self, line: &str) {
        let name = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        let begins = line.starts_with("thread '") || line.starts_with("Error: ");
        let ends = line.to_lowercase().starts_with("stack backtrace:");
        self.part = match (&self.part, line, name) {
            (_, "failures:", _) => Part::Failures,
            (_, "successes:", _) => Part::Elsewhere,
            (Part::Failures | Part::Reason(_), _, Some(name)) => {
                self.reasons.push(format!("{name}:"));
                Part::Failures
            }
            (Part::Failures, _, None) if begins => self.reason(line, 1),
            (Part::Reason(taken), _, None) if !ends && *taken < REASON_LINES => self.reason(line, taken + 1),
            (Part::Failures | Part::Reason(_), ..) => Part::Failures,
            (Part::Elsewhere, ..) => Part::Elsewhere,
        };
    }

    fn reason(&mut self, line: &str, taken: u32) -> Part {
        if !line.trim().is_empty() {
            self.reasons.push(format!("    {line}"));
        }
        Part::Reason(taken)
    }

    /// The skips that nobody expects.
    pub(crate) fn unexpected(&self, expected: &[String]) -> Vec<&str> {
        self.skipped
            .iter()
            .chain(&self.ignored)
            .map(String::as_str)
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
            skipped.saturating_add(u64::try_from(self.ignored.len()).unwrap_or(u64::MAX))
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
            "test b::c ... ignored, needs a browser",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        ]);
        assert_eq!((totals.passed, totals.failed), (14, 1));
        assert_eq!(totals.line(), "14 passed, 1 failed, 1 skipped");
        assert_eq!(totals.unexpected(&[]), ["b::c: ignored"]);
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

    #[test]
    fn why_a_test_failed_is_said_again_without_what_it_printed_before_and_its_backtrace() {
        let totals = read(&[
            "successes:",
            "---- fine stdout ----",
            "thread 'x' panicked, as the test wants it",
            "failures:",
            "",
            "---- a::falls stdout ----",
            "fault 1 of 97",
            "",
            "thread 'a::falls' (7) panicked at tests/a.rs:1:1:",
            "assertion failed",
            "stack backtrace:",
            "   0: core::panicking",
            "---- a::errs stdout ----",
            "Error: pod a/b",
            "",
            "Caused by:",
            "    no address",
            "",
            "Stack backtrace:",
            "   0: anyhow",
            "",
            "failures:",
            "    a::falls",
        ]);
        assert_eq!(
            totals.reasons,
            [
                "a::falls:",
                "    thread 'a::falls' (7) panicked at tests/a.rs:1:1:",
                "    assertion failed",
                "a::errs:",
                "    Error: pod a/b",
                "    Caused by:",
                "        no address",
            ]
        );
    }
}
