//! What tells the follower to look again: events of links and addresses, inside pods' namespaces and in the node's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::StreamExt as _;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{MulticastGroup, packet_core::NetlinkPayload};
use tokio::{runtime, sync::Notify, task::JoinHandle};

use super::inside::OpenNetns;
use crate::net::Ifindex;

/// Where something has changed.
#[derive(Debug, Default)]
pub(super) struct Hinted {
    /// A namespace may have come or gone.
    pub(super) namespaces: bool,
    /// Inside these namespaces, by inode; which of their interfaces went, though another may bear their number by now.
    pub(super) inside: BTreeMap<u64, BTreeSet<Ifindex>>,
}

/// Gathers hints until somebody looks: one look answers all before it.
#[derive(Debug, Default)]
pub(super) struct Hints {
    state: Mutex<Hinted>,
    wake: Notify,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hints {
    /// Waits for a hint.
    pub(super) async fn come(&self) {
        self.wake.notified().await;
    }

    /// All hints since the last time.
    pub(super) fn take(&self) -> Hinted {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give(&self, hint: impl FnOnce(&mut Hinted)) {
        hint(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }
}

/// Listens inside a namespace.
pub(super) fn listen_inside(netns: &OpenNetns, inode: u64, hints: Arc<Hints>) -> Option<Listening> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ];
    let runtime = runtime::Handle::current();
    let listening = netns.enter(|| {
        let _runtime = runtime.enter();
        listen(&groups, move |message| {
            hints.give(|hinted| {
                let gone = hinted.inside.entry(inode).or_default();
                // A bridge says of a port that it leaves, too; the port stays an interface.
                if let RouteNetlinkMessage::DelLink(link) = message
                    && link.header.interface_family == AddressFamily::Unspec
                {
                    gone.insert(Ifindex(link.header.index));
                }
            });
        })
    });
    match listening {
        Ok(Ok(listening)) => Some(listening),
        Ok(Err(error)) => {
            tracing::warn!(netns = %netns.path().name(), %error, "Interface events are not heard; scanning instead.");
            None
        }
        Err(error) => {
            tracing::debug!(netns = %netns.path().name(), %error, "The namespace's events cannot be heard.");
            None
        }
    }
}

/// Listens in the node's own namespace, which is this thread's: what a pod is given there, its host's end or the number of
/// its namespace, tells of namespaces that never get a name.
pub(super) fn listen_on_node(hints: Arc<Hints>) -> Option<Listening> {
    let groups = [MulticastGroup::Link, MulticastGroup::Nsid];
    match listen(&groups, move |_| hints.give(|hinted| hinted.namespaces = true)) {
        Ok(listening) => Some(listening),
        Err(error) => {
            tracing::warn!(%error, "The node's link events are not heard; scanning instead.");
            None
        }
    }
}

fn listen(
    groups: &[MulticastGroup],
    tell: impl Fn(RouteNetlinkMessage) + Send + 'static,
) -> io::Result<Listening> {
    let (connection, handle, mut messages) = rtnetlink::new_multicast_connection(groups)?;
    Ok(Listening(runtime::Handle::current().spawn(async move {
        // The connection ends when its last handle is dropped.
        let _handle = handle;
        let heard = async move {
            while let Some((message, _)) = messages.next().await {
                if let NetlinkPayload::InnerMessage(message) = message.payload {
                    tell(message);
                }
            }
        };
        tokio::select! {
            () = connection => {}
            () = heard => {}
        }
    })))
}
