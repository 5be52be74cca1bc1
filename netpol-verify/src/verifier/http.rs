//! What the verifier shows over HTTP: figures, health, findings, and attempts as they are judged. Nothing can be changed.

use std::{convert::Infallible, io, sync::Arc, sync::atomic::Ordering, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query as QueryWords, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::stream::unfold;
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    board::Board,
    ledger::{JudgedLine, KeptFinding},
    listener::Bounded,
    metrics,
    query::{Query, Words},
};
use crate::report::{VERSION, harmless};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
/// An empty line on a stream where nothing happens: who is gone is noticed, and who reads knows that it stands.
const QUIET: Duration = Duration::from_secs(10);

/// Serves for as long as it is polled.
///
/// # Errors
/// The listener fails for good.
pub async fn serve(listener: TcpListener, board: Arc<Board>) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(figures))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/v1/findings", get(findings))
        // Nobody has anything to tell it.
        .layer(DefaultBodyLimit::max(0))
        .with_state(board);
    axum::serve(Bounded::new(listener), router).await
}

async fn figures(State(board): State<Arc<Board>>) -> Response {
    match metrics::text(&board, Timestamp::now()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(board): State<Arc<Board>>) -> Response {
    match board.status().not_ready {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn findings(
    State(board): State<Arc<Board>>,
    words: Result<QueryWords<Words>, QueryRejection>,
) -> Response {
    let words = match words {
        Ok(QueryWords(words)) => words,
        Err(rejection) => return refusal(&rejection.body_text()),
    };
    match Query::read(words, Timestamp::now()) {
        Err(error) => refusal(&error.to_string()),
        Ok(query) if query.watch => {
            let lines = Lines {
                receiver: board.listen(),
                board,
                query,
                is_over: false,
            };
            let body = Body::from_stream(unfold(lines, Lines::next));
            ([(header::CONTENT_TYPE, LINES)], body).into_response()
        }
        Ok(query) => list(&board, &query),
    }
}

fn refusal(why: &str) -> Response {
    let body = json!({"apiVersion": VERSION, "kind": "Refusal", "message": why});
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, JSON)],
        harmless(&format!("{body}\n")),
    )
        .into_response()
}

fn list(board: &Board, query: &Query) -> Response {
    let status = board.status();
    let (items, let_go): (Vec<KeptFinding>, u64) = {
        let ledger = board.ledger();
        let items = ledger
            .findings()
            .filter(|finding| query.wants(&finding.last_evidence, true))
            .filter(|finding| query.since.is_none_or(|since| finding.last_seen >= since))
            .cloned()
            .collect();
        (items, ledger.let_go())
    };
    let document = json!({
        "apiVersion": VERSION,
        "kind": "FindingList",
        "ready": status.not_ready.is_none(),
        "notReady": status.not_ready,
        "doubts": status.doubts,
        "letGo": let_go,
        "items": items,
    });
    ([(header::CONTENT_TYPE, JSON)], harmless(&format!("{document}\n"))).into_response()
}

/// A reader of the live stream.
struct Lines {
    receiver: Receiver<Arc<JudgedLine>>,
    board: Arc<Board>,
    query: Query,
    is_over: bool,
}

impl Lines {
    /// The next line that the reader wants. One that is too slow is told so and let go: it never holds the verifier up.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        loop {
            match timeout(QUIET, self.receiver.recv()).await {
                Err(_) => return Some((Ok(Bytes::from_static(b"\n")), self)),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(missed))) => {
                    self.board.readers_dropped.fetch_add(1, Ordering::Relaxed);
                    self.is_over = true;
                    let last = json!({"apiVersion": VERSION, "kind": "Dropped", "missed": missed});
                    return Some((Ok(Bytes::from(format!("{last}\n"))), self));
                }
                Ok(Ok(line)) if self.query.wants(&line.attempt, line.code.is_some()) => {
                    let Ok(text) = serde_json::to_string(&*line) else {
                        continue;
                    };
                    return Some((Ok(Bytes::from(harmless(&text) + "\n")), self));
                }
                Ok(Ok(_)) => {}
            }
        }
    }
}
