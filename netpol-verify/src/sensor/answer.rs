//! A sensor's answers to verifiers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use netpol_verify_ebpf::settings::Settings;

use super::{
    inside::OpenNetns,
    probe::{Probe, ProbeSocket},
    service::{Mode, Sensor},
};
use crate::{
    bus::{ATTENTION, Answer, Ask, PROBES_AT_ONCE, ProbeOrder},
    net::{Clock, KernelTime, NetnsCookie},
};

/// Until when repeats are recorded too, on this machine's clock; 0 where they are not.
#[derive(Debug, Default)]
pub(super) struct Attention(AtomicU64);

impl Sensor {
    /// Answers a question.
    pub async fn answer(self: &Arc<Self>, ask: Ask) -> Answer {
        match ask {
            Ask::Sync => match self.sync().await {
                Some(drained_at) => Answer::Synced(drained_at),
                None => ending(),
            },
            Ask::Attend(milliseconds) => self.attend(milliseconds),
            Ask::Facts => {
                let facts = self.facts();
                Answer::Facts(facts.origin.session, Box::new(facts.facts))
            }
            Ask::Probe(orders) if orders.len() > PROBES_AT_ONCE => Answer::Refused(format!(
                "{} probes at once are too many: {PROBES_AT_ONCE} at most",
                orders.len()
            )),
            Ask::Probe(orders) => self.probe(orders).await,
        }
    }

    /// Records repeats for so long. When the time is up nobody need say so.
    fn attend(self: &Arc<Self>, milliseconds: u64) -> Answer {
        let span = Duration::from_millis(milliseconds.min(ATTENTION));
        let until = Clock.now().plus(span);
        if let Err(error) = self.set(attentive(self.mode())) {
            return Answer::Refused(error.to_string());
        }
        self.attention().0.fetch_max(until.0, Ordering::Relaxed);
        let sensor = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            let Some(sensor) = sensor.upgrade() else { return };
            // A later question extended it, and its own task will end it.
            if sensor.attention().0.load(Ordering::Relaxed) <= until.0
                && let Err(error) = sensor.set(sensor.mode().settings())
            {
                tracing::warn!(%error, "Repeats go on being recorded one by one.");
            }
        });
        Answer::Attending(Clock.now())
    }

    async fn probe(self: &Arc<Self>, orders: Vec<ProbeOrder>) -> Answer {
        let mut homes = BTreeMap::new();
        for order in &orders {
            homes
                .entry(order.netns)
                .or_insert_with(|| self.netns(order.netns));
        }
        // Entering namespaces and sending block.
        let sent = tokio::task::spawn_blocking(move || send(&homes, &orders)).await;
        let Ok(results) = sent else { return ending() };
        self.flush().await;
        Answer::Probed(results)
    }
}

/// Every packet, and still a budget for each pod: others' storms must not blind the probes.
const fn attentive(mode: Mode) -> Settings {
    Settings {
        fold_window_ns: 0,
        ..mode.settings()
    }
}

fn ending() -> Answer {
    Answer::Refused("the sensor is ending".to_owned())
}

fn send(
    homes: &BTreeMap<NetnsCookie, Option<OpenNetns>>,
    orders: &[ProbeOrder],
) -> Vec<Result<KernelTime, String>> {
    // Sockets are closed with this: one that stayed open would keep a deleted pod's namespace alive.
    let sockets: BTreeMap<NetnsCookie, Result<ProbeSocket, String>> = homes
        .iter()
        .map(|(cookie, home)| {
            let opened = match home {
                Some(netns) => ProbeSocket::open_in(netns).map_err(|error| error.to_string()),
                None => Err("its pod is not watched by this sensor (any more)".to_owned()),
            };
            (*cookie, opened)
        })
        .collect();
    orders
        .iter()
        .map(|order| {
            let probe = Probe {
                protocol: order.protocol,
                source: order.source,
                destination: order.destination,
                nonce: order.nonce,
            };
            match sockets.get(&order.netns) {
                Some(Ok(socket)) => socket
                    .send(&probe)
                    .map(|sent| sent.at)
                    .map_err(|error| error.to_string()),
                Some(Err(why)) => Err(why.clone()),
                None => Err("it has no namespace".to_owned()),
            }
        })
        .collect()
}
