//! Rights and certificates on a real NATS server, questions to sensors, and garbage that anyone may put on the bus.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use netpol_verify::{
    bus::{
        Answer, Ask, AskError, Bus as _, PROBES_AT_ONCE, ProbeOrder, Sensors as _,
        nats::{
            Nats, NatsAsks, NatsError, NatsInbox, NatsSensors, Password, Question, Role, Start, StreamLimits,
        },
    },
    net::{KernelTime, NetnsCookie, Protocol},
};
use netpol_verify_tests::{NatsServer, Setup};

use crate::bus_nats::{batch, next, reader, run, sender, sequence, soon};

const PLAIN: Setup = Setup {
    tls: false,
    name: netpol_verify::bus::nats::SERVER_NAME,
    max_payload: 1024 * 1024,
    figures: false,
};

/// Long enough for any answer.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_wrong_password_is_an_error_at_once() -> Result<()> {
    let Some(server) = NatsServer::start("a_wrong_password_is_an_error_at_once")? else {
        return Ok(());
    };
    run(async {
        let mut access = server.access(Role::Sensor);
        access.password = Password::Plain("wrong".into());
        let error = Nats::connect(&access).await.err().context("it connected")?;
        assert!(matches!(error, NatsError::Refused { .. }), "{error}");
        access.password = Password::File("/nonexistent".into());
        let error = Nats::connect(&access).await.err().context("it connected")?;
        assert!(matches!(error, NatsError::File { .. }), "{error}");
        Ok(())
    })
}

#[test]
fn a_password_that_changes_is_told_and_tried_again() -> Result<()> {
    let Some(mut server) = NatsServer::start("a_password_that_changes_is_told_and_tried_again")? else {
        return Ok(());
    };
    run(async {
        let nats = Nats::connect(&server.access(Role::Sensor)).await?;
        soon("connecting", nats.connected()).await?;
        let file = server.folder().join("sensor.password");
        let right = fs::read(&file)?;
        fs::write(&file, "wrong")?;
        server.kill()?;
        server.restart()?;
        soon("being refused", async {
            while !nats
                .link()
                .trouble
                .is_some_and(|why| why.contains("uthorization"))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await?;
        fs::write(&file, right)?;
        soon("connecting", nats.connected()).await?;
        assert_eq!(nats.link().trouble, None);
        Ok(())
    })
}

#[test]
fn a_server_of_another_authority_or_name_is_not_trusted() -> Result<()> {
    let test = "a_server_of_another_authority_or_name_is_not_trusted";
    let setup = Setup {
        name: "somebody-else",
        ..Setup::default()
    };
    let (Some(server), Some(renamed)) = (NatsServer::start(test)?, NatsServer::start_with(test, setup)?)
    else {
        return Ok(());
    };
    run(async {
        let mut access = server.access(Role::Sensor);
        access.ca = renamed.access(Role::Sensor).ca;
        let error = Nats::connect(&access).await.err().context("it connected")?;
        assert!(matches!(error, NatsError::Untrusted { .. }), "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");

        let access = renamed.access(Role::Sensor);
        let error = Nats::connect(&access).await.err().context("it connected")?;
        assert!(matches!(error, NatsError::Untrusted { .. }), "{error}");
        assert!(error.to_string().contains("somebody-else"), "{error}");
        Ok(())
    })
}

#[test]
fn a_client_with_an_authority_does_not_speak_in_the_clear() -> Result<()> {
    let test = "a_client_with_an_authority_does_not_speak_in_the_clear";
    let Some(server) = NatsServer::start_with(test, PLAIN)? else {
        return Ok(());
    };
    run(async {
        let mut access = server.access(Role::Sensor);
        access.ca = Some(server.folder().join("ca.crt"));
        let error = Nats::connect(&access).await.err().context("it connected")?;
        assert!(matches!(error, NatsError::Untrusted { .. }), "{error}");
        Ok(())
    })
}

#[test]
fn a_sensor_may_neither_read_what_others_say_nor_call() -> Result<()> {
    let test = "a_sensor_may_neither_read_what_others_say_nor_call";
    let Some(server) = NatsServer::start_with(test, PLAIN)? else {
        return Ok(());
    };
    let mut raw = server.raw(Role::Sensor)?;
    for (attempt, what) in [
        (&b"SUB npv.sensors.> 1"[..], "Subscription"),
        (b"SUB _INBOX.npv-verifier.> 2", "Subscription"),
        (b"SUB > 3", "Subscription"),
        (b"PUB npv.call 2\r\nhi", "Publish"),
        (b"PUB npv.ask.n 2\r\nhi", "Publish"),
        (b"PUB $JS.API.STREAM.NAMES 0\r\n", "Publish"),
        (b"PUB _INBOX.npv-verifier.x 2\r\nhi", "Publish"),
    ] {
        raw.send(attempt)?;
        let said = raw.settle()?.join("\n");
        assert!(
            said.contains(&format!("Permissions Violation for {what}")),
            "{said}"
        );
    }
    run(async {
        let nats = Nats::connect(&server.access(Role::Sensor)).await?;
        let _inbox = NatsInbox::open(nats.clone(), StreamLimits::default(), Start::Beginning);
        soon("being refused", async {
            while !nats.link().trouble.is_some_and(|why| why.contains("ermissions")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    })
}

#[test]
fn garbage_is_refused_and_counted_and_stops_nobody() -> Result<()> {
    let Some(server) = NatsServer::start_with("garbage_is_refused_and_counted_and_stops_nobody", PLAIN)?
    else {
        return Ok(());
    };
    run(async {
        let mut inbox = reader(&server, StreamLimits::default(), Start::Now).await?;
        let bus = sender(&server).await?;
        let mut raw = server.raw(Role::Sensor)?;
        let index =
            |index: &str| format!("NATS/1.0\r\nNpv-Format: 1\r\nNpv-Index: {index}\r\n\r\n").into_bytes();
        let deep = "[".repeat(30_000);
        let before = |bytes: &str| {
            format!("NATS/1.0\r\nNpv-Format: 1\r\nNpv-Index-Bytes: {bytes}\r\n\r\n").into_bytes()
        };
        let garbage: [(&str, Vec<u8>, &[u8]); 20] = [
            ("n", b"NATS/1.0\r\n\r\n".into(), b"no format"),
            ("n", b"NATS/1.0\r\nNpv-Format: 2\r\n\r\n".into(), b""),
            ("n", b"NATS/1.0\r\nNpv-Format: 1\r\n\r\n".into(), b"no index"),
            ("n", index("{}"), b""),
            ("n", index(&deep), b""),
            ("n", before("30000"), deep.as_bytes()),
            ("n", before("30001"), deep.as_bytes()),
            ("n", before("-1"), b""),
            ("n", index(r#"{"node":"n","session":-1,"entries":[]}"#), b""),
            (
                "n",
                index(r#"{"node":"n","session":1,"entries":[{"roster":{"bytes":4,"at":1}}]}"#),
                b"nope",
            ),
            (
                "n",
                index(r#"{"node":"n","session":1,"entries":[{"node":{"bytes":5}}]}"#),
                b"nope",
            ),
            (
                "n",
                index(
                    r#"{"node":"n","session":1,"entries":[{"node":{"bytes":18446744073709551615}},{"node":{"bytes":5}}]}"#,
                ),
                b"nope",
            ),
            (
                "n",
                index(
                    r#"{"node":"n","session":1,"entries":[{"batch":{"bytes":3,"sequence":1,"drained_at":1,"losses":{"by_netns":{},"unplaced":0,"counters":[],"not_published":0,"read_at":0},"functions":{},"heard":[]}}]}"#,
                ),
                b"abc",
            ),
            // Another node's name, and names that are none.
            ("other", index(r#"{"node":"n","session":1,"entries":[]}"#), b""),
            ("n", index(r#"{"node":">","session":1,"entries":[]}"#), b""),
            ("a_b", index(r#"{"node":"a_b","session":1,"entries":[]}"#), b""),
            // What a client library stumbles over.
            ("n", b"NATS/1.0\r\nX: \xff\xfe\r\n\r\n".into(), b""),
            ("n", b"NATS/1.0\r\nno colon\r\n\r\n".into(), b""),
            ("n", b"NATS/1.0 503\r\n\r\n".into(), b""),
            ("n", b"NATS/1.0 409 Consumer Deleted\r\n\r\n".into(), b""),
        ];
        let total = garbage.len() as u64;
        for (at, (node, headers, payload)) in (1..).zip(garbage) {
            raw.publish(&format!("npv.sensors.{node}"), &headers, payload)?;
            assert_eq!(raw.settle()?, Vec::<String>::new());
            bus.publish(batch("n", at, 1))?;
            soon("sending", bus.flushed()).await?;
            assert_eq!(sequence(&next(&mut inbox).await?)?, at);
            assert_eq!(
                inbox.counts().refused,
                at,
                "{:?}",
                String::from_utf8_lossy(&headers)
            );
        }
        // Without headers at all.
        raw.send(b"PUB npv.sensors.n 4\r\nnone")?;
        raw.settle()?;
        bus.publish(batch("n", total + 1, 1))?;
        assert_eq!(sequence(&next(&mut inbox).await?)?, total + 1);
        assert_eq!(inbox.counts().refused, total + 1);
        assert_eq!(inbox.counts().received, total + 1);
        assert_eq!(inbox.counts().discarded, 0);
        Ok(())
    })
}

#[test]
fn a_sensor_answers_and_hears_calls_and_silence_has_its_reason() -> Result<()> {
    let test = "a_sensor_answers_and_hears_calls_and_silence_has_its_reason";
    let Some(mut server) = NatsServer::start(test)? else {
        return Ok(());
    };
    run(async {
        let sensor = Nats::connect(&server.access(Role::Sensor)).await?;
        let mut asks = NatsAsks::listen(&sensor, "node.one").await?;
        let served = tokio::spawn(async move {
            let mut calls = Vec::new();
            while let Some(question) = asks.next().await {
                match question {
                    Question::Ask(Ask::Sync, responder) => {
                        responder.answer(Answer::Synced(KernelTime(7))).await;
                    }
                    Question::Ask(Ask::Probe(orders), responder) => {
                        let sent = orders.iter().map(|order| Ok(KernelTime(order.nonce.into())));
                        responder.answer(Answer::Probed(sent.collect())).await;
                    }
                    // Silence.
                    Question::Ask(Ask::Facts | Ask::Attend(_), _) => {}
                    Question::Call { verifier, now } => {
                        calls.push((verifier, now.0));
                        if calls.len() == 2 {
                            break;
                        }
                    }
                }
            }
            calls.sort();
            calls
        });
        let verifier = Nats::connect(&server.access(Role::Verifier)).await?;
        soon("connecting", async {
            tokio::join!(sensor.connected(), verifier.connected())
        })
        .await?;
        let sensors = NatsSensors::new(verifier.clone(), PATIENCE);
        // The server has read the subscription when it has answered anything after it.
        soon("the first answer", async {
            while sensors.ask("node.one", Ask::Sync).await.is_err() {}
        })
        .await?;
        assert_eq!(
            sensors.ask("node.one", Ask::Sync).await?,
            Answer::Synced(KernelTime(7))
        );
        let order = |nonce| ProbeOrder {
            netns: NetnsCookie(1),
            protocol: Protocol::Tcp,
            source: "10.0.0.1:1".parse().unwrap(),
            destination: "[fd00::1]:2".parse().unwrap(),
            nonce,
        };
        let orders: Vec<ProbeOrder> = (0..4_096).map(order).collect();
        let Answer::Probed(sent) = sensors.ask("node.one", Ask::Probe(orders.clone())).await? else {
            anyhow::bail!("another answer");
        };
        assert_eq!(sent.len(), PROBES_AT_ONCE);
        assert_eq!(sent[4_095], Ok(KernelTime(4_095)));
        let too_many = orders.into_iter().chain([order(1)]).collect();
        let refused = sensors.ask("node.one", Ask::Probe(too_many)).await?;
        assert!(matches!(refused, Answer::Refused(_)), "{refused:?}");

        let hasty = NatsSensors::new(verifier, Duration::from_millis(200));
        let error = hasty.ask("node.one", Ask::Facts).await.unwrap_err();
        assert!(matches!(error, AskError::Timeout { .. }), "{error}");
        let error = sensors.ask("node.two", Ask::Sync).await.unwrap_err();
        assert!(matches!(error, AskError::NoSensor { .. }), "{error}");
        let error = sensors.ask("no node", Ask::Sync).await.unwrap_err();
        assert!(matches!(error, AskError::Bus { .. }), "{error}");

        let other = Nats::connect(&server.access(Role::Verifier)).await?;
        soon("connecting", other.connected()).await?;
        sensors.call("verifier-1", KernelTime(1)).await;
        // A client that is dropped at once sends nothing.
        let others = NatsSensors::new(other, PATIENCE);
        others.call("verifier-2", KernelTime(2)).await;
        let calls = soon("the calls", served).await??;
        assert_eq!(
            calls,
            [("verifier-1".to_owned(), 1), ("verifier-2".to_owned(), 2)]
        );

        server.kill()?;
        soon("noticing", async {
            while !matches!(
                sensors.ask("node.one", Ask::Sync).await,
                Err(AskError::Bus { .. })
            ) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    })
}

#[test]
fn a_question_that_makes_no_sense_is_answered_so() -> Result<()> {
    let Some(server) = NatsServer::start_with("a_question_that_makes_no_sense_is_answered_so", PLAIN)? else {
        return Ok(());
    };
    run(async {
        let sensor = Nats::connect(&server.access(Role::Sensor)).await?;
        let mut asks = NatsAsks::listen(&sensor, "n").await?;
        soon("connecting", sensor.connected()).await?;
        let verifier = Nats::connect(&server.access(Role::Verifier)).await?;
        soon("connecting", verifier.connected()).await?;
        let sensors = NatsSensors::new(verifier, PATIENCE);
        let served = tokio::spawn(async move {
            let question = asks.next().await;
            (asks, question)
        });
        let mut raw = server.raw(Role::Verifier)?;
        raw.send(b"SUB _INBOX.npv-verifier.hand 1")?;
        let mut answer = String::new();
        // Until the server has read the subscription there is nobody to answer.
        for _ in 0..1_000 {
            raw.send(b"PUB npv.ask.n _INBOX.npv-verifier.hand 7\r\n{broken")?;
            raw.send(b"PUB npv.call 7\r\n{broken")?;
            answer = raw.settle()?.join("\n");
            if answer.contains("refused") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(answer.contains("cannot be read"), "{answer}");
        sensors.call("v", KernelTime(1)).await;
        let (asks, question) = soon("the call", served).await??;
        assert!(matches!(question, Some(Question::Call { .. })), "{question:?}");
        assert!(asks.refused() >= 2, "{}", asks.refused());
        Ok(())
    })
}
