//! Repeats become a count, and the count is exact.

use anyhow::Result;
use netpol_verify::sensor::{Mode, Options};
use netpol_verify_ebpf::settings::{Settings, counter};
use netpol_verify_tests::{Ear, ONLY_PODS, Pair, as_root, cookie, flood};

const STORM: u32 = 500;

fn fold(window_ns: u64) -> Settings {
    Settings {
        fold_window_ns: window_ns,
        ..Mode::Active.settings()
    }
}

#[tokio::test]
async fn a_storm_from_many_ports_is_one_record_and_a_count() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    let mut ear = Ear::start(&pair, Mode::Passive, ONLY_PODS).await?;
    let a = cookie(&pair, "a")?;
    // Long enough that no machine is too slow for it.
    ear.sensor().set(fold(u64::MAX))?;
    flood(&pair, "a", STORM)?;
    ear.listen().await?;
    assert_eq!(ear.sent(a).count(), 1);
    assert_eq!(ear.counter(counter::FOLDED), u64::from(STORM) - 1);
    assert_eq!(
        ear.counter(counter::FOLDED_CARRIED),
        0,
        "no later record carried the count yet"
    );
    // The window is over: the next one carries what was folded.
    ear.sensor().set(fold(1))?;
    flood(&pair, "a", 1)?;
    ear.listen().await?;
    let folded: Vec<u32> = ear.sent(a).map(|sighting| sighting.folded).collect();
    assert_eq!(folded, [0, STORM - 1]);
    assert_eq!(ear.counter(counter::FOLDED_CARRIED), u64::from(STORM) - 1);
    Ok(())
}

#[tokio::test]
async fn another_destination_or_another_pod_is_never_folded_in() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    let mut ear = Ear::start(&pair, Mode::Passive, ONLY_PODS).await?;
    ear.sensor().set(fold(u64::MAX))?;
    flood(&pair, "a", 10)?;
    flood(&pair, "b", 10)?;
    ear.listen().await?;
    for role in ["a", "b"] {
        assert_eq!(ear.sent(cookie(&pair, role)?).count(), 1, "{role}");
    }
    Ok(())
}

#[tokio::test]
async fn everything_seen_is_recorded_folded_throttled_or_lost() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let options = Options {
        ring_bytes: Some(4096),
        ..ONLY_PODS
    };
    let mut ear = Ear::start(&pair, Mode::Passive, options).await?;
    let bucket = Settings {
        bucket_interval_ns: 1_000_000_000_000,
        bucket_burst_ns: 100_000_000_000_000,
        ..fold(u64::MAX)
    };
    // The path is open: SYNs and RSTs at both pods, in three ways of accounting.
    for settings in [
        fold(u64::MAX),
        bucket,
        Settings {
            fold_window_ns: 0,
            ..bucket
        },
    ] {
        ear.sensor().set(settings)?;
        flood(&pair, "a", 200)?;
    }
    ear.listen().await?;
    let [seen, recorded, folded, throttled, full] = [
        counter::SEEN,
        counter::RECORDED,
        counter::FOLDED,
        counter::THROTTLED,
        counter::RING_FULL,
    ]
    .map(|index| ear.counter(index));
    assert_eq!(seen, recorded + folded + throttled + full);
    assert!(
        recorded > 0 && folded > 0 && throttled > 0 && full > 0,
        "{:?}",
        ear.losses
    );
    assert_eq!(
        u64::try_from(ear.sightings.len())?,
        recorded,
        "each record arrived"
    );
    assert_eq!(ear.losses.by_netns.values().sum::<u64>(), throttled + full);
    assert_eq!(ear.losses.unplaced, 0);
    // Two SYNs and two RSTs of each attempt.
    assert_eq!(seen, 3 * 200 * 4);
    Ok(())
}
