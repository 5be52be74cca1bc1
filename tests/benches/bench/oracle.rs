//! What the policies require, at size: compiling, whole matrices, single decisions, a label change.

use std::{hint::black_box, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use netpol_verify::{
    cluster::{Loaded, Object, Snapshot},
    net::{Family, Protocol},
    oracle::{Explained, Question},
    policy::{PolicySet, compile},
};
use netpol_verify_tests::Fleet;

use crate::spread::Spread;

const SIZES: [usize; 6] = [100, 300, 1_000, 3_000, 10_000, 30_000];
const RUNS: usize = 5;

/// Sizes, then decisions at fixed pods, then a label change.
pub(crate) fn run() -> Result<()> {
    println!("\noracle: N pods, N/50 namespaces, N/10 sets of labels, N/10 policies; medians of {RUNS} runs");
    println!("  from the parsed objects on; TCP/80 over IPv4; every pod of the matrix written as a bit");
    println!(
        "  {:>6} {:>8} {:>9} {:>9} {:>9} {:>9} {:>7} {:>12} {:>9}",
        "pods", "classes", "parse s", "compile", "classes²", "pods²", "sum", "allowed", "peak MiB"
    );
    let mut before: Option<(usize, f64)> = None;
    for pods in SIZES {
        let text = Fleet::of(pods).manifests();
        let started = Instant::now();
        let snapshot = parsed(&text)?;
        let parsing = started.elapsed().as_secs_f64();
        drop(text);
        let row = row(&snapshot);
        let growth = before.map_or_else(String::new, |(fewer, sum)| {
            format!(
                "  pods × {:.1}, time × {:.1}",
                pods as f64 / fewer as f64,
                row.sum / sum
            )
        });
        println!(
            "  {pods:>6} {:>8} {parsing:>9.2} {:>7.2}ms {:>7.2}ms {:>7.2}ms {:>5.1}ms {:>12} {:>9}{growth}",
            row.classes, row.compile, row.classes_matrix, row.pods_matrix, row.sum, row.allowed, row.peak
        );
        before = Some((pods, row.sum));
    }
    println!("\noracle: the same 1,000 classes, more pods");
    for pods in [10_000, 20_000, 40_000] {
        let fleet = Fleet {
            label_sets: Some(1_000),
            policies: Some(1_000),
            ..Fleet::of(pods)
        };
        let row = row(&parsed(&fleet.manifests())?);
        println!(
            "  {pods:>6} pods, {:>5} classes: compile {:.2} ms, classes {:.2} ms, pods {:.2} ms, in all {:.1} ms",
            row.classes, row.compile, row.classes_matrix, row.pods_matrix, row.sum
        );
    }
    decisions()?;
    label_change()?;
    from_files()
}

/// One question about 10,000 pods, from the files on: read, parsed, compiled, decided, with a suggestion tried out.
fn from_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleet.yaml");
    std::fs::write(&path, Fleet::of(10_000).manifests())?;
    println!(
        "\noracle: one question about 10,000 pods and 1,000 policies, from the file on ({} MiB)",
        std::fs::metadata(&path)?.len() >> 20
    );
    reset_peak();
    let started = Instant::now();
    let (snapshot, _) = Loaded::from_paths(&[path]).into_snapshot();
    let read = started.elapsed();
    let (set, _) = compile(&snapshot);
    let compiled = started.elapsed();
    let question = Question::parse("ns-1/app-0-1", "ns-2/app-0-2:80", "default")?;
    let explained = Explained::new(&snapshot, &set, question, None)?;
    let answered = started.elapsed();
    println!(
        "  {:?}: read {:.0} ms, compiled {:.0} ms, explained and a rule tried out {:.0} ms; in all {:.2} s, peak {} MiB",
        explained.expectation(),
        read.as_secs_f64() * 1e3,
        (compiled - read).as_secs_f64() * 1e3,
        (answered - compiled).as_secs_f64() * 1e3,
        answered.as_secs_f64(),
        peak_mib()
    );
    Ok(())
}

struct Row {
    classes: usize,
    compile: f64,
    classes_matrix: f64,
    pods_matrix: f64,
    sum: f64,
    allowed: u64,
    peak: u64,
}

fn parsed(text: &str) -> Result<Snapshot> {
    let (snapshot, problems) = Loaded::from_text(text, Path::new("fleet")).into_snapshot();
    anyhow::ensure!(
        problems.is_empty(),
        "the generator writes lawful manifests: {}",
        problems[0]
    );
    Ok(snapshot)
}

fn row(snapshot: &Snapshot) -> Row {
    reset_peak();
    let (mut compiles, mut squares, mut expansions, mut sums) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut classes, mut allowed) = (0, 0);
    for _ in 0..RUNS {
        let started = Instant::now();
        let (set, _) = compile(snapshot);
        let compiled = started.elapsed();
        let matrix = set.matrix(Protocol::Tcp, 80);
        let squared = started.elapsed();
        let written = matrix.written_out(Family::Ipv4);
        let expanded = started.elapsed();
        allowed = written.iter().map(|word| u64::from(word.count_ones())).sum();
        classes = set.classes();
        compiles.push(compiled.as_secs_f64() * 1e3);
        squares.push((squared - compiled).as_secs_f64() * 1e3);
        expansions.push((expanded - squared).as_secs_f64() * 1e3);
        sums.push(expanded.as_secs_f64() * 1e3);
    }
    Row {
        classes,
        compile: Spread::of(compiles).median(),
        classes_matrix: Spread::of(squares).median(),
        pods_matrix: Spread::of(expansions).median(),
        sum: Spread::of(sums).median(),
        allowed,
        peak: peak_mib(),
    }
}

/// Single decisions on one core: random pairs of pods over four ports.
fn decisions() -> Result<()> {
    const ASKED: usize = 20_000_000;
    println!("\noracle: single decisions between random pods of 10,000, four ports, one core");
    for policies in [10, 100, 1_000] {
        let fleet = Fleet {
            policies: Some(policies),
            ..Fleet::of(10_000)
        };
        let snapshot = parsed(&fleet.manifests())?;
        let (set, _) = compile(&snapshot);
        let pods: Vec<_> = set.pods().collect();
        let started = Instant::now();
        let matrices = [80, 443, 8001, 53].map(|port| set.matrix(Protocol::Tcp, port));
        let made = started.elapsed();
        let mut rng = fastrand::Rng::with_seed(1);
        let pairs: Vec<(u16, u16)> = (0..1 << 16)
            .map(|_| (rng.u16(..10_000), rng.u16(..10_000)))
            .collect();
        let started = Instant::now();
        let mut allowed = 0_usize;
        for at in 0..ASKED {
            let (from, to) = pairs[at & 0xffff];
            let expected =
                matrices[at >> 16 & 3].expect(pods[usize::from(from)], pods[usize::from(to)], Family::Ipv4);
            allowed += usize::from(matches!(
                black_box(expected),
                Some(netpol_verify::policy::Expectation::Allow)
            ));
        }
        let asked = started.elapsed();
        let with_reasons = reasons(&set, &pairs);
        println!(
            "  {policies:>5} policies: {:>5.1} million/s ({allowed} of {ASKED} allowed); four matrices once {:.1} ms; with reasons {:.2} million/s",
            ASKED as f64 / asked.as_secs_f64() / 1e6,
            made.as_secs_f64() * 1e3,
            with_reasons / 1e6,
        );
    }
    Ok(())
}

fn reasons(set: &PolicySet, pairs: &[(u16, u16)]) -> f64 {
    let pods: Vec<_> = set.pods().collect();
    let matrix = set.matrix(Protocol::Tcp, 80);
    let started = Instant::now();
    for (from, to) in pairs {
        black_box(matrix.decide(pods[usize::from(*from)], pods[usize::from(*to)], Family::Ipv4));
    }
    pairs.len() as f64 / started.elapsed().as_secs_f64()
}

/// One pod of 10,000 gets other labels: known ones, and ones that no pod had.
fn label_change() -> Result<()> {
    let (mut state, _) = Loaded::from_text(&Fleet::of(10_000).manifests(), Path::new("fleet")).into_state();
    let (mut set, _) = compile(&state.snapshot());
    println!("\noracle: a pod's label changes at 10,000 pods and 1,000 policies, until the set has followed");
    for (what, is_new) in [
        ("to a class that is there", false),
        ("to a class that is new", true),
    ] {
        let mut times = Vec::new();
        for turn in 0..200_usize {
            let pods = state.snapshot().pods;
            let mut pod = pods
                .get(turn * 37)
                .cloned()
                .context("the fleet has that many pods")?;
            if is_new {
                // No pod is of this tier and of no app.
                pod.labels.remove("app");
            } else {
                let other = pods
                    .iter()
                    .filter(|other| other.name.namespace == pod.name.namespace)
                    .find(|other| other.labels.get("app") != pod.labels.get("app"));
                pod.labels
                    .clone_from(&other.context("its namespace has other apps")?.labels);
            }
            let changes = state.apply([Object::Pod(pod)]);
            let started = Instant::now();
            set.follow(&state, &changes);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        let spread = Spread::of(times);
        println!(
            "  {what}: median {:.1} µs, p99 {:.1} µs, most {:.1} µs",
            spread.median(),
            spread.quantile(990),
            spread.quantile(1000)
        );
    }
    Ok(())
}

/// Forgets the highest memory use so far, where the kernel lets one (proc_pid_clear_refs, since 4.0).
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
