//! The engine's own ways to an answer agree: one question, a whole matrix, and a set that followed changes.

use proptest::prelude::*;

use super::literal::generate::snapshots;
use crate::{
    cluster::{ClusterState, Object, Snapshot},
    net::{Family, Protocol},
    policy::{PolicySet, compile},
};

const PORTS: [(Protocol, u16); 4] = [
    (Protocol::Tcp, 80),
    (Protocol::Tcp, 53),
    (Protocol::Udp, 8080),
    (Protocol::Sctp, 90),
];

/// Every answer between pods, in words.
fn answers(set: &PolicySet) -> Vec<String> {
    let mut answers = Vec::new();
    for (protocol, port) in PORTS {
        let matrix = set.matrix(protocol, port);
        let mut of_port: Vec<String> = Vec::new();
        for from in set.pods() {
            for to in set.pods() {
                for family in [Family::Ipv4, Family::Ipv6] {
                    let expected = matrix.expect(from, to, family);
                    let decided = matrix.decide(from, to, family).map(|it| it.expectation);
                    assert_eq!(
                        expected,
                        decided,
                        "{:?} -> {:?} {protocol}/{port} {family}",
                        set.name(from),
                        set.name(to)
                    );
                    of_port.push(format!(
                        "{:?} {:?} {family} {expected:?}",
                        set.name(from),
                        set.name(to)
                    ));
                }
            }
        }
        of_port.sort();
        answers.extend(of_port);
    }
    answers
}

fn objects(snapshot: &Snapshot) -> Vec<Object> {
    let namespaces = snapshot.namespaces.iter().cloned().map(Object::Namespace);
    let nodes = snapshot.nodes.iter().cloned().map(Object::Node);
    let pods = snapshot.pods.iter().cloned().map(Object::Pod);
    let policies = snapshot.policies.iter().cloned().map(Object::Policy);
    let admin = snapshot.admin.iter().cloned().map(Object::Admin);
    namespaces
        .chain(nodes)
        .chain(pods)
        .chain(policies)
        .chain(admin)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_matrix_says_what_each_question_says(snapshot in snapshots()) {
        let (set, _) = compile(&snapshot);
        answers(&set);
    }

    #[test]
    fn a_set_that_followed_changes_is_the_set_compiled_anew(stages in prop::collection::vec(snapshots(), 2..4)) {
        let mut state = ClusterState::default();
        state.apply(objects(&stages[0]));
        let (mut set, _) = compile(&state.snapshot());
        for stage in &stages[1..] {
            let wanted: Vec<_> = objects(stage).iter().map(Object::key).collect();
            let gone: Vec<_> = objects(&state.snapshot()).iter().map(Object::key).filter(|key| !wanted.contains(key)).collect();
            let mut changes = state.delete(gone);
            changes.extend(state.apply(objects(stage)));
            set.follow(&state, &changes);
            let (anew, _) = compile(&state.snapshot());
            prop_assert_eq!(answers(&set), answers(&anew));
            prop_assert_eq!(set.generation(), anew.generation());
        }
    }
}
