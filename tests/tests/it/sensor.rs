//! What the sensor sees on a real kernel.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use aya::programs::{SchedClassifier, TcAttachType};
use netpol_verify::{
    flow::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
    net::Protocol,
    observe::DropClass,
    sensor::{Mode, NetnsPath, Options, Probe, inside},
    suite::{Planned, Prober},
};
use netpol_verify_tests::{Pair, as_root, ask_planned, netns};

/// A prober with a socket in each pod.
async fn prober(pair: &Pair) -> Result<Prober> {
    netpol_verify_tests::prober(pair, &["a", "b"], Mode::Active, Options::default()).await
}

fn plan(pair: &Pair, protocol: Protocol, v6: bool, port: u16, nonce: u32) -> Result<Planned> {
    Ok(Planned {
        source: netns(pair, "a")?,
        destination: Some(netns(pair, "b")?),
        probe: Probe {
            protocol,
            source: SocketAddr::new(pair.address("a", v6), 20_000 + u16::try_from(nonce % 10_000)?),
            destination: SocketAddr::new(pair.address("b", v6), port),
            nonce,
        },
    })
}

const EVERY: [(Protocol, bool); 6] = [
    (Protocol::Tcp, false),
    (Protocol::Udp, false),
    (Protocol::Sctp, false),
    (Protocol::Tcp, true),
    (Protocol::Udp, true),
    (Protocol::Sctp, true),
];

#[tokio::test]
async fn an_open_path_delivers_every_protocol_in_both_families() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut prober = prober(&pair).await?;
    for (nonce, (protocol, v6)) in (1..).zip(EVERY) {
        let decided = ask_planned(&mut prober, plan(&pair, protocol, v6, 80, nonce)?).await?;
        let Outcome::Delivered {
            reply,
            only_retransmission: false,
        } = &decided.outcome
        else {
            anyhow::bail!("{protocol} v6={v6}: {:?}", decided.outcome);
        };
        // Nothing listens: the pod's kernel answers TCP with an RST, which is an answer.
        if protocol == Protocol::Tcp {
            assert_eq!(*reply, Reply::Returned, "v6={v6}");
        }
    }
    assert_eq!(prober.damaged(), 0);
    Ok(())
}

fn dropped(outcome: &Outcome) -> Option<&DropPlace> {
    match outcome {
        Outcome::Dropped { place } => Some(place),
        Outcome::Delivered { .. }
        | Outcome::Rejected { .. }
        | Outcome::Unanswered
        | Outcome::Unknown { .. } => None,
    }
}

#[tokio::test]
async fn a_netfilter_drop_is_seen_with_its_reason_in_both_families() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    let mut prober = prober(&pair).await?;
    for (nonce, (protocol, v6)) in (100..).zip(EVERY) {
        let decided = ask_planned(&mut prober, plan(&pair, protocol, v6, 80, nonce)?).await?;
        let place = dropped(&decided.outcome)
            .with_context(|| format!("{protocol} v6={v6}: {:?}", decided.outcome))?;
        assert_eq!(
            (place.reason.as_str(), place.class),
            ("NETFILTER_DROP", DropClass::Policy)
        );
        assert_eq!(place.netns, netns(&pair, "r")?, "dropped on the node");
    }
    Ok(())
}

#[tokio::test]
async fn a_retransmission_that_gets_through_is_told() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    // The first packet of a tuple is dropped and remembered, the next one passes (antrea-io/antrea#219).
    pair.forward(
        "ip",
        "set seen { typeof ip saddr . tcp sport . ip daddr . tcp dport; flags dynamic; timeout 10s; }",
        "ip saddr . tcp sport . ip daddr . tcp dport @seen accept
         tcp flags & (syn|ack) == syn add @seen { ip saddr . tcp sport . ip daddr . tcp dport } drop",
    )?;
    let mut prober = prober(&pair).await?;
    let decided = ask_planned(&mut prober, plan(&pair, Protocol::Tcp, false, 80, 200)?).await?;
    assert!(
        matches!(
            decided.outcome,
            Outcome::Delivered {
                only_retransmission: true,
                ..
            }
        ),
        "{:?}",
        decided.outcome
    );
    Ok(())
}

#[tokio::test]
async fn a_reject_is_not_an_answer_of_the_pod() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward(
        "inet",
        "",
        "tcp dport 80 reject with tcp reset\ntcp dport 81 reject",
    )?;
    let mut prober = prober(&pair).await?;
    for v6 in [false, true] {
        let reset = ask_planned(
            &mut prober,
            plan(&pair, Protocol::Tcp, v6, 80, 300 + u32::from(v6))?,
        )
        .await?;
        assert_eq!(
            reset.outcome,
            Outcome::Rejected {
                by: Rejection::TcpReset
            },
            "v6={v6}"
        );
        let unreachable = ask_planned(
            &mut prober,
            plan(&pair, Protocol::Tcp, v6, 81, 310 + u32::from(v6))?,
        )
        .await?;
        assert!(
            matches!(
                unreachable.outcome,
                Outcome::Rejected {
                    by: Rejection::Unreachable { .. }
                }
            ),
            "v6={v6}: {:?}",
            unreachable.outcome
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_reply_is_told_from_a_lost_request() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "tcp sport 80 drop")?;
    let mut prober = prober(&pair).await?;
    let decided = ask_planned(&mut prober, plan(&pair, Protocol::Tcp, false, 80, 400)?).await?;
    assert!(
        matches!(&decided.outcome, Outcome::Delivered { reply: Reply::Lost { place: Some(place) }, .. } if place.reason == "NETFILTER_DROP"),
        "{:?}",
        decided.outcome
    );
    Ok(())
}

#[tokio::test]
async fn a_probe_that_cannot_leave_is_never_blocked() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.inside("a", "ip route del default")?;
    let mut prober = prober(&pair).await?;
    let decided = ask_planned(&mut prober, plan(&pair, Protocol::Tcp, false, 80, 500)?).await?;
    assert!(
        matches!(
            decided.outcome,
            Outcome::Unknown {
                why: UnknownCause::NotSent { .. }
            }
        ),
        "{:?}",
        decided.outcome
    );
    Ok(())
}

#[tokio::test]
async fn silence_without_a_sensor_at_the_destination_proves_nothing() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    // The frame reaches the wire of b and is addressed to nobody there, as one that a bridge floods.
    pair.inside(
        "r",
        "ip neigh replace 10.77.1.2 lladdr 02:00:00:00:00:99 dev vethb nud permanent",
    )?;
    let mut prober = prober(&pair).await?;
    let mut blind = plan(&pair, Protocol::Tcp, false, 80, 600)?;
    let watched = ask_planned(&mut prober, blind.clone()).await?;
    assert_eq!(
        watched.outcome,
        Outcome::Unanswered,
        "both ends are watched, so silence is proof"
    );
    blind.destination = Some(netns(&pair, "r")?);
    blind.probe.nonce += 1;
    blind.probe.source.set_port(20_700);
    let unwatched = ask_planned(&mut prober, blind).await?;
    assert_eq!(
        unwatched.outcome,
        Outcome::Unknown {
            why: UnknownCause::DestinationNotWatched
        }
    );
    Ok(())
}

#[tokio::test]
async fn pods_that_come_later_are_followed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    // Interfaces are made anew: the sensor must find them by events.
    pair.inside("b", "ip link del eth0")?;
    let mut prober = prober(&pair).await?;
    let (pod, router) = (pair.name("b"), pair.name("r"));
    std::process::Command::new("ip")
        .args(format!("link add vethb netns {router} type veth peer name eth0 netns {pod}").split(' '))
        .status()?;
    for (role, device, host) in [("r", "vethb", 1), ("b", "eth0", 2)] {
        pair.inside(role, &format!("ip addr add 10.77.1.{host}/24 dev {device}"))?;
        pair.inside(role, &format!("ip link set {device} up"))?;
    }
    pair.inside("b", "ip route add default via 10.77.1.1")?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let decided = ask_planned(&mut prober, plan(&pair, Protocol::Tcp, false, 80, 700)?).await?;
    assert!(
        matches!(decided.outcome, Outcome::Delivered { .. }),
        "{:?}",
        decided.outcome
    );
    Ok(())
}

#[tokio::test]
async fn nothing_stays_attached_when_the_sensor_is_gone() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let attached = |pair: &Pair| -> Result<Vec<String>> {
        let mut names = Vec::new();
        for direction in [TcAttachType::Egress, TcAttachType::Ingress] {
            let (_, programs) = inside(&NetnsPath::from(pair.path("a")), || {
                SchedClassifier::query_tcx("eth0", direction)
            })??;
            names.extend(
                programs
                    .iter()
                    .filter_map(|program| program.name_as_str().map(str::to_owned)),
            );
        }
        Ok(names)
    };
    let prober = prober(&pair).await?;
    assert_eq!(attached(&pair)?, ["pod_egress", "pod_ingress"]);
    drop(prober);
    // Follow lets go on its own task.
    for _ in 0..100 {
        if attached(&pair)?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("still attached: {:?}", attached(&pair)?);
}

#[tokio::test]
async fn an_enforcer_inside_the_destination_pod_is_an_enforcer() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.chain("b", "inet", "input", "", "tcp dport 80 drop")?;
    let mut prober = prober(&pair).await?;
    for (port, stopped) in [(80, true), (81, false)] {
        let plan = plan(&pair, Protocol::Tcp, false, port, 800 + u32::from(port))?;
        let outcome = ask_planned(&mut prober, plan).await?.outcome;
        assert_eq!(dropped(&outcome).is_some(), stopped, "{port}: {outcome:?}");
        assert_eq!(
            matches!(outcome, Outcome::Delivered { .. }),
            !stopped,
            "{port}: {outcome:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_the_source_pod_itself_stops_never_left_and_is_not_judged() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.chain("a", "inet", "output", "", "tcp dport 80 drop")?;
    let mut prober = prober(&pair).await?;
    let outcome = ask_planned(&mut prober, plan(&pair, Protocol::Tcp, false, 80, 900)?)
        .await?
        .outcome;
    // A drop before a device was chosen belongs to no namespace that could be named.
    let Outcome::Unknown {
        why: UnknownCause::NotSent { place: Some(place) },
    } = &outcome
    else {
        anyhow::bail!("{outcome:?}");
    };
    assert_eq!(place.reason, "NETFILTER_DROP");
    Ok(())
}
