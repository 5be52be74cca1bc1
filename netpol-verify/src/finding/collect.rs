//! Gathers attempts into findings, keeping the first and the last as evidence.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, JudgedAttempt, Observed, Severity};
use crate::net::{Family, Protocol};

/// An attempt that shows a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// Its index in `attempts[]`.
    pub attempt: usize,
    /// Its stage.
    pub stage: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its port.
    pub port: u16,
    /// Its family.
    pub family: Family,
    /// What the packets did.
    pub observed: Observed,
    /// Where and why.
    pub reason: Option<String>,
}

/// Attempts of one kind between the same two ends, decided by the same policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// The stable number: `NPV001`.
    pub code: String,
    /// The stable word: `leak`.
    pub slug: String,
    /// One line for people.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// The next step.
    pub what_to_do: String,
    /// The policies or rules that decide; empty where none selects either end.
    pub by: Vec<String>,
    /// Who opened the connections.
    pub from: String,
    /// Whom they were for.
    pub to: String,
    /// How many attempts show it.
    pub count: usize,
    /// Which, as indices into `attempts[]`.
    pub attempts: Vec<usize>,
    /// The first that shows it.
    pub first_evidence: Evidence,
    /// The last that shows it.
    pub last_evidence: Evidence,
}

/// Gathers what is to be said about a run's attempts, most serious first, then by code, policies and ends.
#[must_use]
pub fn collect(attempts: &[JudgedAttempt]) -> Vec<Finding> {
    let mut findings: BTreeMap<_, Finding> = BTreeMap::new();
    for (index, attempt) in attempts.iter().enumerate() {
        let Some(code) = Code::of(attempt) else { continue };
        let evidence = evidence(index, attempt);
        let mut by = attempt.by.clone();
        by.sort();
        let key = (
            code.severity,
            code.id,
            by,
            attempt.from.as_str(),
            attempt.to.as_str(),
        );
        let finding = findings.entry(key).or_insert_with(|| Finding {
            code: code.id.to_owned(),
            slug: code.slug.to_owned(),
            title: code.title.to_owned(),
            severity: code.severity,
            what_to_do: code.what_to_do.to_owned(),
            by: attempt.by.clone(),
            from: attempt.from.clone(),
            to: attempt.to.clone(),
            count: 0,
            attempts: Vec::new(),
            first_evidence: evidence.clone(),
            last_evidence: evidence.clone(),
        });
        finding.count = finding.count.saturating_add(1);
        finding.attempts.push(index);
        finding.last_evidence = evidence;
    }
    findings.into_values().collect()
}

fn evidence(attempt: usize, of: &JudgedAttempt) -> Evidence {
    Evidence {
        attempt,
        stage: of.stage.clone(),
        protocol: of.protocol,
        port: of.port,
        family: of.family,
        observed: of.observed,
        reason: of.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::collect;
    use crate::{
        finding::{DropKind, Expected, JudgedAttempt, Observed, Severity, Verdict},
        net::Family,
    };

    fn attempt(from: &str, verdict: Verdict, observed: Observed) -> JudgedAttempt {
        JudgedAttempt {
            stage: "s".to_owned(),
            expected: match verdict {
                Verdict::Enforced | Verdict::Leak => Expected::Deny,
                Verdict::Unspecified => Expected::Unspecified,
                Verdict::Permitted | Verdict::Overblock | Verdict::Inconclusive => Expected::Allow,
            },
            by: vec!["n/p (ingress)".to_owned()],
            observed,
            ..JudgedAttempt::example(from, "n/b", verdict)
        }
    }

    fn codes(attempts: &[JudgedAttempt]) -> Vec<String> {
        collect(attempts)
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn what_went_right_is_no_finding() {
        let right = [
            attempt("n/a", Verdict::Enforced, Observed::Dropped),
            attempt("n/a", Verdict::Permitted, Observed::Delivered),
            attempt("n/a", Verdict::Unspecified, Observed::Unanswered),
        ];
        assert_eq!(collect(&right), []);
    }

    #[test]
    fn both_families_of_one_leak_are_one_finding_with_both_as_evidence() {
        let four = attempt("n/a", Verdict::Leak, Observed::Delivered);
        let other = attempt("n/c", Verdict::Leak, Observed::Delivered);
        let six = JudgedAttempt {
            family: Family::Ipv6,
            ..four.clone()
        };
        let findings = collect(&[four, other, six]);
        let first = findings.first().unwrap();
        assert_eq!(
            (findings.len(), first.count, &first.attempts),
            (2, 2, &vec![0, 2])
        );
        assert_eq!(
            (first.first_evidence.family, first.last_evidence.family),
            (Family::Ipv4, Family::Ipv6)
        );
    }

    #[test]
    fn the_order_in_which_policies_are_named_makes_no_second_finding() {
        let mut one = attempt("n/a", Verdict::Leak, Observed::Delivered);
        one.by = vec!["n/p".to_owned(), "n/q".to_owned()];
        let mut two = one.clone();
        two.by.reverse();
        assert_eq!(collect(&[one, two]).len(), 1);
    }

    #[test]
    fn a_leak_that_only_a_retransmission_shows_has_its_own_code() {
        let late = JudgedAttempt {
            only_retransmission: true,
            ..attempt("n/a", Verdict::Leak, Observed::Delivered)
        };
        assert_eq!(codes(&[late]), ["NPV006"]);
    }

    #[test]
    fn a_drop_that_is_no_policys_is_told_apart() {
        for kind in [
            DropKind::Neighbour,
            DropKind::Routing,
            DropKind::Device,
            DropKind::Endpoint,
        ] {
            for verdict in [Verdict::Overblock, Verdict::Inconclusive] {
                let lost = JudgedAttempt {
                    drop_kind: Some(kind),
                    ..attempt("n/a", verdict, Observed::Dropped)
                };
                assert_eq!(codes(&[lost]), ["NPV004"], "{kind:?}");
            }
        }
        let policy = JudgedAttempt {
            drop_kind: Some(DropKind::Policy),
            ..attempt("n/a", Verdict::Overblock, Observed::Dropped)
        };
        assert_eq!(codes(&[policy]), ["NPV002"]);
    }

    #[test]
    fn a_lost_reply_and_a_refusal_and_the_unknown_have_their_codes() {
        assert_eq!(
            codes(&[attempt("n/a", Verdict::Overblock, Observed::ReplyLost)]),
            ["NPV003"]
        );
        assert_eq!(
            codes(&[attempt("n/a", Verdict::Enforced, Observed::Rejected)]),
            ["NPV005"]
        );
        assert_eq!(
            codes(&[attempt("n/a", Verdict::Inconclusive, Observed::Unknown)]),
            ["NPV007"]
        );
    }

    #[test]
    fn the_most_serious_comes_first() {
        let findings = collect(&[
            attempt("n/a", Verdict::Enforced, Observed::Rejected),
            attempt("n/b", Verdict::Inconclusive, Observed::Unknown),
            attempt("n/c", Verdict::Leak, Observed::Delivered),
            attempt("n/d", Verdict::Overblock, Observed::Dropped),
        ]);
        let order: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(
            order,
            [
                Severity::Critical,
                Severity::High,
                Severity::Warning,
                Severity::Info
            ]
        );
    }
}
