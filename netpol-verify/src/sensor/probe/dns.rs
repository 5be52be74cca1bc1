//! The datagram that a DNS server answers.

use std::str::FromStr as _;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};

/// A question for an address; its number and its name carry the nonce, so that no two are equal.
pub(super) fn question(nonce: u32) -> Vec<u8> {
    let id = u16::try_from(nonce & 0xffff).unwrap_or_default();
    let name =
        Name::from_str(&format!("probe-{nonce:08x}.netpol-verify.lab.")).unwrap_or_else(|_| Name::root());
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, RecordType::A));
    // A question of one short name always encodes; were it not to, an empty datagram is a probe as well.
    message.to_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;

    #[test]
    fn a_question_reads_back_as_one() {
        let bytes = super::question(0x1234_5678);
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!(message.metadata.id, 0x5678);
        assert_eq!(message.queries.len(), 1);
        assert_ne!(bytes, super::question(0x1234_5679));
    }
}
