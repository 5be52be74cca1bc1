//! Text to documents: splits a YAML or JSON stream so that one broken document does not stop the rest, and finds lines.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::path::{FieldPath, Step};

/// A policy nests about 12 deep, large CRD schemas about 50.
const MAX_DEPTH: usize = 96;
/// The parser recurses; a debug build needs about 60 KiB a level where lines are kept.
const STACK_BYTES: usize = 32 << 20;
/// Aliases may add this many nodes to what the text itself holds: plenty for people, too few for a bomb.
const MAX_ALIAS_NODES: usize = 50_000;
/// Aliases may add this many bytes of text.
const MAX_ALIAS_BYTES: usize = 16 << 20;

/// A processor takes this many documents before another one helps.
const WORTH_A_THREAD: usize = 16;

/// One document of a stream.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    piece: Piece<'a>,
    /// The line in the file of the first line that is not blank, comment or marker.
    pub(crate) line: u64,
    located: OnceCell<Option<Located>>,
}

/// A document's text and where it stands.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    text: &'a str,
    /// The line in the file of the text's first line, from 1.
    first_line: u64,
    /// As [`Document::line`].
    line: u64,
}

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct DocumentError {
    /// The line in the file.
    pub(crate) line: u64,
    /// The parser's words.
    pub(crate) message: String,
}

/// Splits a stream at its document markers; documents without content are left out.
///
/// A line that starts with `---` or `...` ends a document wherever it stands, inside block scalars too
/// (YAML 1.2.2, `c-forbidden`), so splitting by lines is exact. A broken directive or scalar ends with its document.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut documents, mut start, mut first_line, mut content) = (Vec::new(), 0, 1, None);
    let (mut offset, mut line) = (0, 1);
    for row in text.split_inclusive('\n') {
        let is_marker = |marker| {
            row.strip_prefix(marker)
                .is_some_and(|rest: &str| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        let (opens, closes) = (is_marker("---"), is_marker("..."));
        if opens || closes {
            push(
                &mut documents,
                text.get(start..offset),
                first_line,
                content.take(),
            );
            let skipped = if closes { row.len() } else { 0 };
            (start, first_line) = (offset + skipped, line + u64::from(closes));
        }
        let body = if opens {
            row.get(3..).unwrap_or_default()
        } else {
            row
        }
        .trim_start();
        if content.is_none() && !closes && !body.is_empty() && !body.starts_with('#') && !row.starts_with('%')
        {
            content = Some(line);
        }
        offset += row.len();
        line += 1;
    }
    push(&mut documents, text.get(start..), first_line, content);
    documents
}

fn push<'a>(documents: &mut Vec<Document<'a>>, text: Option<&'a str>, first_line: u64, content: Option<u64>) {
    if let (Some(text), Some(line)) = (text, content) {
        documents.push(Document {
            piece: Piece {
                text,
                first_line,
                line,
            },
            line,
            located: OnceCell::new(),
        });
    }
}

/// The values that each of some documents holds, and the line of each value: one, or several where JSON values follow one
/// another. Documents are read on all processors at once.
pub(crate) fn values(documents: &[Document<'_>]) -> Vec<Result<Vec<(Value, u64)>, DocumentError>> {
    let pieces: Vec<Piece<'_>> = documents.iter().map(|document| document.piece).collect();
    let read = on_deep_stacks(pieces.len(), |at| pieces.get(at).map(|piece| piece.values()));
    pieces
        .iter()
        .zip(read)
        .map(|(piece, read)| read.flatten().unwrap_or_else(|| Err(piece.failed())))
        .collect()
}

/// Does a number of jobs on threads whose stacks have a known size, whoever calls; `None` for a job that panicked, and for
/// all where no thread could be had.
fn on_deep_stacks<T: Send>(jobs: usize, job: impl Fn(usize) -> T + Sync) -> Vec<Option<T>> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let workers = processors.min(jobs.div_ceil(WORTH_A_THREAD));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= jobs {
                return done;
            }
            done.push((at, panic::catch_unwind(AssertUnwindSafe(|| job(at))).ok()));
        }
    };
    let mut results: Vec<Option<T>> = (0..jobs).map(|_| None).collect();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers)
            .filter_map(|_| {
                let thread = thread::Builder::new()
                    .name("yaml".to_owned())
                    .stack_size(STACK_BYTES);
                thread.spawn_scoped(scope, work).ok()
            })
            .collect();
        for (at, result) in running
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .flatten()
        {
            if let Some(slot) = results.get_mut(at) {
                *slot = result;
            }
        }
    });
    results
}

impl Piece<'_> {
    fn values(self) -> Result<Vec<(Value, u64)>, DocumentError> {
        if let Some(values) = self.json() {
            return Ok(values);
        }
        Ok(vec![(self.parse()?, self.line)])
    }

    /// Reads it; the parser recurses, so the caller has a deep stack.
    fn parse<T: de::DeserializeOwned>(self) -> Result<T, DocumentError> {
        serde_saphyr::from_str_with_options(self.text, options(self.text.len()))
            .map_err(|error| explained(&error, self.first_line, self.line))
    }

    fn failed(self) -> DocumentError {
        DocumentError {
            line: self.line,
            message: "the YAML parser panicked on this document, or had no memory for a thread".to_owned(),
        }
    }

    /// JSON is YAML, but its own parser is faster, knows streams, and keeps its number rules.
    fn json(self) -> Option<Vec<(Value, u64)>> {
        if !self.text.trim_start().starts_with('{') {
            return None;
        }
        let mut stream = serde_json::Deserializer::from_str(self.text).into_iter::<Value>();
        let mut values = Vec::new();
        // Counted on from value to value: a dump of a cluster is a stream of thousands.
        let (mut counted, mut line) = (0, self.first_line);
        loop {
            let start = stream.byte_offset();
            let Some(value) = stream.next() else {
                return Some(values);
            };
            let rest = self.text.get(start..).unwrap_or_default();
            let begin = start + rest.len() - rest.trim_start().len();
            let passed = self.text.get(counted..begin).unwrap_or_default();
            line += passed.bytes().filter(|byte| *byte == b'\n').count() as u64;
            counted = begin;
            values.push((value.ok()?, line));
        }
    }
}

impl Document<'_> {
    /// Reads it straight into a type, with lines kept where the type asks for them.
    pub(crate) fn read<T: de::DeserializeOwned + Send>(&self) -> Result<T, DocumentError> {
        let piece = self.piece;
        let mut read = on_deep_stacks(1, |_| piece.parse());
        read.pop().flatten().unwrap_or_else(|| Err(piece.failed()))
    }

    /// A line of this document as a line of the file.
    pub(crate) fn line_in_file(&self, line: u64) -> u64 {
        self.piece.first_line + line.saturating_sub(1)
    }

    /// The line in the file of a field; of its nearest ancestor when the field is not there.
    pub(crate) fn line_of(&self, path: &FieldPath) -> u64 {
        let Some(mut at) = self.located() else {
            return self.line;
        };
        for step in &path.0 {
            let next = match (&at.node, step) {
                (Node::Map(map), Step::Key(key)) => map.get(key),
                (Node::List(list), Step::Index(index)) => list.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            at = next;
        }
        if at.line == 0 {
            self.line
        } else {
            self.line_in_file(at.line)
        }
    }

    /// The path of the one item of a list, or of a list in it, that begins at a line of the file.
    pub(crate) fn item_at(&self, line: u64) -> Option<FieldPath> {
        let mut found = Vec::new();
        self.items_at(self.located()?, &mut Vec::new(), line, &mut found);
        if found.len() == 1 { found.pop() } else { None }
    }

    /// `above` are the indices of the lists that this one is in: a path is made of them only where an item is found.
    fn items_at(&self, at: &Located, above: &mut Vec<usize>, line: u64, found: &mut Vec<FieldPath>) {
        let Node::Map(map) = &at.node else { return };
        let Some(Node::List(items)) = map.get("items").map(|items| &items.node) else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            above.push(index);
            if self.line_in_file(item.line) == line {
                let top = FieldPath::default();
                found.push(above.iter().fold(top, |path, at| path.key("items").index(*at)));
            } else {
                self.items_at(item, above, line, found);
            }
            above.pop();
        }
    }

    fn located(&self) -> Option<&Located> {
        self.located
            .get_or_init(|| self.read::<Spanned<Node>>().ok().map(Located::from))
            .as_ref()
    }
}

/// The parser's error, its line counted from the top of the file.
fn explained(error: &serde_saphyr::Error, first_line: u64, fallback: u64) -> DocumentError {
    let line = error
        .location()
        .map_or(fallback, |at| first_line + at.line().saturating_sub(1));
    let options = serde_saphyr::render_options! {
        snippets: serde_saphyr::SnippetMode::Off,
        line_offset: first_line.saturating_sub(1),
    };
    DocumentError {
        line,
        message: error.render_with_options(options),
    }
}

/// Limits for a text of this size: what the text itself holds is bounded by it, aliases and depth by our constants.
fn options(size: usize) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: size.saturating_mul(4).saturating_add(MAX_ALIAS_NODES),
            max_nodes: size.saturating_mul(2).saturating_add(MAX_ALIAS_NODES),
            max_total_scalar_bytes: size.saturating_add(MAX_ALIAS_BYTES),
            max_recorded_anchor_events: MAX_ALIAS_NODES,
            max_recorded_anchor_bytes: MAX_ALIAS_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_ALIAS_NODES,
            max_replay_stack_depth: 16,
        },
        emit_comments: false,
        with_snippet: false,
    }
}

/// A value of which only shape and lines are kept.
#[derive(Debug)]
enum Node {
    Leaf,
    List(Vec<Located>),
    Map(BTreeMap<String, Located>),
}

#[derive(Debug)]
struct Located {
    node: Node,
    /// The line in the document, from 1; 0 when the parser does not tell.
    line: u64,
}

impl From<Spanned<Node>> for Located {
    fn from(spanned: Spanned<Node>) -> Self {
        Self {
            node: spanned.value,
            line: spanned.referenced.line(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> de::Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            list.push(item.into());
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Spanned<Node>>()? {
            entries.insert(key, value.into());
        }
        Ok(Node::Map(entries))
    }
}
