//! The cluster as the API tells it, ready to be asked: policies compiled, namespaces known by their pods, changes noted.

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use super::{
    ears::Ears, identity::Identity, recent::Recent, services::Services, settle::LastChange, trust::Trust,
};
use crate::{
    cluster::{Change, ClusterState, Followed, Kind, ObjectKey, ObjectName, Told},
    net::KernelTime,
    policy::{PolicySet, compile},
};

/// Changes older than this touch no attempt that is still open: the longest settle budget, and the longest wait.
const REMEMBERED: Duration = Duration::from_secs(660);

/// What the verifier knows of the cluster.
#[derive(Debug, Default)]
pub struct World {
    followed: Followed,
    set: PolicySet,
    /// Whether the set was compiled and is followed since.
    is_compiled: bool,
    /// Policies that exist and could not be read.
    unread: BTreeSet<ObjectKey>,
    /// Namespaces whose labels nobody has told.
    implied: HashSet<String>,
    /// Whether that may have changed: by a namespace that is told of, too, which is no change where it is as was assumed.
    is_implied_stale: bool,
    recent: Recent,
    services: OnceCell<Services>,
    identity: Identity,
    /// The ears' revision when the identities were worked out; none where pods or nodes have changed since.
    identified: Option<u64>,
}

impl World {
    /// Takes what a watch tells.
    pub fn take(&mut self, told: Told, now: KernelTime) {
        self.note_unread(&told);
        let is_alive = matches!(told, Told::Alive(_) | Told::Broken { .. });
        self.is_implied_stale |= !is_alive;
        let changes = self.followed.take(told, now);
        if !changes.is_empty() {
            self.changed(&changes, now);
        }
        if !self.is_compiled && self.followed.is_complete() {
            let (set, problems) = compile(&self.followed.state().snapshot());
            for problem in &problems {
                tracing::warn!(problem = ?problem.to_string(), "A policy cannot be taken as it stands.");
            }
            self.set = set;
            self.is_compiled = true;
            self.recent.began(now);
        }
    }

    fn changed(&mut self, changes: &[Change], now: KernelTime) {
        let state = self.followed.state();
        for change in changes {
            self.recent.note(change, state, now);
            match change.key().kind {
                Kind::Pod => {
                    self.identified = None;
                    if self.services.get().is_some_and(|services| services.goes_by_pods) {
                        self.services.take();
                    }
                }
                Kind::Node => self.identified = None,
                Kind::Service | Kind::EndpointSlice => {
                    self.services.take();
                }
                Kind::Namespace | Kind::NetworkPolicy | Kind::AdminPolicy(_) => {}
            }
        }
        if self.is_compiled {
            for problem in self.set.follow(state, changes) {
                tracing::warn!(problem = ?problem.to_string(), "A policy cannot be taken as it stands.");
            }
        }
    }

    fn note_unread(&mut self, told: &Told) {
        let is_policy = |kind: Kind| matches!(kind, Kind::NetworkPolicy | Kind::AdminPolicy(_));
        match told {
            Told::Put { key, object, .. } if is_policy(key.kind) => {
                if object.is_none() {
                    self.unread.insert(key.clone());
                } else {
                    self.unread.remove(key);
                }
            }
            Told::Gone(key) => {
                self.unread.remove(key);
            }
            Told::Listed { kind, keys } => self.unread.retain(|key| key.kind != *kind || keys.contains(key)),
            Told::Absent { kind, .. } => self.unread.retain(|key| key.kind != *kind),
            Told::Put { .. } | Told::Alive(_) | Told::Broken { .. } => {}
        }
    }

    /// Works out whose each namespace is, where something has changed.
    pub fn identify(&mut self, ears: &Ears) {
        if std::mem::take(&mut self.is_implied_stale) {
            self.implied = self.followed.implied_namespaces().collect();
        }
        if self.identified == Some(ears.revision()) {
            return;
        }
        let state = self.followed.state();
        let nodes = state
            .nodes()
            .map(|node| (node.name.as_str(), node.addresses.as_slice()));
        self.identity = Identity::new(ears, state.pods(), nodes);
        self.identified = Some(ears.revision());
    }

    /// Lets go of changes that are too old to matter.
    pub fn tidy(&mut self, now: KernelTime) {
        self.recent.forget_before(now, REMEMBERED);
    }

    /// How far it can be trusted.
    #[must_use]
    pub fn trust(&self, now: KernelTime) -> Trust {
        Trust::of(&self.followed, now)
    }

    /// What was told.
    #[must_use]
    pub const fn followed(&self) -> &Followed {
        &self.followed
    }

    /// The cluster.
    #[must_use]
    pub const fn state(&self) -> &ClusterState {
        self.followed.state()
    }

    /// The policies.
    #[must_use]
    pub const fn policies(&self) -> &PolicySet {
        &self.set
    }

    /// Whose each namespace is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) const fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(super) fn services(&self) -> &Services {
        self.services
            .get_or_init(|| Services::new(&self.followed.state().snapshot()))
    }

    /// Why nothing can be required of these pods although everything was listed: a policy or a label that is not known.
    pub(super) fn gap<'a>(&self, pods: impl IntoIterator<Item = &'a ObjectName>) -> Option<String> {
        let cluster_wide = self.unread.iter().find(|key| key.namespace.is_none());
        if let Some(key) = cluster_wide {
            return Some(format!("{key} cannot be read, and may decide"));
        }
        for pod in pods {
            if self.implied.contains(&pod.namespace) {
                return Some(format!("the labels of namespace {} are not known", pod.namespace));
            }
            let unread = self
                .unread
                .iter()
                .find(|key| key.namespace.as_deref() == Some(&pod.namespace));
            if let Some(key) = unread {
                return Some(format!("{key} cannot be read, and may decide"));
            }
        }
        None
    }

    /// The last change that touches attempts between these pods, and through these Services, and what it was.
    pub(super) fn last_change<'a>(
        &'a self,
        pods: impl IntoIterator<Item = &'a ObjectName>,
        service: Option<&ObjectName>,
        settle: Duration,
    ) -> Option<(LastChange, &'a str)> {
        let of_services = service.and_then(|service| self.recent.of_services(&service.namespace));
        let touch = self
            .recent
            .touching(pods)
            .into_iter()
            .chain(of_services)
            .max_by_key(|touch| touch.noticed)?;
        let change = LastChange {
            noticed: touch.noticed,
            settle,
        };
        Some((change, &touch.what))
    }
}
