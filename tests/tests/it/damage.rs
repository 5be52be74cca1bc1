//! A bus that damages what it carries.

use std::sync::Arc;

use anyhow::Result;
use netpol_verify::{
    bus::{Bus, LocalBus, Message, Rejected},
    flow::{Outcome, UnknownCause},
    sensor::{Mode, Options},
};
use netpol_verify_tests::{Pair, as_root, ask, prober_over};

/// What happens to the records on the way.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The last record of each batch is cut short.
    CutShort,
    /// The header says another record format.
    OtherFormat,
    /// The batch does not arrive; its number is missing.
    Swallowed,
}

struct Damaging {
    bus: LocalBus,
    damage: Damage,
}

impl Bus for Damaging {
    fn publish(&self, message: Message) -> Result<(), Rejected> {
        let Message::Batch(mut batch) = message else {
            return self.bus.publish(message);
        };
        if !batch.is_empty() {
            match self.damage {
                Damage::CutShort => batch.records.truncate(100),
                Damage::OtherFormat => batch.records = vec![0xff; batch.records.len()].into(),
                Damage::Swallowed => return Ok(()),
            }
        }
        self.bus.publish(Message::Batch(batch))
    }
}

#[tokio::test]
async fn damage_on_the_bus_is_never_silence() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    for damage in [Damage::CutShort, Damage::OtherFormat, Damage::Swallowed] {
        let (bus, inbox) = LocalBus::new(4096);
        let bus = Arc::new(Damaging { bus, damage });
        let options = Options {
            without_drops: true,
            ..Options::default()
        };
        let mut prober = prober_over(&pair, &["a"], Mode::Active, options, bus, inbox).await?;
        let decided = ask(&pair, &mut prober, 1).await?;
        assert!(
            matches!(
                decided.outcome,
                Outcome::Unknown {
                    why: UnknownCause::RecordsLost { .. }
                }
            ),
            "{damage:?}: {:?}",
            decided.outcome
        );
        let unread = !matches!(damage, Damage::Swallowed);
        assert_eq!(prober.damaged() > 0, unread, "{damage:?}");
    }
    Ok(())
}
