//! Pods, misread.

use crate::cluster::Snapshot;

/// How pods are misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PodMisreading {
    /// One pod is not known: it started in the same second as the engine.
    OneUnmanaged,
    /// One pod's labels are not known: it was added while they could not be fetched.
    OneWithoutLabels,
    /// One pod's ports are not known.
    PortsNotRead,
}

impl PodMisreading {
    /// The cluster as it is misread. The one pod is the last that carries a label `app` and is not over.
    pub(in super::super) fn reread(self, snapshot: &Snapshot) -> Snapshot {
        let mut reread = snapshot.clone();
        let last = reread
            .pods
            .iter()
            .rposition(|pod| pod.labels.contains_key("app") && !pod.phase.is_terminal());
        match self {
            Self::OneUnmanaged => {
                if let Some(last) = last {
                    reread.pods.remove(last);
                }
            }
            Self::OneWithoutLabels => {
                if let Some(pod) = last.and_then(|last| reread.pods.get_mut(last)) {
                    pod.labels.clear();
                }
            }
            Self::PortsNotRead => reread.pods.iter_mut().for_each(|pod| pod.ports.clear()),
        }
        reread
    }
}
