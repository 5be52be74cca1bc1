//! Class E: families, protocols, packets.

use super::super::{
    accepts::AcceptFault,
    engine::EngineFault,
    entry::{Entry, Harm, How},
    gates::GateFault,
};

/// The faults of class E.
pub(in super::super) const PACKETS: &[Entry] = &[
    Entry {
        id: "other-family-open",
        harm: Harm::Leak,
        how: How::Gates(GateFault::Ipv6Open),
        line: "IPv4 is enforced, IPv6 is open",
        source: "aws/aws-network-policy-agent#408",
    },
    Entry {
        id: "ipv4-open",
        harm: Harm::Leak,
        how: How::Gates(GateFault::Ipv4Open),
        line: "IPv6 is enforced, IPv4 is open",
        source: "aws/aws-network-policy-agent#55",
    },
    Entry {
        id: "second-address-missing",
        harm: Harm::Overblock,
        how: How::Accepts(AcceptFault::SecondAddressMissing),
        line: "of a pod's addresses only the first is among the peers",
        source: "",
    },
    Entry {
        id: "bridge-nf-off",
        harm: Harm::Leak,
        how: How::Gates(GateFault::BridgeNfOff),
        line: "packets between pods of one bridge do not meet the rules",
        source: "cloudnativelabs/kube-router#1166",
    },
    Entry {
        id: "bridge-nf-off-ipv4",
        harm: Harm::Leak,
        how: How::Gates(GateFault::BridgeNfOffIpv4),
        line: "IPv4 packets between pods of one bridge do not meet the rules",
        source: "cloudnativelabs/kube-router#607",
    },
    Entry {
        id: "bridge-nf-off-ipv6",
        harm: Harm::Leak,
        how: How::Gates(GateFault::BridgeNfOffIpv6),
        line: "IPv6 packets between pods of one bridge do not meet the rules",
        source: "cloudnativelabs/kube-router#151",
    },
    Entry {
        id: "retransmitted-syn-accepted",
        harm: Harm::Leak,
        how: How::Gates(GateFault::RetransmittedSynAccepted),
        line: "a denied SYN is dropped once, its retransmission passes",
        source: "antrea-io/antrea#219",
    },
    Entry {
        id: "only-tcp-filtered",
        harm: Harm::Leak,
        how: How::Accepts(AcceptFault::OnlyTcpFiltered),
        line: "UDP and SCTP are not filtered",
        source: "",
    },
    Entry {
        id: "sctp-open",
        harm: Harm::Leak,
        how: How::Accepts(AcceptFault::SctpOpen),
        line: "SCTP is not filtered",
        source: "",
    },
    Entry {
        id: "udp-rule-as-tcp",
        harm: Harm::Leak,
        how: How::Accepts(AcceptFault::UdpAsTcp),
        line: "a rule for UDP lets TCP through as well",
        source: "",
    },
    Entry {
        id: "hole-punch",
        harm: Harm::Leak,
        how: How::Engine(EngineFault::HolePunch),
        line: "a refused attempt lets one from the other side in, as its answer",
        source: "",
    },
    Entry {
        id: "encap-from-pod",
        harm: Harm::Leak,
        how: How::Engine(EngineFault::EncapFromPod),
        line: "a node unpacks what a pod has wrapped in VXLAN",
        source: "cilium/cilium#8434, projectcalico/felix#2063",
    },
    Entry {
        id: "source-spoof",
        harm: Harm::Leak,
        how: How::Engine(EngineFault::SourceSpoof),
        line: "a pod may send with another pod's address",
        source: "antrea-io/antrea#818",
    },
    Entry {
        id: "notrack-breaks-state",
        harm: Harm::Overblock,
        how: How::Engine(EngineFault::Untracked),
        line: "TCP answers of isolated pods are untracked, and dropped for it",
        source: "projectcalico/felix#1718",
    },
];
