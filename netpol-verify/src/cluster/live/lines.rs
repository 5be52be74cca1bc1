//! Lines that a server tells one after the other, for as long as it likes: through the API server's proxy, or from a URL.

use std::{pin::Pin, time::Duration};

use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use kube::{Client, Config};

use super::{LiveCluster, LiveError, error::causes};

/// No line of ours is longer.
const LONGEST: usize = 1024 * 1024;
/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(10);

/// Lines, as they come.
pub struct Lines {
    server: String,
    stream: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
}

impl LiveCluster {
    /// What is no API server, and speaks HTTP: `http://host:port`.
    ///
    /// # Errors
    /// It is no URL.
    pub fn at(url: &str) -> Result<Self, LiveError> {
        let unusable = |cause: String| LiveError::Unreachable {
            server: url.to_owned(),
            cause,
        };
        let address = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| unusable(error.to_string()))?;
        let client = Client::try_from(Config::new(address)).map_err(|error| unusable(causes(&error)))?;
        Ok(Self {
            client,
            server: url.trim_end_matches('/').to_owned(),
            timeout: Some(BEGIN),
            namespace: "default".to_owned(),
        })
    }

    /// The path of a Service's port behind the API server's proxy.
    #[must_use]
    pub fn proxy_path(namespace: &str, service: &str, port: &str) -> String {
        format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy")
    }

    /// Asks for a path whose answer goes on.
    ///
    /// # Errors
    /// The server is not there or refuses.
    pub async fn lines(&self, path: &str) -> Result<Lines, LiveError> {
        let what = format!("get {path}");
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(|error| self.not_kubernetes(&what, error.to_string()))?;
        let stream = self.in_time(&what, self.client.request_stream(request)).await?;
        Ok(Lines {
            server: self.server.clone(),
            stream: Box::pin(stream),
            line: Vec::new(),
        })
    }
}

impl Lines {
    /// The next line, without its end; `None` when the server has ended. Nothing is lost where the caller stops waiting.
    ///
    /// # Errors
    /// The connection broke, or the line has no end.
    pub async fn next(&mut self) -> Result<Option<String>, LiveError> {
        loop {
            let server = &self.server;
            let broken = |cause: String| LiveError::Unreachable {
                server: server.clone(),
                cause,
            };
            let read = self.stream.fill_buf().await;
            let bytes = read.map_err(|error| broken(causes(&error)))?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(bytes.len(), |end| end + 1);
            self.line.extend(bytes.iter().take(taken));
            if self.line.len() > LONGEST {
                return Err(broken("a line has no end".to_owned()));
            }
            self.stream.as_mut().consume_unpin(taken);
            if end.is_some() {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                return Ok(Some(line.trim_end().to_owned()));
            }
        }
    }
}
