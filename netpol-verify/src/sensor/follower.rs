//! What is watched: pods' namespaces, the interfaces in them, and what has been said of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    attach::{AttachError, Attached, Attachment},
    crier::Crier,
    discover::{Closely, Discovery, Found, Pods},
    events::{Hints, Listening, listen_inside},
    follow::Watched,
    inside::{Interface, NetnsPath, OpenNetns, interfaces_here},
    object::Object,
};
use crate::{
    bus::{InterfaceState, WatchedInterface},
    net::{Clock, Ifindex, KernelTime, NetnsCookie, netns_cookie_here},
};

/// Interfaces of one namespace that are watched; who may make more would make work without end. The oldest are.
const INTERFACES: usize = 64;
/// A pod's first process comes within this after its namespace, or is not waited for any more.
const STARTING: Duration = Duration::from_secs(60);

/// What a look has left to do, though nothing may tell when it can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unfinished {
    /// Nothing.
    Nothing,
    /// An interface could not be attached to, or a namespace not be entered.
    Interface,
    /// A pod's namespace or its first process is about to come.
    Pod,
}

/// Attaches, announces, lets go.
pub(super) struct Follower {
    object: Arc<Mutex<Object>>,
    crier: Crier,
    attachment: Attachment,
    discovery: Discovery,
    by_processes: bool,
    hints: Arc<Hints>,
    watched: Watched,
    /// By inode, which stays the namespace's while it is held open.
    known: BTreeMap<u64, Known>,
    /// Namespaces that could not be entered, which was said once.
    refused: BTreeSet<u64>,
}

struct Known {
    netns: OpenNetns,
    cookie: NetnsCookie,
    name: String,
    pods: BTreeSet<String>,
    since: KernelTime,
    interfaces: BTreeMap<Ifindex, (WatchedInterface, Option<Attached>)>,
    events: Option<Listening>,
}

impl Follower {
    pub(super) fn new(
        object: Arc<Mutex<Object>>,
        crier: Crier,
        pods: Pods,
        attachment: Attachment,
        hints: Arc<Hints>,
        watched: Watched,
    ) -> Self {
        Self {
            object,
            crier,
            attachment,
            by_processes: pods.by_processes(),
            discovery: Discovery::new(pods),
            hints,
            watched,
            known: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Looks for namespaces, where asked to, and into those that are new, hinted at, or unfinished; into all, where that is
    /// to be thorough. `hinted` says which interfaces of a namespace went.
    pub(super) fn look(
        &mut self,
        closely: Option<Closely>,
        hinted: &BTreeMap<u64, BTreeSet<Ifindex>>,
    ) -> Unfinished {
        let now = Clock.now();
        let mut unfinished = Unfinished::Nothing;
        if let Some(closely) = closely {
            let found = self.discovery.look(now, closely);
            if self.discovery.is_pending() {
                unfinished = Unfinished::Pod;
            }
            let gone: Vec<u64> = self
                .known
                .keys()
                .filter(|inode| !found.contains_key(inode))
                .copied()
                .collect();
            for inode in gone {
                self.forget(inode);
            }
            self.refused.retain(|inode| found.contains_key(inode));
            for (inode, found) in found {
                if self.known.contains_key(&inode) {
                    self.update(inode, found);
                } else if !self.take_in(inode, found, now) {
                    unfinished = unfinished.max(Unfinished::Interface);
                }
            }
        }
        let everywhere = closely.is_some_and(|closely| closely.thorough);
        let none = BTreeSet::new();
        let inodes: Vec<u64> = self.known.keys().copied().collect();
        for inode in inodes {
            let Some(mut known) = self.known.remove(&inode) else {
                continue;
            };
            let gone = hinted.get(&inode);
            if everywhere || gone.is_some() || known.is_unfinished() {
                self.reconcile(&mut known, gone.unwrap_or(&none));
            }
            if known.is_unfinished() {
                unfinished = unfinished.max(Unfinished::Interface);
            }
            if self.by_processes && known.pods.is_empty() && now.since(known.since) < STARTING {
                unfinished = unfinished.max(Unfinished::Pod);
            }
            self.known.insert(inode, known);
        }
        unfinished
    }

    /// Opens a new namespace; whether that went well.
    fn take_in(&mut self, inode: u64, found: Found, now: KernelTime) -> bool {
        let mut why = "it went, or its number has passed to another".to_owned();
        let opened = found.paths.iter().find_map(|path| {
            let path = NetnsPath(path.clone());
            let opened = OpenNetns::open(&path)
                .map_err(|error| error.to_string())
                .and_then(|netns| {
                    // The name or the process's number may be another's by now.
                    if netns.inode().ok() != Some(inode) {
                        return Err("another namespace is there by now".to_owned());
                    }
                    // Heard first, listed later: nothing that comes between the two is missed.
                    let events = listen_inside(&netns, inode, self.hints.clone());
                    let cookie = netns.enter(netns_cookie_here);
                    match cookie {
                        Ok(Ok(cookie)) => Ok((netns, cookie, events)),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(error) => Err(error.to_string()),
                    }
                });
            opened.map_err(|error| why = error).ok()
        });
        let Some((netns, cookie, events)) = opened else {
            // Most often it is just about to go.
            if self.refused.insert(inode) {
                tracing::debug!(netns = found.label(), why, "The namespace cannot be entered yet.");
            }
            return false;
        };
        self.refused.remove(&inode);
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(cookie, netns.clone());
        let mut known = Known {
            netns,
            cookie,
            name: found.label(),
            pods: found.pods,
            since: now,
            interfaces: BTreeMap::new(),
            events,
        };
        self.reconcile(&mut known, &BTreeSet::new());
        self.known.insert(inode, known);
        true
    }

    /// What is new about a known namespace: its name, its pods.
    fn update(&mut self, inode: u64, found: Found) {
        let Some(mut known) = self.known.remove(&inode) else {
            return;
        };
        let name = found.name.unwrap_or_else(|| known.name.clone());
        // A pod whose processes have all ended keeps its namespace until that goes.
        let pods = if found.pods.is_empty() {
            known.pods.clone()
        } else {
            found.pods
        };
        if (&name, &pods) != (&known.name, &known.pods) {
            (known.name, known.pods) = (name, pods);
            for (interface, _) in known.interfaces.values_mut() {
                interface.netns_name.clone_from(&known.name);
                interface.pods.clone_from(&known.pods);
                self.crier.announce(interface.clone());
            }
        }
        self.known.insert(inode, known);
    }

    fn forget(&mut self, inode: u64) {
        let Some(known) = self.known.remove(&inode) else {
            return;
        };
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&known.cookie);
        // Said first, let go afterwards: the namespace is held open until then, so that whatever reached the pod before the
        // announcement was seen.
        let mut held = Vec::new();
        for (interface, attached) in known.interfaces.into_values() {
            self.crier.gone(interface);
            held.push(attached);
        }
        drop(held);
        drop(known.events);
    }

    /// Attaches to new interfaces, announces changed ones, lets go of those that went.
    fn reconcile(&self, known: &mut Known, gone: &BTreeSet<Ifindex>) {
        let mut found = match known.netns.enter(interfaces_here) {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(netns = known.name, %error, "The namespace's interfaces cannot be listed.");
                return;
            }
            Err(error) => {
                tracing::warn!(netns = known.name, %error, "The namespace cannot be entered any more.");
                return;
            }
        };
        found.sort_by_key(|interface| interface.ifindex);
        if found.len() > INTERFACES {
            tracing::debug!(
                netns = known.name,
                interfaces = found.len(),
                "Only the first interfaces are watched."
            );
            found.truncate(INTERFACES);
        }
        let present: BTreeSet<Ifindex> = found.iter().map(|interface| interface.ifindex).collect();
        // One that went and came back under its number has lost what was attached to it.
        let lost: Vec<Ifindex> = known
            .interfaces
            .keys()
            .filter(|ifindex| !present.contains(ifindex) || gone.contains(ifindex))
            .copied()
            .collect();
        for ifindex in lost {
            if let Some((interface, attached)) = known.interfaces.remove(&ifindex) {
                self.crier.gone(interface);
                drop(attached);
            }
        }
        for interface in found {
            let before = known.interfaces.remove(&interface.ifindex);
            let ifindex = interface.ifindex;
            let now = self.watch(known, interface, before);
            known.interfaces.insert(ifindex, now);
        }
    }

    /// Attaches, where that is to be done, and says what is new.
    fn watch(
        &self,
        known: &Known,
        interface: Interface,
        before: Option<(WatchedInterface, Option<Attached>)>,
    ) -> (WatchedInterface, Option<Attached>) {
        let (told, attached) = before.map_or((None, None), |(told, attached)| (Some(told), attached));
        let mut fault = None;
        let (state, attached) = match (&told, attached) {
            (Some(told), Some(attached)) => (told.state.clone(), Some(attached)),
            _ => match self.attach(known, &interface) {
                Ok(attached) => (InterfaceState::Watched { since: Clock.now() }, Some(attached)),
                Err(error) => {
                    let why = error.to_string();
                    fault = Some(error);
                    (InterfaceState::Failed { why }, None)
                }
            },
        };
        let watched = WatchedInterface {
            netns: known.cookie,
            netns_name: known.name.clone(),
            pods: known.pods.clone(),
            ifindex: interface.ifindex,
            ifname: interface.name,
            addresses: interface.addresses,
            state,
        };
        if told.as_ref() != Some(&watched) {
            match &fault {
                // It was renamed, or went with its pod, between the look and the attachment: the next look tells which.
                Some(error @ AttachError::Moved { .. }) => {
                    tracing::debug!(netns = known.name, %error, "The interface is looked for again.");
                }
                Some(error) => {
                    let interface = &watched.ifname;
                    tracing::warn!(netns = known.name, interface, %error, "The interface is not watched.");
                }
                None => {}
            }
            self.crier.announce(watched.clone());
        }
        (watched, attached)
    }

    fn attach(&self, known: &Known, interface: &Interface) -> Result<Attached, AttachError> {
        let mut object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        Attached::new(
            &mut object,
            &known.netns,
            &interface.name,
            interface.ifindex,
            self.attachment,
        )
    }

    /// Announces every interface at once.
    pub(super) fn roster(&self) {
        let interfaces = self.known.values().flat_map(|known| known.interfaces.values());
        self.crier
            .roster(interfaces.map(|(interface, _)| interface.clone()).collect());
    }
}

impl Known {
    fn is_unfinished(&self) -> bool {
        self.interfaces.values().any(|(_, attached)| attached.is_none())
    }
}
