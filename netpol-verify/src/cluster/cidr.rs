//! Address blocks as Kubernetes reads them, old spellings included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Why a text is no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address block; expected ADDRESS/LENGTH, as 10.0.0.0/8 or 2001:db8::/32")]
pub(crate) struct ParseCidrError(pub(crate) String);

/// Reads a block as Go's `ParseCIDRSloppy` does for stored objects (R14): leading zeros are decimal, host bits are cut.
pub(crate) fn parse_cidr(text: &str) -> Result<IpNet, ParseCidrError> {
    let error = || ParseCidrError(text.to_owned());
    let (address, length) = text.split_once('/').ok_or_else(error)?;
    let length: u8 = decimal(length).ok_or_else(error)?;
    let address = if address.contains(':') {
        IpAddr::V6(sloppy_v6(address).ok_or_else(error)?)
    } else {
        IpAddr::V4(sloppy_v4(address).ok_or_else(error)?)
    };
    let net = IpNet::new(address, length).map_err(|_| error())?.trunc();
    Ok(unmapped(net))
}

/// Whether `inner` is a strict subset of `outer`, as `except` must be of its block (R11).
pub(crate) fn is_strict_subset(inner: &IpNet, outer: &IpNet) -> bool {
    inner.prefix_len() > outer.prefix_len() && outer.contains(inner)
}

/// Go treats `::ffff:a.b.c.d/96+n` as the IPv4 block (`net.IPNet.Contains`).
fn unmapped(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(mapped) = Ipv4Net::new(v4, length)
    {
        return IpNet::V4(mapped);
    }
    net
}

/// A number of digits only, leading zeros allowed.
fn decimal(text: &str) -> Option<u8> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let octets: Vec<u8> = text.split('.').map(decimal).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(Ipv4Addr::from)
}

/// Leading zeros of groups are cut, an IPv4 tail is read as above, and the standard parser does the rest.
fn sloppy_v6(text: &str) -> Option<Ipv6Addr> {
    let groups: Vec<String> = text
        .split(':')
        .map(|group| match group {
            "" => Some(String::new()),
            tail if tail.contains('.') => sloppy_v4(tail).map(|v4| v4.to_string()),
            hex => match hex.trim_start_matches('0') {
                "" => Some("0".to_owned()),
                digits => Some(digits.to_owned()),
            },
        })
        .collect::<Option<_>>()?;
    groups.join(":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{is_strict_subset, parse_cidr};

    #[test]
    fn r14_old_spellings_are_read_as_go_reads_them() {
        for (text, meant) in [
            ("010.000.000.001/08", "10.0.0.0/8"),
            ("192.168.1.77/24", "192.168.1.0/24"),
            ("2001:0db8:0:0::00001/32", "2001:db8::/32"),
            ("00002001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3/120", "10.1.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_cidr(text).unwrap().to_string(), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "256.0.0.0/8",
            "::/129",
            "fe80::1%eth0/64",
            "a/b",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "+1.0.0.0/8",
            "1.2.3.4.5/8",
            "0x0a.0.0.0/8",
            "１0.0.0.0/8",
        ] {
            assert!(parse_cidr(text).is_err(), "{text}");
        }
    }

    #[test]
    fn r11_an_exception_must_be_smaller_than_its_block() {
        let net = |text| parse_cidr(text).unwrap();
        assert!(is_strict_subset(&net("10.1.0.0/16"), &net("10.0.0.0/8")));
        assert!(!is_strict_subset(&net("10.0.0.0/8"), &net("10.0.0.0/8")));
        assert!(!is_strict_subset(&net("11.0.0.0/16"), &net("10.0.0.0/8")));
        assert!(!is_strict_subset(&net("2001:db8::/64"), &net("0.0.0.0/0")));
    }
}
