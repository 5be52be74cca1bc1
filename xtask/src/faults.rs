//! `cargo xtask faults`: every fault of the catalogue on real packets, and which of them were named by exactly what they touch.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;

use crate::command;

/// The tests that play the catalogue, each on another wiring.
const PLAYS: &str = "lab_faults::every_fault_touches_what_it_must_and_nothing_else";

/// Options of `faults`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these; `netpol-verify lab --list-faults` lists all
    ids: Vec<String>,
}

/// What a line of a play says of a fault in one enforcer on one wiring.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Played {
    id: String,
    class: String,
    enforcer: String,
    wiring: String,
    touched: usize,
    surprises: usize,
    attempts: usize,
}

/// Plays the catalogue, or some of it, and prints what was caught.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !command::is_root() {
        bail!("faults are played in network namespaces: run this as root");
    }
    let mut played = Vec::new();
    let passed = command::lines(
        command::cargo()
            .env("NPV_FAULTS", options.ids.join(","))
            .args([
                "test",
                "--locked",
                "--package",
                "netpol-verify-tests",
                "--test",
                "it",
            ])
            .args(["--", "--nocapture", PLAYS]),
        |line| played.extend(read(line)),
    )?;
    println!(
        "\n{:<32}{:<7}{:<10}{:<9}{:>9}{:>10}",
        "fault", "class", "enforcer", "wiring", "attempts", "touched"
    );
    for one in &played {
        println!(
            "{:<32}{:<7}{:<10}{:<9}{:>9}{:>10}{}",
            one.id,
            one.class,
            one.enforcer,
            one.wiring,
            one.attempts,
            one.touched,
            if one.surprises > 0 {
                "  NOT AS IT MUST BE"
            } else {
                ""
            }
        );
    }
    println!("\nclass  caught / tried");
    for (class, (caught, tried)) in by_class(&played) {
        println!("{class:<7}{caught} / {tried}");
    }
    let tried = played
        .iter()
        .map(|one| &one.id)
        .collect::<std::collections::BTreeSet<_>>();
    if let Some(unknown) = options.ids.iter().find(|id| !tried.contains(id)) {
        bail!("no fault {unknown} was played; netpol-verify lab --list-faults lists all");
    }
    if !passed || played.is_empty() {
        bail!("not every fault was named by exactly what it touches: see what is printed above");
    }
    Ok(())
}

/// How many faults of each class were caught, and how many were tried. A fault is caught where every attempt that it touches was
/// named, by some enforcer on some wiring, and nothing else by any on any.
fn by_class(played: &[Played]) -> BTreeMap<String, (usize, usize)> {
    let mut faults: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for one in played {
        let so_far = faults.entry((&one.class, &one.id)).or_default();
        so_far.0 += one.touched;
        so_far.1 += one.surprises;
    }
    let mut classes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for ((class, _), (touched, surprises)) in faults {
        let counts = classes.entry(class.to_owned()).or_default();
        counts.0 += usize::from(touched > 0 && surprises == 0);
        counts.1 += 1;
    }
    classes
}

/// `fault ID class C enforcer E wiring W touched N surprises N attempts N …`, as the tests print it. With one thread the test's own
/// name may stand before it on the line.
fn read(line: &str) -> Option<Played> {
    let words: Vec<&str> = line
        .split_whitespace()
        .skip_while(|word| *word != "fault")
        .collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let number = |name| after(name)?.parse().ok();
    Some(Played {
        id: after("fault")?.to_owned(),
        class: after("class")?.to_owned(),
        enforcer: after("enforcer")?.to_owned(),
        wiring: after("wiring")?.to_owned(),
        touched: number("touched")?,
        surprises: number("surprises")?,
        attempts: number("attempts")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{by_class, read};

    #[test]
    fn a_fault_counts_once_and_only_where_nothing_surprised() {
        let lines = [
            "fault bridge-nf-off class E enforcer nftables wiring bridge touched 7 surprises 0 attempts 9 in 1s",
            "fault bridge-nf-off class E enforcer nftables wiring routed touched 0 surprises 0 attempts 9 in 1s",
            "fault sctp-open class E enforcer nftables wiring bridge touched 3 surprises 1 attempts 9 in 1s",
            "test it::faults ... fault sctp-open class E enforcer tc wiring routed touched 3 surprises 0 attempts 9 in 1s",
            "test something ... ok",
        ];
        let played: Vec<_> = lines.iter().filter_map(|line| read(line)).collect();
        assert_eq!(played.len(), 4);
        assert_eq!(played[3].enforcer, "tc");
        assert_eq!(by_class(&played)["E"], (1, 2));
    }
}
