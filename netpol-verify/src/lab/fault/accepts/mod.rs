//! Faults of what gates let through: other addresses, other ports. The rules are changed one by one; the prediction writes the
//! policies as a right engine would need them to do the same.

mod mutation;
mod prediction;

use std::net::IpAddr;

/// What is wrong with what gates let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptFault {
    /// `except` does not count.
    ExceptIgnored,
    /// A block does not hold pods.
    BlocksMissPods,
    /// A prefix is cut down to whole bytes.
    PrefixRounded,
    /// Of an IPv6 prefix only the first 64 bits are compared.
    Ipv6PrefixHalf,
    /// Some pods are missing among those that a gate lists.
    EntriesMissing,
    /// Of each pod that a gate lists, the second address is missing.
    SecondAddressMissing,
    /// A range of ports is its first.
    EndPortIgnored,
    /// A range of ports is every port.
    EndPortAsAll,
    /// The last port of a range is left out.
    RangeEndLeftOut,
    /// Only the first and the last port of a range are taken.
    RangeMiddleLeftOut,
    /// A rule for UDP lets TCP through too.
    UdpAsTcp,
    /// Entries for SCTP are dropped.
    SctpDropped,
    /// Only TCP is filtered.
    OnlyTcpFiltered,
    /// SCTP is not filtered.
    SctpOpen,
    /// Of several egress rules, only the first is installed.
    SecondEgressRuleLost,
    /// A port's name in an ingress rule is looked up at the source.
    NamedPortFromSource,
}

/// Whether the entry of this pair is one of those that fell out of a full map: a third of them, in no order that anybody chose.
fn fell_out(own: IpAddr, other: IpAddr) -> bool {
    let sum = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().iter().map(|byte| u32::from(*byte)).sum::<u32>(),
        IpAddr::V6(address) => address.segments().iter().map(|part| u32::from(*part)).sum(),
    };
    (sum(own) * 5 + sum(other)).is_multiple_of(3)
}
