//! One side of an attempt: the tiers in their order, and which rules match.

use super::{
    answer::{Answer, Match},
    decision::{AdminRuleRef, Direction, RuleRef, Side, Unspecified},
    evaluate::Question,
    rule::{PeerList, Peers, Rule},
    set::{Compiled, CompiledAdmin, PolicySet},
};
use crate::cluster::Action;

/// What a group of policies with one priority may do with an attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Actions {
    accept: bool,
    deny: bool,
    pass: bool,
    /// Whether it may be that none of them matches.
    none: bool,
    /// Why there is more than one, where it is not because of the priority.
    why: Option<Unspecified>,
}

impl PolicySet {
    /// What one side says: Admin tier, then NetworkPolicies where some isolate the pod, then Baseline tier, else open.
    pub(super) fn side(&self, question: &Question<'_>) -> (Answer, Side) {
        let mut side = Side::default();
        // R21: kubelet's probes come from there.
        let is_exempt = question.direction == Direction::Ingress && question.admin_own_node;
        let subject = question
            .admin_subject
            .filter(|_| !is_exempt)
            .and_then(|class| self.class(class))
            .map(|class| class.subject(question.direction));
        let admin: Vec<_> = subject.map_or_else(Vec::new, |it| self.groups(&it.admin).collect());
        let baseline: Vec<_> = subject.map_or_else(Vec::new, |it| self.groups(&it.baseline).collect());
        let answer = self.tier(&admin, question, &mut side, &|side| {
            self.network_policies(question, side)
                .unwrap_or_else(|| self.tier(&baseline, question, side, &|_| Answer::OPEN))
        });
        (answer, side)
    }

    /// The groups of a tier one after the other; `next` is what follows the tier.
    fn tier(
        &self,
        groups: &[Vec<&CompiledAdmin>],
        question: &Question<'_>,
        side: &mut Side,
        next: &dyn Fn(&mut Side) -> Answer,
    ) -> Answer {
        let Some((group, later)) = groups.split_first() else {
            return next(side);
        };
        let actions = self.actions(group, question, side);
        let why = actions.why.unwrap_or(Unspecified::EqualPriority);
        let mut answers: Vec<Answer> = Vec::with_capacity(4);
        answers.extend(actions.accept.then_some(Answer::OPEN));
        answers.extend(actions.deny.then_some(Answer::CLOSED));
        if actions.pass {
            answers.push(next(side));
        }
        if actions.none {
            answers.push(self.tier(later, question, side, next));
        }
        answers
            .into_iter()
            .reduce(|one, other| one.or_else(other, why))
            .unwrap_or(Answer::OPEN)
    }

    /// What the first matching rule of each policy of a group does; of several matching policies any may be taken.
    fn actions(&self, group: &[&CompiledAdmin], question: &Question<'_>, side: &mut Side) -> Actions {
        let mut actions = Actions {
            none: true,
            ..Actions::default()
        };
        for policy in group {
            let mut is_sure = false;
            for (index, rule) in policy.rules(question.direction).iter().enumerate() {
                let matched = self.matches(&rule.rule, question, question.view.admin_class);
                match matched {
                    Match::No => continue,
                    Match::Maybe(why) => actions.why = Some(why),
                    Match::Yes => is_sure = true,
                }
                match rule.action {
                    Action::Accept => actions.accept = true,
                    Action::Deny => actions.deny = true,
                    Action::Pass => actions.pass = true,
                }
                let reference = AdminRuleRef {
                    policy: policy.name.clone(),
                    direction: question.direction,
                    index,
                    action: rule.action,
                };
                // What follows a tier may be asked on more than one way.
                if !side.admin.contains(&reference) {
                    side.admin.push(reference);
                }
                if is_sure {
                    break;
                }
            }
            actions.none &= !is_sure;
        }
        actions
    }

    /// The NetworkPolicies' word; `None` where none isolates the pod.
    fn network_policies(&self, question: &Question<'_>, side: &mut Side) -> Option<Answer> {
        if question.direction == Direction::Ingress && question.own_node {
            return Some(Answer::OPEN);
        }
        let class = self.class(question.subject?)?;
        let mut isolating: Vec<&Compiled> = self
            .policies(&class.subject(question.direction).isolating)
            .collect();
        if isolating.is_empty() {
            return None;
        }
        // A reader looks for the default deny first: a policy without rules is named before those that only add allows.
        isolating.sort_by_key(|policy| !policy.rules(question.direction).is_empty());
        side.bare = isolating
            .iter()
            .filter(|policy| policy.rules(question.direction).is_empty())
            .count();
        let mut best = Match::No;
        side.isolating = isolating.iter().map(|policy| policy.name.clone()).collect();
        side.allowing.clear();
        for policy in isolating {
            for (index, rule) in policy.rules(question.direction).iter().enumerate() {
                let matched = self.matches(rule, question, question.view.class);
                best = best.or(matched);
                if matched == Match::Yes {
                    side.allowing.push(RuleRef {
                        policy: policy.name.clone(),
                        direction: question.direction,
                        index,
                    });
                }
            }
        }
        Some(match best {
            Match::Yes => Answer::OPEN,
            Match::Maybe(why) => Answer::left_open(why),
            // R22: towards its own node a pod may be kept or not.
            Match::No if question.own_node => Answer::left_open(Unspecified::PodToOwnNode),
            Match::No => Answer::CLOSED,
        })
    }

    /// Whether a rule matches the other end and the port; `class` is the other end's, for selectors.
    fn matches(&self, rule: &Rule, question: &Question<'_>, class: Option<u32>) -> Match {
        let by_name = || {
            rule.ports
                .matches(question.protocol, question.port, question.declared)
        };
        match &rule.peers {
            Peers::Any => Match::when(by_name()),
            Peers::Listed(peers) => {
                let selected = class.is_some_and(|class| {
                    peers
                        .terms
                        .iter()
                        .any(|term| self.vocabulary.terms.selects(*term, class))
                });
                if selected && by_name() {
                    return Match::Yes;
                }
                // What is met as an address declares no names; the pod at the rule's own end still does (R17).
                let port_is_met = match question.direction {
                    Direction::Egress => rule.ports.by_number(question.protocol, question.port),
                    Direction::Ingress => by_name(),
                };
                if port_is_met {
                    self.matches_address(peers, question)
                } else {
                    Match::No
                }
            }
        }
    }

    fn matches_address(&self, peers: &PeerList, question: &Question<'_>) -> Match {
        let blocks = peers
            .blocks
            .iter()
            .filter_map(|number| self.vocabulary.blocks.all.get(*number as usize));
        let selected = |node: u32| {
            let labels = &self.vocabulary.node_labels;
            peers.nodes.iter().any(|wanted| labels.selects(wanted, node))
        };
        let Some(address) = question.view.address else {
            let by_node = match question.view.awaits_node {
                Some(Some(node)) => Match::when(self.is_described(node) && selected(node)),
                Some(None)
                    if (0..self.nodes.len() as u32).any(|node| self.is_described(node) && selected(node)) =>
                {
                    Match::Maybe(Unspecified::NoAddress)
                }
                Some(None) | None => Match::No,
            };
            return blocks
                .map(|block| {
                    if block.is_everything() {
                        Match::Yes
                    } else {
                        Match::Maybe(Unspecified::NoAddress)
                    }
                })
                .fold(by_node, Match::or);
        };
        let mut blocks = blocks;
        let is_met = blocks.any(|block| block.contains(address))
            || self
                .node_addresses
                .get(&address)
                .is_some_and(|nodes| nodes.iter().any(|node| selected(*node)));
        if is_met {
            Match::Yes
        } else if peers.domains && question.view.is_outside {
            Match::Maybe(Unspecified::DomainName)
        } else {
            Match::No
        }
    }

    /// Whether a node is known by more than a pod that names it.
    fn is_described(&self, node: u32) -> bool {
        self.nodes
            .get(node as usize)
            .is_some_and(|node| node.is_described)
    }
}
