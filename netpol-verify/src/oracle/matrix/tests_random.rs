//! What is streamed, counted and compared by groups is what asking about each pair by itself gives.

use std::{collections::BTreeMap, fmt::Write as _};

use proptest::prelude::*;

use super::{
    By, Counts, Diff, DiffDocument, Expect, Port, Selection, View,
    tests::{World, rows, written},
};
use crate::{
    cluster::Pod,
    net::Family,
    policy::{Decision, End, Expectation, Traffic},
};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];
const PORT: &str = "80";

/// A pod: namespace, label, node, addresses (none, IPv4, IPv6, both), whether it is on its node's network, its workload.
type Shape = (u8, u8, u8, u8, bool, u8);

fn shape() -> impl Strategy<Value = Shape> {
    (
        0..2_u8,
        0..3_u8,
        0..3_u8,
        0..5_u8,
        prop::bool::weighted(0.25),
        0..3_u8,
    )
}

fn pods(shapes: &[Shape]) -> String {
    let mut text = String::new();
    for node in 1..3 {
        let _ = writeln!(
            text,
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: node-{node}, labels: {{zone: z{node}}}}}, status: {{addresses: \
             [{{type: InternalIP, address: 192.0.2.{node}}}]}}}}"
        );
    }
    for (number, (namespace, app, node, addresses, is_on_host, workload)) in shapes.iter().enumerate() {
        let (four, six) = match (is_on_host, node) {
            (true, 1 | 2) => (format!("192.0.2.{node}"), format!("fd00:1::{node}")),
            _ => (format!("10.0.0.{number}"), format!("fd00::{number}")),
        };
        let ips = match addresses {
            0 => String::new(),
            1 => format!("{{ip: {four}}}"),
            2 => format!("{{ip: '{six}'}}"),
            _ => format!("{{ip: {four}}}, {{ip: '{six}'}}"),
        };
        let node = if *node == 0 {
            String::new()
        } else {
            format!("nodeName: node-{node}, ")
        };
        let owner = if *workload == 0 {
            String::new()
        } else {
            format!(
                ", ownerReferences: [{{apiVersion: apps/v1, kind: DaemonSet, name: w{workload}, uid: u, controller: true}}]"
            )
        };
        let _ = writeln!(
            text,
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number:02}, namespace: ns{namespace}, labels: {{app: a{app}}}{owner}}}, spec: \
             {{{node}hostNetwork: {is_on_host}, containers: [{{ports: [{{name: http, containerPort: 80}}]}}]}}, status: {{podIPs: [{ips}]}}}}"
        );
    }
    text
}

fn policies() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("{}"),
        Just("{matchLabels: {app: a0}}"),
        Just("{matchLabels: {app: a1}}")
    ];
    let peer = prop_oneof![
        Just("{podSelector: {matchLabels: {app: a0}}}"),
        Just("{namespaceSelector: {}}"),
        Just("{ipBlock: {cidr: 10.0.0.0/29}}"),
        Just("{ipBlock: {cidr: 'fd00::/16', except: ['fd00::2/128']}}"),
        Just("{ipBlock: {cidr: 192.0.2.1/32}}"),
    ];
    let port = prop_oneof![
        Just(""),
        Just(", ports: [{port: http}]"),
        Just(", ports: [{port: 81}]")
    ];
    let one = (
        0..2_u8,
        selector.clone(),
        any::<bool>(),
        prop::collection::vec((peer, port), 0..3),
    );
    let ones = prop::collection::vec(one, 0..4);
    let action = prop_oneof![Just("Accept"), Just("Deny"), Just("Pass")];
    let nodes = prop_oneof![
        Just("{nodes: {matchLabels: {zone: z1}}}"),
        Just("{networks: [10.0.0.0/30]}"),
        Just("{namespaces: {}}")
    ];
    let cluster = prop::collection::vec((selector, action, nodes, 1..3_u8), 0..2);
    (ones, cluster).prop_map(|(ones, cluster)| {
        let mut text = String::new();
        for (number, (namespace, selector, is_egress, rules)) in ones.iter().enumerate() {
            let (kind, list, ends) = if *is_egress { ("Egress", "egress", "to") } else { ("Ingress", "ingress", "from") };
            let rules: Vec<String> = rules.iter().map(|(peer, port)| format!("{{{ends}: [{peer}]{port}}}")).collect();
            let _ = writeln!(
                text,
                "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: n{number}, namespace: ns{namespace}}}, spec: \
                 {{podSelector: {selector}, policyTypes: [{kind}], {list}: [{}]}}}}",
                rules.join(", ")
            );
        }
        for (number, (selector, action, peer, priority)) in cluster.iter().enumerate() {
            let _ = writeln!(
                text,
                "---\n{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: c{number}}}, spec: {{tier: \
                 Admin, priority: {priority}, subject: {{pods: {{namespaceSelector: {{}}, podSelector: {selector}}}}}, egress: [{{action: {action}, \
                 to: [{peer}]}}]}}}}"
            );
        }
        text
    })
}

/// What one pair is answered in each family that it has, asked by itself.
fn asked(world: &World, from: &Pod, to: &Pod) -> BTreeMap<Family, Decision> {
    let end = |pod: &Pod, family| match (pod.ips.is_empty(), pod.address(family)) {
        (false, None) => None,
        (_, address) => Some(End::Pod {
            name: pod.name.clone(),
            address,
        }),
    };
    let port: Port = PORT.parse().unwrap();
    let ends = FAMILIES
        .into_iter()
        .filter_map(|family| Some((family, end(from, family)?, end(to, family)?)));
    ends.map(|(family, from, to)| {
        let traffic = Traffic::direct(from, to, port.protocol, port.number);
        (family, world.set.decide(&traffic))
    })
    .collect()
}

fn word(decision: &Decision) -> Expect {
    match decision.expectation {
        Expectation::Allow => Expect::Allow,
        Expectation::Deny => Expect::Deny,
        Expectation::Unspecified(_) => Expect::Unspecified,
    }
}

/// Every pair of pods, once.
fn pairs(world: &World) -> Vec<(&Pod, &Pod)> {
    let mut pods: Vec<&Pod> = world.snapshot.pods.iter().collect();
    pods.sort_by(|one, other| one.name.cmp(&other.name));
    let of = |from: &'_ usize| *from;
    let all = 0..pods.len();
    all.clone()
        .flat_map(|from| all.clone().map(move |to| (of(&from), of(&to))))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (pods[from], pods[to]))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn rows_and_counts_are_what_each_pair_is_answered(shapes in prop::collection::vec(shape(), 2..9), policies in policies()) {
        let world = World::of(&(pods(&shapes) + &policies));
        let ports = [PORT.parse().unwrap()];
        let view = world.view(By::Pod);
        let mut expected = Vec::new();
        let mut counts = Counts::default();
        for (from, to) in pairs(&world) {
            let answers = asked(&world, from, to);
            let row = |family, decision: &Decision| {
                (from.name.to_string(), to.name.to_string(), family, word(decision), decision.by())
            };
            let words: Vec<Expect> = answers.values().map(word).collect();
            counts.pairs += u64::from(!words.is_empty());
            match words.as_slice() {
                [] => {}
                [one, other] if one != other => counts.differ += 1,
                [Expect::Allow, ..] => counts.allowed += 1,
                [Expect::Deny, ..] => counts.denied += 1,
                [Expect::Unspecified, ..] => counts.unspecified += 1,
            }
            let rows: Vec<_> = answers.iter().map(|(family, decision)| row(Some(*family), decision)).collect();
            match rows.as_slice() {
                [one, other] if (one.3, &one.4) == (other.3, &other.4) => expected.push((one.0.clone(), one.1.clone(), None, one.3, one.4.clone())),
                [one] => expected.push((one.0.clone(), one.1.clone(), None, one.3, one.4.clone())),
                _ => expected.extend(rows),
            }
        }
        let document = rows(&view, &ports);
        let found: Vec<_> = document.rows.into_iter()
            .map(|row| (row.from, row.to, row.answer.family, row.answer.expect, row.answer.by))
            .collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(view.counts(ports[0]), counts);
    }

    #[test]
    fn workloads_add_up_to_their_pods(shapes in prop::collection::vec(shape(), 2..9), policies in policies()) {
        let world = World::of(&(pods(&shapes) + &policies));
        let ports = [PORT.parse().unwrap()];
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        let named = |pod: &Pod| match &pod.workload {
            Some(workload) => format!("{}/{workload}", pod.name.namespace),
            None => pod.name.to_string(),
        };
        let names: BTreeMap<String, String> = world.snapshot.pods.iter().map(|pod| (pod.name.to_string(), named(pod))).collect();
        for row in rows(&world.view(By::Pod), &ports).rows {
            let answer = (names[&row.from].clone(), names[&row.to].clone(), row.answer.family, row.answer.expect, row.answer.by);
            *expected.entry(format!("{answer:?}")).or_default() += 1;
        }
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows(&world.view(By::Workload), &ports).rows {
            let answer = (row.from, row.to, row.answer.family, row.answer.expect, row.answer.by);
            *found.entry(format!("{answer:?}")).or_default() += row.answer.pairs.unwrap();
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_comparison_is_what_both_sides_answer_each_pair(
        shapes in prop::collection::vec((shape(), shape(), any::<bool>()), 2..8),
        before in policies(),
        after in policies(),
    ) {
        // A pod that differs only in its node and addresses is still the same pod.
        let one: Vec<Shape> = shapes.iter().map(|(one, ..)| *one).collect();
        let other: Vec<Shape> = shapes.iter().map(|(one, two, moves)| {
            if *moves { (one.0, one.1, two.2, two.3, two.4, one.5) } else { *one }
        }).collect();
        let (before, after) = (World::of(&(pods(&one) + &before)), World::of(&(pods(&other) + &after)));
        let mut expected = Vec::new();
        for (from, to) in pairs(&before) {
            let (Some(new_from), Some(new_to)) = (after.snapshot.pod(&from.name), after.snapshot.pod(&to.name)) else { continue };
            let (old, new) = (asked(&before, from, to), asked(&after, new_from, new_to));
            let both: Vec<_> = FAMILIES.into_iter()
                .filter_map(|family| Some((family, old.get(&family)?, new.get(&family)?)))
                .map(|(family, old, new)| (family, word(old), word(new), old.by(), new.by()))
                .collect();
            let are_alike = both.iter().all(|one| (&one.1, &one.2, &one.3, &one.4) == (&both[0].1, &both[0].2, &both[0].3, &both[0].4));
            let shown = if are_alike { 1 } else { 2 };
            for (family, old, new, by_old, by_new) in both.into_iter().take(shown).filter(|one| one.1 != one.2) {
                expected.push((from.name.to_string(), to.name.to_string(), (!are_alike).then_some(family), old, new, by_old, by_new));
            }
        }
        let view = View::new(vec![before.cluster(), after.cluster()], &Selection::default(), By::Pod, false);
        let diff = Diff::new(&view, vec![PORT.parse().unwrap()]);
        let document: DiffDocument = serde_json::from_str(&written(|out| diff.json(out))).unwrap();
        let counted: u64 = [super::Effect::Opened, super::Effect::Closed, super::Effect::BecameUnspecified]
            .into_iter().map(|effect| diff.count(effect)).sum();
        prop_assert_eq!(counted, expected.len() as u64);
        let found: Vec<_> = document.rows.into_iter()
            .map(|row| (row.from, row.to, row.change.family, row.change.before, row.change.after, row.change.by_before, row.change.by_after))
            .collect();
        prop_assert_eq!(found, expected);
    }
}
