//! Kernel tests of namespaces.

use std::{fs, process::Command};

use super::{Netns, NetnsError};
use crate::net::netns_cookie_here;

#[test]
fn a_namespace_is_entered_asked_and_removed() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: not root");
        return;
    }
    let name = format!("npv-{}-9001-netns", std::process::id());
    let ns = Netns::create(&name).unwrap();
    assert!(matches!(Netns::create(&name), Err(NetnsError::Exists { .. })));
    let links = ns
        .run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap())
        .unwrap();
    assert_eq!(
        links.lines().filter(|line| line.contains(':')).count(),
        1,
        "only lo: {links}"
    );

    let cookie = ns.cookie().unwrap();
    let host = netns_cookie_here().unwrap();
    assert_ne!(cookie, host, "the calling thread never left its own namespace");
    assert_eq!(ns.clone().cookie().unwrap(), cookie);

    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let mut command = Command::new("readlink");
    command.arg("/proc/self/ns/net");
    let inside = String::from_utf8(ns.command(command).unwrap().stdout).unwrap();
    assert_ne!(inside.trim(), own.to_str().unwrap());

    assert!(matches!(
        ns.run(|| panic!("on purpose")),
        Err::<(), _>(NetnsError::Work { .. })
    ));
    Netns::remove(&name).unwrap();
    Netns::remove(&name).unwrap();
    assert!(matches!(Netns::open(&name), Err(NetnsError::Open { .. })));
    assert_eq!(Netns::list(&name).unwrap(), Vec::<String>::new());
}

#[test]
fn a_programs_input_and_output_pass_through() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: not root");
        return;
    }
    let name = format!("npv-{}-9002-netns", std::process::id());
    let ns = Netns::create(&name).unwrap();
    let text = vec![b'x'; 300_000];
    let output = ns.command_with_input(Command::new("cat"), &text).unwrap();
    assert_eq!(output.stdout, text);
    assert!(ns.command(Command::new("/no/such/program")).is_err());
    Netns::remove(&name).unwrap();
}
