//! A small cluster for the tests of lint, and a short way to say what must be found in it.

use std::path::Path;

use super::{Finding, Severity, Subject, lint};
use crate::{
    cluster::{Loaded, Problem},
    policy::{PolicySet, compile},
};

/// A shop under no policy yet, another namespace, and the cluster's DNS. `web` has two replicas.
pub(super) const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: red}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: 80}]}]}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: 80}]}]}, status: {podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: database}}, spec: {containers: [{ports: [{name: sql, containerPort: 5432}, {name: stats, containerPort: 9, protocol: UDP}]}]}, status: {podIP: 10.0.0.3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: probe, namespace: other, labels: {app: probe}}, status: {podIP: 10.0.0.4}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: other, labels: {app: agent}}, spec: {hostNetwork: true}, status: {podIP: 192.0.2.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: job, namespace: shop, labels: {app: job}}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Pod, metadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}, spec: {containers: [{ports: [{name: dns, containerPort: 53, protocol: UDP}]}]}, status: {podIP: 10.0.0.5}}
";

/// A NetworkPolicy of `shop` with this `spec`; several are named `p1`, `p2`, …
pub(super) fn policies(specs: &[&str]) -> String {
    let one = |(index, spec): (usize, &&str)| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{}, namespace: shop}}\nspec: {spec}\n",
            index + 1
        )
    };
    specs.iter().enumerate().map(one).collect()
}

/// A ClusterNetworkPolicy with this `spec`; several are named `c1`, `c2`, …
pub(super) fn cluster_policies(specs: &[&str]) -> String {
    let one = |(index, spec): (usize, &&str)| {
        format!(
            "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: c{}}}\nspec: {spec}\n",
            index + 1
        )
    };
    specs.iter().enumerate().map(one).collect()
}

/// Everything that is found in manifests; `is_whole` as in [`Subject`].
pub(super) fn found(yaml: &str, is_whole: bool) -> Vec<Finding> {
    let mut loaded = Loaded::from_text(yaml, Path::new("test.yaml"));
    let locator = loaded.take_locator();
    let (snapshot, mut problems) = loaded.into_snapshot();
    let (set, mut more): (PolicySet, Vec<Problem>) = compile(&snapshot);
    locator.settle_problems(&mut more);
    problems.extend(more);
    lint(Subject {
        snapshot: &snapshot,
        set: &set,
        problems: &problems,
        locator: &locator,
        is_whole,
        intent: None,
    })
}

/// `NPL005 p1 spec.podSelector`, but for what is only worth knowing about pods and namespaces without policies.
pub(super) fn words(findings: &[Finding]) -> Vec<String> {
    let about_policies = findings
        .iter()
        .filter(|it| !(it.severity == Severity::Info && it.place.is_none()));
    about_policies
        .map(|it| {
            let object = it.object.as_deref().unwrap_or_default();
            let name = object.rsplit(['/', ' ']).next().unwrap_or_default();
            format!("{} {name} {}", it.code, it.path.as_deref().unwrap_or("-"))
        })
        .collect()
}

/// Expects exactly these findings in the world under policies of `shop` with these specs.
pub(super) fn check(claim: &str, specs: &[&str], expected: &[&str]) {
    check_text(claim, &policies(specs), expected);
}

/// The same with whole manifests beside the world.
pub(super) fn check_text(claim: &str, manifests: &str, expected: &[&str]) {
    let findings = found(&format!("{WORLD}{manifests}"), true);
    assert_eq!(words(&findings), expected, "{claim}: {findings:#?}");
    for finding in &findings {
        assert!(
            !finding.message.is_empty() && !finding.fix.is_empty(),
            "{finding:?}"
        );
    }
}
