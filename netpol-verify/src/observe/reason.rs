//! Kinds of drops, by the names the running kernel gives them (include/net/dropreason-core.h, Linux 6.18).

/// Kinds of drops: only `Policy` can be enforcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropClass {
    /// Netfilter, TC, XDP, programs on sockets and cgroups, Open vSwitch: where enforcers work.
    Policy,
    /// Address resolution failed or its queue was full.
    Neighbour,
    /// No route, reverse path filter, hop limit.
    Routing,
    /// Broken packet, no memory, device down: the machine's troubles.
    Device,
    /// Nothing listens, in the pod itself, or the frame was for another machine: not a drop of the network.
    Endpoint,
    /// The kernel gives no reason, or one this version does not know.
    Unclassified,
}

/// The kind of a drop by its reason's name.
#[must_use]
pub fn classify(reason: &str) -> DropClass {
    match reason {
        "NETFILTER_DROP" | "NETFILTER_INGRESS" | "TC_INGRESS" | "TC_EGRESS" | "TC_CLS_ERROR" | "XDP"
        | "BPF_CGROUP_EGRESS" | "SOCKET_FILTER" | "IPTABLES_DROP" | "XFRM_POLICY" | "TC_CHAIN_NOTFOUND" => {
            DropClass::Policy
        }
        "NEIGH_CREATEFAIL" | "NEIGH_FAILED" | "NEIGH_QUEUEFULL" | "NEIGH_DEAD" | "NEIGH_HH_FILLFAIL" => {
            DropClass::Neighbour
        }
        "IP_INNOROUTES"
        | "IP_OUTNOROUTES"
        | "IP_RPFILTER"
        | "IP_LOCALNET"
        | "IP_INVALID_SOURCE"
        | "IP_INVALID_DEST"
        | "IP_LOCAL_SOURCE"
        | "IPV6DISABLED"
        | "PKT_TOO_BIG"
        | "TTL_EXCEEDED"
        | "IPV6_NDISC_FRAG"
        | "UNICAST_IN_L2_MULTICAST"
        | "IP_TUNNEL_ECN" => DropClass::Routing,
        "NO_SOCKET"
        | "OTHERHOST"
        | "TCP_CLOSE"
        | "TCP_FLAGS"
        | "TCP_RESET"
        | "TCP_LISTEN_OVERFLOW"
        | "SOCKET_RCVBUFF"
        | "SOCKET_BACKLOG"
        | "SOCKET_CLOSE"
        | "UNHANDLED_PROTO"
        | "TCP_OLD_SEQUENCE"
        | "TCP_INVALID_SEQUENCE"
        | "TCP_OFOMERGE" => DropClass::Endpoint,
        "NOMEM"
        | "FULL_RING"
        | "CPU_BACKLOG"
        | "DEV_READY"
        | "DEV_HDR"
        | "HDR_TRUNC"
        | "PKT_TOO_SMALL"
        | "IP_INHDR"
        | "IP_CSUM"
        | "TCP_CSUM"
        | "UDP_CSUM"
        | "ICMP_CSUM"
        | "SKB_CSUM"
        | "SKB_GSO_SEG"
        | "SKB_UCOPY_FAULT"
        | "QDISC_DROP"
        | "QDISC_OVERLIMIT"
        | "VLAN_FILTER"
        | "BRIDGE_INGRESS_STP_STATE"
        | "BRIDGE_NON_FORWARDING_STATE"
        | "TAP_FILTER"
        | "TAP_TXFILTER" => DropClass::Device,
        // A veth whose other end is gone or down.
        "VXLAN_NO_REMOTE" | "VXLAN_VNI_NOT_FOUND" | "VXLAN_ENTRY_EXISTS" | "LOCAL_MAC" => DropClass::Device,
        // Numbers of other subsystems start at 0x10000 with the subsystem in the upper half: 3 is openvswitch
        // (include/net/dropreason.h), where OVN-Kubernetes and Antrea enforce.
        other => match other
            .strip_prefix("unknown(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(number) if number.parse::<u32>().is_ok_and(|number| number >> 16 == 3) => DropClass::Policy,
            _ => DropClass::Unclassified,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{DropClass, classify};

    #[test]
    fn only_where_enforcers_work_counts_as_policy() {
        for (reason, class) in [
            ("NETFILTER_DROP", DropClass::Policy),
            ("TC_EGRESS", DropClass::Policy),
            ("unknown(196609)", DropClass::Policy),
            ("NEIGH_FAILED", DropClass::Neighbour),
            ("IP_RPFILTER", DropClass::Routing),
            ("NO_SOCKET", DropClass::Endpoint),
            ("OTHERHOST", DropClass::Endpoint),
            ("NOT_SPECIFIED", DropClass::Unclassified),
            ("unknown(77)", DropClass::Unclassified),
        ] {
            assert_eq!(classify(reason), class, "{reason}");
        }
    }
}
