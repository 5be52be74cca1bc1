//! Whom packets were for, in a small cluster as the API and the sensors tell it.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Ears, World,
    destination::{Destination, destination},
};
use crate::{
    bus::{Announcement, InterfaceState, Message, NodeFacts, Origin, SensorFacts, WatchedInterface},
    cluster::{Kind, Loaded, Told},
    flow::Patience,
    net::{Ifindex, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
    policy::End,
};

const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: one}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, uid: uid-a, labels: {app: web}}
spec: {nodeName: one, containers: [{name: c}]}
status: {podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop, uid: uid-b, labels: {app: web}}
spec: {nodeName: one, containers: [{name: c}]}
status: {podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: over, namespace: shop, uid: uid-over}
spec: {nodeName: one, containers: [{name: c}]}
status: {phase: Succeeded, podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-one, namespace: shop}
status: {podIPs: [{ip: 10.0.0.7}]}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-two, namespace: shop}
status: {podIPs: [{ip: 10.0.0.7}]}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

/// The namespaces of the two pods that are watched.
fn home(number: u64) -> Netns {
    Netns {
        node: NodeId(0),
        cookie: NetnsCookie(number),
    }
}

fn world() -> World {
    let mut world = World::default();
    let loaded = Loaded::from_text(CLUSTER, "-".as_ref());
    assert_eq!(loaded.problems, []);
    for object in loaded.objects {
        let told = Told::Put {
            key: object.key(),
            object: Some(Box::new(object)),
            problems: Vec::new(),
        };
        world.take(told, KernelTime(1));
    }
    let mut ears = Ears::new(Patience::default(), None);
    let origin = Origin {
        node: "one".into(),
        session: 1,
    };
    let mut say = |message| ears.take(&message, KernelTime(1), |_| {});
    say(Message::Node(NodeFacts {
        origin: origin.clone(),
        facts: SensorFacts::default(),
    }));
    for (cookie, pods) in [(1, &["uid-a"][..]), (2, &["uid-b"]), (3, &["uid-a", "uid-b"])] {
        say(Message::Announcement(Announcement {
            origin: origin.clone(),
            interface: WatchedInterface {
                netns: NetnsCookie(cookie),
                netns_name: format!("cni-{cookie}"),
                pods: pods.iter().map(|uid| (*uid).to_owned()).collect::<BTreeSet<_>>(),
                ifindex: Ifindex(2),
                ifname: "eth0".to_owned(),
                addresses: Vec::new(),
                state: InterfaceState::Watched { since: KernelTime(1) },
            },
        }));
    }
    world.identify(&ears);
    world
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn of(world: &World, dialled: &str, arrived: &[(u64, &str)]) -> Destination {
    let arrived = arrived.iter().map(|(cookie, to)| (home(*cookie), at(to)));
    destination(world, Protocol::Tcp, at(dialled), arrived)
}

/// The pods and ports that it may have been for.
fn pods(found: &Destination) -> Vec<String> {
    let Destination::Pods { targets, .. } = found else {
        panic!("{found:?}")
    };
    targets
        .iter()
        .map(|target| format!("{}:{}", target.pod, target.port))
        .collect()
}

fn why(found: &Destination) -> &str {
    match found {
        Destination::Unclear(why) | Destination::Open(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_it_arrived_outweighs_what_was_dialled() {
    let world = world();
    let found = of(
        &world,
        "10.96.0.1:80",
        &[(2, "10.0.0.2:8080"), (2, "10.0.0.2:8080")],
    );
    assert_eq!(pods(&found), ["shop/b:8080"]);
    let Destination::Pods { targets, service } = found else {
        unreachable!()
    };
    let via = targets[0].via.clone().unwrap();
    assert_eq!(
        (via.dialled, service, targets[0].home),
        (Some(at("10.96.0.1:80")), None, Some(home(2)))
    );
}

#[test]
fn before_translation_a_service_is_all_of_its_pods() {
    let found = of(&world(), "10.96.0.1:80", &[]);
    assert_eq!(pods(&found), ["shop/a:8080", "shop/b:8080"]);
    assert!(why(&of(&world(), "10.96.0.1:81", &[])).contains("has no port 81/TCP"));
}

#[test]
fn an_address_is_the_pods_that_is_alive_and_has_it_alone() {
    let world = world();
    assert_eq!(pods(&of(&world, "10.0.0.2:80", &[])), ["shop/b:80"]);
    assert!(why(&of(&world, "10.0.0.7:80", &[])).starts_with("2 pods have"));
}

#[test]
fn what_is_nobodys_is_a_node_or_outside() {
    let world = world();
    let node = End::Node {
        name: "one".to_owned(),
        address: at("192.168.0.1:1").ip(),
    };
    assert_eq!(
        of(&world, "192.168.0.1:443", &[]),
        Destination::Elsewhere { end: node, port: 443 }
    );
    assert_eq!(
        of(&world, "198.51.100.1:443", &[]),
        Destination::Elsewhere {
            end: End::Address(at("198.51.100.1:1").ip()),
            port: 443
        }
    );
    for everybody in [
        "224.0.0.251:5353",
        "255.255.255.255:67",
        "[ff02::1]:1",
        "[fe80::1]:1",
    ] {
        assert_eq!(of(&world, everybody, &[]), Destination::Unaddressed);
    }
}

#[test]
fn where_identity_is_not_certain_nothing_is_said() {
    let world = world();
    assert!(why(&of(&world, "10.0.0.2:80", &[(9, "10.0.0.2:80")])).contains("no known pod"));
    assert!(why(&of(&world, "10.0.0.2:80", &[(3, "10.0.0.2:80")])).contains("more than one pod"));
    assert!(
        why(&of(&world, "198.51.100.1:80", &[(1, "198.51.100.1:80")])).contains("not that pod's address")
    );
    assert!(
        why(&of(
            &world,
            "10.0.0.2:80",
            &[(1, "10.0.0.1:80"), (2, "10.0.0.2:80")]
        ))
        .contains("more than one place")
    );
}

#[test]
fn an_address_that_was_a_pods_until_just_now_is_not_taken_for_outside() {
    let mut world = world();
    let key = Loaded::from_text(CLUSTER, "-".as_ref())
        .objects
        .iter()
        .map(crate::cluster::Object::key)
        .find(|key| key.kind == Kind::Pod && key.name == "a")
        .unwrap();
    world.take(Told::Gone(key), KernelTime(5));
    world.identify(&Ears::new(Patience::default(), None));
    assert!(why(&of(&world, "10.0.0.1:80", &[])).contains("until Pod shop/a changed"));
}
