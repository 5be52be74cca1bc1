//! Rules, and the gates that are lists of them.

use super::packet::Packet;

/// How many rules all gates of a node may have. Half of them is in use at a time, so that new ones never meet old ones.
pub const RULES: u32 = 1 << 15;

/// Where a walk ends: the packet passes. Anything below [`DROP`] is the place of the next rule, counted from the gate's first.
pub const ACCEPT: u32 = u32::MAX;
/// Where a walk ends: the packet is dropped.
pub const DROP: u32 = u32::MAX - 1;

/// Protocol numbers of the transports that have ports.
pub mod transport {
    /// Any protocol, also those without ports.
    pub const ANY: u8 = 0;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// A direction, seen from the pod.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Towards the pod.
    Ingress = 0,
    /// From the pod.
    Egress = 1,
}

/// Which address of a packet a rule looks at.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// None: it matches every packet that its ports match.
    None = 0,
    /// The pod's own.
    Own = 1,
    /// The other end's.
    Other = 2,
}

/// Before which direction of which interface a gate stands.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateKey {
    /// The node's end of the pod's link.
    pub ifindex: u32,
    /// A [`Way`].
    pub way: u32,
}

/// Where a gate's rules are.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The place of the first.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// One rule.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The network's address, as [`Packet`] has addresses.
    pub network: [u64; 2],
    /// Which bits of it count.
    pub mask: [u64; 2],
    /// The lowest destination port.
    pub first: u16,
    /// The highest.
    pub last: u16,
    /// 4 or 6: the only family that it matches; 0 where it looks at no address.
    pub family: u8,
    /// The only transport that it matches, or [`transport::ANY`].
    pub transport: u8,
    /// An [`End`].
    pub end: u8,
    /// Zero.
    pub reserved: u8,
    /// What follows where it matches: [`ACCEPT`], [`DROP`] or a rule behind it.
    pub next: u32,
    /// Zero.
    pub padding: u32,
}

const _: () = assert!(core::mem::size_of::<Rule>() == 48);

impl GateKey {
    /// The key as a map takes it.
    #[must_use]
    pub const fn words(self) -> [u32; 2] {
        [self.ifindex, self.way]
    }
}

impl Gate {
    /// The gate as a map takes it.
    #[must_use]
    pub const fn words(self) -> [u32; 2] {
        [self.first, self.count]
    }
}

impl Rule {
    /// A rule that matches everything.
    #[must_use]
    pub const fn everything(next: u32) -> Self {
        Self {
            network: [0; 2],
            mask: [0; 2],
            first: 0,
            last: u16::MAX,
            family: 0,
            transport: transport::ANY,
            end: End::None as u8,
            reserved: 0,
            next,
            padding: 0,
        }
    }

    /// The rule as a map's value: its bytes in words of this machine.
    #[must_use]
    pub fn words(&self) -> [u64; 6] {
        let [first, last] = [self.first, self.last].map(u16::to_ne_bytes);
        let next = self.next.to_ne_bytes();
        let bytes = [
            first[0],
            first[1],
            last[0],
            last[1],
            self.family,
            self.transport,
            self.end,
            self.reserved,
        ];
        [
            self.network[0],
            self.network[1],
            self.mask[0],
            self.mask[1],
            u64::from_ne_bytes(bytes),
            u64::from_ne_bytes([next[0], next[1], next[2], next[3], 0, 0, 0, 0]),
        ]
    }

    /// Whether it matches a packet that goes this way.
    #[inline(always)]
    #[must_use]
    pub fn matches(&self, packet: &Packet, way: Way) -> bool {
        if self.transport != transport::ANY
            && (self.transport != packet.transport
                || packet.destination_port < self.first
                || packet.destination_port > self.last)
        {
            return false;
        }
        if self.end == End::None as u8 {
            return true;
        }
        let is_source = (self.end == End::Own as u8) == (way as u32 == Way::Egress as u32);
        let address = if is_source {
            packet.source
        } else {
            packet.destination
        };
        self.family == packet.family
            && (address[0] ^ self.network[0]) & self.mask[0] == 0
            && (address[1] ^ self.network[1]) & self.mask[1] == 0
    }
}
