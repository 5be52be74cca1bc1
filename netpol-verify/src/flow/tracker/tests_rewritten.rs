//! Probes of ours whose source is rewritten on their way.

use super::tests::{A, B, NODE, address, batch, first, key, sighting, tracker, window};
use crate::{
    flow::outcome::{Outcome, Reply},
    net::{KernelTime, Protocol},
    observe::{AnswerKind, Packet, Where},
};

/// A node that masquerades rewrites the source of what its pods send; the number that we drew stays.
#[test]
fn a_probe_of_ours_is_known_by_its_number_under_whatever_source() {
    for expected in [false, true] {
        let mut tracker = tracker();
        let ours = key(Protocol::Tcp, "10.0.0.1:2000", 77);
        let rewritten = key(Protocol::Tcp, "10.99.0.1:41000", 77);
        if expected {
            tracker.expect(ours);
        }
        tracker.sighting(NODE, sighting(10, A, Where::Sent, first(ours, "10.0.0.2:80")));
        tracker.sighting(
            NODE,
            sighting(11, B, Where::Delivered, first(rewritten, "10.0.0.2:80")),
        );
        let refused = |time, netns, at, to| {
            let packet = Packet::Answer {
                kind: AnswerKind::Refuse,
                to,
                from: address("10.0.0.2:80"),
            };
            sighting(time, netns, at, packet)
        };
        tracker.sighting(NODE, refused(12, B, Where::Sent, rewritten));
        tracker.sighting(NODE, refused(13, A, Where::Delivered, ours));
        tracker.batch(&batch(1, 20, 0), KernelTime(0));
        let delivered = Outcome::Delivered {
            reply: Reply::Returned,
            only_retransmission: false,
        };
        assert_eq!(tracker.outcome(&ours, window(5)) == delivered, expected);
        // What was forgotten names nothing any more.
        tracker.forget(&ours);
        let late = sighting(14, B, Where::Delivered, first(rewritten, "10.0.0.2:80"));
        assert_eq!(tracker.sighting(NODE, late), Some(rewritten));
    }
}
