//! New connections beside each question: only where they are stopped is what goes on a trait, and not want of enforcement.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener},
};

use futures_util::future::join_all;

use super::{
    answer::Place,
    ground::PORT,
    reach::{PATIENCE, Reach, Way},
    sockets::Pair,
};
use crate::lab::Netns;

/// New connections between clients and their server.
pub(super) struct Control(Vec<(Place, Way)>);

/// Servers that listen as long as this is there.
pub(super) struct Listening {
    _listeners: Vec<TcpListener>,
}

/// What became of new connections.
pub(super) struct News(BTreeMap<Place, Reach>);

impl Control {
    /// Between these pairs.
    pub(super) fn between(pairs: &[Pair]) -> Self {
        Self(pairs.iter().map(|pair| (pair.place, pair.connect())).collect())
    }

    /// Tries a new connection in each place.
    pub(super) async fn ask(&self) -> News {
        let asked = self
            .0
            .iter()
            .map(|(place, way)| async { (*place, way.ask(PATIENCE).await) });
        News(join_all(asked).await.into_iter().collect())
    }
}

impl Listening {
    /// Lets the servers of these pairs listen. Where one cannot, nothing answers before there is a policy, and that is said.
    pub(super) fn on<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Self {
        let servers: BTreeMap<IpAddr, &Netns> = pairs.map(|pair| (pair.address, &pair.server)).collect();
        let listeners = servers.into_iter().filter_map(|(address, server)| {
            let bound = server.run(|| TcpListener::bind((address, PORT)));
            bound.ok()?.ok()
        });
        Self {
            _listeners: listeners.collect(),
        }
    }
}

impl News {
    /// Whether a new connection comes about there.
    pub(super) fn pass(&self, place: Place) -> bool {
        self.0.get(&place) == Some(&Reach::Answered)
    }
}

impl Pair {
    /// A connection to the port on which the server listens.
    pub(super) fn connect(&self) -> Way {
        Way::Connect {
            from: self.client.clone(),
            to: SocketAddr::new(self.address, PORT),
        }
    }
}
