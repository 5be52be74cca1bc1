//! What the API leaves to implementations, asked on purpose once a run: questions that first packets between pods do not tell.
//!
//! ```text
//!  nothing denied      every question once, and connections are opened: only then does silence mean something
//!  ingress denied      the connections that are open; the pod's own node, another node
//!  nothing denied      the same connections again
//!  egress denied       other connections that are open; a pod's own node from there
//!  nothing denied      the same again
//!  everything denied   ICMP echo; a pod to itself
//!  all but a block     pods whose addresses the block holds
//! ```
//!
//! Each time new connections are tried beside: that something goes on under a policy that nobody enforces tells nothing.

mod answer;
mod block;
mod control;
mod echo;
mod established;
mod flow;
mod ground;
mod node;
mod question;
mod reach;
mod sockets;

pub use sockets::Sockets;

use self::{
    answer::not_asked,
    control::{Control, Listening},
    established::Established,
    ground::{Denied, Ground, Halt},
    node::OwnNode,
    question::Question,
};
use super::{patience::Learnt, scene::Scene};
use crate::report::{CaseResult, Trait};

/// What came of all questions.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// An answer to each, or why there is none.
    pub(super) traits: Vec<Trait>,
    /// What an answer shows that the API does not leave open: a node that does not reach its own pod (R21).
    pub(super) violation: Option<CaseResult>,
}

/// What takes sockets of the pods' own, in the order in which it is told.
const BY_SOCKETS: [&str; 10] = [
    established::INGRESS,
    established::AFTER_INGRESS,
    established::EGRESS,
    established::AFTER_EGRESS,
    question::ECHO,
    node::OWN,
    question::OTHER_NODE,
    question::TO_OWN_NODE,
    question::ITSELF,
    question::OWN_SERVICE,
];

/// Asks everything that can be asked on the scene. The suite's world is put in the place of what is there.
pub(super) async fn ask_open<S: Scene>(scene: &mut S, learnt: &mut Learnt) -> Result<Open, S::Error> {
    let mut open = Open::default();
    match ask(scene, learnt, &mut open).await {
        Ok(()) => {}
        Err(Halt::Scene(error)) => return Err(error),
        Err(Halt::Refused(why)) => open.leave(&why),
    }
    open.in_order();
    Ok(open)
}

async fn ask<S: Scene>(scene: &mut S, learnt: &mut Learnt, open: &mut Open) -> Result<(), Halt<S::Error>> {
    let ground = Ground::new(scene.sockets().ok().as_ref());
    ground.lay(scene, Denied::Nothing).await?;
    match scene.sockets() {
        Ok(sockets) => by_sockets(scene, &ground, &sockets, open).await?,
        Err(why) => open
            .traits
            .extend(BY_SOCKETS.iter().map(|question| not_asked(question, &why))),
    }
    open.traits.push(block::ask(scene, &ground, learnt).await?);
    Ok(())
}

async fn by_sockets<S: Scene>(
    scene: &mut S,
    ground: &Ground,
    sockets: &Sockets,
    open: &mut Open,
) -> Result<(), Halt<S::Error>> {
    let (pairs, itself, to_own_node) = (sockets.pairs(), sockets.itself(), sockets.to_own_node());
    let _listening = Listening::on(pairs.iter().chain(&to_own_node));
    let control = Control::between(&pairs);
    let mut ingress = Established::open(&pairs).await;
    let mut egress = Established::open(&pairs).await;
    let echo = Question::echo(&pairs).await;
    let mut own_node = OwnNode::before(sockets).await;
    let other_node = Question::other_node(&sockets.by_nodes(false)).await;
    let to_own_node = Question::to_own_node(&to_own_node).await;
    let own_service = Question::own_service(&itself, &ground.service()).await;
    let itself = Question::itself(&itself).await;

    ground.lay(scene, Denied::Ingress).await?;
    let (denied, was, own, other) = tokio::join!(
        control.ask(),
        ingress.exchange(),
        own_node.under(),
        other_node.again()
    );
    let snapshot = scene.state().snapshot();
    open.traits.extend([
        established::under(established::INGRESS, &was, &denied),
        own_node.answer(own, &denied),
        other_node.answer(other, &denied),
    ]);
    ground.lay(scene, Denied::Nothing).await?;
    let (news, was, reached) = tokio::join!(control.ask(), ingress.recover(), own_node.after());
    let after = established::after(established::AFTER_INGRESS, &was, &denied, &news);
    open.traits.push(after);
    open.violation = own_node.violation(&reached, &snapshot);

    ground.lay(scene, Denied::Egress).await?;
    let (denied, was, to_node) = tokio::join!(control.ask(), egress.exchange(), to_own_node.again());
    open.traits.extend([
        established::under(established::EGRESS, &was, &denied),
        to_own_node.answer(to_node, &denied),
    ]);
    ground.lay(scene, Denied::Nothing).await?;
    let (news, was) = tokio::join!(control.ask(), egress.recover());
    let after = established::after(established::AFTER_EGRESS, &was, &denied, &news);
    open.traits.push(after);

    ground.lay(scene, Denied::Everything).await?;
    let (denied, echoes, to_itself, to_service) =
        tokio::join!(control.ask(), echo.again(), itself.again(), own_service.again());
    open.traits.extend([
        echo.answer(echoes, &denied),
        itself.answer(to_itself, &denied),
        own_service.answer(to_service, &denied),
    ]);
    Ok(())
}

impl Open {
    /// As a reader looks for them, not as they were asked.
    fn in_order(&mut self) {
        let place = |one: &Trait| BY_SOCKETS.iter().position(|question| *question == one.question);
        self.traits
            .sort_by_key(|one| place(one).unwrap_or(BY_SOCKETS.len()));
    }

    /// What has no answer yet stays without one.
    fn leave(&mut self, why: &str) {
        for question in BY_SOCKETS.into_iter().chain([block::QUESTION]) {
            if self.traits.iter().all(|known| known.question != question) {
                self.traits.push(not_asked(question, why));
            }
        }
    }
}
