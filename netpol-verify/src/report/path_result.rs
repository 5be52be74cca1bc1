//! Attempts that differ only in their address family, folded into one result; and names cut to what a reader needs.

use std::collections::BTreeMap;

use super::{escape, ink::rank};
use crate::{
    finding::{Expected, JudgedAttempt, Observed, Path, Verdict},
    net::{Family, Protocol},
};

/// What happened on a path, in one or both families.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PathResult<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) service: Service,
    pub(crate) path: Path,
    pub(crate) families: Vec<Family>,
    pub(crate) result: Answer<'a>,
}

/// A protocol and a port.
pub(crate) type Service = (Protocol, u16);

/// What follows from what, in the words of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer<'a> {
    pub(crate) rank: u8,
    pub(crate) verdict: Verdict,
    pub(crate) expected: Expected,
    pub(crate) by: &'a [String],
    pub(crate) observed: Observed,
    pub(crate) reason: Option<&'a str>,
}

/// One stage's attempts; a path that was probed twice keeps the answer a reader must not miss. In the order of the
/// attempts.
pub(crate) fn fold<'a>(attempts: impl Iterator<Item = &'a JudgedAttempt>) -> Vec<PathResult<'a>> {
    let mut order: Vec<(&str, &str, Service)> = Vec::new();
    let mut answers: BTreeMap<_, BTreeMap<Family, (Path, Answer<'_>)>> = BTreeMap::new();
    for attempt in attempts {
        let key = (
            attempt.from.as_str(),
            attempt.to.as_str(),
            (attempt.protocol, attempt.port),
        );
        let answer = Answer {
            rank: rank(attempt.verdict),
            verdict: attempt.verdict,
            expected: attempt.expected,
            by: &attempt.by,
            observed: attempt.observed,
            reason: attempt.reason.as_deref(),
        };
        let families = answers.entry(key).or_insert_with(|| {
            order.push(key);
            BTreeMap::new()
        });
        let known = families
            .entry(attempt.family)
            .or_insert_with(|| (attempt.path, answer.clone()));
        if answer.rank < known.1.rank {
            *known = (attempt.path, answer);
        }
    }
    let mut results: Vec<PathResult<'_>> = Vec::new();
    for (from, to, service) in order {
        let mut folded: Vec<PathResult<'_>> = Vec::new();
        for (family, (path, result)) in answers.remove(&(from, to, service)).unwrap_or_default() {
            match folded.iter_mut().find(|one| one.result == result) {
                Some(same) => same.families.push(family),
                None => folded.push(PathResult {
                    from,
                    to,
                    service,
                    path,
                    families: vec![family],
                    result,
                }),
            }
        }
        results.append(&mut folded);
    }
    results
}

/// Names as a reader needs them: without the namespace that nearly all of them share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) home: Option<String>,
}

impl Names {
    /// The namespace most attempts start from.
    pub(crate) fn of(attempts: &[JudgedAttempt]) -> Self {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for (namespace, _) in attempts.iter().filter_map(|attempt| attempt.from.split_once('/')) {
            *count.entry(namespace).or_default() += 1;
        }
        let home = count
            .into_iter()
            .max_by_key(|&(_, times)| times)
            .map(|(namespace, _)| namespace.to_owned());
        Self { home }
    }

    /// A name (of a pod, a policy, a rule) safe for a terminal and short.
    pub(crate) fn short(&self, name: &str) -> String {
        let cut = self
            .home
            .as_deref()
            .and_then(|home| name.strip_prefix(home)?.strip_prefix('/'));
        escape(cut.unwrap_or(name))
    }
}

/// `TCP/80`.
pub(crate) fn service_text((protocol, port): Service) -> String {
    format!("{protocol}/{port}")
}

/// `IPv4 and IPv6`.
pub(crate) fn families_text(families: &[Family]) -> String {
    families
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

/// The word for what is required, short enough for a cell: what the API leaves open may do anything.
pub(crate) const fn expected_word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
        Expected::Unspecified => "any",
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, fold};
    use crate::{
        finding::{JudgedAttempt, Verdict},
        net::Family,
        report::sample,
    };

    #[test]
    fn families_that_agree_are_one_line_and_others_two() {
        let four = sample::attempt("s", "n/a", "n/b", sample::LEAKED);
        let six = JudgedAttempt {
            family: Family::Ipv6,
            latency_micros: Some(7),
            ..four.clone()
        };
        let agreed = [four.clone(), six.clone()];
        assert_eq!(
            fold(agreed.iter())
                .iter()
                .map(|one| one.families.len())
                .collect::<Vec<_>>(),
            [2]
        );
        let differing = [
            four,
            JudgedAttempt {
                verdict: Verdict::Enforced,
                ..six
            },
        ];
        assert_eq!(
            fold(differing.iter())
                .iter()
                .map(|one| one.families.len())
                .collect::<Vec<_>>(),
            [1, 1]
        );
    }

    #[test]
    fn of_two_answers_the_violation_is_shown() {
        let good = sample::attempt("s", "n/a", "n/b", sample::STOPPED);
        let bad = sample::attempt("s", "n/a", "n/b", sample::LEAKED);
        let both = [good, bad];
        let folded = fold(both.iter());
        assert_eq!(
            folded.iter().map(|one| one.result.verdict).collect::<Vec<_>>(),
            [Verdict::Leak]
        );
    }

    #[test]
    fn only_the_shared_namespace_is_left_out() {
        let names = Names {
            home: Some("demo".to_owned()),
        };
        assert_eq!(names.short("demo/a"), "a");
        assert_eq!(names.short("demo2/a"), "demo2/a");
        assert_eq!(names.short("demo/a\u{1b}[0m"), "a\\x1b[0m");
    }
}
