//! Questions to one sensor and calls to all of them, as requests and messages that are not stored.

use std::time::Duration;

use async_nats::{Client, RequestErrorKind, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{connect::Nats, error::NatsError, subject};
use crate::{
    bus::{Answer, Ask, AskError, PROBES_AT_ONCE, Sensors},
    causes::causes,
    net::KernelTime,
};

/// A verifier's name for itself.
const NAME_LIMIT: usize = 128;

/// A verifier's call to all sensors.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    verifier: String,
    now: KernelTime,
}

/// The verifier's way to sensors.
#[derive(Clone)]
pub struct NatsSensors {
    nats: Nats,
    patience: Duration,
}

impl NatsSensors {
    /// Asks with so much patience for an answer.
    #[must_use]
    pub const fn new(nats: Nats, patience: Duration) -> Self {
        Self { nats, patience }
    }
}

impl Sensors for NatsSensors {
    async fn ask(&self, node: &str, ask: Ask) -> Result<Answer, AskError> {
        let bus = |cause: String| AskError::Bus {
            node: node.to_owned(),
            cause,
        };
        let subject = subject::ask(node).ok_or_else(|| bus("that is no name of a node".to_owned()))?;
        // A question that waited for the connection would be asked long after its answer is of no use.
        let link = self.nats.link();
        if !link.connected {
            let trouble = link.trouble.unwrap_or_else(|| "it does not answer".to_owned());
            return Err(bus(format!("no connection to NATS: {trouble}")));
        }
        let question = serde_json::to_vec(&ask).map_err(|error| bus(error.to_string()))?;
        let request = async_nats::Request::new()
            .payload(question.into())
            .timeout(Some(self.patience));
        let answer = tokio::select! {
            answer = self.nats.client().send_request(subject, request) => answer,
            () = self.nats.lost(link.connections) => {
                return Err(bus("the connection to NATS was lost meanwhile".to_owned()));
            }
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => AskError::NoSensor {
                node: node.to_owned(),
            },
            RequestErrorKind::TimedOut => AskError::Timeout {
                node: node.to_owned(),
            },
            RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded
            | RequestErrorKind::Other => bus(causes(&error)),
        })?;
        serde_json::from_slice(&answer.payload).map_err(|error| AskError::Unreadable {
            node: node.to_owned(),
            cause: error.to_string(),
        })
    }

    async fn call(&self, verifier: &str, now: KernelTime) {
        let call = Call {
            verifier: verifier.to_owned(),
            now,
        };
        // A call that comes late says nothing of the clocks; the next one does.
        if !self.nats.link().connected {
            return;
        }
        let Ok(call) = serde_json::to_vec(&call) else {
            return;
        };
        if let Err(error) = self.nats.client().publish(subject::CALL, call.into()).await {
            tracing::debug!(error = %causes(&error), "A call to the sensors was not sent.");
        }
    }
}

/// What verifiers want of a sensor.
#[derive(Debug)]
pub enum Question {
    /// An answer.
    Ask(Ask, Responder),
    /// To be heard.
    Call {
        /// The verifier, as it calls itself.
        verifier: String,
        /// Its clock when it called.
        now: KernelTime,
    },
}

/// Takes the answer to one question. Dropped without one, whoever asked waits in vain.
#[derive(Debug)]
pub struct Responder {
    client: Client,
    reply: Subject,
}

impl Responder {
    /// Answers.
    pub async fn answer(self, answer: Answer) {
        let most = self.client.max_payload();
        let bytes = serde_json::to_vec(&answer).unwrap_or_default();
        let bytes = if bytes.len() > most || bytes.is_empty() {
            let refused = Answer::Refused(format!(
                "the answer has {} bytes, and NATS takes {most}: ask for less",
                bytes.len()
            ));
            serde_json::to_vec(&refused).unwrap_or_default()
        } else {
            bytes
        };
        if let Err(error) = self.client.publish(self.reply, Bytes::from(bytes)).await {
            tracing::warn!(error = %causes(&error), "An answer to a verifier was not sent.");
        }
    }
}

/// The sensor's ear for questions and calls. What makes no sense is answered so where it can be, and counted.
pub struct NatsAsks {
    client: Client,
    asks: Subscriber,
    calls: Subscriber,
    refused: u64,
}

impl NatsAsks {
    /// Listens for one node, also where NATS is not there yet, and again whenever it comes back.
    ///
    /// # Errors
    /// That is no name of a node, or the client has ended.
    pub async fn listen(nats: &Nats, node: &str) -> Result<Self, NatsError> {
        let asks = subject::ask(node).ok_or_else(|| NatsError::NodeName {
            node: node.to_owned(),
        })?;
        Ok(Self {
            client: nats.client().clone(),
            asks: subscribe(nats, &asks).await?,
            calls: subscribe(nats, subject::CALL).await?,
            refused: 0,
        })
    }

    /// What comes next; `None` when the client has ended. May be dropped and called again: nothing is lost by it.
    pub async fn next(&mut self) -> Option<Question> {
        loop {
            let question = tokio::select! {
                message = self.asks.next() => self.ask(message?).await,
                message = self.calls.next() => self.call(&message?),
            };
            if question.is_some() {
                return question;
            }
            self.refused += 1;
        }
    }

    /// How much made no sense.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    async fn ask(&self, message: async_nats::Message) -> Option<Question> {
        let responder = Responder {
            client: self.client.clone(),
            reply: message.reply?,
        };
        let refusal = match serde_json::from_slice(&message.payload) {
            Ok(Ask::Probe(orders)) if orders.len() > PROBES_AT_ONCE => {
                format!(
                    "{} probes at once, and {PROBES_AT_ONCE} are the most",
                    orders.len()
                )
            }
            Ok(ask) => return Some(Question::Ask(ask, responder)),
            Err(error) => format!("the question cannot be read: {error}"),
        };
        tracing::warn!(cause = ?refusal, "A question was refused.");
        responder.answer(Answer::Refused(refusal)).await;
        None
    }

    fn call(&self, message: &async_nats::Message) -> Option<Question> {
        let call: Call = serde_json::from_slice(&message.payload).ok()?;
        (call.verifier.len() <= NAME_LIMIT).then_some(Question::Call {
            verifier: call.verifier,
            now: call.now,
        })
    }
}

async fn subscribe(nats: &Nats, subject: &str) -> Result<Subscriber, NatsError> {
    nats.client()
        .subscribe(subject.to_owned())
        .await
        .map_err(|error| NatsError::Subscribe {
            subject: subject.to_owned(),
            cause: causes(&error),
        })
}
