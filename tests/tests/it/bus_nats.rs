//! What sensors say through a real NATS server: order, content, restarts, losses.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify::{
    bus::{
        Announcement, Batch, Bus as _, Heard, Inbox as _, InterfaceState, LossTotals, Message, NodeFacts,
        Origin, Roster, SensorFacts, WatchedInterface,
        nats::{Nats, NatsBus, NatsInbox, QueueLimits, Role, Start, StreamLimits, ensure_stream},
    },
    net::{Ifindex, KernelTime, NetnsCookie},
};
use netpol_verify_ebpf::RECORD_SIZE;
use netpol_verify_tests::{NatsServer, Setup};

/// How long anything may take before it counts as hanging.
const HANGING: Duration = Duration::from_secs(120);

/// Does not wait for ever.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(HANGING, work)
        .await
        .with_context(|| format!("{what} does not come to an end"))
}

/// Runs a test's work.
pub(crate) fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(soon("the test", work))?
}

pub(crate) fn origin(node: &str) -> Origin {
    Origin {
        node: node.into(),
        session: u64::MAX - 7,
    }
}

/// A batch whose records say which one it is.
pub(crate) fn batch(node: &str, sequence: u64, records: usize) -> Message {
    let mut bytes = vec![0_u8; records * RECORD_SIZE];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at as u64).wrapping_mul(31).wrapping_add(sequence) as u8;
    }
    Message::Batch(Batch {
        origin: origin(node),
        sequence,
        records: bytes.into(),
        drained_at: KernelTime(sequence * 1_000),
        losses: Arc::new(LossTotals {
            by_netns: [(NetnsCookie(u64::MAX), sequence)].into(),
            not_published: 3,
            ..LossTotals::default()
        }),
        functions: [(sequence, "nf_hook_slow é \u{2028}".to_owned())].into(),
        heard: vec![Heard {
            verifier: "\u{85} v\r\n\"1\" ".to_owned(),
            called_at: KernelTime(1),
            heard_at: KernelTime(2),
        }],
    })
}

fn interface(number: u32) -> WatchedInterface {
    WatchedInterface {
        netns: NetnsCookie(u64::from(number)),
        netns_name: format!("cni-{number}"),
        pods: BTreeSet::from([format!("pod-{number}")]),
        ifindex: Ifindex(number),
        ifname: "eth0".to_owned(),
        addresses: vec![Ipv4Addr::new(10, 0, 0, 1).into(), Ipv6Addr::LOCALHOST.into()],
        state: InterfaceState::Failed {
            why: "no \u{7f} reason".to_owned(),
        },
    }
}

/// What a sensor says of itself.
fn introductions(node: &str) -> [Message; 3] {
    [
        Message::Node(NodeFacts {
            origin: origin(node),
            facts: SensorFacts {
                drop_reasons: (0..100).map(|one| (one, format!("REASON_{one}"))).collect(),
                wall_clock: -1,
                ..SensorFacts::default()
            },
        }),
        Message::Announcement(Announcement {
            origin: origin(node),
            interface: interface(1),
        }),
        Message::Roster(Roster {
            origin: origin(node),
            at: KernelTime(5),
            interfaces: (0..1_000).map(interface).collect(),
        }),
    ]
}

pub(crate) fn sequence(message: &Message) -> Result<u64> {
    match message {
        Message::Batch(batch) => Ok(batch.sequence),
        other => bail!("no batch: {other:?}"),
    }
}

/// A reader that has begun.
pub(crate) async fn reader(server: &NatsServer, limits: StreamLimits, start: Start) -> Result<NatsInbox> {
    let nats = Nats::connect(&server.access(Role::Verifier)).await?;
    let inbox = NatsInbox::open(nats, limits, start);
    soon("beginning to read", inbox.attached()).await?;
    Ok(inbox)
}

pub(crate) async fn sender(server: &NatsServer) -> Result<NatsBus> {
    let nats = Nats::connect(&server.access(Role::Sensor)).await?;
    Ok(NatsBus::start(nats, QueueLimits::default()))
}

pub(crate) async fn next(inbox: &mut NatsInbox) -> Result<Message> {
    soon("the next message", inbox.receive())
        .await?
        .context("the inbox has ended")
}

fn publish(bus: &NatsBus, messages: impl IntoIterator<Item = Message>) -> Result<()> {
    messages
        .into_iter()
        .try_for_each(|message| Ok(bus.publish(message)?))
}

#[test]
fn everything_arrives_in_order_and_unchanged() -> Result<()> {
    let Some(server) = NatsServer::start("everything_arrives_in_order_and_unchanged")? else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let bus = sender(&server).await?;
        let node = "node-1.example.com";
        let mut said: Vec<Message> = introductions(node).into();
        // Alone and together, empty and as large as a batch gets.
        said.extend((1..=300).map(|at| batch(node, at, if at % 100 == 0 { 4_096 } else { at as usize % 7 })));
        publish(&bus, said.iter().cloned())?;
        soon("sending", bus.flushed()).await?;
        for expected in &said {
            assert_eq!(format!("{:?}", next(&mut inbox).await?), format!("{expected:?}"));
        }
        assert_eq!(bus.counts().stored, said.len() as u64);
        assert_eq!(inbox.counts().received, said.len() as u64);
        assert_eq!(inbox.counts().refused, 0);
        Ok(())
    })
}

#[test]
fn nodes_do_not_mix_and_each_keeps_its_order() -> Result<()> {
    let Some(server) = NatsServer::start("nodes_do_not_mix_and_each_keeps_its_order")? else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let (one, other) = (sender(&server).await?, sender(&server).await?);
        for at in 1..=200 {
            publish(&one, [batch("a.b", at, 3)])?;
            publish(&other, [batch("a-b", at, 3)])?;
        }
        let mut last = [0, 0];
        while last != [200, 200] {
            let message = next(&mut inbox).await?;
            let which = usize::from(&*message.origin().node == "a-b");
            last[which] += 1;
            assert_eq!(sequence(&message)?, last[which]);
        }
        Ok(())
    })
}

#[test]
fn a_reader_that_starts_again_reads_what_it_chooses() -> Result<()> {
    let Some(server) = NatsServer::start("a_reader_that_starts_again_reads_what_it_chooses")? else {
        return Ok(());
    };
    run(async {
        let limits = StreamLimits::default();
        drop(reader(&server, limits, Start::Now).await?);
        let bus = sender(&server).await?;
        publish(&bus, (1..=20).map(|at| batch("n", at, 1)))?;
        soon("sending", bus.flushed()).await?;
        for start in [
            Start::Beginning,
            Start::Last(Duration::from_secs(300)),
            Start::Last(Duration::MAX),
        ] {
            let mut inbox = reader(&server, limits, start).await?;
            for at in 1..=20 {
                assert_eq!(sequence(&next(&mut inbox).await?)?, at, "{start:?}");
            }
        }
        let mut inbox = reader(&server, limits, Start::Now).await?;
        publish(&bus, [batch("n", 21, 1)])?;
        assert_eq!(sequence(&next(&mut inbox).await?)?, 21);
        Ok(())
    })
}

#[test]
fn whoever_comes_before_the_server_waits_for_it() -> Result<()> {
    let Some(mut server) = NatsServer::start("whoever_comes_before_the_server_waits_for_it")? else {
        return Ok(());
    };
    server.kill()?;
    run(async {
        let bus = sender(&server).await?;
        publish(&bus, (1..=10).map(|at| batch("n", at, 1)))?;
        let nats = Nats::connect(&server.access(Role::Verifier)).await?;
        assert!(!nats.link().connected);
        let mut inbox = NatsInbox::open(nats.clone(), StreamLimits::default(), Start::Beginning);
        server.restart()?;
        for at in 1..=10 {
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
        }
        soon("connecting", nats.connected()).await?;
        soon("sending", bus.flushed()).await
    })
}

#[test]
fn a_server_that_is_killed_loses_nothing_silently() -> Result<()> {
    let Some(mut server) = NatsServer::start("a_server_that_is_killed_loses_nothing_silently")? else {
        return Ok(());
    };
    run(async {
        const LAST: u64 = 3_000;
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let bus = Arc::new(sender(&server).await?);
        let speaker = tokio::spawn({
            let bus = bus.clone();
            async move {
                let mut given_back = BTreeSet::new();
                for at in 1..=LAST {
                    if bus.publish(batch("n", at, at as usize % 50)).is_err() {
                        given_back.insert(at);
                    }
                    if at % 10 == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                given_back
            }
        });
        let mut read = BTreeSet::new();
        for kill_after in [300, 1_200, 2_000] {
            while read.last().is_none_or(|last| *last < kill_after) {
                let at = sequence(&next(&mut inbox).await?)?;
                ensure!(
                    read.last().is_none_or(|last| *last < at),
                    "{at} came late or twice"
                );
                read.insert(at);
            }
            server.kill()?;
            server.restart()?;
        }
        let given_back = soon("speaking", speaker).await??;
        soon("sending", bus.flushed()).await?;
        while read.last() != Some(&LAST) {
            let at = sequence(&next(&mut inbox).await?)?;
            ensure!(
                read.last().is_none_or(|last| *last < at),
                "{at} came late or twice"
            );
            read.insert(at);
        }
        let counts = bus.counts();
        assert_eq!(counts.stored + counts.rejected, LAST, "{counts:?}");
        assert_eq!(counts.rejected, given_back.len() as u64);
        assert!(read.is_disjoint(&given_back));
        // What a kill took of what was stored is a gap that the numbers show, and no more than the server had not written.
        let gaps = LAST - read.len() as u64 - counts.rejected;
        println!(
            "{} read, {gaps} gaps, {counts:?}, {:?}",
            read.len(),
            inbox.counts()
        );
        assert!(gaps < 300, "{gaps} messages in three kills");
        Ok(())
    })
}

#[test]
fn a_small_stream_throws_away_its_oldest_and_nobody_waits() -> Result<()> {
    let Some(server) = NatsServer::start("a_small_stream_throws_away_its_oldest_and_nobody_waits")? else {
        return Ok(());
    };
    run(async {
        let limits = StreamLimits {
            bytes: 2 * 1024 * 1024,
            ..StreamLimits::default()
        };
        let verifier = Nats::connect(&server.access(Role::Verifier)).await?;
        ensure_stream(&verifier, limits).await?;
        let bus = sender(&server).await?;
        for at in 1..=100 {
            publish(&bus, [batch("n", at, 1_000)])?;
            soon("sending", bus.flushed()).await?;
        }
        let mut inbox = reader(&server, limits, Start::Beginning).await?;
        let first = sequence(&next(&mut inbox).await?)?;
        assert!(first > 80, "the stream holds some ten, and begins with {first}");
        for at in first + 1..=100 {
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
        }
        Ok(())
    })
}

#[test]
fn a_queue_that_is_full_gives_records_back_and_has_room_for_the_rest() -> Result<()> {
    let Some(mut server) =
        NatsServer::start("a_queue_that_is_full_gives_records_back_and_has_room_for_the_rest")?
    else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let limits = QueueLimits {
            bytes: 1024 * 1024,
            ..QueueLimits::default()
        };
        let nats = Nats::connect(&server.access(Role::Sensor)).await?;
        let bus = NatsBus::start(nats, limits);
        server.kill()?;
        let mut given_back = Vec::new();
        for at in 1..=100 {
            if let Err(rejected) = bus.publish(batch("n", at, 1_000)) {
                assert!(!rejected.gone);
                given_back.push(sequence(&rejected.message)?);
            }
        }
        assert!(given_back.len() > 90, "{} came back", given_back.len());
        publish(&bus, introductions("n"))?;
        server.restart()?;
        for at in (1..=100).filter(|at| !given_back.contains(at)) {
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
        }
        for expected in introductions("n") {
            assert_eq!(format!("{:?}", next(&mut inbox).await?), format!("{expected:?}"));
        }
        assert_eq!(bus.counts().rejected, given_back.len() as u64);
        Ok(())
    })
}

#[test]
fn what_is_too_large_for_the_server_is_counted_and_stops_nothing() -> Result<()> {
    let setup = Setup {
        max_payload: 64 * 1024,
        ..Setup::default()
    };
    let test = "what_is_too_large_for_the_server_is_counted_and_stops_nothing";
    let Some(server) = NatsServer::start_with(test, setup)? else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let bus = sender(&server).await?;
        publish(
            &bus,
            (1..=9).map(|at| batch("n", at, if at == 5 { 4_096 } else { 200 })),
        )?;
        soon("sending", bus.flushed()).await?;
        for at in [1, 2, 3, 4, 6, 7, 8, 9] {
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
        }
        let counts = bus.counts();
        assert_eq!((counts.stored, counts.lost, counts.lost_records), (8, 1, 4_096));
        Ok(())
    })
}

#[test]
fn a_stream_that_is_deleted_is_made_again() -> Result<()> {
    let setup = Setup {
        tls: false,
        ..Setup::default()
    };
    let Some(server) = NatsServer::start_with("a_stream_that_is_deleted_is_made_again", setup)? else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let bus = sender(&server).await?;
        publish(&bus, [batch("n", 1, 1)])?;
        assert_eq!(sequence(&next(&mut inbox).await?)?, 1);
        let mut raw = server.raw(Role::Verifier)?;
        raw.send(b"PUB $JS.API.STREAM.DELETE.NPV 0\r\n")?;
        raw.settle()?;
        publish(&bus, (2..=5).map(|at| batch("n", at, 1)))?;
        for at in 2..=5 {
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
        }
        Ok(())
    })
}

#[test]
fn it_does_not_matter_who_makes_the_stream_or_how_often() -> Result<()> {
    let Some(server) = NatsServer::start("it_does_not_matter_who_makes_the_stream_or_how_often")? else {
        return Ok(());
    };
    run(async {
        let small = StreamLimits {
            bytes: 1024 * 1024,
            age: Duration::from_secs(60),
        };
        let nats = Nats::connect(&server.access(Role::Verifier)).await?;
        let (one, other) = tokio::join!(
            ensure_stream(&nats, StreamLimits::default()),
            ensure_stream(&nats, StreamLimits::default())
        );
        one?;
        other?;
        ensure_stream(&nats, small).await?;
        ensure_stream(&nats, small).await?;
        let too_large = StreamLimits {
            bytes: 1 << 40,
            ..small
        };
        let error = ensure_stream(&nats, too_large).await.unwrap_err().to_string();
        assert!(error.contains("more storage"), "{error}");
        Ok(())
    })
}
