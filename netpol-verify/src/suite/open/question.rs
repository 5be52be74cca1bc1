//! A question that is asked twice in the same way: when nothing is denied, and when the policy denies it.

use std::net::SocketAddr;

use futures_util::future::join_all;

use super::{
    answer::{Answer, Place, gathered},
    control::News,
    reach::{PATIENCE, Reach, Way},
    sockets::Pair,
};
use crate::{net::Family, report::Trait};

/// R25.
pub(super) const ECHO: &str = "ICMP echo between pods that a policy parts (R25)";
/// R21: other nodes are not exempt, and the API does not say what else than pods a rule without blocks is about.
pub(super) const OTHER_NODE: &str = "another node to a pod whose ingress is denied";
/// R22.
pub(super) const TO_OWN_NODE: &str = "a pod whose egress is denied to its own node (R22)";
/// R23.
pub(super) const ITSELF: &str = "a pod that is cut off to its own address (R23)";
/// R23.
pub(super) const OWN_SERVICE: &str = "a pod that is cut off to itself through its Service (R23)";

/// A pod of the world that did not come about.
pub(super) const NO_POD: &str = "the pods have no address of a family in common";

/// A question, and what came back when nothing was denied.
pub(super) struct Question {
    title: &'static str,
    /// Why there may be nowhere to ask it.
    nowhere: &'static str,
    asked: Vec<Asked>,
}

struct Asked {
    place: Place,
    way: Way,
    before: Reach,
}

impl Question {
    /// Whether ICMP passes between pods.
    pub(super) async fn echo(pairs: &[Pair]) -> Self {
        let echo = |pair: &Pair| Way::Echo {
            from: pair.client.clone(),
            to: pair.address,
        };
        let ways = pairs.iter().map(|pair| (pair.place, echo(pair)));
        Self::before(ECHO, NO_POD, ways).await
    }

    /// Whether other nodes reach a pod.
    pub(super) async fn other_node(pairs: &[Pair]) -> Self {
        Self::by_connecting(OTHER_NODE, "there is one node only", pairs).await
    }

    /// Whether a pod reaches its own node.
    pub(super) async fn to_own_node(pairs: &[Pair]) -> Self {
        Self::by_connecting(TO_OWN_NODE, NO_POD, pairs).await
    }

    /// Whether a pod reaches its own address.
    pub(super) async fn itself(pairs: &[Pair]) -> Self {
        Self::by_connecting(ITSELF, NO_POD, pairs).await
    }

    /// Whether a pod reaches itself through its Service, which is at these addresses.
    pub(super) async fn own_service(pairs: &[Pair], service: &[SocketAddr]) -> Self {
        let ways = pairs.iter().filter_map(|pair| {
            let mut addresses = service.iter();
            let to = addresses.find(|address| Family::of(address.ip()) == pair.place.family)?;
            let way = Way::Connect {
                from: pair.client.clone(),
                to: *to,
            };
            Some((pair.place, way))
        });
        Self::before(
            OWN_SERVICE,
            "Services are translated by nft, which is not here",
            ways,
        )
        .await
    }

    /// Asks each pair for a connection when nothing is denied.
    pub(super) async fn by_connecting(title: &'static str, nowhere: &'static str, pairs: &[Pair]) -> Self {
        let ways = pairs.iter().map(|pair| (pair.place, pair.connect()));
        Self::before(title, nowhere, ways).await
    }

    async fn before(
        title: &'static str,
        nowhere: &'static str,
        ways: impl Iterator<Item = (Place, Way)>,
    ) -> Self {
        let asked = ways.map(|(place, way)| async move {
            let before = way.ask(PATIENCE).await;
            Asked { place, way, before }
        });
        Self {
            title,
            nowhere,
            asked: join_all(asked).await,
        }
    }

    /// Asks each way again.
    pub(super) async fn again(&self) -> Vec<Reach> {
        join_all(self.asked.iter().map(|asked| asked.way.ask(PATIENCE))).await
    }

    /// The ways, with whether each was open when nothing was denied.
    pub(super) fn ways(&self) -> impl Iterator<Item = (Place, &Way, bool)> {
        let asked = self.asked.iter();
        asked.map(|asked| (asked.place, &asked.way, asked.before == Reach::Answered))
    }

    /// What came back under the policy, beside what became of new connections.
    pub(super) fn answer(&self, under: Vec<Reach>, news: &News) -> Trait {
        let each = self.asked.iter().zip(under);
        let given = each.map(|(asked, under)| {
            let answer = answer(&asked.before, under, news.pass(asked.place), asked.way.proof());
            (asked.place, answer)
        });
        gathered(self.title, self.nowhere, given.collect())
    }
}

/// What follows from what came back without the policy and under it, and from whether new connections pass there.
fn answer(before: &Reach, under: Reach, new_pass: bool, proof: &str) -> Answer {
    match (before, under) {
        (Reach::Unable(why), _) => Answer::not_asked(why),
        (Reach::Silent, _) => Answer::not_told("no answer without a policy either"),
        (Reach::Rejected(why), _) => Answer::not_told(format!("{why}, without a policy too")),
        (Reach::Answered, Reach::Answered) if new_pass => Answer::not_enforced(),
        (Reach::Answered, Reach::Answered) => Answer::Told(format!("passes: {proof}")),
        (Reach::Answered, Reach::Silent) => Answer::Told("dropped: no answer".to_owned()),
        (Reach::Answered, Reach::Rejected(why)) => Answer::Told(format!("rejected: {why}")),
        (Reach::Answered, Reach::Unable(why)) => Answer::not_asked(why),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Reach, answer};

    fn words(before: Reach, under: Reach, new_pass: bool) -> String {
        match answer(&before, under, new_pass, "echo reply") {
            Answer::Told(text) | Answer::Untold(text) => text,
        }
    }

    #[test]
    fn silence_means_something_only_after_an_answer() {
        use Reach::{Answered, Silent};
        assert_eq!(words(Answered, Silent, false), "dropped: no answer");
        assert_eq!(
            words(Silent, Silent, false),
            "not told: no answer without a policy either"
        );
        assert_eq!(
            words(Silent, Answered, false),
            "not told: no answer without a policy either"
        );
    }

    #[test]
    fn what_passes_is_a_trait_only_where_new_connections_are_stopped() {
        use Reach::Answered;
        assert_eq!(words(Answered, Answered, false), "passes: echo reply");
        assert_eq!(
            words(Answered, Answered, true),
            "not told: new connections pass as well, so that nothing is denied"
        );
    }

    #[test]
    fn a_refusal_counts_only_where_there_was_none_before() {
        let refused = || Reach::Rejected("connection refused".to_owned());
        assert_eq!(
            words(Reach::Answered, refused(), false),
            "rejected: connection refused"
        );
        assert_eq!(
            words(refused(), refused(), false),
            "not told: connection refused, without a policy too"
        );
        let unable = || Reach::Unable("no socket".to_owned());
        assert_eq!(words(unable(), unable(), false), "not asked: no socket");
    }
}
