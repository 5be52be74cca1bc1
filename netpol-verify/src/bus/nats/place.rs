//! Where a reader is in the stream, and where it reads on when the stream is not what it was.

use std::time::Duration;

use async_nats::{
    datetime::DateTime,
    jetstream::{consumer::DeliverPolicy, stream::Info},
};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what is said from now on.
    Now,
    /// With everything that is kept.
    Beginning,
    /// With so much before the newest that is kept: a verifier that starts again reads what it has forgotten.
    Last(Duration),
}

/// The next message to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    Number(u64),
    Time(DateTime),
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) number: u64,
    pub(super) published: DateTime,
    pub(super) id: Option<String>,
}

/// A reader's place in one stream.
#[derive(Debug)]
pub(super) struct Place {
    start: Start,
    /// When the stream was made that the rest is about.
    stream: Option<DateTime>,
    next: Next,
    seen: Option<Seen>,
    /// The last message before the server forgot some: it comes again.
    again: Option<String>,
}

impl Place {
    pub(super) const fn new(start: Start) -> Self {
        Self {
            start,
            stream: None,
            next: Next::Number(1),
            seen: None,
            again: None,
        }
    }

    /// The number of the message that is worth a look: after a crash a server may have forgotten its newest messages and
    /// given their numbers to others.
    pub(super) fn doubt(&self, info: &Info) -> Option<u64> {
        let seen = self.seen.as_ref()?;
        let is_kept = info.state.messages > 0
            && (info.state.first_sequence..=info.state.last_sequence).contains(&seen.number);
        (self.stream == Some(info.created) && is_kept).then_some(seen.number)
    }

    /// Where to read on, by what the stream is now; `found` is the id of the message that was in [`Self::doubt`].
    pub(super) fn resume(&mut self, info: &Info, found: Option<&str>) -> Next {
        let state = &info.state;
        let end = state.last_sequence.saturating_add(1);
        let doubted = self.doubt(info).is_some();
        if self.stream != Some(info.created) {
            self.next = if self.stream.is_some() {
                // Another stream: everything in it is new.
                Next::Number(1)
            } else {
                first(self.start, info)
            };
            self.stream = Some(info.created);
            self.seen = None;
        } else if let Some(seen) = self.seen.take_if(|seen| doubted && seen.id.as_deref() != found) {
            // What was said since has a later time.
            self.next = Next::Time(seen.published);
            self.again = seen.id;
        } else if matches!(self.next, Next::Number(next) if next > end) {
            self.next = Next::Number(end);
            self.seen = None;
        }
        self.next
    }

    /// Notes a message that came: how many before it the stream threw away unread, or `None` when it was read before.
    pub(super) fn note(&mut self, seen: Seen) -> Option<u64> {
        let discarded = match self.next {
            Next::Number(next) => seen.number.saturating_sub(next),
            Next::Time(_) => 0,
        };
        self.next = Next::Number(seen.number.saturating_add(1));
        let is_again = self.again.is_some() && self.again == seen.id;
        self.again = None;
        self.seen = Some(seen);
        (!is_again).then_some(discarded)
    }

    /// The number to read next, where it is known.
    pub(super) const fn next(&self) -> Option<u64> {
        match self.next {
            Next::Number(number) => Some(number),
            Next::Time(_) => None,
        }
    }
}

fn first(start: Start, info: &Info) -> Next {
    let state = &info.state;
    let end = Next::Number(state.last_sequence.saturating_add(1));
    match start {
        Start::Now => end,
        Start::Beginning => Next::Number(state.first_sequence.max(1)),
        Start::Last(_) if state.messages == 0 => end,
        Start::Last(age) => age
            .try_into()
            .ok()
            .and_then(|age| state.last_timestamp.checked_sub(age))
            .map_or(Next::Number(state.first_sequence.max(1)), Next::Time),
    }
}

impl From<Next> for DeliverPolicy {
    fn from(next: Next) -> Self {
        match next {
            Next::Number(start_sequence) => Self::ByStartSequence { start_sequence },
            Next::Time(start_time) => Self::ByStartTime { start_time },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_nats::{datetime::from_nanos, jetstream::stream::Info};

    use super::{Next, Place, Seen, Start};

    /// A stream with messages numbered so, the newest 100 seconds after 1970.
    fn stream(created: &str, numbers: std::ops::RangeInclusive<u64>) -> Info {
        serde_json::from_value(serde_json::json!({
            "config": {
                "name": "NPV", "retention": "limits", "discard": "old", "storage": "file", "num_replicas": 1,
            },
            "created": created,
            "state": {
                "messages": numbers.clone().count(), "bytes": 0, "consumer_count": 0,
                "first_seq": numbers.start(), "first_ts": "1970-01-01T00:00:00Z",
                "last_seq": numbers.end(), "last_ts": "1970-01-01T00:01:40Z",
            },
        }))
        .unwrap()
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-01-02T00:00:00Z";

    fn seen(number: u64) -> Seen {
        Seen {
            number,
            published: from_nanos(i128::from(number) * 1_000_000_000).unwrap(),
            id: Some(format!("id-{number}")),
        }
    }

    fn at(start: Start) -> Place {
        let mut place = Place::new(start);
        place.resume(&stream(OLD, 3..=9), None);
        place
    }

    #[test]
    fn a_reader_begins_where_it_is_told() {
        assert_eq!(at(Start::Now).next(), Some(10));
        assert_eq!(at(Start::Beginning).next(), Some(3));
        let last = at(Start::Last(Duration::from_secs(40))).resume(&stream(OLD, 3..=9), None);
        assert_eq!(last, Next::Time(from_nanos(60_000_000_000).unwrap()));
        assert_eq!(at(Start::Last(Duration::MAX)).next(), Some(3));
    }

    #[test]
    fn what_was_thrown_away_unread_is_counted() {
        let mut place = at(Start::Beginning);
        assert_eq!(place.note(seen(3)), Some(0));
        assert_eq!(place.note(seen(7)), Some(3));
    }

    #[test]
    fn another_stream_is_read_from_its_beginning() {
        let mut place = at(Start::Now);
        place.note(seen(10));
        assert_eq!(place.doubt(&stream(NEW, 1..=20)), None);
        assert_eq!(place.resume(&stream(NEW, 1..=20), None), Next::Number(1));
    }

    #[test]
    fn numbers_that_a_crash_gave_to_others_are_read_again_by_time() {
        let mut place = at(Start::Now);
        place.note(seen(10));
        // It is the same: read on.
        assert_eq!(place.doubt(&stream(OLD, 3..=12)), Some(10));
        assert_eq!(
            place.resume(&stream(OLD, 3..=12), Some("id-10")),
            Next::Number(11)
        );
        // Another has its number.
        assert_eq!(
            place.resume(&stream(OLD, 3..=12), Some("other")),
            Next::Time(seen(10).published)
        );
        assert_eq!(place.note(seen(10)), None, "that one was read before");
        assert_eq!(place.note(seen(11)), Some(0));
        // Nobody has its number yet.
        assert_eq!(place.resume(&stream(OLD, 3..=5), None), Next::Number(6));
    }

    #[test]
    fn what_was_read_and_thrown_away_since_is_no_crash() {
        let mut place = at(Start::Now);
        place.note(seen(10));
        assert_eq!(place.doubt(&stream(OLD, 15..=20)), None);
        assert_eq!(place.resume(&stream(OLD, 15..=20), None), Next::Number(11));
    }
}
