//! What each misreading makes of a policy, in plain text.

use std::{path::Path, sync::Arc};

use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use super::{PeerMisreading, PolicyMisreading, PortMisreading, SelectorMisreading};
use crate::cluster::{ClusterState, Loaded, Snapshot};

/// A cluster of one policy, with these rules.
fn cluster(spec: &str) -> Snapshot {
    let text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: a}}\nspec: {spec}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: a}}\n\
         spec: {{containers: [{{name: c, image: c, ports: [{{name: web, containerPort: 81}}]}}]}}\n\
         status: {{podIPs: [{{ip: 10.1.0.2}}]}}\n"
    );
    let loaded = Loaded::from_text(&text, Path::new("test.yaml"));
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut state = ClusterState::default();
    state.apply(loaded.objects);
    state.snapshot()
}

fn spec(snapshot: &Snapshot) -> Arc<k8s_openapi::api::networking::v1::NetworkPolicy> {
    Arc::clone(&snapshot.policies[0].object)
}

/// Holds what a misreading makes of the first text against the second, in what the policy says.
fn becomes(reread: impl Fn(&Snapshot) -> Snapshot, before: &str, after: &str) {
    let normal = |snapshot: &Snapshot| -> NetworkPolicySpec {
        let mut spec = spec(snapshot).spec.clone().unwrap();
        super::super::policies::name_types(&mut spec);
        spec
    };
    let (before_spec, after_spec) = (cluster(before), cluster(after));
    assert_ne!(normal(&before_spec), normal(&after_spec), "{before}");
    assert_eq!(normal(&reread(&before_spec)), normal(&after_spec), "{before}");
}

#[test]
fn ports() {
    let of = |misreading: PortMisreading| move |snapshot: &Snapshot| misreading.reread(snapshot);
    let rule = |ports: &str| format!("{{podSelector: {{}}, ingress: [{ports}]}}");
    let cases = [
        (
            PortMisreading::NamedPortAny,
            "{ports: [{port: web}, {port: 80}]}",
            "{ports: [{}, {port: 80}]}",
        ),
        (
            PortMisreading::NamedPortIgnored,
            "{ports: [{port: web}, {port: 80}]}",
            "{ports: [{port: 80}]}",
        ),
        (PortMisreading::NamedPortIgnored, "{ports: [{port: web}]}", ""),
        (
            PortMisreading::NamedPortPooled,
            "{ports: [{port: web}]}",
            "{ports: [{port: 81}]}",
        ),
        (
            PortMisreading::OnlyFirstEntry,
            "{ports: [{port: 80}, {port: 81}]}",
            "{ports: [{port: 80}]}",
        ),
        (PortMisreading::MissingMeansNone, "{from: []}", ""),
        (
            PortMisreading::NumbersIgnored,
            "{ports: [{port: 80, endPort: 90}]}",
            "{ports: [{}]}",
        ),
        (
            PortMisreading::MissingProtocolIsAny,
            "{ports: [{port: 80}]}",
            "{ports: [{port: 80, protocol: TCP}, {port: 80, protocol: UDP}, {port: 80, protocol: SCTP}]}",
        ),
    ];
    for (misreading, before, after) in cases {
        becomes(of(misreading), &rule(before), &rule(after));
    }
}

#[test]
fn peers() {
    let rule = |peers: &str| format!("{{podSelector: {{}}, ingress: [{peers}]}}");
    let cases = [
        (
            PeerMisreading::OrInsteadOfAnd,
            "{from: [{namespaceSelector: {}, podSelector: {}}]}",
            "{from: [{podSelector: {}}, {namespaceSelector: {}}]}",
        ),
        (
            PeerMisreading::PodSelectorLost,
            "{from: [{namespaceSelector: {}, podSelector: {}}, {podSelector: {}}]}",
            "{from: [{namespaceSelector: {}}, {podSelector: {}}]}",
        ),
        (
            PeerMisreading::NamespaceIgnored,
            "{from: [{podSelector: {}}]}",
            "{from: [{podSelector: {}, namespaceSelector: {}}]}",
        ),
        (
            PeerMisreading::EmptyNamespaceSelectorIsNone,
            "{from: [{podSelector: {}}, {namespaceSelector: {}}]}",
            "{from: [{podSelector: {}}]}",
        ),
        (
            PeerMisreading::EmptyNamespaceSelectorIsWorld,
            "{from: [{namespaceSelector: {}}, {namespaceSelector: {}, podSelector: {}}]}",
            "{from: [{namespaceSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}, {namespaceSelector: {}, podSelector: {}}]}",
        ),
        (
            PeerMisreading::NotInAddsWorld,
            "{from: [{namespaceSelector: {matchExpressions: [{key: c, operator: NotIn, values: [x]}]}}]}",
            "{from: [{namespaceSelector: {matchExpressions: [{key: c, operator: NotIn, values: [x]}]}}, {ipBlock: {cidr: 0.0.0.0/0, except: [10.1.0.2/32]}}, {ipBlock: {cidr: '::/0'}}]}",
        ),
        (
            PeerMisreading::BlocksHoldOnlyPods,
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}",
            "{from: [{ipBlock: {cidr: 10.1.0.2/32}}]}",
        ),
        (PeerMisreading::MissingMeansNobody, "{ports: [{port: 80}]}", ""),
        (
            PeerMisreading::NobodyIsEverybody,
            "{from: [{podSelector: {matchLabels: {app: none}}}], ports: [{port: 80}]}",
            "{ports: [{port: 80}]}",
        ),
        (
            PeerMisreading::BlockAddsNamespace,
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {podSelector: {}}]}",
        ),
        (
            PeerMisreading::ExceptLeaks,
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}",
        ),
        (
            PeerMisreading::OnlyFirstEntry,
            "{from: [{podSelector: {}}, {namespaceSelector: {}}]}",
            "{from: [{podSelector: {}}]}",
        ),
        (
            PeerMisreading::OnlyFirstRule,
            "{from: [{podSelector: {}}]}, {}",
            "{from: [{podSelector: {}}]}",
        ),
    ];
    for (misreading, before, after) in cases {
        becomes(
            |snapshot| misreading.reread(snapshot),
            &rule(before),
            &rule(after),
        );
    }
}

#[test]
fn selectors() {
    let rule = |selector: &str| format!("{{podSelector: {selector}}}");
    let cases = [
        (
            SelectorMisreading::ExpressionsIgnored,
            "{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}",
            "{matchLabels: {a: b}}",
        ),
        (
            SelectorMisreading::LabelsIgnored,
            "{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}",
            "{matchExpressions: [{key: c, operator: Exists}]}",
        ),
        (
            SelectorMisreading::OnlyFirstLabel,
            "{matchLabels: {a: b, c: d}}",
            "{matchLabels: {a: b}}",
        ),
        (
            SelectorMisreading::CaseIgnored,
            "{matchLabels: {a: B}}",
            "{matchLabels: {a: b}}",
        ),
        (
            SelectorMisreading::InIsFirstValue,
            "{matchExpressions: [{key: c, operator: In, values: [x, z]}]}",
            "{matchExpressions: [{key: c, operator: In, values: [x]}]}",
        ),
        (
            SelectorMisreading::NotInNeedsKey,
            "{matchExpressions: [{key: c, operator: NotIn, values: [x]}]}",
            "{matchExpressions: [{key: c, operator: NotIn, values: [x]}, {key: c, operator: Exists}]}",
        ),
        (
            SelectorMisreading::NotInAsIn,
            "{matchExpressions: [{key: c, operator: NotIn, values: [x]}]}",
            "{matchExpressions: [{key: c, operator: In, values: [x]}]}",
        ),
        (
            SelectorMisreading::DoesNotExistAsExists,
            "{matchExpressions: [{key: c, operator: DoesNotExist}]}",
            "{matchExpressions: [{key: c, operator: Exists}]}",
        ),
        (
            SelectorMisreading::ExistsIgnored,
            "{matchExpressions: [{key: c, operator: Exists}]}",
            "{matchExpressions: []}",
        ),
    ];
    for (misreading, before, after) in cases {
        becomes(
            |snapshot| misreading.reread(snapshot),
            &rule(before),
            &rule(after),
        );
    }
}

#[test]
fn policies() {
    let cases = [
        (
            PolicyMisreading::TypesIgnored,
            "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
            "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}]}",
        ),
        (
            PolicyMisreading::MissingTypesAreBoth,
            "{podSelector: {}}",
            "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        ),
        (
            PolicyMisreading::OnlyIngressOfBoth,
            "{podSelector: {}, policyTypes: [Ingress, Egress]}",
            "{podSelector: {}, policyTypes: [Ingress]}",
        ),
        (
            PolicyMisreading::DirectionsSwapped,
            "{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}",
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}",
        ),
    ];
    for (misreading, before, after) in cases {
        becomes(|snapshot| misreading.reread(snapshot), before, after);
    }
    let one = cluster("{podSelector: {}}");
    assert!(PolicyMisreading::LastOneMissing.reread(&one).policies.is_empty());
    assert_eq!(
        PolicyMisreading::NamespaceIgnored.reread(&one).policies.len(),
        one.namespaces.len()
    );
}
