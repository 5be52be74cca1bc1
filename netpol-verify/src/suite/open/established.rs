//! Connections that are open when a policy comes that denies them, and when it goes again (R27).

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    answer::{Answer, Place, gathered},
    control::News,
    flow::{Crossed, Flow},
    question::NO_POD,
    reach::PATIENCE,
    sockets::Pair,
};
use crate::report::Trait;

pub(super) const INGRESS: &str = "a connection that is open when ingress to its server is denied (R27)";
pub(super) const AFTER_INGRESS: &str =
    "a connection after ingress to its server was denied for a while (R27)";
pub(super) const EGRESS: &str = "a connection that is open when egress of its client is denied (R27)";
pub(super) const AFTER_EGRESS: &str = "a connection after egress of its client was denied for a while (R27)";

/// What was lost is sent again after 0.2, 0.6, 1.4 s: a connection that was cut for a moment comes back within this time.
const RECOVERY: Duration = Duration::from_millis(2_500);

/// Connections between pods.
pub(super) struct Established {
    flows: Vec<(Place, Result<Flow, String>)>,
}

/// What became of each.
pub(super) type Was = Vec<(Place, Result<Crossed, String>)>;

impl Established {
    /// Opens one between each pair.
    pub(super) async fn open(pairs: &[Pair]) -> Self {
        let opened = pairs
            .iter()
            .map(|pair| async { (pair.place, Flow::open(pair).await) });
        Self {
            flows: join_all(opened).await,
        }
    }

    /// Sends data over each.
    pub(super) async fn exchange(&mut self) -> Was {
        self.within(PATIENCE).await
    }

    /// Sends data over each, and waits until what was held up is sent again.
    pub(super) async fn recover(&mut self) -> Was {
        self.within(RECOVERY).await
    }

    async fn within(&mut self, patience: Duration) -> Was {
        let asked = self.flows.iter_mut().map(|(place, flow)| async move {
            let crossed = match flow {
                Ok(flow) => Ok(flow.exchange(patience).await),
                Err(why) => Err(why.clone()),
            };
            (*place, crossed)
        });
        join_all(asked).await
    }
}

/// What they do under a policy that denies them, beside new ones.
pub(super) fn under(question: &str, was: &Was, news: &News) -> Trait {
    given(question, was, |place, crossed| match crossed {
        Crossed::Both if news.pass(place) => Answer::not_enforced(),
        Crossed::Both => Answer::Told("goes on: data crosses both ways".to_owned()),
        Crossed::ToServer => Answer::Told("is cut: data crosses to the server alone".to_owned()),
        Crossed::ToClient => Answer::Told("is cut: data crosses to the client alone".to_owned()),
        Crossed::Neither => Answer::Told("is cut: no data crosses".to_owned()),
        Crossed::Reset => Answer::Told("is cut: reset".to_owned()),
    })
}

/// What they do when nothing denies them any more, beside new ones then and under the policy.
pub(super) fn after(question: &str, was: &Was, denied: &News, news: &News) -> Trait {
    given(question, was, |place, crossed| match crossed {
        _ if denied.pass(place) => Answer::not_enforced(),
        Crossed::Both => Answer::Told("goes on: data crosses both ways".to_owned()),
        Crossed::Reset => Answer::Told("stays cut: reset".to_owned()),
        _ if !news.pass(place) => Answer::not_told("new connections are stopped as well"),
        _ => Answer::Told("stays cut: data does not cross both ways".to_owned()),
    })
}

fn given(question: &str, was: &Was, answer: impl Fn(Place, Crossed) -> Answer) -> Trait {
    let given = was.iter().map(|(place, crossed)| {
        let answer = match crossed {
            Ok(crossed) => answer(*place, *crossed),
            Err(why) => Answer::not_told(format!("{why}, without a policy too")),
        };
        (*place, answer)
    });
    gathered(question, NO_POD, given.collect())
}
