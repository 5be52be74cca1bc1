//! Follows pods as they come and go: names under `/run/netns`, interfaces inside them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use super::{
    attach::{Attached, Attachment},
    inside::{Interface, NetnsPath, inside, interfaces_here},
    object::Object,
    sys::pollable,
};
use crate::{
    bus::{Announcement, Bus, InterfaceState, Message, Origin, Roster, WatchedInterface},
    net::{Clock, NetnsCookie, netns_cookie_here},
};

/// Where named network namespaces are (iproute2, containerd).
const NETNS: &str = "/run/netns";
/// A change inside a namespace without an event of its own (a missed one) is found after this at the latest.
const RESCAN: Duration = Duration::from_secs(2);

/// Following is impossible.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The folder of network namespaces cannot be made or watched.
    #[error("watching {NETNS} for network namespaces: {0}")]
    Watch(#[source] io::Error),
}

/// Which names under `/run/netns` are pods.
pub type Filter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Follows until it is dropped; then every interface is let go.
pub struct Follow {
    task: JoinHandle<()>,
    wishes: mpsc::Sender<Wish>,
}

struct Known {
    cookie: NetnsCookie,
    inode: u64,
    interfaces: BTreeMap<String, (WatchedInterface, Option<Attached>)>,
    events: Option<JoinHandle<()>>,
}

struct Follower {
    object: Arc<Mutex<Object>>,
    origin: Origin,
    bus: Arc<dyn Bus>,
    filter: Filter,
    attachment: Attachment,
    known: BTreeMap<String, Known>,
    changed: mpsc::Sender<Wish>,
}

/// What a follower is asked for.
enum Wish {
    /// Something changed: look again.
    Scan,
    /// Somebody new listens: tell everything.
    Roster,
}

impl Follow {
    /// Attaches to every pod that is there, then goes on following. When it returns, the pods that were there are
    /// announced.
    ///
    /// # Errors
    /// `/run/netns` cannot be watched.
    pub async fn start(
        object: Arc<Mutex<Object>>,
        origin: Origin,
        bus: Arc<dyn Bus>,
        filter: Filter,
        attachment: Attachment,
    ) -> Result<Self, FollowError> {
        let watch = |error: io::Error| FollowError::Watch(error);
        std::fs::create_dir_all(NETNS).map_err(watch)?;
        let inotify =
            Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(|e| watch(e.into()))?;
        inotify
            .add_watch(
                NETNS,
                AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE,
            )
            .map_err(|e| watch(e.into()))?;
        let inotify = pollable(OwnedFd::from(inotify)).map_err(watch)?;
        // A wish to scan covers every change before it; rosters are asked for seldom.
        let (changed, mut wishes) = mpsc::channel(2);
        let mut follower = Follower {
            object,
            origin,
            bus,
            filter,
            attachment,
            known: BTreeMap::new(),
            changed: changed.clone(),
        };
        // Entering namespaces blocks; the pods' own tasks go on meanwhile on the other worker.
        follower = scan(follower).await;
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    guard = inotify.readable() => {
                        let Ok(mut guard) = guard else { return };
                        // What changed does not matter: a scan finds it.
                        let mut events = [0_u8; 4096];
                        while nix::unistd::read(inotify.get_ref(), &mut events).is_ok_and(|length| length > 0) {}
                        guard.clear_ready();
                    }
                    wish = wishes.recv() => match wish {
                        None => return,
                        Some(Wish::Scan) => {}
                        Some(Wish::Roster) => {
                            follower.roster();
                            continue;
                        }
                    },
                    () = sleep(RESCAN) => {}
                }
                follower = scan(follower).await;
            }
        });
        Ok(Self {
            task,
            wishes: changed,
        })
    }

    /// Announces every interface at once, for somebody who has heard nothing yet.
    pub async fn roster(&self) {
        // It has ended only when this is being dropped.
        let _ = self.wishes.send(Wish::Roster).await;
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn scan(mut follower: Follower) -> Follower {
    let scanned = tokio::task::spawn_blocking(move || {
        follower.scan();
        follower
    });
    match scanned.await {
        Ok(follower) => follower,
        // The scan neither panics nor is cancelled while its runtime lives.
        Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
    }
}

impl Follower {
    fn scan(&mut self) {
        let present = self.present();
        let gone: Vec<String> = self
            .known
            .iter()
            .filter(|(name, known)| present.get(*name) != Some(&known.inode))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.forget(&name);
        }
        for (name, inode) in present {
            self.look_into(&name, inode);
        }
    }

    /// Names and inodes of pods' namespaces. Containerd makes the file first and binds the namespace over it later:
    /// until then the device differs, and opening it as a namespace fails, which is tried again.
    fn present(&self) -> BTreeMap<String, u64> {
        let Ok(entries) = std::fs::read_dir(NETNS) else {
            return BTreeMap::new();
        };
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                if !(self.filter)(&name) {
                    return None;
                }
                Some((name, std::fs::metadata(entry.path()).ok()?.ino()))
            })
            .collect()
    }

    fn forget(&mut self, name: &str) {
        let Some(known) = self.known.remove(name) else {
            return;
        };
        // Said first, let go afterwards: our own socket keeps the namespace alive, so that whatever reached the pod
        // before the announcement was seen.
        let mut held = Vec::new();
        for (mut interface, attached) in known.interfaces.into_values() {
            interface.state = InterfaceState::Gone { at: Clock.now() };
            self.announce(interface);
            held.push(attached);
        }
        drop(held);
        if let Some(events) = known.events {
            events.abort();
        }
    }

    fn look_into(&mut self, name: &str, inode: u64) {
        let path = NetnsPath(PathBuf::from(NETNS).join(name));
        let found = match inside(&path, || {
            Ok::<_, io::Error>((netns_cookie_here()?, interfaces_here()?))
        }) {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(netns = name, %error, "The namespace's interfaces cannot be listed.");
                return;
            }
            Err(error) => {
                tracing::debug!(netns = name, %error, "The namespace cannot be entered yet.");
                return;
            }
        };
        let (cookie, interfaces) = found;
        if !self.known.contains_key(name) {
            let events = self.subscribe(&path);
            self.known.insert(
                name.to_owned(),
                Known {
                    cookie,
                    inode,
                    interfaces: BTreeMap::new(),
                    events,
                },
            );
        }
        self.reconcile(name, &path, interfaces);
    }

    /// Attaches to new interfaces, announces changed addresses, lets go of those that went.
    fn reconcile(&mut self, name: &str, path: &NetnsPath, found: Vec<Interface>) {
        let Some(mut known) = self.known.remove(name) else {
            return;
        };
        let present: BTreeSet<&str> = found.iter().map(|interface| interface.name.as_str()).collect();
        let gone: Vec<String> = known
            .interfaces
            .keys()
            .filter(|name| !present.contains(name.as_str()))
            .cloned()
            .collect();
        for ifname in gone {
            if let Some((mut gone, attached)) = known.interfaces.remove(&ifname) {
                drop(attached);
                gone.state = InterfaceState::Gone { at: Clock.now() };
                self.announce(gone);
            }
        }
        for interface in found {
            if let Some((watched, Some(_))) = known.interfaces.get_mut(&interface.name)
                && watched.ifindex == interface.ifindex
            {
                if watched.addresses != interface.addresses {
                    watched.addresses = interface.addresses;
                    self.announce(watched.clone());
                }
                continue;
            }
            let entry = self.watch(name, path, known.cookie, interface);
            known.interfaces.insert(entry.0.ifname.clone(), entry);
        }
        self.known.insert(name.to_owned(), known);
    }

    fn watch(
        &self,
        name: &str,
        path: &NetnsPath,
        cookie: NetnsCookie,
        interface: Interface,
    ) -> (WatchedInterface, Option<Attached>) {
        let attached = {
            let mut object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
            Attached::new(&mut object, path, &interface.name, self.attachment)
        };
        let (state, attached) = match attached {
            Ok(attached) => (InterfaceState::Watched { since: Clock.now() }, Some(attached)),
            Err(error) => {
                // A pod that went between the look and the attachment is no lack; the next scan finds it gone.
                if path.0.exists() {
                    tracing::warn!(netns = name, interface = interface.name, %error, "The interface is not watched.");
                } else {
                    tracing::debug!(netns = name, %error, "The pod went before it was watched.");
                }
                (
                    InterfaceState::Failed {
                        why: error.to_string(),
                    },
                    None,
                )
            }
        };
        let watched = WatchedInterface {
            netns: cookie,
            netns_name: name.to_owned(),
            pods: BTreeSet::new(),
            ifindex: interface.ifindex,
            ifname: interface.name,
            addresses: interface.addresses,
            state,
        };
        self.announce(watched.clone());
        (watched, attached)
    }

    fn roster(&self) {
        let interfaces = self.known.values().flat_map(|known| known.interfaces.values());
        self.publish(Message::Roster(Roster {
            origin: self.origin.clone(),
            at: Clock.now(),
            interfaces: interfaces.map(|(interface, _)| interface.clone()).collect(),
        }));
    }

    fn announce(&self, interface: WatchedInterface) {
        self.publish(Message::Announcement(Announcement {
            origin: self.origin.clone(),
            interface,
        }));
    }

    fn publish(&self, message: Message) {
        if let Err(rejected) = self.bus.publish(message) {
            // Without the announcement its pod counts as not watched: no verdict, no false one. A reader that is gone
            // wants none.
            if rejected.gone {
                tracing::debug!("The bus has no reader any more.");
            } else {
                tracing::error!("The bus is full and did not take an announcement.");
            }
        }
    }

    /// Link and address events of the namespace, each of which asks for a scan.
    fn subscribe(&self, path: &NetnsPath) -> Option<JoinHandle<()>> {
        let runtime = tokio::runtime::Handle::current();
        let changed = self.changed.clone();
        let opened = inside(path, || {
            let _runtime = runtime.enter();
            rtnetlink::new_multicast_connection(&[
                rtnetlink::MulticastGroup::Link,
                rtnetlink::MulticastGroup::Ipv4Ifaddr,
                rtnetlink::MulticastGroup::Ipv6Ifaddr,
            ])
        });
        let (connection, handle, mut messages) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                tracing::warn!(netns = %path.name(), %error, "Interface events are not heard; scanning instead.");
                return None;
            }
            Err(error) => {
                tracing::debug!(netns = %path.name(), %error, "The namespace went before its events were heard.");
                return None;
            }
        };
        Some(runtime.spawn(async move {
            // The connection ends when its last handle is dropped.
            let _handle = handle;
            let connection = tokio::spawn(connection);
            while futures_util::StreamExt::next(&mut messages).await.is_some() {
                // One pending request covers every event before it.
                let _ = changed.try_send(Wish::Scan);
            }
            connection.abort();
        }))
    }
}
