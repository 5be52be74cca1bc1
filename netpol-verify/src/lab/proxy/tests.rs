//! The rules of Services: what they say, and that `nft` takes them.

use std::{path::Path, process::Command};

use super::{
    plan::{Side, doors},
    render::render,
};
use crate::{
    cluster::{ClusterState, Loaded, Snapshot},
    lab::{LabNode, Netns},
};

const WORLD: &str = "apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: a}}, spec: {nodeName: node1, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}, status: {podIPs: [{ip: 10.244.1.2}, {ip: 'fd00:244:1::2'}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x, labels: {app: a}}, spec: {nodeName: node2, containers: [{name: c, ports: [{name: web, containerPort: 81}]}]}, status: {podIPs: [{ip: 10.244.2.2}, {ip: 'fd00:244:2::2'}]}}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: x}
  spec: {clusterIPs: [10.96.0.1, 'fd00:96::1'], selector: {app: a}, ports: [{name: http, port: 8080, targetPort: web}, {name: dns, port: 53, protocol: UDP}]}
- apiVersion: v1
  kind: Service
  metadata: {name: local, namespace: x}
  spec: {type: NodePort, externalTrafficPolicy: Local, clusterIPs: [10.96.0.2], selector: {app: a}, ports: [{port: 80, targetPort: web, nodePort: 30080}]}
- apiVersion: v1
  kind: Service
  metadata: {name: direct, namespace: x}
  spec: {clusterIP: None, selector: {app: a}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: nobody, namespace: x}
  spec: {type: NodePort, clusterIPs: [10.96.0.3], selector: {app: z}, ports: [{port: 80, nodePort: 30081}]}
";

fn world() -> Snapshot {
    let loaded = Loaded::from_text(WORLD, Path::new("world"));
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut state = ClusterState::default();
    state.apply(loaded.objects);
    state.snapshot()
}

fn node(number: u8) -> LabNode {
    LabNode {
        name: format!("node{number}"),
        netns: "/run/netns/none".into(),
        addresses: vec![
            format!("10.99.0.{number}").parse().unwrap(),
            format!("fd00:99::{number}").parse().unwrap(),
        ],
        bridge: None,
    }
}

#[test]
fn a_name_of_a_port_is_each_pods_own_number_and_a_family_has_its_own_pods() {
    let doors = doors(&world(), &node(1));
    let at = |address: &str, port: u16| {
        let address: std::net::IpAddr = address.parse().unwrap();
        doors
            .iter()
            .find(|door| door.address == address && door.port == port)
    };
    let behind = |address, port| {
        let door = at(address, port).unwrap();
        door.behind
            .iter()
            .map(|(address, port)| format!("{address} {port}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(behind("10.96.0.1", 8080), ["10.244.1.2 80", "10.244.2.2 81"]);
    assert_eq!(
        behind("fd00:96::1", 8080),
        ["fd00:244:1::2 80", "fd00:244:2::2 81"]
    );
    assert_eq!(behind("10.96.0.1", 53), ["10.244.1.2 53", "10.244.2.2 53"]);
    assert_eq!(behind("10.99.0.1", 30080), ["10.244.1.2 80", "10.244.2.2 81"]);
    let local = at("10.99.0.1", 30080).unwrap();
    assert_eq!((local.side, local.here.len()), (Side::Keeping, 1));
    assert_eq!(at("10.99.0.1", 30081).unwrap().side, Side::Rewriting);
    assert_eq!(behind("10.96.0.3", 80), Vec::<String>::new());
    // Headless Services have no door, and another node's ports are its own.
    assert!(doors.iter().all(|door| door.service != "x/direct"));
    assert!(at("10.99.0.2", 30080).is_none());
}

#[test]
fn nft_takes_the_rules_and_takes_them_back() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: not root");
        return;
    }
    let name = format!("npv-proxy-test-{}", std::process::id());
    let netns = Netns::create(&name).unwrap();
    let nft = |words: &[&str], input: &str| {
        let mut command = Command::new("nft");
        command.args(words);
        let ended = netns.command_with_input(command, input.as_bytes()).unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{said}\n{input}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let text = render(&doors(&world(), &node(2)));
    nft(&["-f", "-"], &text);
    let listed = nft(&["list", "ruleset"], "");
    for part in [
        "table ip npv_service",
        "table ip6 npv_service",
        "dnat to 10.244.1.2:80",
        "masquerade",
    ] {
        assert!(listed.contains(part), "{part}\n{listed}");
    }
    // Loaded again it replaces itself; without doors nothing is left.
    nft(&["-f", "-"], &text);
    assert_eq!(listed, nft(&["list", "ruleset"], ""));
    nft(&["-f", "-"], &render(&[]));
    assert_eq!(nft(&["list", "ruleset"], ""), "");
    drop(netns);
    Netns::remove(&name).unwrap();
}
