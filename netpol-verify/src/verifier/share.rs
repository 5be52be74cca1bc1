//! Which attempts are this verifier's, where several share the work: each hears everything and judges its own.
//!
//! Not parted on the bus: an answer's or a translated packet's addresses are not those of the attempt's first packet, so
//! whatever parts by a packet's addresses tears attempts in two.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::net::AttemptKey;

/// One of several equal shares of all attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: u32,
}

/// The text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share of the work; expected I/N with I from 0 to N-1, as 0/3")]
pub struct ParseShareError(pub String);

impl Share {
    /// Everything.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// Whether an attempt is in it. The same in every process and version.
    #[must_use]
    pub fn holds(&self, key: &AttemptKey) -> bool {
        self.of <= 1 || (hash(key) % u64::from(self.of)) == u64::from(self.index)
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, of)| Some((index.parse::<u32>().ok()?, of.parse::<u32>().ok()?)));
        match numbers {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err(ParseShareError(text.to_owned())),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// FNV-1a over the key, and a last mix (splitmix64): FNV's low bits alone are poor.
fn hash(key: &AttemptKey) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for &byte in bytes {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    take(&[key.protocol.number()]);
    match key.source.ip().to_canonical() {
        IpAddr::V4(address) => take(&address.octets()),
        IpAddr::V6(address) => take(&address.octets()),
    }
    take(&key.source.port().to_be_bytes());
    take(&key.discriminator.to_be_bytes());
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::Share;
    use crate::net::{AttemptKey, Protocol};

    #[test]
    fn what_is_no_share_is_told() {
        for text in ["", "1", "1/1", "3/3", "0/0", "-1/2", "a/b", "0/2/3"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse::<Share>().unwrap().to_string(), "2/3");
    }

    proptest! {
        #[test]
        fn each_attempt_is_in_exactly_one_share(of in 1_u32..9, a in any::<[u8; 4]>(), port in any::<u16>(), number in any::<u32>()) {
            let key = AttemptKey {
                protocol: Protocol::Tcp,
                source: SocketAddr::from((a, port)),
                discriminator: number,
            };
            let holders = (0..of).filter(|index| format!("{index}/{of}").parse::<Share>().unwrap().holds(&key)).count();
            prop_assert_eq!(holders, 1);
        }
    }

    #[test]
    fn shares_are_about_equal_where_only_ports_differ() {
        let share: Share = "1/4".parse().unwrap();
        let held = (0..4_000_u16)
            .filter(|port| {
                share.holds(&AttemptKey {
                    protocol: Protocol::Tcp,
                    source: SocketAddr::from(([10, 0, 0, 1], 20_000 + port)),
                    discriminator: 7,
                })
            })
            .count();
        assert!((800..1_200).contains(&held), "{held}");
    }
}
