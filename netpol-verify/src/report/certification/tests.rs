//! The certification as text and as JSON, and what follows from what.

use std::collections::BTreeMap;

use super::{
    CaseResult, CaseVerdict, Certification, CertificationFacts, Difference, Edge, Percentiles, Proof,
    Refused, Settled, Trait, certification_table, conformance_report, difference_table,
};
use crate::{
    finding::{DropKind, Expected, JudgedAttempt, Observed, Path, Verdict},
    net::{Family, Protocol},
    pinned::pinned,
    report::{
        Environment, Losses, RunVerdict, Style, certification_json, certification_schema,
        certification_schema_text,
    },
};

fn attempt(verdict: Verdict, protocol: Protocol, family: Family, path: Path) -> JudgedAttempt {
    let (expected, observed) = match verdict {
        Verdict::Enforced => (Expected::Deny, Observed::Dropped),
        Verdict::Leak => (Expected::Deny, Observed::Delivered),
        Verdict::Permitted => (Expected::Allow, Observed::Delivered),
        Verdict::Overblock => (Expected::Allow, Observed::Dropped),
        Verdict::Unspecified => (Expected::Unspecified, Observed::Rejected),
        Verdict::Inconclusive => (Expected::Deny, Observed::Unknown),
    };
    let dropped = observed == Observed::Dropped;
    JudgedAttempt {
        protocol,
        family,
        path,
        expected,
        by: vec!["x/base (egress)".to_owned()],
        observed,
        reason: dropped.then(|| "NETFILTER_DROP at nft_do_chain".to_owned()),
        drop_kind: dropped.then_some(DropKind::Policy),
        ..JudgedAttempt::example("x/a", "y/\u{1b}[31mb", verdict)
    }
}

fn case(
    suite: &str,
    id: &str,
    feature: (&str, &str),
    verdicts: &[(Verdict, Protocol, Family, Path)],
) -> CaseResult {
    let mut case = CaseResult::new(suite, id, "A claim in one sentence", true);
    case.features = BTreeMap::from([(feature.0.to_owned(), vec![feature.1.to_owned()])]);
    for (verdict, protocol, family, path) in verdicts {
        let one = attempt(*verdict, *protocol, *family, *path);
        case.count(&one);
        if verdict.is_violation() && case.proof.is_none() {
            case.proof = Some(Proof {
                moment: None,
                step: 1,
                attempt: one,
                manifest: "kind: NetworkPolicy\n".to_owned(),
            });
        }
    }
    case
}

fn certification(cases: Vec<CaseResult>, refused: Vec<Refused>) -> Certification {
    let at = |second: i64| jiff::Timestamp::new(1_790_000_000 + second, 0).unwrap();
    Certification::new(CertificationFacts {
        suites: vec![
            ("cyclonus".to_owned(), "The cases of Cyclonus".to_owned()),
            ("cnp".to_owned(), "ClusterNetworkPolicy".to_owned()),
        ],
        cases,
        refused,
        open: vec![
            Trait {
                question: "ICMP echo between pods that a policy parts (R25)".to_owned(),
                answers: [("passes: echo reply [IPv6]".to_owned(), 2)].into(),
                untold: [("not told: no answer without a policy either [IPv4]".to_owned(), 2)].into(),
            },
            Trait {
                question: "another node to a pod whose ingress is denied".to_owned(),
                answers: BTreeMap::new(),
                untold: [("not asked: there is one node only".to_owned(), 1)].into(),
            },
        ],
        losses: Losses::default(),
        environment: Environment {
            kernel: "6.18.0".to_owned(),
            cni: "calico".to_owned(),
            wiring: "routed".to_owned(),
            enforcer: "the CNI's own".to_owned(),
            nodes: vec!["node1".to_owned(), "node2".to_owned()],
            ..Environment::default()
        },
        problems: Vec::new(),
        started: at(0),
        finished: at(42),
    })
}

use Family::{Ipv4, Ipv6};
use Path::{CrossNode, SameNode};
use Protocol::{Sctp, Tcp, Udp};
use Verdict::{Enforced, Inconclusive, Leak, Overblock, Permitted, Unspecified};

fn mixed() -> Certification {
    let mut right = case(
        "cyclonus",
        "CY-001",
        ("direction", "ingress"),
        &[
            (Enforced, Tcp, Ipv4, SameNode),
            (Permitted, Tcp, Ipv6, CrossNode),
            (Unspecified, Udp, Ipv4, SameNode),
        ],
    );
    right.settled.push(Settled {
        step: 1,
        edge: Edge::AllowToDeny,
        paths: 3,
        never: 0,
        slowest_micros: Some(12_345),
        last_wrong_micros: None,
    });
    let wrong = case(
        "cyclonus",
        "CY-022",
        ("port", "end-port"),
        &[
            (Enforced, Tcp, Ipv4, SameNode),
            (Leak, Tcp, Ipv6, SameNode),
            (Leak, Tcp, Ipv6, CrossNode),
            (Overblock, Sctp, Ipv4, CrossNode),
            (Permitted, Sctp, Ipv4, SameNode),
        ],
    );
    let unsure = case(
        "cyclonus",
        "CY-030",
        ("port", "named-port"),
        &[(Inconclusive, Udp, Ipv4, SameNode)],
    );
    let mut admin = case(
        "cnp",
        "CNP-01",
        ("tier", "admin"),
        &[(Enforced, Tcp, Ipv4, SameNode)],
    );
    admin
        .features
        .insert("channel".to_owned(), vec!["standard".to_owned()]);
    let refused = Refused {
        suite: "cnp".to_owned(),
        id: "CNP-13".to_owned(),
        why: "ClusterNetworkPolicy is not served here".to_owned(),
    };
    certification(vec![right, wrong, unsure, admin], vec![refused])
}

#[test]
fn a_certification_as_people_see_it() {
    pinned(
        "src/report/pinned/certification.txt",
        &certification_table(&mixed(), Style::plain()),
    );
}

#[test]
fn the_committed_schema_of_certifications_is_the_codes() {
    pinned(
        "schema/certification.schema.json",
        &certification_schema_text().unwrap(),
    );
}

#[test]
fn a_certification_keeps_to_its_schema_and_comes_back_from_json() {
    let run = mixed();
    let text = certification_json(&run).unwrap();
    assert!(!text.contains('\u{1b}'));
    assert_eq!(serde_json::from_str::<Certification>(&text).unwrap(), run);
    let validator = jsonschema::validator_for(certification_schema().as_value()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&serde_json::from_str(&text).unwrap())
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn a_case_that_cannot_be_told_or_played_keeps_a_run_from_passing() {
    let right = || {
        case(
            "cyclonus",
            "CY-001",
            ("a", "b"),
            &[(Enforced, Tcp, Ipv4, SameNode)],
        )
    };
    assert_eq!(
        certification(vec![right()], Vec::new()).verdict,
        RunVerdict::Enforced
    );
    let open = case(
        "cyclonus",
        "CY-002",
        ("a", "b"),
        &[(Unspecified, Tcp, Ipv4, SameNode)],
    );
    assert_eq!(open.verdict, CaseVerdict::Inconclusive);
    assert_eq!(
        certification(vec![right(), open], Vec::new()).verdict,
        RunVerdict::Inconclusive
    );
    let refused = mixed().refused;
    assert_eq!(
        certification(vec![right()], refused).verdict,
        RunVerdict::Inconclusive
    );
    assert_eq!(
        certification(Vec::new(), Vec::new()).verdict,
        RunVerdict::Inconclusive
    );
    let leaking = case("cyclonus", "CY-003", ("a", "b"), &[(Leak, Tcp, Ipv4, SameNode)]);
    assert_eq!(
        certification(vec![leaking], Vec::new()).verdict,
        RunVerdict::NotEnforced
    );
}

#[test]
fn one_family_is_counted_apart() {
    let only_ipv6 = case(
        "cyclonus",
        "CY-205",
        ("a", "b"),
        &[(Permitted, Tcp, Ipv4, SameNode), (Leak, Tcp, Ipv6, SameNode)],
    );
    let run = certification(vec![only_ipv6], Vec::new());
    let suite = run.suites.first().unwrap();
    assert_eq!(
        (suite.by_default.failed, suite.by_default_over_ipv4.failed),
        (1, 0)
    );
}

#[test]
fn what_changed_between_two_is_said_and_only_that() {
    let (before, mut now) = (mixed(), mixed());
    assert!(Difference::between(&before, &now).is_empty());
    let text = difference_table(&before, &now, Style::plain());
    assert!(text.contains("Nothing changed"), "{text}");
    let mut other = mixed();
    let echo = other
        .fingerprint
        .iter_mut()
        .find(|one| one.question.starts_with("ICMP"))
        .unwrap();
    echo.answers = [("dropped: no answer".to_owned(), 4)].into();
    let text = difference_table(&before, &other, Style::plain());
    assert!(
        text.contains("passes: echo reply [IPv6] → dropped: no answer"),
        "{text}"
    );
    let fixed = case(
        "cyclonus",
        "CY-022",
        ("port", "end-port"),
        &[(Enforced, Tcp, Ipv4, SameNode)],
    );
    now = certification(
        now.cases
            .into_iter()
            .filter(|case| case.id != "CNP-01")
            .map(|case| if case.id == "CY-022" { fixed.clone() } else { case })
            .collect(),
        Vec::new(),
    );
    let difference = Difference::between(&before, &now);
    assert_eq!(
        difference.cases,
        [(
            "cyclonus CY-022".to_owned(),
            CaseVerdict::Failed,
            CaseVerdict::Passed
        )]
    );
    assert_eq!(difference.only_before, ["cnp CNP-01"]);
    let text = difference_table(&before, &now, Style::plain());
    assert!(text.contains("failed → passed: cyclonus CY-022"), "{text}");
}

#[test]
fn upstreams_report_has_upstreams_shape() {
    let yaml = conformance_report(&mixed()).unwrap().unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(value["kind"], "ConformanceReport");
    assert_eq!(value["apiVersion"], "policy.networking.k8s.io/v1alpha1");
    assert_eq!(value["networkPolicyV2APIVersion"], "v0.2.0");
    let standard = &value["profiles"][0]["standard"];
    assert_eq!(standard["result"], "partial", "a case was not played: {yaml}");
    assert_eq!(
        (
            &standard["statistics"]["Passed"],
            &standard["statistics"]["Skipped"]
        ),
        (&1.into(), &1.into())
    );
    assert_eq!(standard["skippedTests"][0], "CNP-13");
    let none = certification(vec![case("cyclonus", "CY-001", ("a", "b"), &[])], Vec::new());
    assert_eq!(conformance_report(&none).unwrap(), None);
}

#[test]
fn percentiles_are_those_of_the_nearest_rank() {
    assert_eq!(Percentiles::of(Vec::new()), None);
    let hundred = Percentiles::of((1..=100).rev().collect()).unwrap();
    assert_eq!(
        (hundred.p50, hundred.p90, hundred.p99, hundred.max),
        (50, 90, 99, 100)
    );
    let one = Percentiles::of(vec![7]).unwrap();
    assert_eq!((one.p50, one.p99, one.max, one.count), (7, 7, 7, 1));
}
