//! Every packet is a record or a counted loss, and a loss touches only whom it touched.

use anyhow::Result;
use netpol_verify::{
    flow::{Outcome, UnknownCause},
    sensor::{Mode, Options},
};
use netpol_verify_ebpf::{
    RECORD_SIZE,
    settings::{Settings, counter},
};
use netpol_verify_tests::{Ear, ONLY_PODS, Pair, as_root, ask, cookie, flood, prober};

/// A record costs a quarter of an hour, and ten may be saved up: eleven records, on however slow a machine.
const ELEVEN: Settings = Settings {
    bucket_interval_ns: 1_000_000_000_000,
    bucket_burst_ns: 10_000_000_000_000,
    ..Mode::Active.settings()
};

#[tokio::test]
async fn a_pod_that_floods_is_throttled_and_the_other_one_is_not() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    let mut ear = Ear::start(&pair, Mode::Active, ONLY_PODS).await?;
    ear.sensor().set(ELEVEN)?;
    let (a, b) = (cookie(&pair, "a")?, cookie(&pair, "b")?);
    flood(&pair, "a", 400)?;
    flood(&pair, "b", 9)?;
    ear.listen().await?;
    assert_eq!(ear.sent(a).count(), 11);
    assert_eq!(ear.sent(b).count(), 9);
    assert_eq!(ear.losses.by_netns.get(&a), Some(&389));
    assert_eq!(ear.losses.by_netns.get(&b), None);
    assert_eq!(ear.counter(counter::THROTTLED), 389);
    Ok(())
}

#[tokio::test]
async fn a_throttled_pods_silence_is_no_proof() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    // The frame is lost on the wire: without the throttle this would be silence, which counts.
    pair.inside(
        "r",
        "ip neigh replace 10.77.1.2 lladdr 02:00:00:00:00:99 dev vethb nud permanent",
    )?;
    let mut prober = prober(&pair, &["a"], Mode::Active, Options::default()).await?;
    assert_eq!(ask(&pair, &mut prober, 1000).await?.outcome, Outcome::Unanswered);
    prober.sensor().set(ELEVEN)?;
    flood(&pair, "a", 100)?;
    let decided = ask(&pair, &mut prober, 1001).await?;
    assert!(
        matches!(
            decided.outcome,
            Outcome::Unknown {
                why: UnknownCause::RecordsLost { .. }
            }
        ),
        "{:?}",
        decided.outcome
    );
    Ok(())
}

#[tokio::test]
async fn a_full_ring_loses_an_exact_number() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    let ring = 4096;
    let options = Options {
        ring_bytes: Some(ring),
        ..ONLY_PODS
    };
    let mut ear = Ear::start(&pair, Mode::Active, options).await?;
    let a = cookie(&pair, "a")?;
    // On this runtime of one thread nobody drains meanwhile.
    flood(&pair, "a", 1000)?;
    ear.listen().await?;
    // A record has a header of eight bytes, and the ring keeps one byte free (kernel/bpf/ringbuf.c, Linux 6.18).
    let room = (usize::try_from(ring)? - 1) / (RECORD_SIZE + 8);
    assert_eq!(ear.sent(a).count(), room);
    let lost = 1000 - u64::try_from(room)?;
    assert_eq!(ear.counter(counter::RING_FULL), lost);
    assert_eq!(ear.losses.by_netns.get(&a), Some(&lost));
    // Drained, it takes records again.
    flood(&pair, "a", 5)?;
    ear.listen().await?;
    assert_eq!(ear.sent(a).count(), room + 5);
    Ok(())
}
