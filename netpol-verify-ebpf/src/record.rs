//! The record: what the kernel says of one packet, unchanged from the ring buffer to the evidence file.

/// The number both sides must agree on. It moves with every change of [`RecordHeader`], [`crate::settings`] or a map.
pub const ABI_VERSION: u32 = 1;

/// How many bytes of a packet a record keeps, from the link or network header on: enough for
/// Ethernet (14) + VLAN (4) + IPv6 (40) + TCP with all options (60).
pub const SNAP_LENGTH: usize = 128;

/// The size of a record in bytes; every record has it.
pub const RECORD_SIZE: usize = core::mem::size_of::<Record>();

/// Where a packet was seen. Numbers of the wire: never reuse one.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// It left the pod: TCX egress of the pod's own interface.
    PodEgress = 1,
    /// It reached the pod: TCX ingress of the pod's own interface.
    PodIngress = 2,
    /// The kernel freed it undelivered: `kfree_skb`.
    Drop = 3,
}

impl Vantage {
    /// The vantage of a wire number.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::PodEgress),
            2 => Some(Self::PodIngress),
            3 => Some(Self::Drop),
            _ => None,
        }
    }
}

/// Bits of [`RecordHeader::flags`].
pub mod flags {
    /// The captured bytes start with a link header; without it they start with the network header.
    pub const LINK_HEADER: u8 = 1;
    /// `vlan_tci` holds a tag that the device took out of the packet.
    pub const VLAN: u8 = 2;
}

/// The fixed part of a record. Native byte order (records never leave a machine of another endianness undecoded:
/// the object is `bpfel`), explicit padding, no `bool`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordHeader {
    /// `bpf_ktime_get_ns`: nanoseconds on `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The network namespace of the device: `SO_NETNS_COOKIE`; 0 when it cannot be told.
    pub netns_cookie: u64,
    /// The address of the function that freed the packet; 0 unless the vantage is a drop.
    pub drop_location: u64,
    /// `enum skb_drop_reason` of the running kernel; 0 unless the vantage is a drop.
    pub drop_reason: u32,
    /// The device in that namespace.
    pub ifindex: u32,
    /// The packet's length on the wire in bytes.
    pub packet_length: u32,
    /// How many like it were folded into this record since the last one.
    pub folded: u32,
    /// `skb->protocol` in host order: the EtherType.
    pub protocol: u16,
    /// How many of the packet bytes are valid.
    pub captured: u16,
    /// The tag the device took out, when `flags` says so.
    pub vlan_tci: u16,
    /// [`Vantage`].
    pub vantage: u8,
    /// [`flags`].
    pub flags: u8,
    /// `skb->pkt_type` (`PACKET_HOST` 0 … `PACKET_OTHERHOST` 3): a bridge floods copies to ports they are not for.
    pub packet_type: u8,
    /// [`crate::headers::Class`].
    pub class: u8,
    /// [`ABI_VERSION`], so that a record in a file explains itself.
    pub abi: u16,
    /// Zero.
    pub reserved: u32,
}

/// A record as it lies in the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The fixed part.
    pub header: RecordHeader,
    /// The first bytes of the packet; those after `captured` are zero.
    pub packet: [u8; SNAP_LENGTH],
}

// The wire is frozen here: a change of size must move ABI_VERSION as well.
const _: () = assert!(core::mem::size_of::<RecordHeader>() == 56);
const _: () = assert!(core::mem::size_of::<Record>() == 184);
const _: () = assert!(core::mem::align_of::<Record>() == 8);
