//! What each fault of accepted traffic makes of an attempt: the policies written as the fault reads them, or a peer taken for a
//! stranger.

use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyPort},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{super::prediction::Made, AcceptFault, fell_out};
use crate::{
    cluster::{Pod, Snapshot},
    lab::fault::{
        attempt::{Attempt, Sides},
        policies::{RuleText, each_rule, each_spec},
    },
    net::{Family, Protocol},
};

impl AcceptFault {
    /// What it makes of an attempt.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let snapshot = &attempt.world.snapshot;
        let sides = match self {
            Self::EntriesMissing => {
                let strangers = attempt.required_of_strangers()?;
                let (from, to) = (attempt.from_address, attempt.to_address);
                Sides {
                    egress: if fell_out(from, to) {
                        strangers.egress
                    } else {
                        required.egress
                    },
                    ingress: if fell_out(to, from) {
                        strangers.ingress
                    } else {
                        required.ingress
                    },
                }
            }
            // The lab gives IPv4 first.
            Self::SecondAddressMissing if attempt.family == Family::Ipv6 => {
                attempt.required_of_strangers()?
            }
            Self::SecondAddressMissing => required,
            Self::OnlyTcpFiltered => required.unless(attempt.protocol != Protocol::Tcp),
            Self::SctpOpen => required.unless(attempt.protocol == Protocol::Sctp),
            Self::NamedPortFromSource => {
                let (from, to) = attempt.pods();
                let confused = to.map(|to| Pod {
                    ports: from.map(|from| from.ports.clone()).unwrap_or_default(),
                    ..to.clone()
                });
                Sides {
                    ingress: attempt.between(snapshot, from, confused.as_ref())?.ingress,
                    ..required
                }
            }
            _ => attempt.required_as_reread()?,
        };
        Some(Made::Sides(sides))
    }

    /// The policies as the fault reads them.
    pub(in super::super) fn rewritten(self, snapshot: &Snapshot) -> Snapshot {
        if self == Self::SecondEgressRuleLost {
            return each_spec(snapshot, |_, spec| {
                if let Some(rules) = &mut spec.egress {
                    rules.truncate(1);
                }
            });
        }
        each_rule(snapshot, |mut rule| match self {
            Self::ExceptIgnored => blocks(rule, |block| {
                block.except = None;
                true
            }),
            Self::BlocksMissPods => blocks(rule, |_| false),
            Self::PrefixRounded => blocks(rule, |block| {
                shorten(block, |length, _| length - length % 8);
                true
            }),
            Self::Ipv6PrefixHalf => blocks(rule, |block| {
                shorten(
                    block,
                    |length, bits| if bits == 128 { length.min(64) } else { length },
                );
                true
            }),
            Self::EndPortIgnored => rule.each_port(|entry| {
                vec![NetworkPolicyPort {
                    end_port: None,
                    ..entry
                }]
            }),
            Self::EndPortAsAll => rule.each_port(|entry| {
                let is_range = entry.end_port.is_some();
                vec![NetworkPolicyPort {
                    port: entry.port.filter(|_| !is_range),
                    end_port: None,
                    ..entry
                }]
            }),
            Self::RangeEndLeftOut => rule.each_port(|entry| {
                let end_port = entry.end_port.map(|end| end - 1);
                vec![NetworkPolicyPort { end_port, ..entry }]
            }),
            Self::RangeMiddleLeftOut => rule.each_port(|entry| {
                let end = entry.end_port.map(|end| NetworkPolicyPort {
                    port: Some(IntOrString::Int(end)),
                    end_port: None,
                    ..entry.clone()
                });
                let start = NetworkPolicyPort {
                    end_port: None,
                    ..entry
                };
                std::iter::once(start).chain(end).collect()
            }),
            Self::UdpAsTcp => rule.each_port(|entry| {
                let tcp = (entry.protocol.as_deref() == Some("UDP")).then(|| NetworkPolicyPort {
                    protocol: Some("TCP".to_owned()),
                    ..entry.clone()
                });
                std::iter::once(entry).chain(tcp).collect()
            }),
            Self::SctpDropped => rule.each_port(|entry| {
                if entry.protocol.as_deref() == Some("SCTP") {
                    Vec::new()
                } else {
                    vec![entry]
                }
            }),
            Self::SecondEgressRuleLost
            | Self::EntriesMissing
            | Self::SecondAddressMissing
            | Self::OnlyTcpFiltered
            | Self::SctpOpen
            | Self::NamedPortFromSource => true,
        })
    }
}

/// Writes blocks anew; an entry for which `change` says no is struck out.
fn blocks(mut rule: RuleText<'_>, change: impl Fn(&mut IPBlock) -> bool) -> bool {
    rule.each_peer(|mut peer| {
        let stays = peer.ip_block.as_mut().is_none_or(&change);
        if stays { vec![peer] } else { Vec::new() }
    })
}

/// Gives a block a shorter prefix, of its length and the number of bits there are.
fn shorten(block: &mut IPBlock, length: impl Fn(u8, u8) -> u8) {
    if let Ok(net) = block.cidr.parse::<IpNet>()
        && let Ok(shorter) = IpNet::new(net.network(), length(net.prefix_len(), net.max_prefix_len()))
    {
        block.cidr = shorter.trunc().to_string();
    }
}
