//! A small run for tests: the guide's four pods and DNS, with no enforcer and with a correct one.

use crate::{
    finding::{DropKind, Expected, JudgedAttempt, Observed, Path, Verdict},
    net::{Family, Protocol},
    report::{Environment, Facts, Intent, Losses, Run, StageTitle, Wanted},
};

/// What became of an attempt that the policies deny.
#[derive(Clone, Copy)]
pub(crate) struct Fate(pub(crate) Observed, pub(crate) Verdict);

pub(crate) const LEAKED: Fate = Fate(Observed::Delivered, Verdict::Leak);
pub(crate) const STOPPED: Fate = Fate(Observed::Dropped, Verdict::Enforced);
pub(crate) const OPEN: Fate = Fate(Observed::Delivered, Verdict::Permitted);

const PODS: [&str; 4] = ["frontend", "backend", "database", "external-client"];

pub(crate) fn attempt(stage: &str, from: &str, to: &str, fate: Fate) -> JudgedAttempt {
    let denied = matches!(fate.1, Verdict::Leak | Verdict::Enforced);
    let dropped = fate.0 == Observed::Dropped;
    JudgedAttempt {
        stage: stage.to_owned(),
        expected: if denied { Expected::Deny } else { Expected::Allow },
        by: if denied {
            vec!["netpol-demo/default-deny-egress (egress)".to_owned()]
        } else {
            Vec::new()
        },
        observed: fate.0,
        reason: dropped.then(|| "NETFILTER_DROP at nft_do_chain".to_owned()),
        drop_kind: dropped.then_some(DropKind::Policy),
        latency_micros: Some(20),
        ..JudgedAttempt::example(from, to, fate.1)
    }
}

/// Two stages of the guide: open, and all four allows in place; `denied` says what becomes of what they deny.
pub(crate) fn run(cni: &str, denied: Fate) -> Run {
    let mut attempts = Vec::new();
    for (stage, last) in [("open-baseline", false), ("allow-app", true)] {
        for family in [Family::Ipv4, Family::Ipv6] {
            for (a, from) in PODS.iter().enumerate() {
                let source = format!("netpol-demo/{from}");
                for (b, to) in PODS.iter().enumerate().filter(|&(b, _)| b != a) {
                    let allowed = (a, b) == (0, 1);
                    let fate = if last && !allowed { denied } else { OPEN };
                    let mut one = attempt(stage, &source, &format!("netpol-demo/{to}"), fate);
                    one.family = family;
                    one.path = if a % 2 == b % 2 {
                        Path::SameNode
                    } else {
                        Path::CrossNode
                    };
                    match (last, allowed) {
                        (true, true) => {
                            one.by = vec![
                                "netpol-demo/frontend-egress egress[0]".to_owned(),
                                "netpol-demo/backend-ingress ingress[0]".to_owned(),
                            ];
                        }
                        (true, false) if b != 3 => {
                            one.by
                                .push("netpol-demo/default-deny-ingress (ingress)".to_owned());
                        }
                        _ => {}
                    }
                    attempts.push(one);
                }
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    let mut dns = attempt(stage, &source, "kube-system/kube-dns", OPEN);
                    (dns.protocol, dns.port, dns.family) = (protocol, 53, family);
                    if last {
                        dns.by = vec!["netpol-demo/allow-dns-egress egress[0]".to_owned()];
                    }
                    attempts.push(dns);
                }
            }
        }
    }
    let started: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    Run::new(Facts {
        stages: vec![
            StageTitle {
                name: "open-baseline".to_owned(),
                title: Some("no policy yet".to_owned()),
            },
            StageTitle {
                name: "allow-app".to_owned(),
                title: Some("default deny, DNS and four allows".to_owned()),
            },
        ],
        attempts,
        intent: vec![
            Intent {
                from: "netpol-demo/frontend".to_owned(),
                to: "netpol-demo/backend".to_owned(),
                protocol: Protocol::Tcp,
                port: 80,
                wanted: Wanted::Open,
                policy: Expected::Allow,
                by: Vec::new(),
                broken: false,
                suggestion: None,
                suggest: None,
            },
            Intent {
                from: "netpol-demo/backend".to_owned(),
                to: "netpol-demo/database".to_owned(),
                protocol: Protocol::Tcp,
                port: 80,
                wanted: Wanted::Open,
                policy: Expected::Deny,
                by: vec!["netpol-demo/default-deny-egress (egress)".to_owned()],
                broken: true,
                suggestion: Some(
                    "egress: let netpol-demo/backend open TCP/80 to netpol-demo/database".to_owned(),
                ),
                suggest: Some("kind: NetworkPolicy\nspec:\n  policyTypes: [Egress]\n".to_owned()),
            },
        ],
        losses: Losses {
            seen: 80,
            recorded: 80,
            ..Losses::default()
        },
        coverage: crate::report::Coverage::default(),
        environment: Environment {
            kernel: "6.18.44".to_owned(),
            cni: cni.to_owned(),
            wiring: "bridge".to_owned(),
            enforcer: if denied.1 == Verdict::Leak {
                "none"
            } else {
                "nftables"
            }
            .to_owned(),
            fault: None,
            scenario: Some("guide".to_owned()),
            nodes: vec!["node-1".to_owned(), "node-2".to_owned()],
            notes: Vec::new(),
        },
        problems: Vec::new(),
        versions: [("nft".to_owned(), "1.0.6".to_owned())].into(),
        started,
        finished: started + jiff::SignedDuration::from_millis(12),
    })
}

/// The same run with verdict, counts and findings computed anew from its attempts.
pub(crate) fn again(run: Run) -> Run {
    Run::new(Facts {
        stages: run
            .stages
            .into_iter()
            .map(|stage| StageTitle {
                name: stage.name,
                title: stage.title,
            })
            .collect(),
        attempts: run.attempts,
        intent: run.intent,
        losses: run.losses,
        coverage: run.coverage,
        environment: run.environment,
        problems: run.problems,
        versions: run.versions,
        started: run.started,
        finished: run.finished,
    })
}
