//! The line to the sensors: calls them every second, and notes when each message came.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{Receiver, channel},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    bus::{Inbox, Message, Sensors},
    net::{Clock, KernelTime},
};

/// How often the verifier calls: clocks that drift a millisecond a second are known to some milliseconds.
const CALL: Duration = Duration::from_secs(1);
/// Messages that wait to be looked at; behind them the bus waits, which keeps what it has.
const WAITING: usize = 1024;

/// A verifier's line to all sensors. Dropping it hangs up.
pub struct Line {
    messages: Receiver<(Message, KernelTime)>,
    tasks: [JoinHandle<()>; 2],
}

impl Line {
    /// Opens it for a verifier of that name.
    #[must_use]
    pub fn open<S: Sensors, I: Inbox>(name: String, sensors: Arc<S>, mut inbox: I) -> Self {
        let (sender, messages) = channel(WAITING);
        let listener = tokio::spawn(async move {
            while let Some(message) = inbox.receive().await {
                if sender.send((message, Clock.now())).await.is_err() {
                    return;
                }
            }
        });
        let caller = tokio::spawn(async move {
            let mut tick = interval(CALL);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                sensors.call(&name, Clock.now()).await;
            }
        });
        Self {
            messages,
            tasks: [listener, caller],
        }
    }

    /// The next message and when it came; `None` when the bus is gone for good.
    pub async fn next(&mut self) -> Option<(Message, KernelTime)> {
        self.messages.recv().await
    }

    /// A message that is already there.
    pub fn try_next(&mut self) -> Option<(Message, KernelTime)> {
        self.messages.try_recv().ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
