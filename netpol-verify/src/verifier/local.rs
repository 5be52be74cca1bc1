//! The way to the one sensor that runs in this process: a node by itself needs no broker.

use std::sync::Arc;

use crate::{
    bus::{Answer, Ask, AskError, Sensors},
    net::KernelTime,
    sensor::Sensor,
};

/// The sensor of this process.
pub struct LocalSensors {
    node: String,
    sensor: Arc<Sensor>,
}

impl LocalSensors {
    /// By its node's name.
    #[must_use]
    pub const fn new(node: String, sensor: Arc<Sensor>) -> Self {
        Self { node, sensor }
    }
}

impl Sensors for LocalSensors {
    async fn ask(&self, node: &str, ask: Ask) -> Result<Answer, AskError> {
        if node != self.node {
            return Err(AskError::NoSensor {
                node: node.to_owned(),
            });
        }
        Ok(self.sensor.answer(ask).await)
    }

    async fn call(&self, verifier: &str, now: KernelTime) {
        self.sensor.hear(verifier, now).await;
    }
}
