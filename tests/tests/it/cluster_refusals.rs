//! What a real API server refuses is a problem here too, and what it takes is none; every difference is in the table, with its
//! reason.

use anyhow::{Result, ensure};
use netpol_verify::{cluster::Loaded, policy};
use netpol_verify_tests::ApiServer;
use serde_json::{Value, json};

use crate::cluster_live::{create, namespace};

/// What the server says of a specification, as `kubectl apply` asks it (strict about fields).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Server {
    Takes,
    Refuses,
}
use Server::{Refuses, Takes};

/// A specification, what the server says, and why we say otherwise where we do.
type Row = (&'static str, Server, Option<&'static str>);

// Differences that are ours to mend; the row that agrees again fails until its reason is gone.
const EMPTY_PROTOCOL: &str = "an empty protocol is read as TCP, as client libraries leave it out";
const NULL: &str =
    "the server reads null in a list or a map as the empty value; we leave the policy out, and say so";
const MAPPED: &str = "the server does not compare an IPv4 block with an IPv4-mapped one; we do";
const LABELS: &str = "the letters of labels in selectors are not checked; no object can carry such a label";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("{podSelector: {}}", Takes, None),
    ("{}", Takes, None),
    ("{podSelector: {}, policyTypes: [Ingress, Egress]}", Takes, None),
    ("{podSelector: {}, policyTypes: [ingress]}", Refuses, None),
    ("{podSelector: {}, policyTypes: [Ingress, Egress, Ingress]}", Refuses, None),
    ("{podSelector: {}, policyTypes: [Ingress, Ingress]}", Takes, None),
    ("{podSelector: {}, policyTypes: [Egress], ingress: [{}]}", Takes, None),
    // Ports.
    ("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 65536}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: -1}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8000}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 7999}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 65536}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: http, endPort: 9000}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{endPort: 9000}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: http}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{ports: [{port: '80'}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: HTTP}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: sixteen-letters-}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: ''}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 80.5}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 80}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{ports: [{protocol: tcp, port: 80}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{protocol: '', port: 80}]}]}", Refuses, Some(EMPTY_PROTOCOL)),
    ("{podSelector: {}, ingress: [{ports: [{protocol: 'TCP ', port: 80}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: a--b}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: -a}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 1a}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 80, endPort: '90'}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 0}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: 4294967376}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [{port: true}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{ports: [null]}]}", Takes, Some(NULL)),
    // Peers.
    ("{podSelector: {}, ingress: [{from: [null]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{from: [{podSelector: null, namespaceSelector: null}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{from: [{}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}}]}]}", Takes, None),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses, None),
    // Blocks.
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/64']}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'fd00::/8', except: ['fd00:1::/64']}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.1}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: ''}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.1.2.3/8}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3/16]}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 010.0.0.0/8}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/08}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '10.0.0.0/8 '}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0/8}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/+8}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/-1}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'fe80::1%eth0/64'}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '[fd00::]/8'}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [null]}}]}]}", Refuses, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.1.0.0/8, except: [10.0.0.0/9]}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'FD00::/8'}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ['::ffff:10.1.0.0/112']}}]}]}", Takes, None),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::ffff:10.0.0.0/104', except: [10.1.0.0/16]}}]}]}", Refuses, Some(MAPPED)),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::/0', except: [10.1.0.0/16]}}]}]}", Refuses, None),
    // Selectors.
    ("{podSelector: null}", Takes, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists, values: []}]}}", Takes, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: [null]}]}}", Takes, Some(NULL)),
    ("{podSelector: {matchExpressions: [null]}}", Refuses, None),
    ("{podSelector: {matchLabels: {app: web}}}", Takes, None),
    ("{podSelector: {matchLabels: {app: ''}}}", Takes, None),
    ("{podSelector: {matchLabels: {'a b': web}}}", Refuses, Some(LABELS)),
    ("{podSelector: {matchLabels: {app: 'no spaces'}}}", Refuses, Some(LABELS)),
    ("{podSelector: {matchLabels: {'example.com/app': web}}}", Takes, None),
    ("{podSelector: {matchLabels: {'EXAMPLE.com/app': web}}}", Refuses, Some(LABELS)),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}}", Takes, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: []}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: NotIn}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}", Takes, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}", Takes, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: Gt, values: ['1']}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: in, values: [a]}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: '', operator: Exists}]}}", Refuses, None),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: ['no spaces']}]}}", Refuses, Some(LABELS)),
    ("{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {a: -b}}}]}]}", Refuses, Some(LABELS)),
    // Shapes.
    ("{podSelector: {}, ingres: [{}]}", Refuses, None),
    ("{podSelector: {}, ingress: [{form: []}]}", Refuses, None),
    ("{podSelector: {}, ingress: {}}", Refuses, None),
    ("{podSelector: {matchLabels: {app: 1}}}", Refuses, None),
    ("{podSelector: {matchLabels: {app: null}}}", Takes, Some(NULL)),
    ("{podSelector: {}, ingress: [null]}", Takes, Some(NULL)),
    ("{podSelector: {}, ingress: null}", Takes, None),
];

/// What we say of a policy.
fn problems(policy: &Value) -> Vec<String> {
    let (snapshot, mut problems) = Loaded::from_text(&policy.to_string(), "row".as_ref()).into_snapshot();
    problems.extend(policy::compile(&snapshot).1);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_server_refuses_what_we_report() -> Result<()> {
    let Some(server) = ApiServer::shared("the_server_refuses_what_we_report")? else {
        return Ok(());
    };
    const COLLECTION: &str = "/apis/networking.k8s.io/v1/namespaces/asked/networkpolicies";
    create(&server, &[namespace("asked")])?;
    let mut wrong = Vec::new();
    for (spec, expected, reason) in TABLE {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "asked", "namespace": "asked"},
            "spec": serde_saphyr::from_str::<Value>(spec)?,
        });
        let path = format!("{COLLECTION}?dryRun=All&fieldValidation=Strict");
        let (status, answer) = server.ask("POST", &path, Some(policy.clone()))?;
        ensure!(matches!(status, 201 | 400 | 422), "{spec}: {status} {answer}");
        let says = if status == 201 { Takes } else { Refuses };
        let ours = problems(&policy);
        let agree = (says == Takes) == ours.is_empty();
        if says != *expected || agree == reason.is_some() {
            let message = &answer["message"];
            wrong.push(format!(
                "{spec}\n    the server: {says:?} ({message})\n    we: {ours:?}"
            ));
        }
        if says == Takes {
            let stored = problems(&answer);
            if !stored.is_empty() {
                let spec = &answer["spec"];
                wrong.push(format!("{spec}\n    as the server stores it\n    we: {stored:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not as the table says:\n{}", wrong.join("\n"));
    Ok(())
}
