//! The sysctls of a namespace. `/proc/sys/net` shows the namespace of the thread that opens it.

use std::path::Path;

use super::WiringError;
use crate::lab::Netns;

/// For every namespace: IPv6 on and its addresses usable at once.
///
/// Duplicate address detection is skipped only when both `all` and the interface say so (Linux 5.10 and later,
/// `net/ipv6/addrconf.c`, `addrconf_dad_begin`), and an interface copies `default` when it is made. IPv4's settings may come
/// from the machine (`net.core.devconf_inherit_init_net`), so they are set too.
const EVERYWHERE: [(&str, &str); 13] = [
    ("ipv6/conf/all/disable_ipv6", "0"),
    ("ipv6/conf/default/disable_ipv6", "0"),
    ("ipv6/conf/lo/disable_ipv6", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    // Made of the hardware address, so that a gateway's link-local address is known beforehand.
    ("ipv6/conf/default/addr_gen_mode", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    // That nobody serves a port or protocol is told by ICMP, which the kernel rations to one a second and peer: a burst of
    // probes would wait for answers that never come. Of the types that are rationed none is left that is sent.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv6/icmp/ratemask", "255"),
];

/// For nodes: they forward.
const FORWARDING: [(&str, &str); 3] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/default/forwarding", "1"),
];

/// Prepares a pod's namespace or the fabric's.
pub(crate) fn prepare_host(netns: &Netns) -> Result<(), WiringError> {
    write(netns, EVERYWHERE.map(|(path, value)| (path.to_owned(), value)))
}

/// Prepares a node's namespace.
pub(crate) fn prepare_node(netns: &Netns) -> Result<(), WiringError> {
    prepare_host(netns)?;
    write(netns, FORWARDING.map(|(path, value)| (path.to_owned(), value)))
}

/// Makes the node answer for the gateway that nobody is, on one pod's link, as Calico does (`felix`, `endpoint_mgr.go`): at once,
/// for the kernel's default is a random delay of up to 0.8 s.
pub(crate) fn answer_for_gateway(netns: &Netns, interface: &str) -> Result<(), WiringError> {
    write(
        netns,
        [
            (format!("ipv4/conf/{interface}/proxy_arp"), "1"),
            (format!("ipv4/neigh/{interface}/proxy_delay"), "0"),
            (format!("ipv6/conf/{interface}/proxy_ndp"), "1"),
            (format!("ipv6/neigh/{interface}/proxy_delay"), "0"),
        ],
    )
}

fn write<const N: usize>(netns: &Netns, values: [(String, &'static str); N]) -> Result<(), WiringError> {
    netns.run(|| {
        for (name, value) in values {
            let path = Path::new("/proc/sys/net").join(name);
            std::fs::write(&path, value).map_err(|source| WiringError::Sysctl {
                netns: netns.name().to_owned(),
                path,
                value,
                source,
            })?;
        }
        Ok(())
    })?
}
