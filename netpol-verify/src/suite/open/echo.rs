//! ICMP and ICMPv6 echo by a raw socket inside a pod; the other pod's kernel answers.

use std::{
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, recv, sendto,
        socket,
    },
};
use tokio::time::sleep;

use super::reach::Reach;
use crate::{lab::Netns, net::Clock, random::random};

/// Between two looks at the socket.
const POLL: Duration = Duration::from_millis(2);
/// An echo without an answer is sent again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// No answer of ours is longer: an error quotes our packet behind the headers of its own.
const LARGEST: usize = 512;

/// Sends an echo until something comes back, or the time is up.
pub(super) async fn ask(from: &Netns, to: IpAddr, patience: Duration) -> Reach {
    let opened = from.run(|| open(to));
    let socket = match opened {
        Ok(Ok(socket)) => socket,
        Ok(Err(errno)) => return Reach::Unable(errno.to_string()),
        Err(error) => return Reach::Unable(error.to_string()),
    };
    let [a, b, ..] = random().to_be_bytes();
    let id = [a, b];
    let began = Clock.now();
    let mut due = Duration::ZERO;
    loop {
        // What came is looked at before the time: a machine that stood still has lost nothing.
        while let Some(packet) = receive(&socket) {
            if let Some(reach) = read(&packet, to, id) {
                return reach;
            }
        }
        let waited = Clock.now().since(began);
        if waited >= patience {
            return Reach::Silent;
        }
        if waited >= due {
            due = waited + AGAIN;
            match send(&socket, to, id) {
                Ok(()) => {}
                Err(error @ (Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ECONNREFUSED)) => {
                    return Reach::Rejected(error.desc().to_owned());
                }
                Err(error) => return Reach::Unable(error.to_string()),
            }
        }
        sleep(POLL).await;
    }
}

fn open(to: IpAddr) -> nix::Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    socket(
        family,
        SockType::Raw,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        protocol,
    )
}

/// The echo request of RFC 792 and RFC 4443: type, code, checksum, identifier, sequence number. The kernel fills in the checksum
/// of ICMPv6, which holds addresses.
fn send(socket: &OwnedFd, to: IpAddr, id: [u8; 2]) -> nix::Result<()> {
    let [high, low] = id;
    match to {
        IpAddr::V4(address) => {
            let mut packet = [8, 0, 0, 0, high, low, 0, 1];
            let [first, second] = checksum(&packet).to_be_bytes();
            (packet[2], packet[3]) = (first, second);
            let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
            sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        }
        IpAddr::V6(address) => {
            let packet = [128, 0, 0, 0, high, low, 0, 1];
            let to = SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, 0));
            sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        }
    }
    Ok(())
}

/// The internet checksum (RFC 1071).
fn checksum(packet: &[u8; 8]) -> u16 {
    let words = packet.chunks_exact(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from(folded & 0xffff).map_or(0, |sum| !sum)
}

fn receive(socket: &OwnedFd) -> Option<Vec<u8>> {
    let mut buffer = [0; LARGEST];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
    buffer.get(..length).map(<[u8]>::to_vec)
}

/// What a packet says of our echo; nothing, where it is about something else. A raw socket sees all ICMP of its namespace: ICMPv4
/// with the IP header, ICMPv6 without.
fn read(packet: &[u8], to: IpAddr, id: [u8; 2]) -> Option<Reach> {
    let is_ipv4 = to.is_ipv4();
    let message = if is_ipv4 { behind_ipv4(packet)? } else { packet };
    let is_ours = |echo: &[u8]| echo.get(4..6) == Some(&id);
    match (is_ipv4, message.first()?) {
        (true, 0) | (false, 129) => is_ours(message).then_some(Reach::Answered),
        (true, 3) => {
            let quoted = behind_ipv4(message.get(8..)?)?;
            let refused = || Reach::Rejected(format!("ICMP unreachable, code {}", code(message)));
            is_ours(quoted).then(refused)
        }
        (false, 1) => {
            // An IPv6 header is 40 bytes, and our own packet had no more headers.
            let quoted = message.get(48..)?;
            let refused = || Reach::Rejected(format!("ICMPv6 unreachable, code {}", code(message)));
            is_ours(quoted).then(refused)
        }
        _ => None,
    }
}

fn code(message: &[u8]) -> u8 {
    message.get(1).copied().unwrap_or_default()
}

fn behind_ipv4(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(length..)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{checksum, read};
    use crate::suite::open::reach::Reach;

    const ID: [u8; 2] = [0xab, 0xcd];

    fn v4() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn v6() -> IpAddr {
        "fd00::1".parse().unwrap()
    }

    fn with_header(message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45];
        packet.resize(20, 0);
        packet.extend(message);
        packet
    }

    #[test]
    fn an_answer_is_ours_by_its_identifier_alone() {
        let reply = [0, 0, 0, 0, 0xab, 0xcd, 0, 1];
        assert_eq!(read(&with_header(&reply), v4(), ID), Some(Reach::Answered));
        assert_eq!(read(&with_header(&reply), v4(), [1, 2]), None);
        let own_request = [8, 0, 0, 0, 0xab, 0xcd, 0, 1];
        assert_eq!(read(&with_header(&own_request), v4(), ID), None);
        assert_eq!(
            read(&[129, 0, 0, 0, 0xab, 0xcd, 0, 1], v6(), ID),
            Some(Reach::Answered)
        );
    }

    #[test]
    fn an_error_that_quotes_our_echo_is_a_refusal() {
        let mut error = vec![3, 13, 0, 0, 0, 0, 0, 0];
        error.extend(with_header(&[8, 0, 0, 0, 0xab, 0xcd, 0, 1]));
        let refused = read(&with_header(&error), v4(), ID);
        assert_eq!(
            refused,
            Some(Reach::Rejected("ICMP unreachable, code 13".to_owned()))
        );
        let mut error = vec![1, 1, 0, 0, 0, 0, 0, 0];
        error.resize(48, 0);
        error.extend([128, 0, 0, 0, 0xab, 0xcd, 0, 1]);
        let refused = read(&error, v6(), ID);
        assert_eq!(
            refused,
            Some(Reach::Rejected("ICMPv6 unreachable, code 1".to_owned()))
        );
    }

    #[test]
    fn what_is_cut_short_says_nothing() {
        let mut error = vec![3, 1, 0, 0, 0, 0, 0, 0];
        error.extend(with_header(&[8, 0, 0, 0, 0xab, 0xcd]));
        let whole = with_header(&error);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], v4(), ID), None, "{length}");
        }
        assert_eq!(read(&[], v6(), ID), None);
    }

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        let mut packet = [8, 0, 0, 0, 0xff, 0xfe, 0, 1];
        let [high, low] = checksum(&packet).to_be_bytes();
        (packet[2], packet[3]) = (high, low);
        assert_eq!(checksum(&packet), 0);
    }
}
