//! Address blocks: exceptions that lie outside, spellings of old, and blocks that hold pods (R11, R12, R14).

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    code::{BLOCK_HOLDS_PODS, EXCEPT_OUTSIDE, OLD_SPELLING},
    finding::{Finding, counted},
    world::World,
    written::{PeerKind, Written},
};
use crate::cluster::{
    cidr::{is_strict_subset, parse_cidr},
    path::FieldPath,
};

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    for policy in &world.policies {
        let rules = policy.ways().into_iter().flat_map(|way| &way.rules);
        for peer in rules.flat_map(|rule| &rule.peers) {
            if let PeerKind::Block { cidr, except } = &peer.what {
                let mut findings = one(world, cidr, except, &peer.path.key("ipBlock"));
                for finding in &mut findings {
                    *finding = about(finding.clone(), policy);
                }
                out.append(&mut findings);
            }
        }
    }
}

fn about(finding: Finding, policy: &Written<'_>) -> Finding {
    finding.about(policy.object(), Some(policy.place))
}

fn one(world: &World<'_>, cidr: &str, except: &[String], path: &FieldPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(spelling(cidr).map(|finding| finding.at(&path.key("cidr"))));
    let net = parse_cidr(cidr).ok();
    let mut holes = Vec::new();
    for (index, text) in except.iter().enumerate() {
        let path = path.key("except").index(index);
        let hole = parse_cidr(text).ok();
        if let (Some(net), Some(hole)) = (&net, &hole)
            && !is_strict_subset(hole, net)
        {
            let message = format!(
                "{hole} is no part of {net}, or all of it: the API server refuses that, and the entry matches nothing."
            );
            let fix = "Write an exception that is smaller than its block and lies in it; an address outside of the block \
                       needs no exception.";
            findings.push(Finding::new(EXCEPT_OUTSIDE, message, fix).at(&path));
        }
        findings.extend(spelling(text).map(|finding| finding.at(&path)));
        holes.extend(hole);
    }
    if let Some(net) = net {
        findings.extend(holds_pods(world, &net, &holes).map(|finding| finding.at(path)));
    }
    findings
}

/// New API servers refuse these in new objects and keep them in old ones (KEP-4858).
fn spelling(text: &str) -> Option<Finding> {
    let net = parse_cidr(text).ok()?;
    let what = match strict(text) {
        Some((address, _)) if address == net.network() => return None,
        Some((address, _)) if address.is_ipv4() == net.network().is_ipv4() => {
            "has bits set beyond its length"
        }
        Some(_) | None => "is spelled as new API servers refuse it",
    };
    let message = format!("{text} {what}; it is taken as {net}.");
    let fix =
        format!("Write {net} if that is what is meant; a single address ends with /32, or /128 in IPv6.");
    Some(Finding::new(OLD_SPELLING, message, fix))
}

/// Address and length without leading zeros, as the standard library reads addresses.
fn strict(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let has_zero = length.len() > 1 && length.starts_with('0');
    Some((address.parse().ok()?, length.parse().ok()?)).filter(|_| !has_zero)
}

fn holds_pods(world: &World<'_>, net: &IpNet, holes: &[IpNet]) -> Option<Finding> {
    let live = world
        .snapshot
        .pods
        .iter()
        .filter(|pod| !pod.phase.is_terminal() && !pod.host_network);
    let held = live.filter(|pod| {
        let mut ips = pod.ips.iter();
        ips.any(|ip| net.contains(ip) && !holes.iter().any(|hole| hole.contains(ip)))
    });
    let held = held.count();
    if held == 0 {
        return None;
    }
    let message = format!(
        "{net} holds the addresses of {}. By the API they are meant too; Cilium and Terway never match pods by address.",
        counted(held, "pod")
    );
    let fix = "Nothing to mend if pods are not meant to rely on it: select pods by labels, and except the pods' network here \
               if only the outside is meant.";
    Some(Finding::new(BLOCK_HOLDS_PODS, message, fix))
}
