//! The zone on bytes, and the server on real sockets in a pod's namespace.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    str::FromStr,
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};
use proptest::prelude::*;

use super::{DNS_PORT, DnsServer, Zone};
use crate::{
    cluster::ObjectName,
    lab::{
        Netns, RuntimeDir,
        topology::{Plan, VirtualCluster, Wiring, tests::pod},
    },
};

fn zone() -> Zone {
    let addresses = vec!["10.244.1.2".parse().unwrap(), "fd00:244:1::2".parse().unwrap()];
    Zone(HashMap::from([(
        "frontend.netpol-demo.pod.lab".to_owned(),
        addresses,
    )]))
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message
}

fn ask(message: &Message) -> Message {
    Message::from_vec(&zone().answer(&message.to_vec().unwrap()).unwrap()).unwrap()
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    message
        .answers
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .collect()
}

#[test]
fn each_family_gets_its_own_address_whatever_the_case() {
    let answer = ask(&question("Frontend.netpol-demo.POD.lab.", RecordType::A));
    assert_eq!(answer.metadata.id, 4711);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(addresses(&answer), ["10.244.1.2".parse::<IpAddr>().unwrap()]);
    let answer = ask(&question("frontend.netpol-demo.pod.lab.", RecordType::AAAA));
    assert_eq!(addresses(&answer), ["fd00:244:1::2".parse::<IpAddr>().unwrap()]);
}

#[test]
fn a_name_without_that_type_exists_and_an_unknown_name_does_not() {
    let answer = ask(&question("frontend.netpol-demo.pod.lab.", RecordType::MX));
    assert_eq!(
        (answer.metadata.response_code, answer.answers.len()),
        (ResponseCode::NoError, 0)
    );
    let answer = ask(&question("example.org.", RecordType::A));
    assert_eq!(
        (answer.metadata.response_code, answer.answers.len()),
        (ResponseCode::NXDomain, 0)
    );
}

#[test]
fn what_is_no_plain_question_is_refused_in_kind() {
    let mut update = question("a.", RecordType::A);
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(ask(&update).metadata.response_code, ResponseCode::NotImp);
    let mut chaos = question("a.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask(&chaos).metadata.response_code, ResponseCode::Refused);
    let empty = Message::new(1, MessageType::Query, OpCode::Query);
    assert_eq!(ask(&empty).metadata.response_code, ResponseCode::FormErr);
    let mut reply = question("a.", RecordType::A);
    reply.metadata.message_type = MessageType::Response;
    assert_eq!(
        zone().answer(&reply.to_vec().unwrap()),
        None,
        "an answer is never answered"
    );
}

#[test]
fn a_broken_question_gets_a_format_error_with_its_number() {
    let whole = question("frontend.netpol-demo.pod.lab.", RecordType::A)
        .to_vec()
        .unwrap();
    let answer = Message::from_vec(&zone().answer(&whole[..20]).unwrap()).unwrap();
    assert_eq!(
        (answer.metadata.id, answer.metadata.response_code),
        (4711, ResponseCode::FormErr)
    );
    assert_eq!(zone().answer(&whole[..11]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_answered_or_not_but_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Some(answer) = zone().answer(&bytes) {
            prop_assert_eq!(&answer[..2], &bytes[..2]);
            prop_assert!(answer[2] & 0x80 != 0, "marked as an answer");
        }
    }

    #[test]
    fn a_question_with_one_byte_changed_never_panics(at in 0_usize..46, byte in any::<u8>()) {
        let mut bytes = question("frontend.netpol-demo.pod.lab.", RecordType::A).to_vec().unwrap();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = zone().answer(&bytes);
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn over_udp(from: &Netns, server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = from
        .run(|| UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap())
        .unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(message, server).unwrap();
    let mut buffer = vec![0; 1500];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn over_tcp(from: &Netns, server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = from
        .run(|| TcpStream::connect_timeout(&server, PATIENCE).unwrap())
        .unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(message).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_resolve_each_other_over_udp_and_tcp_on_both_families() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: not root");
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = RuntimeDir::at(temporary.path());
    let pods = vec![pod("a", "client"), pod("kube-system", "kube-dns")];
    let cluster = VirtualCluster::build(&Plan::new(Wiring::Routed, pods), &dir)
        .await
        .unwrap();
    let dns = DnsServer::for_cluster(&cluster).await.unwrap().unwrap();
    let client = &cluster.pods[0].netns;
    let message = question("kube-dns.kube-system.pod.lab.", RecordType::A)
        .to_vec()
        .unwrap();
    let server = cluster
        .pod(&ObjectName::new("kube-system", "kube-dns"))
        .unwrap()
        .clone();
    for address in &server.addresses {
        let address = SocketAddr::new(*address, DNS_PORT);
        for reply in [
            over_udp(client, address, &message),
            over_tcp(client, address, &message),
        ] {
            assert_eq!(
                addresses(&Message::from_vec(&reply).unwrap()),
                server.addresses[..1]
            );
        }
        assert!(
            !over_udp(client, address, &message[..14]).is_empty(),
            "garbage does not end the server"
        );
    }
    dns.set_zone(Zone::default());
    let reply = over_udp(client, SocketAddr::new(server.addresses[0], DNS_PORT), &message);
    assert_eq!(
        Message::from_vec(&reply).unwrap().metadata.response_code,
        ResponseCode::NXDomain
    );
    assert!(
        DnsServer::start(&server, Zone::default()).await.is_err(),
        "the port is taken while it runs"
    );
    drop(dns);
    cluster.remove().await.unwrap();
}
