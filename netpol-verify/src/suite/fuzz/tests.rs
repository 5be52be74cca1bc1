//! What is drawn: lawful, the same each time, and of every field.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    asked::patterns,
    cluster::{Cluster, snapshot},
    dice::Dice,
    draw::draw,
    prune::{only_the_ends, parts, without_empty_namespaces},
};
use crate::{
    cluster::path::Step,
    finding::{JudgedAttempt, Path, Verdict},
};

const MANY: u64 = 400;

#[test]
fn every_drawn_cluster_would_be_taken_by_an_api_server() {
    for number in 0..MANY {
        let cluster = draw(7, number);
        assert!(cluster.objects().is_some(), "{number}: {}", cluster.to_yaml());
        assert!((3..=8).contains(&cluster.count("Pod")), "{number}");
        assert!((1..=4).contains(&cluster.count("NetworkPolicy")), "{number}");
    }
}

#[test]
fn a_cluster_follows_from_its_seed_and_number_alone() {
    let text = draw(1, 3).to_yaml();
    assert_eq!(text, draw(1, 3).to_yaml());
    assert_ne!(text, draw(1, 4).to_yaml());
    assert_ne!(text, draw(2, 3).to_yaml());
    let asked = |seed| patterns(&snapshot(&draw(1, 3).objects().unwrap()), &mut Dice::new(seed, 3));
    assert_eq!(asked(9), asked(9));
    assert!(!asked(9).is_empty());
}

/// Every key and every word of a manifest, by the path that leads to it.
fn words(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = format!("{path}.{key}");
                found.insert(path.clone());
                words(inner, &path, found);
            }
        }
        Value::Array(list) if list.is_empty() => drop(found.insert(format!("{path}=[]"))),
        Value::Array(list) => list.iter().for_each(|inner| words(inner, path, found)),
        Value::String(text) => drop(found.insert(format!("{path}={text}"))),
        _ => {}
    }
}

#[test]
fn every_field_is_drawn_and_every_word_for_it() {
    let mut found = BTreeSet::new();
    for number in 0..MANY {
        for manifest in draw(7, number).manifests {
            words(&manifest, "", &mut found);
        }
    }
    let mut lacking: Vec<String> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let spec = format!(".spec.{rules}");
        wanted.extend([
            format!("{spec}=[]"),
            format!("{spec}.{peers}=[]"),
            format!("{spec}.ports=[]"),
        ]);
        for selector in ["podSelector", "namespaceSelector"] {
            let selector = format!("{spec}.{peers}.{selector}");
            wanted.push(format!("{selector}.matchLabels.app"));
            for operator in ["In", "NotIn", "Exists", "DoesNotExist"] {
                wanted.push(format!("{selector}.matchExpressions.operator={operator}"));
            }
        }
        wanted.push(format!(
            "{spec}.{peers}.namespaceSelector.matchLabels.kubernetes.io/metadata.name"
        ));
        wanted.push(format!("{spec}.{peers}.ipBlock.except"));
        wanted.push(format!("{spec}.{peers}.ipBlock.cidr=0.0.0.0/0"));
        wanted.push(format!("{spec}.{peers}.ipBlock.cidr=::/0"));
        for port in [
            "endPort",
            "port=web",
            "protocol=TCP",
            "protocol=UDP",
            "protocol=SCTP",
        ] {
            wanted.push(format!("{spec}.ports.{port}"));
        }
    }
    for other in [
        ".spec.podSelector.matchLabels.team",
        ".spec.podSelector.matchExpressions.operator=DoesNotExist",
        ".spec.policyTypes=Ingress",
        ".spec.policyTypes=Egress",
        ".spec.initContainers.restartPolicy=Always",
        ".spec.containers.ports.name=web",
        ".spec.hostNetwork",
        ".status.phase=Succeeded",
        ".status.phase=Failed",
        ".status.phase=Pending",
    ] {
        wanted.push(other.to_owned());
    }
    lacking.extend(wanted.into_iter().filter(|one| !found.contains(one)));
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn whatever_is_left_out_one_thing_less_is_there_and_pods_stay_whole() {
    let cluster = draw(7, 11);
    let all = parts(&cluster);
    assert!(all.len() > 20, "{}", all.len());
    let count = |cluster: &Cluster| cluster.to_yaml().len();
    for part in &all {
        let less = cluster.without(part).unwrap();
        assert!(count(&less) <= count(&cluster), "{part:?}");
        assert_ne!(less, cluster, "{part:?}");
        for pod in less.manifests.iter().filter(|one| one["kind"] == "Pod") {
            assert!(
                !pod["spec"]["containers"].as_array().unwrap().is_empty(),
                "{part:?}"
            );
            assert_eq!(pod["status"]["podIPs"].as_array().unwrap().len(), 2, "{part:?}");
        }
        for policy in less.manifests.iter().filter(|one| one["kind"] == "NetworkPolicy") {
            assert!(policy["spec"]["podSelector"].is_object(), "{part:?}");
        }
    }
    assert_eq!(cluster.without(&[Step::Index(99)]), None);
}

fn between(from: &str, to: &str) -> JudgedAttempt {
    JudgedAttempt {
        path: Path::CrossNode,
        ..JudgedAttempt::example(from, to, Verdict::Leak)
    }
}

#[test]
fn the_ends_of_an_attempt_are_kept_with_their_policies_and_nothing_else() {
    let cluster = draw(7, 11);
    let names: Vec<String> = cluster
        .manifests
        .iter()
        .filter(|one| one["kind"] == "Pod")
        .map(|pod| {
            let metadata = &pod["metadata"];
            format!(
                "{}/{}",
                metadata["namespace"].as_str().unwrap(),
                metadata["name"].as_str().unwrap()
            )
        })
        .collect();
    let attempt = between(&names[0], &names[1]);
    let ends = without_empty_namespaces(&only_the_ends(&cluster, &attempt));
    assert_eq!(ends.count("Pod"), 2);
    let namespaces: BTreeSet<&str> = names[..2]
        .iter()
        .map(|name| name.split_once('/').unwrap().0)
        .collect();
    assert_eq!(ends.count("Namespace"), namespaces.len());
    let policies = ends.manifests.iter().filter(|one| one["kind"] == "NetworkPolicy");
    for policy in policies {
        assert!(namespaces.contains(policy["metadata"]["namespace"].as_str().unwrap()));
    }
}
