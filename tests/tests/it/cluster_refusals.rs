//! What a real API server refuses is a problem here too, and what it takes is none.

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

/// A specification, and what the server says.
type Row = (&'static str, Server);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("{podSelector: {}}", Takes),
    ("{}", Takes),
    ("{podSelector: {}, policyTypes: [Ingress, Egress]}", Takes),
    ("{podSelector: {}, policyTypes: [ingress]}", Refuses),
    ("{podSelector: {}, policyTypes: [Ingress, Egress, Ingress]}", Refuses),
    ("{podSelector: {}, policyTypes: [Ingress, Ingress]}", Takes),
    ("{podSelector: {}, policyTypes: [Egress], ingress: [{}]}", Takes),
    // Ports.
    ("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}", Takes),
    ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 65536}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: -1}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8000}]}]}", Takes),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 7999}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 65536}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: http, endPort: 9000}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{endPort: 9000}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: http}]}]}", Takes),
    ("{podSelector: {}, ingress: [{ports: [{port: '80'}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: HTTP}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: sixteen-letters-}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: ''}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 80.5}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 80}]}]}", Takes),
    ("{podSelector: {}, ingress: [{ports: [{protocol: tcp, port: 80}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{protocol: '', port: 80}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{protocol: 'TCP ', port: 80}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: a--b}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: -a}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 1a}]}]}", Takes),
    ("{podSelector: {}, ingress: [{ports: [{port: 80, endPort: '90'}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 0}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: 4294967376}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [{port: true}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{ports: [null]}]}", Takes),
    // Peers.
    ("{podSelector: {}, ingress: [{from: [null]}]}", Refuses),
    ("{podSelector: {}, ingress: [{from: [{podSelector: null, namespaceSelector: null}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{from: [{}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}}]}]}", Takes),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses),
    ("{podSelector: {}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", Refuses),
    // Blocks.
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/64']}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'fd00::/8', except: ['fd00:1::/64']}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.1}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: ''}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.1.2.3/8}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3/16]}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 010.0.0.0/8}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/08}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '10.0.0.0/8 '}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0/8}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/+8}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/-1}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'fe80::1%eth0/64'}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '[fd00::]/8'}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [null]}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.1.0.0/8, except: [10.0.0.0/9]}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 'FD00::/8'}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ['::ffff:10.1.0.0/112']}}]}]}", Takes),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::ffff:10.0.0.0/104', except: [10.1.0.0/16]}}]}]}", Refuses),
    ("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '::/0', except: [10.1.0.0/16]}}]}]}", Refuses),
    // Selectors.
    ("{podSelector: null}", Takes),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists, values: []}]}}", Takes),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: [null]}]}}", Takes),
    ("{podSelector: {matchExpressions: [null]}}", Refuses),
    ("{podSelector: {matchLabels: {app: web}}}", Takes),
    ("{podSelector: {matchLabels: {app: ''}}}", Takes),
    ("{podSelector: {matchLabels: {'a b': web}}}", Refuses),
    ("{podSelector: {matchLabels: {app: 'no spaces'}}}", Refuses),
    ("{podSelector: {matchLabels: {'example.com/app': web}}}", Takes),
    ("{podSelector: {matchLabels: {'EXAMPLE.com/app': web}}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}}", Takes),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: []}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: NotIn}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}", Takes),
    ("{podSelector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}", Takes),
    ("{podSelector: {matchExpressions: [{key: app, operator: Gt, values: ['1']}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: in, values: [a]}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: '', operator: Exists}]}}", Refuses),
    ("{podSelector: {matchExpressions: [{key: app, operator: In, values: ['no spaces']}]}}", Refuses),
    ("{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {a: -b}}}]}]}", Refuses),
    // Shapes.
    ("{podSelector: {}, ingres: [{}]}", Refuses),
    ("{podSelector: {}, ingress: [{form: []}]}", Refuses),
    ("{podSelector: {}, ingress: {}}", Refuses),
    ("{podSelector: {matchLabels: {app: 1}}}", Refuses),
    ("{podSelector: {matchLabels: {app: null}}}", Takes),
    ("{podSelector: {}, ingress: [null]}", Takes),
    ("{podSelector: {}, ingress: null}", Takes),
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
    for (spec, expected) in TABLE {
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
        if says != *expected || !agree {
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
