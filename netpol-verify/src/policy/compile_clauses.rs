//! The rules of one NetworkPolicy as they were written, for the question which clause an attempt fails.

use crate::cluster::{Place, SourcedPolicy, path::FieldPath};

use super::{
    blocks::Block,
    compile::Report,
    compile_port::PortNames,
    compile_rule::{WrittenRule, block},
    compile_selector::selector,
    decision::Direction,
    port::{NameId, PortMatch},
    selector::Selector,
};

/// One rule as it was written.
pub(crate) struct Clauses {
    /// None means any peer.
    pub(crate) peers: Vec<PeerClause>,
    /// None means any port.
    pub(crate) ports: Vec<PortMatch>,
    /// The texts of the port names.
    pub(crate) names: Vec<String>,
    /// How many entries were written in each, those that cannot be read included.
    pub(crate) written: [usize; 2],
}

/// One entry of `from` or `to` that can be read.
pub(crate) struct PeerClause {
    /// Where it stands in the list.
    pub(crate) index: usize,
    pub(crate) peer: Peer,
}

/// What it says.
pub(crate) enum Peer {
    /// `None` for the namespaces means the policy's own.
    Pods {
        namespaces: Option<Selector>,
        pods: Option<Selector>,
    },
    Block(Block),
}

impl Clauses {
    /// The text of a port name.
    pub(crate) fn name(&self, name: NameId) -> &str {
        self.names.get(name.0 as usize).map_or("", String::as_str)
    }
}

/// The rules of a policy in one direction.
pub(crate) fn clauses(policy: &SourcedPolicy, direction: Direction) -> Vec<Clauses> {
    let Some(spec) = &policy.object.spec else {
        return Vec::new();
    };
    match direction {
        Direction::Ingress => spec.ingress.iter().flatten().map(read).collect(),
        Direction::Egress => spec.egress.iter().flatten().map(read).collect(),
    }
}

fn read<R: WrittenRule>(rule: &R) -> Clauses {
    // What cannot be read was reported when the policy was compiled.
    let mut unheard = Vec::new();
    let nowhere = Place {
        file: std::path::PathBuf::new(),
        line: 0,
    };
    let mut report = Report::new(String::new(), &nowhere, &mut unheard);
    let path = FieldPath::default();
    let peers = rule
        .peers()
        .iter()
        .enumerate()
        .filter_map(|(index, written)| {
            let peer = match &written.ip_block {
                Some(text) => {
                    let except = text.except.as_deref().unwrap_or_default();
                    Peer::Block(block(&text.cidr, except, &path, &mut report)?)
                }
                None => {
                    let mut read = |written: Option<&_>| match written {
                        Some(_) => selector(written, &path, "", &mut report).map(Some),
                        None => Some(None),
                    };
                    Peer::Pods {
                        namespaces: read(written.namespace_selector.as_ref())?,
                        pods: read(written.pod_selector.as_ref())?,
                    }
                }
            };
            Some(PeerClause { index, peer })
        })
        .collect();
    let mut names = PortNames::default();
    let ports = rule
        .ports()
        .iter()
        .filter_map(|entry| names.port(entry, &path, &mut report))
        .collect();
    Clauses {
        peers,
        ports,
        names: names.texts(),
        written: [rule.peers().len(), rule.ports().len()],
    }
}
