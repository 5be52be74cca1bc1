//! The fallback of older kernels, and pods that go while they are watched.

use std::time::Duration;

use anyhow::{Result, bail};
use aya::programs::{SchedClassifier, TcAttachType};
use netpol_verify::{
    flow::{DropPlace, Outcome, UnknownCause},
    kernel::KernelFacts,
    sensor::{Attachment, EMBEDDED, Mode, NetnsPath, Object, Options, inside},
    suite::Planned,
};
use netpol_verify_tests::{Pair, as_root, ask, ask_planned, netns, probe, prober};

#[tokio::test]
async fn clsact_sees_what_tcx_sees_and_leaves_no_filter() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    pair.forward("inet", "", "tcp sport 20002 drop")?;
    let options = Options {
        attachment: Some(Attachment::Clsact),
        ..Options::default()
    };
    let mut prober = prober(&pair, &["a"], Mode::Active, options).await?;
    let (_, programs) = inside(&NetnsPath::from(pair.path("a")), || {
        SchedClassifier::query_tcx("eth0", TcAttachType::Egress)
    })??;
    assert!(programs.is_empty(), "not by TCX");
    let open = ask(&pair, &mut prober, 1).await?.outcome;
    assert!(matches!(open, Outcome::Delivered { .. }), "{open:?}");
    let closed = ask(&pair, &mut prober, 2).await?.outcome;
    assert!(
        matches!(&closed, Outcome::Dropped { place: DropPlace { reason, .. } } if reason == "NETFILTER_DROP"),
        "{closed:?}"
    );
    let filters = |pair: &Pair| -> Result<String> {
        Ok(pair.inside("a", "tc filter show dev eth0 ingress")?
            + &pair.inside("a", "tc filter show dev eth0 egress")?)
    };
    assert!(filters(&pair)?.contains("pod_egress") && filters(&pair)?.contains("pod_ingress"));
    drop(prober);
    // Follow lets go on its own task.
    for _ in 0..100 {
        if filters(&pair)?.trim().is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("still attached: {}", filters(&pair)?);
}

#[tokio::test]
async fn a_namespace_that_is_removed_is_never_taken_for_a_denial() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut prober = prober(&pair, &["a"], Mode::Active, Options::default()).await?;
    let (source, destination) = (netns(&pair, "a")?, Some(netns(&pair, "b")?));
    pair.remove("b")?;
    // The sensor still holds the namespace when its name goes; it lets go on its own task.
    for number in 0..250 {
        let planned = Planned {
            source,
            destination,
            probe: probe(&pair, "a", false, number)?,
        };
        match ask_planned(&mut prober, planned).await?.outcome {
            Outcome::Unknown {
                why: UnknownCause::DestinationNotWatched,
            } => return Ok(()),
            Outcome::Delivered { .. } | Outcome::Unknown { .. } => {}
            denial => bail!("probe {number}: {denial:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the sensor never noticed");
}

#[test]
fn the_programs_load_without_the_kernel_function_they_can_do_without() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let facts = KernelFacts {
        context_cast: None,
        ..KernelFacts::of_kernel()
    };
    Object::load(EMBEDDED, &facts)?;
    // A number that names another function: the kernel refuses it, and the programs are loaded the other way.
    let wrong = KernelFacts {
        context_cast: Some(1),
        ..facts
    };
    Object::load(EMBEDDED, &wrong)?;
    Ok(())
}
