//! A followed cluster against deletions nobody saw, pods made anew, stories that overtake one another, and broken watches.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Denied, Followed, LiveError, Standing, Told,
    resource::{RESOURCES, Resource},
    told,
};
use crate::{
    cluster::{AdminKind, Change, Kind, ObjectKey, ObjectName},
    net::KernelTime,
};

const START: KernelTime = KernelTime(1_000);
const LATER: KernelTime = KernelTime(5_000);

fn put(kind: Kind, object: Value) -> Told {
    told::put(Resource::of(kind).unwrap(), object)
}

fn pod(namespace: &str, name: &str, uid: &str, ip: Option<&str>) -> Told {
    let ips: Vec<Value> = ip.iter().map(|ip| json!({"ip": ip})).collect();
    put(
        Kind::Pod,
        json!({"metadata": {"namespace": namespace, "name": name, "uid": uid}, "status": {"podIPs": ips}}),
    )
}

fn namespace(name: &str, team: &str) -> Told {
    put(
        Kind::Namespace,
        json!({"metadata": {"name": name, "labels": {"team": team}}}),
    )
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    let (namespace, name) = name
        .split_once('/')
        .map_or((None, name), |(space, name)| (Some(space), name));
    ObjectKey {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn listed(kind: Kind, names: &[&str]) -> Told {
    Told::Listed {
        kind,
        keys: names.iter().map(|name| key(kind, name)).collect(),
    }
}

fn unreachable() -> LiveError {
    LiveError::Unreachable {
        server: "https://api.example".to_owned(),
        cause: "refused".to_owned(),
    }
}

fn broken(kind: Kind, why: LiveError) -> Told {
    Told::Broken { kind, why }
}

fn forbidden(kind: Kind) -> LiveError {
    LiveError::Forbidden {
        server: "https://api.example".to_owned(),
        denied: vec![Denied::list(Resource::of(kind).unwrap())],
        said: "no".to_owned(),
    }
}

/// Takes all, and gives what changed: `+Pod shop/web`.
fn take(followed: &mut Followed, told: impl IntoIterator<Item = Told>) -> Vec<String> {
    let changes = told.into_iter().flat_map(|told| followed.take(told, START));
    changes
        .map(|change| match change {
            Change::Added(key) => format!("+{key}"),
            Change::Changed(key) => format!("~{key}"),
            Change::Removed(key) => format!("-{key}"),
        })
        .collect()
}

fn ips(followed: &Followed, name: &str) -> usize {
    let name = ObjectName::new("shop", name);
    followed.state().pod(&name).unwrap().ips.len()
}

/// A cluster with one namespace and one pod, all kinds listed.
fn shop() -> Followed {
    let mut followed = Followed::default();
    take(
        &mut followed,
        [namespace("shop", "a"), pod("shop", "web", "1", Some("10.0.0.1"))],
    );
    for resource in &RESOURCES {
        let names: &[&str] = match resource.object {
            Kind::Namespace => &["shop"],
            Kind::Pod => &["shop/web"],
            _ => &[],
        };
        take(&mut followed, [listed(resource.object, names)]);
    }
    assert!(followed.is_complete());
    followed
}

#[test]
fn a_relist_of_the_same_is_no_change() {
    let mut followed = shop();
    let before = followed.state().generation();
    let again = [
        pod("shop", "web", "1", Some("10.0.0.1")),
        listed(Kind::Pod, &["shop/web"]),
        namespace("shop", "a"),
        listed(Kind::Namespace, &["shop"]),
    ];
    assert_eq!(take(&mut followed, again), [""; 0]);
    assert_eq!(followed.state().generation(), before);
}

#[test]
fn what_went_while_nobody_watched_is_found_at_the_relist() {
    let mut followed = shop();
    take(&mut followed, [pod("shop", "api", "2", None)]);
    let relist = [
        broken(Kind::Pod, unreachable()),
        pod("shop", "new", "3", None),
        listed(Kind::Pod, &["shop/api", "shop/new"]),
    ];
    assert_eq!(take(&mut followed, relist), ["+Pod shop/new", "-Pod shop/web"]);
}

#[test]
fn a_pod_made_anew_is_another_pod_and_has_not_the_old_ones_address() {
    let mut followed = shop();
    let anew = pod("shop", "web", "2", None);
    assert_eq!(take(&mut followed, [anew]), ["-Pod shop/web", "+Pod shop/web"]);
    assert_eq!(ips(&followed, "web"), 0);
}

#[test]
fn a_pod_that_lost_its_address_has_none() {
    let mut followed = shop();
    assert_eq!(
        take(&mut followed, [pod("shop", "web", "1", None)]),
        ["~Pod shop/web"]
    );
    assert_eq!(ips(&followed, "web"), 0);
}

#[test]
fn a_namespaces_end_that_is_told_late_takes_no_new_pod_along() {
    let mut followed = shop();
    let overtaken = [
        Told::Gone(key(Kind::Pod, "shop/web")),
        pod("shop", "web", "2", Some("10.0.0.2")),
        Told::Gone(key(Kind::Namespace, "shop")),
    ];
    assert_eq!(take(&mut followed, overtaken), ["-Pod shop/web", "+Pod shop/web"]);
    assert_eq!(followed.implied_namespaces().collect::<Vec<_>>(), ["shop"]);
    assert_eq!(take(&mut followed, [namespace("shop", "b")]), ["~Namespace shop"]);
    assert_eq!(followed.implied_namespaces().count(), 0);
}

#[test]
fn a_namespace_that_is_gone_goes_with_the_last_that_lived_in_it() {
    let mut followed = shop();
    assert_eq!(
        take(&mut followed, [Told::Gone(key(Kind::Namespace, "shop"))]),
        [""; 0]
    );
    assert_eq!(
        take(&mut followed, [Told::Gone(key(Kind::Pod, "shop/web"))]),
        ["-Pod shop/web", "-Namespace shop"]
    );
    // One that nobody told of, the same way.
    let early = pod("early", "p", "9", None);
    assert_eq!(take(&mut followed, [early]), ["+Namespace early", "+Pod early/p"]);
    assert_eq!(
        take(&mut followed, [listed(Kind::Pod, &[])]),
        ["-Pod early/p", "-Namespace early"]
    );
}

#[test]
fn a_namespace_that_is_told_of_stays_when_it_is_empty() {
    let mut followed = shop();
    assert_eq!(take(&mut followed, [listed(Kind::Pod, &[])]), ["-Pod shop/web"]);
    assert!(followed.state().namespace("shop").is_some());
}

#[test]
fn problems_replace_one_another_and_go_with_their_object() {
    let mut followed = shop();
    let policy = |spec: Value| {
        put(
            Kind::NetworkPolicy,
            json!({"metadata": {"namespace": "shop", "name": "np"}, "spec": spec}),
        )
    };
    let paths = |followed: &Followed| -> Vec<_> {
        followed
            .problems()
            .into_iter()
            .filter_map(|problem| problem.path)
            .collect()
    };
    take(
        &mut followed,
        [policy(json!({"podSelector": {}, "typo": 1, "typo2": 1}))],
    );
    assert_eq!(paths(&followed), ["spec.typo", "spec.typo2"]);
    let name = ObjectName::new("shop", "np");
    assert!(followed.state().policy(&name).is_some());
    // What cannot be taken at all stands for nothing, not for what it was before.
    let broken = take(&mut followed, [policy(json!({"podSelector": 7}))]);
    assert_eq!(broken, ["-NetworkPolicy shop/np"]);
    assert_eq!(paths(&followed), ["spec.podSelector"]);
    take(&mut followed, [listed(Kind::NetworkPolicy, &[])]);
    assert_eq!(followed.problems(), []);
    take(
        &mut followed,
        [
            policy(json!({"typo": 1})),
            Told::Gone(key(Kind::NetworkPolicy, "shop/np")),
        ],
    );
    assert_eq!(followed.problems(), []);
}

#[test]
fn a_broken_kind_says_since_when_and_why_until_it_is_listed() {
    let mut followed = shop();
    followed.take(broken(Kind::Pod, unreachable()), LATER);
    let last = LiveError::Unauthorized {
        server: "https://api.example".to_owned(),
        said: "expired".to_owned(),
    };
    followed.take(broken(Kind::Pod, last.clone()), KernelTime(6_000));
    // What a relist finds on its way does not make the kind whole.
    followed.take(pod("shop", "api", "2", None), KernelTime(6_500));
    followed.take(Told::Alive(Kind::Pod), KernelTime(6_500));
    assert_eq!(
        followed.standing(Kind::Pod),
        &Standing::Broken {
            since: LATER,
            heard: Some(START),
            why: last
        }
    );
    assert!(followed.is_complete(), "it is known, and old");
    assert_eq!(followed.stalest().map(|(_, heard)| heard), Some(START));
    let problems = followed.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("401"), "{}", problems[0]);
    let relisted = KernelTime(7_000);
    followed.take(listed(Kind::Pod, &["shop/web", "shop/api"]), relisted);
    assert_eq!(followed.standing(Kind::Pod), &Standing::Known { heard: relisted });
    assert_eq!(followed.problems(), []);
}

#[test]
fn who_is_silent_longest_is_named() {
    let mut followed = shop();
    for resource in RESOURCES.iter().filter(|it| it.object != Kind::Service) {
        followed.take(Told::Alive(resource.object), LATER);
    }
    assert_eq!(followed.stalest(), Some((Kind::Service, START)));
}

#[test]
fn a_cluster_is_complete_when_nothing_is_awaited_that_it_needs() {
    let optional = Kind::AdminPolicy(AdminKind::ClusterNetworkPolicy);
    for missing in [Kind::Pod, optional] {
        let mut followed = Followed::default();
        for resource in RESOURCES.iter().filter(|it| it.object != missing) {
            assert!(!followed.is_complete());
            take(&mut followed, [listed(resource.object, &[])]);
        }
        assert!(!followed.is_complete(), "{missing} is awaited");
        take(&mut followed, [broken(missing, unreachable())]);
        assert!(!followed.is_complete(), "{missing} was never seen");
        take(&mut followed, [broken(missing, forbidden(missing))]);
        assert_eq!(
            followed.is_complete(),
            !Followed::is_required(missing),
            "{missing}"
        );
        let told = followed.problems();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].message.contains("kubectl auth can-i list"), "{}", told[0]);
    }
}

#[test]
fn a_kind_that_is_served_no_more_leaves_nothing() {
    let kind = Kind::AdminPolicy(AdminKind::ClusterNetworkPolicy);
    let mut followed = shop();
    let policy = json!({"metadata": {"name": "first"}, "spec": {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}}});
    assert_eq!(
        take(&mut followed, [put(kind, policy)]),
        ["+ClusterNetworkPolicy first"]
    );
    let absent = Told::Absent { kind, lacks: None };
    assert_eq!(take(&mut followed, [absent]), ["-ClusterNetworkPolicy first"]);
    assert!(followed.is_complete() && followed.problems().is_empty());
    let lacks = Some("is served as v9 only".to_owned());
    take(&mut followed, [Told::Absent { kind, lacks }]);
    assert_eq!(followed.problems().len(), 1);
    let none: BTreeSet<ObjectKey> = BTreeSet::new();
    take(&mut followed, [Told::Listed { kind, keys: none }]);
    assert_eq!(followed.problems(), []);
}
