//! Which namespaces of one node are watched, and between which moments. All times are the node's.

use std::collections::HashMap;

use crate::{
    bus::{InterfaceState, Roster, WatchedInterface},
    net::{Ifindex, KernelTime, NetnsCookie},
};

/// The watched namespaces of one node.
#[derive(Debug, Default)]
pub struct Watch {
    interfaces: HashMap<(NetnsCookie, Ifindex), InterfaceState>,
}

impl Watch {
    /// Takes what a sensor says of one interface.
    pub fn announce(&mut self, interface: &WatchedInterface) {
        self.interfaces
            .insert((interface.netns, interface.ifindex), interface.state.clone());
    }

    /// Takes all of a node's interfaces: what is not among them went at that moment.
    pub fn roster(&mut self, roster: &Roster) {
        let listed: Vec<_> = roster
            .interfaces
            .iter()
            .map(|one| (one.netns, one.ifindex))
            .collect();
        let gone = InterfaceState::Gone { at: roster.at };
        for (key, state) in &mut self.interfaces {
            if !listed.contains(key) && !matches!(state, InterfaceState::Gone { .. }) {
                *state = gone.clone();
            }
        }
        roster.interfaces.iter().for_each(|one| self.announce(one));
    }

    /// The sensor ended: nothing is watched since a moment.
    pub fn end(&mut self, at: KernelTime) {
        for state in self.interfaces.values_mut() {
            if !matches!(state, InterfaceState::Gone { .. }) {
                *state = InterfaceState::Gone { at };
            }
        }
    }

    /// Whether the namespace is, or was, one of the node's pods'.
    #[must_use]
    pub fn knows(&self, netns: NetnsCookie) -> bool {
        self.interfaces.keys().any(|(cookie, _)| *cookie == netns)
    }

    /// Whether every interface of a namespace was watched from one moment to another, and it has one.
    #[must_use]
    pub fn covers(&self, netns: NetnsCookie, from: KernelTime, to: KernelTime) -> bool {
        let mut watched = false;
        for ((cookie, _), state) in &self.interfaces {
            if *cookie != netns {
                continue;
            }
            match state {
                InterfaceState::Watched { since } if *since <= from => watched = true,
                InterfaceState::Watched { .. } | InterfaceState::Failed { .. } => return false,
                // One that went before the window has no part in it.
                InterfaceState::Gone { at } if *at < from => {}
                InterfaceState::Gone { .. } => return false,
            }
        }
        watched && from <= to
    }

    /// Lets go of interfaces that went before a moment: nobody asks about them any more.
    pub fn forget_before(&mut self, moment: KernelTime) {
        self.interfaces
            .retain(|_, state| !matches!(state, InterfaceState::Gone { at } if *at < moment));
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use crate::{
        bus::{InterfaceState, Origin, Roster, WatchedInterface},
        net::{Ifindex, KernelTime, NetnsCookie},
    };

    fn interface(ifindex: u32, state: InterfaceState) -> WatchedInterface {
        WatchedInterface {
            netns: NetnsCookie(1),
            netns_name: "pod".to_owned(),
            pods: [].into(),
            ifindex: Ifindex(ifindex),
            ifname: format!("eth{ifindex}"),
            addresses: Vec::new(),
            state,
        }
    }

    const fn watched(since: u64) -> InterfaceState {
        InterfaceState::Watched {
            since: KernelTime(since),
        }
    }

    fn covers(watch: &Watch, from: u64, to: u64) -> bool {
        watch.covers(NetnsCookie(1), KernelTime(from), KernelTime(to))
    }

    #[test]
    fn a_sensor_attached_too_late_covers_nothing() {
        let mut watch = Watch::default();
        assert!(!covers(&watch, 5, 9), "unknown namespace");
        watch.announce(&interface(1, watched(6)));
        assert!(!covers(&watch, 5, 9));
        assert!(covers(&watch, 6, 9));
        let failed = InterfaceState::Failed {
            why: "refused".to_owned(),
        };
        watch.announce(&interface(2, failed));
        assert!(!covers(&watch, 7, 9), "one interface is blind");
        watch.announce(&interface(2, InterfaceState::Gone { at: KernelTime(8) }));
        assert!(!covers(&watch, 7, 9));
        assert!(covers(&watch, 9, 10));
    }

    #[test]
    fn what_a_roster_does_not_list_went_and_what_ends_covers_nothing_after() {
        let mut watch = Watch::default();
        watch.announce(&interface(1, watched(1)));
        watch.announce(&interface(2, watched(1)));
        watch.roster(&Roster {
            origin: Origin {
                node: "n".into(),
                session: 1,
            },
            at: KernelTime(50),
            interfaces: vec![interface(1, watched(1))],
        });
        assert!(!covers(&watch, 40, 60), "the second went meanwhile");
        assert!(covers(&watch, 51, 60));
        watch.end(KernelTime(70));
        assert!(!covers(&watch, 60, 80) && !covers(&watch, 75, 80));
        watch.forget_before(KernelTime(71));
        assert!(!watch.knows(NetnsCookie(1)));
    }
}
