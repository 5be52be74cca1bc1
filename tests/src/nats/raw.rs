//! The protocol of NATS by hand: what no client library would send.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Result, bail, ensure};

/// A connection.
pub struct RawNats {
    stream: BufReader<TcpStream>,
}

impl RawNats {
    pub(super) fn connect(port: u16, user: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut raw = Self {
            stream: BufReader::new(stream),
        };
        let info = raw.line()?;
        ensure!(info.starts_with("INFO "), "{info}");
        raw.send(
            format!(
                r#"CONNECT {{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"user":"{user}","pass":"{password}"}}"#
            )
            .as_bytes(),
        )?;
        let said = raw.settle()?;
        ensure!(said.is_empty(), "{said:?}");
        Ok(raw)
    }

    fn line(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.stream.read_until(b'\n', &mut bytes)?;
        ensure!(!bytes.is_empty(), "the server has hung up");
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Sends bytes and the end of a line.
    ///
    /// # Errors
    /// The server is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        Ok(stream.write_all(b"\r\n")?)
    }

    /// Publishes headers, as they are, and a payload.
    ///
    /// # Errors
    /// The server is gone.
    pub fn publish(&mut self, subject: &str, headers: &[u8], payload: &[u8]) -> Result<()> {
        let (head, all) = (headers.len(), headers.len() + payload.len());
        let mut bytes = format!("HPUB {subject} {head} {all}\r\n").into_bytes();
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(payload);
        self.send(&bytes)
    }

    /// Waits until the server has read everything; what it said meanwhile.
    ///
    /// # Errors
    /// The server is gone.
    pub fn settle(&mut self) -> Result<Vec<String>> {
        self.send(b"PING")?;
        let mut said = Vec::new();
        loop {
            match self.line()? {
                line if line == "PONG" => return Ok(said),
                line if line == "PING" => self.send(b"PONG")?,
                line => said.push(line),
            }
            if said.len() > 100_000 {
                bail!("the server says too much: {:?}", said.first());
            }
        }
    }
}
