//! Names and answers; no sockets, no time.

use std::{collections::HashMap, net::IpAddr};

use hickory_proto::{
    op::{Message, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, RData, Record, RecordType},
};

use crate::{cluster::ObjectName, lab::topology::BuiltPod};

/// The domain of the lab's pods.
pub const DNS_DOMAIN: &str = "pod.lab";
/// How long an answer holds, in seconds: not at all, for pods come and go.
const TTL: u32 = 0;

/// The pods' addresses by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone(pub(super) HashMap<String, Vec<IpAddr>>);

impl Zone {
    /// The names of these pods.
    pub fn of<'a>(pods: impl IntoIterator<Item = &'a BuiltPod>) -> Self {
        Self(
            pods.into_iter()
                .map(|pod| (name_of(&pod.name), pod.addresses.clone()))
                .collect(),
        )
    }

    /// The answer to a message; none to one that deserves none. Any bytes may come.
    #[must_use]
    pub fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let response = match Message::from_vec(message) {
            Ok(query) if query.metadata.message_type == MessageType::Query => self.respond(&query),
            // Answering an answer is how two servers talk for ever.
            Ok(_) => return None,
            Err(_) => malformed(message)?,
        };
        response.to_vec().ok()
    }

    fn respond(&self, query: &Message) -> Message {
        let mut response = Message::response(query.metadata.id, query.metadata.op_code);
        response.metadata = Metadata::response_from_request(&query.metadata);
        let [question] = query.queries.as_slice() else {
            response.metadata.response_code = ResponseCode::FormErr;
            return response;
        };
        response.add_query(question.clone());
        if query.metadata.op_code != OpCode::Query {
            response.metadata.response_code = ResponseCode::NotImp;
            return response;
        }
        if !matches!(question.query_class(), DNSClass::IN | DNSClass::ANY) {
            response.metadata.response_code = ResponseCode::Refused;
            return response;
        }
        response.metadata.authoritative = true;
        let name = question.name().to_ascii().to_ascii_lowercase();
        let Some(addresses) = self.0.get(name.trim_end_matches('.')) else {
            response.metadata.response_code = ResponseCode::NXDomain;
            return response;
        };
        for address in addresses {
            let (kind, data) = match address {
                IpAddr::V4(v4) => (RecordType::A, RData::A((*v4).into())),
                IpAddr::V6(v6) => (RecordType::AAAA, RData::AAAA((*v6).into())),
            };
            if question.query_type() == kind || question.query_type() == RecordType::ANY {
                response.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
            }
        }
        response
    }
}

fn name_of(pod: &ObjectName) -> String {
    format!("{}.{}.{DNS_DOMAIN}", pod.name, pod.namespace).to_ascii_lowercase()
}

/// The answer to what cannot be read: its number and "format error", unless it claims to be an answer or has no header (12 bytes).
fn malformed(message: &[u8]) -> Option<Message> {
    match message {
        [high, low, flags, _, _, _, _, _, _, _, _, _, ..] if flags & 0x80 == 0 => {
            let id = u16::from_be_bytes([*high, *low]);
            Some(Message::error_msg(id, OpCode::Query, ResponseCode::FormErr))
        }
        _ => None,
    }
}
