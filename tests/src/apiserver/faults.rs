//! What may happen to a server: it stands still, dies, comes back.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Error, Result, bail};
use netpol_verify::lab::Netns;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{ApiServer, programs};

impl ApiServer {
    /// Stops the server's process where it stands: it takes connections and answers nothing.
    ///
    /// # Errors
    /// It is gone.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let (_, server) = self.children.last().context("no server runs")?;
        // The signal returns before the last thread has stopped.
        for _ in 0..1_000 {
            let mut running = false;
            for task in fs::read_dir(format!("/proc/{}/task", server.id()))? {
                let stat = fs::read_to_string(task?.path().join("stat"))?;
                running |= !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"));
            }
            if !running {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the server does not stop")
    }

    /// Ends the server's process; etcd stays.
    ///
    /// # Errors
    /// It is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        if let Some((_, server)) = self.children.last_mut() {
            server.wait()?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let (_, server) = self.children.last().context("no server runs")?;
        // Not waited for yet, so the number is still its own.
        Ok(kill(Pid::from_raw(i32::try_from(server.id())?), signal)?)
    }

    /// Starts the server's process again, on the same etcd.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        let programs = programs::find().map_err(Error::msg)?;
        if let Some((_, mut before)) = self.children.pop() {
            // It may be dead already.
            let _ = before.kill();
            before.wait()?;
        }
        let netns = Netns::open(&self.name)?;
        self.spawn_server(&netns, &programs)?;
        self.wait_until_ready().with_context(|| self.logs())
    }
}
