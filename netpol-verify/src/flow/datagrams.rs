//! Which datagram answers which: ports and addresses are all that UDP has to tell.

use std::{collections::HashMap, net::SocketAddr};

use crate::net::AttemptKey;

/// The latest datagram of each socket, and whom it was for.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    latest: HashMap<SocketAddr, Asked>,
}

#[derive(Debug)]
struct Asked {
    key: AttemptKey,
    /// One address, or two where the destination was rewritten on the way.
    to: Vec<SocketAddr>,
}

/// A Service's address and the pod's own; more is nobody's ordinary traffic.
const REWRITTEN: usize = 4;

impl Datagrams {
    /// The attempt that a datagram answers. It must come from where that attempt went: else one late answer of a
    /// server would make every later question to it look like an answer.
    pub(super) fn answered(&self, from: SocketAddr, to: SocketAddr) -> Option<AttemptKey> {
        self.latest
            .get(&to)
            .filter(|asked| asked.to.contains(&from))
            .map(|asked| asked.key)
    }

    /// Takes a datagram that is no answer.
    pub(super) fn asked(&mut self, key: AttemptKey, to: SocketAddr) {
        let asked = self
            .latest
            .entry(key.source)
            .and_modify(|asked| {
                if asked.key != key {
                    *asked = Asked { key, to: Vec::new() };
                }
            })
            .or_insert_with(|| Asked { key, to: Vec::new() });
        if asked.to.len() < REWRITTEN && !asked.to.contains(&to) {
            asked.to.push(to);
        }
    }

    /// How many sockets are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.latest.len()
    }

    /// Lets go of an attempt.
    pub(super) fn forget(&mut self, key: &AttemptKey) {
        if self
            .latest
            .get(&key.source)
            .is_some_and(|asked| asked.key == *key)
        {
            self.latest.remove(&key.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::Datagrams;
    use crate::net::{AttemptKey, Protocol};

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn key(source: &str, discriminator: u32) -> AttemptKey {
        AttemptKey {
            protocol: Protocol::Udp,
            source: at(source),
            discriminator,
        }
    }

    #[test]
    fn an_answer_comes_from_where_the_question_went_rewritten_or_not() {
        let mut datagrams = Datagrams::default();
        let question = key("10.0.0.1:20000", 1);
        datagrams.asked(question, at("10.96.0.10:53"));
        datagrams.asked(question, at("10.0.0.9:53"));
        for server in ["10.96.0.10:53", "10.0.0.9:53"] {
            assert_eq!(
                datagrams.answered(at(server), at("10.0.0.1:20000")),
                Some(question)
            );
        }
        assert_eq!(datagrams.answered(at("10.0.0.8:53"), at("10.0.0.1:20000")), None);
        datagrams.forget(&question);
        assert_eq!(datagrams.answered(at("10.0.0.9:53"), at("10.0.0.1:20000")), None);
    }

    #[test]
    fn a_late_answer_does_not_turn_later_questions_into_answers() {
        let mut datagrams = Datagrams::default();
        // Its question was judged and let go before, or never seen.
        datagrams.asked(key("10.0.0.9:53", 7), at("10.0.0.1:20000"));
        assert_eq!(datagrams.answered(at("10.0.0.2:20001"), at("10.0.0.9:53")), None);
    }

    #[test]
    fn a_sockets_next_question_replaces_the_one_before() {
        let mut datagrams = Datagrams::default();
        let (first, second) = (key("10.0.0.1:20000", 1), key("10.0.0.1:20000", 2));
        datagrams.asked(first, at("10.0.0.8:53"));
        datagrams.asked(second, at("10.0.0.9:53"));
        assert_eq!(datagrams.answered(at("10.0.0.8:53"), at("10.0.0.1:20000")), None);
        datagrams.forget(&first);
        assert_eq!(
            datagrams.answered(at("10.0.0.9:53"), at("10.0.0.1:20000")),
            Some(second)
        );
    }
}
