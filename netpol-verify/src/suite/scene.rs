//! Where cases are played: the lab, or a cluster. One runner plays them on either.

use std::time::Duration;

use crate::{
    cluster::{ClusterState, Object, ObjectKey},
    finding::JudgedAttempt,
    net::KernelTime,
    suite::{ProbePattern, Sockets, cases::Case},
};

/// A place where cases can be played. Names in what it is given and gives back are those of the suite.
pub trait Scene {
    /// Why nothing can be played here any more.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The suite's objects, as they are.
    fn state(&self) -> &ClusterState;

    /// Deletes and applies objects, and comes back when new pods run and are watched. Whoever enforces may follow later. These
    /// paths are tried over and over while it is told, and some time beyond that; nothing is where there are none.
    fn change_watched(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
        patterns: &[ProbePattern],
    ) -> impl Future<Output = Result<(Changed, Vec<Round>), Self::Error>>;

    /// Deletes and applies objects, and tries nothing meanwhile.
    fn change(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
    ) -> impl Future<Output = Result<Changed, Self::Error>> {
        async { Ok(self.change_watched(gone, objects, &[]).await?.0) }
    }

    /// Tries the paths between the suite's pods once and judges them by what the policies are now; a line for each, in an
    /// order that stays the same while the pods do. With `only`, those of that order alone.
    fn probe(
        &mut self,
        patterns: &[ProbePattern],
        only: Option<&[usize]>,
    ) -> impl Future<Output = Result<Vec<JudgedAttempt>, Self::Error>>;

    /// Starts whoever enforces anew, and tries the paths over and over until it is back: the first time before it has
    /// begun, the last after it says that it is done.
    fn restart(&mut self, patterns: &[ProbePattern])
    -> impl Future<Output = Result<Vec<Round>, Self::Error>>;

    /// Why a case that asks about these paths is not played here; nothing, where it is.
    fn unplayable(&self, case: &Case, patterns: &[ProbePattern]) -> Option<&'static str>;

    /// Where real sockets can be opened in the suite's pods and their nodes; or why they cannot.
    fn sockets(&self) -> Result<Sockets, String>;

    /// Lets some time pass.
    fn rest(&mut self, pause: Duration) -> impl Future<Output = Result<(), Self::Error>>;

    /// How long a change may take to be enforced, and whether one round of right answers proves that it is: so where the
    /// enforcer says itself when it is done.
    fn patience(&self) -> ScenePatience;
}

/// How long is waited for an enforcer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScenePatience {
    /// How long a change may take before it counts against the enforcer.
    pub budget: Duration,
    /// Between two rounds.
    pub pause: Duration,
    /// Whether the enforcer says when it is done.
    pub says_when_done: bool,
}

/// When a round of probes began, and what it gave.
pub type Round = (KernelTime, Vec<JudgedAttempt>);

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is there.
    Done,
    /// It cannot be had here, as where a kind of policy is not served: the case is not played.
    Refused {
        /// Why not.
        why: String,
    },
    /// Some objects were refused by the API, as a case may want it; the rest is there.
    Partly {
        /// Which, and why.
        refused: Vec<(ObjectKey, String)>,
    },
}
