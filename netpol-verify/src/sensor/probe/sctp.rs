//! An SCTP INIT made by hand: the kernel need not know the protocol to carry it (protocol 132).

use crc::{CRC_32_ISCSI, Crc};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The common header and an INIT chunk with the given initiate tag (RFC 9260, 3.1 and 3.3.2).
pub(super) fn init(source: u16, destination: u16, tag: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(32);
    packet.extend(source.to_be_bytes());
    packet.extend(destination.to_be_bytes());
    // The verification tag of an INIT is zero; the checksum follows below.
    packet.extend([0; 8]);
    // Type INIT, no flags, length 20.
    packet.extend([1, 0, 0, 20]);
    packet.extend(tag.to_be_bytes());
    // Receiver window 64 KiB, one stream each way, initial TSN.
    packet.extend(65_536_u32.to_be_bytes());
    packet.extend([0, 1, 0, 1]);
    packet.extend(tag.to_be_bytes());
    // The CRC32c is stored in little-endian order (RFC 9260, appendix A).
    let checksum = CRC32C.checksum(&packet).to_le_bytes();
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&checksum);
    }
    packet
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_covers_the_packet_with_a_zero_field() {
        let mut packet = super::init(1, 2, 3);
        let stored = u32::from_le_bytes(packet[8..12].try_into().unwrap());
        packet[8..12].fill(0);
        assert_eq!(super::CRC32C.checksum(&packet), stored);
        assert_eq!(packet.len(), 32);
    }
}
