//! What was let through, so that answers and later packets are not asked again.

use super::{Packet, Way};

/// After so long without a packet, a flow without connections (anything but TCP) is forgotten: half a minute, as in the
/// kernel's own connection tracking for UDP.
pub const LIFETIME_NS: u64 = 30_000_000_000;

/// A flow of one pod. Each pod has its own: what one pod may send, another may still refuse to take.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The pod's address.
    pub own: [u64; 2],
    /// The other end's.
    pub other: [u64; 2],
    /// The pod's port.
    pub own_port: u16,
    /// The other end's.
    pub other_port: u16,
    /// IP protocol number.
    pub transport: u8,
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub reserved: u16,
    /// The node's end of the pod's link.
    pub ifindex: u32,
    /// Zero.
    pub padding: u32,
}

const _: () = assert!(core::mem::size_of::<FlowKey>() == 48);

/// What is known of a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// When its last packet passed, by the kernel's monotonic clock.
    pub seen_ns: u64,
    /// The [`Way`] of its first packet.
    pub opened: u32,
    /// 1 once a packet came the other way.
    pub answered: u32,
}

impl FlowKey {
    /// The flow of a packet that goes this way.
    #[inline(always)]
    #[must_use]
    pub fn of(packet: &Packet, way: Way, ifindex: u32) -> Self {
        let (own, own_port, other, other_port) = match way {
            Way::Egress => (
                packet.source,
                packet.source_port,
                packet.destination,
                packet.destination_port,
            ),
            Way::Ingress => (
                packet.destination,
                packet.destination_port,
                packet.source,
                packet.source_port,
            ),
        };
        Self {
            own,
            other,
            own_port,
            other_port,
            transport: packet.transport,
            family: packet.family,
            reserved: 0,
            ifindex,
            padding: 0,
        }
    }
}

impl Flow {
    /// Whether a packet passes because of this flow: it answers, or follows an answer. What opens a connection is always asked:
    /// the policies may have changed since its ports were last used.
    #[inline(always)]
    #[must_use]
    pub fn covers(&self, packet: &Packet, way: Way, now_ns: u64) -> bool {
        let fresh =
            packet.transport == super::transport::TCP || now_ns.wrapping_sub(self.seen_ns) < LIFETIME_NS;
        packet.opens == 0 && fresh && (self.opened != way as u32 || self.answered != 0)
    }
}
