//! Which namespaces are watched, since when, and until when nothing was missed.

use std::collections::HashMap;

use crate::{
    bus::{Announcement, InterfaceState},
    net::{Ifindex, KernelTime, NetnsCookie},
};

/// The watched namespaces of one node.
#[derive(Debug, Default)]
pub struct Watch {
    interfaces: HashMap<(NetnsCookie, Ifindex), InterfaceState>,
}

impl Watch {
    /// Takes an announcement.
    pub fn announce(&mut self, announcement: &Announcement) {
        self.interfaces.insert(
            (announcement.netns, announcement.ifindex),
            announcement.state.clone(),
        );
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
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use crate::{
        bus::{Announcement, InterfaceState},
        net::{Ifindex, KernelTime, NetnsCookie},
    };

    fn announcement(ifindex: u32, state: InterfaceState) -> Announcement {
        Announcement {
            node: "n".into(),
            netns: NetnsCookie(1),
            netns_name: "pod".to_owned(),
            ifindex: Ifindex(ifindex),
            ifname: format!("eth{ifindex}"),
            addresses: Vec::new(),
            state,
        }
    }

    #[test]
    fn a_sensor_attached_too_late_covers_nothing() {
        let mut watch = Watch::default();
        assert!(
            !watch.covers(NetnsCookie(1), KernelTime(5), KernelTime(9)),
            "unknown namespace"
        );
        watch.announce(&announcement(1, InterfaceState::Watched { since: KernelTime(6) }));
        assert!(!watch.covers(NetnsCookie(1), KernelTime(5), KernelTime(9)));
        assert!(watch.covers(NetnsCookie(1), KernelTime(6), KernelTime(9)));
        watch.announce(&announcement(
            2,
            InterfaceState::Failed {
                why: "refused".to_owned(),
            },
        ));
        assert!(
            !watch.covers(NetnsCookie(1), KernelTime(7), KernelTime(9)),
            "one interface is blind"
        );
        watch.announce(&announcement(2, InterfaceState::Gone { at: KernelTime(8) }));
        assert!(!watch.covers(NetnsCookie(1), KernelTime(7), KernelTime(9)));
        assert!(watch.covers(NetnsCookie(1), KernelTime(9), KernelTime(10)));
    }
}
