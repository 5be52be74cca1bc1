//! A question as a document of its own among manifests.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    cluster::{ObjectName, Snapshot},
    lab::literal::Party,
    net::Protocol,
};

/// By this the loader of manifests passes over it.
pub(super) const KIND: &str = "Question";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Question {
    api_version: String,
    kind: String,
    from: QuestionEnd,
    to: QuestionEnd,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) expected: Expected,
    /// For people.
    why: String,
}

/// What the specification says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Expected {
    Permitted,
    Refused,
    /// That it does not say, which both must find out.
    Undefined,
    /// Nothing, and both may answer as they like.
    Open,
}

/// One end: a pod or a node and its address, or an address alone.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::lab) struct QuestionEnd {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod: Option<ObjectName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl Question {
    pub(super) fn new(
        (from, to): (QuestionEnd, QuestionEnd),
        (protocol, port): (Protocol, u16),
        why: &str,
    ) -> Self {
        Self {
            api_version: "netpol-verify.io/v1alpha1".to_owned(),
            kind: KIND.to_owned(),
            from,
            to,
            protocol,
            port,
            expected: Expected::Undefined,
            why: why.to_owned(),
        }
    }

    pub(super) fn parties<'a>(&'a self, snapshot: &'a Snapshot) -> (Party<'a>, Party<'a>) {
        (self.from.party(snapshot), self.to.party(snapshot))
    }
}

impl QuestionEnd {
    fn party<'a>(&'a self, snapshot: &'a Snapshot) -> Party<'a> {
        match (&self.pod, &self.node, self.address) {
            (Some(name), None, address) => Party::Pod {
                pod: snapshot.pod(name).unwrap(),
                address,
            },
            (None, Some(name), Some(address)) => Party::Node { name, address },
            (None, None, Some(address)) => Party::Outside(address),
            _ => panic!("no end: {self:?}"),
        }
    }
}

impl From<Party<'_>> for QuestionEnd {
    fn from(party: Party<'_>) -> Self {
        let (pod, node) = match party {
            Party::Pod { pod, .. } => (Some(pod.name.clone()), None),
            Party::Node { name, .. } => (None, Some(name.to_owned())),
            Party::Outside(_) => (None, None),
        };
        Self {
            pod,
            node,
            address: party.address(),
        }
    }
}
