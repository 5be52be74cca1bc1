//! On which ports the pods of a drawn cluster ask each other: on those that its policies and pods speak of, at the edges of
//! ranges and beside them.

use std::collections::BTreeSet;

use super::dice::Dice;
use crate::{cluster::Snapshot, net::Protocol, suite::scenario::ProbePattern};

/// On so many of the ports that are spoken of, at most: every pair is asked on each in two families.
const MOST: usize = 5;
/// On so many that nobody speaks of, at most.
const MOST_BESIDE: usize = 2;

/// Every pair on every port worth asking on; `dice` choose where there are too many.
pub(super) fn patterns(snapshot: &Snapshot, dice: &mut Dice) -> Vec<ProbePattern> {
    let mut spoken = snapshot.ports();
    let mut beside: BTreeSet<(Protocol, u16)> = BTreeSet::new();
    for &(protocol, number) in &spoken {
        // What lies beside an edge, and what has the number of another protocol's port.
        beside.insert((protocol, number.saturating_add(1)));
        beside.insert((protocol, number.saturating_sub(1).max(1)));
        beside.insert((other(protocol), number));
    }
    // Where nothing names a port, there is still one to ask about.
    let first = (Protocol::Tcp, 80);
    beside.retain(|port| !spoken.contains(port) && *port != first);
    spoken.remove(&first);
    let mut always = vec![first];
    always.extend(dice.some_of(spoken.into_iter().collect(), MOST));
    always.extend(dice.some_of(beside.into_iter().collect(), MOST_BESIDE));
    always
        .into_iter()
        .map(|(protocol, port)| ProbePattern::everyone(protocol, port))
        .collect()
}

const fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Tcp => Protocol::Udp,
        Protocol::Udp => Protocol::Sctp,
        Protocol::Sctp => Protocol::Tcp,
    }
}
