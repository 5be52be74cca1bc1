//! Which attempts a fault flips, by the literal reading; knows nothing of rules and their text.

use super::{
    Fault, Question,
    attempt::{Attempt, OPEN, Sides},
    entry::How,
};
use crate::{cluster::Snapshot, lab::World};

/// What the fault makes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is denied and delivered.
    Leak,
    /// It is denied; its first packets are dropped and one of its retransmissions is delivered.
    LeakOnRetransmission {
        /// Which one, from 1. It is 2 when two nodes deny it, since each drops the first that it sees.
        nth: u8,
    },
    /// It is allowed and dropped.
    Overblock,
    /// It is allowed and delivered, and the answer is lost. Where nobody answers (UDP and SCTP without a server), there is no
    /// answer to lose, and the attempt stays as it is.
    ReplyLost,
}

/// What a fault makes of an attempt's two sides, or of the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Sides(Sides),
    Effect(Option<Effect>),
}

impl From<Sides> for Made {
    fn from(sides: Sides) -> Self {
        Self::Sides(sides)
    }
}

/// What is predicted of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Predicted {
    /// The specification leaves it open: nobody can be wrong about it.
    Open,
    /// It is as the policies require.
    Right,
    /// The fault touches it.
    Wrong(Effect),
}

/// What an enforcer, right or with a fault, does in a cluster as it stands, by the literal reading.
pub struct Prediction<'a> {
    fault: Option<Fault>,
    world: &'a World,
    told: &'a [Snapshot],
    /// The cluster as the fault has it, where that is another one.
    reread: Option<Snapshot>,
}

impl<'a> Prediction<'a> {
    /// Of an enforcer that was told these snapshots since its start, oldest first; the last is how the cluster stands. None
    /// means that it was told only that.
    #[must_use]
    pub fn new(fault: Option<Fault>, world: &'a World, told: &'a [Snapshot]) -> Self {
        let snapshot = &world.snapshot;
        let reread = fault.and_then(|fault| match fault.how() {
            How::Accepts(fault) => Some(fault.rewritten(snapshot)),
            How::Memory(fault) => Some(fault.remembered(told, snapshot)),
            how => how.misread(snapshot),
        });
        Self {
            fault,
            world,
            told,
            reread,
        }
    }

    /// What becomes of an attempt.
    #[must_use]
    pub fn of(&self, question: &Question<'_>) -> Predicted {
        let reread = self.reread.as_ref().unwrap_or(&self.world.snapshot);
        let attempt = Attempt::of(self.world, self.told, reread, question);
        let Some((attempt, required)) = attempt.and_then(|attempt| Some((attempt, attempt.required()?)))
        else {
            return Predicted::Open;
        };
        self.effect(&attempt, required)
            .map_or(Predicted::Right, Predicted::Wrong)
    }

    fn effect(&self, attempt: &Attempt<'_>, required: Sides) -> Option<Effect> {
        let made = match self.fault?.how() {
            How::Gates(fault) => fault.made(attempt, required),
            How::Accepts(fault) => fault.made(attempt, required),
            How::Engine(fault) => fault.made(attempt, required),
            How::Services(fault) => fault.made(attempt, required),
            How::Memory(fault) => fault.made(attempt, required),
            How::Ports(_) | How::Peers(_) | How::Selectors(_) | How::Policies(_) | How::Pods(_) => {
                attempt.required_as_reread().map(Made::Sides)
            }
        };
        match made? {
            Made::Effect(effect) => effect,
            Made::Sides(made) => match (required == OPEN, made == OPEN) {
                (false, true) => Some(Effect::Leak),
                (true, false) => Some(Effect::Overblock),
                (true, true) | (false, false) => None,
            },
        }
    }
}
